import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { EventStream } from "../../src/console/page/stream.js";

/** @type {FakeSource[]} */
let opened = [];
let now = 0;

/** An EventSource that a test drives. */
class FakeSource extends EventTarget {
  isClosed = false;

  /** @param {string} url */
  constructor(url) {
    super();
    this.url = url;
    opened.push(this);
  }

  close() {
    this.isClosed = true;
  }

  /** @param {string} name @param {object} data @param {string} lastEventId */
  say(name, data = {}, lastEventId = "7-0") {
    this.dispatchEvent(Object.assign(new Event(name), { data: JSON.stringify(data), lastEventId }));
  }
}

/** Lets time pass, and what waits for it happen. @param {number} ms */
async function pass(ms) {
  for (const end = now + ms; now < end; ) {
    now += 50;
    mock.timers.tick(50);
    await new Promise((done) => setImmediate(done));
  }
}

/** A stream, its newest source, and the names of what it has told. */
function stream() {
  /** @type {string[]} */
  const told = [];
  new EventStream(({ name, resumed }) => told.push(name === "opened" ? `${name} ${resumed}` : name));
  return { told, source: () => opened[opened.length - 1] };
}

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
  mock.method(performance, "now", () => now);
  Object.assign(globalThis, { EventSource: FakeSource });
  opened = [];
});

test("a silence of 1.5 s is a loss, and the next stream goes on after the last event", async () => {
  const { told, source } = stream();
  source().say("begin", { resumed: false }, "7-0");
  source().say("exam", {}, "7-1");
  await pass(1_000);
  source().say("beat", {}, "7-1");
  await pass(1_400);
  assert.deepEqual(told, ["opened false", "exam", "beat"]);
  const silent = source();
  await pass(1_000);
  assert.equal(told.at(-1), "lost");
  assert.ok(silent.isClosed);
  assert.equal(source().url, "api/v1/events?after=7-1");
  source().say("begin", { resumed: true }, "7-1");
  assert.equal(told.at(-1), "opened true");
});

test("what a stream that was given up still says is not heard", async () => {
  const { told, source } = stream();
  const first = source();
  first.say("begin", { resumed: false });
  first.dispatchEvent(new Event("error"));
  await pass(600);
  first.say("exam", {}, "7-9");
  assert.deepEqual(told, ["opened false", "lost"]);
  assert.equal(source().url, "api/v1/events?after=7-0");
});

test("a watcher that lagged goes on at once", async () => {
  const { source } = stream();
  source().say("begin", { resumed: false });
  source().say("slab", {}, "7-5");
  source().say("lagged", { missed: 3 }, "7-5");
  await pass(100);
  assert.equal(opened.length, 2);
  assert.equal(source().url, "api/v1/events?after=7-5");
});
