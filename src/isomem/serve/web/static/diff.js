// What changed between two texts, word by word.

import { el } from "./dom.js";

const MOST_WORDS = 1500;

const wordsOf = (text) => text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];

/** Runs of words: [["same" | "removed" | "added", text], ...]. */
export function changes(before, after) {
  const old = wordsOf(before), now = wordsOf(after);
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const middle = compared(old.slice(start, old.length - end), now.slice(start, now.length - end));
  const runs = [["same", old.slice(0, start).join("")], ...middle, ["same", old.slice(old.length - end).join("")]];
  return merged(runs);
}

function compared(old, now) {
  if (old.length > MOST_WORDS || now.length > MOST_WORDS) {
    return [["removed", old.join("")], ["added", now.join("")]];
  }
  const lengths = commonLengths(old, now);
  const runs = [];
  let i = 0, j = 0;
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      runs.push(["same", old[i]]);
      i += 1;
      j += 1;
    } else if (j >= now.length || (i < old.length && lengths[i + 1][j] >= lengths[i][j + 1])) {
      runs.push(["removed", old[i]]);
      i += 1;
    } else {
      runs.push(["added", now[j]]);
      j += 1;
    }
  }
  return runs;
}

/** How long the longest common run of words is behind every two places. */
function commonLengths(old, now) {
  const lengths = Array.from({ length: old.length + 1 }, () => new Uint16Array(now.length + 1));
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      lengths[i][j] = old[i] === now[j] ? lengths[i + 1][j + 1] + 1
        : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  return lengths;
}

/** Runs of one kind become one. A space between two changes belongs to both, which reads better. */
function merged(runs) {
  const found = [];
  let removed = "", added = "";
  const flush = () => {
    if (removed) found.push(["removed", removed]);
    if (added) found.push(["added", added]);
    removed = added = "";
  };
  runs.forEach(([kind, text], index) => {
    if (!text) return;
    const isBetween = kind === "same" && !text.trim() && (removed || added) && runs[index + 1]?.[0] !== "same";
    if (isBetween && index + 1 < runs.length) {
      removed += text;
      added += text;
    } else if (kind === "removed") removed += text;
    else if (kind === "added") added += text;
    else {
      flush();
      found.push(["same", text]);
    }
  });
  flush();
  return found;
}

/** The two texts in one, with what was removed and what was added. */
export function diff(before, after) {
  return el("p", { class: "diff prose", dir: "auto" }, changes(before, after).map(([kind, text]) => {
    if (kind === "removed") return el("del", {}, el("span", { class: "unseen" }, " removed: "), text);
    if (kind === "added") return el("ins", {}, el("span", { class: "unseen" }, " added: "), text);
    return text;
  }));
}
