// Dialogs. The browser keeps the focus inside, closes them with Escape, and gives the focus back.

import { button, el, fill } from "./dom.js";
import { problemBox } from "./notices.js";

let titles = 0;

/** Opens a dialog; it is removed when it closes. Returns the element. */
export function open(title, ...content) {
  const heading = el("h2", { id: `dialog-${++titles}` }, title);
  const dialog = el("dialog", { "aria-labelledby": heading.id });
  dialog.append(el("div", { class: "body" }, heading, content));
  return opened(dialog);
}

function opened(dialog) {
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("pointerdown", (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * A form in a dialog. `send` is called when it is submitted; the dialog closes if it succeeds, and
 * says what is wrong if it does not.
 */
export function ask({ title, content, action, kind = "", send, focus }) {
  const heading = el("h2", { id: `dialog-${++titles}` }, title);
  const wrong = el("div");
  const go = button(action, null, { kind: `main ${kind}`, type: "submit" });
  const cancel = button("Cancel", () => dialog.close());
  const form = el("form", { method: "dialog", novalidate: true }, heading, content, wrong,
    el("div", { class: "actions" }, cancel, go));
  const dialog = el("dialog", { "aria-labelledby": heading.id }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    fill(wrong);
    try {
      await send(dialog);
      dialog.close();
    } catch (problem) {
      fill(wrong, problemBox(problem));
    } finally {
      go.disabled = false;
    }
  });
  opened(dialog);
  (focus ?? cancel).focus();
  return dialog;
}

export const isOpen = () => document.querySelector("dialog[open]") !== null;
