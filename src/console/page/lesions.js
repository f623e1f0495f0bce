// The lesions as a table, tied to the viewer: a press goes to a lesion, and those on the slice that is shown stand out.

import { byId, make, matchChildren, setAttribute, setHidden, setText } from "./dom.js";
import { say } from "./text.js";
import { percent, quantity } from "./words.js";

/** More than anybody reads; the report's text has them all. */
const LISTED_LESIONS = 60;
/** A lesion reaches half a slab beyond the middle of its last one, mm. */
const BEYOND_MM = 2.5;

/** @type {((lesion: Lesion) => void) | null} */
let goTo = null;
/** @type {Lesion[]} */
let listed = [];

/** @param {(lesion: Lesion) => void} action */
export function startLesions(action) {
  goTo = action;
}

/**
 * @param {Lesion[] | null} lesions largest first; null as long as there is no report
 * @param {number | null} z of the slice that is shown, mm
 */
export function showLesions(lesions, z) {
  listed = (lesions ?? []).slice(0, LISTED_LESIONS);
  setHidden(byId("lesions"), lesions === null);
  setHidden(byId("no-lesions"), listed.length > 0);
  setHidden(byId("lesion-table"), listed.length === 0);
  const left = (lesions?.length ?? 0) - listed.length;
  setText(byId("more-lesions"), left > 0 ? say("lesions.more", { count: left }) : "");
  const numbered = listed.map((lesion, place) => ({ lesion, place }));
  matchChildren(byId("lesion-rows"), numbered, ({ place }) => place, makeRow, (row, { lesion, place }) => writeRow(row, lesion, place, z));
}

/** @param {{ place: number }} item */
function makeRow({ place }) {
  const row = make("tr");
  const head = make("th");
  head.setAttribute("scope", "row");
  const button = make("button", "", String(place + 1));
  button.setAttribute("type", "button");
  button.addEventListener("click", () => listed[place] && goTo?.(listed[place]));
  head.append(button);
  row.append(head, ...cellsOf(null).map(() => make("td")));
  // The row is a larger aim than the number.
  row.addEventListener("click", ({ target }) => {
    if (!(target instanceof HTMLButtonElement)) button.click();
  });
  return row;
}

/** @param {Element} row @param {Lesion} lesion @param {number} place @param {number | null} z */
function writeRow(row, lesion, place, z) {
  setAttribute(row, "data-shown", shows(lesion, z));
  const button = row.querySelector("button");
  if (button) setAttribute(button, "aria-label", say("lesions.go_to", { number: place + 1, where: placeWords(lesion) }));
  const cells = row.querySelectorAll("td");
  cellsOf(lesion).forEach((text, at) => setText(cells[at], text));
}

/** Whether a lesion reaches to a height. @param {{ z_mm: number[] }} lesion @param {number | null} z mm */
export function shows({ z_mm: [low, high] }, z) {
  return z !== null && z >= low - BEYOND_MM && z <= high + BEYOND_MM;
}

/** @param {{ zone: string }} lesion */
export const placeWords = ({ zone }) => say(`zone.${zone}`);

/** What stands in a row behind the number. @param {Lesion | null} lesion @returns {string[]} */
export function cellsOf(lesion) {
  return [
    lesion ? placeWords(lesion) : "",
    quantity(lesion?.volume_ml, 1),
    quantity(lesion?.largest_extent_mm, 0),
    quantity(lesion?.mean_hu, 0),
    percent(lesion?.ground_glass_share),
    percent(lesion?.consolidation_share),
    lesion ? say("lesions.range", { from: quantity(lesion.z_mm[0], 0), to: quantity(lesion.z_mm[1], 0) }) : "",
  ];
}
