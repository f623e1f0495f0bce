// The console: what the daemon tells goes into `exams` and `status`, and the page is written from those, at most once a
// frame. Data goes one way: daemon, exams, verdict, views.

import { startAccount } from "./account.js";
import { showBanner, showEmptyBanner, showUnknownBanner } from "./banner.js";
import { getExam, getSlices } from "./daemon.js";
import { showDeliveries, startDeliveries } from "./deliveries.js";
import { byId, make, matchChildren, setAttribute, setHidden, setText } from "./dom.js";
import { Exams } from "./exams.js";
import { showFigures, showReport } from "./figures.js";
import { offerChangeOfInitials, showFlags } from "./flags.js";
import { oncePerFrame } from "./frame.js";
import { loadIcons } from "./icons.js";
import { showLesions, startLesions } from "./lesions.js";
import { showElsewhere, showList, startList } from "./list.js";
import { Look } from "./look.js";
import { forgetFigures, showOutcome } from "./outcome.js";
import { currentRole, startSession } from "./session.js";
import { Search } from "./search.js";
import { showSound, startSoundControls } from "./sound-controls.js";
import { tick } from "./sound.js";
import { Stack } from "./stack.js";
import { Strip } from "./strip.js";
import { linesOf, loadTexts, problemOf, say, setPhrase } from "./text.js";
import { startTheme } from "./theme.js";
import { askDeliveries, forgetDeliveries, showTimeline } from "./timeline.js";
import { hasVerdict, statements } from "./verdict.js";
import { Viewer } from "./viewer.js";
import { Notches, WHEEL_NOTCH_PX } from "./viewer-gestures.js";
import { Watch } from "./watch.js";
import { birthDate, clock, destination, personName, waiting } from "./words.js";

/** While slices come they are listed anew this often at most. */
const LIST_AGAIN_MS = 1_000;

addEventListener("error", showFault);
addEventListener("unhandledrejection", showFault);
await Promise.all([loadTexts(), loadIcons()]);

const writeSoon = oncePerFrame(writePage);
const exams = new Exams();
const watch = new Watch(exams, {
  changed: writeSoon,
  exam: takeExam,
  slab: takeSlab,
  status: mend,
  beat: tick,
  fetchMore,
});
const search = new Search(takeFound);
const stack = new Stack();
const look = new Look(exams, stack, writeViewSoon);
const viewer = new Viewer(look);
const strip = new Strip(look);
/** @type {Phrase | null} */ let detailsProblem = null;
let gap = { name: "", heartbeats: 0 };

// --- what the daemon tells -------------------------------------------------------------------------------------------

/** @param {string} exam @param {Slab} slab */
function takeSlab(exam, slab) {
  exams.takeSlab(exam, slab);
  if (exam === exams.shownKey) listSlicesSoon();
}

/** @param {Exam} exam @param {Exam | null} before */
function takeExam(exam, before) {
  if (exam.state === "complete") forgetFigures();
  // While more comes after a verdict there are many events, and one new report.
  const isNews = exam.state === "complete" || (hasVerdict(exam) && !(before?.key === exam.key && hasVerdict(before)));
  if (exam.key === exams.shownKey && isNews) {
    forgetDeliveries();
    fetchShownDetails();
  } else if (exam.key === exams.shownKey && exam.state !== "complete") {
    listSlicesSoon();
  }
}

/** The heartbeat is also the moment to mend: what is missing or failed is fetched again. */
function mend() {
  viewer.retry();
  if (detailsProblem || gapStays()) fetchShownDetails();
  else if (stack.problem) listSlicesSoon();
  askDeliveries(exams.shown, writeSoon);
}

/** A gap that is the same at two heartbeats is not just a slab on its way. It is mended once, not for ever. */
function gapStays() {
  const name = exams.gap;
  gap = { name, heartbeats: name === gap.name ? gap.heartbeats + 1 : 1 };
  return name !== "" && gap.heartbeats === 2;
}

/** @param {string} key */
async function fetchDetails(key) {
  exams.expectDetails(key);
  stack.expect(key);
  const askedAt = exams.now;
  exams.takeDetails(await getExam(key), askedAt);
  detailsProblem = null;
  listSlicesSoon();
  askDeliveries(exams.shown, writeSoon);
}

async function fetchMore() {
  if (exams.shownKey) await fetchShownDetails();
  forgetFigures();
  search.resume();
}

async function fetchShownDetails() {
  const key = exams.shownKey;
  try {
    if (key) await fetchDetails(key);
  } catch (error) {
    if (key === exams.shownKey) detailsProblem = { text: "page.slabs_not_loaded", parameters: { problem: problemOf(error) } };
  }
  writeSoon();
}

// The slices of the shown exam are listed once at a time: what happens meanwhile makes the list stale, and it is asked for again.
let listing = { busy: false, stale: false, since: 0 };

