// A chart of a topic's records: reads them, and draws what they come to.
import { h, text } from "../dom.js";
import { clock, count, duration, moment, plural, short } from "../format.js";
import { timeChart } from "../parts/chart.js";
import { unseenHead } from "../parts/table.js";
import { MEASURES, Series, bucketMs } from "./measure.js";
import { readFrom } from "./reader.js";

const DRAW_MS = 1000;
const MOST_TOP = 8;

/** What a chart shows, in words: "Average of amount in orders". */
export function describe({ measure, field, weight, topic }) {
  const [words, needs] = MEASURES[measure];
  return `${words}${needs ? ` of ${field}` : ""}${weight ? ` by the sum of ${weight}` : ""} in ${topic}`;
}

// The top values: a table with a bar in each row.
function topTable(caption) {
  const body = h("tbody");
  const element = h("div", { class: "top" }, h("table", {}, unseenHead(caption, ["Value", "Share", "Figure"]), body));
  return { element, show({ top, all }) {
    while (body.children.length > top.length) body.lastChild.remove();
    top.forEach(([name, sum], n) => {
      if (!body.children[n]) body.append(h("tr", {}, h("th", { scope: "row" }), h("td", {}, h("i", { class: "bar" })), h("td", { class: "num" })));
      const [head, bar, figure] = body.children[n].children;
      text(head, name);
      head.title = name;
      bar.firstChild.style.width = `${Math.max(0, (100 * sum) / top[0][1]) || 0}%`;
      text(figure, all > 0 ? `${short(sum)} (${Math.round((100 * sum) / all)} %)` : short(sum));
    });
  } };
}

/** insightChart(chart, { actions }): { element, destroy }. */
export function insightChart(chart, { actions } = {}) {
  const series = new Series(chart), ending = new AbortController(), delayMs = 1000 * (chart.delaySeconds ?? 0);
  const isTop = chart.measure === "top", step = bucketMs(chart.windowSeconds);
  const time = chart.windowSeconds > 21_600 ? (ms) => moment(ms).slice(5, 16) : clock;
  const name = isTop ? "" : chart.measure === "count" || chart.measure === "sum" ? `per ${duration(step)}` : `each ${duration(step)}`;
  const view = isTop ? null : timeChart({ title: chart.title, series: [{ name }], format: short, actions, time });
  const top = isTop ? topTable(chart.title) : null;
  const total = h("strong", {}, "–"), unit = h("span", {}, isTop ? "values" : "in all"), note = h("span", { class: "hint" }, "reading…");
  const foot = h("footer", { class: "insight-foot" }, h("span", {}, total, " ", unit, `, ${duration(chart.windowSeconds * 1000)}`), note);
  const element = view?.element ?? h("section", { class: "panel chart" }, h("header", {}, h("h2", {}, chart.title), h("div", { class: "row" }, actions)), top.element);
  element.append(foot);
  const without = chart.weight ? `${chart.field} or a number in ${chart.weight}` : `${isTop ? "" : "a number in "}${chart.field}`;
  let reading = { atEnd: false }, readUntil = 0; // what is not read yet is not nothing

  function say() {
    if (reading.problem) return reading.problem.unreachable ? "the broker does not answer" : reading.problem.message;
    if (reading.missing?.length) return `without ${plural(reading.missing.length, "partition")} that ${reading.missing.length === 1 ? "is" : "are"} off line: ${reading.missing.map(({ partition }) => partition).join(", ")}`;
    if (!reading.atEnd) return `reading… ${reading.until ? `at ${time(reading.until)}` : ""}`;
    if (!series.records) return "no records in this time";
    return `${plural(series.records, "record")} read${series.without ? `, ${count(series.without)} without ${without}` : ""}`;
  }

  function draw() {
    const now = Date.now() - delayMs;
    if (view) {
      view.show(series.points(now).map(([at, value]) => [at, at + step <= readUntil ? value : null]), now - series.windowMs, now);
      text(total, short(series.total(now)));
    } else {
      const found = series.top(now, MOST_TOP);
      top.show(found);
      text(total, found.weighed ? short(found.all) : count(found.distinct));
      text(unit, found.weighed ? "in all" : "values");
    }
    text(note, say());
  }

  readFrom(chart.topic, Date.now() - delayMs - series.windowMs, { signal: ending.signal, take: (record) => series.add(record.timestamp, record.value?.text ?? null), state: (now) => {
    reading = now;
    if (!now.problem) readUntil = now.atEnd ? Infinity : now.until ?? readUntil;
  } });
  const timer = setInterval(draw, DRAW_MS);
  requestAnimationFrame(draw);
  return { element, destroy() {
    ending.abort();
    clearInterval(timer);
    view?.destroy();
  } };
}
