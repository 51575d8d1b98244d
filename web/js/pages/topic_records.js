// The records of a topic: as they come (a tail with a filter and a pause), or from a place on.
import { get, path } from "../api.js";
import { h, icon, text } from "../dom.js";
import { bytes, clock, count, moment, plural } from "../format.js";
import { choice, field } from "../parts/dialog.js";
import { segments } from "../parts/head.js";
import { line } from "../parts/payload.js";
import { openRecord } from "../parts/record.js";
import { empty, failed } from "../parts/say.js";
import { dataTable } from "../parts/table.js";
import { keepStream } from "../stream.js";

const KEPT = 500; // records of a tail
const FIRST = 50; // of what is there already
const PAGE = 100;
const SHOWN_BYTES = 1024; // of a key or value in a row
const TYPING_MS = 300;

const newestFirst = (a, b) => b.timestamp - a.timestamp || a.partition - b.partition || b.offset - a.offset;
const place = ({ partition, offset }) => `${partition}:${offset}`;

function columns(topic, whole) {
  return [
    { name: "Time", width: whole ? "13.5rem" : "7rem", show: (record) => ({ text: (whole ? moment : clock)(record.timestamp), press: () => openRecord(topic, record) }) },
    { name: "Place", width: "8rem", num: true, wide: true, show: place },
    { name: "Key", width: "22%", wide: true, mono: true, show: (record) => line(record.key) },
    { name: "Value", mono: true, show: (record) => line(record.value) },
    { name: "Size", width: "6rem", num: true, wide: true, show: (record) => bytes(record.sizeBytes) },
  ];
}

// What is looked for, in the words of the API.
const query = (filter) => ({ partition: filter.partition, contains: filter.contains, ...(filter.field && filter.equals && { field: filter.field, equals: filter.equals }), maxBytes: SHOWN_BYTES });

// What is off line, in words; nothing where all is there.
function without(missing) {
  if (!missing.length) return "";
  const which = missing.map(({ partition }) => partition).join(", ");
  return missing.length === 1 ? `Partition ${which} is off line: its records are missing here.` : `The partitions ${which} are off line: their records are missing here.`;
}

/** As they come. */
function tail(topic, filter, say, lack) {
  const nothing = empty("No record yet", "Records appear here as they are produced.");
  const table = dataTable({ caption: "Records as they come, the newest first", key: place, nothing, columns: columns(topic, false) });
  const known = new Set();
  let kept = [], held = [], paused = false, planned = 0, skipped = 0;
  const ending = new AbortController();

  function draw() {
    planned = 0;
    table.show(kept);
    say(paused ? `Paused; ${plural(held.length, "new record")} waiting` : skipped ? `${plural(skipped, "record")} left out: more came than one can read` : "");
  }

  const plan = () => {
    planned ||= requestAnimationFrame(draw);
  };

  function add(record) {
    if (known.has(place(record))) return;
    known.add(place(record));
    if (paused) held = [record, ...held].slice(0, KEPT);
    else keepNew([record]);
    plan();
  }

  function keepNew(records) {
    kept = [...records, ...kept];
    for (const gone of kept.splice(KEPT)) known.delete(place(gone));
  }

  // What is there already, each time that the stream is open, so also what came while it was not; or why it cannot be had.
  async function fill() {
    try {
      const { records, partitionsMissing } = await get(`${path("topics", topic)}/records`, { signal: ending.signal, query: { ...query(filter), limit: FIRST } });
      lack(without(partitionsMissing));
      const missed = records.filter((record) => !known.has(place(record)));
      missed.forEach((record) => known.add(place(record)));
      if (paused) held = [...held, ...missed].sort(newestFirst).slice(0, KEPT);
      else keepNew(missed);
      kept.sort(newestFirst);
      draw();
    } catch (problem) {
      if (!ending.signal.aborted && !problem.unreachable) {
        nothing.replaceChildren(failed(problem, fill));
        say(problem.message);
      }
    }
  }

  const asked = new URLSearchParams(Object.entries(query(filter)).filter(([, value]) => value !== undefined && value !== ""));
  const stream = keepStream({ resume: true, url: () => `/api/v1${path("topics", topic)}/tail?${asked}`, onOpen: fill, onLost: fill, events: { record: add, skipped: (more) => {
    skipped += more.records;
    plan();
  }, missing: ({ partitions }) => {
    lack(without(partitions));
    if (!partitions.length) fill();
  } } });
  return { element: table.element, pause(on) {
    paused = on;
    if (!paused) keepNew(held.splice(0));
    draw();
  }, destroy() {
    ending.abort();
    stream.close();
    cancelAnimationFrame(planned);
    table.destroy();
  } };
}

