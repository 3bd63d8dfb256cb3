// How things are said: dates, numbers, scopes.

const SCOPE_KEYS = ["user_id", "agent_id", "run_id"];
const NAMES = { user_id: "user", agent_id: "agent", run_id: "run" };

const dayFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const momentFormat = new Intl.DateTimeFormat(undefined, {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit",
});
const timeFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const numbers = new Intl.NumberFormat();

function parsed(text) {
  const date = typeof text === "number" ? new Date(text * 1000) : new Date(text ?? NaN);
  return Number.isNaN(date.getTime()) ? null : date;
}

const said = (format) => (text) => {
  const date = parsed(text);
  return date ? format.format(date) : text ? String(text) : "no date";
};

export const day = said(dayFormat);
export const moment = said(momentFormat);
export const time = said(timeFormat);
export const number = (value) => numbers.format(value);
export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/** From when to when, as short as it can be. */
export function period(first, last) {
  const from = day(first), to = day(last);
  return from === to ? from : `${from} – ${to}`;
}

/** The ids of a scope or of a memory. */
export function idsOf(item) {
  const ids = {};
  for (const key of SCOPE_KEYS) if (item?.[key] !== undefined && item[key] !== null) ids[key] = item[key];
  return ids;
}

/** The ids, each with what it is: [["user", "ana"]]. */
export const named = (ids) => SCOPE_KEYS.filter((key) => key in ids).map((key) => [NAMES[key], ids[key]]);

/** A scope in words. */
export const scopeName = (ids) =>
  named(ids).map(([kind, id]) => `${kind} ${id}`).join(", ") || "no ids";

export const sameIds = (one, other) =>
  SCOPE_KEYS.every((key) => (one?.[key] ?? null) === (other?.[key] ?? null));

/** Whether memories of a scope are among those that have these ids. */
export const isWithin = (scope, ids) => SCOPE_KEYS.every((key) => !(key in ids) || scope[key] === ids[key]);

/** When something was said, or else stored. */
export const timeOf = (memory) => memory.metadata?.event_time ?? memory.created_at;

export const json = (value) => JSON.stringify(value, null, 2);

export const scoreOf = (value) => value.toFixed(3);
