// Dark unless somebody asks for light.

import { byId, setAttribute } from "./dom.js";
import { recall, remember } from "./remember.js";

const THEME = "tableside.theme";

export function startTheme() {
  const use = (/** @type {string} */ theme) => {
    setAttribute(document.documentElement, "data-theme", theme);
    setAttribute(byId("theme"), "aria-pressed", theme === "light");
    remember(THEME, theme);
  };
  use(recall(THEME) || "dark");
  const other = () => (document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  byId("theme").addEventListener("click", () => use(other()));
}
