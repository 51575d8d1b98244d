// Lines over time, by Chart.js; beside each, the same figures as words and as a table.
import { h, icon, text } from "../dom.js";
import { clock } from "../format.js";

const SAY_EVERY_MS = 10_000; // the words for who does not see the chart
const TABLE_ROWS = 30;

/** What a color of the design is now: light-dark() is resolved by the browser alone. */
function colors(element, count) {
  const probe = element.appendChild(h("span", { hidden: true }));
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const found = { series: Array.from({ length: count }, (_, n) => read(`series-${n + 1}`)), grid: read("grid"), text: read("text-faint"),
    raised: read("raised"), strong: read("text"), line: read("line") };
  probe.remove();
  return found;
}

const faint = (color) => color.replace(/^rgb\((.+)\)$/, "rgba($1, 0.12)");

function options(format, time, whole) {
  return {
    animation: false, responsive: true, maintainAspectRatio: false, parsing: false, normalized: true,
    interaction: { mode: "index", intersect: false },
    elements: { point: { radius: 0, hoverRadius: 3, hitRadius: 8 }, line: { borderWidth: 2, cubicInterpolationMode: "monotone", borderJoinStyle: "round" } },
    plugins: {
      legend: { display: false },
      tooltip: { displayColors: true, boxWidth: 8, boxHeight: 8, padding: 10, borderWidth: 1, caretSize: 0, cornerRadius: 6,
        callbacks: { title: (items) => (items.length ? time(items[0].parsed.x) : ""), label: (item) => ` ${item.dataset.label}: ${format(item.parsed.y)}` } },
    },
    scales: {
      x: { type: "linear", grid: { display: false, drawBorder: false },
        ticks: { maxTicksLimit: 5, maxRotation: 0, align: "inner", callback: (value) => time(value) } },
      y: { beginAtZero: true, suggestedMax: 1, grid: { drawBorder: false, drawTicks: false },
        ticks: { maxTicksLimit: 5, padding: 8, precision: whole ? 0 : undefined, callback: (value) => format(value) } },
    },
  };
}

function paint(chart, element) {
  const now = colors(element, chart.data.datasets.length);
  const font = { family: getComputedStyle(element).fontFamily, size: 11 };
  chart.data.datasets.forEach((set, n) => {
    set.borderColor = set.pointBackgroundColor = set.hoverBackgroundColor = now.series[n % now.series.length];
    set.backgroundColor = n === 0 || set.type === "bar" ? faint(now.series[n % now.series.length]) : "transparent";
  });
  for (const scale of Object.values(chart.options.scales)) {
    scale.ticks.color = now.text;
    scale.ticks.font = font;
    scale.grid.color = now.grid;
  }
  Object.assign(chart.options.plugins.tooltip, { backgroundColor: now.raised, titleColor: now.strong, bodyColor: now.strong, borderColor: now.line,
    titleFont: font, bodyFont: font });
}

function summary(series, points, format) {
  if (!points.length) return "No figures yet.";
  return series.map(({ name }, n) => {
    const values = points.map((point) => point[n + 1]).filter((value) => Number.isFinite(value));
    if (!values.length) return `${name}: no figures yet.`;
    return `${name}: now ${format(values.at(-1))}, between ${format(Math.min(...values))} and ${format(Math.max(...values))}.`;
  }).join(" ");
}

/**
 * A panel with a chart: { title, series: [{ name }], format, actions }.
 * show(points, from, to): points are [time in ms, a value for each series (null: none)].
 */
export function timeChart({ title, series, format, actions, time = clock, whole }) {
  const canvas = h("canvas", { role: "img", "aria-label": `${title}: no figures yet.` });
  const plot = h("div", { class: "plot" }, canvas);
  const values = series.map(() => h("b", {}, "–"));
  const legend = h("ul", { class: "legend" }, series.map(({ name }, n) => h("li", { class: `series-${n + 1}` }, h("i", { class: "swatch", "aria-hidden": "true" }), name, values[n])));
  const table = h("div", { class: "data", hidden: true, tabindex: 0, role: "region", "aria-label": `${title}, as a table` });
  const swap = h("button", { class: "button plain", type: "button", "aria-pressed": "false", title: "As a table",
    onclick: () => {
      table.hidden = !table.hidden;
      plot.hidden = !table.hidden;
      swap.setAttribute("aria-pressed", String(!table.hidden));
      draw();
    } }, icon("table"), h("span", { class: "unseen" }, `${title}: as a table`));
  const element = h("section", { class: "panel chart" },
    h("header", {}, h("h2", {}, title), h("div", { class: "row" }, legend, actions, swap)), plot, table);
  let chart, points = [], span = [0, 1], said = 0;

  function fillTable() {
    const rows = points.slice(-TABLE_ROWS).reverse();
    table.replaceChildren(h("table", {}, h("caption", { class: "unseen" }, title), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Time"), series.map(({ name }) => h("th", { class: "num", scope: "col" }, name)))),
      h("tbody", {}, rows.map(([at, ...ys]) => h("tr", {}, h("th", { scope: "row" }, time(at)), ys.map((y) => h("td", { class: "num" }, y === null ? "–" : format(y))))))));
  }

  function draw() {
    if (!element.isConnected) return;
    if (!table.hidden) return fillTable();
    if (!chart) {
      chart = new Chart(canvas, { type: "line", options: options(format, time, whole),
        data: { datasets: series.map(({ name }) => ({ label: name, data: [], fill: "origin" })) } });
      paint(chart, element);
    }
    chart.data.datasets.forEach((set, n) => {
      set.data = points.map((point) => ({ x: point[0], y: point[n + 1] ?? NaN }));
    });
    [chart.options.scales.x.min, chart.options.scales.x.max] = span;
    chart.update("none");
  }

  function show(next, from, to) {
    points = next;
    span = [from, to];
    values.forEach((value, n) => text(value, points.length && points.at(-1)[n + 1] !== null ? format(points.at(-1)[n + 1]) : "–"));
    if (Date.now() - said > SAY_EVERY_MS || said === 0) {
      canvas.setAttribute("aria-label", `${title}. ${summary(series, points, format)}`);
      said = points.length ? Date.now() : 0;
    }
    draw();
  }

  function repaint() {
    if (!chart) return;
    paint(chart, element);
    chart.update("none");
  }

  document.addEventListener("theme", repaint);
  return { element, show, destroy() {
    document.removeEventListener("theme", repaint);
    chart?.destroy();
  } };
}
