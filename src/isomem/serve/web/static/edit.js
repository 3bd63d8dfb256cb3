// Adding, changing and deleting memories.

import { call } from "./api.js";
import { check, el, field } from "./dom.js";
import { ask } from "./dialogs.js";
import { idsOf, json, plural, scopeName } from "./format.js";
import { notify } from "./notices.js";

const IDS = [["user_id", "User"], ["agent_id", "Agent"], ["run_id", "Run"]];

class Wrong extends Error {}

const input = (value = "", props = {}) => {
  const node = el("input", { class: "input", autocomplete: "off", spellcheck: "false", ...props });
  node.value = value;
  return node;
};

const area = (value, props) => {
  const node = el("textarea", { class: "input", ...props });
  node.value = value;
  return node;
};

/** What somebody wrote as metadata. */
function readMetadata(text) {
  if (!text.trim()) return null;
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Wrong(`The metadata is not JSON: ${error.message}`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new Wrong('The metadata has to be a JSON object, such as {"topic": "travel"}.');
  }
  return value;
}

/** Adds what somebody writes. `done` gets the results of the call and its scope. */
export function add(session, ids, done) {
  const text = area("", { class: "input prose", required: true });
  const owners = IDS.map(([key, label]) => [key, field(label, input(ids?.[key] ?? ""))]);
  const infer = check("Let the model find the facts in it", session.has_model);
  infer.box.disabled = !session.has_model;
  const metadata = area("", { class: "input code", rows: 2, spellcheck: "false", placeholder: '{"topic": "travel"}' });
  const expires = input("", { type: "date" });
  const send = async () => {
    if (!text.value.trim()) throw new Wrong("There is nothing to remember yet: write something.");
    const scope = Object.fromEntries(owners.map(([key, node]) => [key, node.querySelector("input").value.trim()])
      .filter(([, value]) => value));
    if (!Object.keys(scope).length) throw new Wrong("Name a user, an agent or a run: whose memory it is.");
    const found = await call("add", {
      messages: text.value, ...scope, infer: infer.box.checked,
      metadata: readMetadata(metadata.value), expiration_date: expires.value || null,
    });
    notify(found.results.length ? `Stored ${plural(found.results.length, "memory", "memories")}.`
      : "Nothing was stored: nothing new was found in it.");
    done(found.results, scope);
  };
  ask({
    title: "Add a memory", action: "Remember", send, focus: text,
    content: [
      field("What was said", text, session.has_model ? null : "No model is configured, so it is stored as it is."),
      infer.node,
      el("fieldset", { class: "owners" }, el("legend", {}, "Whose memory it is"), owners.map(([, node]) => node)),
      field("Metadata", metadata, "A JSON object. Leave it empty if there is none."),
      field("Shown until", expires, "Empty means always."),
    ],
  });
}

/** Changes a memory. */
export function edit(memory, done) {
  const text = area(memory.memory, { class: "input prose", rows: 5 });
  const before = memory.metadata ? json(memory.metadata) : "";
  const metadata = area(before, { class: "input code", rows: Math.min(8, before.split("\n").length + 1), spellcheck: "false" });
  const expires = input(memory.expiration_date ? String(memory.expiration_date).slice(0, 10) : "", { type: "date" });
  const wasUntil = expires.value;
  const send = async () => {
    const change = { memory_id: memory.id };
    if (text.value !== memory.memory) change.data = text.value;
    if (metadata.value !== before) change.metadata = readMetadata(metadata.value) ?? {};
    if (expires.value !== wasUntil) change.expiration_date = expires.value || null;
    if (Object.keys(change).length === 1) throw new Wrong("Nothing is different yet.");
    if (change.data !== undefined && !change.data.trim()) throw new Wrong("A memory needs a text. Delete it if it should go.");
    await call("update", change);
    notify("Changed. The history keeps the earlier text.");
    done();
  };
  ask({ title: "Edit this memory", action: "Save", send, focus: text, content: [
    field("Text", text), field("Metadata", metadata, "Keys that you remove here stay as they are: metadata is overlaid."),
    field("Shown until", expires, "Empty means always.")] });
}

/** Deletes a memory, after asking. */
export function remove(memory, done) {
  ask({
    title: "Delete this memory?", action: "Delete it", kind: "danger",
    content: [el("blockquote", { dir: "auto" }, memory.memory), el("p", { class: "faint" },
      "It is no longer found. Its history stays, with its text.")],
    send: async () => {
      await call("delete", { memory_id: memory.id });
      notify("Deleted.");
      done();
    },
  });
}

/** Deletes every memory of a scope, after its name was typed. */
export function removeAll(ids, count, done) {
  const name = scopeName(ids);
  const typed = input("", { "aria-required": "true" });
  const history = check("Remove their history, too", false);
  ask({
    title: "Delete all memories of this scope?", action: `Delete ${plural(count, "memory", "memories")}`, kind: "danger",
    content: [
      el("p", {}, "This deletes every memory that has these ids, and cannot be undone."),
      field(`Type “${name}” to go on`, typed), history.node,
      el("p", { class: "faint" }, "Without that, the history keeps the texts."),
    ],
    focus: typed,
    send: async () => {
      if (typed.value.trim() !== name) throw new Wrong(`What you typed is not “${name}”.`);
      await call("delete_all", { ...idsOf(ids), purge_history: history.box.checked });
      notify("Deleted.");
      done();
    },
  });
}
