// The viewer: one slice at full resolution with the outlines of its slab, on a canvas of our own. Picture, outlines and words are
// always of the same slice of the same exam: they change together, when the slice has come, and another exam's goes at once.

import { byId, setAttribute, setText } from "./dom.js";
import { recall, remember } from "./remember.js";
import { shows } from "./lesions.js";
import { SliceCache, around } from "./viewer-cache.js";
import {
  boxesOf, movedBy, nearestBox, outlinesToScreen, placeOf, scaleOf, sidesOf, toScreen, toSlice, wholeOf, zoomedAt,
} from "./viewer-geometry.js";
import { listen } from "./viewer-gestures.js";
import { NO_MEASUREMENT, PRESETS, dragged, lookUpTable, paint, presetOf } from "./viewer-window.js";
import { percent, quantity } from "./words.js";

/** While slices come the daemon has other things to do than to read all of them for a viewer. */
const PRELOADED_WHILE_RECEIVING = 16;
/** A canvas has as many pixels as the screen, up to this many for each CSS pixel. */
const FINEST_SCREEN = 2;
/** Beyond this many screen pixels a pixel of the slice is shown as what it is: a square. */
const SQUARES_FROM = 4;
const KEY_ZOOM = 1.25;
const KEY_MOVE_PX = 40;
/** Between a lesion and the frame that marks it. */
const MARK_PX = 6;
const DRAG = "tableside.drag";

