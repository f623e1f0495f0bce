// The own account: where else this person has logged in, and another password.

import { asJson, request } from "./daemon.js";
import { byId, make, matchChildren, setText, within } from "./dom.js";
import { field, makeButton, makeDialog, openDialog, tellIn, tryIn, words } from "./parts.js";
import { clock } from "./words.js";

const FIELDS = ["before", "password", "again"];
const typed = () => FIELDS.map((name) => byId(`account-${name}`, HTMLInputElement));

/** The person's name opens it; at a kiosk there is no person. */
export function startAccount() {
  if (document.body.dataset.role === "table") return;
  const sessions = Object.assign(make("ul"), { id: "account-sessions" });
  const fields = FIELDS.map((name, place) =>
    field(`account-${name}`, `password_${name}`, make("input"), {
      type: "password",
      required: true,
      maxLength: 256,
      autocomplete: place === 0 ? "current-password" : "new-password",
    }),
  );
  const dialog = makeDialog("account", [sessions, ...fields], "change_password", changePassword);
  const open = () => {
    empty();
    openDialog(dialog, words("account"));
    tryIn(dialog, showSessions);
  };
  const name = byId("who-name");
  const button = Object.assign(makeButton("", open), { id: "show-account", title: words("account") });
  name.replaceWith(button);
  button.append(name);
}

/** What was typed does not stay. */
function empty() {
  for (const input of typed()) input.value = "";
}

async function showSessions() {
  /** @type {{ sessions: PersonSession[] }} */
  const { sessions } = await request("api/v1/account");
  matchChildren(byId("account-sessions"), sessions, ({ id }) => id, makeSession, writeSession);
}

/** @param {PersonSession} session */
function makeSession({ id, own }) {
  const item = make("li");
  const end = () => request(`api/v1/account/sessions/${id}`, { method: "DELETE" }).finally(showSessions);
  item.append(make("span"), " ");
  if (!own) item.append(makeButton(words("end"), () => tryIn(byId("account", HTMLDialogElement), end)));
  return item;
}

/** @param {HTMLElement} item @param {PersonSession} session */
function writeSession(item, { address, started, used, own }) {
  const parameters = { address: address ?? "–", since: clock(started), used: clock(used) };
  setText(within(item, "span"), words(own ? "this_session" : "other_session", parameters));
}

/** @param {HTMLDialogElement} dialog */
async function changePassword(dialog) {
  const [before, password, again] = typed().map(({ value }) => value);
  if (password !== again) return tellIn(dialog, words("passwords_differ"));
  await request("api/v1/account/password", asJson("POST", { before, password }));
  empty();
  tellIn(dialog, words("password_changed"));
  await showSessions();
}
