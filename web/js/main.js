// The frame: which page is shown, the state of the link to the broker, how it is said.
import { ApiError, get } from "./api.js";
import { h, text } from "./dom.js";
import * as live from "./live.js";
import { failed, toast } from "./parts/say.js";

// Where: what is behind the '#'. A part that begins with ':' stands for any one.
const ROUTES = [
  ["/", "overview", () => import("./pages/overview.js")],
  ["/topics", "topics", () => import("./pages/topics.js")],
  ["/topics/:topic", "topics", () => import("./pages/topic.js")],
  ["/topics/:topic/:tab", "topics", () => import("./pages/topic.js")],
  ["/groups", "groups", () => import("./pages/groups.js")],
  ["/groups/:group", "groups", () => import("./pages/group.js")],
  ["/groups/:group/:tab", "groups", () => import("./pages/group.js")],
  ["/insights", "insights", () => import("./pages/insights.js")],
  ["/cluster", "cluster", () => import("./pages/cluster.js")],
  ["/clients/:client", "cluster", () => import("./pages/client.js")],
];

const main = document.getElementById("main");
let leave = () => {}; // ends the page that is shown

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return ""; // "%" and no number: no name
  }
}

function match(pattern, where) {
  const want = pattern.split("/"), have = where.split("/");
  if (want.length !== have.length) return null;
  const params = {};
  for (const [n, part] of want.entries()) {
    if (part.startsWith(":") && decoded(have[n])) params[part.slice(1)] = decoded(have[n]);
    else if (part !== have[n]) return null;
  }
  return params;
}

function find() {
  const [where, query] = (location.hash.slice(1) || "/").split("?");
  for (const [pattern, page, load] of ROUTES) {
    const params = match(pattern, where);
    if (params) return { page, load, params, query: new URLSearchParams(query) };
  }
  return { page: "", load: null };
}

// Loads the whole anew, where there is somebody to load it from: else the browser would show a page of its own.
async function reload() {
  try {
    await get("/cluster");
  } catch (problem) {
    if (problem.unreachable) return toast(problem.message, "bad");
  }
  location.reload();
}

// A page's own code. Browsers remember that it could not be had: to ask once more for it alone is in vain.
async function codeOf(load) {
  try {
    return await load();
  } catch (problem) {
    if (!(problem instanceof TypeError)) throw problem; // it was had, and is wrong
    throw Object.assign(new ApiError(0, "UNREACHABLE", "The broker does not answer."), { again: reload });
  }
}

/** Shows the page of the address. `focus`: the person went there, so that the reading begins at its title. */
async function show(focus) {
  leave();
  const { page, load, params, query } = find();
  const ending = new AbortController();
  const last = [];
  leave = () => {
    ending.abort();
    for (const end of last.splice(0)) end();
  };
  for (const link of document.querySelectorAll("[data-page]")) {
    if (link.dataset.page === page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const root = h("div", { class: "stack page" });
  main.replaceChildren(root);
  scrollTo(0, 0);
  const context = { root, params, query, signal: ending.signal, onLeave: (end) => last.push(end), again: () => show(false) };
  try {
    if (!load) throw new ApiError(404, "NOT_FOUND", "There is no such page. The pages of the dashboard are in the navigation.");
    const module = await codeOf(load);
    if (!ending.signal.aborted) await module.default(context);
  } catch (problem) {
    if (ending.signal.aborted) return;
    const again = problem.again ?? context.again;
    root.replaceChildren(failed(problem instanceof ApiError ? problem : new ApiError(1, "", String(problem?.message ?? problem)), again, "h1"));
    document.title = "Odradek";
    if (!(problem instanceof ApiError)) console.error(problem);
    if (problem.unreachable) last.push(live.on("back", again));
  }
  if (focus && !ending.signal.aborted) root.querySelector("h1")?.focus({ preventScroll: true });
}

const LINK_WORDS = { connecting: "Connecting", live: "Live", down: "Not connected" };

function showLink() {
  const { state } = live.link;
  const badge = document.getElementById("link-state"), notice = document.getElementById("notice");
  badge.dataset.state = state;
  text(badge, LINK_WORDS[state]);
  if (state === "down" && notice.hidden) {
    notice.hidden = false;
    notice.replaceChildren("The broker does not answer. The dashboard tries again by itself, and shows the last figures until then.",
      h("button", { class: "button", type: "button", onclick: live.retryNow }, "Try now"));
  }
  if (state === "live") notice.hidden = true;
}

live.on("state", showLink);
live.on("back", () => toast("The broker is back. Figures are live again."));
addEventListener("hashchange", () => show(true));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // '#' is where pages are
  main.focus();
});
live.start();
show(false);
addEventListener("load", () => ROUTES.forEach(([, , load]) => load().catch(() => {}))); // so that each page is there while the broker is away
