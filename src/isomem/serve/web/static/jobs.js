// The jobs: adds that were accepted to be made later, and what became of them.

import { send } from "./api.js";
import { button, el, fill, select } from "./dom.js";
import { moment, plural } from "./format.js";
import { announce, emptyBox, notify, problemBox } from "./notices.js";

const STATES = [["", "All"], ["waiting", "Waiting"], ["running", "Running"], ["done", "Done"], ["failed", "Failed"], ["cancelled", "Cancelled"]];
const KINDS = { done: "good", failed: "bad" };
const PAGE = 50;

export class Jobs {
  constructor(app) {
    this.app = app;
    this.body = el("div", {});
    this.state = select(STATES, "", { class: "select slim", "aria-label": "Which jobs", on: { change: () => this.show() } });
    this.total = el("p", { class: "faint number" });
    this.node = el("main", { class: "sheet", id: "main", tabindex: -1 },
      el("header", { class: "sheet-head" }, el("h1", {}, "Jobs"), el("span", { class: "spread" }),
        this.state, button("Read again", () => this.show())),
      el("p", { class: "faint lead" }, "Adds that were accepted to be made later. Each is made once, whatever happens to the service."),
      this.total, this.body);
  }

  async show() {
    this.rows = el("ol", { class: "exchanges" });
    fill(this.body, this.rows);
    await this.more(null);
  }

  async more(cursor) {
    const asked = new URLSearchParams({ page_size: PAGE, ...(this.state.value ? { status: this.state.value } : {}), ...(cursor ? { cursor } : {}) });
    try {
      const page = await send(`api/jobs?${asked}`);
      this.rows.append(...page.results.map((job) => this.row(job)));
      fill(this.total, page.total ? plural(page.total, "job") : "");
      announce(plural(page.total, "job"));
      if (!page.total) fill(this.body, emptyBox("No jobs", "A call with the header “Prefer: respond-async” becomes one."));
      if (page.next_cursor) this.offerMore(page.next_cursor);
    } catch (problem) {
      fill(this.body, problemBox(problem, () => this.show()));
    }
  }

  offerMore(cursor) {
    const more = button("Show older ones", () => {
      more.remove();
      this.more(cursor);
    });
    this.body.append(more);
  }

  row(job) {
    const times = [moment(job.submitted_at), job.finished_at ? `done ${moment(job.finished_at)}` : null].filter(Boolean);
    const failures = job.failures ? `, ${plural(job.failures, "failure")}` : "";
    const body = el("div", { class: "exchange-body" });
    const details = el("details", { on: { toggle: () => details.open && this.open(job, body) } },
      el("summary", {}, el("span", { class: `outcome ${KINDS[job.status] ?? ""}` }, `${job.call}: ${job.status}${failures}`),
        el("span", { class: "exchange-scope code" }, job.id), el("span", { class: "faint number" }, times[0])), body);
    return el("li", {}, details);
  }

  async open(job, body) {
    try {
      const found = await send(`api/jobs/${encodeURIComponent(job.id)}`);
      fill(body, found.error ? el("p", { class: "note" }, found.error.detail ?? JSON.stringify(found.error)) : null,
        found.result ? el("p", {}, `It stored ${plural(found.result.results.length, "memory", "memories")}.`) : null,
        found.finished_at ? el("p", { class: "faint number" }, `Finished ${moment(found.finished_at)}`) : null,
        this.actions(found));
    } catch (problem) {
      fill(body, problemBox(problem, () => this.open(job, body)));
    }
  }

  actions(job) {
    if (!this.app.may("write")) return null;
    const turn = (label, path, method, said) => button(label, async () => {
      try {
        await send(path, { method });
        notify(said);
      } catch (problem) {
        notify(problem.message);
      }
      this.show();
    });
    const path = `api/jobs/${encodeURIComponent(job.id)}`;
    if (["waiting", "running"].includes(job.status)) return turn("Cancel it", path, "DELETE", "Cancelled.");
    if (job.status === "failed") return turn("Try it again", `${path}/retry`, "POST", "It waits again.");
    return null;
  }
}
