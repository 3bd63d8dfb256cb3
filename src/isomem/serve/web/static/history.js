// The history of a memory as a timeline, each change word by word.

import { diff } from "./diff.js";
import { el } from "./dom.js";
import { moment } from "./format.js";

const SAID = { ADD: "Added", UPDATE: "Changed", DELETE: "Deleted", SUPERSEDE: "Superseded by a later fact", RESTORE: "Restored" };

/** What happened, the latest first. */
export function timeline(rows) {
  if (!rows.length) return el("p", { class: "faint" }, "Nothing is recorded.");
  return el("ol", { class: "timeline" }, [...rows].reverse().map(event));
}

function event(row) {
  const at = row.event === "ADD" ? row.created_at : row.updated_at ?? row.created_at;
  const by = [row.role, row.actor_id].filter(Boolean).join(" ");
  return el("li", { class: `event ${String(row.event).toLowerCase()}` },
    el("p", { class: "event-head" }, el("strong", {}, SAID[row.event] ?? row.event),
      el("time", { class: "faint number", datetime: at ?? false }, moment(at)), by ? el("span", { class: "faint" }, by) : null),
    text(row));
}

function text({ event: name, old_memory: before, new_memory: after }) {
  if (name === "UPDATE" && before === after) return el("p", { class: "faint" }, "The text stayed; something else changed.");
  if (name === "UPDATE") return diff(before ?? "", after ?? "");
  if (name === "SUPERSEDE") return el("p", { class: "prose", dir: "auto" }, after ?? "");
  if (name === "RESTORE") return null;
  return el("p", { class: "prose", dir: "auto" }, after ?? before ?? "");
}
