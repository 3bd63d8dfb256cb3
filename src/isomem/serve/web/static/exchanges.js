// The last adds: what the model was sent, what it answered, and what came of it.

import { view } from "./api.js";
import { button, el, fill } from "./dom.js";
import { moment, number, plural, scopeName } from "./format.js";
import { announce, emptyBox, problemBox } from "./notices.js";
import { addressOf } from "./router.js";

const SHORT = 800;

export class Exchanges {
  constructor() {
    this.body = el("div", {});
    const again = button("Read again", () => this.show());
    this.node = el("main", { class: "sheet", id: "main", tabindex: -1 },
      el("header", { class: "sheet-head" }, el("h1", {}, "Last exchanges"), el("span", { class: "spread" }), again),
      el("p", { class: "faint lead" }, "What the model was sent at the last adds, what it answered, and what came of it."),
      this.body);
  }

  async show() {
    fill(this.body, el("p", { class: "faint wait" }, "Reading"));
    try {
      const { records, exchanges } = await view("exchanges");
      if (!records) fill(this.body, off());
      else if (!exchanges.length) fill(this.body, emptyBox("Nothing yet", "The next add shows up here. What is kept ends with the process."));
      else fill(this.body, el("ol", { class: "exchanges" }, exchanges.map(exchange)));
      announce(records ? plural(exchanges.length, "exchange") : "Recording is off");
    } catch (problem) {
      fill(this.body, problemBox(problem, () => this.show()));
    }
  }
}

const off = () => emptyBox("Recording is off",
  el("p", {}, "Set ", el("code", {}, '"record": true'), " in the section ", el("code", {}, "serve"),
    " of the configuration, and start the service again."),
  "The last adds are then kept in memory, never in a file, and shown to keys that may read the scope of each.");

function exchange(each) {
  const [kind, title] = outcome(each);
  const summary = el("summary", {},
    el("span", { class: `outcome ${kind}` }, title),
    el("span", { class: "exchange-scope" }, scopeName(each.ids)),
    el("span", { class: "faint number" }, `${moment(each.at)} · ${number(Math.round(each.seconds * 1000))} ms`));
  return el("li", {}, el("details", {}, summary, el("div", { class: "exchange-body" },
    each.error ? el("p", { class: "note" }, each.error) : null,
    stored(each), each.turns.map((turn, index) => turnOf(turn, index, each.turns.length)))));
}

function outcome({ outcome: name, stored: added, turns }) {
  const facts = turns.reduce((sum, turn) => sum + turn.facts.length, 0);
  const some = plural(added.length, "memory", "memories");
  return {
    stored: ["good", facts > added.length ? `Stored ${some}; ${facts - added.length} of ${facts} facts were known` : `Stored ${some}`],
    as_said: ["good", `Stored ${some} as it was said, without the model`],
    nothing_found: ["", "Nothing stored: the model found nothing to remember"],
    all_known: ["", "Nothing stored: everything that the model found is known already"],
    not_used: ["", "Nothing stored: there was nothing to store"],
    unusable: ["bad", "Nothing stored: the model’s answer could not be used"],
    failed: ["bad", "Nothing stored: the call failed"],
  }[name] ?? ["", name];
}

function stored({ stored: added, ids }) {
  if (!added.length) return null;
  return part("Stored", el("ul", { class: "stored" }, added.map((memory) => el("li", {},
    el("a", { class: "prose", href: addressOf({ ids, memory: memory.id }) }, memory.memory)))));
}

function turnOf(turn, index, count) {
  const name = count > 1 ? ` ${index + 1}` : "";
  return [
    turn.facts.length ? part(`What the answer${name} says to remember`, el("ul", { class: "stored prose" },
      turn.facts.map((fact) => el("li", {}, fact)))) : null,
    part(`Answered${name}, after ${number(Math.round(turn.seconds * 1000))} ms`,
      turn.error ? el("p", { class: "note" }, turn.error) : long(pretty(turn.reply ?? ""))),
    part(`Sent${name}`, turn.sent.map((message) => el("div", { class: "message" },
      el("p", { class: "faint" }, message.role), long(message.content)))),
  ];
}

const part = (title, ...content) => el("section", {}, el("h2", { class: "minor" }, title), content);

/** A text, which is only shown when asked for if it is long. */
function long(text) {
  const shown = () => el("pre", { tabindex: 0 }, text || "(empty)");
  if (text.length <= SHORT) return shown();
  const more = button(`Show ${plural(text.length, "character")}`, () => {
    const node = shown();
    more.replaceWith(node);
    node.focus();
  });
  return more;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
