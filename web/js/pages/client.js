// One client that reports metrics of its own (KIP-714), and what it pushed last.
import { get, path } from "../api.js";
import { h, text } from "../dom.js";
import { duration, plural } from "../format.js";
import { head, searchBox } from "../parts/head.js";
import { poll } from "../parts/poll.js";
import { empty, waiting } from "../parts/say.js";
import { dataTable } from "../parts/table.js";

const EVERY_MS = 3000;

export const clientLink = (id) => `#/clients/${encodeURIComponent(id)}`;

/** What a client calls itself: "apache-kafka-java 4.3.1". Brokers say "unknown" of one that does not. */
export const software = (client) => [client.softwareName, client.softwareVersion].filter((word) => word && word !== "unknown").join(" ") || "–";

const COLUMNS = [
  { name: "Metric", of: (metric) => metric.name, show: (metric) => metric.name },
  { name: "Of", wide: true, of: (metric) => metric.attributes, show: (metric) => metric.attributes || "–" },
  { name: "Type", wide: true, width: "10rem", of: (metric) => metric.type, show: (metric) => metric.type },
  { name: "Value", num: true, width: "11rem", descending: true, of: (metric) => metric.value, show: (metric) => (metric.value === null ? "–" : metric.value.toLocaleString("en", { maximumSignificantDigits: 6 })) },
];

function summary(client) {
  const pushed = client.pushedMs === null ? "nothing pushed yet" : `${plural(client.pushes, "push", "pushes")}, the last ${duration(Math.max(0, Date.now() - client.pushedMs))} ago`;
  const more = client.metricsLeftOut ? `; ${plural(client.metricsLeftOut, "more value")} of it not kept` : "";
  return `${software(client)} at ${client.address}:${client.port}; ${pushed}, asked for one each ${duration(client.intervalMs)}${more}`;
}

export default async function client(context) {
  const { root, params, onLeave } = context;
  let found = null, wanted = "";
  const lead = h("span", {}, "\u00a0"), first = waiting("The client");
  const top = head(params.client, { up: ["Cluster", "#/cluster"], lead });
  const nothing = empty("No metric here", "What a client is asked for, a subscription says:", h("pre", {}, "kafka-configs.sh --bootstrap-server 127.0.0.1:9092 --alter --entity-type client-metrics \\\n  --entity-name all --add-config 'metrics=[*],interval.ms=10000'"));
  const table = dataTable({ caption: "Metrics", columns: COLUMNS, key: (metric) => `${metric.name} ${metric.attributes}`, sort: [0, "ascending"], nothing });

  function show() {
    text(top.querySelector("h1"), found.clientId || params.client);
    text(lead, summary(found));
    table.show(found.metrics.filter((metric) => `${metric.name} ${metric.attributes}`.toLowerCase().includes(wanted)));
  }

  root.append(top, h("div", { class: "row" }, searchBox("Search metrics", (typed) => {
    wanted = typed.toLowerCase();
    if (found) show();
  })), first);
  onLeave(table.destroy);
  await poll(context, EVERY_MS, async () => {
    found = await get(path("clients", params.client), context);
    if (first.isConnected) first.replaceWith(table.element);
    show();
  }, (problem) => problem.status === 404 && text(lead, "It has left, or reports no more. These are the last figures."));
}
