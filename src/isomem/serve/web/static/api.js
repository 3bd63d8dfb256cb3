// The service: calls of the memory, and what only this page asks.

const ROOT = new URL("../", import.meta.url);
const STORED_KEY = "isomem.key";

/** What went wrong, for a person: `message` and, if there is one, what to do. */
export class Problem extends Error {
  constructor(status, body = {}) {
    super(body.detail || `The service answered ${status}.`);
    this.status = status;
    this.code = body.code;
    this.suggestion = body.suggestion;
    this.requestId = body.request_id;
  }
}

class Gone extends Problem {
  constructor() {
    super(0, {
      detail: "The service does not answer.",
      suggestion: "See whether it still runs, then try again.",
    });
  }
}

// The key is in the storage of this tab: it outlives a reload, ends with the tab, and, unlike a
// cookie, is never sent by itself, so no other page can use it.
let key = readKey();

function readKey() {
  try {
    return sessionStorage.getItem(STORED_KEY);
  } catch {
    return null;
  }
}

export function setKey(text) {
  key = text;
  try {
    if (text) sessionStorage.setItem(STORED_KEY, text);
    else sessionStorage.removeItem(STORED_KEY);
  } catch {
    // Storage may be forbidden. The key then lasts as long as the page.
  }
}

/** Called when a key stops working. */
let onSignedOut = () => {};

export function whenSignedOut(listener) {
  onSignedOut = listener;
}

/** Makes a call of the memory, such as `search`. */
export const call = (name, args, options) =>
  send(`api/${name}`, { method: "POST", body: args, ...options });

/** Asks what only this page asks. */
export const view = (path, options) => send(`ui/api/${path}`, options);

export async function send(path, { method = "GET", body, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await reached(new URL(path, ROOT), {
    method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const problem = new Problem(response.status, answer);
  if (response.status === 401) onSignedOut(problem);
  throw problem;
}

async function reached(url, request) {
  try {
    return await fetch(url, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Gone();
  }
}

export const isAborted = (error) => error.name === "AbortError";
