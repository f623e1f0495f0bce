// The scanners that send, the destinations, the machine itself.

import { byId, make, matchChildren, setText, within } from "./dom.js";
import { showTable, words } from "./parts.js";
import { clock } from "./words.js";

const UNITS = ["KiB", "MiB", "GiB", "TiB"];

/** "1.5 GiB" @param {number | null | undefined} bytes */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  let [value, unit] = [bytes / 1024, 0];
  while (value >= 1024 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${value.toFixed(value < 10 ? 1 : 0)} ${UNITS[unit]}`;
}

/** @param {{ scanners: SeenScanner[] }} answer */
export function showScanners({ scanners }) {
  // A row for each address; the first of a scanner says what is known of it altogether.
  const rows = scanners.flatMap((scanner) =>
    (scanner.addresses.length > 0 ? scanner.addresses : [null]).map((seen, place) => ({ scanner, seen, isFirst: place === 0 })),
  );
  const isListed = (/** @type {boolean | null} */ listed) => words(listed === null ? "anybody" : listed ? "yes" : "no");
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
function withRefused(accepted = 0, refused = 0) {
  return refused === 0 ? String(accepted) : words("and_refused", { accepted, refused });
}

/** @param {DaemonStatus["destinations"]} destinations */
export function showDestinations(destinations) {
  showTable("destinations", destinations, ({ name }) => name, {
    name: ({ name }) => name,
    to_send: ({ to_send }) => String(to_send),
    unconfirmed: ({ unconfirmed }) => String(unconfirmed),
    dead: ({ dead }) => String(dead),
    trouble: ({ trouble }) => trouble ?? "–",
  });
}

/** @param {Machine} machine */
export function showMachine({ version, started, engine, disk, certificates }) {
  const [{ serves, gpu_failure, model, source, next, shadow }, { room }] = [engine, disk];
  const keep = room?.keep_days ? words("kept_days", { days: room.keep_days }) : words("kept_for_ever");
  const lines = {
    version: words("running", { version, since: clock(started) }),
    engine: gpu_failure ? `${serves}\n${words("gpu_failed", { reason: gpu_failure })}` : serves,
    model: `${model}\n${source}`,
    next_model: next ?? "",
    shadow: shadow ? `${shadow.package}\n${words(shadow.works ? "shadow_works" : "shadow_ended")}` : "",
    spool: `${words("spool_used", { used: size(room?.used_bytes), quota: size(room?.quota_bytes) })}\n${keep}`,
    disk: `${words("free", { free: size(room?.free_bytes), least: size(room?.min_free_bytes) })}\n${disk.folder}`,
    database: size(disk.database_bytes),
    certificates: certificates.map(({ of, file, valid_until }) => words("certificate", { of, file, until: clock(valid_until) })).join("\n"),
  };
  const written = Object.entries(lines).flatMap(([name, text]) => [
    { key: name, tag: /** @type {const} */ ("dt"), text: words(`machine_${name}`) },
    { key: `${name}-is`, tag: /** @type {const} */ ("dd"), text: text || "–" },
  ]);
  matchChildren(within(byId("machine"), "dl"), written, ({ key }) => key, ({ tag }) => make(tag), (node, { text }) => setText(node, text));
}
