// All records of a topic from a time on, and then what comes: pages of the records API, one after the other.
import { get, path } from "../api.js";

const PAGE = 1000;
const VALUE_BYTES = 16_384; // what is longer is cut, and then no JSON
const EVERY_MS = 1000;
const RETRY_MS = 3000;
const AT_ONCE = 2; // requests, of all charts together: the rest of the dashboard wants to ask, too

let asking = 0;
const queue = [];

async function inTurn(ask) {
  if (asking >= AT_ONCE) await new Promise((go) => queue.push(go));
  asking++;
  try {
    return await ask();
  } finally {
    asking--;
    queue.shift()?.();
  }
}

const rest = (ms, signal) => new Promise((done) => {
  const timer = setTimeout(done, ms);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    done();
  }, { once: true });
});

/** Calls take(record) for each, and state({ problem, atEnd, until, missing }) after each page; missing: the partitions that are off line. Ends with `signal`. */
export async function readFrom(topic, fromMs, { take, state, signal }) {
  let cursor = null;
  const next = new Map(); // partition -> the offset that is to come: a page may be asked for again
  while (!signal.aborted) {
    try {
      const answer = await inTurn(() => get(`${path("topics", topic)}/records`, { signal,
        query: { limit: PAGE, maxBytes: VALUE_BYTES, ...(cursor ? { cursor } : { from: `time:${Math.floor(fromMs)}`, direction: "forward" }) } }));
      cursor = answer.cursor ?? cursor;
      for (const record of answer.records) {
        if (record.offset < (next.get(record.partition) ?? 0)) continue;
        next.set(record.partition, record.offset + 1);
        take(record);
      }
      const atEnd = answer.stoppedBy === "end";
      state({ atEnd, until: answer.records.at(-1)?.timestamp, missing: answer.partitionsMissing });
      if (atEnd) await rest(EVERY_MS, signal);
      while (document.hidden && !signal.aborted) await rest(EVERY_MS, signal);
    } catch (problem) {
      if (signal.aborted) return;
      state({ problem, atEnd: false });
      await rest(RETRY_MS, signal);
    }
  }
}
