// Who may use the console: people, their log-ins, kiosks.

import { asJson, request } from "./daemon.js";
import { byId, make, setAttribute, setHidden, setText } from "./dom.js";
import { askOnce, field, makeButton, makeDialog, openDialog, showTable, tryIn, words } from "./parts.js";
import { say } from "./text.js";
import { clock } from "./words.js";

/** @type {Role[]} */
const ROLES = ["technician", "clinic", "administrator", "reader"];
const NAME = { required: true, maxLength: 32, autocomplete: /** @type {AutoFill} */ ("off"), spellcheck: false };

/** @type {Person[]} */ let people = [];
let ownName = "";
/** Does something, and shows what is then. @type {(act: () => Promise<unknown>) => Promise<void>} */ let change = async () => {};
/** The person whose dialog is open; none for a new one. @type {Person | undefined} */ let chosen;

const roleName = (/** @type {Role} */ role) => say(`role.${role}`);
const pathOf = (/** @type {string} */ what, /** @type {string} */ name) => `api/v1/${what}/${encodeURIComponent(name)}`;
const remove = (/** @type {string} */ path) => request(path, { method: "DELETE" });
const input = (/** @type {string} */ id) => byId(id, HTMLInputElement);
const role = () => byId("person-role", HTMLSelectElement);
const typedName = (/** @type {string} */ id) => input(id).value.trim().toLowerCase();

/** @param {string} name of who uses the page @param {typeof change} doChange */
export function startPeople(name, doChange) {
  [ownName, change] = [name, doChange];
  const select = make("select");
  select.append(...ROLES.map((role) => new Option(words(`option_${role}`), role)));
  const more = make("div");
  for (const what of ["reset", "remove"]) more.append(Object.assign(makeButton(), { id: `person-${what}` }));
  makeDialog("person", [
    field("person-name", "name", make("input"), NAME),
    field("person-shown-as", "shown_as", make("input"), { ...NAME, required: false }),
    field("person-role", "role", select),
    Object.assign(make("p"), { id: "person-hint" }),
    field("person-may-log-in", "may_log_in", make("input"), { type: "checkbox" }),
    more,
  ], "save", closing(savePerson));
  makeDialog("kiosk", [
    field("kiosk-name", "name", make("input"), NAME),
    field("kiosk-addresses", "addresses", make("input"), { ...NAME, maxLength: 400, placeholder: "10.0.0.21" }),
    make("p", "", words("kiosk_hint")),
  ], "save", closing(saveKiosk));
  const secret = Object.assign(make("output"), { id: "secret-text" });
  const copy = async () => {
    getSelection()?.selectAllChildren(secret);
    // Browsers have it where the page is encrypted.
    await navigator.clipboard?.writeText(secret.value);
  };
  makeDialog("secret", [make("p", "", words("shown_once")), secret], "copy", copy).onclose = () => (secret.value = "");
  byId("add-person").onclick = () => openPerson();
  byId("add-kiosk").onclick = () => {
    input("kiosk-name").value = input("kiosk-addresses").value = "";
    openDialog(byId("kiosk", HTMLDialogElement), words("add_kiosk"));
  };
}

/** The dialog is closed once it is done, and what is then is shown. @param {() => Promise<unknown>} act */
function closing(act) {
  return async (/** @type {HTMLDialogElement} */ dialog) => {
    await act();
    dialog.close();
    await change(async () => {});
  };
}

/** @param {{ people: Person[] }} answer */
export function showPeople(answer) {
  people = answer.people;
  const open = (/** @type {Person} */ { name }) => {
    const button = makeButton(words("change"), () => openPerson(people.find((person) => person.name === name)));
    setAttribute(button, "aria-label", words("change_person", { name }));
    return button;
  };
  showTable("people", people, ({ name }) => name, {
    name: ({ name }) => name,
    shown_as: ({ shown_as }) => shown_as,
    role: ({ role }) => roleName(role),
    since: ({ created }) => clock(created),
    sessions: ({ sessions }) => String(sessions),
    state: ({ disabled }) => words(disabled ? "disabled" : "enabled", { since: clock(disabled) }),
  }, open, ({ disabled }) => disabled !== null);
}

/** @param {{ sessions: PersonSession[] }} answer */
export function showSessions({ sessions }) {
  const end = (/** @type {PersonSession} */ { id, name, own }) =>
    own
      ? make("span", "", words("yours"))
      : askOnce(makeButton(), words("end"), words("sure_end", { name }), () => change(() => remove(pathOf("sessions", id))));
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

/** @param {{ kiosks: Kiosk[] }} answer */
export function showKiosks({ kiosks }) {
  const revoke = (/** @type {Kiosk} */ { name }) =>
    askOnce(makeButton(), words("revoke"), words("sure_revoke", { name }), () => change(() => remove(pathOf("kiosks", name))));
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
  for (const [what, act] of Object.entries({ reset: resetPerson, remove: () => remove(pathOf("people", name)) })) {
    const button = byId(`person-${what}`, HTMLButtonElement);
    askOnce(button, words(what), words(`sure_${what}`, { name }), () => tryIn(dialog, () => closing(act)(dialog)));
    setHidden(button, isOwn || !person);
  }
  setText(byId("person-hint"), isOwn ? words("own_hint") : person ? "" : words("new_hint"));
  openDialog(dialog, person ? words("change_person", { name }) : words("add_person"));
}

async function savePerson() {
  const edit = { shown_as: input("person-shown-as").value, role: role().value, may_log_in: input("person-may-log-in").checked };
  if (!chosen) {
    const { may_log_in: _, ...person } = { ...edit, name: typedName("person-name") };
    return showPassword(person.name, await request("api/v1/people", asJson("POST", person)));
  }
  // What somebody else has changed meanwhile, and this person has not, stays.
  const before = { ...chosen, may_log_in: !chosen.disabled };
  const changed = Object.entries(edit).filter(([what, value]) => value !== Object(before)[what]);
  await request(pathOf("people", chosen.name), asJson("POST", Object.fromEntries(changed)));
}

async function resetPerson() {
  const name = chosen?.name ?? "";
  showPassword(name, await request(`${pathOf("people", name)}/password`, asJson("POST", {})));
}

async function saveKiosk() {
  const name = typedName("kiosk-name");
  const addresses = input("kiosk-addresses").value.split(/[\s,;，；]+/).filter(Boolean);
  const { token } = await request("api/v1/kiosks", asJson("POST", { name, addresses }));
  showSecret(words("link_of", { name }), new URL(`./#kiosk=${token}`, location.href).href);
}

/** @param {string} name @param {{ password: string }} answer */
const showPassword = (name, { password }) => showSecret(words("password_of", { name }), password);

/** @param {string} title @param {string} secret */
function showSecret(title, secret) {
  byId("secret-text", HTMLOutputElement).value = secret;
  openDialog(byId("secret", HTMLDialogElement), title);
}
