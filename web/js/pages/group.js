// One group: who is in it, what each reads, how far behind it is and was; and its offsets set anew.
import { get, path, remove } from "../api.js";
import { h, icon, text } from "../dom.js";
import { count, duration, plural, short } from "../format.js";
import { timeChart } from "../parts/chart.js";
import { confirm } from "../parts/dialog.js";
import { head, pageTabs, panel } from "../parts/head.js";
import { poll } from "../parts/poll.js";
import { badge, empty, toast, waiting } from "../parts/say.js";
import { settings } from "../parts/settings.js";
import { dataTable } from "../parts/table.js";
import { openReset } from "./group_reset.js";
import { groupLink, groupState } from "./groups.js";
import { topicLink } from "./topics.js";

const EVERY_MS = 2000;
const CHART_MS = 15 * 60_000;

const seconds = (s) => (s === null ? null : s * 1000);
// Why a partition's end is not known.
const unknown = (error) => (error === "UNKNOWN_TOPIC_OR_PARTITION" ? "deleted" : "off line");
const assigned = (member) => member.assignment.map(({ topic, partitions }) => `${topic}: ${partitions.join(", ")}`).join("; ");

const PARTITIONS = [
  { name: "Topic", of: (p) => p.topic, show: (p) => ({ text: p.topic, href: topicLink(p.topic) }) },
  { name: "Partition", num: true, width: "7rem", of: (p) => p.partition, show: (p) => String(p.partition) },
  { name: "Committed", num: true, wide: true, of: (p) => p.committedOffset, show: (p) => (p.committedOffset === null ? "nothing" : count(p.committedOffset)) },
  { name: "End", num: true, wide: true, of: (p) => p.endOffset, show: (p) => ({ text: p.error === null ? count(p.endOffset) : unknown(p.error) }) },
  { name: "Lag", num: true, width: "7rem", descending: true, of: (p) => p.lag, show: (p) => (p.error === null ? count(p.lag) : { text: unknown(p.error), badge: "bad" }) },
  { name: "Behind by", num: true, wide: true, width: "9rem", descending: true, of: (p) => p.lagSeconds, show: (p) => duration(seconds(p.lagSeconds)) },
  { name: "Read by", wide: true, of: (p) => p.member ?? "", show: (p) => p.member ?? "nobody" },
];

const MEMBERS = [
  { name: "Member", of: (member) => member.id, show: (member) => member.instanceId ?? member.id },
  { name: "Client", width: "22%", wide: true, of: (member) => member.clientId, show: (member) => member.clientId },
  { name: "Host", width: "11rem", wide: true, of: (member) => member.host, show: (member) => member.host },
  { name: "Reads", show: (member) => assigned(member) || "nothing" },
];

function tables(context, found, points) {
  const chart = timeChart({ title: "Lag", series: [{ name: "records" }], format: short });
  context.onLeave(chart.destroy);
  const partitions = dataTable({ caption: "Partitions", columns: PARTITIONS, key: (p) => `${p.topic} ${p.partition}`, sort: [4, "descending"],
    nothing: empty("Nothing is committed", "The group has no offsets: its members have not committed any yet.") });
  const members = dataTable({ caption: "Members", columns: MEMBERS, key: (member) => member.id, sort: [0, "ascending"],
    nothing: empty("Nobody is in the group", "Its offsets are kept. Start a consumer with this group.id, and it goes on from there.") });
  for (const table of [partitions, members]) {
    table.element.className = "";
    context.onLeave(table.destroy);
  }
  return { element: h("div", { class: "stack" }, chart.element, panel("Partitions", partitions.element), panel("Members", members.element)), show(group) {
    partitions.show(group.partitions);
    members.show(group.members);
    chart.show(points, Math.min(points[0][0], points.at(-1)[0] - 60_000), points.at(-1)[0]);
  } };
}

const TABS = [["Lag and members", "", tables], ["Settings", "settings", (context, found) => settings(context, { where: `${path("groups", found.id)}/configs`, own: "group" })]];

function summary(group) {
  if (group.state === null) return "Nobody has come yet, and nothing is committed: its settings are all there is.";
  const behind = group.lag ? `${plural(group.lag, "record")} behind${group.lagSeconds ? ` (${duration(seconds(group.lagSeconds))})` : ""}` : group.lag === null ? "how far behind is not known" : "all is read";
  const offline = group.partitionsOffline ? ` (${plural(group.partitionsOffline, "partition")} off line)` : "";
  return `${behind}${offline}; ${plural(group.members.length, "member")}, ${group.type.toLowerCase()} protocol${group.assignor ? `, assigned by ${group.assignor}` : ""}`;
}

// What the broker has kept of it.
async function earlier(id, context) {
  return (await get(path("groups", id, "history"), context)).points.map(({ time, lag }) => [time, lag]);
}

export default async function group(context) {
  const { root, params } = context;
  const id = params.group;
  const here = groupLink(id), [, tab, make] = TABS.find(([, part]) => part === (params.tab ?? "")) ?? TABS[0];
  let found = null, view = null, points = null, again;
  const lead = h("span", {}, "\u00a0"), state = h("span", {}, ""), first = waiting("The group");
  const reset = h("button", { class: "button primary", type: "button", onclick: () => openReset(id, found, () => again?.()) }, icon("reset"), "Reset offsets");
  const drop = h("button", { class: "button", type: "button", onclick: () => confirm(`Delete the group ${id}?`, "Its offsets are forgotten: a consumer that comes back begins where its auto.offset.reset says. A group with members cannot be deleted.", {
    action: "Delete the group", word: id, send: async () => {
      await remove(path("groups", id));
      toast(`The group ${id} is deleted.`);
      location.hash = "#/groups";
    } }) }, icon("trash"), "Delete");
  root.append(head(id, { up: ["Groups", "#/groups"], lead: [state, " ", lead], actions: [reset, drop] }),
    pageTabs("Parts of the group", TABS.map(([words, part]) => [words, part ? `${here}/${part}` : here]), tab ? `${here}/${tab}` : here), first);
  again = await poll(context, EVERY_MS, async () => {
    found = await get(path("groups", id), context);
    points ??= await earlier(id, context);
    const now = Date.now();
    points.push([now, found.lag]);
    while (points[0][0] < now - CHART_MS) points.shift();
    const is = groupState({ ...found, members: found.members.length });
    state.replaceChildren(badge(is.text, is.badge));
    text(lead, summary(found));
    reset.hidden = drop.hidden = found.state === null;
    if (!view) {
      view = make(context, found, points);
      first.replaceWith(view.element);
    }
    view.show(found);
  });
}
