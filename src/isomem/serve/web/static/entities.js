// The entities of a scope, and the memories that each of them links.

import { isAborted, view } from "./api.js";
import { button, el, fill } from "./dom.js";
import { day, plural, timeOf } from "./format.js";
import { drawGraph } from "./graph.js";
import { emptyBox, problemBox } from "./notices.js";
import { addressOf, go, place } from "./router.js";

const DRAWN = 22;
const LISTED = 60;

export class Entities {
  constructor() {
    this.node = el("div", { class: "overview" });
  }

  async show(ids) {
    this.ids = ids;
    this.running?.abort();
    const running = (this.running = new AbortController());
    fill(this.node, this.head(), el("p", { class: "pad faint wait" }, "Reading"));
    try {
      const found = await view("entities", { method: "POST", body: { ...ids, most: LISTED }, signal: running.signal });
      this.draw(found);
    } catch (problem) {
      if (!isAborted(problem)) fill(this.node, this.head(), problemBox(problem, () => this.show(ids)));
    }
  }

  head(total) {
    const back = button("Back to the memories", () => go({ view: "memories" }), { kind: "icon plain back", drawing: "back" });
    const hadFocus = this.heading && document.activeElement === this.heading;
    this.heading = el("h2", { tabindex: -1 }, "Entities");
    if (hadFocus) queueMicrotask(() => this.heading.focus());
    return el("header", { class: "overview-head" }, back, this.heading,
      total === undefined ? null : el("p", { class: "faint number" }, plural(total, "name or term", "names and terms")));
  }

  draw(found) {
    if (!found.entities.length) {
      fill(this.node, this.head(), emptyBox("No entities here",
        "They are names and terms in memories that a model found, and link the memories that they are in."));
      return;
    }
    this.found = found;
    this.graph = drawGraph(found.entities.slice(0, DRAWN), (index) => this.choose(this.chosen === index ? -1 : index));
    this.chips = found.entities.map((entity, index) => el("button", {
      class: "chip", type: "button", "aria-pressed": "false",
      on: { click: () => this.choose(this.chosen === index ? -1 : index) },
    }, entity.text, el("span", { class: "faint number" }, ` ${entity.links}`)));
    this.linked = el("section", { class: "linked", "aria-live": "polite" });
    const list = el("ul", { class: "chips", "aria-label": "Entities" }, this.chips.map((chip) => el("li", {}, chip)));
    fill(this.node, this.head(found.total), this.graph.node, this.linked, list);
    this.choose(-1);
  }

  choose(index) {
    this.chosen = index;
    this.graph.mark(index < DRAWN ? index : -1);
    this.chips.forEach((chip, each) => chip.setAttribute("aria-pressed", String(each === index)));
    const entity = this.found.entities[index];
    fill(this.linked, entity ? this.memoriesOf(entity) : el("p", { class: "faint" }, "Choose one to see the memories that it links."));
  }

  memoriesOf(entity) {
    const memories = entity.memories.map((id) => this.found.memories[id]).filter(Boolean);
    return [
      el("h3", {}, `${entity.text} is in ${plural(entity.links, "memory", "memories")}`),
      el("ul", {}, memories.map((memory) => el("li", {},
        el("a", { class: "linked-memory prose", dir: "auto", href: addressOf({ ...place(), memory: memory.id }) }, memory.memory),
        el("span", { class: "faint number" }, day(timeOf(memory)))))),
    ];
  }
}
