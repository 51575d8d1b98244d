// How the broker is doing: what needs attention, figures, charts, the health of each part.
import { get } from "../api.js";
import { h, icon, text } from "../dom.js";
import { bytes, count, duration, plural, short } from "../format.js";
import * as live from "../live.js";
import { timeChart } from "../parts/chart.js";
import { head, panel, segments } from "../parts/head.js";
import { command, empty, waiting } from "../parts/say.js";
import { dataTable, unseenHead } from "../parts/table.js";

const WINDOWS = [["60000", "1 min"], ["300000", "5 min"], ["900000", "15 min"]];
const LEAST_SHOWN_MS = 60_000;
const JOINED_MS = 15_000; // a hole that is no longer is drawn over
const DISK_LOW = 0.1; // of a volume
const MOST_TOPICS = 6;

const perSecond = (words) => (words === "–" ? words : `${words}/s`);
const rate = (format) => (n) => perSecond(format(n));
const used = (disk) => (disk.totalBytes ? 1 - disk.usableBytes / disk.totalBytes : null);

const CHARTS = [
  { title: "Messages", series: [{ name: "in", of: (s) => s.messagesInPerSecond }, { name: "out", of: (s) => s.messagesOutPerSecond }], format: rate(short) },
  { title: "Bytes", series: [{ name: "in", of: (s) => s.bytesInPerSecond }, { name: "out", of: (s) => s.bytesOutPerSecond }], format: rate(bytes), whole: true },
  { title: "Latency", series: [{ name: "delivery p99", of: (s) => s.deliveryLatency.p99 }, { name: "produce p99", of: (s) => s.produceLatency.p99 }], format: duration },
  { title: "Clients", series: [{ name: "requests/s", of: (s) => s.requestsPerSecond }, { name: "connections", of: (s) => s.connections.open }], format: short },
];

const FIGURES = [
  ["Messages in", (s) => [short(s.messagesInPerSecond), "/s"], (s) => `${plural(s.topics, "topic")}, ${plural(s.partitions.total, "partition")}`],
  ["Messages out", (s) => [short(s.messagesOutPerSecond), "/s"], (s) => plural(s.groups, "consumer group")],
  ["Bytes in", (s) => split(bytes(s.bytesInPerSecond), "/s"), (s) => `network ${perSecond(bytes(s.networkInPerSecond))}`],
  ["Bytes out", (s) => split(bytes(s.bytesOutPerSecond), "/s"), (s) => `network ${perSecond(bytes(s.networkOutPerSecond))}`],
  ["Delivery, p99", (s) => split(duration(s.deliveryLatency.p99)), (s) => (s.deliveryLatency.p50 === null ? "nothing is read now" : `half within ${duration(s.deliveryLatency.p50)}`)],
  ["Connections", (s) => [count(s.connections.open)], (s) => `${count(s.connections.acceptedTotal)} since the start`],
  ["On disk", (s) => split(bytes(s.disks.reduce((sum, disk) => sum + disk.logBytes, 0))), freeWords],
];

function split(words, more = "") {
  const [number, unit = ""] = words.split(" ");
  return [number, unit + more];
}

function freeWords(sample) {
  const fullest = sample.disks.filter((disk) => disk.totalBytes).sort((a, b) => used(b) - used(a))[0];
  return fullest ? `${Math.round((1 - used(fullest)) * 100)} % free` : "volume unknown";
}

function figures() {
  const made = FIGURES.map(([name, value, note]) => {
    const number = h("span", {}, "–"), unit = h("span", { class: "unit" }), words = h("dd", { class: "note" }, "\u00a0");
    return { value, note, number, unit, words, box: h("div", { class: "figure" }, h("dt", {}, name), h("dd", {}, number, unit), words) };
  });
  return {
    element: h("dl", { class: "figures" }, made.map(({ box }) => box)),
    show(sample) {
      for (const { value, note, number, unit, words } of made) {
        const [shown, of = ""] = value(sample);
        text(number, shown);
        text(unit, shown === "–" ? "" : of);
        text(words, note(sample));
      }
    },
  };
}

// -- what needs attention

const TONES = { critical: "bad", warning: "warn", notice: "faint" };

function attention() {
  const list = h("ul", { class: "attention" });
  let shown = null;
  return {
    element: panel("Needs attention", list),
    show(sample) {
      const key = JSON.stringify(sample.attention);
      if (key === shown) return;
      shown = key;
      list.replaceChildren(...(sample.attention.length ? sample.attention.map(({ severity, message, topic, group }) => {
        const to = topic ? [`#/topics/${encodeURIComponent(topic)}`, "Open the topic"] : group ? [`#/groups/${encodeURIComponent(group)}`, "Open the group"] : null;
        return h("li", {}, h("span", { class: `tone-${TONES[severity]}` }, icon(severity === "critical" ? "bad" : "warn")),
          h("div", {}, h("strong", {}, message), to && h("p", {}, h("a", { href: to[0] }, to[1]))));
      }) : [h("li", {}, h("span", { class: "tone-ok" }, icon("ok")), h("div", {}, h("strong", {}, "Nothing. All is well."), h("p", {}, "What goes wrong is told here in words, with where to look.")))]));
    },
  };
}

// -- the health of each part: [name, tone, words]

