// What the viewer paints: a slice through its window, and on it the outlines of its slab, a frame and a cross.

import { boxesOf, nearestBox, outlinesToScreen, scaleOf, toScreen } from "./viewer-geometry.js";
import { paint } from "./viewer-window.js";

/** Beyond this many screen pixels a pixel of the slice is shown as what it is: a square. */
const SQUARES_FROM = 4;
/** Between a lesion and the frame that marks it. */
const MARK_PX = 6;
const COLOURS = { lung: "#5fb0e8", lesion: "#ffab40", inLesion: "#ffab4026", mark: "#ffffff" };

/** @typedef {import("./viewer-geometry.js").Point} Point */
/**
 * Which part of a slice is where on the screen.
 * @typedef {object} Part
 * @property {import("./viewer-geometry.js").View} view
 * @property {Grid} grid
 * @property {Point} size of the screen, CSS pixels
 * @property {number} finest pixels of the canvas for each CSS pixel
 */

export class Painter {
  #canvas;
  #context;
  /** The slice's own pixels, and what they were made from. */
  #sheet = document.createElement("canvas");
  #painted = { address: "", table: /** @type {Uint32Array | null} */ (null) };
  /** The outlines of a slab as paths. @type {{ slab: Slab | null, lung: Path2D, lesion: Path2D }} */
  #paths = { slab: null, lung: new Path2D(), lesion: new Path2D() };

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
  }

  clear() {
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  /** @param {Part} part @param {string} address names the values @param {Uint16Array} values @param {Uint32Array} table */
  paintSlice({ view, grid, size, finest }, address, values, table) {
    this.#paintSheet(grid, address, values, table);
    const context = this.#context;
    context.setTransform(finest, 0, 0, finest, 0, 0);
    const [left, top] = toScreen(view, grid, size, [0, 0]);
    const [acrossPx, downPx] = scaleOf(view, grid, size);
    context.imageSmoothingEnabled = acrossPx * finest < SQUARES_FROM;
    context.drawImage(this.#sheet, left, top, acrossPx * grid.columns, downPx * grid.rows);
  }

  /** @param {Grid} grid @param {string} address @param {Uint16Array} values @param {Uint32Array} table */
  #paintSheet(grid, address, values, table) {
    if (this.#painted.address === address && this.#painted.table === table) return;
    this.#painted = { address, table };
    const sheet = this.#sheet;
    if (sheet.width !== grid.columns) sheet.width = grid.columns;
    if (sheet.height !== grid.rows) sheet.height = grid.rows;
    const image = new ImageData(grid.columns, grid.rows);
    paint(values, table, new Uint32Array(image.data.buffer));
    sheet.getContext("2d")?.putImageData(image, 0, 0);
  }

  /** @param {Part} part @param {Slab} slab @param {{ lung: boolean, lesion: boolean }} kinds */
  drawOutlines({ view, grid, size }, slab, kinds) {
    if (!grid.from_plane) return;
    if (this.#paths.slab !== slab) this.#paths = { slab, lung: pathOf(slab.lung), lesion: pathOf(slab.lesion) };
    const matrix = new DOMMatrix(outlinesToScreen(view, grid, size, grid.from_plane));
    const onScreen = (/** @type {Path2D} */ outlines) => {
      const path = new Path2D();
      path.addPath(outlines, matrix);
      return path;
    };
    const context = this.#context;
    context.lineJoin = "round";
    if (kinds.lung) {
      context.setLineDash([5, 4]);
      context.lineWidth = 1.5;
      context.strokeStyle = COLOURS.lung;
      context.stroke(onScreen(this.#paths.lung));
      context.setLineDash([]);
    }
    if (kinds.lesion) {
      const lesion = onScreen(this.#paths.lesion);
      context.lineWidth = 2;
      context.strokeStyle = COLOURS.lesion;
      context.fillStyle = COLOURS.inLesion;
      context.fill(lesion, "evenodd");
      context.stroke(lesion);
    }
  }

  /** A frame about the lesion of a slab that lies nearest to a place of the slice. @param {Part} part @param {Slab} slab @param {Point} place */
  drawMark({ view, grid, size }, slab, place) {
    if (!grid.from_plane) return;
    const boxes = boxesOf(slab.lesion, outlinesToScreen(view, grid, size, grid.from_plane));
    const box = nearestBox(boxes, toScreen(view, grid, size, place));
    if (!box) return;
    const [left, top, right, bottom] = box;
    const context = this.#context;
    context.lineWidth = 1.5;
    context.strokeStyle = COLOURS.mark;
    context.setLineDash([3, 4]);
    context.strokeRect(left - MARK_PX, top - MARK_PX, right - left + 2 * MARK_PX, bottom - top + 2 * MARK_PX);
    context.setLineDash([]);
  }

  /** In the middle. @param {Part} part */
  drawCross({ size: [width, height] }) {
    const [x, y] = [width / 2, height / 2];
    const context = this.#context;
    context.lineWidth = 1;
    context.strokeStyle = COLOURS.mark;
    context.stroke(new Path2D(`M${x - 12} ${y}h8m8 0h8M${x} ${y - 12}v8m0 8v8`));
  }
}

/** @param {Outline[]} outlines */
function pathOf(outlines) {
  return new Path2D(outlines.map((points) => `M${points.map(([x, y]) => `${x} ${y}`).join("L")}Z`).join(""));
}
