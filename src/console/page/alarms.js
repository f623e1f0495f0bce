// Which alarm sounds, and when. Pure: what exams say and the time go in, bursts come out; `sound.js` makes them heard.
//
// The figures are those of IEC 60601-1-8, tables 3 and 4 (docs/table.md): a burst of medium priority has three pulses, one of low
// priority two. Harmonics carry the sound where a loudspeaker is small or a room is noisy.

import { isAcknowledged, statements } from "./verdict.js";

/** @typedef {"medium" | "low"} Priority */

/** Pulses, their fundamental, and the silence between two bursts. @type {Record<Priority, { pulses: number, hertz: number, between_s: number }>} */
export const BURSTS = {
  medium: { pulses: 3, hertz: 523.25, between_s: 5 },
  low: { pulses: 2, hertz: 392, between_s: 20 },
};
/** From nine tenths of the amplitude to nine tenths: how long a pulse lasts, and how long it is silent before the next. */
const PULSE_S = 0.18;
const SPACING_S = 0.18;
/** From a tenth of the amplitude to nine tenths, and back. */
const RISE_S = 0.027;
const RAMP_S = RISE_S / 0.8;
/** Amplitudes of the fundamental and its harmonics. */
export const HARMONICS = [1, 0.8, 0.7, 0.6, 0.5];

/** How loud a burst is, piece by piece: seconds from its beginning, and a gain from 0 to 1, with a straight line between two. @param {Priority} priority */
export function envelope(priority) {
  const plateau = PULSE_S - 0.2 * RAMP_S;
  return Array.from({ length: BURSTS[priority].pulses }, (_, pulse) => {
    const start = pulse * (PULSE_S + SPACING_S);
    return [[start, 0], [start + RAMP_S, 1], [start + RAMP_S + plateau, 1], [start + 2 * RAMP_S + plateau, 0]];
  }).flat();
}

/** @param {Priority} priority */
export const length = (priority) => envelope(priority).at(-1)?.[0] ?? 0;

/** All that sounds, by name. What gets worse has another name, as what is new has. @param {Exam[]} exams @returns {Map<string, Priority>} */
export function alarmsOf(exams) {
  /** @type {Map<string, Priority>} */
  const alarms = new Map();
  for (const exam of exams) {
    for (const statement of statements(exam)) {
      if (statement.alarm === "none" || isAcknowledged(statement, exam)) continue;
      alarms.set(`${exam.key}/${statement.flag}/${statement.code}`, statement.alarm);
    }
  }
  return alarms;
}

/** @param {Map<string, Priority>} alarms @returns {Priority | null} */
export function gravest(alarms) {
  const priorities = [...alarms.values()];
  return priorities.includes("medium") ? "medium" : (priorities[0] ?? null);
}

export const SILENCE_MS = 120_000;

/** What somebody has silenced, and until when (milliseconds since 1970). @typedef {{ until: number, names: string[] }} Silence */

/** Milliseconds that a silence still lasts: 0 once something sounds that was not there when it began. @param {Silence | null} silence @param {Map<string, Priority>} alarms @param {number} now_ms */
export function silentFor(silence, alarms, now_ms) {
  const left = (silence?.until ?? 0) - now_ms;
  const isKnown = (/** @type {string} */ name) => silence?.names.includes(name);
  // One that lasts for longer than any can was made by another clock.
  return left > 0 && left <= SILENCE_MS && [...alarms.keys()].every(isKnown) ? left : 0;
}

/** When each burst is due: at once for a new alarm, then again and again until nothing sounds any more. */
export class AlarmSchedule {
  /** @type {Set<string>} */ #known = new Set();
  #due_s = 0;

  /** The burst that is to begin now. @param {Map<string, Priority>} alarms @param {boolean} isSilent @param {number} now_s @returns {Priority | null} */
  next(alarms, isSilent, now_s) {
    const isNew = [...alarms.keys()].some((name) => !this.#known.has(name));
    this.#known = new Set(alarms.keys());
    const priority = gravest(alarms);
    if (priority === null || isSilent || (!isNew && now_s < this.#due_s)) return null;
    this.#due_s = now_s + length(priority) + BURSTS[priority].between_s;
    return priority;
  }
}
