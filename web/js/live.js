// What the broker says once a second, kept for a while; and whether it is there at all. One for the whole dashboard.
import { keepStream } from "./stream.js";

const KEPT_MS = 15 * 60_000;

const listeners = new Map(["stats", "state", "back"].map((name) => [name, new Set()]));

/** state: "connecting", "live" or "down". */
export const link = { state: "connecting" };

/** The samples of the last minutes, oldest first. */
export const history = [];

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

function keep(sample) {
  change("live");
  history.push(sample);
  while (history[0].time < sample.time - KEPT_MS) history.shift();
  tell("stats", sample);
}

let stream;

/** Begins; from then on the link is kept. A page that nobody sees has none: it costs the broker nothing. */
export function start() {
  stream = keepStream({ url: () => "/api/v1/live", events: { overview: keep }, onLost: () => change("down") });
}

/** Tries at once. */
export const retryNow = () => stream.retry();
