// Who uses the console: the log-in before anything is shown, and who has logged in beside it. The page's own parts stand in this
// file, so that the rest of the page knows of a session only whether there is one.

import { beginSession, endSession, getSession, setUp } from "./daemon.js";
import { byId, make, setAttribute, setHidden, setText } from "./dom.js";
import { problemOf, say, setPhrase } from "./text.js";

/** @type {Who} */
const NOBODY = { name: null, shown_as: null, role: null, sees_exams: false, acknowledges: false, records_outcomes: false, delivers: false };

let access = "accounts";
/** @type {Who} */ let who = NOBODY;

export const seesExams = () => who.sees_exams;
export const currentRole = () => who.role;
/** The name of who has logged in, or of the kiosk. */
export const loggedInName = () => who.name ?? "";
export const acknowledges = () => who.acknowledges;
export const recordsOutcomes = () => who.records_outcomes;
/** The name beside acknowledgements, or "" where initials are to be typed. */
export const ownName = () => who.shown_as ?? "";

/** Returns once somebody may see something. */
export async function startSession() {
  makeParts();
  // A link that is opened where the console is already changes the address alone.
  addEventListener("hashchange", () => location.hash !== "" && location.reload());
  const link = takeLink();
  const refusal = takeRefusal();
  if (refusal) tellRefusal(refusal);
  if (link?.what === "kiosk") await attempt(() => beginSession({ kiosk: link.secret }));
  let session = await untilAnswered();
  while (session.who === null) session = await ask(session, link?.what === "setup" ? link.secret : "");
  take(session);
}

let isChecking = false;

/** The page begins anew where the session has ended: nothing of it stays on the screen. A daemon that hangs is asked once. */
export async function checkSession() {
  if (isChecking) return;
  isChecking = true;
  const session = await getSession().catch(() => null);
  isChecking = false;
  if (session && session.who === null) location.reload();
}

/** @param {Session} session */
function take(session) {
  access = session.access;
  who = session.who ?? NOBODY;
  const name = who.shown_as ?? who.name ?? "";
  setText(byId("who-name"), name && who.role ? say("session.who", { name, role: say(`role.${who.role}`) }) : "");
  setHidden(byId("who"), access === "open");
  setHidden(byId("log-out"), who.role === "table");
  document.body.dataset.role = who.role ?? "";
}

/** A secret in the address is taken out of it at once: it would stay in the history. */
function takeLink() {
  const found = /^#(setup|kiosk)=([\w-]{43})$/.exec(location.hash);
  if (!found) return null;
  history.replaceState(null, "", location.pathname);
  return { what: found[1], secret: found[2] };
}

/** Why the OpenID provider's log-in led to nothing; told once. */
function takeRefusal() {
  const found = /^#openid=(\w+)$/.exec(location.hash);
  if (found) history.replaceState(null, "", location.pathname);
  return found?.[1] ?? "";
}

/** @param {string} code */
function tellRefusal(code) {
  setAttribute(byId("log-in-problem"), "data-code", code);
  setText(byId("log-in-problem"), say(`openid.${code}`));
}

async function untilAnswered() {
  for (;;) {
    const session = await getSession().catch(() => null);
    if (session) return session;
    await new Promise((resolve) => setTimeout(resolve, 2_000));
  }
}

/** What was asked for, or null where it was refused: the reason is shown. @template T @param {() => Promise<T>} ask @returns {Promise<T | null>} */
async function attempt(ask) {
  try {
    return await ask();
  } catch (error) {
    setPhrase(byId("log-in-problem"), problemOf(error));
    return null;
  }
}

