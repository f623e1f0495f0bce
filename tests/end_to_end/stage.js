// In place of a daemon that tells of exams: the same requests and events, with what a test has staged. The page's files, and its
// texts, come from a real one.
(() => {
  const { session, status, exams, now } = STAGED;
  const answers = { "api/v1/session": session, "api/v1/status": status, "api/v1/exams": { exams } };
  const ask = window.fetch;
  const aboutExam = ([, , , key, what]) => {
    const exam = exams.find((exam) => exam.key === key);
    return exam && { exam, slabs: [], report: null, grids: [], slices: [], deliveries: [], what };
  };
  let isLost = false;
  window.fetch = async (path, options) => {
    if (!String(path).startsWith("api/")) return ask(path, options);
    if (isLost) throw new TypeError("the daemon is gone");
    if (String(path).endsWith("/acknowledge")) return new Response(JSON.stringify(window.acknowledged), { status: 200 });
    const about = answers[path] ?? aboutExam(String(path).split("/"));
    return new Response(JSON.stringify(about ?? { error: "not staged" }), { status: about ? 200 : 404 });
  };
  // What is played is written down: a burst is one oscillator.
  window.bursts = [];
  const Oscillator = window.OscillatorNode;
  window.OscillatorNode = class extends Oscillator {
    constructor(into, options) {
      super(into, options);
      if (into instanceof AudioContext) window.bursts.push(Math.round(options.frequency));
    }
  };
  window.SharedWorker = undefined;
  const sources = new Set();
  window.EventSource = class extends EventTarget {
    constructor() {
      super();
      sources.add(this);
      setTimeout(() => this.tell("begin", { resumed: false }));
      this.beats = setInterval(() => this.tell("beat", { now: now ?? new Date().toISOString() }), 250);
    }
    tell(name, data) {
      if (isLost) this.dispatchEvent(new Event("error"));
      else this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(data), lastEventId: "1-1" }));
    }
    close() {
      clearInterval(this.beats);
      sources.delete(this);
    }
  };
  /** Tells the page of an event, as the daemon would. */
  window.tell = (name, data) => sources.forEach((source) => source.tell(name, data));
  window.loseDaemon = () => {
    isLost = true;
    window.tell("beat", {});
  };
})();
