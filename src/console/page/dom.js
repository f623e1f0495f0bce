// The little that every view needs of the page. Text goes in as text, never as HTML; nothing is written that has not
// changed, so that twenty events a second cost nothing and a button under a finger is never replaced.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  const text = String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

export function make(tag, className = "", text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

export function makeSvg(tag, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  return node;
}

export function makeIcon() {
  const icon = makeSvg("svg", { "aria-hidden": "true", class: "icon" });
  icon.append(makeSvg("use"));
  return icon;
}

export function setIcon(icon, name) {
  setAttribute(icon.querySelector("use"), "href", `#icon-${name}`);
}

/**
 * Makes the children of `parent` match `items`, in order. A child lives as long as its item's key, so focus and a
 * half-finished click survive; `create(item)` makes a child, `update(child, item)` writes what has changed.
 */
export function matchChildren(parent, items, keyOf, create, update) {
  const existing = new Map([...parent.children].map((child) => [child.dataset.item, child]));
  items.forEach((item, place) => {
    const key = String(keyOf(item));
    const child = existing.get(key) ?? create(item);
    existing.delete(key);
    child.dataset.item = key;
    update(child, item);
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
  });
  for (const child of existing.values()) child.remove();
}
