import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { mock, test } from "node:test";

import { joined, loadTexts, partsOf, phraseWords, say, useTexts } from "../../src/console/page/text.js";
import { textsOf } from "./english.mjs";

const ROOT = new URL("../../", import.meta.url);
const read = (path) => readFileSync(new URL(path, ROOT), "utf8");

/** `Phrase` of the daemon is held to the same cases (`src/texts/phrase.rs`). */
test("phrases are filled in as the daemon fills them in, and what is not translated is told apart", () => {
  for (const { texts, phrase, words, parts } of JSON.parse(read("tests/page/phrases.json"))) {
    useTexts(texts, "xx");
    assert.equal(phraseWords(phrase), words);
    if (parts) assert.deepEqual(partsOf(phrase).map(({ words, lang }) => [words, lang]), parts);
  }
});

test("parameters stand where the words name them, counts with their noun", () => {
  useTexts({ one: { of: "{received} of {expected|slice|slices}", none: "No slice" } });
  assert.equal(say("one.of", { received: 0, expected: 1 }), "0 of 1 slice");
  assert.equal(say("one.of", { received: 1, expected: 2 }), "1 of 2 slices");
  assert.equal(say("one.none"), "No slice");
});

test("a text that is not there is its name", () => {
  useTexts({});
  assert.equal(say("list.unknown"), "list.unknown");
  assert.equal(phraseWords(undefined), "");
});

test("each language says how many slices, and joins what it says", () => {
  for (const [language, words, list] of [["en", "2 slices", "a, b, c"], ["zh", "2 层图像", "a，b，c"]]) {
    useTexts(textsOf(language), language);
    assert.equal(say("count.slices", { count: 2 }), words);
    assert.equal(joined("comma", ["a", "", false, "b", "c"]), list);
  }
  assert.equal(joined("comma", [null]), "");
});

test("texts that cannot be fetched are asked for again, and that is said meanwhile", async () => {
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const [notice, button, root] = [{ hidden: true }, { addEventListener() {} }, { lang: "" }];
  const nodes = { "no-texts": notice, "other-language": button };
  globalThis.document = { documentElement: root, getElementById: (id) => nodes[id], querySelectorAll: () => [] };
  const answers = [new Response("", { status: 502 }), new Response("<html>"), new Response('{"one":{"none":"没有"}}')];
  let asked = 0;
  mock.method(globalThis, "fetch", async () => answers[asked++] ?? assert.fail());
  Object.defineProperty(globalThis, "navigator", { value: { languages: ["fr", "zh-CN", "en"] }, configurable: true });
  mock.timers.enable({ apis: ["setTimeout"] });
  const loading = loadTexts();
  for (const failed of [1, 2]) {
    for (let turn = 0; turn < 5; turn += 1) await settle();
    assert.deepEqual([asked, notice.hidden], [failed, false]);
    mock.timers.tick(2_000);
  }
  await loading;
  mock.timers.reset();
  mock.restoreAll();
  assert.deepEqual([notice.hidden, root.lang, button.lang, button.textContent, say("one.none")], [true, "zh", "en", "English", "没有"]);
});

// --- all texts ---------------------------------------------------------------------------------------------------------

const PAGE = "src/console/page/";
const files = (folder, ending) => readdirSync(new URL(folder, ROOT), { recursive: true }).filter((name) => name.endsWith(ending)).map((name) => read(folder + name));

/** Beginnings of texts that are named by what the daemon tells, as in `say(`zone.${zone}`)`, or through a helper: all of each are used. */
const BY_CODE = ["connection.", "delivery_kind.", "delivery_state.", "role.", "zone.", "administration.", "openid.", "outcome.", "list.alarm", "list.warning", "list.check", "table.action_", "sound."];

test("every text that the page or the daemon names is there, and every text is named", () => {
  const english = textsOf("en");
  const known = new Set(Object.entries(english).flatMap(([section, texts]) => Object.keys(texts).map((key) => `${section}.${key}`)));
  const page = [...files(PAGE, ".js"), ...files(PAGE, ".html")];
  const daemon = files("src/", ".rs");
  const sections = Object.keys(english).join("|");
  const named = new Set();
  for (const source of [...page, ...daemon]) {
    for (const [, name] of source.matchAll(new RegExp(`["'\`]((?:${sections})\\.\\w+)["'\`]`, "g"))) named.add(name);
  }
  // What `say` and `data-text` name is a text, whatever its section is called.
  for (const source of page) {
    for (const [, name] of source.matchAll(/(?:say\(|data-(?:text|label|title|placeholder)=|text: )"([\w.]+)"/g)) named.add(name);
    // Pages of administration name theirs by `words`.
    if (/import \{[^}]*\bwords\b[^}]*\} from "\.\/parts\.js"/.test(source)) {
      for (const [, key] of source.matchAll(/\bwords\("(\w+)"/g)) named.add(`administration.${key}`);
    }
    for (const [, joint] of source.matchAll(/joined\("(\w+)"/g)) named.add(`join.${joint}`);
  }
  const unknown = [...named].filter((name) => !known.has(name) && !/\.(js|css|html)$/.test(name));
  assert.deepEqual(unknown, []);
  const unused = [...known].filter((name) => !named.has(name) && !BY_CODE.some((beginning) => name.startsWith(beginning)));
  assert.deepEqual(unused, []);
});

const ALLOWED = ["Tableside", "mL"];

test("the page's own parts have no words beside the texts", () => {
  const html = read(`${PAGE}index.html`).replaceAll(/<!--.*?-->/gs, "");
  const always = /<(p|h2|footer) (?:id="(?:fault|no-texts|banner-headline|banner-detail)"|class="bar"|data-text="page.intended_use")[^>]*>.*?<\/\1>/gs;
  const said = html.replaceAll(always, "").replaceAll(/<(script|title)[^>]*>.*?<\/\1>/gs, "");
  const words = [...said.matchAll(/>([^<]*[\p{L}][^<]*)</gu)].map(([, words]) => words.trim());
  // A product's name, a unit, and signs.
  assert.deepEqual(words.filter((word) => !ALLOWED.includes(word)), []);
  assert.deepEqual([...said.matchAll(/ (?:aria-label|title|placeholder)="[^"]*"/g)].map(([attribute]) => attribute), []);
});
