// What a page says when it has nothing to show, or something went wrong; and the short messages at the screen's edge.
import { get } from "../api.js";
import { h, icon, text } from "../dom.js";

const TOAST_MS = 6000;

/** Nothing is there (yet): what that means, and what to do. */
export const empty = (title, ...rest) =>
  h("div", { class: "state" }, icon("empty"), h("h2", {}, title), rest.map((part) => (typeof part === "string" ? h("p", {}, part) : part)));

/** A command to try, with where the broker is: command((address) => text). */
export function command(words) {
  const element = h("pre", {}, words("127.0.0.1:9092"));
  const addressOf = ({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`;
  get("/cluster").then(({ brokers: [first] }) => first && text(element, words(addressOf(first))), () => {});
  return element;
}

/** Something is on its way. */
export const waiting = (what) => h("div", { class: "waiting", role: "img", "aria-label": `${what} is on its way` });

/** It could not be had: why, and a way to try again. */
export function failed(problem, again, heading = "h2") {
  const title = problem.unreachable ? "The broker does not answer" : problem.status === 404 ? "That is not here" : "That did not work";
  const words = problem.unreachable ? "This page goes on by itself as soon as the broker is back." : problem.message;
  return h("div", { class: "state", role: "alert" }, icon("bad"), h(heading, { tabindex: heading === "h1" ? -1 : undefined }, title), h("p", {}, words),
    again && h("button", { class: "button", type: "button", onclick: again }, "Try again"));
}

/** A short message that goes by itself. tone: "ok" or "bad". */
export function toast(words, tone = "ok") {
  const box = h("div", { class: `toast ${tone}` }, h("span", { class: `tone-${tone}` }, icon(tone)), h("span", {}, words));
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), TOAST_MS);
}

/** Badges: a word in a tone: "ok", "warn", "bad", "accent", or "". */
export const badge = (words, tone = "") => h("span", { class: `badge ${tone}` }, words);
