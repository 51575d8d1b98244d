// All groups, and how far behind they are.
import { get } from "../api.js";
import { h, text } from "../dom.js";
import { count, plural } from "../format.js";
import { head, searchBox } from "../parts/head.js";
import { poll } from "../parts/poll.js";
import { command, empty, waiting } from "../parts/say.js";
import { dataTable } from "../parts/table.js";

const EVERY_MS = 3000;

export const groupLink = (id) => `#/groups/${encodeURIComponent(id)}`;

// Kafka's names of states, and how much they matter.
const TONES = { Stable: "ok", Empty: "", Dead: "bad", PreparingRebalance: "warn", CompletingRebalance: "warn", Assigning: "warn", Reconciling: "warn" };

/** A group's state as a badge; one that nobody reads for while records wait is said to be so, and one whose partitions do not answer. */
export function groupState({ state, members, lag, partitionsOffline }) {
  if (state === null) return { text: "only settings", badge: "" };
  if (partitionsOffline) return { text: "off line", badge: "bad" };
  if (members === 0 && lag > 0) return { text: "nobody reads", badge: "warn" };
  return { text: state.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase(), badge: TONES[state] ?? "" };
}

const COLUMNS = [
  { name: "Group", of: (group) => group.id, show: (group) => ({ text: group.id, href: groupLink(group.id) }) },
  { name: "State", width: "11rem", narrow: "9rem", of: (group) => groupState(group).text, show: groupState },
  { name: "Lag", num: true, width: "8rem", narrow: "5rem", descending: true, of: (group) => group.lag, show: (group) => count(group.lag) },
  { name: "Members", num: true, wide: true, width: "8rem", descending: true, of: (group) => group.members, show: (group) => count(group.members) },
  { name: "Protocol", wide: true, width: "9rem", of: (group) => group.type ?? "", show: (group) => group.type?.toLowerCase() ?? "–" },
  { name: "Topics", wide: true, of: (group) => group.topics.join(", "), show: (group) => group.topics.join(", ") || "–" },
];

export default async function groups(context) {
  const { root, onLeave } = context;
  let all = [], wanted = "";
  const lead = h("span", {}, "\u00a0"), first = waiting("The list of groups");
  const none = empty("No group yet", "A group appears when a consumer with a group.id subscribes or commits. For one:", command((broker) => `kcat -b ${broker} -G my-group greetings`));
  const noneFits = empty("No group here", "No group's name has that in it.");
  const nothing = h("div", {}, none, noneFits);
  const table = dataTable({ caption: "Groups", columns: COLUMNS, key: (group) => group.id, sort: [2, "descending"], nothing });

  function show() {
    none.hidden = wanted !== "";
    noneFits.hidden = wanted === "";
    table.show(all.filter((group) => group.id.toLowerCase().includes(wanted)));
    const behind = all.reduce((sum, group) => sum + (group.lag ?? 0), 0);
    text(lead, `${plural(all.length, "group")}; ${behind ? `${plural(behind, "record")} wait to be read` : "nothing waits to be read"}`);
  }

  root.append(head("Groups", { lead }), h("div", { class: "row" }, searchBox("Search groups", (typed) => {
    wanted = typed.toLowerCase();
    show();
  })), first);
  onLeave(table.destroy);
  await poll(context, EVERY_MS, async () => {
    all = (await get("/groups", context)).groups;
    if (first.isConnected) first.replaceWith(table.element);
    show();
  });
}
