// The window: which Hounsfield units are black and which are white. Pure: numbers in, grey values out.

/** @typedef {{ level: number, width: number }} HuWindow */

/** What stands for no measurement among the Hounsfield units of a slice (`docs/interface.md`). */
export const NO_MEASUREMENT = -32768;

/**
 * By the names and numbers that radiologists use.
 * @type {(HuWindow & { name: string, key: string })[]}
 */
export const PRESETS = [
  { name: "Lung", key: "1", level: -600, width: 1500 },
  { name: "Mediastinum", key: "2", level: 40, width: 400 },
  { name: "Bone", key: "3", level: 400, width: 1800 },
];

const NARROWEST = 1;
const WIDEST = 6000;
const LEVELS = { low: -2000, high: 4000 };
/** Dragging over so many pixels changes the window by its own width. */
const DRAG_PX = 300;

/**
 * The linear window function of PS3.3 section C.11.2.1.2.1: black 0, white 255.
 * @param {HuWindow} window
 * @param {number} hu
 */
export function greyOf({ level, width }, hu) {
  if (width <= 1) return hu <= level - 0.5 ? 0 : 255;
  const share = (hu - (level - 0.5)) / (width - 1) + 0.5;
  return Math.round(255 * Math.min(1, Math.max(0, share)));
}

/**
 * The pixel (as ImageData has it, opaque) of each value, by the value's 16 bits.
 * @param {HuWindow} window
 */
export function lookUpTable(window) {
  const table = new Uint32Array(65536);
  for (let hu = NO_MEASUREMENT; hu <= 32767; hu += 1) {
    const grey = hu === NO_MEASUREMENT ? 0 : greyOf(window, hu);
    table[hu & 0xffff] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
  }
  return table;
}

/**
 * @param {Uint16Array} values the 16 bits of each Hounsfield unit
 * @param {Uint32Array} table
 * @param {Uint32Array} pixels as many
 */
export function paint(values, table, pixels) {
  for (let at = 0; at < pixels.length; at += 1) pixels[at] = table[values[at]];
}

/**
 * To the right is wider, down is higher: darker, as on a reading station.
 * @param {HuWindow} window
 * @param {number} right px
 * @param {number} down px
 * @returns {HuWindow}
 */
export function dragged({ level, width }, right, down) {
  const step = Math.max(width, 50) / DRAG_PX;
  return {
    level: Math.round(Math.min(LEVELS.high, Math.max(LEVELS.low, level + down * step))),
    width: Math.round(Math.min(WIDEST, Math.max(NARROWEST, width + right * step))),
  };
}

/** @param {HuWindow} window */
export function presetOf({ level, width }) {
  return PRESETS.find((preset) => preset.level === level && preset.width === width) ?? null;
}
