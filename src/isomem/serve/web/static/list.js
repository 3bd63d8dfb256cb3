// A list of any length in which only the visible rows exist.
//
// Rows have one height, so that where a row is follows from its number. To assistive technology it
// is a list box: it says how many options there are, and which one is the active one.

import { debounced, el } from "./dom.js";

const SPARE_ROWS = 6;
// Browsers cannot lay out more than some ten million pixels; beyond, rows share them.
const TALLEST_PX = 8_000_000;

let lists = 0;

export class VirtualList {
  /**
   * source: `length`, and `at(index)`, which gives an item or undefined if it is not read yet.
   * draw(item, index, row): fills a row. wants(first, last): asks for what is missing.
   * choose(item, index): a row was chosen. height: of a row, a custom property of CSS.
   */
  constructor({ label, height, draw, choose, wants = () => {}, moved = () => {} }) {
    this.id = `list-${++lists}`;
    this.height = height;
    this.draw = draw;
    this.choose = choose;
    this.wants = debounced(wants, 60);
    this.moved = moved;
    this.source = { length: 0, at: () => undefined };
    this.active = -1;
    this.chosen = () => false;
    this.rows = new Map();
    this.spares = [];
    this.space = el("div", { class: "list-space", role: "presentation" });
    this.node = el("div", {
      class: "list", role: "listbox", tabindex: 0, "aria-label": label,
      on: {
        scroll: () => this.schedule(),
        keydown: (event) => this.onKey(event),
        click: (event) => this.onClick(event),
        focus: () => this.onFocus(),
      },
    }, this.space);
    new ResizeObserver(() => this.measure()).observe(this.node);
  }

  show(source, { keep = false } = {}) {
    this.source = source;
    this.forget();
    if (!keep) {
      this.active = -1;
      this.node.scrollTop = 0;
    }
    this.active = Math.min(this.active, source.length - 1);
    this.measure();
  }

  /** Draws the rows again: what they show has changed. */
  refresh() {
    this.forget();
    this.render();
  }

  forget() {
    for (const row of this.rows.values()) {
      row.remove();
      this.spares.push(row);
    }
    this.rows.clear();
  }

  measure() {
    const shown = getComputedStyle(document.documentElement).getPropertyValue(this.height);
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.rowPx = parseFloat(shown) * rem;
    this.pagePx = this.node.clientHeight;
    this.tallPx = this.source.length * this.rowPx;
    this.spacePx = Math.min(this.tallPx, TALLEST_PX);
    this.space.style.height = `${this.spacePx}px`;
    this.render();
  }

  schedule() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.render();
    });
  }

  /** How far the rows are moved up when all of them do not fit into the space. */
  get skippedPx() {
    const free = this.spacePx - this.pagePx;
    if (this.tallPx <= this.spacePx || free <= 0) return 0;
    return (this.tallPx - this.spacePx) * Math.min(1, this.node.scrollTop / free);
  }

  render() {
    if (!this.rowPx || !this.pagePx) return;
    const skipped = this.skippedPx;
    const top = this.node.scrollTop + skipped;
    const first = Math.max(0, Math.floor(top / this.rowPx) - SPARE_ROWS);
    const last = Math.min(this.source.length, Math.ceil((top + this.pagePx) / this.rowPx) + SPARE_ROWS);
    for (const [index, row] of this.rows) {
      if (index < first || index >= last) {
        row.remove();
        this.rows.delete(index);
        this.spares.push(row);
      }
    }
    let isMissing = false;
    for (let index = first; index < last; index += 1) {
      if (this.source.at(index) === undefined) isMissing = true;
      const row = this.rows.get(index) ?? this.place(index);
      row.style.transform = `translateY(${index * this.rowPx - skipped}px)`;
    }
    if (isMissing) this.wants(first, last);
    this.mark();
  }

  place(index) {
    const row = this.spares.pop() ?? el("div", { class: "row", role: "option" });
    const item = this.source.at(index);
    row.id = `${this.id}-${index}`;
    row.dataset.index = index;
    row.setAttribute("aria-setsize", this.source.length);
    row.setAttribute("aria-posinset", index + 1);
    row.classList.toggle("missing", item === undefined);
    row.replaceChildren();
    if (item !== undefined) this.draw(item, index, row);
    row.setAttribute("aria-selected", item !== undefined && this.chosen(item));
    this.rows.set(index, row);
    // In the order of the list, so that what reads the page reads it in order.
    const next = [...this.rows.keys()].filter((each) => each > index);
    const after = next.length ? this.rows.get(Math.min(...next)) : null;
    this.space.insertBefore(row, after);
    return row;
  }

  mark() {
    for (const [index, row] of this.rows) row.classList.toggle("active", index === this.active);
    const isShown = this.rows.has(this.active);
    if (isShown) this.node.setAttribute("aria-activedescendant", `${this.id}-${this.active}`);
    else this.node.removeAttribute("aria-activedescendant");
  }

  onFocus() {
    if (this.active < 0 && this.source.length) this.moveTo(this.firstVisible());
  }

  firstVisible() {
    return Math.min(this.source.length - 1, Math.ceil((this.node.scrollTop + this.skippedPx) / this.rowPx));
  }

  onKey(event) {
    const page = Math.max(1, Math.floor(this.pagePx / this.rowPx) - 1);
    const moves = {
      ArrowDown: this.active + 1, ArrowUp: this.active - 1, j: this.active + 1, k: this.active - 1,
      PageDown: this.active + page, PageUp: this.active - page, Home: 0, End: this.source.length - 1,
    };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) {
      event.preventDefault();
      event.stopPropagation();
      this.moveTo(moves[event.key]);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.pick(this.active);
    }
  }

  onClick(event) {
    const row = event.target.closest(".row");
    if (!row) return;
    this.active = Number(row.dataset.index);
    this.mark();
    this.pick(this.active);
  }

  pick(index) {
    const item = this.source.at(index);
    if (item !== undefined) this.choose(item, index);
  }

  moveTo(index) {
    if (!this.source.length) return;
    this.active = Math.max(0, Math.min(this.source.length - 1, index));
    this.scrollTo(this.active);
    this.render();
    this.moved(this.source.at(this.active), this.active);
  }

  scrollTo(index) {
    const top = this.node.scrollTop + this.skippedPx;
    const rowTop = index * this.rowPx;
    const isAbove = rowTop < top, isBelow = rowTop + this.rowPx > top + this.pagePx;
    if (!isAbove && !isBelow) return;
    if (this.tallPx > this.spacePx) {
      // A pixel of the space is several of the rows, so the middle is hit, and not the edge.
      const target = Math.max(0, rowTop - (this.pagePx - this.rowPx) / 2);
      this.node.scrollTop = (target * (this.spacePx - this.pagePx)) / (this.tallPx - this.pagePx);
    } else this.node.scrollTop = isAbove ? rowTop : rowTop + this.rowPx - this.pagePx;
  }
}
