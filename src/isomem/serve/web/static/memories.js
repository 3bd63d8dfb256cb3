// The memories of a scope: all of them in an order, or those that answer a query.

import { call, isAborted } from "./api.js";
import { button, debounced, el, fill, select } from "./dom.js";
import { legend, scoreBar, why } from "./explain.js";
import { Filters } from "./filters.js";
import { day, isWithin, named, number, plural, sameIds, scoreOf, timeOf } from "./format.js";
import { VirtualList } from "./list.js";
import { announce, emptyBox, problemBox } from "./notices.js";
import { go, place } from "./router.js";
import { Memories } from "./source.js";

const ORDERS = [["newest", "Newest first"], ["oldest", "Oldest first"], ["id", "By id"]];
const HIT_ORDERS = [["score", "Best first"], ["newest", "Newest first"], ["oldest", "Oldest first"]];
const RANKINGS = { contract: "mem0’s ranking", fused: "fused ranking" };
const HITS = 50;
const PAUSE_MS = 160;

export class MemoryPane {
  constructor(app) {
    this.app = app;
    this.filters = new Filters(() => this.reload());
    this.list = new VirtualList({
      label: "Memories", height: "--row", draw: (memory, index, row) => this.draw(memory, index, row),
      choose: (memory) => go({ memory: memory.id }), wants: (first, last) => this.source?.want(first, last),
    });
    this.list.chosen = (memory) => memory.id === place().memory;
    this.hits = el("ol", { class: "hits", "aria-label": "Hits", on: { keydown: (event) => this.onHitKey(event) } });
    this.build();
  }

  build() {
    this.title = el("h1", { class: "scope-title", id: "main", tabindex: -1 });
    this.find = el("input", {
      class: "input find", type: "search", placeholder: "Search by meaning, words and names",
      "aria-label": "Search these memories", autocomplete: "off", spellcheck: "false",
      on: { input: debounced(() => this.reload(), PAUSE_MS), keydown: (event) => this.onFindKey(event) },
    });
    this.order = select(ORDERS, "newest", { class: "select slim", "aria-label": "Order", on: { change: () => this.reload() } });
    this.hitOrder = select(HIT_ORDERS, "score", { class: "select slim", "aria-label": "Order of the hits", on: { change: () => this.drawHits() } });
    const rankings = this.app.session.rankings.map((name) => [name, RANKINGS[name] ?? name]);
    this.ranking = select(rankings, this.app.session.ranking, { class: "select slim", "aria-label": "Ranking", on: { change: () => this.reload() } });
    this.filterButton = button("Filters", () => this.toggleFilters(), {
      drawing: "filter", "aria-expanded": "false", "aria-controls": "filters" });
    this.filterCount = el("span", { class: "badge", hidden: true });
    this.filterButton.append(this.filterCount);
    this.state = el("p", { class: "state faint number" });
    this.legend = el("div");
    this.body = el("div", { class: "pane-body" });
    this.back = button("All scopes", () => go({ ids: null, memory: null }), { kind: "icon plain back", drawing: "back" });
    this.actions = el("div", { class: "pane-actions" });
    this.node = el("section", { class: "pane", "aria-labelledby": "main" },
      el("header", { class: "pane-head" },
        el("div", { class: "pane-title" }, this.back, this.title, this.actions),
        (this.tools = el("div", { class: "tools", role: "search" }, this.find, this.filterButton)),
        this.filters.node,
        el("div", { class: "state-line" }, this.state, this.legend, el("span", { class: "spread" }),
          this.ranking, this.hitOrder, this.order)),
      this.body);
  }

  toggleFilters() {
    this.filters.node.hidden = !this.filters.node.hidden;
    this.filterButton.setAttribute("aria-expanded", String(!this.filters.node.hidden));
    if (!this.filters.node.hidden && !this.filters.conditions.length) this.filters.add().key.focus();
  }

  show(ids) {
    const isSame = this.ids && ids && sameIds(ids, this.ids);
    this.ids = ids;
    if (!isSame) {
      this.find.value = "";
      this.reload();
    }
    this.list.refresh();
    this.markHits();
  }

