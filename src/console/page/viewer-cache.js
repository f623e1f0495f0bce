// The slices' Hounsfield units in this browser: those around the one that is looked at are loaded before they are wanted, and those
// that were not wanted for longest go where they would be too many.

import { refusal } from "./daemon.js";

/** As much as some five hundred slices of 512 by 512 take. */
const MOST_BYTES = 256 << 20;
/** Browsers open six connections: one has the events, and the rest of the page wants some. */
const LOADS_AT_ONCE = 3;
const LOAD_LIMIT_MS = 10_000;

/** @typedef {(address: string, signal: AbortSignal) => Promise<Uint16Array>} Load */

export class SliceCache {
  /** @type {Load} */ #load;
  /** @type {() => void} */ #changed;
  #mostBytes;
  /** Those that were not wanted for longest come first. @type {Map<string, Uint16Array>} */
  #kept = new Map();
  #bytes = 0;
  /** @type {Map<string, AbortController>} */ #loading = new Map();
  /** @type {Map<string, Error>} */ #failed = new Map();
  /** @type {string[]} */ #wanted = [];

  /** @param {() => void} changed something has come, or failed to */
  constructor(changed, load = loadSlice, mostBytes = MOST_BYTES) {
    this.#changed = changed;
    this.#load = load;
    this.#mostBytes = mostBytes;
  }

  get bytes() {
    return this.#bytes;
  }

  /** @param {string} address */
  get(address) {
    return this.#kept.get(address) ?? null;
  }

  /** Why it could not be loaded; null where nothing is known of that. @param {string} address */
  failure(address) {
    return this.#failed.get(address) ?? null;
  }

  /** Lets what has failed be tried again. */
  retry() {
    this.#failed.clear();
  }

  /** How many slices of a size fit. @param {number} pixels */
  room(pixels) {
    return Math.max(1, Math.floor(this.#mostBytes / (2 * pixels)));
  }

  /** What is wanted now, the most urgent first: nothing else is loaded any more. @param {string[]} addresses */
  want(addresses) {
    this.#wanted = addresses;
    const wanted = new Set(addresses);
    for (const [address, abort] of this.#loading) {
      if (!wanted.has(address)) abort.abort();
    }
    for (const address of [...addresses].reverse()) this.#renew(address);
    this.#loadNext();
  }

  /** @param {string} address */
  #renew(address) {
    const values = this.#kept.get(address);
    if (!values) return;
    this.#kept.delete(address);
    this.#kept.set(address, values);
  }

  #loadNext() {
    for (const address of this.#wanted) {
      if (this.#loading.size >= LOADS_AT_ONCE) return;
      if (!this.#kept.has(address) && !this.#loading.has(address) && !this.#failed.has(address)) this.#loadOne(address);
    }
  }

  /** @param {string} address */
  async #loadOne(address) {
    const abort = new AbortController();
    this.#loading.set(address, abort);
    try {
      this.#keep(address, await this.#load(address, abort.signal));
    } catch (error) {
      if (!abort.signal.aborted) this.#failed.set(address, error instanceof Error ? error : new Error(String(error)));
    }
    this.#loading.delete(address);
    this.#changed();
    this.#loadNext();
  }

  /** @param {string} address @param {Uint16Array} values */
  #keep(address, values) {
    this.#kept.set(address, values);
    this.#bytes += values.byteLength;
    // What came is not what was wanted most for sure.
    for (const wanted of [...this.#wanted].reverse()) this.#renew(wanted);
    for (const [oldest, { byteLength }] of this.#kept) {
      if (this.#bytes <= this.#mostBytes || this.#kept.size === 1) return;
      this.#kept.delete(oldest);
      this.#bytes -= byteLength;
    }
  }
}

/** @type {Load} */
async function loadSlice(address, signal) {
  const response = await fetch(address, { signal: AbortSignal.any([signal, AbortSignal.timeout(LOAD_LIMIT_MS)]) });
  if (!response.ok) {
    throw refusal(response.status, await response.json().catch(() => null));
  }
  return new Uint16Array(await response.arrayBuffer());
}

/** Who moves on wants what lies ahead: so many of those for each one behind. */
const AHEAD_FOR_BEHIND = 3;

/**
 * The numbers of the slices to have around one, the most urgent first.
 * @param {number} count of all slices
 * @param {number} place of the one that is looked at
 * @param {number} direction in which it moves: 1 or -1
 * @param {number} most of them
 */
export function around(count, place, direction, most) {
  /** @type {number[]} */
  const order = [];
  const take = (/** @type {number} */ at) => {
    if (at >= 0 && at < count && order.length < most) order.push(at);
  };
  if (place >= 0) take(place);
  let ahead = 1;
  for (let behind = 1; behind < count; behind += 1) {
    for (const end = ahead + AHEAD_FOR_BEHIND; ahead < end; ahead += 1) take(place + direction * ahead);
    take(place - direction * behind);
  }
  return order;
}
