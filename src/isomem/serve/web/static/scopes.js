// The scopes: whose memories there are, how many, and from when.

import { call } from "./api.js";
import { button, debounced, el, fill } from "./dom.js";
import { idsOf, named, number, period, plural, sameIds, scopeName } from "./format.js";
import { VirtualList } from "./list.js";
import { announce, emptyBox, problemBox } from "./notices.js";
import { go } from "./router.js";

export class Scopes {
  constructor(app) {
    this.app = app;
    this.all = [];
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
      this.all = await call("scopes", { show_expired: true, show_superseded: true });
    } catch (problem) {
      this.all = [];
      fill(this.below, problemBox(problem, () => this.load()));
    }
    const memories = this.all.reduce((sum, scope) => sum + scope.memories, 0);
    fill(this.summary, this.all.length ? `${number(this.all.length)} · ${plural(memories, "memory", "memories")}` : "");
    this.filter({ keep: true });
    if (!this.all.length && !this.below.childNodes.length) fill(this.below, this.empty());
    return this.all;
  }

  empty() {
    return emptyBox("No memories yet",
      "As soon as something is added, whose it is shows up here.",
      this.app.may("write") ? button("Add a memory", () => this.app.add(), { drawing: "plus" }) : null);
  }

  filter({ keep = false } = {}) {
    const words = this.find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = words.length
      ? this.all.filter((scope) => words.every((word) => scopeName(scope).toLowerCase().includes(word)))
      : this.all;
    this.list.show({ length: found.length, at: (index) => found[index] }, { keep });
    if (words.length) announce(plural(found.length, "scope"));
    if (words.length && !found.length) fill(this.below, emptyBox("No such scope", "Ids are compared word by word."));
    else if (this.all.length) fill(this.below);
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
