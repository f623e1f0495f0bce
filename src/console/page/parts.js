// Parts of pages: dialogs with a form, buttons that ask before they act, tables whose first column names what a row is about.

import { byId, make, matchChildren, setAttribute, setHidden, setText, within } from "./dom.js";
import { say } from "./text.js";

/** A second press within this time does what the first one asked about. */
const SURE_MS = 6_000;

/** @param {string} key @param {import("./text.js").Parameters} parameters */
export const words = (key, parameters = {}) => say(`administration.${key}`, parameters);

/** @template {HTMLInputElement | HTMLSelectElement} F @param {string} id @param {string} label @param {F} input @param {Partial<F>} properties */
export function field(id, label, input, properties = {}) {
  const around = make("label", "", `${words(label)} `);
  around.append(Object.assign(input, { id }, properties));
  return around;
}

/** A button that sends no form. @param {() => void} act */
export function makeButton(text = "", act = () => {}) {
  return Object.assign(make("button", "", text), { type: "button", onclick: act });
}

/** @param {HTMLButtonElement} button @param {string} text @param {string} question @param {() => void} act */
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

/** @param {string} id @param {Node[]} parts @param {string} doing what its button says @param {(dialog: HTMLDialogElement) => Promise<unknown>} act */
export function makeDialog(id, parts, doing, act) {
  const [dialog, form, title, problem, buttons] = [make("dialog"), make("form"), make("h2"), make("p", "problem"), make("div")];
  [dialog.id, title.id] = [id, `${id}-title`];
  dialog.setAttribute("aria-labelledby", title.id);
  problem.setAttribute("role", "alert");
  buttons.append(make("button", "", words(doing)), makeButton(words("close"), () => dialog.close()));
  form.append(title, ...parts, problem, buttons);
  let isSent = false;
  form.onsubmit = async (event) => {
    event.preventDefault();
    // A second press of the key is not sent a second time.
    if (isSent) return;
    isSent = true;
    await tryIn(dialog, () => act(dialog));
    isSent = false;
  };
  dialog.append(form);
  document.body.append(dialog);
  return dialog;
}

/** @param {HTMLDialogElement} dialog @param {string} title */
export function openDialog(dialog, title) {
  setText(within(dialog, "h2"), title);
  tellIn(dialog, "");
  dialog.showModal();
}

/** @param {HTMLDialogElement} dialog @param {string} text */
export const tellIn = (dialog, text) => setText(within(dialog, ".problem"), text);

/** Where it is refused, the dialog says why. @param {HTMLDialogElement} dialog @param {() => Promise<unknown>} act */
export async function tryIn(dialog, act) {
  tellIn(dialog, "");
  await act().catch(({ message }) => tellIn(dialog, words("not_done", { reason: message })));
}

/**
 * Writes a section's table, which is made at the first time. Rows and their buttons stay as long as what they are about.
 * @template T
 * @param {string} id @param {T[]} items @param {(item: T) => string} keyOf @param {Record<string, (item: T) => string>} columns by their titles
 * @param {((item: T) => HTMLElement) | null} action @param {(item: T) => boolean} isOff
 */
export function showTable(id, items, keyOf, columns, action = null, isOff = () => false) {
  const section = byId(id);
  const titles = Object.keys(columns);
  if (!section.querySelector("table")) {
    const [table, head] = [make("table"), make("tr")];
    head.append(...titles.map((title) => Object.assign(make("th", "", words(title)), { scope: "col" })));
    if (action) head.append(make("td"));
    table.createTHead().append(head);
    table.createTBody();
    section.append(table, make("p", "none", words("none")));
  }
  const create = (/** @type {T} */ item) => {
    const row = make("tr");
    row.append(...titles.map((_, place) => (place === 0 ? Object.assign(make("th"), { scope: "row" }) : make("td"))));
    if (action) row.insertCell().append(action(item));
    return row;
  };
  matchChildren(within(section, "tbody"), items, keyOf, create, (row, item) => {
    Object.values(columns).forEach((text, place) => setText(row.children[place], text(item)));
    setAttribute(row, "data-off", isOff(item));
  });
  setHidden(within(section, "table"), items.length === 0);
  setHidden(within(section, ".none"), items.length > 0);
}
