// One memory: its text, why it is ranked where it is, what is known about it, and its history.

import { call, isAborted } from "./api.js";
import { button, el, fill } from "./dom.js";
import { Entities } from "./entities.js";
import { scoreTable } from "./explain.js";
import { idsOf, moment, named, sameIds } from "./format.js";
import { timeline } from "./history.js";
import { notify, problemBox } from "./notices.js";
import { addressOf, go, place } from "./router.js";

// Texts of more characters are set smaller.
const LONG = 280;

export class Detail {
  constructor(app) {
    this.app = app;
    this.node = el("aside", { class: "detail", "aria-label": "Memory", tabindex: -1 });
    this.memory = null;
    this.entities = new Entities();
  }

  /** The memory with an id; without one, the entities of the scope. */
  async show(id, { focus = true } = {}) {
    this.running?.abort();
    this.id = id;
    this.memory = null;
    if (!id) {
      this.shownId = null;
      this.overview();
      if (focus && place().view === "entities") this.entities.heading?.focus();
      return;
    }
    const running = (this.running = new AbortController());
    if (this.shownId !== id) fill(this.node, this.bar(null), el("p", { class: "pad faint wait" }, "Reading"));
    try {
      const options = { signal: running.signal };
      const [memory, history] = await Promise.all([
        call("get", { memory_id: id }, options), call("history", { memory_id: id }, options)]);
      this.draw(id, memory, history);
      if (focus) this.heading?.focus({ preventScroll: false });
    } catch (problem) {
      if (!isAborted(problem)) fill(this.node, this.bar(null), problemBox(problem, () => this.show(id)));
    }
  }

  /** What is shown beside the list as long as no memory is chosen. */
  overview({ again = false } = {}) {
    const { ids } = place();
    if (!ids) return fill(this.node);
    const isShown = getComputedStyle(this.node).display !== "none";
    if (isShown && (again || !sameIds(ids, this.entities.ids))) this.entities.show(ids);
    return fill(this.node, this.entities.node);
  }

  bar(memory) {
    const may = memory && this.app.may("write");
    return el("div", { class: "detail-bar" },
      button("Back to the list", () => this.close(), { kind: "icon plain", drawing: "close" }),
      el("span", { class: "spread" }),
      may && memory.superseded_by ? button("Restore", () => this.app.restore(memory)) : null,
      may ? button("Edit", () => this.app.edit(memory), { drawing: "edit" }) : null,
      may ? button("Delete", () => this.app.delete(memory), { kind: "danger", drawing: "remove" }) : null);
  }

  close() {
    go({ memory: null });
    this.app.memories.move(0);
  }

  draw(id, memory, history) {
    this.memory = memory;
    this.shownId = id;
    if (!memory) return this.drawRemoved(id, history);
    const found = this.app.memories.hitOf(id);
    const kind = (memory.memory ?? "").length > LONG ? "memory-full prose long" : "memory-full prose";
    this.heading = el("h2", { class: kind, tabindex: -1, dir: "auto" }, memory.memory || "(no text)");
    fill(this.node, this.bar(memory), el("div", { class: "detail-body" }, this.heading,
      this.hidden(memory),
      found ? section("Why it is ranked here", scoreTable(found.hit, found.index, found.hits)) : null,
      section("Whose it is", ids(memory)),
      memory.metadata ? section("Metadata", metadata(memory.metadata)) : null,
      section("Record", record(memory)),
      section("History", timeline(history))));
  }

  drawRemoved(id, history) {
    this.heading = el("h2", { tabindex: -1 }, history.length ? "This memory was deleted" : "There is no such memory");
    fill(this.node, this.bar(null), el("div", { class: "detail-body" }, this.heading,
      el("p", { class: "code faint" }, id), history.length ? section("History", timeline(history)) : null));
  }

  hidden(memory) {
    if (!memory.superseded_by) return null;
    return el("p", { class: "note" }, "A later fact superseded it. ",
      el("a", { href: addressOf({ ...place(), memory: memory.superseded_by }) }, "See that one"), ".");
  }
}

const section = (title, ...content) => el("section", {}, el("h3", {}, title), content);

function ids(memory) {
  const scope = idsOf(memory);
  const rows = named(scope).map(([kind, id]) => el("div", {}, el("dt", {}, kind), el("dd", { dir: "auto" }, id)));
  const isOther = !sameIds(scope, place().ids);
  return el("div", {}, el("dl", { class: "facts" }, rows),
    isOther ? el("a", { href: addressOf({ view: "memories", ids: scope, memory: memory.id }) }, "Show this scope") : null);
}

function metadata(values) {
  return el("dl", { class: "facts" }, Object.entries(values).map(([key, value]) =>
    el("div", {}, el("dt", { class: "code" }, key),
      el("dd", { class: "code", dir: "auto" }, typeof value === "string" ? value : JSON.stringify(value)))));
}

function record(memory) {
  const rows = [
    ["stored", memory.created_at && moment(memory.created_at)],
    ["changed", memory.updated_at !== memory.created_at && memory.updated_at && moment(memory.updated_at)],
    ["said", memory.metadata?.event_time && moment(memory.metadata.event_time)],
    ["expires", memory.expiration_date],
    ["superseded", memory.superseded_at && moment(memory.superseded_at)],
    ["by", [memory.role, memory.actor_id].filter(Boolean).join(" ")],
    ["attributed to", memory.attributed_to],
  ].filter(([, value]) => value);
  return el("dl", { class: "facts" },
    rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { class: "number" }, String(value)))),
    copied("id", memory.id), memory.hash ? copied("hash", memory.hash) : null);
}

function copied(name, text) {
  const copy = button(`Copy the ${name}`, async () => {
    await navigator.clipboard?.writeText(text);
    notify(`The ${name} is copied.`);
  }, { kind: "icon plain small", drawing: "copy" });
  return el("div", {}, el("dt", {}, name), el("dd", { class: "code copied" }, el("span", {}, text), copy));
}
