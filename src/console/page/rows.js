// A table of the page of administration. Its first column names what a row is about.

import { byId, make, matchChildren, setAttribute, setHidden, setText, within } from "./dom.js";
import { say } from "./text.js";

/**
 * Writes the table of a section, which is made at the first time. Rows and their buttons stay as long as what they are about.
 * @template T
 * @param {string} id of the section @param {T[]} items @param {(item: T) => string} keyOf
 * @param {Record<string, (item: T) => string>} columns by the names of their titles
 * @param {((item: T) => HTMLElement) | null} action @param {(item: T) => boolean} isOff
 */
export function showTable(id, items, keyOf, columns, action = null, isOff = () => false) {
  const section = byId(id);
  if (!section.querySelector("table")) section.append(makeTable(section, Object.keys(columns), action !== null));
  const create = (/** @type {T} */ item) => {
    const row = make("tr");
    Object.keys(columns).forEach((_, place) => row.append(make(place === 0 ? "th" : "td")));
    within(row, "th").setAttribute("scope", "row");
    if (action) {
      const cell = make("td", "actions");
      cell.append(action(item));
      row.append(cell);
    }
    return row;
  };
  matchChildren(within(section, "tbody"), items, keyOf, create, (row, item) => {
    Object.values(columns).forEach((text, place) => setText(row.children[place], text(item)));
    setAttribute(row, "data-off", isOff(item));
  });
  setHidden(within(section, ".wide"), items.length === 0);
  setHidden(within(section, ".none"), items.length > 0);
}

/** @param {HTMLElement} section @param {string[]} titles @param {boolean} hasActions */
function makeTable(section, titles, hasActions) {
  const [parts, around, table, head] = [document.createDocumentFragment(), make("div", "wide"), make("table"), make("tr")];
  // It may be wider than the window: then keys move it.
  around.tabIndex = 0;
  setAttribute(around, "role", "region");
  setAttribute(around, "aria-label", within(section, "h2").textContent ?? "");
  for (const title of titles) {
    const cell = make("th", "", say(`administration.${title}`));
    cell.scope = "col";
    head.append(cell);
  }
  if (hasActions) head.append(make("td"));
  table.createTHead().append(head);
  table.createTBody();
  around.append(table);
  parts.append(around, make("p", "none", say("administration.none")));
  return parts;
}
