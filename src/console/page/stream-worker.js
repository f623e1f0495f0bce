// One stream of events for all tabs of a browser: it opens six connections to a place, and a stream keeps one for itself.

import { EventStream } from "./stream.js";

/** @type {Set<MessagePort>} */
const tabs = new Set();
/** @type {import("./stream.js").Message} */
let connection = { name: "lost" };
/** @type {import("./stream.js").Message | null} */
let status = null;

new EventStream((message) => {
  if (message.name === "opened" || message.name === "lost") connection = message;
  if (message.name === "status") status = message;
  for (const tab of tabs) tab.postMessage(message);
});

addEventListener("connect", (event) => {
  const [tab] = /** @type {MessageEvent} */ (event).ports;
  tabs.add(tab);
  // A tab says when it goes: ports do not.
  tab.onmessage = () => tabs.delete(tab);
  if (connection.name !== "opened") return;
  tab.postMessage({ name: "opened", resumed: false });
  if (status) tab.postMessage(status);
});
