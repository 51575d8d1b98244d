// One topic: its records as they come and as they are, its partitions, its settings.
import { get, path, remove } from "../api.js";
import { h, icon, text } from "../dom.js";
import { bytes, count, plural, short } from "../format.js";
import { confirm } from "../parts/dialog.js";
import { head, pageTabs } from "../parts/head.js";
import { poll } from "../parts/poll.js";
import { openProduce } from "../parts/record.js";
import { toast, waiting } from "../parts/say.js";
import { settings } from "../parts/settings.js";
import { dataTable } from "../parts/table.js";
import { records } from "./topic_records.js";
import { topicLink } from "./topics.js";

const EVERY_MS = 2000;

const perSecond = (n, format) => (n === null ? "–" : `${format(n)}/s`);
const held = (partition) => (partition.endOffset === null ? null : partition.endOffset - partition.startOffset);

function partitionState({ leader, isr, replicas, offlineReplicas, endOffset }) {
  if (offlineReplicas.length === replicas.length || endOffset === null) return { text: "off line", badge: "bad" };
  if (leader < 0) return { text: "no leader", badge: "bad" };
  return isr.length < replicas.length ? { text: `${isr.length} of ${replicas.length} in sync`, badge: "warn" } : { text: "well", badge: "ok" };
}

const PARTITION_COLUMNS = [
  { name: "Partition", width: "7rem", narrow: "6rem", of: (p) => p.partition, show: (p) => String(p.partition) },
  { name: "Records", num: true, descending: true, of: held, show: (p) => (held(p) === null ? { text: "off line", badge: "bad" } : count(held(p))) },
  { name: "First offset", num: true, wide: true, of: (p) => p.startOffset, show: (p) => count(p.startOffset) },
  { name: "Next offset", num: true, narrow: "7rem", of: (p) => p.endOffset, show: (p) => count(p.endOffset) },
  { name: "Size", num: true, descending: true, of: (p) => p.sizeBytes, show: (p) => bytes(p.sizeBytes) },
  { name: "Messages in", num: true, wide: true, descending: true, of: (p) => p.rates.messagesInPerSecond, show: (p) => perSecond(p.rates.messagesInPerSecond, short) },
  { name: "Leader", num: true, wide: true, width: "6rem", of: (p) => p.leader, show: (p) => (p.leader < 0 ? "none" : String(p.leader)) },
  { name: "State", wide: true, width: "9rem", of: (p) => partitionState(p).text, show: partitionState },
];

function partitions(context, found) {
  const table = dataTable({ caption: "Partitions", columns: PARTITION_COLUMNS, key: (p) => String(p.partition), sort: [0, "ascending"] });
  context.onLeave(table.destroy);
  table.show(found.partitions);
  return { element: table.element, show: (topic) => table.show(topic.partitions) };
}

const TABS = [["Records", "", records], ["Partitions", "partitions", partitions], ["Settings", "settings", (context, found) => settings(context, { where: `${path("topics", found.name)}/configs`, own: "topic" })]];

function summary(topic) {
  const total = topic.partitions.reduce((sum, partition) => sum + (held(partition) ?? 0), 0);
  const offline = topic.partitions.filter((partition) => held(partition) === null).length;
  return `${plural(topic.partitions.length, "partition")}${offline ? ` (${count(offline)} off line)` : ""}, ${plural(total, "record")}, ${bytes(topic.sizeBytes)} on disk; ` +
    `in ${perSecond(topic.rates.messagesInPerSecond, short)} (${perSecond(topic.rates.bytesInPerSecond, bytes)}), out ${perSecond(topic.rates.bytesOutPerSecond, bytes)}`;
}

export default async function topic(context) {
  const { root, params } = context;
  const name = params.topic, here = topicLink(name);
  const [, tab, make] = TABS.find(([, part]) => part === (params.tab ?? "")) ?? TABS[0];
  const lead = h("span", {}, "\u00a0"), first = waiting("The topic");
  let found = null, view = null;
  const produce = h("button", { class: "button primary", type: "button", onclick: () => openProduce(name, found?.partitions.length ?? 1) }, icon("send"), "Produce");
  const drop = h("button", { class: "button", type: "button", onclick: () => confirm(`Delete ${name}?`, "Its records are deleted with it, for everybody. This cannot be taken back.", {
    action: "Delete the topic", word: name, send: async () => {
      await remove(path("topics", name));
      toast(`The topic ${name} is deleted.`);
      location.hash = "#/topics";
    } }) }, icon("trash"), "Delete");
  root.append(head(name, { up: ["Topics", "#/topics"], lead, actions: [produce, drop] }),
    pageTabs("Parts of the topic", TABS.map(([words, part]) => [words, part ? `${here}/${part}` : here]), tab ? `${here}/${tab}` : here), first);
  await poll(context, EVERY_MS, async () => {
    found = await get(path("topics", name), context);
    text(lead, summary(found));
    if (!view) {
      view = make(context, found);
      first.replaceWith(view.element);
    } else view.show(found);
  });
}
