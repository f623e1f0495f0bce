// The table view: the exam on the table for who stands beside it, full screen. It shows what the console shows of an exam's state, and
// no more: the panels are made in `table-panels.js`, and written here.

import { byId, make, makeIcon, matchChildren, setAttribute, setHidden, setIcon, setText, within } from "./dom.js";
import { Exams } from "./exams.js";
import { acknowledgeBy, attemptAt, knownName, offerChangeOfInitials } from "./flags.js";
import { oncePerFrame } from "./frame.js";
import { loadIcons } from "./icons.js";
import { recall, remember } from "./remember.js";
import { acknowledges, currentRole, loggedInName, ownName, seesExams, startSession } from "./session.js";
import { pressSilence, remaining } from "./sound-controls.js";
import { soundProblem, soundState, startSound, testSound, tick } from "./sound.js";
import { announcementOf, panelsOf } from "./table-panels.js";
import { loadTexts, say, setPhrase } from "./text.js";
import { startTheme } from "./theme.js";
import { statements } from "./verdict.js";
import { Watch } from "./watch.js";
import { clock, personName } from "./words.js";

/** @typedef {import("./table-panels.js").Panel} Panel */

const DIM = "tableside.dim";
/** The steps of `table.css`, as shares of full brightness. */
const BRIGHTNESS = [1, 0.85, 0.7, 0.6];
const TICK_MS = 500;

const writeSoon = oncePerFrame(writePage);
const exams = new Exams();
const watch = new Watch(exams, { changed: writeSoon, beat: tick });
let dim = 0;

// --- the page ----------------------------------------------------------------------------------------------------------

function writePage() {
  const { connection, lostSince, status } = watch;
  const onTable = exams.shown;
  const panels = panelsOf({
    list: exams.list, onTable, connection, lostSince, status,
    clockNotices: watch.clockSkew.notices(), soundProblem: soundProblem(),
    seesExams: seesExams(), acknowledges: acknowledges(), host: location.hostname,
  });
  setAttribute(document.body, "data-connection", connection === "live" ? "live" : "lost");
  setAttribute(byId("connection"), "data-state", connection === "live" ? "live" : "lost");
  setText(byId("connection"), say(`connection.${connection}`));
  setText(byId("clock"), clock(new Date()));
  setAttribute(byId("panels"), "data-count", panels.length > 3 ? "more" : panels.length);
  matchChildren(byId("panels"), panels, ({ id }) => id, createPanel, updatePanel);
  setText(byId("announcement"), announcementOf(panels, onTable));
  writeControls();
  const title = onTable ? `${statements(onTable)[0].badge}: ${personName(onTable.patient.name)}` : "";
  document.title = [title, "Tableside"].filter(Boolean).join(" · ");
}

function createPanel() {
  const panel = make("section", "panel");
  const words = make("div");
  const pressing = make("div", "pressing");
  const button = make("button", "acknowledge");
  button.type = "button";
  button.addEventListener("click", () => press(panel));
  pressing.append(button, make("p", "acknowledged"), make("p", "problem"));
  words.append(make("p", "who"), make("p", "lead"), make("h2"), make("p", "action"), make("p", "detail"), make("ul", "lines"), pressing);
  panel.append(makeIcon(), words);
  return panel;
}

/** @param {HTMLElement} node @param {Panel} panel */
function updatePanel(node, panel) {
  const attempt = panel.press ? attemptAt(panel.press.exam, panel.press.flag) : undefined;
  setAttribute(node, "data-kind", panel.kind);
  setAttribute(node, "data-alarm", panel.alarm);
  setAttribute(node, "data-floor", panel.asks);
  setAttribute(node, "aria-label", [panel.who, panel.headline].filter(Boolean).join(": "));
  setIcon(within(node, ".icon", SVGElement), panel.kind);
  writeWho(within(node, ".who"), panel);
  for (const part of /** @type {const} */ (["lead", "action", "detail", "acknowledged"])) setText(within(node, `.${part}`), panel[part]);
  setText(within(node, "h2"), panel.headline);
  const numbered = panel.lines.map((text, place) => ({ text, place }));
  matchChildren(within(node, ".lines"), numbered, ({ place }) => place, () => make("li"), (item, { text }) => setText(item, text));
  const button = within(node, ".acknowledge", HTMLButtonElement);
  node.dataset.exam = panel.press?.exam ?? "";
  node.dataset.flag = panel.press?.flag ?? "";
  setHidden(button, panel.press === null);
  button.disabled = watch.connection !== "live" || attempt?.pending === true;
  setText(button, say(attempt?.pending ? "flags.acknowledging" : "flags.acknowledge"));
  const problem = attempt?.problem;
  setPhrase(within(node, ".problem"), problem && { text: "flags.not_taken", parameters: { problem } });
}

