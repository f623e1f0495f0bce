// The viewer: one slice at full resolution with the outlines of its slab, on a canvas of our own. Picture, outlines and words are
// always of the same slice of the same exam: they change together, when the slice has come, and another exam's goes at once.

import { byId, setAttribute, setText } from "./dom.js";
import { recall, remember } from "./remember.js";
import { shows } from "./lesions.js";
import { problemOf, say, setPhrase } from "./text.js";
import { SliceCache, around } from "./viewer-cache.js";
import { Painter } from "./viewer-canvas.js";
import { movedBy, placeOf, sidesOf, toSlice, wholeOf, zoomedAt } from "./viewer-geometry.js";
import { listen } from "./viewer-gestures.js";
import { NO_MEASUREMENT, PRESETS, dragged, lookUpTable, presetOf } from "./viewer-window.js";
import { percent, quantity } from "./words.js";

/** While slices come the daemon has other things to do than to read all of them for a viewer. */
const PRELOADED_WHILE_RECEIVING = 16;
/** A canvas has as many pixels as the screen, up to this many for each CSS pixel. */
const FINEST_SCREEN = 2;
const KEY_ZOOM = 1.25;
const KEY_MOVE_PX = 40;
const DRAG = "tableside.drag";

/** @typedef {import("./viewer-geometry.js").View} View */
/** @typedef {import("./viewer-geometry.js").Point} Point */
/**
 * @typedef {object} Shown
 * @property {string} key of the exam
 * @property {Slice} slice
 * @property {Grid} grid
 * @property {Slab | null} slab that it was summed into
 * @property {number} place of the slice among the others
 * @property {Slice[]} slices
 */
/** @typedef {{ centre_mm: number[], z_mm: number[] }} Marked a lesion */

export class Viewer {
  #canvas = byId("picture", HTMLCanvasElement);
  #frame = byId("frame");
  #painter = new Painter(this.#canvas);
  #cache = new SliceCache(() => this.#arrived());
  /** The exam that is shown. */ #key = "";
  /** @type {Shown | null} */ #wanted = null;
  /** @type {Shown | null} */ #drawn = null;
  /** Which way the user moves. */ #direction = 1;
  /** @type {import("./viewer-window.js").HuWindow} */
  #window = PRESETS[0];
  #table = lookUpTable(PRESETS[0]);
  /** @type {View | null} */ #view = null;
  /** Where the mouse is, on the frame. @type {Point | null} */ #point = null;
  /** @type {Marked | null} */ #marked = null;
  #soon = false;