function listSlicesSoon() {
  listing.stale = true;
  if (listing.busy) return;
  listing.busy = true;
  setTimeout(listSlices, Math.max(0, listing.since + LIST_AGAIN_MS - performance.now()));
}

async function listSlices() {
  const key = exams.shownKey;
  listing.stale = false;
  try {
    stack.expect(key);
    if (key) stack.take(key, await getSlices(key));
  } catch (error) {
    if (key) stack.fail(key, problemOf(error));
  }
  listing = { ...listing, busy: false, since: performance.now() };
  // Another exam may have been chosen meanwhile.
  if (listing.stale || key !== exams.shownKey) listSlicesSoon();
  writeSoon();
}

// --- what the user asks ----------------------------------------------------------------------------------------------

/** @param {string | null} key */
function choose(key) {
  exams.chosenKey = key;
  detailsProblem = null;
  writeSoon();
}

function takeFound() {
  exams.takeFound(search.found);
  writeSoon();
}

/** With an answer, a flag has been acknowledged; without, an attempt has begun or failed. @param {Exam} [answer] @param {string} [flagId] */
function flagsChanged(answer, flagId) {
  if (answer && flagId) exams.takeAcknowledgement(answer, flagId);
  writeSoon();
}

function listenToUser() {
  byId("follow").addEventListener("click", () => choose(null));
  byId("back").addEventListener("click", () => choose(null));
  byId("towards-feet").addEventListener("click", () => look.moveBy(-1));
  byId("towards-head").addEventListener("click", () => look.moveBy(1));
  byId("worst").addEventListener("click", () => look.moveToWorst());
  byId("newest").addEventListener("click", () => look.follow());
  const series = byId("series", HTMLSelectElement);
  series.addEventListener("change", () => {
    stack.choose(series.value);
    writeSoon();
  });
  byId("frame").addEventListener("keydown", keyInViewer);
  byId("strip").addEventListener("keydown", key);
  byId("strip").addEventListener("wheel", wheel, { passive: false });
  startLesions(goToLesion);
  addEventListener("keydown", keyAnywhere);
  search.start(() => exams.list);
  startList(writeSoon);
  offerChangeOfInitials(flagsChanged);
  new ResizeObserver(writeSoon).observe(byId("strip"));
}

/** @param {KeyboardEvent} event */
function key(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (look.key(event.key)) event.preventDefault();
}

/** Left and right move the slab wherever nothing else wants the key; up and down are left to scrolling. @param {KeyboardEvent} event */
function keyAnywhere(event) {
  if (event.target === document.body && ["ArrowLeft", "ArrowRight"].includes(event.key)) key(event);
}

/** In the viewer keys also move, enlarge and change the window. @param {KeyboardEvent} event */
function keyInViewer(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (viewer.key(event.key, event.shiftKey)) event.preventDefault();
  else key(event);
}

const notches = new Notches(WHEEL_NOTCH_PX);

/** @param {WheelEvent} event */
function wheel(event) {
  if (event.ctrlKey || stack.slices.length === 0) return;
  event.preventDefault();
  const inPixels = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL;
  look.moveBy(-notches.add(inPixels ? event.deltaY : Math.sign(event.deltaY) * WHEEL_NOTCH_PX));
}

/** To the slice where the lesion is largest, with a frame about it. @param {Lesion} lesion */
function goToLesion(lesion) {
  viewer.mark(lesion);
  look.moveToZ(exams.slab(lesion.key_slab)?.z_mm ?? lesion.centre_mm[2]);
  byId("frame").scrollIntoView({ block: "nearest" });
}

// --- the page --------------------------------------------------------------------------------------------------------

/** Who scrolls through slices waits for the viewer alone. */
let writingView = false;

function writeViewSoon() {
  if (writingView) return;
  writingView = true;
  requestAnimationFrame(() => {
    writingView = false;
    if (exams.shown) writeView(exams.shown);
  });
}

function writePage() {
  const list = exams.list;
  const { shown, shownKey } = exams;
  if (shown && !exams.detailsBelong) fetchShownDetails();
  writeConnection();
  writeStatus();
  search.show(list);
  const [tableKey, now] = [exams.tableKey, Date.now() - watch.clockSkew.ahead * 1000];
  showList(search.listed(list, tableKey, now), { shownKey, tableKey, now }, choose);
  showElsewhere(list, shownKey, choose);
  showSound();
  if (shown) writeExam(shown);
  else writeNoExam();
  writeTitle(shown);
}

function writeConnection() {
  const { connection, lostSince } = watch;
  const live = connection === "live";
  setAttribute(document.body, "data-connection", live ? "live" : "lost");
  setAttribute(byId("connection"), "data-state", live ? "live" : "lost");
  setText(byId("connection"), say(`connection.${connection}`));
  setHidden(byId("lost"), connection !== "lost");
  setText(byId("lost"), connection === "lost" ? say("page.lost_since", { since: clock(lostSince) }) : "");
}

