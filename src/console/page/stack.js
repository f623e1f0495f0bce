// The slices of the exam that is shown, as the daemon lists them: those that are judged, and beside them each other series.

import { say } from "./text.js";

/** @typedef {{ name: string, label: string, slices: Slice[] }} Series */

/** What names the series that are judged: they are one scan, however many series it came in. */
export const JUDGED = "judged";

export class Stack {
  /** @type {string | null} */ #key = null;
  /** @type {Grid[]} */ #grids = [];
  /** @type {Series[]} */ #series = [];
  /** @type {string | null} */ #chosen = null;
  /** Why there are none. @type {Phrase | null} */
  problem = null;

  /** Forgets the slices of the exam shown before. @param {string | null} key */
  expect(key) {
    if (key === this.#key) return;
    this.#key = key;
    this.#chosen = null;
    this.problem = null;
    this.#take({ grids: [], slices: [] });
  }

  /** @param {string} key @param {SliceList} list */
  take(key, list) {
    if (key !== this.#key) return;
    this.problem = null;
    this.#take(list);
  }

  /** @param {string} key @param {Phrase} problem */
  fail(key, problem) {
    if (key === this.#key) this.problem = problem;
  }

  /** @param {SliceList} list */
  #take({ grids, slices }) {
    this.#grids = grids;
    this.#series = seriesOf(grids, slices);
  }

  get series() {
    return this.#series;
  }

  /** The series that is looked at. @returns {Series | null} */
  get shown() {
    return this.#series.find(({ name }) => name === this.#chosen) ?? this.#series[0] ?? null;
  }

  /** Its slices, z ascending. @returns {Slice[]} */
  get slices() {
    return this.shown?.slices ?? [];
  }

  /** @param {string} name */
  choose(name) {
    this.#chosen = name;
  }

  /** @param {Slice | null} slice @returns {Grid | null} */
  gridOf(slice) {
    return slice ? (this.#grids[slice.grid] ?? null) : null;
  }
}

/** @param {Grid[]} grids @param {Slice[]} slices @returns {Series[]} the judged ones first */
export function seriesOf(grids, slices) {
  /** @type {Map<string, Series>} */
  const series = new Map();
  for (const slice of slices) {
    const grid = grids[slice.grid];
    const name = grid.judged ? JUDGED : grid.series_instance_uid;
    const label = [grid.description, grid.kernel].filter(Boolean).join(", ") || say("viewer.no_series_name");
    if (!series.has(name)) series.set(name, { name, label, slices: [] });
    series.get(name)?.slices.push(slice);
  }
  // Several series that are judged as one come one after the other.
  series.get(JUDGED)?.slices.sort((one, other) => one.z_mm - other.z_mm);
  return [...series.values()].sort((one, other) => Number(other.name === JUDGED) - Number(one.name === JUDGED));
}
