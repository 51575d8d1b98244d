// The settings of a topic or a group: what holds, where it comes from, and how it is changed.
import { get, patch } from "../api.js";
import { h, icon } from "../dom.js";
import { bytes, duration } from "../format.js";
import { choice, field, form, openDialog } from "./dialog.js";
import { searchBox } from "./head.js";
import { empty, failed, toast, waiting } from "./say.js";
import { dataTable } from "./table.js";

const TYPING_MS = 300;

/** What a number of a setting means: 604800000 of retention.ms is 7 d. */
function meaning(name, value) {
  if (value === null || !/^-?\d+$/.test(value)) return "";
  const n = Number(value);
  if (n < 0) return n === -1 && /\.(ms|bytes)$/.test(name) ? "no limit" : "";
  if (n >= Number.MAX_SAFE_INTEGER) return name.endsWith(".ms") ? "never" : "no limit";
  if (name.endsWith(".ms") && n >= 1000) return duration(n);
  return name.endsWith(".bytes") && n >= 1000 ? bytes(n) : "";
}

function shown({ name, value, sensitive }) {
  if (sensitive) return "(hidden)";
  const means = meaning(name, value);
  return value === null || value === "" ? "–" : means ? `${value} (${means})` : value;
}

const inputFor = (config) => (config.type === "boolean" ? choice([["true", "true"], ["false", "false"]], config.value)
  : h("input", { value: config.value ?? "", autocomplete: "off", spellcheck: "false", inputmode: ["int", "long", "short"].includes(config.type) ? "numeric" : undefined }));

/** A dialog that changes one; what the broker would refuse is said while one types. */
function edit({ where, own }, config, done) {
  openDialog(config.name, (close) => {
    const value = field("Value", inputFor(config), config.documentation ?? undefined);
    const means = h("p", { class: "hint", "aria-live": "polite" }, meaning(config.name, config.value));
    let timer = 0, asked = 0;
    async function check() {
      const mine = ++asked;
      try {
        await patch(where, { [config.name]: value.input.value }, { query: { validateOnly: true } });
        if (mine === asked) value.wrong("");
      } catch (problem) {
        if (mine === asked && !problem.unreachable) value.wrong(problem.message);
      }
    }
    value.input.addEventListener("input", () => {
      means.textContent = meaning(config.name, value.input.value);
      clearTimeout(timer);
      timer = setTimeout(check, TYPING_MS);
    });
    async function save(next, words) {
      await patch(where, { [config.name]: next });
      close();
      toast(words);
      done();
    }
    const made = form([value.element, means], { action: "Save", close, send: async () => {
      clearTimeout(timer);
      asked++;
      try {
        await save(value.input.value, `${config.name} is ${value.input.value} now.`);
      } catch (problem) {
        value.wrong(problem.message);
        value.input.focus();
      }
    } });
    if (config.source === own) made.element.querySelector(".actions").prepend(h("button", { class: "button", type: "button", onclick: () => save(null, `${config.name} is back at its default.`).catch((problem) => value.wrong(problem.message)) }, icon("reset"), "Back to the default"));
    return made.element;
  });
}

/** A tab: settings(context, { where: "/topics/orders/configs", own: "topic" }). own: what the API calls a source that is the thing itself. */
export function settings(context, of) {
  const { where, own } = of;
  let all = [], wanted = "", changed = false;
  const nothing = empty("No setting here", `No setting's name fits the search, or none of this ${own}'s own is set.`);
  const table = dataTable({ caption: "Settings", key: (config) => config.name, sort: [0, "ascending"], nothing, columns: [
    { name: "Setting", width: "50%", wrap: true, of: (config) => config.name, show: (config) => (config.readOnly ? config.name : { text: config.name, press: () => edit(of, config, load) }) },
    { name: "Value", mono: true, wrap: true, show: shown },
    { name: "Comes from", width: "9rem", wide: true, of: (config) => config.source, show: (config) => ({ text: config.source === own ? `this ${own}` : config.source, badge: config.source === own ? "accent" : "" }) },
  ] });
  const holder = h("div", {}, waiting("The settings"));
  const toggle = h("button", { class: "button", type: "button", "aria-pressed": "false", onclick: () => {
    changed = !changed;
    toggle.setAttribute("aria-pressed", String(changed));
    show();
  } }, `Set for this ${own}`);

  const show = () => table.show(all.filter((config) => config.name.includes(wanted) && (!changed || config.source === own)));

  async function load() {
    try {
      all = (await get(where, context)).configs;
      holder.replaceChildren(table.element);
      show();
    } catch (problem) {
      if (!context.signal.aborted) holder.replaceChildren(failed(problem, load));
    }
  }

  context.onLeave(table.destroy);
  load();
  return { element: h("div", { class: "stack" }, h("div", { class: "row" }, searchBox("Search settings", (typed) => {
    wanted = typed.toLowerCase();
    show();
  }), toggle), holder), show() {} };
}
