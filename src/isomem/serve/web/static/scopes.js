// The scopes: whose memories there are, how many, and from when.

import { call } from "./api.js";
import { button, debounced, el, fill } from "./dom.js";
import { idsOf, named, number, period, plural, sameIds, scopeName } from "./format.js";
import { VirtualList } from "./list.js";
import { announce, emptyBox, problemBox } from "./notices.js";
import { go } from "./router.js";

/** How many scopes are read at once, and in all; the others are found by an id. */
const LIMITS = { perPage: 1000, mostRead: 10_000 };

const HIDDEN_TOO = { show_expired: true, show_superseded: true };

export class Scopes {
  constructor(app, limits = LIMITS) {
    this.app = app;
    this.limits = limits;
    this.all = [];
    this.total = 0;
    this.list = new VirtualList({
      label: "Scopes", height: "--scope-row", draw: drawScope,
      choose: (scope) => go({ ids: idsOf(scope), memory: null }),
    });
    this.list.chosen = (scope) => sameIds(scope, this.ids);
    this.find = el("input", {
      class: "input", type: "search", placeholder: "Find a scope", "aria-label": "Find a scope",
      autocomplete: "off", spellcheck: "false", on: { input: debounced(() => this.filter(), 80) },
    });
    this.summary = el("p", { class: "faint number" });
    this.below = el("div", { class: "rail-below" });
    const heading = el("h2", { id: "scopes-title" }, "Scopes");
    this.node = el("nav", { class: "rail", "aria-labelledby": heading.id },
      el("header", { class: "rail-head" }, heading, this.summary),
      el("div", { class: "rail-find" }, this.find), this.list.node, this.below);
    this.ids = null;
  }

  async load() {
    fill(this.below);
    try {
      [this.all, this.total] = await this.pages();
    } catch (problem) {
      [this.all, this.total] = [[], 0];
      fill(this.below, problemBox(problem, () => this.load()));
    }
    fill(this.summary, this.all.length ? this.counted() : "");
    this.filter({ keep: true });
    if (!this.all.length && !this.below.childNodes.length) fill(this.below, this.empty());
    return this.all;
  }

  /** Scopes, read page by page, and how many there are. */
  async pages() {
    const found = [], { perPage, mostRead } = this.limits;
    let cursor = null, total = 0;
    do {
      const page = await call("scopes", { ...HIDDEN_TOO, page_size: perPage, cursor });
      found.push(...page.results);
      ({ next_cursor: cursor, total } = page);
    } while (cursor !== null && found.length < mostRead);
    return [found, total];
  }

  /** Whether there are more than were read. */
  get isPart() {
    return this.total > this.limits.mostRead;
  }

  counted() {
    if (this.isPart) return `the first ${number(this.all.length)} of ${number(this.total)}`;
    const memories = this.all.reduce((sum, scope) => sum + scope.memories, 0);
    return `${number(this.all.length)} · ${plural(memories, "memory", "memories")}`;
  }

  empty() {
    return emptyBox("No memories yet",
      "As soon as something is added, whose it is shows up here.",
      this.app.may("write") ? button("Add a memory", () => this.app.add(), { drawing: "plus" }) : null);
  }

  filter({ keep = false } = {}) {
    const text = this.find.value.trim();
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const found = words.length
      ? this.all.filter((scope) => words.every((word) => scopeName(scope).toLowerCase().includes(word)))
      : this.all;
    this.draw(found, words.length, keep);
    if (words.length && this.isPart) this.findBeyond(text, found);
  }

  draw(found, isSearch, keep = false) {
    this.list.show({ length: found.length, at: (index) => found[index] }, { keep });
    if (isSearch) announce(plural(found.length, "scope"));
    if (isSearch && !found.length) {
      fill(this.below, emptyBox("No such scope",
        this.isPart ? "Beyond those that were read, a whole id is needed." : "Ids are compared word by word."));
    } else if (this.all.length) fill(this.below);
  }

  /** Also shows the scopes that have a text as an id and were not read. */
  async findBeyond(text, found) {
    const asked = ["user_id", "agent_id", "run_id"].map((key) =>
      call("scopes", { ...HIDDEN_TOO, [key]: text, page_size: this.limits.perPage }));
    const answers = (await Promise.allSettled(asked)).filter(({ status }) => status === "fulfilled");
    if (this.find.value.trim() !== text) return;
    const others = [];
    for (const scope of answers.flatMap(({ value }) => value.results)) {
      if (![...found, ...others].some((known) => sameIds(known, scope))) others.push(scope);
    }
    if (others.length) this.draw([...found, ...others], true);
  }

  show(ids) {
    this.ids = ids;
    const index = this.all.findIndex((scope) => sameIds(scope, ids));
    if (index >= 0 && !this.find.value) {
      this.list.active = index;
      this.list.scrollTo(index);
    }
    this.list.refresh();
  }
}

function drawScope(scope, index, row) {
  const ids = named(scope);
  const [kind, id] = ids[0] ?? ["", "no ids"];
  const rest = ids.slice(1);
  row.append(
    el("div", { class: "scope-line" },
      el("span", { class: "scope-id", title: id }, el("span", { class: "faint" }, kind ? `${kind} ` : ""), el("bdi", {}, id)),
      el("span", { class: "scope-count number" }, number(scope.memories), el("span", { class: "unseen" }, " memories"))),
    el("div", { class: "scope-line faint" },
      el("span", { class: "scope-rest" },
        rest.length ? rest.map(([name, value]) => `${name} ${value}`).join(" · ") : period(scope.first, scope.last)),
      rest.length ? el("span", { class: "scope-dates" }, period(scope.last, scope.last)) : null),
  );
}
