// What has not arrived where it is to be delivered, and what a person may decide about it.

import { decideDeliveries } from "./daemon.js";
import { byId, make, matchChildren, setAttribute, setHidden, setText, within } from "./dom.js";
import { joined, problemOf, say, setPhrase } from "./text.js";

/** @typedef {DaemonStatus["destinations"][number]} Destination */

/** A second press within this time gives up what the first press named. */
const SURE_MS = 6_000;

let sure = { name: "", until: 0 };

export function startDeliveries() {
  byId("show-deliveries").addEventListener("click", () => byId("deliveries", HTMLDialogElement).showModal());
}

/** @param {Destination[]} destinations */
export function showDeliveries(destinations) {
  const undelivered = destinations.reduce((sum, { to_send, dead }) => sum + to_send + dead, 0);
  const button = byId("show-deliveries");
  setHidden(button, destinations.length === 0);
  setText(button, undelivered === 0 ? say("deliveries.title") : say("deliveries.waiting", { count: undelivered }));
  setAttribute(button, "data-dead", destinations.some(({ dead }) => dead > 0));
  matchChildren(byId("destinations"), destinations, ({ name }) => name, makeDestination, writeDestination);
}

/** @param {Destination} destination */
function makeDestination({ name }) {
  const item = make("li");
  const again = make("button", "again", say("deliveries.again"));
  const drop = make("button", "drop", say("deliveries.drop"));
  again.type = drop.type = "button";
  again.addEventListener("click", () => decide("retry", name));
  drop.addEventListener("click", () => giveUp(drop, name));
  item.append(make("b", "", name), make("p", "state"), again, drop);
  return item;
}

/** @param {Element} item @param {Destination} destination */
function writeDestination(item, { name, to_send, unconfirmed, dead, trouble }) {
  const counts = joined("comma", [
    to_send > 0 && say("deliveries.to_send", { count: to_send }),
    unconfirmed > 0 && say("deliveries.unconfirmed", { count: unconfirmed }),
    dead > 0 && say("deliveries.dead", { count: dead }),
  ]);
  const state = counts || say("deliveries.arrived");
  if (trouble) setPhrase(within(item, ".state"), { text: "deliveries.trouble", parameters: { state, trouble: { english: trouble } } });
  else setText(within(item, ".state"), state);
  setHidden(within(item, ".again"), dead === 0);
  setHidden(within(item, ".drop"), to_send + dead === 0);
  const asked = sure.name === name && performance.now() < sure.until;
  setText(within(item, ".drop"), say(asked ? "deliveries.sure" : "deliveries.drop"));
}

/** @param {HTMLElement} button @param {string} name */
function giveUp(button, name) {
  if (sure.name === name && performance.now() < sure.until) {
    sure = { name: "", until: 0 };
    decide("drop", name);
    return;
  }
  sure = { name, until: performance.now() + SURE_MS };
  setText(button, say("deliveries.sure"));
}

/** @param {"retry" | "drop"} what @param {string} destination */
async function decide(what, destination) {
  const problem = byId("deliveries-problem");
  try {
    await decideDeliveries(what, destination);
    setHidden(problem, true);
  } catch (error) {
    setPhrase(problem, { text: "deliveries.not_done", parameters: { problem: problemOf(error) } });
    setHidden(problem, false);
  }
}
