// All topics; and how one is made.
import { get, post } from "../api.js";
import { h, icon, text } from "../dom.js";
import { bytes, count, plural, short } from "../format.js";
import { field, form, openDialog } from "../parts/dialog.js";
import { head, searchBox } from "../parts/head.js";
import { poll } from "../parts/poll.js";
import { command, empty, toast, waiting } from "../parts/say.js";
import { dataTable } from "../parts/table.js";

const OFTEN_MS = 2000, SELDOM_MS = 10_000, MANY = 500; // a long list costs more to ask for

export const topicLink = (name) => `#/topics/${encodeURIComponent(name)}`;

function state(topic) {
  if (topic.partitionsWithoutLeader) return { text: `${count(topic.partitionsWithoutLeader)} without leader`, badge: "bad" };
  if (topic.partitionsUnderReplicated) return { text: `${count(topic.partitionsUnderReplicated)} under-replicated`, badge: "warn" };
  return { text: topic.internal ? "internal" : "well", badge: topic.internal ? "" : "ok" };
}

const perSecond = (n, format) => (n === null ? "–" : `${format(n)}/s`);

const COLUMNS = [
  { name: "Topic", of: (topic) => topic.name, show: (topic) => ({ text: topic.name, href: topicLink(topic.name) }) },
  { name: "Partitions", num: true, width: "8rem", descending: true, of: (topic) => topic.partitions, show: (topic) => count(topic.partitions), wide: true },
  { name: "Size", num: true, width: "7rem", narrow: "5.5rem", descending: true, of: (topic) => topic.sizeBytes, show: (topic) => bytes(topic.sizeBytes) },
  { name: "Messages in", num: true, width: "8.5rem", narrow: "7rem", descending: true, of: (topic) => topic.rates.messagesInPerSecond, show: (topic) => perSecond(topic.rates.messagesInPerSecond, short) },
  { name: "Bytes in", num: true, width: "8rem", descending: true, wide: true, of: (topic) => topic.rates.bytesInPerSecond, show: (topic) => perSecond(topic.rates.bytesInPerSecond, bytes) },
  { name: "Bytes out", num: true, width: "8rem", descending: true, wide: true, of: (topic) => topic.rates.bytesOutPerSecond, show: (topic) => perSecond(topic.rates.bytesOutPerSecond, bytes) },
  { name: "State", width: "10rem", wide: true, of: (topic) => state(topic).text, show: state },
];

/** A dialog that makes a topic and goes there. */
function create() {
  openDialog("Create a topic", (close) => {
    const name = field("Name", h("input", { required: true, autocomplete: "off", spellcheck: "false", maxlength: 249 }), "Letters, digits, dots, underscores and hyphens.");
    const partitions = field("Partitions", h("input", { type: "number", min: 1, inputmode: "numeric", placeholder: "as the broker has it" }), "How many consumers of one group can share the work.");
    const retention = field("Keep records for (hours)", h("input", { type: "number", min: 0, step: "any", inputmode: "decimal", placeholder: "as the broker has it" }));
    const policy = field("What becomes of old records", h("select", {}, h("option", { value: "" }, "as the broker has it"), h("option", { value: "delete" }, "deleted by age and size"), h("option", { value: "compact" }, "compacted: the last of each key stays")));
    return form([name.element, h("div", { class: "fields" }, partitions.element, retention.element, policy.element)], { action: "Create", close, send: async () => {
      name.wrong(name.input.value.trim() ? "" : "A topic needs a name.");
      if (!name.input.value.trim()) return name.input.focus();
      const configs = {};
      if (retention.input.value) configs["retention.ms"] = Math.round(Number(retention.input.value) * 3_600_000);
      if (policy.input.value) configs["cleanup.policy"] = policy.input.value;
      const made = await post("/topics", { name: name.input.value.trim(), ...(partitions.input.value && { partitions: Number(partitions.input.value) }), configs });
      close();
      toast(`The topic ${made.name} is made, with ${plural(made.partitions, "partition")}.`);
      location.hash = topicLink(made.name);
    } }).element;
  });
}

export default async function topics(context) {
  const { root, onLeave } = context;
  let all = [], wanted = "", internal = false;
  const lead = h("span", {}, "\u00a0"), first = waiting("The list of topics");
  const button = h("button", { class: "button primary", type: "button", onclick: create }, icon("plus"), "Create a topic");
  const none = empty("No topic yet", "Create one above, or let a client do it. For one:", command((broker) => `echo hello | kcat -P -b ${broker} -t greetings`));
  const noneFits = empty("No topic here", "No topic's name has that in it.");
  const nothing = h("div", {}, none, noneFits);
  const table = dataTable({ caption: "Topics", columns: COLUMNS, key: (topic) => topic.name, sort: [0, "ascending"], nothing });
  const toggle = h("button", { class: "button", type: "button", "aria-pressed": "false", onclick: () => {
    internal = !internal;
    toggle.setAttribute("aria-pressed", String(internal));
    show();
  } }, "Internal topics");
  const found = h("span", { class: "hint", role: "status" });

  function show() {
    const listed = all.filter((topic) => (internal || !(topic.internal || topic.name.startsWith("__"))) && topic.name.toLowerCase().includes(wanted));
    none.hidden = wanted !== "";
    noneFits.hidden = wanted === "";
    table.show(listed);
    text(lead, `${plural(all.length, "topic")}, ${plural(all.reduce((sum, topic) => sum + topic.partitions, 0), "partition")}, ${bytes(all.reduce((sum, topic) => sum + topic.sizeBytes, 0))} on disk`);
    text(found, wanted ? `${plural(listed.length, "topic")} found` : "");
  }

  root.append(head("Topics", { lead, actions: [button] }), h("div", { class: "row" }, searchBox("Search topics", (typed) => {
    wanted = typed.toLowerCase();
    show();
  }), toggle, found), first);
  onLeave(table.destroy);
  await poll(context, () => (all.length > MANY ? SELDOM_MS : OFTEN_MS), async () => {
    all = (await get("/topics", context)).topics;
    if (first.isConnected) first.replaceWith(table.element);
    show();
  });
}
