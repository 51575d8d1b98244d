// One record in full; and how one is produced.
import { get, path, post } from "../api.js";
import { h, icon } from "../dom.js";
import { bytes, count, moment } from "../format.js";
import { choice, field, form, openDialog } from "./dialog.js";
import { payloadBlock } from "./payload.js";
import { failed, toast, waiting } from "./say.js";
import { unseenHead } from "./table.js";

const about = (rows) => h("dl", { class: "facts" }, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));

// Browsers have a clipboard for pages of this machine (or over HTTPS) alone.
function copyButton(payload) {
  return h("button", { class: "button plain", type: "button", onclick: async () => {
    await navigator.clipboard.writeText(payload.text);
    toast("Copied.");
  } }, "Copy");
}

const part = (label, payload) => h("section", { class: "stack tight" }, h("div", { class: "row between" }, h("h3", {}, label,
  payload && h("span", { class: "hint" }, ` ${payload.format}, ${bytes(payload.sizeBytes)}`)), payload && navigator.clipboard && copyButton(payload)), payloadBlock(label, payload));

function content(record) {
  return [
    about([["Partition", String(record.partition)], ["Offset", count(record.offset)], [record.timestampType === "LogAppendTime" ? "Appended" : "Created", moment(record.timestamp)], ["Size", bytes(record.sizeBytes)]]),
    part("Key", record.key), part("Value", record.value),
    h("section", { class: "stack tight" }, h("h3", {}, record.headers.length ? "Headers" : "No headers"),
      record.headers.length > 0 && h("div", { class: "scroll-x", tabindex: 0, role: "region", "aria-label": "Headers" }, h("table", { class: "headers" },
        unseenHead("Headers", ["Name", "Value"]), h("tbody", {}, record.headers.map((header) =>
        h("tr", {}, h("th", { scope: "row" }, header.key), h("td", {}, h("code", {}, header.value === null ? "null" : header.value.text)))))))),
  ];
}

/** Opens a record of a topic. */
export function openRecord(topic, { partition, offset }) {
  const body = h("div", { class: "body" });
  async function fill() {
    body.replaceChildren(waiting("The record"));
    try {
      body.replaceChildren(...content(await get(path("topics", topic, "partitions", partition, "records", offset))));
    } catch (problem) {
      body.replaceChildren(failed(problem, fill));
    }
  }
  openDialog(`Record ${partition}:${offset}`, () => body, { wide: true });
  fill();
}

function headerRow(list) {
  const row = h("div", { class: "header-row" }, h("input", { class: "input", "aria-label": "Header's name", placeholder: "name" }), h("input", { class: "input", "aria-label": "Header's value", placeholder: "value" }),
    h("button", { class: "button plain", type: "button", "aria-label": "Remove this header", onclick: () => row.remove() }, icon("close")));
  list.append(row);
  row.firstChild.focus();
}

function isBrokenJson(text) {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return false;
  } catch {
    return true;
  }
}

/** A dialog that produces records to a topic, one at a time; it stays open for the next. */
export function openProduce(topic, partitions) {
  openDialog(`Produce to ${topic}`, (close) => {
    const key = field("Key", h("input", { autocomplete: "off", spellcheck: "false", placeholder: "none" }), "Records of one key go to one partition, in order.");
    const value = field("Value", h("textarea", { spellcheck: "false", rows: 6, oninput: () => {
      note.textContent = isBrokenJson(value.input.value) ? "This begins like JSON, but is none. It is sent as it stands." : "";
    } }));
    const note = h("p", { class: "hint", "aria-live": "polite" });
    const tombstone = h("label", { class: "check" }, h("input", { type: "checkbox", onchange: (event) => {
      value.input.disabled = event.target.checked;
    } }), "No value: deletes the key from a compacted topic");
    const partition = field("Partition", choice([["", "by the key"], ...Array.from({ length: partitions }, (_, n) => [String(n), String(n)])], ""));
    const headers = h("div", { class: "stack tight" });
    const made = form([key.element, value.element, note, tombstone, h("div", { class: "fields" }, partition.element), headers,
      h("div", {}, h("button", { class: "button", type: "button", onclick: () => headerRow(headers) }, icon("plus"), "Add a header"))], { action: "Produce", close, send: async () => {
      const record = { key: key.input.value || null, value: value.input.disabled ? null : value.input.value,
        headers: [...headers.children].map((row) => ({ key: row.children[0].value, value: row.children[1].value })).filter((header) => header.key) };
      if (partition.input.value) record.partition = Number(partition.input.value);
      const written = await post(`${path("topics", topic)}/records`, record);
      toast(`Written to partition ${written.partition} at offset ${written.offset}.`);
    } });
    return made.element;
  });
}
