// The scanners that send, the destinations, the machine itself.

import { byId, make, matchChildren, setText, within } from "./dom.js";
import { showTable } from "./rows.js";
import { say } from "./text.js";
import { clock } from "./words.js";

const UNITS = ["KiB", "MiB", "GiB", "TiB"];
const DAY_MS = 86_400_000;
/** A certificate that ends sooner is told as a warning. */
const SOON_DAYS = 30;

/** "1.5 GiB" @param {number | null | undefined} bytes */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  let [value, unit] = [bytes / 1024, 0];
  while (value >= 1024 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${value.toFixed(value < 10 ? 1 : 0)} ${UNITS[unit]}`;
}

/** "3 d 4 h", "12 min" @param {number} ms */
export function duration(ms) {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60)];
  if (days > 0) return say("administration.days_hours", { days, hours });
  return hours > 0 ? say("administration.hours_minutes", { hours, minutes: minutes % 60 }) : say("administration.minutes", { minutes });
}

/** @param {SeenScanner[]} scanners */
export function showScanners(scanners) {
  // A row for each address; the first of a scanner says what is known of it altogether.
  const rows = scanners.flatMap((scanner) =>
    (scanner.addresses.length > 0 ? scanner.addresses : [null]).map((seen, place) => ({ scanner, seen, isFirst: place === 0 })),
  );
  const isListed = (/** @type {boolean | null} */ listed) => say(`administration.${listed === null ? "anybody" : listed ? "yes" : "no"}`);
  showTable("scanners", rows, ({ scanner, seen }) => `${scanner.ae_title} ${seen?.address}`, {
    ae_title: ({ scanner }) => scanner.ae_title,
    listed: ({ scanner, isFirst }) => (isFirst ? isListed(scanner.listed) : ""),
    exams_today: ({ scanner, isFirst }) => (isFirst ? String(scanner.exams_today) : ""),
    last_exam: ({ scanner, isFirst }) => (isFirst ? clock(scanner.last_exam) : ""),
    address: ({ seen }) => seen?.address ?? "–",
    associations: ({ seen }) => withRefused(seen?.associations, seen?.associations_refused),
    stored: ({ seen }) => withRefused(seen?.stored, seen?.refused),
    last_stored: ({ seen }) => clock(seen?.last_stored ?? null),
  });
}

/** @param {number} [accepted] @param {number} [refused] */
function withRefused(accepted, refused) {
  if (accepted === undefined || refused === undefined) return "–";
  return refused === 0 ? String(accepted) : say("administration.and_refused", { accepted, refused });
}

/** @param {DaemonStatus["destinations"]} destinations */
export function showTargets(destinations) {
  showTable("targets", destinations, ({ name }) => name, {
    name: ({ name }) => name,
    to_send: ({ to_send }) => String(to_send),
    unconfirmed: ({ unconfirmed }) => String(unconfirmed),
    dead: ({ dead }) => String(dead),
    trouble: ({ trouble }) => trouble ?? "–",
  });
}

/** @param {Machine} machine */
export function showMachine({ version, started, engine, disk, certificates }) {
  const [{ shadow }, { room }] = [engine, disk];
  const quota = room?.quota_bytes ? say("administration.quota", { quota: size(room.quota_bytes) }) : "";
  const keep = room?.keep_days ? say("administration.kept_days", { days: room.keep_days }) : say("administration.kept_for_ever");
  /** @type {[string, string][]} */
  const lines = [
    ["version", say("administration.running", { version, since: clock(started), time: duration(Date.now() - Date.parse(started)) })],
    ["engine", engine.gpu_failure ? `${engine.serves}\n${say("administration.gpu_failed", { reason: engine.gpu_failure })}` : engine.serves],
    ["model", `${engine.model}\n${engine.source}`],
    ["next_model", engine.next ?? ""],
    ["shadow", shadow ? `${shadow.package}\n${say(shadow.works ? "administration.shadow_works" : "administration.shadow_ended")}` : say("administration.no_shadow")],
    ["spool", [say("administration.used", { used: size(room?.used_bytes) }), quota, keep].filter(Boolean).join(", ")],
    ["disk", `${say("administration.free", { free: size(room?.free_bytes), least: size(room?.min_free_bytes) })}\n${disk.folder}`],
    ["database", size(disk.database_bytes)],
    ["certificates", certificates.map(certificate).join("\n") || say("administration.no_certificate")],
  ];
  const written = lines.filter(([, text]) => text !== "").flatMap(([name, text]) => [
    { key: `${name}-name`, tag: /** @type {const} */ ("dt"), text: say(`administration.machine_${name}`) },
    { key: name, tag: /** @type {const} */ ("dd"), text },
  ]);
  matchChildren(within(byId("machine"), "dl"), written, ({ key }) => key, ({ tag }) => make(tag), (node, { text }) => setText(node, text));
}

/** @param {Machine["certificates"][number]} certificate */
function certificate({ of, file, valid_until }) {
  const days = valid_until === null ? null : Math.floor((Date.parse(valid_until) - Date.now()) / DAY_MS);
  if (days === null) return say("administration.certificate_unknown", { of, file });
  const words = { of, file, until: clock(valid_until), days };
  return say(days < SOON_DAYS ? "administration.certificate_soon" : "administration.certificate", words);
}
