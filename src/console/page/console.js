// The console: what the daemon tells goes into `exams` and `status`, and the page is written from those, at most once a
// frame. Data goes one way: daemon, exams, verdict, views.

import { showBanner, showEmptyBanner, showUnknownBanner } from "./banner.js";
import { EventStream, getExam, getExams, getStatus } from "./daemon.js";
import { showDeliveries, startDeliveries } from "./deliveries.js";
import { byId, setAttribute, setHidden, setText } from "./dom.js";
import { Exams } from "./exams.js";
import { showFigures, showReport } from "./figures.js";
import { offerChangeOfInitials, showFlags } from "./flags.js";
import { showElsewhere, showList } from "./list.js";
import { Look } from "./look.js";
import { Picture } from "./picture.js";
import { recall, remember } from "./remember.js";
import { checkSession, seesExams, startSession } from "./session.js";
import { soundAlarms, startSound } from "./sound.js";
import { Strip } from "./strip.js";
import { hasVerdict, statements } from "./verdict.js";
import { birthDate, clock, destination, personName, waiting } from "./words.js";

/** A hidden page has no frames, but its title and its alarms must go on. */
const HIDDEN_PAGE_MS = 250;
const THEME = "tableside.theme";
const CONNECTION_WORDS = { connecting: "Connecting", live: "Live", lost: "Lost" };

const exams = new Exams();
const look = new Look(exams, writeSoon);
const picture = new Picture();
const strip = new Strip(look);
let status = null;
let connection = "connecting";
let lostSince = null;
/** Counts openings of the stream: an answer to an older opening is out of date. */
let opening = 0;
let detailsProblem = "";
let gap = { name: "", heartbeats: 0 };

// --- what the daemon tells -------------------------------------------------------------------------------------------

function startStream() {
  const stream = new EventStream({
    opened: () => fetchEverything(stream),
    exam: takeExam,
    slab: ({ exam, slab }) => {
      exams.takeSlab(exam, slab);
      writeSoon();
    },
    status: takeStatus,
    lost: () => {
      if (connection !== "lost") lostSince = new Date();
      connection = "lost";
      opening += 1;
      checkSession();
      writeSoon();
    },
  });
}

async function fetchEverything(stream) {
  const mine = ++opening;
  const askedAt = exams.now;
  try {
    const [newStatus, list] = await Promise.all([getStatus(), seesExams() ? getExams() : []]);
    if (mine !== opening) return;
    status = newStatus;
    exams.takeAll(list, askedAt);
    if (exams.shownKey) await fetchShownDetails();
    if (mine !== opening) return;
    connection = "live";
    writeSoon();
  } catch {
    if (mine === opening) stream.fail();
  }
}

function takeExam(exam) {
  const before = exams.shown;
  exams.takeExam(exam);
  // While more comes after a verdict there are many events, and one new report.
  const isNews = exam.state === "complete" || (hasVerdict(exam) && !(before?.key === exam.key && hasVerdict(before)));
  if (exam.key === exams.shownKey && isNews) fetchShownDetails();
  writeSoon();
}

/** The heartbeat is also the moment to mend: what is missing or failed is fetched again. */
function takeStatus(newStatus) {
  status = newStatus;
  picture.retry();
  if (detailsProblem || gapStays()) fetchShownDetails();
  writeSoon();
}

/** A gap that is the same at two heartbeats is not just a slab on its way. It is mended once, not for ever. */
function gapStays() {
  const name = exams.gap;
  gap = { name, heartbeats: name === gap.name ? gap.heartbeats + 1 : 1 };
  return name !== "" && gap.heartbeats === 2;
}

async function fetchDetails(key) {
  exams.expectDetails(key);
  const askedAt = exams.now;
  exams.takeDetails(await getExam(key), askedAt);
  detailsProblem = "";
}

async function fetchShownDetails() {
  const key = exams.shownKey;
  try {
    await fetchDetails(key);
  } catch (error) {
    if (key === exams.shownKey) detailsProblem = `The slabs cannot be loaded: ${error.message}`;
  }
  writeSoon();
}

// --- what the user asks ----------------------------------------------------------------------------------------------

function choose(key) {
  exams.chosenKey = key;
  detailsProblem = "";
  writeSoon();
}

/** With an answer, a flag has been acknowledged; without, an attempt has begun or failed. */
function flagsChanged(answer, flagId) {
  if (answer) exams.takeAcknowledgement(answer, flagId);
  writeSoon();
}

function listenToUser() {
  byId("follow").addEventListener("click", () => choose(null));
  byId("back").addEventListener("click", () => choose(null));
  byId("towards-feet").addEventListener("click", () => look.moveBy(-1));
  byId("towards-head").addEventListener("click", () => look.moveBy(1));
  byId("worst").addEventListener("click", () => look.moveToWorst());
  byId("newest").addEventListener("click", () => look.follow());
  for (const kind of ["lesion", "lung"]) {
    byId(`show-${kind}`).addEventListener("change", ({ target }) => {
      byId(`${kind}-outline`).classList.toggle("off", !target.checked);
    });
  }
  for (const part of [byId("frame"), byId("strip")]) {
    part.addEventListener("wheel", wheel, { passive: false });
    part.addEventListener("keydown", key);
  }
  addEventListener("keydown", keyAnywhere);
  offerChangeOfInitials(flagsChanged);
  new ResizeObserver(writeSoon).observe(byId("strip"));
}

