// What fingers, mouse and wheel mean. The arithmetic is pure; `listen` ties it to a part of the page.

/** @typedef {import("./viewer-geometry.js").Point} Point */
/** @typedef {"window" | "move" | "slices" | "zoom"} Drag */
/**
 * @typedef {object} Actions
 * @property {() => Drag} drag what the first button and one finger do
 * @property {(right: number, down: number) => void} window
 * @property {(right: number, down: number) => void} move
 * @property {(factor: number, at: Point) => void} zoom
 * @property {(steps: number) => void} slices positive towards the head
 * @property {(at: Point | null) => void} point the mouse is here, or nowhere
 * @property {() => void} whole the whole slice again
 */

/** One notch of a common mouse wheel; touchpads send many small steps that add up to it. */
export const WHEEL_NOTCH_PX = 60;
/** Dragged so far, the next slice shows. */
export const SLICE_PX = 8;
/** Two fingers have moved so far before it is clear what they mean. */
const MEANT_PX = 14;
const ZOOM_PX = 200;

/** Steps that add up until they are whole ones. */
export class Notches {
  #size;
  #rest = 0;

  /** @param {number} size px */
  constructor(size) {
    this.#size = size;
  }

  /** @param {number} px @returns {number} whole steps */
  add(px) {
    this.#rest += px;
    const steps = Math.trunc(this.#rest / this.#size);
    this.#rest -= steps * this.#size;
    return steps;
  }
}

/** @param {number} down px: upwards is larger */
export const zoomOfDrag = (down) => 2 ** (-down / ZOOM_PX);

/** @param {Point} one @param {Point} other */
const apart = ([x, y], [otherX, otherY]) => Math.hypot(otherX - x, otherY - y);

/** @param {Point[]} fingers @returns {Point} */
export function between([[x, y], [otherX, otherY]]) {
  return [(x + otherX) / 2, (y + otherY) / 2];
}

/**
 * What two fingers mean: "zoom" where they part or meet, "slices" where they go up or down together, null as long as that is open.
 * @param {Point[]} before @param {Point[]} now
 */
export function meantBy(before, now) {
  const parted = Math.abs(apart(now[0], now[1]) - apart(before[0], before[1]));
  const moved = apart(between(before), between(now));
  if (Math.max(parted, moved) < MEANT_PX) return null;
  return parted > moved ? "zoom" : "slices";
}

/** How much further apart the fingers are. @param {Point[]} before @param {Point[]} now */
export function pinchOf(before, now) {
  return apart(now[0], now[1]) / Math.max(1, apart(before[0], before[1]));
}

/** What a button drags. @param {{ button: number, shiftKey: boolean }} event @param {Drag} chosen @returns {Drag} */
export function dragOf({ button, shiftKey }, chosen) {
  if (button === 2) return "zoom";
  if (button === 1 || shiftKey) return "move";
  return chosen;
}

/**
 * @param {HTMLElement} part
 * @param {Actions} actions
 */
export function listen(part, actions) {
  /** @type {Map<number, Point>} */
  const fingers = new Map();
  /** @type {Drag} */
  let drag = "window";
  /** What two fingers do. @type {{ meant: "zoom" | "slices" | null, began: Point[] } | null} */
  let two = null;
  const slices = new Notches(SLICE_PX);
  const wheel = new Notches(WHEEL_NOTCH_PX);

  /** @param {MouseEvent} event @returns {Point} */
  const at = (event) => {
    const { left, top } = part.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };

  /** @param {PointerEvent} event */
  const down = (event) => {
    if (event.target instanceof HTMLButtonElement) return;
    part.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, at(event));
    drag = dragOf(event, actions.drag());
    two = fingers.size === 2 ? { meant: null, began: [...fingers.values()] } : null;
    // No scrolling by the middle button.
    if (event.button === 1) event.preventDefault();
  };

  /** @param {PointerEvent} event */
  const move = (event) => {
    const [now, before] = [at(event), fingers.get(event.pointerId)];
    if (event.pointerType === "mouse") actions.point(now);
    if (!before) return;
    const all = [...fingers.values()];
    fingers.set(event.pointerId, now);
    if (fingers.size === 2 && two) moveTwo(two, all, [...fingers.values()]);
    else if (fingers.size === 1) moveOne([now[0] - before[0], now[1] - before[1]], now);
  };

  /** @param {Point} by @param {Point} now */
  const moveOne = ([right, below], now) => {
    if (drag === "window") actions.window(right, below);
    else if (drag === "move") actions.move(right, below);
    else if (drag === "zoom") actions.zoom(zoomOfDrag(below), now);
    else actions.slices(-slices.add(below));
  };

  /** @param {{ meant: "zoom" | "slices" | null, began: Point[] }} gesture @param {Point[]} before @param {Point[]} now */
  const moveTwo = (gesture, before, now) => {
    gesture.meant ??= meantBy(gesture.began, now);
    const [[x, y], [newX, newY]] = [between(before), between(now)];
    if (gesture.meant === "slices") actions.slices(-slices.add(newY - y));
    if (gesture.meant !== "zoom") return;
    actions.move(newX - x, newY - y);
    actions.zoom(pinchOf(before, now), [newX, newY]);
  };

  /** @param {PointerEvent} event */
  const up = (event) => {
    fingers.delete(event.pointerId);
    two = null;
    if (event.pointerType !== "mouse") actions.point(fingers.size === 0 ? at(event) : null);
  };

  part.addEventListener("pointerdown", down);
  part.addEventListener("pointermove", move);
  part.addEventListener("pointerup", up);
  part.addEventListener("pointercancel", up);
  part.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && actions.point(null));
  part.addEventListener("contextmenu", (event) => event.preventDefault());
  part.addEventListener("dblclick", () => actions.whole());
  part.addEventListener("wheel", (event) => {
    event.preventDefault();
    const px = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : Math.sign(event.deltaY) * WHEEL_NOTCH_PX;
    // Two fingers on a touchpad that part or meet come as a wheel with the control key.
    if (event.ctrlKey) actions.zoom(zoomOfDrag(px), at(event));
    else actions.slices(-wheel.add(px));
  }, { passive: false });
}