function parts(sample) {
  const { partitions, connections, disks, groupsBehind } = sample;
  const offline = disks.filter((disk) => disk.error), low = disks.filter((disk) => used(disk) !== null && used(disk) > 1 - DISK_LOW);
  const behind = groupsBehind.filter((group) => group.lag > 0 && !group.members);
  return [
    ["Broker", "ok", `answers; up for ${duration(sample.time - sample.startTime)}`],
    ["Partitions", partitions.offline ? "bad" : partitions.underReplicated ? "warn" : "ok",
      partitions.offline ? `${count(partitions.offline)} of ${count(partitions.total)} have no leader` :
        partitions.underReplicated ? `${count(partitions.underReplicated)} of ${count(partitions.total)} lack replicas` : `all ${count(partitions.total)} are served`],
    ["Storage", offline.length ? "bad" : low.length ? "warn" : "ok",
      offline.length ? `${offline.map((disk) => disk.path).join(", ")}: ${offline[0].error}` :
        low.length ? `${low[0].path}: ${bytes(low[0].usableBytes)} are left` : `${plural(disks.length, "directory", "directories")}, ${freeWords(sample)}`],
    ["Connections", connections.refusedTotal ? "warn" : "ok", connections.refusedTotal ? `${count(connections.refusedTotal)} were refused because of a limit since the start` : `${count(connections.open)} open, none was refused`],
    ["Groups", behind.length ? "warn" : "ok", behind.length ? `${plural(behind.length, "group")} with records waiting and nobody who reads` : `${plural(sample.groups, "group")}, none is stuck`],
  ];
}

const TONE_WORDS = { ok: "well", warn: "look at it", bad: "broken" };

function health() {
  const rows = new Map();
  const body = h("tbody");
  return {
    element: panel("Health", h("table", {}, unseenHead("The health of each part", ["Part", "State", "What it says"]), body)),
    show(sample) {
      for (const [name, tone, words] of parts(sample)) {
        if (!rows.has(name)) {
          const badge = h("span", {}), cell = h("td", {});
          rows.set(name, { badge, cell });
          body.append(h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, badge), cell));
        }
        const { badge, cell } = rows.get(name);
        badge.className = `badge ${tone}`;
        text(badge, TONE_WORDS[tone]);
        text(cell, words);
      }
    },
  };
}

function busiest() {
  const nothing = empty("No topic has traffic now", "Produce something, with any Kafka client:", command((broker) => `echo hello | kcat -P -b ${broker} -t greetings`));
  const table = dataTable({
    caption: "Busiest topics", key: (topic) => topic.name, nothing,
    columns: [
      { name: "Topic", show: (topic) => ({ text: topic.name, href: `#/topics/${encodeURIComponent(topic.name)}` }) },
      { name: "Messages in", num: true, width: "8rem", show: (topic) => perSecond(short(topic.messagesInPerSecond)) },
      { name: "In", num: true, wide: true, width: "7.5rem", show: (topic) => perSecond(bytes(topic.bytesInPerSecond)) },
      { name: "Out", num: true, width: "7.5rem", show: (topic) => perSecond(bytes(topic.bytesOutPerSecond)) },
    ],
  });
  table.element.className = "";
  return { element: panel("Busiest topics", table.element, { actions: h("a", { href: "#/topics" }, "All topics") }), show: (sample) => table.show(sample.busiestTopics.slice(0, MOST_TOPICS)),
    destroy: table.destroy };
}

export default function overview({ root, onLeave }) {
  let span = "300000";
  const lead = h("span", {}, "How this broker is doing, live.");
  const charts = CHARTS.map((chart) => ({ ...chart, view: timeChart(chart) }));
  const views = [attention(), figures(), health(), busiest()];
  const [needs, numbers, well, busy] = views;
  const first = waiting("The first sample");
  const content = [needs.element, numbers.element, h("div", { class: "grid-2" }, charts.map(({ view }) => view.element)), h("div", { class: "grid-2" }, well.element, busy.element)];

  function drawCharts() {
    const to = live.history.at(-1).time, from = Math.max(to - Number(span), Math.min(live.history[0].time, to - LEAST_SHOWN_MS));
    const shown = live.history.filter((sample) => sample.time >= from);
    // The first sample of a page has no rates yet: between what the broker has kept and those that follow it would be a gap.
    const within = shown.filter((sample, n) => sample.messagesInPerSecond !== null || !(n && shown[n + 1]?.time - shown[n - 1].time < JOINED_MS));
    for (const { view, series } of charts) view.show(within.map((sample) => [sample.time, ...series.map(({ of }) => of(sample))]), from, to);
  }

  function show(sample) {
    if (first.isConnected) first.replaceWith(...content);
    for (const view of views) view.show(sample);
    drawCharts();
  }

  root.append(head("Overview", { lead, actions: [segments("Time shown", WINDOWS, span, (chosen) => {
    span = chosen;
    if (live.history.length) drawCharts();
  })] }), first);
  onLeave(live.on("stats", show));
  onLeave(() => charts.forEach(({ view }) => view.destroy()));
  onLeave(busy.destroy);
  if (live.history.length) show(live.history.at(-1));
  get("/cluster").then((cluster) => text(lead, `Cluster ${cluster.clusterId}, ${plural(cluster.brokers.length, "broker")}, Odradek ${cluster.version}`), () => {});
}
