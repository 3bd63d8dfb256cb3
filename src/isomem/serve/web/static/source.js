// The memories of a scope, read page by page, in any order of pages.
//
// The first page comes at once. Where the others begin is asked for when one of them is needed;
// then each of them can be read directly, however far one scrolls.

import { call, view } from "./api.js";

const PAGE = 200;
const MOST_AT_ONCE = 2;

export class Memories {
  constructor(asked, { changed, failed }) {
    this.asked = { ...asked, page_size: PAGE };
    this.changed = changed;
    this.failed = failed;
    this.length = 0;
    this.pages = new Map();
    this.running = new Set();
    this.abort = new AbortController();
    this.wanted = [0, 0];
  }

  at(index) {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  /** Every memory that is read so far. */
  *read() {
    for (const page of this.pages.values()) yield* page;
  }

  async start() {
    const page = await call("get_all", this.asked, this.signal);
    this.length = page.total;
    this.pages.set(0, page.results);
  }

  close() {
    this.abort.abort();
  }

  get signal() {
    return { signal: this.abort.signal };
  }

  /** Reads what is missing between two rows. */
  want(first, last) {
    this.wanted = [Math.floor(first / PAGE), Math.floor(Math.max(first, last - 1) / PAGE)];
    this.next();
  }

  async next() {
    const [first, last] = this.wanted;
    for (let page = first; page <= last; page += 1) {
      if (this.running.size >= MOST_AT_ONCE) return;
      if (!this.pages.has(page) && !this.running.has(page)) this.load(page);
    }
  }

  async load(page) {
    this.running.add(page);
    try {
      const starts = await (this.starts ??= view("pages", { method: "POST", body: this.asked, ...this.signal }));
      const cursor = starts.cursors[page];
      if (cursor === undefined) return;
      const found = await call("get_all", { ...this.asked, cursor }, this.signal);
      this.pages.set(page, found.results);
      this.changed();
    } catch (error) {
      this.starts = undefined;
      if (error.name !== "AbortError") this.failed(error);
    } finally {
      this.running.delete(page);
    }
    this.next();
  }
}