  /** Asks again: the scope, the query or a filter is another one, or memories have changed. */
  async reload({ keep = false } = {}) {
    this.running?.abort();
    this.source?.close();
    this.source = null;
    this.head();
    if (!this.ids) return this.offer();
    const query = this.find.value.trim();
    this.showTools(Boolean(query));
    const running = (this.running = new AbortController());
    this.state.classList.add("wait");
    try {
      await (query ? this.search(query, running.signal) : this.listAll(running.signal, keep));
    } catch (problem) {
      if (isAborted(problem) || running.signal.aborted) return;
      fill(this.state);
      fill(this.body, problemBox(problem, () => this.reload()));
    } finally {
      if (this.running === running) this.state.classList.remove("wait");
    }
  }

  head() {
    this.tools.hidden = !this.ids;
    const ids = this.ids ? named(this.ids) : [];
    fill(this.title, ids.length
      ? ids.map(([kind, id]) => el("span", { class: "title-id", title: id }, el("span", { class: "faint" }, `${kind} `), el("bdi", {}, id)))
      : "Memories");
    this.filterCount.hidden = !this.filters.count;
    fill(this.filterCount, String(this.filters.count));
    const entities = button("Entities", () => go({ view: "entities", memory: null }), {
      kind: "icon plain to-entities", drawing: "graph" });
    fill(this.actions, this.ids ? entities : null, this.ids && this.app.may("write") ? [
      button("Add", () => this.app.add(this.ids), { drawing: "plus" }),
      button("Delete all", () => this.app.deleteAll(this.ids), { kind: "icon plain danger", drawing: "remove" }),
    ] : null);
  }

  showTools(isSearch) {
    this.order.hidden = isSearch || !this.ids;
    this.hitOrder.hidden = this.ranking.hidden = !isSearch;
  }

  offer() {
    this.showTools(false);
    fill(this.state);
    fill(this.legend);
    fill(this.body, emptyBox("Choose a scope",
      "A scope is whose memories they are: a user, an agent, a run, or several of these together.",
      "Its memories, their history and how they rank are then shown here."));
  }

  // --- All ---

  async listAll(signal, keep) {
    const source = new Memories({ ...this.filters.asked(this.ids), order: this.order.value }, {
      changed: () => this.list.refresh(),
      failed: (problem) => fill(this.state, problem.message),
    });
    await source.start();
    if (signal.aborted) return source.close();
    this.source = source;
    fill(this.legend);
    fill(this.state, this.counted(source.length));
    announce(this.state.textContent);
    if (!source.length) fill(this.body, this.nothing());
    else if (this.list.node.parentNode !== this.body) fill(this.body, this.list.node);
    this.list.show(source, { keep });
    this.shown = null;
  }

  counted(total) {
    const more = this.app.scopes.all.filter((scope) => isWithin(scope, this.ids) && !sameIds(scope, this.ids));
    const said = plural(total, "memory", "memories");
    if (this.filters.count) return `${said} pass the filters`;
    const others = more.reduce((sum, scope) => sum + scope.memories, 0);
    return others ? `${said}, of which ${number(others)} also belong to an agent, a run or a user` : said;
  }

  nothing() {
    if (this.filters.count) {
      return emptyBox("Nothing passes the filters", button("Clear all filters", () => this.filters.clear()));
    }
    return emptyBox("Nothing is remembered here", "Memories that are expired or superseded are hidden. Filters can show them.");
  }

  draw(memory, index, row) {
    const above = this.source?.at(index - 1);
    const date = day(timeOf(memory));
    const isSameDay = above && day(timeOf(above)) === date && Number(row.dataset.index) > 0;
    row.append(
      el("span", { class: "margin number faint" }, isSameDay ? el("span", { class: "unseen" }, date) : date),
      el("span", { class: "memory-text prose", dir: "auto" }, memory.memory || "(no text)"),
      marks(memory));
  }

  // --- Hits ---

  async search(query, signal) {
    const started = performance.now();
    const found = await call("search", {
      query, ...this.filters.asked(this.ids), top_k: HITS, explain: true, ranking: this.ranking.value,
    }, { signal });
    this.found = found.results;
    const ms = Math.max(1, Math.round(performance.now() - started));
    const most = this.found.length === HITS ? "the best " : "";
    fill(this.state, this.found.length ? `${most}${plural(this.found.length, "hit")} in ${number(ms)} ms` : "No hits");
    announce(this.state.textContent);
    fill(this.legend, legend(this.found));
    this.drawHits();
  }

