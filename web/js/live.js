// What the broker says once a second, kept for a while; and whether it is there at all. One for the whole dashboard.
import { get } from "./api.js";
import { keepStream } from "./stream.js";

const KEPT_MS = 15 * 60_000;
const PAST_EVERY_MS = 5000; // between two points of the broker's own history

const listeners = new Map(["stats", "state", "back"].map((name) => [name, new Set()]));

/** state: "connecting", "live" or "down". */
export const link = { state: "connecting" };

/** The samples of the last minutes, oldest first. Where this page did not look, they have what charts show, and no more. */
export const history = [];
let past = []; // what the broker has kept, until the next sample

/** on("stats", f): f(sample) each second; "state": the link changed; "back": it is live again after it was down. Returns how to end it. */
export function on(name, listener) {
  listeners.get(name).add(listener);
  return () => listeners.get(name).delete(listener);
}

function tell(name, what) {
  for (const listener of [...listeners.get(name)]) listener(what);
}

function change(state) {
  const before = link.state;
  if (before === state) return;
  link.state = state;
  tell("state", link);
  if (state === "live" && before === "down") tell("back");
}

// In the form of a sample.
const recalled = ({ time, messagesInPerSecond, messagesOutPerSecond, bytesInPerSecond, bytesOutPerSecond, requestsPerSecond, connections, produceP99, deliveryP99 }) => ({
  time, messagesInPerSecond, messagesOutPerSecond, bytesInPerSecond, bytesOutPerSecond, requestsPerSecond, connections: { open: connections },
  produceLatency: { p99: produceP99 }, deliveryLatency: { p99: deliveryP99 }, groupsBehind: null });

async function recall() {
  try {
    past = (await get("/history")).points;
  } catch {
    past = []; // the charts begin now
  }
}

// Into the gaps of what this page has seen.
function fillIn(points, until) {
  const seen = history.map(({ time }) => time);
  const missing = points.filter(({ time }) => time < until && !seen.some((at) => Math.abs(at - time) < PAST_EVERY_MS));
  history.push(...missing.map(recalled));
  history.sort((a, b) => a.time - b.time);
}

function keep(sample) {
  change("live");
  history.push(sample);
  if (past.length) fillIn(past.splice(0), sample.time);
  while (history[0].time < sample.time - KEPT_MS) history.shift();
  tell("stats", sample);
}

let stream;

/** Begins; from then on the link is kept. A page that nobody sees has none: it costs the broker nothing. */
export function start() {
  stream = keepStream({ url: () => "/api/v1/live", events: { overview: keep }, onOpen: recall, onLost: () => change("down") });
}

/** Tries at once. */
export const retryNow = () => stream.retry();
