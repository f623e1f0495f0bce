// What the page says, in the language of whoever reads it. A text is named `section.key`; `{name}` in its words stands for a parameter,
// `{name|slice|slices}` for a count with its noun.

import { recall, remember } from "./remember.js";

const LANGUAGE = "tableside.language";
const LANGUAGES = ["en", "zh"];

/** @typedef {Record<string, Record<string, string>>} Texts */
/** @typedef {Record<string, string | number>} Parameters */

/** @type {Texts} */ let texts = {};
let language = LANGUAGES[0];

/** How BCP 47 calls the language of the page. */
export const currentLanguage = () => language;

/** Takes the texts of the language that was chosen in this browser, or else the browser's own where there is one. */
export async function loadTexts() {
  const preferred = [recall(LANGUAGE), ...navigator.languages.map((tag) => tag.slice(0, 2))];
  language = preferred.find((tag) => LANGUAGES.includes(tag)) ?? LANGUAGES[0];
  const answer = await fetch(`texts/${language}.json`);
  if (!answer.ok) throw new Error(`the daemon answered ${answer.status}`);
  useTexts(await answer.json());
  document.documentElement.lang = language;
  writeTexts(document);
}

/** The page begins anew in the next language. */
export function changeLanguage() {
  remember(LANGUAGE, LANGUAGES[(LANGUAGES.indexOf(language) + 1) % LANGUAGES.length]);
  location.reload();
}

/** @param {Texts} all */
export function useTexts(all) {
  texts = all;
}

/** The words of a text. One that is not there is its name: it can be seen, and nothing stops. @param {string} name @param {Parameters} parameters */
export function say(name, parameters = {}) {
  const [section, key] = name.split(".");
  const words = texts[section]?.[key] ?? name;
  return words.replace(/\{(\w+)(?:\|([^|}]*)\|([^|}]*))?\}/g, (_, parameter, one, many) => {
    const value = parameters[parameter] ?? "";
    return many === undefined ? String(value) : `${value} ${value === 1 ? one : many}`;
  });
}

const WRITTEN = { "data-text": null, "data-label": "aria-label", "data-title": "title", "data-placeholder": "placeholder" };

/** Writes the texts that the page's own parts name: `data-text` as what they say, the others as the attribute. @param {ParentNode} root */
export function writeTexts(root) {
  for (const [names, attribute] of Object.entries(WRITTEN)) {
    for (const node of root.querySelectorAll(`[${names}]`)) {
      const words = say(node.getAttribute(names) ?? "");
      if (attribute) node.setAttribute(attribute, words);
      else node.textContent = words;
    }
  }
}