/** From a place on, a page at a time. */
function browse(topic, filter, from, say, lack) {
  const nothing = empty("No record fits", "Loosen the filter, or begin elsewhere.");
  const table = dataTable({ caption: "Records", key: place, nothing, columns: columns(topic, true) });
  const ending = new AbortController();
  let kept = [], cursor = null, scanned = 0;
  const more = h("button", { class: "button", type: "button", hidden: true, onclick: next }, "More");
  const wrong = h("div");

  async function next() {
    more.disabled = true;
    wrong.replaceChildren();
    try {
      const answer = await get(`${path("topics", topic)}/records`, { signal: ending.signal, query: { ...query(filter), limit: PAGE, ...(cursor ? { cursor } : { from }) } });
      kept = [...kept, ...answer.records];
      cursor = answer.cursor;
      scanned += answer.scannedRecords;
      table.show(kept);
      more.hidden = cursor === null || answer.stoppedBy === "end";
      lack(without(answer.partitionsMissing));
      say(`${plural(kept.length, "record")} found in ${count(scanned)} read${more.hidden ? "; that is all" : ""}`);
    } catch (problem) {
      if (!ending.signal.aborted) wrong.replaceChildren(failed(problem, next));
    }
    more.disabled = false;
  }

  next();
  return { element: h("div", { class: "stack" }, table.element, wrong, h("div", { class: "row" }, more)), pause() {}, destroy() {
    ending.abort();
    table.destroy();
  } };
}

const PLACES = [["end", "the newest"], ["earliest", "the oldest"], ["time", "a time"], ["offset", "an offset"]];

function placeOf(kind, value) {
  if (kind === "time") return value ? `time:${new Date(value).getTime()}` : "end";
  return kind === "offset" ? `offset:${Number(value) || 0}` : kind;
}

/** The tab. */
export function records(context, found) {
  const filter = { partition: "", contains: "", field: "", equals: "" };
  let mode = "tail", kind = "end", where = "", view = null, timer = 0;
  const note = h("span", { class: "hint" }), lacking = h("p", { class: "wrong", role: "status" }), holder = h("div");
  const again = () => {
    clearTimeout(timer);
    timer = setTimeout(start, TYPING_MS);
  };
  const typed = (name, placeholder) => h("input", { type: "search", placeholder, autocomplete: "off", spellcheck: "false", oninput: (event) => {
    filter[name] = event.target.value;
    if (name !== "equals" || filter.field) again();
  } });
  const pause = h("button", { class: "button", type: "button", "aria-pressed": "false", onclick: () => {
    const on = pause.getAttribute("aria-pressed") === "false";
    pause.setAttribute("aria-pressed", String(on));
    pause.replaceChildren(icon(on ? "play" : "pause"), on ? "Go on" : "Pause");
    view.pause(on);
  } }, icon("pause"), "Pause");
  const at = h("input", { "aria-label": "Where", oninput: () => {
    where = at.value;
    again();
  } });
  const fromField = field("Begin at", choice(PLACES, kind, (chosen) => {
    kind = chosen;
    at.type = kind === "time" ? "datetime-local" : "number";
    atField.element.hidden = kind !== "time" && kind !== "offset";
    at.value = where = "";
    again();
  }));
  const atField = field("Where", at);

  function start() {
    view?.destroy();
    pause.setAttribute("aria-pressed", "false");
    pause.replaceChildren(icon("pause"), "Pause");
    pause.hidden = mode !== "tail";
    if (mode === "tail") note.removeAttribute("role"); // it counts what comes: nobody wants to hear that
    else note.setAttribute("role", "status");
    fromField.element.hidden = mode === "tail";
    atField.element.hidden = mode === "tail" || (kind !== "time" && kind !== "offset");
    const say = (words) => text(note, words), lack = (words) => text(lacking, words);
    say("");
    lack("");
    view = mode === "tail" ? tail(found.name, filter, say, lack) : browse(found.name, filter, placeOf(kind, where), say, lack);
    holder.replaceChildren(view.element);
  }

  const element = h("div", { class: "stack" },
    h("div", { class: "row" }, segments("What is shown", [["tail", "Live tail"], ["browse", "Browse"]], mode, (chosen) => {
      mode = chosen;
      start();
    }), pause, note, lacking),
    h("div", { class: "fields" },
      field("Contains", typed("contains", "any text in key or value")).element,
      field("JSON field", typed("field", "customer.country")).element,
      field("equals", typed("equals", "DE")).element,
      field("Partition", choice([["", "all"], ...found.partitions.map((p) => [String(p.partition), String(p.partition)])], "", (chosen) => {
        filter.partition = chosen;
        start();
      })).element, fromField.element, atField.element),
    holder);
  context.onLeave(() => {
    clearTimeout(timer);
    view?.destroy();
  });
  start();
  return { element, show() {} };
}
