// The keys of the service, for those who may have any.

import { view } from "./api.js";
import { button, check, el, field, fill } from "./dom.js";
import { ask, open } from "./dialogs.js";
import { day, moment, named, number } from "./format.js";
import { emptyBox, notify, problemBox } from "./notices.js";

const RIGHTS = [["read", "read"], ["write", "write"], ["admin", "administer"]];
const IDS = [["user_id", "user"], ["agent_id", "agent"], ["run_id", "run"]];

export class Keys {
  constructor() {
    this.body = el("div", {});
    this.node = el("main", { class: "sheet", id: "main", tabindex: -1 },
      el("header", { class: "sheet-head" }, el("h1", {}, "Keys"), el("span", { class: "spread" }),
        button("Make a key", () => this.create(), { drawing: "plus" })),
      el("p", { class: "faint lead" }, "Who may call the service, what for, and whose memories each key may touch."),
      this.body);
  }

  async show() {
    try {
      const { keys } = await view("keys");
      const works = keys.filter((key) => !key.revoked_at), revoked = keys.filter((key) => key.revoked_at);
      fill(this.body, works.length ? this.table(works) : emptyBox("No keys", "Nobody can call the service yet."),
        revoked.length ? el("details", { class: "revoked" },
          el("summary", {}, `Revoked: ${number(revoked.length)}`), this.table(revoked)) : null);
    } catch (problem) {
      fill(this.body, problemBox(problem, () => this.show()));
    }
  }

  table(keys) {
    const head = ["Key", "May", "Whose memories", "Last used", ""].map((name) =>
      el("th", { scope: "col" }, name || el("span", { class: "unseen" }, "Actions")));
    return el("div", { class: "table-frame", tabindex: 0, role: "region", "aria-label": "Keys" },
      el("table", { class: "table" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, keys.map((key) => this.row(key)))));
  }

  row(key) {
    const until = key.expires_at ? `, until ${day(key.expires_at)}` : "";
    return el("tr", {},
      el("th", { scope: "row" }, el("strong", {}, key.name), el("span", { class: "code faint" }, `${key.id}${until}`)),
      el("td", { "data-label": "May" }, key.rights.join(", "), key.rate_per_minute ? el("span", { class: "faint" }, `${number(key.rate_per_minute)} a minute`) : null),
      el("td", { "data-label": "Memories of" }, key.grants.map((grant) => el("span", {}, whose(grant)))),
      el("td", { class: "number", "data-label": "Last used" }, key.last_used_at ? moment(key.last_used_at) : "never"),
      el("td", { class: "row-actions" }, key.revoked_at ? el("span", { class: "faint" }, `revoked ${day(key.revoked_at)}`) : [
        button("Rotate", () => this.rotate(key)), button("Revoke", () => this.revoke(key), { kind: "danger" })]));
  }

  create() {
    const name = el("input", { class: "input", autocomplete: "off", required: true });
    const rights = RIGHTS.map(([right, label]) => ({ right, ...check(label, right !== "admin") }));
    const everything = check("Everybody’s", true, (isOn) => {
      owners.hidden = isOn;
    });
    const inputs = IDS.map(([key, label]) => ({ key, label, input: el("input", { class: "input", autocomplete: "off", spellcheck: "false" }) }));
    const owners = el("div", { class: "owners", hidden: true }, inputs.map(({ label, input }) => field(label, input)));
    const until = el("input", { class: "input", type: "date" });
    ask({
      title: "Make a key", action: "Make it", focus: name,
      content: [field("What it is for", name, "A name that says who has it, such as “chat on the website”."),
        el("fieldset", { class: "ticks" }, el("legend", {}, "What it may do"), rights.map(({ node }) => node)),
        el("fieldset", { class: "ticks" }, el("legend", {}, "Whose memories"), everything.node, owners,
          el("p", { class: "faint" }, "An id, or a pattern such as team-*.")),
        field("Until", until, "Empty means until it is revoked.")],
      send: async () => {
        const grant = everything.box.checked ? {}
          : Object.fromEntries(inputs.map(({ key, input }) => [key, input.value.trim()]).filter(([, value]) => value));
        if (!everything.box.checked && !Object.keys(grant).length) throw new Error("Name at least one id, or choose everybody’s.");
        const made = await view("keys", { method: "POST", body: {
          name: name.value, rights: rights.filter(({ box }) => box.checked).map(({ right }) => right), grants: [grant],
          expires_at: until.value ? Date.parse(until.value) / 1000 : null } });
        this.done(made);
      },
    });
  }

  rotate(key) {
    ask({ title: `Rotate “${key.name}”?`, action: "Rotate it", kind: "danger",
      content: [el("p", {}, "It gets a new secret. The old one stops working at once.")],
      send: async () => this.done(await view(`keys/${key.id}/rotate`, { method: "POST", body: {} })) });
  }

  revoke(key) {
    ask({ title: `Revoke “${key.name}”?`, action: "Revoke it", kind: "danger",
      content: [el("p", {}, "Whoever uses it is refused from now on. This cannot be undone.")],
      send: async () => {
        await view(`keys/${key.id}/revoke`, { method: "POST", body: {} });
        notify("Revoked.");
        this.show();
      } });
  }

  /** Shows a secret, once. */
  done({ secret, key }) {
    this.show();
    const text = el("output", { class: "secret code", tabindex: 0 }, secret);
    const copy = button("Copy", async () => {
      await navigator.clipboard?.writeText(secret);
      notify("The key is copied.");
    }, { drawing: "copy" });
    const dialog = open(`The key “${key.name}”`, el("p", { class: "note" }, "It is shown now and never again: keep it somewhere safe."),
      text, el("div", { class: "actions" }, copy, button("Done", () => dialog.close(), { kind: "main" })));
  }
}

const whose = (grant) => named(grant).map(([kind, id]) => `${kind} ${id}`).join(", ") || "everybody’s";
