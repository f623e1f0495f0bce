import assert from "node:assert/strict";
import { test } from "node:test";

import { SliceCache, around } from "../../src/console/page/viewer-cache.js";

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

/** A cache that loads what `answer` lets it, and what it asked for in order. */
function cacheWith(mostBytes) {
  const asked = [];
  const waiting = new Map();
  const load = (address, signal) => {
    asked.push(address);
    return new Promise((resolve, reject) => {
      waiting.set(address, { resolve, reject });
      signal.addEventListener("abort", () => reject(new Error("aborted")));
    });
  };
  const cache = new SliceCache(() => {}, load, mostBytes);
  const answer = async (address, pixels = 4) => {
    waiting.get(address).resolve(new Uint16Array(pixels));
    await settle();
  };
  const fail = async (address) => {
    waiting.get(address).reject(new Error("gone"));
    await settle();
  };
  return { cache, asked, answer, fail };
}

test("the most urgent are loaded first, few at once, and each one once", async () => {
  const { cache, asked, answer } = cacheWith(1e6);
  cache.want(["a", "b", "c", "d", "e"]);
  assert.deepEqual(asked, ["a", "b", "c"]);
  await answer("b");
  cache.want(["a", "b", "c", "d", "e"]);
  assert.deepEqual(asked, ["a", "b", "c", "d"]);
  assert.equal(cache.get("b").length, 4);
  assert.equal(cache.get("a"), null);
});

test("what is not wanted any more is not loaded, and is no failure", async () => {
  const { cache, asked, answer } = cacheWith(1e6);
  cache.want(["a", "b", "c"]);
  cache.want(["c", "x", "y"]);
  await settle();
  assert.deepEqual(asked, ["a", "b", "c", "x", "y"]);
  assert.equal(cache.failure("a"), null);
  await answer("c");
  assert.ok(cache.get("c"));
});

test("what fails says why, and is asked for again only once somebody says so", async () => {
  const { cache, asked, fail } = cacheWith(1e6);
  cache.want(["a"]);
  await fail("a");
  cache.want(["a"]);
  assert.equal(cache.failure("a").message, "gone");
  assert.deepEqual(asked, ["a"]);
  cache.retry();
  cache.want(["a"]);
  assert.deepEqual(asked, ["a", "a"]);
});

test("memory is bounded: what was not wanted for longest goes, and what is looked at stays", async () => {
  const { cache, answer } = cacheWith(32);
  cache.want(["a", "b", "c"]);
  for (const address of ["a", "b", "c"]) await answer(address, 4);
  cache.want(["b", "d", "e"]);
  await answer("d", 4);
  assert.equal(cache.bytes, 32);
  await answer("e", 4);
  assert.equal(cache.bytes, 32);
  assert.ok(cache.get("b") && cache.get("d") && cache.get("e"));
  assert.equal(Number(cache.get("a") !== null) + Number(cache.get("c") !== null), 1);
  assert.equal(cache.room(8), 2);
});

test("slices are wanted from the nearest on, and more of those ahead than of those behind", () => {
  assert.deepEqual(around(9, 3, 1, 20), [3, 4, 5, 6, 2, 7, 8, 1, 0]);
  assert.deepEqual(around(9, 5, -1, 6), [5, 4, 3, 2, 6, 1]);
  assert.deepEqual(around(3, 2, 1, 10), [2, 1, 0]);
  assert.deepEqual(around(0, -1, 1, 10), []);
});
