// Administration: who may use the console, who does, and how the machine is. The daemon's status events, every 5 s, are the clock: at each
// of them what is shown is asked for again while somebody sees it. Asking so is no use of the session.

import { startAccount } from "./account.js";
import { getSession, openStream, request } from "./daemon.js";
import { byId, make, setAttribute, setHidden, setText } from "./dom.js";
import { words } from "./parts.js";
import { showDestinations, showMachine, showScanners } from "./machine.js";
import { showKiosks, showPeople, showSessions, startPeople } from "./people.js";
import { recall } from "./remember.js";
import { loadTexts, phraseWords, say } from "./text.js";
import { clock } from "./words.js";

/** What is asked by itself is no use of the session (docs/access.md). */
const WATCHING = { headers: { "Tableside-Watching": "yes" } };
const SHOWN = { people: showPeople, sessions: showSessions, kiosks: showKiosks, scanners: showScanners, machine: showMachine };

/** @param {string} id @param {string[]} lines nothing is shown where there is none */
function showBar(id, ...lines) {
  setHidden(byId(id), lines.length === 0);
  setText(byId(id), lines.join("\n"));
}

/** @param {DaemonStatus} status */
function showStatus({ ready, problem_phrases, notice_phrases, destinations }) {
  const [problems, notices] = [problem_phrases, notice_phrases].map((phrases) => phrases.map(phraseWords));
  if (ready && problems.length === 0) showBar("problems");
  else showBar("problems", words(ready ? "problems" : "not_ready"), ...problems);
  showBar("notices", ...notices);
  showDestinations(destinations);
}

let connection = "connecting";

/** @param {string} state */
function showConnection(state) {
  if (state === connection) return;
  connection = state;
  setAttribute(document.body, "data-connection", state);
  setAttribute(byId("connection"), "data-state", state);
  setText(byId("connection"), say(`connection.${state}`));
  showBar("lost", ...(state === "lost" ? [words("lost", { since: clock(new Date()) })] : []));
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
    else if (hasFailed) showBar("not-done");
    hasFailed = failed !== undefined;
  }
  isAsking = false;
}

/** @param {Error} problem */
const tellProblem = ({ message }) => showBar("not-done", words("not_done", { reason: message }));

/** Does what was pressed, and shows what is then. @param {() => Promise<unknown>} act */
async function change(act) {
  showBar("not-done");
  await act().catch(tellProblem);
  await refresh();
}

function watch() {
  openStream(({ name, data }) => {
    if (name === "opened") showConnection("live");
    if (name === "lost") showConnection("lost");
    if (name === "lost") leaveUnlessAdministrator();
    if (name === "status") showStatus(data);
    if (name === "status" && !document.hidden) refresh();
  });
  document.onvisibilitychange = () => document.hidden || refresh();
}

await loadTexts();
setAttribute(document.documentElement, "data-theme", recall("tableside.theme") || "dark");
document.title = `${words("title")} · Tableside`;
for (const section of document.querySelectorAll("section")) section.prepend(make("h2", "", words(section.id)));
const who = await leaveUnlessAdministrator();
if (who?.role === "administrator") {
  setText(byId("who-name"), who.shown_as ?? "");
  startAccount();
  startPeople(who.name ?? "", change);
  watch();
}
