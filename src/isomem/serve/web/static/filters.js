// Filters: what a memory has to have to be shown.

import { button, check, debounced, el, field, fill, select } from "./dom.js";

const OPERATORS = [["is", "is"], ["contains", "contains"], ["ne", "is not"], ["gt", "is above"], ["lt", "is below"], ["has", "is there"]];
const DAY_MS = 86_400_000;

export class Filters {
  constructor(changed) {
    this.changed = changed;
    const soon = debounced(changed, 250);
    this.from = el("input", { class: "input", type: "date", on: { change: changed } });
    this.to = el("input", { class: "input", type: "date", on: { change: changed } });
    this.expired = check("Expired ones, too", false, changed);
    this.superseded = check("Superseded ones, too", false, changed);
    this.soon = soon;
    this.rows = el("div", { class: "conditions" });
    this.node = el("section", { class: "filters", "aria-label": "Filters", hidden: true, id: "filters" },
      el("div", { class: "filter-block" }, el("h3", {}, "Metadata"), this.rows,
        el("div", { class: "filter-actions" },
          button("Add a condition", () => this.add().key.focus(), { kind: "plain", drawing: "plus" }),
          button("Clear all filters", () => this.clear(), { kind: "plain" }))),
      el("div", { class: "filter-block" }, el("h3", {}, "Stored"),
        el("div", { class: "pair" }, field("from", this.from), field("to", this.to))),
      el("div", { class: "filter-block" }, el("h3", {}, "Hidden memories"), this.expired.node, this.superseded.node));
    this.conditions = [];
  }

  add() {
    const condition = {
      key: el("input", { class: "input", placeholder: "key", "aria-label": "Key", autocomplete: "off", spellcheck: "false" }),
      operator: select(OPERATORS, "is", { "aria-label": "How it is compared" }),
      value: el("input", { class: "input", placeholder: "value", "aria-label": "Value", autocomplete: "off" }),
    };
    const remove = button("Remove this condition", () => {
      this.conditions = this.conditions.filter((each) => each !== condition);
      condition.node.remove();
      this.changed();
    }, { kind: "icon plain", drawing: "close" });
    condition.node = el("div", { class: "condition" }, condition.key, condition.operator, condition.value, remove);
    condition.node.addEventListener("input", this.soon);
    condition.operator.addEventListener("change", () => {
      condition.value.hidden = condition.operator.value === "has";
    });
    this.conditions.push(condition);
    this.rows.append(condition.node);
    return condition;
  }

  clear() {
    this.conditions = [];
    fill(this.rows);
    this.from.value = this.to.value = "";
    this.expired.box.checked = this.superseded.box.checked = false;
    this.changed();
  }

  /** How many are set. */
  get count() {
    return this.chosen.length + [this.from, this.to].filter((each) => each.value).length
      + [this.expired, this.superseded].filter((each) => each.box.checked).length;
  }

  get chosen() {
    return this.conditions.filter(({ key, operator, value }) => key.value.trim() && (value.value || operator.value === "has"));
  }

  /** The arguments of a call that sees the memories of a scope that pass. */
  asked(ids) {
    const all = [...this.chosen.map(conditionOf), ...this.dates()];
    return {
      filters: all.length ? { AND: all, ...ids } : { ...ids },
      show_expired: this.expired.box.checked,
      show_superseded: this.superseded.box.checked,
    };
  }

  dates() {
    const range = {};
    if (this.from.value) range.gte = this.from.value;
    if (this.to.value) range.lt = new Date(Date.parse(this.to.value) + DAY_MS).toISOString().slice(0, 10);
    return Object.keys(range).length ? [{ created_at: range }] : [];
  }
}

function conditionOf({ key, operator, value }) {
  const name = key.value.trim();
  const values = meant(value.value);
  if (operator.value === "is" && values.length > 1) return { OR: values.map((each) => ({ [name]: each })) };
  if (operator.value === "ne") return { AND: values.map((each) => ({ [name]: { ne: each } })) };
  const conditions = {
    is: values[0],
    contains: { icontains: value.value },
    gt: { gt: values[0] },
    lt: { lt: values[0] },
    has: "*",
  };
  return { [name]: conditions[operator.value] };
}

/** What somebody may mean by a text: a number or a truth value, or else the text itself. */
function meant(text) {
  const plain = text.trim();
  if (plain === "true" || plain === "false") return [plain === "true", plain];
  return plain !== "" && Number.isFinite(Number(plain)) ? [Number(plain), plain] : [plain];
}
