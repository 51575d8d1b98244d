// Dialogs and their forms.
import { h, icon, unique } from "../dom.js";

/** Opens a dialog; `fill(close)` makes its content. Focus comes back to where it was. */
export function openDialog(title, fill, { onClose, wide } = {}) {
  const id = unique("dialog");
  const dialog = h("dialog", { "aria-labelledby": id, class: wide ? "wide-dialog" : undefined });
  const close = () => dialog.close();
  dialog.append(h("header", {}, h("h2", { id }, title), h("button", { class: "button plain", type: "button", "aria-label": "Close", onclick: close }, icon("close"))), fill(close));
  dialog.addEventListener("close", () => {
    dialog.remove();
    onClose?.();
  });
  addEventListener("hashchange", close, { once: true });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** A labelled input: field("Name", input, "what is expected"). `wrong(words)` says what is wrong with it; "" takes that back. */
export function field(label, input, hint) {
  const id = unique("field");
  input.id = id;
  input.classList.add("input");
  const wrong = h("p", { class: "wrong", id: `${id}-wrong`, hidden: true }), note = hint && h("p", { class: "hint", id: `${id}-hint` }, hint);
  input.setAttribute("aria-describedby", [`${id}-wrong`, hint && `${id}-hint`].filter(Boolean).join(" "));
  const element = h("div", { class: "field" }, h("label", { for: id }, label), input, note, wrong);
  return { element, input, wrong(words) {
    wrong.textContent = words;
    wrong.hidden = !words;
    if (words) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  } };
}

/** A choice: choice([["a", "words"], ...], chosen, onchange). */
export const choice = (options, chosen, onchange) =>
  h("select", { onchange: (event) => onchange?.(event.target.value) }, options.map(([value, words]) => h("option", { value, selected: value === chosen }, words)));

/** A form whose submit runs `send` once at a time; what that throws is shown above the buttons. */
export function form(parts, { action, send, close, danger }) {
  const wrong = h("p", { class: "wrong", role: "alert" });
  const button = h("button", { class: `button ${danger ? "danger" : "primary"}`, type: "submit" }, action);
  const element = h("form", { onsubmit: async (event) => {
    event.preventDefault();
    wrong.textContent = "";
    button.disabled = true;
    try {
      await send();
    } catch (problem) {
      wrong.textContent = problem.message;
      if (!(problem.code)) console.error(problem);
    } finally {
      button.disabled = false;
    }
  } }, parts, wrong, h("div", { class: "actions" }, close && h("button", { class: "button", type: "button", onclick: close }, "Cancel"), button));
  element.noValidate = true;
  return { element, button };
}

/** Asks before something that cannot be taken back. `word`: what has to be typed. */
export function confirm(title, words, { action, send, word }) {
  openDialog(title, (close) => {
    const typed = field(`Type ${word} to confirm`, h("input", { autocomplete: "off", spellcheck: "false" }));
    return form([h("p", {}, words), typed.element], { action, danger: true, close, send: async () => {
      if (typed.input.value !== word) {
        typed.wrong(`This is not ${word}.`);
        typed.input.focus();
        return;
      }
      await send();
      close();
    } }).element;
  });
}
