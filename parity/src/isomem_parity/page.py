"""The report as one HTML page that needs nothing else: no script, no font, no network."""

from __future__ import annotations

import json
from collections import defaultdict
from html import escape
from pathlib import Path
from typing import Any

from isomem_parity.lockstep import Difference, Use
from isomem_parity.report import Area, Report, short
from isomem_parity.rows import Row, rows

SHOWN_PER_ROW = 5  # uses of one divergence that are shown in full

STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #c1272d; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.25rem; margin-top: 2.5rem }
.verdict { font-size: 1.2rem; font-weight: 600; padding: .6rem 1rem; border-left: .4rem solid }
.good { color: var(--good) } .bad { color: var(--bad) }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left;
         vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .6rem 0;
          padding: .4rem .8rem }
summary { cursor: pointer }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .8rem }
.pair > div { min-width: 0 }
.pair h4 { margin: .3rem 0; font-size: .85rem; text-transform: uppercase; letter-spacing: .05em }
pre { background: var(--soft); padding: .5rem .7rem; border-radius: .3rem; overflow-x: auto;
      white-space: pre-wrap; overflow-wrap: anywhere; font-size: .82rem; margin: 0 }
mark { background: #f2c94c88; color: inherit }
code { font-size: .9em } .soft { opacity: .75 }
@media (max-width: 45rem) { .pair { grid-template-columns: 1fr } }
"""


def write(report: Report, folder: str | Path) -> None:
    """Write `parity.txt`, `parity.json` and `parity.html`."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    (target / "parity.txt").write_text(report.as_text(10_000), encoding="utf-8")
    data = json.dumps(report.as_json(), ensure_ascii=True, indent=1)
    (target / "parity.json").write_text(data + "\n", encoding="utf-8")
    (target / "parity.html").write_text(html(report), encoding="utf-8", errors="replace")


def html(report: Report) -> str:
    """The whole page."""
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>isomem parity: {'same' if report.ok else 'differences'}</title>",
        f"<style>{STYLE}</style></head><body>",
        "<h1>Is it the same memory?</h1>",
        _verdict(report),
        _figures(report),
        _areas(report),
        _differences(report),
        _divergences(report),
        "</body></html>\n",
    ]
    return "".join(parts)


def _verdict(report: Report) -> str:
    if report.ok:
        text = f"Yes: {report.steps:,} steps compared, no difference outside the divergences."
        return f"<p class='verdict good'>{text}</p>"
    text = f"No: {len(report.differences):,} differences in {report.steps:,} steps compared."
    stale = "".join(f"<li>{escape(line)}</li>" for line in report.stale)
    missing = f"<p>Divergences that did not show where they must:</p><ul>{stale}</ul>"
    return f"<p class='verdict bad'>{text}</p>" + (missing if stale else "")


def _figures(report: Report) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    command = f"<code>{escape(report.command)}</code>, " if report.command else ""
    return (
        f"<p class='soft'>{command}tiers {', '.join(sorted(report.tiers))}, classes "
        f"{', '.join(sorted(report.classes))}, {report.scripts:,} runs of scripts, "
        f"{report.seconds:.1f} s. {escape(versions)}.</p>"
    )


def _areas(report: Report) -> str:
    head = "<tr><th>Area</th>" + "".join(
        f"<th class='n'>{name}</th>" for name in ("Runs", "Steps", "Differences", "Divergences")
    )
    body = "".join(_area(area) for area in report.areas.values())
    return f"<h2>Areas</h2><table>{head}</tr>{body}</table>"


def _area(area: Area) -> str:
    mark = "bad" if area.differences else "good"
    name = escape(area.name)
    linked = f"<a href='#{name}'>{name}</a>" if area.differences else name
    return (
        f"<tr><td>{linked}</td><td class='n'>{area.scripts:,}</td><td class='n'>{area.steps:,}</td>"
        f"<td class='n {mark}'>{area.differences:,}</td><td class='n'>{area.uses:,}</td></tr>"
    )


def _differences(report: Report) -> str:
    if not report.differences:
        return ""
    by_area: dict[str, list[Difference]] = defaultdict(list)
    for one in report.differences:
        by_area[one.area].append(one)
    parts = ["<h2>Differences</h2>"]
    for area, listed in by_area.items():
        parts.append(f"<h3 id='{escape(area)}'>{escape(area)}</h3>")
        parts += [_difference(one) for one in listed]
    return "".join(parts)


def _difference(one: Difference) -> str:
    where = f"{one.title}, step {one.step} <code>{one.op}</code>, {one.kind}, tier {one.tier}"
    return (
        f"<details open><summary><strong>{escape(one.path)}</strong> "
        f"<span class='soft'>{where}</span></summary>{_pair(one.upstream, one.ours)}</details>"
    )


def _pair(upstream: Any, ours: Any) -> str:
    left, right = _shown(upstream), _shown(ours)
    start, end = _common(left, right)
    return (
        "<div class='pair'>"
        f"<div><h4>mem0</h4><pre>{_marked(left, start, end)}</pre></div>"
        f"<div><h4>isomem</h4><pre>{_marked(right, start, end)}</pre></div></div>"
    )


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    text = json.dumps(value, ensure_ascii=False, indent=1, default=repr)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) < 20_000 else short(value, 20_000)


def _common(left: str, right: str) -> tuple[int, int]:
    """How many characters two texts have in common at their start, and at their end."""
    most = min(len(left), len(right))
    start = next((i for i in range(most) if left[i] != right[i]), most)
    rest = most - start
    end = next((i for i in range(rest) if left[-1 - i] != right[-1 - i]), rest)
    return start, end


def _marked(text: str, start: int, end: int) -> str:
    middle = text[start : len(text) - end]
    lead, tail = escape(text[:start]), escape(text[len(text) - end :] if end else "")
    return f"{lead}<mark>{escape(middle)}</mark>{tail}" if middle else lead + tail


def _divergences(report: Report) -> str:
    by_row: dict[str, list[Use]] = defaultdict(list)
    for use in report.uses:
        by_row[use.row].append(use)
    if not by_row:
        return ""
    parts = [_divergence(rows()[name], by_row[name]) for name in sorted(by_row)]
    return "<h2>Divergences that showed</h2>" + "".join(parts)


def _divergence(row: Row, uses: list[Use]) -> str:
    shown = "".join(
        f"<h4>{escape(use.area)}/{escape(use.title)}, step {use.step} <code>{use.op}</code>, "
        f"{use.kind}, tier {use.tier}</h4>{_pair(use.upstream, use.ours)}"
        for use in uses[:SHOWN_PER_ROW]
    )
    more = f"<p class='soft'>and {len(uses) - SHOWN_PER_ROW} more</p>" * (len(uses) > SHOWN_PER_ROW)
    return (
        f"<details><summary><strong>{row.id}</strong> {escape(row.title)} "
        f"<span class='soft'>in {len(uses)} steps</span></summary>"
        f"<p>mem0 {escape(row.upstream)}<br>isomem {escape(row.ours)}<br>"
        f"<span class='soft'>{escape(row.why)}</span></p>{shown}{more}</details>"
    )
