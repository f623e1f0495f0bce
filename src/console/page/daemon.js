// The way to the daemon: requests, and the stream of events.

import { EventStream } from "./stream.js";
import { Problem } from "./text.js";

const REQUEST_LIMIT_MS = 10_000;

/** Paths have no leading slash: they hold below whatever path a proxy puts the console. @param {string} path @param {RequestInit} options */
export async function request(path, options = {}) {
  const response = await fetch(path, { ...options, cache: "no-store", signal: AbortSignal.timeout(REQUEST_LIMIT_MS) }).catch(() => {
    throw new Problem({ text: "page.no_answer" });
  });
  const body = await response.json().catch(() => null);
  if (!response.ok || body === null) throw refusal(response.status, body);
  return body;
}

/** What the daemon answered instead of what was asked for. @param {number} status @param {{ error?: string, phrase?: Phrase } | null} body */
export function refusal(status, body) {
  const words = body?.error ? { english: body.error } : { text: "page.answered", parameters: { status } };
  return new Problem(body?.phrase ?? words);
}

const examPath = (/** @type {string} */ key) => `api/v1/exams/${encodeURIComponent(key)}`;

/** What changes something: JSON, as the daemon wants it. @param {string} method @param {object} body */
export const asJson = (method, body) => ({ method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

/** @returns {Promise<Session>} */
export const getSession = () => request("api/v1/session");
/** @param {{ name: string, password: string } | { kiosk: string }} credentials */
export const beginSession = (credentials) => request("api/v1/session", asJson("POST", credentials));
export const endSession = () => request("api/v1/session", { method: "DELETE" });
/** @param {{ token: string, name: string, shown_as: string, password: string }} account */
export const setUp = (account) => request("api/v1/setup", asJson("POST", account));

/** @returns {Promise<DaemonStatus>} */
export const getStatus = () => request("api/v1/status");
/** @returns {Promise<Exam[]>} */
export const getExams = async () => (await request("api/v1/exams")).exams;
/** Exams that the database has, newest first. @param {Record<string, string>} query @returns {Promise<{ exams: Exam[], more: boolean }>} */
export const findExams = (query) => request(`api/v1/exams?${new URLSearchParams(query)}`);
/** Each issue of the report gets what it says, which comes beside the report. @param {string} key @returns {Promise<{ exam: Exam, slabs: Slab[], report: Report | null }>} */
export async function getExam(key) {
  const { issue_phrases: phrases, ...details } = await request(examPath(key));
  details.report?.quality.forEach((/** @type {QualityIssue} */ issue, /** @type {number} */ at) => (issue.phrase = phrases[at]));
  return details;
}
/** @param {string} key @returns {Promise<SliceList>} */
export const getSlices = (key) => request(`${examPath(key)}/slices`);
/** @param {string} key @returns {Promise<Delivery[]>} */
export const getDeliveries = async (key) => (await request(`${examPath(key)}/deliveries`)).deliveries;

/** @param {string} key @param {string} flagId @param {string} by @returns {Promise<Exam>} */
export function acknowledge(key, flagId, by) {
  return request(`${examPath(key)}/flags/${encodeURIComponent(flagId)}/acknowledge`, asJson("POST", { by }));
}

/** @param {string} key @param {string} outcome @param {string} by @returns {Promise<Exam>} */
export const recordOutcome = (key, outcome, by) => request(`${examPath(key)}/outcome`, asJson("POST", { outcome, by }));
/** @returns {Promise<OutcomeFigures>} */
export const getOutcomes = () => request("api/v1/outcomes");

/** @param {"retry" | "drop"} what @param {string} destination */
export const decideDeliveries = (what, destination) =>
  request(`api/v1/outbox/${what}`, asJson("POST", { destination }));

/**
 * What the daemon tells: `tell` gets each message of `EventStream`. All tabs share one stream where the browser lets them.
 * @param {(message: import("./stream.js").Message) => void} tell
 */
export function openStream(tell) {
  if (typeof SharedWorker === "undefined") return void new EventStream(tell);
  const { port } = new SharedWorker(new URL("stream-worker.js", import.meta.url), { type: "module" });
  port.onmessage = ({ data }) => tell(data);
  // Going back to a page that a browser kept begins it anew.
  addEventListener("pagehide", () => port.postMessage("goes"));
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
}