  drawHits() {
    const query = this.find.value.trim();
    if (!this.found.length) {
      fill(this.body, emptyBox("Nothing here answers that", "Try other words, fewer filters, or the other ranking."));
      return;
    }
    this.shown = this.found.map((hit, index) => ({ hit, index }));
    if (this.hitOrder.value !== "score") {
      const sign = this.hitOrder.value === "newest" ? -1 : 1;
      this.shown.sort((a, b) => sign * String(timeOf(a.hit)).localeCompare(String(timeOf(b.hit))));
    }
    fill(this.hits, this.shown.map(({ hit, index }) => this.hit(hit, index, query)));
    fill(this.body, el("div", { class: "hits-scroll" }, this.hits));
    this.markHits();
  }

  hit(hit, index, query) {
    const details = el("span", { class: "hit-why" }, why(hit, index, this.found));
    return el("li", {}, el("button", {
      class: "hit", type: "button", "data-id": hit.id,
      on: { click: () => go({ memory: hit.id }) },
    },
    el("span", { class: "margin rank number" }, el("span", { class: "unseen" }, "Rank "), String(index + 1)),
    el("span", { class: "memory-text prose", dir: "auto" }, ...highlighted(hit.memory, query)),
    el("span", { class: "hit-score" }, scoreBar(hit), el("span", { class: "number code" }, scoreOf(hit.score))),
    details, marks(hit)));
  }

  markHits() {
    const chosen = place().memory;
    for (const node of this.hits.querySelectorAll(".hit")) {
      if (node.dataset.id === chosen) node.setAttribute("aria-current", "true");
      else node.removeAttribute("aria-current");
    }
  }

  /** The hit with an id, and its rank, if hits are shown. */
  hitOf(id) {
    const index = this.find.value.trim() && this.found ? this.found.findIndex((hit) => hit.id === id) : -1;
    return index < 0 ? null : { hit: this.found[index], index, hits: this.found };
  }

  // --- Keys ---

  onFindKey(event) {
    if (event.key === "ArrowDown" || (event.key === "Enter" && !event.isComposing)) {
      event.preventDefault();
      this.focusResults();
    } else if (event.key === "Escape" && this.find.value) {
      event.preventDefault();
      event.stopPropagation();
      this.find.value = "";
      this.reload();
    }
  }

  focusResults() {
    const first = this.hits.isConnected ? this.hits.querySelector(".hit") : this.list.node;
    first?.focus();
  }

  onHitKey(event) {
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const all = [...this.hits.querySelectorAll(".hit")];
    const next = all.indexOf(document.activeElement) + step;
    if (next < 0) this.find.focus();
    else all[next]?.focus();
  }

  move(step) {
    if (this.hits.isConnected) this.focusResults();
    else {
      this.list.node.focus();
      this.list.moveTo(this.list.active + step);
    }
  }
}

/** What is special about a memory. */
export function marks(memory) {
  const said = [];
  if (memory.superseded_by) said.push(["warn", "superseded"]);
  if (memory.expiration_date) said.push(isOver(memory.expiration_date)
    ? ["warn", `expired ${day(memory.expiration_date)}`] : ["", `until ${day(memory.expiration_date)}`]);
  if (memory.actor_id || memory.role) said.push(["", [memory.role, memory.actor_id].filter(Boolean).join(" ")]);
  for (const [key, value] of Object.entries(memory.metadata ?? {}).slice(0, 3)) {
    if (key !== "event_time") said.push(["code", `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`]);
  }
  return el("span", { class: "marks" }, said.map(([kind, text]) => el("span", { class: `mark ${kind}` }, text)));
}

const isOver = (date) => String(date).slice(0, 10) < new Date().toISOString().slice(0, 10);

/** A text in which the words of the query stand out. */
function highlighted(text, query) {
  const words = [...new Set(query.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) ?? [])].slice(0, 20);
  if (!words.length) return [text];
  const starts = words.map((word) => word.slice(0, Math.max(3, word.length - 2)));
  return text.split(/([\p{L}\p{N}]+)/u).map((part, index) =>
    index % 2 && starts.some((start) => part.toLowerCase().startsWith(start)) ? el("mark", {}, part) : part);
}
