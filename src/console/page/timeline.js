// From the first slice to the last delivery: what happened when, and what became of each object of the result.

import { getDeliveries } from "./daemon.js";
import { byId, make, matchChildren, setAttribute, setHidden, setText } from "./dom.js";
import { clock, quantity } from "./words.js";

/** @typedef {{ at: string, what: string, kind: string }} Moment */

/** How each object is called, in the order in which it is sent. @type {Record<string, string>} */
const KINDS = {
  original: "Images as received",
  segmentation: "Segmentation",
  secondary_capture: "Pictures",
  structured_report: "Report",
  notification: "Notification",
};

/** @type {Record<string, string>} */
const STATES = {
  queued: "waits to be sent",
  sending: "on its way",
  unsure: "sent, no answer: will be sent again",
  stored: "stored",
  commitment_asked: "stored, confirmation asked for",
  done: "delivered",
  done_unconfirmed: "delivered, never confirmed",
  dead: "not delivered",
  superseded: "replaced by a later verdict",
  dropped: "given up",
};

const ARRIVED = ["stored", "commitment_asked", "done", "done_unconfirmed"];
/** States that nothing changes any more unless somebody decides so. */
const SETTLED = ["done", "done_unconfirmed", "superseded", "dropped", "dead"];

// --- words, pure -------------------------------------------------------------------------------------------------------

/**
 * What happened, in its order.
 * @param {Exam} exam @param {Report | null} report @param {Delivery[]} deliveries
 * @returns {Moment[]}
 */
export function momentsOf(exam, report, deliveries) {
  const { slices } = exam;
  /** @type {Moment[]} */
  const moments = [{ at: exam.started, what: "First slice", kind: "slice" }];
  for (const flag of exam.flags) {
    for (const { at, event, words } of flag.life) {
      const by = event === "acknowledged" && flag.acknowledged ? ` by ${flag.acknowledged.by}` : "";
      moments.push({ at, what: `${subjectOf(flag)}: ${words}${by}`, kind: event === "acknowledged" ? "seen" : "flag" });
    }
  }
  if (exam.last_slice) {
    const last = exam.state === "receiving" ? "Latest slice" : "Last slice";
    moments.push({ at: exam.last_slice, what: `${last}, ${slices.received} received`, kind: "slice" });
  }
  if (report) {
    const verdict = laterBy(exam.started, report.timing.first_slice_to_verdict_ms);
    moments.push({ at: verdict, what: verdictWords(exam, report), kind: "verdict" });
  }
  moments.push(...arrivalsOf(deliveries));
  return moments.sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
}

/** @param {Exam} exam @param {Report} report */
function verdictWords({ verdict }, { revised }) {
  if (verdict === "not_analysed") return "End of the analysis, without a verdict";
  return revised ? "Verdict, amended" : "Verdict";
}

/** What a flag is about; behind a colon its title says how things stand now. @param {Flag} flag */
const subjectOf = ({ title }) => title.split(":")[0];

/** When all that the newest verdict became had arrived at a destination. @param {Delivery[]} deliveries @returns {Moment[]} */
function arrivalsOf(deliveries) {
  const objects = newest(deliveries).filter(({ kind }) => kind !== "notification");
  const destinations = [...new Set(objects.map(({ destination }) => destination))];
  return destinations.flatMap((destination) => {
    const there = objects.filter((delivery) => delivery.destination === destination);
    if (!there.every(({ state }) => ARRIVED.includes(state))) return [];
    const at = there.map(({ changed }) => changed).reduce((one, other) => (Date.parse(other) > Date.parse(one) ? other : one));
    const count = there.reduce((sum, delivery) => sum + delivery.count, 0);
    return [{ at, what: `${count === 1 ? "1 object" : `${count} objects`} delivered to ${destination}`, kind: "delivered" }];
  });
}

/** The deliveries of the newest verdict. @param {Delivery[]} deliveries */
export function newest(deliveries) {
  const last = Math.max(0, ...deliveries.map(({ revision }) => revision));
  return deliveries.filter(({ revision }) => revision === last);
}

/** Whether nothing changes any more by itself. @param {Delivery[]} deliveries */
export const areSettled = (deliveries) => deliveries.every(({ state }) => SETTLED.includes(state));

/** @param {string} time @param {number} ms */
function laterBy(time, ms) {
  return new Date(Date.parse(time) + ms).toISOString();
}

/** How long after the first: "+ 12 s", "+ 3 min 05 s". @param {string} first @param {string} at */
export function sinceWords(first, at) {
  const seconds = Math.max(0, (Date.parse(at) - Date.parse(first)) / 1000);
  if (seconds < 10) return `+ ${quantity(seconds, 1, "s")}`;
  if (seconds < 60) return `+ ${quantity(seconds, 0, "s")}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `+ ${minutes} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  return `+ ${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** @param {Delivery} delivery */
export function objectWords({ kind, count }) {
  const name = KINDS[kind] ?? kind;
  return count === 1 ? name : `${name}, ${count}`;
}

/** @param {Delivery} delivery */
export function stateWords({ state, reason }) {
  const words = STATES[state] ?? state;
  return reason ? `${words}: ${reason}` : words;
}

// --- the page ----------------------------------------------------------------------------------------------------------

/** What is known of deliveries, of one exam. */
let known = { key: "", deliveries: /** @type {Delivery[]} */ ([]), asked: false };

/** Asks what became of an exam's objects, unless nothing changes there any more. @param {Exam | null} exam @param {() => void} changed */
export async function askDeliveries(exam, changed) {
  if (!exam) return;
  if (exam.key !== known.key) known = { key: exam.key, deliveries: [], asked: false };
  const settled = known.asked && known.deliveries.length > 0 && areSettled(known.deliveries);
  if (!exam.verdict || settled) return;
  try {
    const deliveries = await getDeliveries(exam.key);
    if (exam.key !== known.key) return;
    known = { key: exam.key, deliveries, asked: true };
    changed();
  } catch {
    // The next heartbeat asks again.
  }
}

/** Another verdict has other objects. */
export function forgetDeliveries() {
  known.asked = false;
}

/** @param {Exam} exam @param {Report | null} report */
export function showTimeline(exam, report) {
  const deliveries = exam.key === known.key ? known.deliveries : [];
  const moments = momentsOf(exam, report, deliveries).map((moment, place) => ({ ...moment, place }));
  matchChildren(byId("moments"), moments, ({ place }) => place, makeMoment, (item, moment) => {
    setAttribute(item, "data-kind", moment.kind);
    setText(item.children[0], clock(moment.at));
    setText(item.children[1], sinceWords(exam.started, moment.at));
    setText(item.children[2], moment.what);
  });
  showDelivered(newest(deliveries));
}

function makeMoment() {
  const item = make("li");
  item.append(make("time"), make("span", "since"), make("span", "what"));
  return item;
}

/** @param {Delivery[]} deliveries */
function showDelivered(deliveries) {
  setHidden(byId("delivered"), deliveries.length === 0);
  const keyOf = (/** @type {Delivery} */ of) => [of.destination, of.kind, of.state, of.reason ?? ""].join("/");
  matchChildren(byId("delivered-rows"), deliveries, keyOf, makeDelivered, (row, delivery) => {
    setAttribute(row, "data-state", delivery.state);
    const texts = [delivery.destination, objectWords(delivery), stateWords(delivery), clock(delivery.changed)];
    texts.forEach((text, at) => setText(row.children[at], text));
  });
}

function makeDelivered() {
  const row = make("tr");
  const head = make("th");
  head.setAttribute("scope", "row");
  row.append(head, make("td"), make("td"), make("td"));
  return row;
}
