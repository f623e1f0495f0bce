// Who may use the console: people, their log-ins, kiosks.

import { asJson, request } from "./daemon.js";
import { byId, make, setAttribute, setHidden, setText } from "./dom.js";
import { field, makeButton, makeDialog, openDialog, tryIn } from "./form.js";
import { showTable } from "./rows.js";
import { askOnce } from "./sure.js";
import { say } from "./text.js";
import { clock } from "./words.js";

/** @type {Role[]} */
const ROLES = ["technician", "clinic", "administrator", "reader"];
const NAME = { required: true, maxLength: 32, autocomplete: /** @type {AutoFill} */ ("off"), spellcheck: false };

/** @type {Person[]} */ let people = [];
let ownName = "";
/** Does something, and shows what is then. @type {(act: () => Promise<unknown>) => Promise<void>} */ let change = async () => {};
/** The person whose dialog is open; none for a new one. @type {Person | undefined} */ let chosen;

const words = (/** @type {string} */ key, /** @type {import("./text.js").Parameters} */ parameters = {}) => say(`administration.${key}`, parameters);
const roleName = (/** @type {Role} */ role) => words(`role_${role}`);
const personPath = (/** @type {string} */ name) => `api/v1/people/${encodeURIComponent(name)}`;
const remove = (/** @type {string} */ path) => request(path, { method: "DELETE" });
const input = (/** @type {string} */ id) => byId(id, HTMLInputElement);
const role = () => byId("person-role", HTMLSelectElement);

/** @param {string} name of who uses the page @param {typeof change} doChange */
export function startPeople(name, doChange) {
  [ownName, change] = [name, doChange];
  makePersonDialog();
  makeKioskDialog();
  makeSecretDialog();
  byId("add-person").onclick = () => openPerson();
  byId("add-kiosk").onclick = () => {
    input("kiosk-name").value = input("kiosk-addresses").value = "";
    openDialog(byId("kiosk", HTMLDialogElement), words("add_kiosk"));
  };
}

function makePersonDialog() {
  const select = make("select");
  select.append(...ROLES.map((role) => new Option(roleName(role), role)));
  select.onchange = hintAtRole;
  const [hint, more] = [make("p"), make("div", "more")];
  hint.id = "person-hint";
  more.append(Object.assign(makeButton(), { id: "person-reset" }), Object.assign(makeButton(), { id: "person-remove" }));
  const parts = [
    field("person-name", "administration.name", make("input"), NAME),
    field("person-shown-as", "administration.shown_as", make("input"), { ...NAME, required: false }),
    field("person-role", "administration.role", select),
    field("person-may-log-in", "administration.may_log_in", make("input"), { type: "checkbox" }),
    hint,
    more,
  ];
  makeDialog("person", parts, words("save"), closing(savePerson));
}

function makeKioskDialog() {
  const parts = [
    field("kiosk-name", "administration.name", make("input"), NAME),
    field("kiosk-addresses", "administration.addresses", make("input"), { ...NAME, maxLength: 400, placeholder: "10.0.0.21" }),
    make("p", "", words("kiosk_hint")),
  ];
  makeDialog("kiosk", parts, words("save"), closing(saveKiosk));
}

function makeSecretDialog() {
  const output = make("output");
  output.id = "secret-text";
  const copy = async () => {
    getSelection()?.selectAllChildren(output);
    // Browsers have it where the page is encrypted.
    await navigator.clipboard?.writeText(output.value);
  };
  makeDialog("secret", [make("p", "", words("shown_once")), output], words("copy"), copy).onclose = () => (output.value = "");
}

/** The dialog is closed once it is done, and what is then is shown. @param {() => Promise<unknown>} act */
function closing(act) {
  return async (/** @type {HTMLDialogElement} */ dialog) => {
    await act();
    dialog.close();
    await change(async () => {});
  };
}

/** @param {Person[]} all */
export function showPeople(all) {
  people = all;
  const open = (/** @type {Person} */ { name }) => {
    const button = makeButton(words("change"), () => openPerson(people.find((person) => person.name === name)));
    setAttribute(button, "aria-label", words("change_person", { name }));
    return button;
  };
  showTable("people", all, ({ name }) => name, {
    name: ({ name }) => name,
    shown_as: ({ shown_as }) => shown_as,
    role: ({ role }) => roleName(role),
    since: ({ created }) => clock(created),
    sessions: ({ sessions }) => String(sessions),
    state: ({ disabled }) => (disabled ? words("disabled", { since: clock(disabled) }) : words("enabled")),
  }, open, ({ disabled }) => disabled !== null);
}

