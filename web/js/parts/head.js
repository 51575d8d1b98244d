// The top of a page: where one is, its title, a line about it, what can be done.
import { h, icon } from "../dom.js";

/** head("orders", { up: ["Topics", "#/topics"], lead: "...", actions: [button] }) */
export function head(title, { up, lead, actions } = {}) {
  document.title = `${title} · Odradek`;
  return h("div", { class: "head" },
    h("div", {},
      up && h("a", { class: "crumb", href: up[1] }, icon("back"), up[0]),
      h("h1", { tabindex: -1 }, title),
      lead && h("p", { class: "lead" }, lead)),
    actions && h("div", { class: "row" }, actions));
}

/** A panel with a heading of its own. */
export function panel(title, body, { actions, id } = {}) {
  const heading = h("h2", { id }, title);
  return h("section", { class: "panel" }, h("header", {}, heading, actions && h("div", { class: "row" }, actions)), body);
}

/** Buttons of which one holds: segments("Window", [["1", "1 min"], ...], "5", choose). */
export function segments(label, choices, chosen, choose) {
  const buttons = choices.map(([value, name]) => h("button", {
    type: "button", "aria-pressed": String(value === chosen),
    onclick: () => {
      for (const [at, button] of buttons.entries()) button.setAttribute("aria-pressed", String(choices[at][0] === value));
      choose(value);
    },
  }, name));
  return h("div", { class: "segments", role: "group", "aria-label": label }, buttons);
}

/** A search box that tells what is in it. */
export function searchBox(label, onInput) {
  const input = h("input", { class: "input", type: "search", placeholder: label, "aria-label": label, autocomplete: "off", spellcheck: "false",
    oninput: () => onInput(input.value.trim()) });
  return h("div", { class: "search" }, icon("search"), input);
}

/** The tabs of a page, which are places of their own: pageTabs([["Partitions", "#/..."]], here). */
export const pageTabs = (label, tabs, here) => h("nav", { class: "pages", "aria-label": label },
  tabs.map(([name, href]) => h("a", { href, "aria-current": href === here ? "page" : undefined }, name)));
