// Charts of what the records say, put together here and kept on boards.
import { get } from "../api.js";
import { h, icon, unique } from "../dom.js";
import { deleteBoard, loadBoards, saveBoard, topicsAre } from "../insights/boards.js";
import { builder } from "../insights/builder.js";
import { insightChart } from "../insights/chart.js";
import { confirm, field, form, openDialog } from "../parts/dialog.js";
import { head } from "../parts/head.js";
import { empty, toast, waiting } from "../parts/say.js";

const FIRST = { id: "main", name: "Main", charts: [] };

const boardLink = (id) => `#/insights?board=${encodeURIComponent(id)}`;

function newBoard(boards) {
  openDialog("A new board", (close) => {
    const name = field("Name", h("input", { autocomplete: "off", maxlength: 60 }));
    return form([name.element], { action: "Make it", close, send: async () => {
      const wanted = name.input.value.trim(), id = wanted.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
      const wrong = !id ? "A board needs a name." : boards.some((board) => board.id === id) ? "There is a board of this name." : "";
      name.wrong(wrong);
      if (wrong) return;
      await saveBoard({ id, name: wanted, charts: [] });
      close();
      location.hash = boardLink(id);
    } }).element;
  });
}

export default async function insights(context) {
  const { root, query, signal, onLeave, again } = context;
  const first = waiting("The boards");
  root.append(head("Insights", { lead: "Count, sum and compare what your records say, live. What is worth watching is kept on a board." }), first);
  const { topics } = await get("/topics", { signal });
  topicsAre(topics);
  const stored = await loadBoards(signal);
  const boards = stored.length ? stored : [FIRST];
  const board = boards.find(({ id }) => id === query.get("board")) ?? boards.find(({ id }) => id === FIRST.id) ?? boards[0];
  const views = new Map(); // a chart's id -> its view
  const grid = h("div", { class: "grid-2" });
  const nothing = empty("Nothing is on this board yet", "Put a chart together above, and keep it.");

  async function save(charts) {
    const latest = (await loadBoards(signal)).find(({ id }) => id === board.id) ?? board; // another browser may have changed it
    latest.charts = charts(latest.charts);
    await saveBoard(latest);
    board.charts = latest.charts;
    show();
  }

  function add(chart) {
    const remove = h("button", { class: "button plain", type: "button", title: "Remove", onclick: async () => {
      try {
        await save((charts) => charts.filter(({ id }) => id !== chart.id));
        toast(`${chart.title} is off the board.`);
      } catch (problem) {
        toast(problem.message, "bad");
      }
    } }, icon("trash"), h("span", { class: "unseen" }, `Remove ${chart.title}`));
    const view = insightChart(chart, { actions: remove });
    views.set(chart.id, view);
    grid.append(view.element);
  }

  function show() {
    const wanted = new Set(board.charts.map(({ id }) => id));
    for (const [id, view] of views) {
      if (wanted.has(id)) continue;
      view.destroy();
      view.element.remove();
      views.delete(id);
    }
    for (const chart of board.charts) if (!views.has(chart.id)) add(chart);
    nothing.hidden = board.charts.length > 0;
    if (!nothing.hidden) build(true);
  }

  const make = builder({ signal, names: topics.map(({ name }) => name), keep: async (chart) => {
    await save((charts) => [...charts, chart]);
    toast(`${chart.title} is on the board ${board.name}.`);
  } });
  make.element.id = unique("builder");
  const starts = h("button", { class: "button", type: "button", "aria-controls": make.element.id, onclick: () => build(make.element.hidden) }, icon("plus"), "New chart");
  function build(open) {
    make.element.hidden = !open;
    starts.setAttribute("aria-expanded", String(open));
  }
  build(board.charts.length === 0);
  onLeave(() => {
    make.destroy();
    for (const view of views.values()) view.destroy();
  });
  const tabs = h("nav", { class: "pages", "aria-label": "Boards" }, boards.map(({ id, name }) => h("a", { href: boardLink(id), "aria-current": id === board.id ? "page" : undefined }, name)));
  const drop = stored.includes(board) && board.id !== FIRST.id && h("button", { class: "button plain", type: "button", onclick: () => confirm(`Delete the board ${board.name}?`, "Its charts go with it; the records they show stay.", {
    action: "Delete the board", word: board.name, send: async () => {
      await deleteBoard(board.id);
      if (location.hash === "#/insights") again();
      else location.hash = "#/insights";
    } }) }, icon("trash"), "Delete this board");
  first.replaceWith(h("div", { class: "row between boards" }, tabs, h("div", { class: "row" }, drop, starts, h("button", { class: "button", type: "button", onclick: () => newBoard(boards) }, icon("plus"), "New board"))),
    make.element, grid, nothing);
  show();
}
