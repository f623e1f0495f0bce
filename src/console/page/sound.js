// The sound of alarms, and whether it can be heard. One tab of a browser sounds for all: twelve tabs would be twelve alarms.

import { AlarmSchedule, BURSTS, HARMONICS, SILENCE_MS, alarmsOf, envelope, gravest, length, silentFor } from "./alarms.js";
import { recall, remember } from "./remember.js";

/** @typedef {import("./alarms.js").Priority} Priority */

const WANTED = "tableside.sound";
const SILENCE = "tableside.silence";
/** The tab that has this lock sounds. */
const LOCK = "tableside.sound";
const TICK_MS = 500;
/** An output whose clock stands still for so long plays nothing. */
const STALLED_MS = 2_000;
const LOUDEST = 0.9;

/** @type {AudioContext | null} */ let context = null;
let wanted = false;
/** Whether this tab is the one that sounds. */
let speaks = false;
/** Whether some tab is. */
let isHeard = false;
let hasOutput = true;
let outputFailed = false;
/** @type {(() => void) | null} */ let letGo = null;
let isClaiming = false;
let shown = "";
let moved = { at_s: -1, since_ms: 0 };
const schedule = new AlarmSchedule();
/** @type {() => Exam[]} */ let examsNow = () => [];
let changed = () => {};

/**
 * Begins to sound the alarms of `exams()`; `always`: whatever was chosen in this browser. `told` is called when there is something else to show.
 * @param {{ exams: () => Exam[], told: () => void, always?: boolean }} options
 */
export function startSound({ exams, told, always = false }) {
  [examsNow, changed] = [exams, told];
  wanted = always || recall(WANTED) === "on";
  for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, () => wanted && wake());
  navigator.mediaDevices?.addEventListener("devicechange", lookForOutput);
  lookForOutput();
  if (wanted) wake();
  setInterval(tick, TICK_MS);
}

export const isSoundWanted = () => wanted;

/** @param {boolean} on */
export function wantSound(on) {
  wanted = on;
  remember(WANTED, on ? "on" : "off");
  if (on) testSound();
  else release();
  changed();
}

/** One burst, whatever there is to sound. */
export async function testSound() {
  await wake();
  if (context?.state === "running") renderBurst(context, "medium", context.currentTime);
}

/** Why nothing can be heard, as the key of a text; "" where it can, and where nobody wants it. */
export function soundProblem() {
  if (!wanted) return "";
  if (typeof AudioContext === "undefined") return "unsupported";
  if (!hasOutput) return "no_output";
  if (outputFailed || isStalled()) return "failed";
  return context?.state === "running" || isHeard ? "" : "blocked";
}

/** What sounds now, and for how many milliseconds it is silenced. */
export function soundState() {
  const alarms = alarmsOf(examsNow());
  return { sounding: gravest(alarms), silent_ms: silentFor(silence(), alarms, Date.now()) };
}

export function silenceSound() {
  const names = [...alarmsOf(examsNow()).keys()];
  remember(SILENCE, JSON.stringify({ until: Date.now() + SILENCE_MS, names }));
  changed();
}

export function endSilence() {
  remember(SILENCE, "");
  changed();
}

/** All tabs see what one has silenced. @returns {import("./alarms.js").Silence | null} */
function silence() {
  try {
    const { until, names } = JSON.parse(recall(SILENCE));
    return typeof until === "number" && Array.isArray(names) ? { until, names } : null;
  } catch {
    return null;
  }
}

/** Sounds what is due. Timers of a hidden page are slow: whoever hears the daemon calls this too. */
export function tick() {
  if (!wanted) return;
  watchOutput();
  const alarms = alarmsOf(examsNow());
  const silent_ms = silentFor(silence(), alarms, Date.now());
  const isSilent = silent_ms > 0;
  // What broke a silence ends it for all: the alarms that it was for sound again too.
  if (!isSilent && recall(SILENCE)) remember(SILENCE, "");
  // As long as no tab sounds, a burst stays due.
  const burst = speaks || isHeard ? schedule.next(alarms, isSilent, performance.now() / 1000) : null;
  if (burst && speaks && context?.state === "running") renderBurst(context, burst, context.currentTime);
  const shows = [gravest(alarms), Math.ceil(silent_ms / 1000), soundProblem()].join(" ");
  if (shows !== shown) changed();
  shown = shows;
}

function watchOutput() {
  if (context?.state !== "running") {
    release();
  } else {
    if (context.currentTime !== moved.at_s) moved = { at_s: context.currentTime, since_ms: performance.now() };
    if (isStalled() || outputFailed) release();
    else claim();
  }
  navigator.locks?.query().then(({ held = [] }) => (isHeard = held.some(({ name }) => name === LOCK)), () => (isHeard = false));
}

const isStalled = () =>
  context?.state === "running" && context.currentTime === moved.at_s && performance.now() - moved.since_ms > STALLED_MS;

/** Browsers let a page sound only after a gesture, unless they are told otherwise. */
async function wake() {
  if (typeof AudioContext === "undefined") return;
  if (context?.state === "closed" || outputFailed || isStalled()) {
    context?.close().catch(() => {});
    context = null;
  }
  if (context === null) {
    context = new AudioContext();
    outputFailed = false;
    moved = { at_s: -1, since_ms: 0 };
    context.addEventListener("error", () => (outputFailed = true));
    context.addEventListener("statechange", tick);
  }
  // Without a gesture this waits until there is one.
  if (context.state !== "running") context.resume().then(tick, tick);
  if (context.state !== "running" && navigator.userActivation?.isActive) await context.resume().catch(() => {});
}

/** Where the browser has no locks (without encryption, from elsewhere), each tab sounds. */
function claim() {
  if (!navigator.locks) speaks = true;
  if (speaks || isClaiming) return;
  isClaiming = true;
  const hold = () =>
    new Promise((/** @type {(value: void) => void} */ done) => {
      isClaiming = false;
      // It may have come when nothing can be heard here any more.
      if (!wanted || context?.state !== "running") return done();
      speaks = true;
      letGo = done;
      tick();
    });
  navigator.locks.request(LOCK, hold).catch(() => (isClaiming = false));
}

function release() {
  speaks = false;
  letGo?.();
  letGo = null;
}

/** Chromium lists what it can play on; others do not say. */
async function lookForOutput() {
  if (!navigator.mediaDevices || !("setSinkId" in (globalThis.AudioContext?.prototype ?? {}))) return;
  const devices = await navigator.mediaDevices.enumerateDevices().catch(() => null);
  hasOutput = devices === null || devices.some(({ kind }) => kind === "audiooutput");
  changed();
}

/** @param {BaseAudioContext} into @param {Priority} priority @param {number} at_s */
export function renderBurst(into, priority, at_s) {
  const amplitudes = [0, ...HARMONICS];
  const sines = new Float32Array(amplitudes);
  const wave = into.createPeriodicWave(new Float32Array(sines.length), sines, { disableNormalization: true });
  const tone = new OscillatorNode(into, { frequency: BURSTS[priority].hertz, periodicWave: wave });
  const loudness = new GainNode(into, { gain: 0 });
  // All harmonics together never clip.
  const most = LOUDEST / HARMONICS.reduce((sum, amplitude) => sum + amplitude, 0);
  for (const [seconds, gain] of envelope(priority)) {
    if (gain === 0 && seconds === 0) loudness.gain.setValueAtTime(0, at_s);
    else loudness.gain.linearRampToValueAtTime(gain * most, at_s + seconds);
  }
  tone.connect(loudness).connect(into.destination);
  tone.start(at_s);
  tone.stop(at_s + length(priority));
}
