// What the page says, in the language of whoever reads it. A text is named `section.key`; `{name}` in its words stands for a parameter,
// `{name|slice|slices}` for a count with its noun. `texts::Phrase` says the same of the daemon's words, by the same rules.

import { byId, setHidden } from "./dom.js";
import { recall, remember } from "./remember.js";

const LANGUAGE = "tableside.language";
/** How each calls itself, by its tag (BCP 47). @type {Record<string, string>} */
const LANGUAGES = { en: "English", zh: "中文" };
/** What has no translation is in this language. */
const ORIGINAL = "en";
const REQUEST_LIMIT_MS = 10_000;
const RETRY_MS = 2_000;

/** @typedef {Record<string, Record<string, string>>} Texts */
/** @typedef {Record<string, Parameter>} Parameters */
/** @typedef {{ words: string, lang: string }} Part */

/** @type {Texts} */ let texts = {};
let language = ORIGINAL;

/** Takes the texts of the language that was chosen in this browser, or else the browser's own where there is one. Without them nothing can be said, so this returns once they are there. */
export async function loadTexts() {
  const preferred = [recall(LANGUAGE), ...navigator.languages.map((tag) => tag.slice(0, 2))];
  language = preferred.find((tag) => Object.hasOwn(LANGUAGES, tag)) ?? ORIGINAL;
  for (;;) {
    const loaded = await fetchTexts().catch(() => null);
    setHidden(byId("no-texts"), loaded !== null);
    if (loaded) {
      useTexts(loaded);
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  document.documentElement.lang = language;
  writeTexts(document);
  offerOtherLanguage();
}

/** @returns {Promise<Texts>} */
async function fetchTexts() {
  const answer = await fetch(`texts/${language}.json`, { signal: AbortSignal.timeout(REQUEST_LIMIT_MS) });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

/** The page begins anew in the next language, which the button calls as it calls itself. */
function offerOtherLanguage() {
  const tags = Object.keys(LANGUAGES);
  const other = tags[(tags.indexOf(language) + 1) % tags.length];
  const button = byId("other-language");
  button.lang = other;
  button.textContent = LANGUAGES[other];
  button.addEventListener("click", () => {
    remember(LANGUAGE, other);
    location.reload();
  });
}

/** @param {Texts} all @param {string} [tag] of their language */
export function useTexts(all, tag = language) {
  texts = all;
  language = tag;
}

/** The words of a text. One that is not there is its name: it can be seen, and nothing stops. @param {string} name @param {Parameters} parameters */
export const say = (name, parameters = {}) => phraseWords({ text: name, parameters });

/** What there is to say as one text: "" where there is nothing. @param {Phrase | null | undefined} phrase */
export const phraseWords = (phrase) => partsOf(phrase).map(({ words }) => words).join("");

/** Those of the texts that say something, between them what the language puts there. @param {"comma" | "sentence" | "then"} joint @param {(string | false | null | undefined)[]} all */
export function joined(joint, all) {
  const said = all.filter(Boolean).map(String);
  return said.length === 0 ? "" : said.reduce((first, rest) => say(`join.${joint}`, { first, rest }));
}

/** All of them, one a line. @param {Phrase[]} phrases @returns {Phrase | null} */
export function linesOf(phrases) {
  if (phrases.length === 0) return null;
  return phrases.reduce((first, rest) => ({ text: "join.line", parameters: { first, rest } }));
}

/** The parts of a phrase, each with its language: what has no translation is told apart. @param {Phrase | null | undefined} phrase @returns {Part[]} */
export function partsOf(phrase) {
  if (!phrase) return [];
  if ("english" in phrase) return phrase.english ? [{ words: phrase.english, lang: ORIGINAL }] : [];
  const { text, parameters = {} } = phrase;
  const [section, key] = text.split(".");
  const words = texts[section]?.[key] ?? text;
  /** @type {Part[]} */
  const parts = [];
  let end = 0;
  for (const { 0: place, 1: name, 2: one, 3: many, index } of words.matchAll(/\{(\w+)(?:\|([^|}]*)\|([^|}]*))?\}/g)) {
    parts.push({ words: words.slice(end, index), lang: language }, ...parameterParts(parameters[name] ?? "", one, many));
    end = index + place.length;
  }
  parts.push({ words: words.slice(end), lang: language });
  return merged(parts);
}

/** @param {Parameter} value @param {string | undefined} one @param {string | undefined} many @returns {Part[]} */
function parameterParts(value, one, many) {
  if (typeof value === "object") return partsOf(value);
  return [{ words: many === undefined ? String(value) : `${value} ${value === 1 ? one : many}`, lang: language }];
}

/** Neighbours in one language are one part. @param {Part[]} parts */
function merged(parts) {
  /** @type {Part[]} */
  const all = [];
  for (const part of parts) {
    const last = all.at(-1);
    if (part.words === "") continue;
    if (last?.lang === part.lang) last.words += part.words;
    else all.push({ ...part });
  }
  return all;
}

/** Writes what there is to say; what is in another language than the page says so. @param {Element} node @param {Phrase | null | undefined} phrase */
export function setPhrase(node, phrase) {
  const parts = partsOf(phrase);
  const words = parts.map(({ words }) => words).join("");
  const isForeign = parts.some(({ lang }) => lang !== language);
  if (node.textContent === words && isForeign === (node.firstElementChild !== null)) return;
  if (!isForeign) {
    node.textContent = words;
    return;
  }
  const spans = parts.map((part) => {
    const span = document.createElement("span");
    span.textContent = part.words;
    if (part.lang !== language) span.lang = part.lang;
    return span;
  });
  node.replaceChildren(...spans);
}

/** What went wrong, as it is to be said. */
export class Problem extends Error {
  /** @param {Phrase} phrase */
  constructor(phrase) {
    super(phraseWords(phrase));
    this.phrase = phrase;
  }
}

/** What an error says. @param {unknown} error @returns {Phrase} */
export const problemOf = (error) => (error instanceof Problem ? error.phrase : { english: error instanceof Error ? error.message : String(error) });

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
