// The page: who is signed in, which view is shown, and what keys do.

import { call, setKey, view, whenSignedOut } from "./api.js";
import { Detail } from "./detail.js";
import { button, el, fill } from "./dom.js";
import * as editing from "./edit.js";
import { Exchanges } from "./exchanges.js";
import { sameIds } from "./format.js";
import { Jobs } from "./jobs.js";
import { Keys } from "./keys.js";
import { MemoryPane } from "./memories.js";
import { announce, notify, problemBox } from "./notices.js";
import { addressOf, go, place } from "./router.js";
import { Scopes } from "./scopes.js";
import { shortcut, showShortcuts } from "./shortcuts.js";
import { signIn } from "./signin.js";
import { otherTheme } from "./theming.js";

const root = document.getElementById("app");

class App {
  constructor(session) {
    this.session = session;
    this.scopes = new Scopes(this);
    this.memories = new MemoryPane(this);
    this.detail = new Detail(this);
    this.work = el("main", { class: "work" }, this.scopes.node, this.memories.node, this.detail.node);
    this.sheets = this.sheetsOf(session);
    this.links = [["memories", "Memories"], ...Object.entries(this.sheets).map(([view, [name]]) => [view, name])]
      .map(([view, name]) => [view, el("a", { href: addressOf({ view }) }, name)]);
    this.node = el("div", { class: "app" }, this.bar(), this.work);
  }

  /** The views beside the memories that this key may see: what they are called, and what they are. */
  sheetsOf({ sees_everything: seesEverything, auth }) {
    const sheets = { exchanges: ["Exchanges", new Exchanges()] };
    if (this.may("write")) sheets.jobs = ["Jobs", new Jobs(this)];
    if (auth && seesEverything && this.may("admin")) sheets.keys = ["Keys", new Keys()];
    return sheets;
  }

  may(right) {
    return this.session.key.rights.includes(right);
  }

  bar() {
    const { auth, key, version } = this.session;
    return el("header", { class: "bar" },
      el("a", { class: "wordmark", href: "#/", title: `isomem ${version}` }, "isomem"),
      el("nav", { "aria-label": "Views" }, this.links.map(([, link]) => link)),
      el("div", { class: "bar-end" },
        auth ? el("span", { class: "who faint", title: `key ${key.id}` }, key.name) : el("span", { class: "who faint" }, "no keys needed"),
        button("Other theme", () => announce(`${otherTheme()} theme`), { kind: "icon plain", drawing: "theme" }),
        button("Keyboard shortcuts", showShortcuts, { kind: "icon plain", drawing: "help" }),
        auth ? button("Sign out", signOut, { kind: "icon plain", drawing: "out" }) : null));
  }

  async start() {
    fill(root, this.node);
    const all = await this.scopes.load();
    if (!place().ids && all.length === 1) go({ ids: only(all[0]) }, { replace: true });
    this.route();
  }

  route() {
    const { view: name, ids, memory } = place();
    const [, sheet] = this.sheets[name] ?? [];
    this.shown(sheet ? name : "memories", sheet?.node ?? this.work);
    if (sheet) {
      document.title = `${this.sheets[name][0]} · isomem`;
      if (this.sheet !== name) sheet.show();
      this.sheet = name;
      return;
    }
    this.sheet = null;
    this.work.dataset.shows = memory || (ids && name === "entities") ? "memory" : ids ? "memories" : "scopes";
    if (!this.last || !sameIds(this.last.ids, ids)) this.scopes.show(ids);
    this.memories.show(ids);
    const isOther = !this.last || this.last.memory !== memory || !sameIds(this.last.ids, ids) || this.last.view !== name;
    if (isOther) this.detail.show(memory, { focus: Boolean(this.last) });
    this.last = { ids, memory, view: name };
    document.title = ids ? `${Object.values(ids).join(", ")} · isomem` : "isomem inspector";
  }

  shown(name, node) {
    if (this.node.lastChild !== node) this.node.lastChild.replaceWith(node);
    for (const [each, link] of this.links) {
      if (each === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  async changed({ ids, memory } = {}) {
    await this.scopes.load();
    if (ids && !sameIds(ids, place().ids)) go({ ids, memory: memory ?? null });
    else this.memories.reload({ keep: true });
    if (place().memory) this.detail.show(place().memory, { focus: false });
    else this.detail.overview({ again: true });
  }

  add(ids = place().ids) {
    if (this.may("write")) editing.add(this.session, ids, (found, scope) => this.changed({ ids: ids ?? scope }));
  }

  edit(memory = this.detail.memory) {
    if (memory && this.may("write")) editing.edit(memory, () => this.changed());
  }

  delete(memory = this.detail.memory) {
    if (!memory || !this.may("write")) return;
    editing.remove(memory, () => {
      go({ memory: null });
      this.changed();
    });
  }

  async deleteAll(ids) {
    const count = await call("count", { filters: ids, show_expired: true, show_superseded: true });
    editing.removeAll(ids, count, () => {
      go({ ids: null, memory: null });
      this.changed();
    });
  }

  async restore(memory) {
    await call("restore", { memory_id: memory.id });
    notify("Restored: it is found again.");
    this.changed();
  }

  showEntities() {
    if (!place().ids) return;
    if (place().view === "entities" && !place().memory) this.detail.entities.heading?.focus();
    else go({ view: "entities", memory: null });
  }

  escape() {
    if (place().memory) this.detail.close();
    else if (place().view !== "memories") go({ view: "memories" });
    else if (place().ids) {
      go({ ids: null });
      this.scopes.list.node.focus();
    }
  }
}

const only = ({ user_id, agent_id, run_id }) =>
  Object.fromEntries(Object.entries({ user_id, agent_id, run_id }).filter(([, value]) => value !== undefined));

let app = null;

function signOut() {
  setKey(null);
  app = null;
  history.replaceState(null, "", addressOf({}));
  fill(root, signIn(enter));
}

function enter(session) {
  app = new App(session);
  app.start();
}

whenSignedOut((problem) => {
  if (!app) return;
  app = null;
  setKey(null);
  fill(root, signIn(enter, problem));
});

const inApp = (work) => () => app && work(app);

shortcut("/", "Search", inApp(({ memories }) => memories.find.focus()));
shortcut("s", "Find a scope", inApp(({ scopes }) => scopes.find.focus()));
shortcut("j", "Next memory", inApp(({ memories }) => memories.move(1)));
shortcut("k", "Previous memory", inApp(({ memories }) => memories.move(-1)));
shortcut("f", "Filters", inApp(({ memories }) => memories.toggleFilters()));
shortcut("n", "Add a memory", inApp((page) => page.add()));
shortcut("e", "Edit the memory that is open", inApp((page) => page.edit()));
shortcut("d", "Delete the memory that is open", inApp((page) => page.delete()));
shortcut("Escape", "Back", inApp((page) => page.escape()));
shortcut("g", "Entities of the scope", inApp((page) => page.showEntities()));
shortcut("t", "Dark or light", () => announce(`${otherTheme()} theme`));
shortcut("?", "This list", showShortcuts);

window.addEventListener("hashchange", () => app?.route());

try {
  const session = await view("session");
  if (session.key) enter(session);
  else fill(root, signIn(enter));
} catch (problem) {
  if (problem.status === 401) {
    setKey(null);
    fill(root, signIn(enter, problem));
  } else fill(root, el("main", { id: "main" }, problemBox(problem, () => location.reload())));
}
