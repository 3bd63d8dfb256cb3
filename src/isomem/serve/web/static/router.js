// Where one is: in the fragment, which browsers never send to a server. The key is never in it.

const SCOPE_KEYS = ["user_id", "agent_id", "run_id"];

/** The view, the scope and the memory that the address names. */
export function place() {
  const [view, rest = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const given = new URLSearchParams(rest);
  const ids = {};
  for (const key of SCOPE_KEYS) if (given.has(key)) ids[key] = given.get(key);
  return { view: view || "memories", ids: Object.keys(ids).length ? ids : null,
    memory: given.get("memory") };
}

/** The address of a place. */
export function addressOf({ view = "memories", ids = null, memory = null }) {
  const named = new URLSearchParams({ ...ids, ...(memory ? { memory } : {}) });
  const query = named.toString();
  return `#/${view}${query ? `?${query}` : ""}`;
}

/** Goes to a place; parts that are not named stay as they are. */
export function go(change, { replace = false } = {}) {
  const address = addressOf({ ...place(), ...change });
  if (address === location.hash) return;
  if (replace) {
    history.replaceState(null, "", address);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  } else location.hash = address;
}
