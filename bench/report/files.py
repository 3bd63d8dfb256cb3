"""Writes the results, and reads them again."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.plan import WORKLOADS, Result, Workload
from bench.report import plots, tables, targets
from bench.report.figures import Figures, failures
from bench.report.page import page

MARK = "<!-- {}: python -m bench --write-docs docs/benchmarks.md -->"
NAMED_ALONE = "<!-- {}: python -m bench --named-alone --write-docs docs/scaling.md -->"


def about(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Where and with what the figures are measured."""
    import apsw

    return {
        "measured": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "rounds": rounds,
        "sizes": "quick" if quick else "full",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.system(),
        "Python": platform.python_version(),
        "isomem": version("isomem"),
        "SQLite in isomem": apsw.sqlite_lib_version(),
        "mem0ai": version("mem0ai"),
        "qdrant-client": version("qdrant-client"),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()


def write(folder: Path, about: Mapping[str, Any], results: list[Result]) -> None:
    """results.json, the plots, and index.html."""
    figures = Figures(results)
    found = [target._asdict() for target in targets.targets(figures)]
    content = {
        "about": about,
        "targets": found,
        "summary": summary(figures),
        "results": results,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
    drawn = plots.draw_all(list(WORKLOADS.values()), figures, folder)
    (folder / "index.html").write_text(page(about, results, drawn), encoding="utf-8")


def read(folder: Path) -> tuple[dict[str, Any], list[Result]]:
    """What `write` wrote: about, and the results."""
    content = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return content["about"], content["results"]


def summary(figures: Figures) -> list[dict[str, Any]]:
    """Median, low and high of every figure in the tables."""
    rows = []
    for workload in WORKLOADS.values():
        for case, system in figures.rows(workload.name):
            for name in workload.shows:
                if found := figures.get(workload.name, case, system, name):
                    key = {"workload": workload.name, "case": case, "system": system}
                    rows.append({**key, "figure": name, **found._asdict()})
    return rows


def as_text(results: list[Result]) -> str:
    """Everything as text for the terminal."""
    parts = [targets.BESIDE, tables.as_text(targets.article_table(Figures(results)))]
    return "\n\n".join([*parts, _all(results, tables.as_text, "\n{}\n")])


def named_alone(about: Mapping[str, Any], results: list[Result]) -> dict[str, str]:
    """The workloads that run only if they are named, as Markdown: each is a section of a page."""
    figures = Figures(results)
    facts = ", ".join(f"{name} {value}" for name, value in about.items())
    return {
        name: f"{facts}.\n\n{tables.as_markdown(_upright(tables.of_figures(workload, figures)))}"
        for name, workload in WORKLOADS.items()
        if workload.by_name and figures.rows(name)
    }


def _upright(table: tables.Table) -> tables.Table:
    """A row for each figure of each case: there are many figures, and one system."""
    rows = [
        [case, title, cell]
        for case, _, *cells in table.rows
        for title, cell in zip(table.head[2:], cells, strict=True)
        if cell
    ]
    return tables.Table(["", "", "measured"], rows)


def as_markdown(about: Mapping[str, Any], results: list[Result]) -> dict[str, str]:
    """Everything as Markdown: the sections of `docs/benchmarks.md` by name."""
    facts = ", ".join(f"{name} {value}" for name, value in about.items())
    return {
        "article": tables.as_markdown(targets.article_table(Figures(results))),
        "figures": f"{facts}.\n\n{_all(results, tables.as_markdown, '### {}')}",
    }


def _all(results: list[Result], write_table: tables.Write, heading: str) -> str:
    figures = Figures(results)
    parts = []
    for workload in WORKLOADS.values():
        if figures.rows(workload.name):
            parts += [heading.format(workload.title), *_tables(workload, figures, write_table)]
    found = targets.targets(figures)
    parts += [heading.format("Targets"), write_table(targets.as_table(found))]
    failed = failures(results)
    if failed:
        parts.append(f"{len(failed)} processes gave no figures.")
    return "\n\n".join(parts)


def _tables(workload: Workload, figures: Figures, write_table: tables.Write) -> list[str]:
    parts = [write_table(tables.of_figures(workload, figures))]
    ratios = tables.of_ratios(workload, figures)
    if ratios.rows:
        parts += ["How many times better than mem0 beside it:", write_table(ratios)]
    return parts


def write_docs(path: Path, sections: Mapping[str, str], mark: str = MARK) -> None:
    """Puts every section between its two marks in a file.

    Raises:
        ValueError: the file does not have the marks of a section; nothing is written.
    """
    text = path.read_text(encoding="utf-8")
    for name, section in sections.items():
        begin, end = (mark.format(f"{word} {name}") for word in ("begin", "end"))
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{path} has no section between {begin!r} and {end!r}")
        text = f"{before}{begin}\n\n{section}\n\n{end}{after}"
    path.write_text(text, encoding="utf-8")
