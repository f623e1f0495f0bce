// The little that every view needs of the page. Text goes in as text, never as HTML; nothing is written that has not
// changed, so that twenty events a second cost nothing and a button under a finger is never replaced.

const SVG = "http://www.w3.org/2000/svg";

/**
 * A part of the page, which is there.
 * @template {Element} [T=HTMLElement]
 * @param {string} id @param {new () => T} [kind]
 * @returns {T}
 */
export function byId(id, kind) {
  const node = document.getElementById(id);
  if (node === null || (kind && !(node instanceof kind))) throw new Error(`the page has no ${id}`);
  return /** @type {T} */ (/** @type {unknown} */ (node));
}

/**
 * A part of something on the page, which is there.
 * @template {Element} [T=HTMLElement]
 * @param {Element} parent @param {string} selector @param {new () => T} [kind]
 * @returns {T}
 */
export function within(parent, selector, kind) {
  const node = parent.querySelector(selector);
  if (node === null || (kind && !(node instanceof kind))) throw new Error(`there is no ${selector}`);
  return /** @type {T} */ (/** @type {unknown} */ (node));
}

/** @param {Node} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {Element} node @param {string} name @param {string | number | boolean} value */
export function setAttribute(node, name, value) {
  const text = String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

/** @param {HTMLElement} node @param {boolean} hidden */
export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

/** @template {keyof HTMLElementTagNameMap} K @param {K} tag @returns {HTMLElementTagNameMap[K]} */
export function make(tag, className = "", text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag @param {Record<string, string | number>} attributes
 * @returns {SVGElementTagNameMap[K]}
 */
export function makeSvg(tag, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  if (text) node.textContent = text;
  return node;
}

export function makeIcon() {
  const icon = makeSvg("svg", { "aria-hidden": "true", class: "icon" });
  icon.append(makeSvg("use"));
  return icon;
}

/** @param {Element} icon @param {string} name */
export function setIcon(icon, name) {
  setAttribute(within(icon, "use", SVGUseElement), "href", `#icon-${name}`);
}

/**
 * Makes the children of `parent` match `items`, in order. A child lives as long as its item's key, so focus and a
 * half-finished click survive; `create(item)` makes a child, `update(child, item)` writes what has changed.
 * @template T
 * @template {HTMLElement | SVGElement} N
 * @param {Element} parent @param {T[]} items
 * @param {(item: T) => string | number} keyOf @param {(item: T) => N} create @param {(child: N, item: T) => void} update
 */
export function matchChildren(parent, items, keyOf, create, update) {
  const children = /** @type {N[]} */ (/** @type {unknown} */ ([...parent.children]));
  const existing = new Map(children.map((child) => [child.dataset.item, child]));
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
