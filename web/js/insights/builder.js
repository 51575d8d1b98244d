// The form in which a chart is put together; what it comes to is drawn beside it at once.
import { get, path } from "../api.js";
import { h, icon, unique } from "../dom.js";
import { choice, field } from "../parts/dialog.js";
import { empty, toast } from "../parts/say.js";
import { describe, insightChart } from "./chart.js";
import { MEASURES, WINDOWS } from "./measure.js";

const TYPING_MS = 400;
const SAMPLED = 20; // records that are looked at for the names of fields
const DEEPEST = 4;

function fieldsOf(value, prefix, into, depth = 0) {
  if (value === null || typeof value !== "object" || depth >= DEEPEST) return;
  for (const [name, inner] of Object.entries(value)) {
    const at = prefix ? `${prefix}.${name}` : name;
    if (inner !== null && typeof inner === "object") fieldsOf(inner, at, into, depth + 1);
    else into.add(at);
  }
}

async function fieldsOfTopic(topic, signal) {
  const found = new Set();
  const { records } = await get(`${path("topics", topic)}/records`, { signal, query: { limit: SAMPLED } });
  for (const { value } of records) {
    if (value?.format !== "json" || value.truncated) continue;
    fieldsOf(JSON.parse(value.text), "", found);
  }
  return [...found].sort();
}

/** builder({ signal, names, keep(chart) }): { element, destroy }. names: of the topics that there are. */
export function builder({ signal, names, keep }) {
  const topics = h("datalist", { id: unique("topics") }, names.map((value) => h("option", { value }))), fields = h("datalist", { id: unique("fields") });
  const topic = field("Topic", h("input", { list: topics.id, autocomplete: "off", spellcheck: "false", placeholder: "orders" }), "Whose records are JSON, or to be counted.");
  const measure = field("Measure", choice(Object.entries(MEASURES).map(([value, [words]]) => [value, words]), "count", change));
  const of = field("Field", h("input", { list: fields.id, autocomplete: "off", spellcheck: "false", placeholder: "amount" }), "Dots lead inwards: customer.country");
  const by = field("By the sum of", h("input", { list: fields.id, autocomplete: "off", spellcheck: "false", placeholder: "amount" }), "Numbers. Empty: by how many records there are.");
  const span = field("Time", choice(WINDOWS, "300", change));
  const title = field("Title", h("input", { autocomplete: "off", placeholder: "made from the above" }));
  const holder = h("div", {}, empty("Pick a topic", "Its records are drawn here as they come."));
  const keepButton = h("button", { class: "button primary", type: "button", disabled: true, onclick: async () => {
    keepButton.disabled = true;
    try {
      await keep(chart());
    } catch (problem) {
      toast(problem.message, "bad");
    }
    keepButton.disabled = false;
  } }, icon("plus"), "Keep on the board");
  let view = null, timer = 0, known = null;

  function chart() {
    const made = { id: crypto.getRandomValues(new Uint32Array(2)).join("-"), topic: topic.input.value.trim(), measure: measure.input.value, windowSeconds: Number(span.input.value),
      ...(MEASURES[measure.input.value][1] && { field: of.input.value.trim() }),
      ...(measure.input.value === "top" && by.input.value.trim() !== "" && { weight: by.input.value.trim() }) };
    return { ...made, title: title.input.value.trim() || describe(made) };
  }

  function complete({ topic: name, field: of, measure: by }) {
    return names.includes(name) && (!MEASURES[by][1] || of !== "");
  }

  async function suggest(name) {
    if (name === known) return;
    known = name;
    fields.replaceChildren();
    try {
      fields.replaceChildren(...(await fieldsOfTopic(name, signal)).map((value) => h("option", { value })));
    } catch {
      known = null; // the next change asks again
    }
  }

  function draw() {
    const made = chart();
    of.element.hidden = !MEASURES[made.measure][1];
    by.element.hidden = made.measure !== "top";
    view?.destroy();
    view = null;
    keepButton.disabled = !complete(made);
    if (names.includes(made.topic)) suggest(made.topic);
    if (!complete(made)) {
      holder.replaceChildren(empty(made.topic ? "Which field?" : "Pick a topic", made.topic ? "Name the field whose values are measured, or a topic that there is." : "Its records are drawn here as they come."));
      return;
    }
    view = insightChart(made);
    holder.replaceChildren(view.element);
  }

  function change() {
    clearTimeout(timer);
    timer = setTimeout(draw, TYPING_MS);
  }

  for (const { input } of [topic, of, by, title]) input.addEventListener("input", change);
  of.element.hidden = by.element.hidden = true;
  return { element: h("div", { class: "builder" }, h("div", { class: "panel" }, h("div", { class: "body stack" }, topic.element, measure.element, of.element, by.element, span.element, title.element, keepButton, topics, fields)), holder),
    destroy() {
      clearTimeout(timer);
      view?.destroy();
    } };
}
