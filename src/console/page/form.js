// Dialogs with a form.

import { make, setText, within } from "./dom.js";
import { say } from "./text.js";

/** A labelled field. @template {HTMLInputElement | HTMLSelectElement} F @param {string} id @param {string} label @param {F} input @param {Partial<F>} properties */
export function field(id, label, input, properties = {}) {
  Object.assign(input, { id }, properties);
  const around = make("label", "", `${say(label)} `);
  around.append(input);
  return around;
}

/** A button that does something else than to send its form. @param {() => void} act */
export function makeButton(text = "", act = () => {}) {
  return Object.assign(make("button", "", text), { type: "button", onclick: act });
}

/**
 * A dialog whose form does something. Where that is refused, the reason is shown in it.
 * @param {string} id @param {Node[]} parts @param {string} doing what the button says @param {(dialog: HTMLDialogElement) => Promise<unknown>} act
 */
export function makeDialog(id, parts, doing, act) {
  const [dialog, form, problem, buttons] = [make("dialog"), make("form"), make("p", "problem"), make("div")];
  dialog.id = id;
  const title = make("h2");
  title.id = `${id}-title`;
  dialog.setAttribute("aria-labelledby", title.id);
  problem.setAttribute("role", "alert");
  buttons.append(make("button", "", doing), makeButton(say("administration.close"), () => dialog.close()));
  form.append(title, ...parts, problem, buttons);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    tryIn(dialog, () => act(dialog));
  });
  dialog.append(form);
  document.body.append(dialog);
  return dialog;
}

/** @param {HTMLDialogElement} dialog @param {string} title */
export function openDialog(dialog, title) {
  setText(within(dialog, "h2"), title);
  tellIn(dialog, "");
  if (!dialog.open) dialog.showModal();
}

/** @param {HTMLDialogElement} dialog @param {string} text */
export function tellIn(dialog, text) {
  setText(within(dialog, ".problem"), text);
}

/** @param {HTMLDialogElement} dialog @param {() => Promise<unknown>} act */
export async function tryIn(dialog, act) {
  tellIn(dialog, "");
  try {
    await act();
  } catch (error) {
    tellIn(dialog, say("administration.not_done", { reason: /** @type {Error} */ (error).message }));
  }
}
