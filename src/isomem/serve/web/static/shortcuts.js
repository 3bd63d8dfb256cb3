// Single keys. They can be turned off, for those whose input makes keys by accident.

import { check, el, isTyping } from "./dom.js";
import { isOpen, open } from "./dialogs.js";

const OFF = "isomem.shortcuts.off";
const SEQUENCE_MS = 1200;

const known = [];
let started = "";
let startedAt = 0;

/** Adds a shortcut: one key, or two after each other, such as "g e". */
export function shortcut(keys, says, work) {
  known.push({ keys, says, work });
}

function isOff() {
  try {
    return localStorage.getItem(OFF) === "yes";
  } catch {
    return false;
  }
}

function turn(isOn) {
  try {
    localStorage.setItem(OFF, isOn ? "no" : "yes");
  } catch {
    // Storage may be forbidden. They then stay on.
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || isOpen()) return;
  if (isOff() && event.key !== "?") return;
  const first = event.timeStamp - startedAt < SEQUENCE_MS ? started : "";
  started = "";
  const found = known.find(({ keys }) => keys === (first ? `${first} ${event.key}` : event.key));
  if (found) {
    event.preventDefault();
    found.work();
  } else if (known.some(({ keys }) => keys.startsWith(`${event.key} `))) {
    started = event.key;
    startedAt = event.timeStamp;
  }
});

/** The list of all shortcuts. */
export function showShortcuts() {
  const rows = known.map(({ keys, says }) =>
    el("div", { class: "shortcut" },
      el("dt", {}, keys.split(" ").map((key) => el("kbd", {}, SAID[key] ?? key))),
      el("dd", {}, says)));
  const single = check("Single keys are shortcuts", !isOff(), turn);
  open("Keyboard",
    el("p", { class: "faint" },
      "Tab moves between parts of the page, arrow keys move in lists, Enter opens, Escape goes back."),
    el("dl", { class: "shortcuts" }, rows), single.node);
}

const SAID = { Escape: "Esc", ArrowDown: "↓", ArrowUp: "↑" };
