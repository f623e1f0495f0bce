// The sound's controls beside the list of exams: on and off, two minutes of silence, and a bar where nothing can be heard.

import { byId, setAttribute, setHidden, setText } from "./dom.js";
import { endSilence, isSoundWanted, silenceSound, soundProblem, soundState, startSound, wantSound } from "./sound.js";
import { say } from "./text.js";

/** @param {() => Exam[]} exams @param {() => void} told */
export function startSoundControls(exams, told) {
  byId("sound").addEventListener("click", () => wantSound(!isSoundWanted()));
  byId("silence").addEventListener("click", () => pressSilence());
  startSound({ exams, told });
}

/** The words for how long something is still silent. @param {number} milliseconds */
export function remaining(milliseconds) {
  const seconds = Math.ceil(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Silences what sounds, or lets it sound again. */
export function pressSilence() {
  if (soundState().silent_ms > 0) endSilence();
  else silenceSound();
}

export function showSound() {
  const { sounding, silent_ms } = soundState();
  const problem = soundProblem();
  setAttribute(byId("sound"), "aria-pressed", isSoundWanted());
  setText(byId("sound"), say(isSoundWanted() ? "sound.on" : "sound.off"));
  setHidden(byId("silence"), !isSoundWanted() || sounding === null);
  setText(byId("silence"), silent_ms > 0 ? say("sound.silent_for", { left: remaining(silent_ms) }) : say("sound.silence"));
  setHidden(byId("no-sound"), problem === "");
  setText(byId("no-sound"), problem && `${say("sound.no_sound")}\n${say(`sound.${problem}`)}`);
}
