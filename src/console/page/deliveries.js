// What has not arrived where it is to be delivered, and what a person may decide about it.

import { decideDeliveries } from "./daemon.js";
import { byId, make, matchChildren, setAttribute, setHidden, setText, within } from "./dom.js";

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
  setText(button, undelivered === 0 ? "Deliveries" : `Deliveries: ${undelivered} waiting`);
  setAttribute(button, "data-dead", destinations.some(({ dead }) => dead > 0));
  matchChildren(byId("destinations"), destinations, ({ name }) => name, makeDestination, writeDestination);
}

/** @param {Destination} destination */
function makeDestination({ name }) {
  const item = make("li");
  const again = make("button", "again", "Send again");
  const drop = make("button", "drop", "Give up");
  again.type = drop.type = "button";
  again.addEventListener("click", () => decide("retry", name));
  drop.addEventListener("click", () => giveUp(drop, name));
  item.append(make("b", "", name), make("p", "state"), again, drop);
  return item;
}

/** @param {Element} item @param {Destination} destination */
function writeDestination(item, { name, to_send, unconfirmed, dead, trouble }) {
  const counts = [
    to_send && `${to_send} to be sent`,
    unconfirmed && `${unconfirmed} stored, not confirmed`,
    dead && `${dead} refused or unreadable`,
  ].filter(Boolean);
  const state = counts.length === 0 ? "everything has arrived" : counts.join(", ");
  setText(within(item, ".state"), trouble ? `${state}\n${trouble}` : state);
  setHidden(within(item, ".again"), dead === 0);
  setHidden(within(item, ".drop"), to_send + dead === 0);
  const asked = sure.name === name && performance.now() < sure.until;
  setText(within(item, ".drop"), asked ? "Press again to give up" : "Give up");
}

/** @param {HTMLElement} button @param {string} name */
function giveUp(button, name) {
  if (sure.name === name && performance.now() < sure.until) {
    sure = { name: "", until: 0 };
    decide("drop", name);
    return;
  }
  sure = { name, until: performance.now() + SURE_MS };
  setText(button, "Press again to give up");
}

/** @param {"retry" | "drop"} what @param {string} destination */
async function decide(what, destination) {
  const problem = byId("deliveries-problem");
  try {
    await decideDeliveries(what, destination);
    setHidden(problem, true);
  } catch (error) {
    setText(problem, `This was not done: ${/** @type {Error} */ (error).message}`);
    setHidden(problem, false);
  }
}
