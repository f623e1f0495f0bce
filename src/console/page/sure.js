// What cannot be undone is done by a second press.

import { byId, setText } from "./dom.js";

/** A second press within this time does what the first one asked about. */
const SURE_MS = 6_000;

/**
 * Has a button ask before it acts.
 * @param {HTMLButtonElement} button @param {string} text @param {string} question what it says after the first press
 * @param {() => void} act
 */
export function askOnce(button, text, question, act) {
  let timer = 0;
  const calm = () => {
    clearTimeout(timer);
    timer = 0;
    setText(button, text);
  };
  button.onclick = () => {
    const isSure = timer !== 0;
    calm();
    if (isSure) return act();
    setText(button, question);
    // Who hears the page is told what the button says now.
    setText(byId("told"), question);
    timer = setTimeout(calm, SURE_MS);
  };
  calm();
  return button;
}