/** @param {PersonSession[]} sessions */
export function showSessions(sessions) {
  const end = (/** @type {PersonSession} */ { id, name, own }) =>
    own
      ? make("span", "", words("yours"))
      : askOnce(makeButton(), words("end"), words("sure_end", { name }), () => change(() => remove(`api/v1/sessions/${id}`)));
  showTable("sessions", sessions, ({ id }) => id, {
    name: ({ name }) => name,
    role: ({ role }) => roleName(role),
    from: ({ address }) => address ?? "–",
    since: ({ started }) => clock(started),
    used: ({ used }) => clock(used),
    ends_unused: ({ ends_unused }) => clock(ends_unused),
    ends: ({ ends }) => clock(ends),
  }, end);
}

/** @param {Kiosk[]} kiosks */
export function showKiosks(kiosks) {
  const revoke = (/** @type {Kiosk} */ { name }) =>
    askOnce(makeButton(), words("revoke"), words("sure_revoke", { name }), () => change(() => remove(`api/v1/kiosks/${encodeURIComponent(name)}`)));
  showTable("kiosks", kiosks, ({ name }) => name, {
    name: ({ name }) => name,
    addresses: ({ addresses }) => addresses.join(", "),
    since: ({ created }) => clock(created),
    seen: ({ seen }) => (seen ? words("seen_at", { at: clock(seen.at), address: seen.address }) : "–"),
  }, revoke);
}

/** @param {Person} [person] */
function openPerson(person) {
  chosen = person;
  const name = person?.name ?? "";
  const isOwn = name === ownName;
  Object.assign(input("person-name"), { value: name, disabled: person !== undefined });
  input("person-shown-as").value = person?.shown_as ?? "";
  Object.assign(role(), { value: person?.role ?? "technician", disabled: isOwn });
  Object.assign(input("person-may-log-in"), { checked: !person?.disabled, disabled: isOwn || !person });
  const dialog = byId("person", HTMLDialogElement);
  const more = { reset: resetPerson, remove: () => remove(personPath(name)) };
  for (const [what, act] of Object.entries(more)) {
    const button = byId(`person-${what}`, HTMLButtonElement);
    askOnce(button, words(what), words(`sure_${what}`, { name }), () => tryIn(dialog, () => closing(act)(dialog)));
    setHidden(button, isOwn || !person);
  }
  hintAtRole();
  openDialog(dialog, person ? words("change_person", { name }) : words("add_person"));
}

function hintAtRole() {
  const more = chosen ? (chosen.name === ownName ? words("own_hint") : "") : words("new_hint");
  setText(byId("person-hint"), `${words(`hint_${role().value}`)} ${more}`);
}

async function savePerson() {
  const [shown_as, may_log_in] = [input("person-shown-as").value, input("person-may-log-in").checked];
  if (!chosen) {
    const name = input("person-name").value.trim().toLowerCase();
    const { password } = await request("api/v1/people", asJson("POST", { name, shown_as, role: role().value }));
    return showSecret(words("password_of", { name }), password);
  }
  // What somebody else has changed meanwhile, and this person has not, stays.
  await request(personPath(chosen.name), asJson("POST", {
    ...(shown_as !== chosen.shown_as && { shown_as }),
    ...(role().value !== chosen.role && { role: role().value }),
    ...(may_log_in !== !chosen.disabled && { may_log_in }),
  }));
}

async function resetPerson() {
  const name = chosen?.name ?? "";
  const { password } = await request(`${personPath(name)}/password`, asJson("POST", {}));
  showSecret(words("password_of", { name }), password);
}

async function saveKiosk() {
  const name = input("kiosk-name").value.trim().toLowerCase();
  const addresses = input("kiosk-addresses").value.split(/[\s,;，；]+/).filter(Boolean);
  const { token } = await request("api/v1/kiosks", asJson("POST", { name, addresses }));
  showSecret(words("link_of", { name }), new URL(`./#kiosk=${token}`, location.href).href);
}

/** @param {string} title @param {string} secret */
function showSecret(title, secret) {
  byId("secret-text", HTMLOutputElement).value = secret;
  openDialog(byId("secret", HTMLDialogElement), title);
}
