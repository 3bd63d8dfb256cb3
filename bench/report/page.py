"""One HTML file with everything in it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from bench.plan import WORKLOADS, Result
from bench.report import tables, targets
from bench.report.figures import Figures, failures

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 76rem; margin: 2rem auto;
       padding: 0 1rem; }
h2 { margin-top: 3rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; margin: 1rem 0; }
td, th { padding: .2rem .7rem; text-align: right; white-space: nowrap; }
th { border-bottom: 1px solid #888; font-weight: 600; vertical-align: bottom; }
td:nth-child(-n+2), th:nth-child(-n+2) { text-align: left; }
small { color: #777; } td { vertical-align: top; line-height: 1.3; }
code { background: #f4f4f4; padding: 0 .2em; }
tr.case td { border-top: 1px solid #ddd; }
.targets td { white-space: normal; text-align: left; }
.targets td:nth-child(2) { white-space: nowrap; font-weight: 600; }
.met td:nth-child(2) { color: #14743c; } .missed td:nth-child(2) { color: #b3261e; }
.about { color: #555; max-width: 50rem; } img { max-width: 100%; }
pre { background: #f4f4f4; padding: .6rem; overflow-x: auto; }
"""

CLASSES = {True: "met", False: "missed", None: "unknown"}


def page(about: Mapping[str, Any], results: list[Result], plots: Mapping[str, list[Path]]) -> str:
    """The page; it needs no other file and no network."""
    figures = Figures(results)
    facts = " · ".join(f"{escape(name)} {escape(str(value))}" for name, value in about.items())
    parts = [f"<p class=about>{facts}</p>", _failed(results), _targets(figures)]
    for name, workload in WORKLOADS.items():
        if figures.rows(name):
            parts.append(f'<h2 id="{name}">{escape(workload.title)}</h2>')
            parts += [f"<p class=about>{_prose(text)}</p>" for text in workload.about.split("\n\n")]
            parts += map(_image, plots.get(name, []))
            parts.append(_wide(tables.as_html(tables.of_figures(workload, figures))))
            ratios = tables.of_ratios(workload, figures)
            if ratios.rows:
                parts.append("<p>How many times better than mem0 beside it:</p>")
                parts.append(_wide(tables.as_html(ratios)))
    head = f"<meta charset=utf-8><title>isomem: benchmark</title><style>{STYLE}</style>"
    body = "\n".join(part for part in parts if part)
    return f"<!doctype html>\n<html lang=en>{head}<h1>isomem and mem0, side by side</h1>\n{body}\n"


def _prose(text: str) -> str:
    """Text with code between single marks, as the docstrings have it."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _wide(table: str) -> str:
    return f"<div class=wide>{table}</div>"


def _image(path: Path) -> str:
    data = b64encode(path.read_bytes()).decode("ascii")
    return f'<img alt="{escape(path.stem)}" src="data:image/png;base64,{data}">'


def _failed(results: list[Result]) -> str:
    told = [
        f"{result['workload']}, {result['case']}, {result['system']}: {result['error']}"
        for result in failures(results)
    ]
    words = escape("\n\n".join(told))
    return f"<h2>What failed</h2><pre>{words}</pre>" if told else ""


def _targets(figures: Figures) -> str:
    rows = "".join(
        f'<tr class="{CLASSES[target.met]}"><td>{escape(target.claim)}</td>'
        f"<td>{targets.VERDICTS[target.met]}</td><td>{escape(target.measured)}</td></tr>"
        for target in targets.targets(figures)
    )
    beside = tables.as_html(targets.article_table(figures))
    quoted = tables.as_html(targets.rust_table())
    low, high = targets.RUST_OF_STUB
    return (
        f"<h2>{targets.BESIDE}</h2>{_wide(beside)}"
        f"<h2>Targets</h2><div class=wide><table class=targets>{rows}</table></div>"
        "<p class=about>mem0-rs is not measured here. These figures of it were measured earlier, "
        f"on another machine with two cores; beside it an add took {low} to {high} of the add of "
        f"mem0 on a bare stub store, from which its add on this machine is estimated.</p>{quoted}"
    )