function startTheme() {
  const use = (theme) => {
    setAttribute(document.documentElement, "data-theme", theme);
    setAttribute(byId("theme"), "aria-pressed", theme === "light");
    remember(THEME, theme);
  };
  use(recall(THEME) || "dark");
  const other = () => (document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  byId("theme").addEventListener("click", () => use(other()));
}

function key(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (look.key(event.key)) event.preventDefault();
}

/** Left and right move the slab wherever nothing else wants the key; up and down are left to scrolling. */
function keyAnywhere(event) {
  if (event.target === document.body && ["ArrowLeft", "ArrowRight"].includes(event.key)) key(event);
}

function wheel(event) {
  if (event.ctrlKey || exams.slabs.length === 0) return;
  event.preventDefault();
  look.wheel(event);
}

// --- the page --------------------------------------------------------------------------------------------------------

let writing = false;

function writeSoon() {
  if (writing) return;
  writing = true;
  const write = () => {
    writing = false;
    writePage();
  };
  if (document.hidden) setTimeout(write, HIDDEN_PAGE_MS);
  else requestAnimationFrame(write);
}

function writePage() {
  const list = exams.list;
  const { shown, shownKey } = exams;
  if (shown && !exams.detailsBelong) fetchShownDetails();
  writeConnection();
  writeStatus();
  showList(list, shownKey, choose);
  showElsewhere(list, shownKey, choose);
  soundAlarms(list);
  if (shown) writeExam(shown);
  else writeNoExam();
  writeTitle(shown);
}

function writeConnection() {
  const live = connection === "live";
  setAttribute(document.body, "data-connection", live ? "live" : "lost");
  setAttribute(byId("connection"), "data-state", live ? "live" : "lost");
  setText(byId("connection"), CONNECTION_WORDS[connection]);
  setHidden(byId("lost"), connection !== "lost");
  const words = `Connection to Tableside lost: what you see is not current\nSince ${clock(lostSince)}, trying again`;
  setText(byId("lost"), connection === "lost" ? words : "");
}

function writeStatus() {
  if (!status) return;
  const { title, host, port } = destination(status, location.hostname);
  setText(byId("version"), status.version);
  setText(byId("engine"), `${status.engine}, ${status.model}`);
  setText(byId("destination"), `${title} at ${host} port ${port}`);
  const lead = status.ready ? "Tableside has a problem:" : "Tableside is not ready: slices sent now are not analysed.";
  const sound = status.ready && status.problems.length === 0;
  setHidden(byId("problems"), sound);
  setText(byId("problems"), sound ? "" : [lead, ...status.problems].join("\n"));
  setHidden(byId("notices"), status.notices.length === 0);
  setText(byId("notices"), status.notices.join("\n"));
  showDeliveries(status.destinations);
}

function writeExam(exam) {
  const { slab } = look;
  const live = connection === "live";
  setAttribute(byId("exam"), "data-key", exam.key);
  setAttribute(byId("exam"), "data-state", exam.state);
  writePatient(exam);
  showBanner(exam, statements(exam));
  showFlags(exam, live, flagsChanged);
  showFigures(exam, exams.report);
  showReport(exam, exams.report);
  picture.show(exam.key, slab, Picture.neighbours(exams.slabs, slab), whyNoPicture(exam));
  strip.show(exam, exams, slab);
  setAttribute(byId("frame"), "data-following", look.following);
  setAttribute(byId("newest"), "aria-pressed", look.following);
  setHidden(byId("newest"), exam.state !== "receiving");
}

function whyNoPicture(exam) {
  if (detailsProblem) return detailsProblem;
  if (exam.slabs > 0) return "Loading";
  return exam.state === "receiving" ? "No slab yet" : "No slabs";
}

function writePatient(exam) {
  const { patient } = exam;
  setHidden(byId("patient"), false);
  setText(byId("patient-name"), personName(patient.name));
  const details = [
    patient.id && `ID ${patient.id}`,
    birthDate(patient.birth_date, exam.started),
    patient.sex,
    exam.description,
    exam.scanner,
    `started ${clock(exam.started)}`,
    waiting(exam),
  ];
  setText(byId("patient-details"), details.filter(Boolean).join(" · "));
  const following = exams.chosenKey === null;
  setHidden(byId("earlier"), following || exam.key === exams.newestKey);
  setAttribute(byId("follow"), "aria-pressed", following);
  setText(byId("follow"), following ? "Following the newest" : "Follow the newest");
}

function writeNoExam() {
  setAttribute(byId("exam"), "data-key", "");
  setAttribute(byId("exam"), "data-state", "");
  setHidden(byId("patient"), true);
  if (status && connection !== "connecting") showEmptyBanner(status);
  else showUnknownBanner();
}

function writeTitle(exam) {
  const lost = connection === "lost" ? "Connection lost" : "";
  const state = exam ? `${statements(exam)[0].badge}: ${personName(exam.patient.name)}` : "";
  setText(document.querySelector("title"), [lost, state, "Tableside"].filter(Boolean).join(" · "));
}

// --- faults of the console itself ------------------------------------------------------------------------------------

function showFault() {
  setText(byId("fault"), "The console has a fault: what you see may not be current. Reload the page.");
  setHidden(byId("fault"), false);
}

addEventListener("error", showFault);
addEventListener("unhandledrejection", showFault);
document.addEventListener("visibilitychange", () => {
  writing = false;
  writeSoon();
});

startTheme();
listenToUser();
startDeliveries();
startSound();
writeSoon();
startSession().then(startStream);
