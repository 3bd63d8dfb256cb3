// Signing in: with a key, which stays in this tab.

import { setKey, view } from "./api.js";
import { button, el, field, fill } from "./dom.js";
import { problemBox } from "./notices.js";

/** A form for a key. `done` gets what the key may do. */
export function signIn(done, problem) {
  const key = el("input", {
    class: "input code", type: "password", autocomplete: "off", spellcheck: "false",
    autocapitalize: "off", placeholder: "iso_…", required: true,
  });
  const wrong = el("div", {}, problem ? problemBox(problem) : null);
  const send = button("Sign in", null, { kind: "main", type: "submit" });
  const form = el("form", { class: "sign-in", novalidate: true },
    el("p", { class: "wordmark" }, "isomem"),
    el("h1", {}, "Look into this memory"),
    field("Key", key, "It stays in this tab, and is forgotten when the tab is closed."),
    wrong, send,
    el("p", { class: "faint" }, "No key? ", el("code", {}, "isomem keys create"), " makes one, on the machine where the service runs."));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    fill(wrong);
    try {
      setKey(key.value.trim());
      done(await view("session"));
    } catch (error) {
      setKey(null);
      fill(wrong, problemBox(error));
      key.setAttribute("aria-invalid", "true");
      key.focus();
      key.select();
    } finally {
      send.disabled = false;
    }
  });
  requestAnimationFrame(() => key.focus());
  return el("main", { class: "sign-in-page", id: "main" }, form);
}
