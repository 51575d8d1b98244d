// Keys, values and headers of records, as a person reads them.
import { h } from "../dom.js";
import { bytes } from "../format.js";

const COLORED_MOST = 200_000; // characters; more is shown plain
const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null)/g;

/** One line of a payload, for a table. */
export function line(payload) {
  if (payload === null) return "null";
  return payload.text.length > 400 ? `${payload.text.slice(0, 400)}…` : payload.text;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // cut, or numbers beyond what JSON.parse keeps: as it is
  }
}

// Numbers that lose digits in JavaScript must not be shown changed.
const exact = (text) => !/\d{16,}/.test(text);

function colored(text) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(TOKEN)) {
    const [whole, string, colon, number] = found;
    parts.push(text.slice(at, found.index), h("span", { class: string ? (colon ? "j-name" : "j-text") : number ? "j-number" : "j-word" }, string && colon ? string : whole));
    if (string && colon) parts.push(colon);
    at = found.index + whole.length;
  }
  return [...parts, text.slice(at)];
}

/** A payload in full. */
export function payloadBlock(label, payload) {
  if (payload === null) return h("pre", { class: "payload", tabindex: 0, role: "region", "aria-label": label }, h("span", { class: "j-word" }, "null"));
  const shown = payload.format === "json" && exact(payload.text) ? pretty(payload.text) : payload.text;
  return h("pre", { class: "payload", tabindex: 0, role: "region", "aria-label": label },
    payload.format === "json" && shown.length <= COLORED_MOST ? colored(shown) : shown || h("span", { class: "hint" }, "(empty)"),
    payload.truncated && h("p", { class: "hint" }, `Cut here; the whole has ${bytes(payload.sizeBytes)}.`));
}