/** @param {HTMLElement} node @param {Panel} panel */
function writeWho(node, { who, about }) {
  const words = `${who}${about}`;
  if (node.dataset.words === words) return;
  node.dataset.words = words;
  node.replaceChildren(...(who ? [who, make("small", "", about)] : []));
}

function writeControls() {
  const { sounding, silent_ms } = soundState();
  setHidden(byId("silence"), sounding === null);
  setText(byId("silence"), silent_ms > 0 ? say("sound.silent_for", { left: remaining(silent_ms) }) : say("sound.silence"));
  setHidden(byId("acknowledging"), ownName() !== "" || !acknowledges());
  setText(byId("initials-now"), signature());
  setHidden(byId("open-console"), currentRole() === "table");
  setHidden(byId("full-screen"), !document.fullscreenEnabled || document.fullscreenElement !== null);
}

// --- what the user asks --------------------------------------------------------------------------------------------------

/** Who has pressed: a person as far as one is known, else the place where it was. */
function signature() {
  const place = loggedInName();
  return knownName() || (place ? say("table.at", { place }) : say("table.at_table"));
}

/** @param {HTMLElement} panel */
function press({ dataset: { exam, flag } }) {
  if (!exam || !flag) return;
  acknowledgeBy(signature(), exam, flag, (answer, flagId) => {
    if (answer && flagId) exams.takeAcknowledgement(answer, flagId);
    writeSoon();
  });
}

/** @param {number} step */
function useDim(step) {
  dim = Math.min(Math.max(Math.trunc(step) || 0, 0), BRIGHTNESS.length - 1);
  remember(DIM, String(dim));
  setAttribute(document.body, "data-dim", dim);
  setText(byId("brightness"), `${Math.round(BRIGHTNESS[dim] * 100)} %`);
  byId("darker", HTMLButtonElement).disabled = dim === BRIGHTNESS.length - 1;
  byId("brighter", HTMLButtonElement).disabled = dim === 0;
}

function listenToUser() {
  byId("silence").addEventListener("click", pressSilence);
  byId("test-sound").addEventListener("click", testSound);
  byId("darker").addEventListener("click", () => useDim(dim + 1));
  byId("brighter").addEventListener("click", () => useDim(dim - 1));
  byId("full-screen").addEventListener("click", () => document.documentElement.requestFullscreen());
  document.addEventListener("fullscreenchange", writeSoon);
  document.addEventListener("visibilitychange", stayAwake);
  offerChangeOfInitials(writeSoon);
}

/** A screen that saves itself shows no alarm. Where the browser refuses, the workstation's own setting counts. */
function stayAwake() {
  if (!document.hidden) navigator.wakeLock?.request("screen").catch(() => {});
}

// --- faults of the view itself -------------------------------------------------------------------------------------------

function showFault() {
  setHidden(byId("fault"), false);
}

addEventListener("error", showFault);
addEventListener("unhandledrejection", showFault);

await Promise.all([loadTexts(), loadIcons()]);
startTheme();
useDim(Number(recall(DIM)));
listenToUser();
stayAwake();
writeSoon();
await startSession();
startSound({ exams: () => exams.list, told: writeSoon, always: true });
watch.start();
// The clock goes on as long as the view does: one that stands still shows a view that does not.
setInterval(writeSoon, TICK_MS);
