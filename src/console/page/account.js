// The own account: where else this person has logged in, and another password.

import { asJson, request } from "./daemon.js";
import { byId, make, matchChildren, setText, within } from "./dom.js";
import { field, makeButton, makeDialog, openDialog, tellIn, tryIn } from "./form.js";
import { say } from "./text.js";
import { clock } from "./words.js";

const FIELDS = { before: "current-password", password: "new-password", again: "new-password" };

/** Puts a button beside the person's name; at a kiosk there is no person. */
export function startAccount() {
  if (document.body.dataset.role === "table") return;
  const sessions = make("ul");
  sessions.id = "account-sessions";
  const fields = Object.entries(FIELDS).map(([name, autocomplete]) => {
    const properties = { type: "password", required: true, maxLength: 256, autocomplete: /** @type {AutoFill} */ (autocomplete) };
    return field(`account-${name}`, `administration.password_${name}`, make("input"), properties);
  });
  const dialog = makeDialog("account", [sessions, ...fields], say("administration.change_password"), changePassword);
  const open = () => {
    empty();
    openDialog(dialog, say("administration.account"));
    tryIn(dialog, showSessions);
  };
  const button = makeButton(say("administration.account"), open);
  button.id = "show-account";
  byId("who-name").after(button);
}

/** What was typed does not stay. */
function empty() {
  for (const name of Object.keys(FIELDS)) byId(`account-${name}`, HTMLInputElement).value = "";
}

async function showSessions() {
  /** @type {{ sessions: PersonSession[] }} */
  const { sessions } = await request("api/v1/account");
  matchChildren(byId("account-sessions"), sessions, ({ id }) => id, makeSession, writeSession);
}

/** @param {PersonSession} session */
function makeSession({ id, own }) {
  const item = make("li");
  const end = () => request(`api/v1/account/sessions/${id}`, { method: "DELETE" });
  item.append(make("span"), " ");
  if (!own) item.append(makeButton(say("administration.end"), () => tryIn(byId("account", HTMLDialogElement), () => end().finally(showSessions))));
  return item;
}

/** @param {HTMLElement} item @param {PersonSession} session */
function writeSession(item, { address, started, used, own }) {
  const words = { address: address ?? "–", since: clock(started), used: clock(used) };
  setText(within(item, "span"), say(own ? "administration.this_session" : "administration.other_session", words));
}

/** @param {HTMLDialogElement} dialog */
async function changePassword(dialog) {
  const [before, password, again] = Object.keys(FIELDS).map((name) => byId(`account-${name}`, HTMLInputElement).value);
  if (password !== again) return tellIn(dialog, say("administration.passwords_differ"));
  await request("api/v1/account/password", asJson("POST", { before, password }));
  empty();
  tellIn(dialog, say("administration.password_changed"));
  await showSessions();
}
