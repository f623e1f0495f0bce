// How values from the daemon are written for people.

import { say } from "./text.js";

const NO_VALUE = "–";

/** A DICOM person name (PS3.5 section 6.2.1.2): "YAMADA^TAROU=山田^太郎" reads "YAMADA, Tarou (山田 太郎)". @param {string | null | undefined} value */
export function personName(value) {
  const [alphabetic = "", ideographic = ""] = (value ?? "").split("=");
  const [family, given, middle, prefix, suffix] = components(alphabetic);
  const forenames = [prefix, given, middle].filter(Boolean).map(capitalised).join(" ");
  const western = [family, forenames, suffix].filter(Boolean).join(", ");
  const native = components(ideographic).filter(Boolean).join(" ");
  if (western && native) return `${western} (${native})`;
  return western || native || say("words.no_name");
}

/** @param {string} group */
function components(group) {
  return group.split("^").map((part) => part.trim());
}

/** "ANNE-MARIE" reads "Anne-Marie"; a name that is not all capitals is left as it is. @param {string} name */
function capitalised(name) {
  if (name !== name.toLocaleUpperCase()) return name;
  const initial = /(?<![\p{L}\p{M}])\p{L}/gu;
  return name.toLocaleLowerCase().replace(initial, (letter) => letter.toLocaleUpperCase());
}

/** "19700101" reads "1970-01-01, 56 y". @param {string | null | undefined} value @param {string} examTime */
export function birthDate(value, examTime) {
  const digits = /^(\d{4})(\d{2})(\d{2})$/.exec(value ?? "");
  if (!digits) return "";
  const [year, month, day] = digits.slice(1).map(Number);
  const then = new Date(examTime);
  const beforeBirthday = then.getMonth() + 1 < month || (then.getMonth() + 1 === month && then.getDate() < day);
  return say("words.born", { date: digits.slice(1).join("-"), age: then.getFullYear() - year - (beforeBirthday ? 1 : 0) });
}

/** Local time of day, with the date where it is not today's. @param {string | Date | null} time */
export function clock(time, now = new Date()) {
  const then = new Date(time ?? Number.NaN);
  if (Number.isNaN(then.getTime())) return NO_VALUE;
  const hours = [then.getHours(), then.getMinutes(), then.getSeconds()].map(twoDigits).join(":");
  if (then.toDateString() === now.toDateString()) return hours;
  return `${then.getFullYear()}-${twoDigits(then.getMonth() + 1)}-${twoDigits(then.getDate())} ${hours}`;
}

/** @param {number} number */
export function twoDigits(number) {
  return String(number).padStart(2, "0");
}

/** A number with so many decimals and its unit; a missing one is a dash, never a nought. @param {number | null | undefined} value @param {number} decimals */
export function quantity(value, decimals, unit = "") {
  if (value === null || value === undefined || !Number.isFinite(value)) return NO_VALUE;
  const text = value.toFixed(decimals).replace("-", "−");
  return unit ? `${text} ${unit}` : text;
}

/** @param {number | null | undefined} share */
export function percent(share) {
  return quantity(share === null || share === undefined ? null : share * 100, 1, "%");
}

/** @param {number} count */
export const slices = (count) => say("count.slices", { count });

/** @param {{ received: number, expected: number | null }} slices */
export function progress({ received, expected }) {
  return expected === null ? say("words.so_far", { slices: slices(received) }) : say("words.received_of", { received, expected });
}

/** An exam that is received and whose turn has not come; "" for any other. @param {Exam} exam */
export function waiting(exam) {
  return exam.waiting ? say("words.waiting", { place: exam.waiting.place }) : "";
}

/** Where to send, as a person types it into a scanner; an address that means "every interface" is this page's host. @param {DaemonStatus} status @param {string} pageHost */
export function destination(status, pageHost) {
  const host = status.dicom_address.replace(/:\d+$/, "");
  const everywhere = ["0.0.0.0", "[::]", "::", ""].includes(host);
  return { title: status.ae_title, host: everywhere ? pageHost : host, port: status.port };
}
