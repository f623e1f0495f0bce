// Administration: who may use the console, who does, and how the machine is. The daemon's status events, every 5 s, are the clock: at each
// of them what is shown is asked for again while somebody sees it. Asking so is no use of the session.

import { startAccount } from "./account.js";
import { getSession, openStream, request } from "./daemon.js";
import { byId, make, setAttribute, setHidden, setText, within } from "./dom.js";
import { showMachine, showScanners, showTargets } from "./machine.js";
import { showKiosks, showPeople, showSessions, startPeople } from "./people.js";
import { recall } from "./remember.js";
import { changeLanguage, loadTexts, say } from "./text.js";
import { clock } from "./words.js";

/** What is asked by itself is no use of the session (docs/access.md). */
const WATCHING = { headers: { "Tableside-Watching": "yes" } };
const SHOWN = {
  people: (/** @type {{ people: Person[] }} */ answer) => showPeople(answer.people),
  sessions: (/** @type {{ sessions: PersonSession[] }} */ answer) => showSessions(answer.sessions),
  kiosks: (/** @type {{ kiosks: Kiosk[] }} */ answer) => showKiosks(answer.kiosks),
  scanners: (/** @type {{ scanners: SeenScanner[] }} */ answer) => showScanners(answer.scanners),
  machine: showMachine,
};

/** @param {DaemonStatus} status */
function showStatus(status) {
  const isSound = status.ready && status.problems.length === 0;
  setHidden(byId("problems"), isSound);
  setText(byId("problems"), isSound ? "" : [say(status.ready ? "administration.problems" : "administration.not_ready"), ...status.problems].join("\n"));
  setHidden(byId("notices"), status.notices.length === 0);
  setText(byId("notices"), status.notices.join("\n"));
  showTargets(status.destinations);
}

let connection = "connecting";

/** @param {"live" | "lost"} state */
function showConnection(state) {
  if (state === connection) return;
  connection = state;
  setAttribute(document.body, "data-connection", state);
  setAttribute(byId("connection"), "data-state", state);
  setText(byId("connection"), say(`connection.${state}`));
  setHidden(byId("lost"), state === "live");
  setText(byId("lost"), state === "live" ? "" : say("administration.lost", { since: clock(new Date()) }));
}

/** Whoever may not be here any more is taken to the log-in. */
async function leaveUnlessAdministrator() {
  const session = await getSession().catch(() => null);
  if (session && session.who?.role !== "administrator") location.replace("./");
  return session?.who ?? null;
}

let isAsking = false;
/** Something happened while it was asked. */
let isStale = false;
let hasFailed = false;

/** Asks for all that is shown; what cannot be had stays as it was, and the reason is shown. */
async function refresh() {
  isStale = true;
  if (isAsking) return;
  isAsking = true;
  while (isStale) {
    isStale = false;
    const asked = Object.entries(SHOWN).map(async ([what, show]) => show(await request(`api/v1/${what}`, WATCHING)));
    const failed = (await Promise.allSettled(asked)).find((outcome) => outcome.status === "rejected");
    if (failed) await leaveUnlessAdministrator();
    if (failed) tellProblem(failed.reason);
    else if (hasFailed) setHidden(byId("not-done"), true);
    hasFailed = failed !== undefined;
  }
  isAsking = false;
}

/** @param {Error} problem */
function tellProblem(problem) {
  setText(byId("not-done"), say("administration.not_done", { reason: problem.message }));
  setHidden(byId("not-done"), false);
}

/** Does what was pressed, and shows what is then. @param {() => Promise<unknown>} act */
async function change(act) {
  setHidden(byId("not-done"), true);
  try {
    await act();
  } catch (error) {
    tellProblem(/** @type {Error} */ (error));
  }
  await refresh();
}

/** The way to each part of the page. */
function showParts() {
  for (const part of document.querySelectorAll("section")) {
    const title = within(part, "h2");
    title.id = `${part.id}-title`;
    setAttribute(part, "aria-labelledby", title.id);
    byId("parts").append(Object.assign(make("a", "", title.textContent ?? ""), { href: `#${part.id}` }));
  }
}

function watch() {
  openStream(({ name, data }) => {
    if (name === "opened") showConnection("live");
    if (name === "lost") showConnection("lost");
    if (name === "lost") leaveUnlessAdministrator();
    if (name === "status") showStatus(data);
    if ((name === "status" || name === "opened") && !document.hidden) refresh();
  });
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
}

await loadTexts();
setAttribute(document.documentElement, "data-theme", recall("tableside.theme") || "dark");
document.title = `${say("administration.title")} · Tableside`;
byId("other-language").addEventListener("click", changeLanguage);
const who = await leaveUnlessAdministrator();
if (who?.role === "administrator") {
  setText(byId("who-name"), who.shown_as ?? "");
  setAttribute(document.body, "data-role", who.role);
  startAccount();
  showParts();
  startPeople(who.name ?? "", change);
  watch();
}
