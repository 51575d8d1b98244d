// Brokers, their disks, the transactions that are under way, and clients that report metrics of their own.
import { get, path, post } from "../api.js";
import { h, text } from "../dom.js";
import { bytes, count, duration, plural } from "../format.js";
import { confirm } from "../parts/dialog.js";
import { head, panel } from "../parts/head.js";
import { poll } from "../parts/poll.js";
import { empty, toast, waiting } from "../parts/say.js";
import { dataTable } from "../parts/table.js";
import { clientLink, software } from "./client.js";

const EVERY_MS = 3000;
const DISK_LOW = 0.1;
const MOST_DETAILS = 50; // transactions under way that are asked one by one

const BROKERS = [
  { name: "Broker", of: (broker) => broker.id, show: (broker) => String(broker.id) },
  { name: "Address", of: (broker) => broker.host, show: (broker) => `${broker.host}:${broker.port}` },
  { name: "Rack", wide: true, of: (broker) => broker.rack ?? "", show: (broker) => broker.rack ?? "–" },
  { name: "State", width: "9rem", narrow: "6rem", show: (broker) => (broker.fenced ? { text: "fenced", badge: "bad" } : { text: "serves", badge: "ok" }) },
  { name: "Controller", width: "11rem", wide: true, show: (broker) => (broker.controller ? { text: "leads the cluster", badge: "accent" } : "") },
];

const free = (dir) => (dir.totalBytes ? dir.usableBytes / dir.totalBytes : null);

function dirState(dir) {
  if (dir.error) return { text: "off line", badge: "bad" };
  if (free(dir) !== null && free(dir) < DISK_LOW) return { text: "nearly full", badge: "warn" };
  return dir.cordoned ? { text: "cordoned", badge: "warn" } : { text: "well", badge: "ok" };
}

const DIRS = [
  { name: "Directory", wrap: true, of: (dir) => dir.path, show: (dir) => dir.path },
  { name: "Broker", num: true, wide: true, width: "7rem", of: (dir) => dir.broker, show: (dir) => String(dir.broker) },
  { name: "Partitions", num: true, wide: true, width: "8rem", of: (dir) => dir.partitions, show: (dir) => count(dir.partitions) + (dir.moves.length ? ` + ${count(dir.moves.length)} coming` : "") },
  { name: "Logs", num: true, width: "7rem", narrow: "5.5rem", descending: true, of: (dir) => dir.logBytes, show: (dir) => bytes(dir.logBytes) },
  { name: "Free", num: true, wide: true, width: "12rem", of: free, show: (dir) => (free(dir) === null ? "–" : `${bytes(dir.usableBytes)} (${Math.round(free(dir) * 100)} %)`) },
  { name: "State", width: "8rem", narrow: "6rem", of: (dir) => dirState(dir).text, show: dirState },
];

const UNDER_WAY = new Set(["Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence"]);

function abort(id, again) {
  confirm(`Abort the transaction of ${id}?`, "What it has written is dropped for readers of committed records, and its producer gets an error at its next call.", {
    action: "Abort", word: id, send: async () => {
      await post(`${path("transactions", id)}/abort`, {});
      toast(`The transaction of ${id} is aborted.`);
      again();
    } });
}

const transactionColumns = (again) => [
  { name: "Transactional id", of: (one) => one.id, show: (one) => one.id },
  { name: "State", width: "11rem", of: (one) => one.state, show: (one) => ({ text: one.state.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase(), badge: one.state === "Ongoing" ? "accent" : one.state.startsWith("Complete") ? "ok" : "" }) },
  { name: "For", num: true, width: "8rem", wide: true, descending: true, of: (one) => one.durationSeconds, show: (one) => (one.durationSeconds === null ? "–" : duration(one.durationSeconds * 1000)) },
  { name: "Topics", wide: true, show: (one) => one.topics.map(({ topic }) => topic).join(", ") || "–" },
  { name: "Producer", num: true, wide: true, width: "8rem", of: (one) => one.producerId, show: (one) => String(one.producerId) },
  { name: "Action", width: "6rem", show: (one) => (one.state === "Ongoing" ? { text: "Abort…", press: () => abort(one.id, again) } : "") },
];

const CLIENTS = [
  { name: "Client", of: (client) => client.clientId ?? "", show: (client) => ({ text: client.clientId || client.instanceId, href: clientLink(client.instanceId) }) },
  { name: "Software", wide: true, of: software, show: software },
  { name: "Address", wide: true, width: "12rem", of: (client) => client.address, show: (client) => `${client.address}:${client.port}` },
  { name: "Metrics", num: true, width: "7rem", descending: true, of: (client) => client.metricsCount, show: (client) => count(client.metricsCount) },
  { name: "Pushed", num: true, width: "9rem", descending: true, of: (client) => client.pushedMs, show: (client) => (client.pushedMs === null ? "never" : `${duration(Math.max(0, Date.now() - client.pushedMs))} ago`) },
];

async function transactions(context) {
  const listed = (await get("/transactions", context)).transactions;
  const running = listed.filter((one) => UNDER_WAY.has(one.state)).slice(0, MOST_DETAILS);
  const details = new Map(await Promise.all(running.map(async ({ id }) => {
    try {
      return [id, await get(path("transactions", id), context)];
    } catch {
      return [id, null]; // over in the meantime
    }
  })));
  return listed.map((one) => ({ durationSeconds: null, topics: [], ...one, ...details.get(one.id) }));
}

export default async function cluster(context) {
  const { root, onLeave } = context;
  let again = () => {};
  const lead = h("span", {}, "\u00a0"), first = waiting("The cluster");
  const brokers = dataTable({ caption: "Brokers", columns: BROKERS, key: (broker) => String(broker.id), sort: [0, "ascending"] });
  const dirs = dataTable({ caption: "Log directories", columns: DIRS, key: (dir) => `${dir.broker} ${dir.path}`, sort: [0, "ascending"] });
  const open = dataTable({ caption: "Transactions", columns: transactionColumns(() => again()), key: (one) => one.id, sort: [2, "descending"],
    nothing: empty("No transactions", "Producers with a transactional.id appear here.") });
  const clients = dataTable({ caption: "Clients that report metrics", columns: CLIENTS, key: (client) => client.instanceId, sort: [0, "ascending"],
    nothing: empty("No client reports metrics", "Kafka's clients ask the broker which of their metrics they are to report. This makes all of them do it:", h("pre", {}, "odradek config set client-metrics/all metrics=* interval.ms=10000")) });
  const content = [["Brokers", brokers], ["Log directories", dirs], ["Transactions", open], ["Clients that report metrics", clients]].map(([title, table]) => {
    table.element.className = "";
    onLeave(table.destroy);
    return panel(title, table.element);
  });
  root.append(head("Cluster", { lead }), first);
  again = await poll(context, EVERY_MS, async () => {
    const [about, disks, running, reporting] = await Promise.all([get("/cluster", context), get("/logdirs", context), transactions(context), get("/clients", context)]);
    if (first.isConnected) first.replaceWith(...content);
    text(lead, `Cluster ${about.clusterId}: ${plural(about.brokers.length, "broker")}, controller ${about.controllerId}, Odradek ${about.version}`);
    brokers.show(about.brokers);
    dirs.show(disks.logDirs);
    open.show(running);
    clients.show(reporting.clients);
  });
}
