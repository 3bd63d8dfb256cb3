// What is said to everybody: to those who look, and to those who listen.

import { button, el, fill } from "./dom.js";

const polite = () => document.getElementById("polite");
const SHOWN_MS = 5000;

/** Says something to those who listen. */
export function announce(text) {
  fill(polite(), text);
}

/** Shows for a while that something is done, and says it. */
export function notify(text) {
  announce(text);
  const notice = el("div", { class: "notice", "aria-hidden": "true" }, text);
  document.getElementById("notices").append(notice);
  setTimeout(() => notice.remove(), SHOWN_MS);
}

/** A problem where its result would be, with what to do about it. */
export function problemBox(problem, again) {
  return el(
    "div",
    { class: "problem", role: "alert" },
    el("p", {}, problem.message),
    problem.suggestion ? el("p", { class: "faint" }, problem.suggestion) : null,
    problem.requestId ? el("p", { class: "faint code" }, `request ${problem.requestId}`) : null,
    again ? button("Try again", again) : null,
  );
}

/** What there is when there is nothing. */
export const emptyBox = (title, ...text) =>
  el("div", { class: "empty" }, el("h2", {}, title), text.map((each) =>
    typeof each === "string" ? el("p", {}, each) : each));