function writeStatus() {
  const { status, clockSkew } = watch;
  if (!status) return;
  const { title, host, port } = destination(status, location.hostname);
  setText(byId("version"), status.version);
  setText(byId("engine"), `${status.engine}, ${status.model}`);
  setText(byId("destination"), say("page.destination", { title, host, port }));
  const problems = linesOf(status.problem_phrases) ?? "";
  const sound = status.ready && problems === "";
  setHidden(byId("problems"), sound);
  setPhrase(byId("problems"), sound ? null : { text: status.ready ? "page.problems" : "page.not_ready", parameters: { problems } });
  const notices = linesOf([...clockSkew.notices(), ...status.notice_phrases]);
  setHidden(byId("notices"), notices === null);
  setPhrase(byId("notices"), notices);
  showDeliveries(status.destinations);
}

/** @param {Exam} exam */
function writeExam(exam) {
  const live = watch.connection === "live";
  setAttribute(byId("exam"), "data-key", exam.key);
  setAttribute(byId("exam"), "data-state", exam.state);
  writePatient(exam);
  showBanner(exam, statements(exam));
  showFlags(exam, live, flagsChanged);
  showOutcome(exam, live, writeSoon);
  showFigures(exam, exams.report);
  showReport(exam, exams.report, (z) => look.moveToZ(z));
  showTimeline(exam, hasVerdict(exam) ? exams.report : null);
  setAttribute(byId("frame"), "data-receiving", exam.state === "receiving");
  writeView(exam);
  setHidden(byId("newest"), exam.state !== "receiving");
  writeSeries();
}

/** All that changes with the slice that is looked at. @param {Exam} exam */
function writeView(exam) {
  const { slice, slab, place } = look;
  const grid = stack.gridOf(slice);
  const shown = slice && grid ? { key: exam.key, slice, grid, slab, place, slices: stack.slices } : null;
  viewer.show(exam.key, shown, whyNoPicture(exam));
  strip.show(exam, exams, slice, slab);
  showLesions(hasVerdict(exam) ? (exams.report?.lesions ?? null) : null, slice?.z_mm ?? null);
  setAttribute(byId("frame"), "data-following", look.following);
  setAttribute(byId("newest"), "aria-pressed", look.following);
}

function writeSeries() {
  const select = byId("series", HTMLSelectElement);
  setHidden(byId("series-choice"), stack.series.length < 2);
  const write = (/** @type {HTMLOptionElement} */ option, /** @type {import("./stack.js").Series} */ { name, label, slices }) => {
    option.value = name;
    setText(option, `${label} (${slices.length})`);
  };
  matchChildren(select, stack.series, ({ name }) => name, () => make("option"), write);
  if (stack.shown && select.value !== stack.shown.name) select.value = stack.shown.name;
}

/** @param {Exam} exam @returns {Phrase} */
function whyNoPicture(exam) {
  if (detailsProblem) return detailsProblem;
  if (stack.problem) return { text: "viewer.slices_not_listed", parameters: { problem: stack.problem } };
  return { text: exam.state === "receiving" ? "viewer.no_slice_yet" : "viewer.no_slices" };
}

/** @param {Exam} exam */
function writePatient(exam) {
  const { patient } = exam;
  setHidden(byId("patient"), false);
  setText(byId("patient-name"), personName(patient.name));
  const details = [
    patient.id && say("page.patient_id", { id: patient.id }),
    birthDate(patient.birth_date, exam.started),
    patient.sex,
    exam.description,
    exam.scanner,
    say("page.started", { time: clock(exam.started) }),
    waiting(exam),
  ];
  setText(byId("patient-details"), details.filter(Boolean).join(" · "));
  const following = exams.chosenKey === null;
  setHidden(byId("earlier"), following || exam.key === exams.newestKey);
  setAttribute(byId("follow"), "aria-pressed", following);
  setText(byId("follow"), say(following ? "page.following" : "page.follow"));
}

function writeNoExam() {
  setAttribute(byId("exam"), "data-key", "");
  setAttribute(byId("exam"), "data-state", "");
  setHidden(byId("patient"), true);
  const { status, connection } = watch;
  if (status && connection !== "connecting") showEmptyBanner(status);
  else showUnknownBanner();
}

/** @param {Exam | null} exam */
function writeTitle(exam) {
  const lost = watch.connection === "lost" ? say("page.connection_lost") : "";
  const state = exam ? say("page.title", { state: statements(exam)[0].badge, name: personName(exam.patient.name) }) : "";
  const title = [lost, state, "Tableside"].filter(Boolean).join(" · ");
  if (document.title !== title) document.title = title;
}

// --- faults of the console itself ------------------------------------------------------------------------------------

function showFault() {
  setHidden(byId("fault"), false);
}

startTheme();
listenToUser();
startDeliveries();
startSoundControls(() => exams.list, writeSoon);
writeSoon();
await startSession();
startAccount();
// A screen beside the scanner shows the view that is made for it.
if (currentRole() === "table") location.replace("table");
else watch.start();
