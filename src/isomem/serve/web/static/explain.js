// Why a hit is where it is: its score taken apart, in a bar, in numbers, and in a sentence.

import { el } from "./dom.js";
import { scoreOf } from "./format.js";

// What each part of a score is called, and what it says. The names are those of `score_details`.
const SIGNALS = [
  { key: "semantic_score", kind: "semantic", name: "meaning", ahead: "is closer in meaning", says: "how near its meaning is",
    because: "its meaning is close to the query" },
  { key: "bm25_score", kind: "keyword", name: "words", ahead: "shares more words", says: "how well its words match",
    because: "it shares words with the query" },
  { key: "keyword_score", kind: "keyword", name: "words", ahead: "shares more words", says: "its share of the words, rare ones first",
    because: "it shares words with the query" },
  { key: "entity_boost", kind: "entity", name: "entity", ahead: "has more of its entities", says: "names in the query",
    because: "it has an entity that the query names" },
  { key: "period_score", kind: "period", name: "date", ahead: "fits the date better", says: "how well its time fits",
    because: "its time fits the date in the query" },
  { key: "context_score", kind: "context", name: "context", ahead: "is in better company", says: "what its neighbours change",
    because: "the memories around it fit the query" },
];
const LEAST = 0.0005;

/** The parts of a score, largest first, and how it is made of them. */
export function partsOf(hit) {
  const details = hit.score_details;
  if (!details) return null;
  const parts = SIGNALS.filter(({ key }) => key in details)
    .map((signal) => ({ ...signal, value: details[signal.key] }));
  // The fused ranking moves its sum, which can be negative, by one.
  const base = "keyword_score" in details ? 1 : 0;
  return { parts, base, sum: details.raw_score, most: details.max_possible_score,
    score: details.final_score, threshold: details.threshold };
}

/** A bar of the score, each part in its colour. `label` says the same in words. */
export function scoreBar(hit) {
  const found = partsOf(hit);
  if (!found) return null;
  const whole = found.base + found.most;
  const bar = el("div", { class: "score-bar", role: "img", "aria-label": said(found) });
  if (found.base) bar.append(segment("base", found.base / whole));
  for (const part of found.parts) if (part.value > LEAST) bar.append(segment(part.kind, part.value / whole));
  return bar;
}

function segment(kind, share) {
  const node = el("span", { class: `segment ${kind}` });
  node.style.flexBasis = `${Math.min(100, share * 100)}%`;
  return node;
}

const said = ({ parts, score }) =>
  `Score ${scoreOf(score)}: ${parts.map((part) => `${part.name} ${scoreOf(part.value)}`).join(", ")}`;

/** Why a hit is at its rank, in one or two sentences. */
export function why(hit, index, hits) {
  const found = partsOf(hit);
  if (!found) return "";
  const reasons = found.parts.filter((part) => part.value > LEAST).sort((a, b) => b.value - a.value);
  if (!reasons.length) return `Ranked ${index + 1}: nothing in it stands out for this query.`;
  const first = `${index ? `Ranked ${index + 1}` : "First"} because ${reasons[0].because}`;
  const second = reasons[1] ? `, and ${reasons[1].because}` : "";
  return `${first}${second}.${behind(found, hits[index - 1])}`;
}

function behind(found, above) {
  const other = above && partsOf(above);
  if (!other) return "";
  const gap = other.score - found.score;
  if (gap < LEAST) return " It is level with the one above.";
  const gaps = other.parts.map((part, place) => ({ ...part, gap: part.value - found.parts[place].value }));
  const largest = gaps.sort((a, b) => b.gap - a.gap)[0];
  return largest.gap > LEAST
    ? ` It is ${scoreOf(gap)} behind the one above, which ${largest.ahead}.`
    : ` It is ${scoreOf(gap)} behind the one above.`;
}

/** The score in numbers, and how it is calculated. */
export function scoreTable(hit, index, hits) {
  const found = partsOf(hit);
  if (!found) return null;
  const most = Math.max(1, ...found.parts.map((part) => Math.abs(part.value)));
  const rows = found.parts.map((part) => {
    const bar = el("span", { class: `segment ${part.kind}` });
    bar.style.width = `${(Math.abs(part.value) / most) * 100}%`;
    return el("tr", {},
      el("th", { scope: "row" }, el("span", { class: `dot ${part.kind}` }), part.name,
        el("span", { class: "says" }, part.says)),
      el("td", { class: "bar", "aria-hidden": "true" }, bar),
      el("td", { class: "number" }, scoreOf(part.value)));
  });
  const caption = el("caption", { class: "unseen" }, "Parts of the score");
  return el("div", { class: "why" },
    el("p", {}, why(hit, index, hits)),
    el("table", { class: "parts" }, caption, el("tbody", {}, rows)),
    el("p", { class: "sum code" }, sum(found)),
    threshold(found));
}

function sum({ parts, base, most, score }) {
  const added = parts.map((part) => scoreOf(part.value)).join(" + ").replaceAll("+ -", "− ");
  const numerator = base ? `${base} + ${added}` : added;
  const whole = base ? `(${base} + ${number(most)})` : number(most);
  return `(${numerator}) ÷ ${whole} = ${scoreOf(score)}`;
}

const number = (value) => String(Math.round(value * 1000) / 1000);

function threshold({ threshold: least, base }) {
  const compared = base ? "its score" : "its meaning alone";
  return el("p", { class: "faint" }, `The threshold of ${number(least)} is compared with ${compared}.`);
}

/** What the colours mean. */
export function legend(hits) {
  const found = hits.length ? partsOf(hits[0]) : null;
  if (!found) return null;
  return el("ul", { class: "legend", "aria-label": "Parts of a score" },
    found.parts.map((part) => el("li", {}, el("span", { class: `dot ${part.kind}` }), part.name)));
}
