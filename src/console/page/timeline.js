// From the first slice to the last delivery: what happened when, and what became of each object of the result.

import { getDeliveries } from "./daemon.js";
import { byId, make, matchChildren, setAttribute, setHidden, setText } from "./dom.js";
import { phraseWords, say, setPhrase } from "./text.js";
import { clock, quantity, twoDigits } from "./words.js";

/** @typedef {{ at: string, what: string, kind: string }} Moment */

const ARRIVED = ["stored", "commitment_asked", "done", "done_unconfirmed"];
/** States that nothing changes any more unless somebody decides so. */
const SETTLED = ["done", "done_unconfirmed", "superseded", "dropped", "dead"];

// --- words -------------------------------------------------------------------------------------------------------------

/**
 * What happened, in its order.
 * @param {Exam} exam @param {Report | null} report @param {Delivery[]} deliveries
 * @returns {Moment[]}
 */
export function momentsOf(exam, report, deliveries) {
  const { slices } = exam;
  /** @type {Moment[]} */
  const moments = [{ at: exam.started, what: say("timeline.first_slice"), kind: "slice" }];
  for (const flag of exam.flags) {
    for (const { at, event, phrase } of flag.life) {
      const told = { subject: phraseWords(flag.phrases.subject), event: phraseWords(phrase) };
      const by = event === "acknowledged" && flag.acknowledged?.by;
      const what = by ? say("timeline.flag_by", { ...told, by }) : say("timeline.flag", told);
      moments.push({ at, what, kind: event === "acknowledged" ? "seen" : "flag" });
    }
  }
  if (exam.last_slice) {
    const last = exam.state === "receiving" ? "timeline.latest_slice" : "timeline.last_slice";
    moments.push({ at: exam.last_slice, what: say(last, { count: slices.received }), kind: "slice" });
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
  if (verdict === "not_analysed") return say("timeline.no_verdict");
  return say(revised ? "timeline.amended" : "timeline.verdict");
}

/** When all that the newest verdict became had arrived at a destination. @param {Delivery[]} deliveries @returns {Moment[]} */
function arrivalsOf(deliveries) {
  const objects = newest(deliveries).filter(({ kind }) => kind !== "notification");
  const destinations = [...new Set(objects.map(({ destination }) => destination))];
  return destinations.flatMap((destination) => {
    const there = objects.filter((delivery) => delivery.destination === destination);
    if (!there.every(({ state }) => ARRIVED.includes(state))) return [];
    const at = there.map(({ changed }) => changed).reduce((one, other) => (Date.parse(other) > Date.parse(one) ? other : one));
    const count = there.reduce((sum, delivery) => sum + delivery.count, 0);
    return [{ at, what: say("timeline.delivered", { count, destination }), kind: "delivered" }];
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
  if (seconds < 60) return say("timeline.seconds", { seconds: quantity(seconds, seconds < 10 ? 1 : 0) });
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return say("timeline.minutes", { minutes, seconds: twoDigits(Math.floor(seconds % 60)) });
  return say("timeline.hours", { hours: Math.floor(minutes / 60), minutes: twoDigits(minutes % 60) });
}

/** @param {Delivery} delivery */
export function objectWords({ kind, count }) {
  const name = say(`delivery_kind.${kind}`);
  return count === 1 ? name : say("timeline.objects", { kind: name, count });
}

/** The reason is as the destination gave it. @param {Delivery} delivery @returns {Phrase} */
export function statePhrase({ state, reason }) {
  const phrase = { text: `delivery_state.${state}` };
  return reason ? { text: "timeline.with_reason", parameters: { state: phrase, reason: { english: reason } } } : phrase;
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
    const [destination, object, state, since] = row.children;
    setText(destination, delivery.destination);
    setText(object, objectWords(delivery));
    setPhrase(state, statePhrase(delivery));
    setText(since, clock(delivery.changed));
  });
}

function makeDelivered() {
  const row = make("tr");
  const head = make("th");
  head.setAttribute("scope", "row");
  row.append(head, make("td"), make("td"), make("td"));
  return row;
}
