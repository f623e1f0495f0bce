// A sound for a new alarm flag: off until somebody turns it on, and honest about a browser that keeps it silent.

import { byId, setAttribute, setText } from "./dom.js";
import { recall, remember } from "./remember.js";
import { needsAcknowledging } from "./verdict.js";

const WANTED = "tableside.sound";
const TONES_HZ = [880, 660, 880, 660];
const TONE_S = 0.22;

/** @type {AudioContext | null} */ let context = null;
let wanted = recall(WANTED) === "on";
/** Flags already sounded, by exam, id and state: an early flag that is confirmed sounds again. */
const sounded = new Set();

export function startSound() {
  byId("sound").addEventListener("click", toggle);
  for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, () => wanted && wake());
  show();
}

function toggle() {
  wanted = !wanted;
  remember(WANTED, wanted ? "on" : "off");
  if (wanted) wake().then(play);
  show();
}

/** Browsers let a page sound only after a gesture: until then the button says so. */
async function wake() {
  context ??= new AudioContext();
  if (context.state !== "running") await context.resume();
  show();
}

function show() {
  const running = context?.state === "running";
  setAttribute(byId("sound"), "aria-pressed", wanted);
  setText(byId("sound"), !wanted ? "Sound off" : running ? "Sound on" : "Sound waits for a click");
}

/** Sounds when there is an alarm flag that was not there before. @param {Exam[]} exams */
export function soundAlarms(exams) {
  const keysOf = (/** @type {Exam} */ exam) => exam.flags.filter(needsAcknowledging).map((flag) => `${exam.key}/${flag.id}/${flag.state}`);
  const fresh = exams.flatMap(keysOf).filter((key) => !sounded.has(key));
  fresh.forEach((key) => sounded.add(key));
  if (fresh.length > 0) play();
}

function play() {
  if (!wanted || context?.state !== "running") return;
  const running = context;
  TONES_HZ.forEach((frequency, place) => tone(running, frequency, running.currentTime + place * TONE_S));
}

/** @param {AudioContext} running @param {number} frequency @param {number} start */
function tone(running, frequency, start) {
  const oscillator = new OscillatorNode(running, { frequency, type: "triangle" });
  const loudness = new GainNode(running, { gain: 0 });
  loudness.gain.linearRampToValueAtTime(0.5, start + 0.02);
  loudness.gain.setValueAtTime(0.5, start + TONE_S - 0.05);
  loudness.gain.linearRampToValueAtTime(0, start + TONE_S);
  oscillator.connect(loudness).connect(running.destination);
  oscillator.start(start);
  oscillator.stop(start + TONE_S);
}