/** Asks for name and password, or for those of the first administrator. @param {Session} session @param {string} setupSecret */
async function ask(session, setupSecret) {
  const dialog = byId("log-in", HTMLDialogElement);
  const button = byId("log-in-button", HTMLButtonElement);
  const passwordField = byId("log-in-password", HTMLInputElement);
  const isSetup = setupSecret !== "";
  setText(byId("log-in-title"), say(isSetup ? "session.set_up" : "session.log_in"));
  setText(byId("log-in-hint"), hint(session, isSetup));
  setHidden(/** @type {HTMLElement} */ (byId("log-in-shown-as").parentElement), !isSetup);
  setHidden(byId("log-in-form"), session.first_run && !isSetup);
  setHidden(byId("log-in-at-provider"), !session.openid || isSetup);
  passwordField.autocomplete = isSetup ? "new-password" : "current-password";
  if (!dialog.open) dialog.showModal();
  for (;;) {
    await new Promise((resolve) => byId("log-in-form").addEventListener("submit", resolve, { once: true }));
    const [name, shown_as, password] = ["name", "shown-as", "password"].map((field) => byId(`log-in-${field}`, HTMLInputElement).value);
    setText(byId("log-in-problem"), "");
    button.disabled = true;
    const entered = await attempt(() =>
      isSetup ? setUp({ token: setupSecret, name, shown_as, password }) : beginSession({ name, password }),
    );
    button.disabled = false;
    passwordField.value = "";
    if (!entered) continue;
    // The daemon says yes; whether the browser has kept the cookie shows only now.
    const kept = await untilAnswered();
    if (kept.who === null) {
      setText(byId("log-in-problem"), say("session.not_kept"));
      continue;
    }
    dialog.close();
    return kept;
  }
}

/** @param {Session} session @param {boolean} isSetup */
function hint(session, isSetup) {
  if (isSetup) return say("session.set_up_hint", { page: say("administration.title") });
  if (!session.first_run) return "";
  return say("session.first_run", { command: "sudo -u tableside tableside admin setup-link --config /etc/tableside/tableside.toml" });
}

async function logOut() {
  if (await attempt(endSession)) location.reload();
}

function makeParts() {
  const dialog = make("dialog");
  dialog.id = "log-in";
  dialog.setAttribute("aria-labelledby", "log-in-title");
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  const title = make("h2");
  title.id = "log-in-title";
  const hint = make("p");
  hint.id = "log-in-hint";
  const form = make("form");
  form.id = "log-in-form";
  form.addEventListener("submit", (event) => event.preventDefault());
  const problem = make("p");
  problem.id = "log-in-problem";
  problem.setAttribute("role", "alert");
  const button = make("button", "", say("session.log_in"));
  button.id = "log-in-button";
  button.type = "submit";
  const buttons = make("div");
  buttons.append(button);
  form.append(
    field("name", say("session.name"), { autocomplete: "username", required: true, maxLength: 32 }),
    field("shown-as", say("session.shown_as"), { maxLength: 32 }),
    field("password", say("session.password"), { type: "password", required: true, maxLength: 256 }),
    buttons,
  );
  const provider = make("a", "button", say("session.at_provider"));
  provider.id = "log-in-at-provider";
  provider.href = "api/v1/openid/begin";
  // The page's own button lies below the dialog.
  const pages = byId("other-language");
  const language = Object.assign(make("button", "", pages.textContent ?? ""), { id: "log-in-language", type: "button", lang: pages.lang });
  language.addEventListener("click", () => pages.click());
  dialog.append(title, hint, provider, form, problem, language);
  const person = make("p");
  person.id = "who";
  person.hidden = true;
  const name = make("b");
  name.id = "who-name";
  const out = make("button", "", say("session.log_out"));
  out.id = "log-out";
  out.type = "button";
  out.addEventListener("click", logOut);
  person.append(name, out);
  byId("connection").before(person);
  document.body.append(dialog);
}

/** @param {string} name @param {string} label @param {object} properties */
function field(name, label, properties) {
  const input = make("input");
  input.id = `log-in-${name}`;
  Object.assign(input, properties);
  const around = make("label", "", `${label} `);
  around.append(input);
  return around;
}
