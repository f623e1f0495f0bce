// The page's English texts, for tests of what it says.

import { readFileSync } from "node:fs";

import { useTexts } from "../../src/console/page/text.js";

/** The texts of a language. */
export const textsOf = (language) => JSON.parse(readFileSync(new URL(`../../src/texts/${language}.json`, import.meta.url), "utf8"));

useTexts(textsOf("en"), "en");
