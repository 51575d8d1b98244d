// Tables whose rows change while one reads: cells are touched only where they differ, so that focus and selection stay.
// Long ones (virtual) have in the page only the rows that are near the screen.
import { h, icon } from "../dom.js";

const ROW_PX = 44; // of a virtual table; parts.css has the same height
const SPARE_ROWS = 12; // above and below the screen
const VIRTUAL_FROM = 150;

/*
 * A column: { name, show: row -> what a cell shows, of: row -> what it is sorted by (missing: it is not sorted), num, wide, mono, width, narrow (the width on a phone), descending }.
 * wrap: a name with dots is shown whole, over several lines where it is long. What a cell shows is a text, or { text, href }, { text, badge: tone }, { text, press: f }; wide columns are left out on a phone.
 */

// It may be broken behind a dot.
const whole = (words) => words.split(/(?<=\.)/).flatMap((part, n) => (n ? [h("wbr"), part] : [part]));

function fill(cell, shown, wrap) {
  const what = typeof shown === "string" ? { text: shown } : shown;
  const signature = `${what.href ?? ""}\n${what.badge ?? ""}\n${what.text}`;
  if (cell.signature === signature) {
    cell.press = what.press;
    return;
  }
  const words = wrap ? whole(what.text) : [what.text];
  const kind = what.href ? "a" : what.press ? "button" : what.badge !== undefined ? "span" : "";
  if (kind && cell.kind === kind) {
    cell.firstChild.replaceChildren(...words);
    if (what.href) cell.firstChild.setAttribute("href", what.href);
    if (what.badge !== undefined) cell.firstChild.className = `badge ${what.badge}`;
  } else if (kind === "a") cell.replaceChildren(h("a", { href: what.href }, words));
  else if (kind === "button") cell.replaceChildren(h("button", { class: "link", type: "button", onclick: () => cell.press() }, words));
  else if (kind === "span") cell.replaceChildren(h("span", { class: `badge ${what.badge}` }, words));
  else cell.replaceChildren(...words);
  cell.title = what.text;
  Object.assign(cell, { signature, kind, press: what.press });
}

const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : (a ?? -Infinity) - (b ?? -Infinity));
const classes = (column) => [column.num && "num", column.wide && "wide", column.mono && "mono", column.wrap && "wrap"].filter(Boolean).join(" ") || undefined;

/** What a table has whose columns need no words for who sees them. */
export const unseenHead = (caption, names) => [h("caption", { class: "unseen" }, caption), h("thead", { class: "unseen" }, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name))))];

/**
 * dataTable({ caption, columns, key: row -> text, sort: [column, "descending"], nothing: element }): { element, show(rows), destroy }.
 * show() may be called as often as one likes.
 */
export function dataTable({ caption, columns, key, sort, nothing }) {
  let rows = [], [sorted, direction] = sort ?? [-1, "ascending"];
  const made = new Map(); // key -> tr
  const above = gap(), below = gap(), body = h("tbody");
  const headers = columns.map((column, n) => h("th", { scope: "col", class: classes(column) },
    column.of ? h("button", { class: "sort", type: "button", onclick: () => sortBy(n) }, column.name, icon("sort")) : h("span", { class: "name" }, column.name)));
  const table = h("table", { class: "rows" }, h("caption", { class: "unseen" }, caption),
    h("colgroup", {}, columns.map((column) => h("col", { class: column.wide && "wide" }))),
    h("thead", {}, h("tr", {}, headers)), body);
  [...table.querySelectorAll("col")].forEach((col, n) => {
    if (columns[n].width) col.style.setProperty("--width", columns[n].width);
    if (columns[n].narrow) col.style.setProperty("--narrow", columns[n].narrow);
  });
  const element = h("div", { class: "panel" }, table, nothing);

  function gap() {
    return h("tr", { class: "gap", "aria-hidden": "true" }, h("td")); // one cell: more than are shown would make a column
  }

  function sortBy(n) {
    direction = sorted === n ? (direction === "ascending" ? "descending" : "ascending") : columns[n].descending ? "descending" : "ascending";
    sorted = n;
    arrange();
    draw();
  }

  function arrange() {
    headers.forEach((header, n) => {
      if (n === sorted) header.setAttribute("aria-sort", direction);
      else header.removeAttribute("aria-sort");
    });
    if (sorted < 0) return;
    const { of } = columns[sorted], way = direction === "ascending" ? 1 : -1;
    rows = [...rows].sort((a, b) => way * compare(of(a), of(b)) || compare(key(a), key(b)));
  }

  function rowFor(row, index) {
    const id = key(row);
    let tr = made.get(id);
    if (!tr) {
      tr = h("tr", {}, columns.map((column, n) => h(n === 0 ? "th" : "td", { scope: n === 0 ? "row" : undefined, class: classes(column) })));
      made.set(id, tr);
    }
    tr.setAttribute("aria-rowindex", index + 2);
    columns.forEach((column, n) => fill(tr.children[n], column.show(row), column.wrap));
    return tr;
  }

  // Which rows are near the screen: the page itself scrolls, or the dialog that the table is in.
  function range() {
    if (rows.length < VIRTUAL_FROM) return [0, rows.length];
    const top = -body.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / ROW_PX) - SPARE_ROWS);
    return [Math.min(first, rows.length), Math.min(rows.length, Math.ceil((top + innerHeight) / ROW_PX) + SPARE_ROWS)];
  }

  function draw() {
    const virtual = rows.length >= VIRTUAL_FROM;
    const [first, end] = range();
    const wanted = rows.slice(first, end).map((row, n) => rowFor(row, first + n));
    above.firstChild.style.height = `${first * ROW_PX}px`;
    below.firstChild.style.height = `${(rows.length - end) * ROW_PX}px`;
    place(virtual ? [above, ...wanted, below] : wanted);
    const kept = new Set(wanted);
    for (const [id, tr] of made) if (!kept.has(tr)) made.delete(id);
  }

  // Moves as little as possible: a row that is moved would lose its focus.
  function place(wanted) {
    const kept = new Set(wanted);
    for (const child of [...body.children]) if (!kept.has(child)) child.remove();
    let at = body.firstChild;
    for (const row of wanted) {
      if (row === at) at = at.nextSibling;
      else body.insertBefore(row, at);
    }
  }

  let waiting = 0;
  function onScroll() {
    if (rows.length >= VIRTUAL_FROM && !waiting) {
      waiting = requestAnimationFrame(() => {
        waiting = 0;
        draw();
      });
    }
  }

  function show(next) {
    rows = next;
    table.setAttribute("aria-rowcount", rows.length + 1);
    table.hidden = rows.length === 0 && nothing !== undefined;
    if (nothing) nothing.hidden = rows.length > 0;
    arrange();
    draw();
  }

  addEventListener("scroll", onScroll, { passive: true, capture: true }); // a dialog's own, too
  addEventListener("resize", onScroll);
  return { element, show, destroy() {
    removeEventListener("scroll", onScroll, { capture: true });
    removeEventListener("resize", onScroll);
    cancelAnimationFrame(waiting);
  } };
}
