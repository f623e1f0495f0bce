// The picture of one slab with its outlines. Picture, outlines and caption are always of the same slab of the same
// exam: they change together, when the picture has come, and another exam's picture goes at once.

import { byId, setAttribute, setText } from "./dom.js";
import { percent, quantity } from "./words.js";

/** About one exam of pictures, 256 kB each once decoded. */
const KEPT_PICTURES = 320;
const PRELOADED_EACH_WAY = 3;
const LOAD_LIMIT_MS = 8_000;

/** Decoded pictures by address; the address changes when the picture does. */
class Pictures {
  #kept = new Map();

  load(address) {
    const kept = this.#kept.get(address) ?? fetchPicture(address);
    this.#kept.delete(address);
    this.#kept.set(address, kept);
    kept.catch(() => this.#kept.delete(address));
    if (this.#kept.size > KEPT_PICTURES) this.#kept.delete(this.#kept.keys().next().value);
    return kept;
  }
}

async function fetchPicture(address) {
  const image = new Image();
  // Exams kept by earlier versions have a slash in front, which leads past a proxy's path.
  image.src = address.replace(/^\//, "");
  const tooLate = new Promise((_, reject) => setTimeout(() => reject(new Error("too late")), LOAD_LIMIT_MS));
  await Promise.race([image.decode(), tooLate]);
  return image;
}

export class Picture {
  #pictures = new Pictures();
  #wanted = null; // { key, slab, neighbours }
  #drawn = null;
  #failed = null;
  #loading = false;

  /** `slab` null: there is nothing to show, and `note` says why. */
  show(key, slab, neighbours, note) {
    const ofOtherExam = this.#drawn !== null && this.#drawn.key !== key;
    if (ofOtherExam || !slab) this.#clear(note);
    this.#wanted = slab ? { key, slab, neighbours } : null;
    if (!slab || slab === this.#failed) return;
    if (!this.#drawn) setText(byId("picture-note"), "Loading");
    setAttribute(byId("frame"), "data-loading", slab !== this.#drawn?.slab);
    this.#loadWanted();
  }

  /** The slabs to load around the one that is looked at. */
  static neighbours(slabs, slab) {
    const place = slabs.indexOf(slab);
    return slabs.slice(Math.max(0, place - PRELOADED_EACH_WAY), place + PRELOADED_EACH_WAY + 1);
  }

  /** Lets a picture that could not be loaded be tried again. */
  retry() {
    this.#failed = null;
  }

  /** One at a time, the latest wish first: a slow network shows fewer pictures, never a queue of old ones. */
  async #loadWanted() {
    if (this.#loading) return;
    this.#loading = true;
    while (this.#wanted && ![this.#drawn?.slab, this.#failed].includes(this.#wanted.slab)) {
      await this.#loadOne(this.#wanted);
    }
    this.#loading = false;
  }

  async #loadOne(view) {
    try {
      const image = await this.#pictures.load(view.slab.picture);
      if (this.#wanted?.key === view.key) this.#draw(view, image);
    } catch {
      this.#failed = view.slab;
      const place = quantity(view.slab.z_mm, 1, "mm");
      if (this.#wanted?.key === view.key) this.#clear(`The picture at z ${place} cannot be loaded`);
      return;
    }
    for (const { picture } of view.neighbours) this.#pictures.load(picture).catch(() => {});
  }

  #draw(view, image) {
    const canvas = byId("picture");
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    canvas.getContext("2d").drawImage(image, 0, 0);
    this.#drawn = view;
    setText(byId("picture-note"), "");
    setAttribute(byId("frame"), "data-loading", view.slab !== this.#wanted.slab);
    setAttribute(canvas, "data-slab", view.slab.index);
    setAttribute(canvas, "aria-label", captionOf(view.slab));
    setText(byId("caption"), captionOf(view.slab));
    drawOutlines(view.slab.lung, view.slab.lesion);
  }

  #clear(note) {
    const canvas = byId("picture");
    setText(byId("picture-note"), note);
    if (!this.#drawn) return;
    this.#drawn = null;
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    setAttribute(canvas, "data-slab", "");
    setAttribute(canvas, "aria-label", "No picture");
    setText(byId("caption"), "");
    drawOutlines([], []);
  }
}

function drawOutlines(lung, lesion) {
  setAttribute(byId("outlines"), "data-lung", lung.length);
  setAttribute(byId("outlines"), "data-lesion", lesion.length);
  setAttribute(byId("lung-outline"), "d", pathOf(lung));
  setAttribute(byId("lesion-outline"), "d", pathOf(lesion));
}

function pathOf(outlines) {
  return outlines.map((points) => `M${points.map(([x, y]) => `${x} ${y}`).join("L")}Z`).join("");
}

function captionOf(slab) {
  const share = slab.lung_cm2 > 0 ? ` (${percent(slab.lesion_cm2 / slab.lung_cm2)})` : "";
  return [
    `z ${quantity(slab.z_mm, 1, "mm")}`,
    `lung ${quantity(slab.lung_cm2, 0, "cm²")}`,
    `lesion ${quantity(slab.lesion_cm2, 1, "cm²")}${share}`,
    `attention ${quantity(slab.attention, 2)}`,
    `logit ${quantity(slab.logit, 2)}`,
  ].join(" · ");
}