const COLOURS = { lung: "#5fb0e8", lesion: "#ffab40", inLesion: "#ffab4026", mark: "#ffffff" };

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
  #context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d", { alpha: false }));
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
  /** The slice's own pixels, and what they were made from. */
  #sheet = document.createElement("canvas");
  #painted = { address: "", table: this.#table };
  /** The outlines of a slab as paths. @type {{ slab: Slab | null, lung: Path2D, lesion: Path2D }} */
  #paths = { slab: null, lung: new Path2D(), lesion: new Path2D() };
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

  /** `wanted` null: there is nothing to show, and `note` says why. @param {string} key of the exam @param {Shown | null} wanted @param {string} note */
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
    if (!this.#drawn) setText(byId("picture-note"), "Loading");
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
    setText(byId("at-window"), `W ${this.#window.width} L ${this.#window.level}`.replace("-", "−"));
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
    if (failure) this.#clear(`The slice at z ${quantity(wanted.slice.z_mm, 1, "mm")} cannot be shown: ${failure.message}`);
    else setAttribute(this.#frame, "data-loading", true);
  }

  /** @param {string} note */
  #clear(note) {
    setText(byId("picture-note"), note);
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
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    const shown = this.#drawn;
    const values = shown && this.#cache.get(shown.slice.hounsfield);
    if (!shown || !values) return this.#say(null);
    const view = (this.#view ??= wholeOf(shown.grid));
    this.#paintSheet(shown, values);
    context.setTransform(finest, 0, 0, finest, 0, 0);
    const [left, top] = toScreen(view, shown.grid, size, [0, 0]);
    const [acrossPx, downPx] = scaleOf(view, shown.grid, size);
    context.imageSmoothingEnabled = acrossPx * finest < SQUARES_FROM;
    context.drawImage(this.#sheet, left, top, acrossPx * shown.grid.columns, downPx * shown.grid.rows);
    this.#drawOutlines(shown, view, size);
    this.#drawMark(shown, view, size);
    if (this.#isProbedInTheMiddle()) this.#drawCross(size);
    this.#say(shown);
  }

  /** @param {Shown} shown @param {Uint16Array} values */
  #paintSheet({ slice, grid }, values) {
    const painted = { address: slice.hounsfield, table: this.#table };
    if (this.#painted.address === painted.address && this.#painted.table === painted.table) return;
    this.#painted = painted;
    const sheet = this.#sheet;
    if (sheet.width !== grid.columns) sheet.width = grid.columns;
    if (sheet.height !== grid.rows) sheet.height = grid.rows;
    const image = new ImageData(grid.columns, grid.rows);
    paint(values, this.#table, new Uint32Array(image.data.buffer));
    sheet.getContext("2d")?.putImageData(image, 0, 0);
  }

  /** @param {Shown} shown @param {View} view @param {Point} size */
  #drawOutlines({ slab, grid }, view, size) {
    setAttribute(this.#canvas, "data-lung", slab?.lung.length ?? 0);
    setAttribute(this.#canvas, "data-lesion", slab?.lesion.length ?? 0);
    if (!slab || !grid.from_plane) return;
    if (this.#paths.slab !== slab) this.#paths = { slab, lung: pathOf(slab.lung), lesion: pathOf(slab.lesion) };
    const matrix = new DOMMatrix(outlinesToScreen(view, grid, size, grid.from_plane));
    const onScreen = (/** @type {Path2D} */ outlines) => {
      const path = new Path2D();
      path.addPath(outlines, matrix);
      return path;
    };
    const context = this.#context;
    context.lineJoin = "round";
    if (byId("show-lung", HTMLInputElement).checked) {
      context.setLineDash([5, 4]);
      context.lineWidth = 1.5;
      context.strokeStyle = COLOURS.lung;
      context.stroke(onScreen(this.#paths.lung));
      context.setLineDash([]);
    }
    if (byId("show-lesion", HTMLInputElement).checked) {
      const lesion = onScreen(this.#paths.lesion);
      context.lineWidth = 2;
      context.strokeStyle = COLOURS.lesion;
      context.fillStyle = COLOURS.inLesion;
      context.fill(lesion, "evenodd");
      context.stroke(lesion);
    }
  }

  /** A frame about the part of the marked lesion that the slice shows. @param {Shown} shown @param {View} view @param {Point} size */
  #drawMark({ slice, slab, grid }, view, size) {
    const marked = this.#marked;
    if (!marked || !slab || !grid.from_plane || !shows(marked, slice.z_mm)) return;
    const centre = toScreen(view, grid, size, placeOf(grid, slice, marked.centre_mm));
    const boxes = boxesOf(slab.lesion, outlinesToScreen(view, grid, size, grid.from_plane));
    const box = nearestBox(boxes, centre);
    if (!box) return;
    const [left, top, right, bottom] = box;
    const context = this.#context;
    context.lineWidth = 1.5;
    context.strokeStyle = COLOURS.mark;
    context.setLineDash([3, 4]);
    context.strokeRect(left - MARK_PX, top - MARK_PX, right - left + 2 * MARK_PX, bottom - top + 2 * MARK_PX);
    context.setLineDash([]);
  }

  /** Who works by keys reads Hounsfield units in the middle. */
  #isProbedInTheMiddle() {
    return this.#point === null && this.#frame.matches(":focus-visible");
  }

  /** @param {Point} size */
  #drawCross([width, height]) {
    const [x, y] = [width / 2, height / 2];
    const context = this.#context;
    context.lineWidth = 1;
    context.strokeStyle = COLOURS.mark;
    context.stroke(new Path2D(`M${x - 12} ${y}h8m8 0h8M${x} ${y - 12}v8m0 8v8`));
  }

  /** All words beside the picture. @param {Shown | null} shown */
  #say(shown) {
    const canvas = this.#canvas;
    const sides = shown ? sidesOf(shown.grid.orientation) : { left: "", right: "", top: "", bottom: "" };
    for (const [edge, letter] of Object.entries(sides)) setText(byId(`side-${edge}`), letter);
    setAttribute(canvas, "data-sop", shown?.slice.sop_instance_uid ?? "");
    setAttribute(canvas, "data-z", shown?.slice.z_mm ?? "");
    if (!shown) {
      setAttribute(canvas, "aria-label", "No picture");
      for (const id of ["caption", "at-slice", "at-point", "at-zoom"]) setText(byId(id), "");
      return;
    }
    const { slice, slices, place, slab } = shown;
    const caption = captionOf(slice, slab);
    setAttribute(canvas, "aria-label", `Slice ${place + 1} of ${slices.length}, ${caption}`);
    setText(byId("caption"), caption);
    const number = slice.instance_number === null ? "" : `, image ${slice.instance_number}`;
    setText(byId("at-slice"), `${place + 1} / ${slices.length}${number}`);
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
    const measured = hu === NO_MEASUREMENT ? "not measured" : quantity(hu, 0, "HU");
    const z = quantity(slice.z_mm, 1);
    setText(byId("at-point"), inside ? `${measured} · x ${column} y ${row} z ${z}` : "");
  }
}

/** Whether a part of one slice is the same part of another. @param {Grid} one @param {Grid} other */
function areAlike(one, other) {
  const of = (/** @type {Grid} */ { rows, columns, spacing_mm }) => [rows, columns, ...spacing_mm].join();
  return of(one) === of(other);
}

/** @param {Outline[]} outlines */
function pathOf(outlines) {
  return new Path2D(outlines.map((points) => `M${points.map(([x, y]) => `${x} ${y}`).join("L")}Z`).join(""));
}

/** @param {Slice} slice @param {Slab | null} slab */
function captionOf(slice, slab) {
  const z = `z ${quantity(slice.z_mm, 1, "mm")}`;
  if (!slab) return `${z} · not judged`;
  const share = slab.lung_cm2 > 0 ? ` (${percent(slab.lesion_cm2 / slab.lung_cm2)})` : "";
  return [
    z,
    `lung ${quantity(slab.lung_cm2, 0, "cm²")}`,
    `lesion ${quantity(slab.lesion_cm2, 1, "cm²")}${share}`,
    `attention ${quantity(slab.attention, 2)}`,
    `logit ${quantity(slab.logit, 2)}`,
  ].join(" · ");
}