  /** @param {import("./look.js").Look} look */
  constructor(look) {
    this.#offerPresets();
    const drag = byId("drag", HTMLSelectElement);
    drag.value = recall(DRAG) || (matchMedia("(pointer: coarse)").matches ? "slices" : "window");
    if (drag.value === "") drag.value = "window";
    drag.addEventListener("change", () => remember(DRAG, drag.value));
    listen(this.#frame, {
      drag: () => /** @type {import("./viewer-gestures.js").Drag} */ (drag.value),
      window: (right, down) => this.#useWindow(dragged(this.#window, right, down)),
      move: (right, down) => this.#change((view, grid, size) => movedBy(view, grid, size, [right, down])),
      zoom: (factor, at) => this.#change((view, grid, size) => zoomedAt(view, grid, size, factor, at)),
      slices: (steps) => look.moveBy(steps),
      point: (at) => {
        this.#point = at;
        this.#drawSoon();
      },
      whole: () => this.#change((_, grid) => wholeOf(grid)),
    });
    for (const [id, name] of [["zoom-in", "+"], ["zoom-out", "-"], ["zoom-whole", "0"], ["enlarge", "l"]]) {
      byId(id).addEventListener("click", () => this.key(name, false));
    }
    for (const id of ["show-lesion", "show-lung"]) byId(id).addEventListener("change", () => this.#drawSoon());
    for (const name of ["focus", "blur"]) this.#frame.addEventListener(name, () => this.#drawSoon());
    new ResizeObserver(() => this.#drawSoon()).observe(this.#frame);
  }

  /** `wanted` null: there is nothing to show, and `note` says why. @param {string} key of the exam @param {Shown | null} wanted @param {Phrase} note */
  show(key, wanted, note) {
    if (this.#key !== key) {
      this.#key = key;
      this.#view = null;
      this.#marked = null;
      this.#clear(note);
    }
    if (!wanted) this.#clear(note);
    const before = this.#wanted;
    if (before && wanted && before.slices === wanted.slices && before.place !== wanted.place) {
      this.#direction = Math.sign(wanted.place - before.place);
    }
    this.#wanted = wanted;
    if (!wanted) return;
    if (!this.#drawn) setText(byId("picture-note"), say("viewer.loading"));
    this.#load(wanted);
    this.#takeWanted();
  }

  /** Lets what could not be loaded be tried again. */
  retry() {
    this.#cache.retry();
    if (this.#wanted) this.#load(this.#wanted);
  }

  /** Frames a lesion on the slices that show it; null frames none. @param {Marked | null} lesion */
  mark(lesion) {
    this.#marked = lesion;
    this.#drawSoon();
  }

  /** Takes a key if it means something here; answers whether it did. @param {string} name @param {boolean} shift */
  key(name, shift) {
    const middle = (/** @type {Point} */ [width, height]) => {
      return /** @type {Point} */ ([width / 2, height / 2]);
    };
    const zoom = (/** @type {number} */ factor) => this.#change((view, grid, size) => zoomedAt(view, grid, size, factor, middle(size)));
    const move = (/** @type {number} */ right, /** @type {number} */ down) => {
      this.#change((view, grid, size) => movedBy(view, grid, size, [-right * KEY_MOVE_PX, -down * KEY_MOVE_PX]));
    };
    const preset = PRESETS.find(({ key }) => key === name);
    /** @type {Record<string, () => void>} */
    const moves = { ArrowLeft: () => move(-1, 0), ArrowRight: () => move(1, 0), ArrowUp: () => move(0, -1), ArrowDown: () => move(0, 1) };
    /** @type {Record<string, () => void>} */
    const others = {
      "+": () => zoom(KEY_ZOOM),
      "=": () => zoom(KEY_ZOOM),
      "-": () => zoom(1 / KEY_ZOOM),
      0: () => this.#change((_, grid) => wholeOf(grid)),
      l: () => this.#enlarge(),
      o: () => this.#toggleOutlines(),
    };
    const action = preset ? () => this.#useWindow(preset) : shift && Object.hasOwn(moves, name) ? moves[name] : others[name.toLowerCase()];
    if (!action || (Object.hasOwn(moves, name) && !shift)) return false;
    action();
    return true;
  }

  #enlarge() {
    const large = byId("enlarge").getAttribute("aria-pressed") !== "true";
    setAttribute(byId("enlarge"), "aria-pressed", large);
    setAttribute(byId("exam"), "data-large", large);
    // The page's head stays in place when the page is scrolled, and is as high as its problems are many.
    byId("exam").style.setProperty("--head", `${byId("top").offsetHeight}px`);
    if (large) byId("view").scrollIntoView({ block: "start" });
  }

  #toggleOutlines() {
    const [lesion, lung] = [byId("show-lesion", HTMLInputElement), byId("show-lung", HTMLInputElement)];
    lung.checked = lesion.checked = !(lesion.checked || lung.checked);
    this.#drawSoon();
  }

  #offerPresets() {
    for (const button of byId("presets").querySelectorAll("button")) {
      const preset = PRESETS.find(({ key }) => key === button.dataset.preset);
      if (preset) button.addEventListener("click", () => this.#useWindow(preset));
    }
    this.#showPreset();
  }

  #showPreset() {
    const preset = presetOf(this.#window);
    for (const button of byId("presets").querySelectorAll("button")) {
      setAttribute(button, "aria-pressed", preset?.key === button.dataset.preset);
    }
    setText(byId("at-window"), say("viewer.level", { width: this.#window.width, level: quantity(this.#window.level, 0) }));
  }

  /** @param {import("./viewer-window.js").HuWindow} window */
  #useWindow(window) {
    this.#window = window;
    this.#table = lookUpTable(window);
    this.#showPreset();
    this.#drawSoon();
  }

  /** @param {(view: View, grid: Grid, size: Point) => View} change */
  #change(change) {
    if (!this.#drawn) return;
    const { grid } = this.#drawn;
    this.#view = change(this.#view ?? wholeOf(grid), grid, this.#size());
    this.#drawSoon();
  }

  /** Of the frame, CSS pixels. @returns {Point} */
  #size() {
    return [Math.max(1, this.#frame.clientWidth), Math.max(1, this.#frame.clientHeight)];
  }

  /** @param {Shown} wanted */
  #load({ slices, place, grid }) {
    const receiving = this.#frame.dataset.receiving === "true";
    const room = this.#cache.room(grid.rows * grid.columns);
    const most = Math.min(room, receiving ? PRELOADED_WHILE_RECEIVING : slices.length);
    const numbers = around(slices.length, place, this.#direction, most);
    this.#cache.want(numbers.map((number) => slices[number].hounsfield));
  }

  #arrived() {
    if (this.#wanted && this.#wanted.slice.hounsfield !== this.#drawn?.slice.hounsfield) this.#takeWanted();
  }

  /** Shows what is wanted if it is there; what is shown stays otherwise. */
  #takeWanted() {
    const wanted = this.#wanted;
    if (!wanted) return;
    const address = wanted.slice.hounsfield;
    if (this.#cache.get(address)) {
      if (this.#drawn && !areAlike(this.#drawn.grid, wanted.grid)) this.#view = null;
      const other = this.#drawn?.slice !== wanted.slice || this.#drawn?.slab !== wanted.slab || this.#drawn.slices !== wanted.slices;
      this.#drawn = wanted;
      setText(byId("picture-note"), "");
      setAttribute(this.#frame, "data-loading", false);
      if (other) this.#draw();
      return;
    }
    const failure = this.#cache.failure(address);
    if (failure) this.#clear(notShown(wanted.slice, failure));
    else setAttribute(this.#frame, "data-loading", true);
  }

  /** @param {Phrase} note */
  #clear(note) {
    setPhrase(byId("picture-note"), note);
    setAttribute(this.#frame, "data-loading", false);
    if (!this.#drawn) return;
    this.#drawn = null;
    this.#draw();
  }

  #drawSoon() {
    if (this.#soon) return;
    this.#soon = true;
    requestAnimationFrame(() => {
      this.#soon = false;
      this.#draw();
    });
  }

  #draw() {
    const finest = Math.min(FINEST_SCREEN, devicePixelRatio || 1);
    const size = this.#size();
    const [width, height] = size.map((px) => Math.round(px * finest));
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== height) this.#canvas.height = height;
    this.#painter.clear();
    const shown = this.#drawn;
    const values = shown && this.#cache.get(shown.slice.hounsfield);
    setAttribute(this.#canvas, "data-lung", shown?.slab?.lung.length ?? 0);
    setAttribute(this.#canvas, "data-lesion", shown?.slab?.lesion.length ?? 0);
    if (!shown || !values) return this.#say(null);
    const part = { view: (this.#view ??= wholeOf(shown.grid)), grid: shown.grid, size, finest };
    this.#painter.paintSlice(part, shown.slice.hounsfield, values, this.#table);
    const kinds = { lung: byId("show-lung", HTMLInputElement).checked, lesion: byId("show-lesion", HTMLInputElement).checked };
    if (shown.slab) this.#painter.drawOutlines(part, shown.slab, kinds);
    if (this.#marked && shown.slab && shows(this.#marked, shown.slice.z_mm)) {
      this.#painter.drawMark(part, shown.slab, placeOf(shown.grid, shown.slice, this.#marked.centre_mm));
    }
    if (this.#isProbedInTheMiddle()) this.#painter.drawCross(part);
    this.#say(shown);
  }

  /** Who works by keys reads Hounsfield units in the middle. */
  #isProbedInTheMiddle() {
    return this.#point === null && this.#frame.matches(":focus-visible");
  }

  /** All words beside the picture. @param {Shown | null} shown */
  #say(shown) {
    const canvas = this.#canvas;
    const sides = shown ? sidesOf(shown.grid.orientation) : { left: "", right: "", top: "", bottom: "" };
    for (const [edge, letter] of Object.entries(sides)) setText(byId(`side-${edge}`), letter);
    setAttribute(canvas, "data-sop", shown?.slice.sop_instance_uid ?? "");
    setAttribute(canvas, "data-z", shown?.slice.z_mm ?? "");
    if (!shown) {
      setAttribute(canvas, "aria-label", say("viewer.no_picture"));
      for (const id of ["caption", "at-slice", "at-point", "at-zoom"]) setText(byId(id), "");
      return;
    }
    const { slice, slices, place, slab } = shown;
    const caption = captionOf(slice, slab);
    setAttribute(canvas, "aria-label", say("viewer.slice", { place: place + 1, slices: slices.length, caption }));
    setText(byId("caption"), caption);
    const number = slice.instance_number;
    const at = number === null ? `${place + 1} / ${slices.length}` : say("viewer.image", { place: place + 1, slices: slices.length, number });
    setText(byId("at-slice"), at);
    setText(byId("at-zoom"), this.#view && this.#view.zoom > 1 ? `× ${quantity(this.#view.zoom, 1)}` : "");
    this.#sayPoint(shown);
  }

  /** Hounsfield units under the mouse, in the middle without one. @param {Shown} shown */
  #sayPoint({ slice, grid }) {
    const size = this.#size();
    const values = this.#cache.get(slice.hounsfield);
    const at = this.#isProbedInTheMiddle() ? [size[0] / 2, size[1] / 2] : this.#point;
    const view = this.#view;
    if (!at || !values || !view) return setText(byId("at-point"), "");
    const [column, row] = toSlice(view, grid, size, [at[0], at[1]]).map(Math.floor);
    const inside = column >= 0 && row >= 0 && column < grid.columns && row < grid.rows;
    const hu = inside ? (values[row * grid.columns + column] << 16) >> 16 : NO_MEASUREMENT;
    const measured = hu === NO_MEASUREMENT ? say("viewer.not_measured") : quantity(hu, 0, "HU");
    const z = quantity(slice.z_mm, 1);
    setText(byId("at-point"), inside ? `${measured} · x ${column} y ${row} z ${z}` : "");
  }
}

/** Whether a part of one slice is the same part of another. @param {Grid} one @param {Grid} other */
function areAlike(one, other) {
  const of = (/** @type {Grid} */ { rows, columns, spacing_mm }) => [rows, columns, ...spacing_mm].join();
  return of(one) === of(other);
}

/** @param {Slice} slice @param {Error} failure @returns {Phrase} */
function notShown({ z_mm: z }, failure) {
  return { text: "viewer.slice_not_shown", parameters: { z: quantity(z, 1, "mm"), problem: problemOf(failure) } };
}

/** @param {Slice} slice @param {Slab | null} slab */
function captionOf(slice, slab) {
  const z = `z ${quantity(slice.z_mm, 1, "mm")}`;
  if (!slab) return `${z} · ${say("viewer.not_judged")}`;
  const share = slab.lung_cm2 > 0 ? ` (${percent(slab.lesion_cm2 / slab.lung_cm2)})` : "";
  return [
    z,
    say("viewer.lung_area", { area: quantity(slab.lung_cm2, 0, "cm²") }),
    say("viewer.lesion_area", { area: quantity(slab.lesion_cm2, 1, "cm²") }) + share,
    say("viewer.attention", { value: quantity(slab.attention, 2) }),
    say("viewer.logit", { value: quantity(slab.logit, 2) }),
  ].join(" · ");
}
