"""The figures as tables: of text for the terminal, of Markdown, of HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from html import escape
from math import floor, log10
from typing import NamedTuple

from bench.plan import SYSTEMS, Workload
from bench.report.figures import Figures, Key, Summary

TITLES = {
    "add_us": "add, µs",
    "search_ms": "search, ms",
    "search_median_ms": "search median, ms",
    "search_p95_ms": "search p95, ms",
    "first_search_ms": "first search, ms",
    "get_all_ms": "get_all, ms",
    "peak_mb": "peak memory, MB",
    "flush_us": "flushed write, µs",
    "loop_ns": "loop turn, ns",
    "import_ms": "import, ms",
    "resident_mb": "resident, MB",
    "open_ms": "open, ms",
    "first_median_ms": "first, median, ms",
    "first_p95_ms": "first, p95, ms",
    "again_median_ms": "again, median, ms",
    "again_p95_ms": "again, p95, ms",
    "random_median_ms": "random, median, ms",
    "random_p95_ms": "random, p95, ms",
    "fact_us": "per fact, µs",
    "stored": "stored",
    "wanted": "wanted",
    "left": "left",
    "lost": "lost",
    "update_us": "update, µs",
    "delete_us": "delete, µs",
    "delete_all_ms": "delete_all, ms",
    "history_us": "history, µs",
    "get_us": "get, µs",
    "add_s": "adds, s",
    "add_per_s": "adds per s",
    "search_s": "searches, s",
    "search_per_s": "searches per s",
    "add_failed": "adds failed",
    "search_failed": "searches failed",
    "adds_per_s": "adds per s",
    "held_ms": "longest wait, ms",
    "on_loop_ms": "on the loop, ms",
    **{
        f"{name}_held_ms": f"{words}, ms"
        for name, words in {
            "idle": "nothing",
            "add": "raw add",
            "inferred": "inferred add",
            "search": "search",
            "first_search": "first search",
            "get_all": "get_all",
            "update": "update",
            "history": "history",
            "delete": "delete",
            "delete_all": "delete_all",
            "reset": "reset",
        }.items()
    },
    "total_ms": "total, ms",
    "per_memory_bytes": "per memory, bytes",
    "small_mb": "at first, MB",
    "large_mb": "at last, MB",
    "text_us": "one text, µs",
    "first_ms": "first text, ms",
    "dims": "numbers",
    **{f"recall_{k}": f"found at {k}, %" for k in (1, 5, 10)},
    "questions": "questions",
    "fill_s": "filled in, s",
    "fill_us": "per memory, µs",
    "last_us": "per memory at last, µs",
    "file_mb": "file, MB",
    **{
        f"{kind}_{share}_ms": f"{words} {shown}, ms"
        for kind, words in {
            "small": "search in small scopes,",
            "small_again": "once more,",
            "large": "search in large scopes,",
            "large_again": "once more,",
            "durable": "durable add,",
        }.items()
        for share, shown in {"median": "median", "p95": "p95"}.items()
    },
}

COUNTS = frozenset(
    "stored wanted left lost add_failed search_failed flush_us loop_ns dims questions".split()
)
"""Figures of which a ratio says nothing."""

MORE_IS_BETTER = frozenset("add_per_s search_per_s adds_per_s".split())


class Table(NamedTuple):
    head: list[str]
    rows: list[list[str]]


def number(value: float) -> str:
    """Three significant digits, no exponent: 12,300 and 0.0123; counts as they are."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    value = float(f"{value:.3g}")
    digits = 2 - floor(log10(abs(value)))
    return f"{value:.{min(digits, 6)}f}"


def with_spread(summary: Summary | None) -> str:
    """The median, followed by the range of the rounds."""
    if summary is None:
        return ""
    middle, low, high = (number(value) for value in summary[:3])
    return middle if low == high else f"{middle} ({low}..{high})"


def times(summary: Summary | None) -> str:
    """A ratio with its spread."""
    number_of, _, spread = with_spread(summary).partition(" ")
    return f"{number_of} x {spread}".rstrip() if summary else ""


def of_figures(workload: Workload, figures: Figures) -> Table:
    """A row for each case and system, a column for each figure; medians and spread."""
    rows = []
    shows = [name for name in workload.shows if _measured(workload, figures, name)]
    for case, system in figures.rows(workload.name):
        cells = (figures.get(workload.name, case, system, name) for name in shows)
        rows.append([case, SYSTEMS[system], *map(with_spread, cells)])
    return Table(["", "", *(TITLES[name] for name in shows)], rows)


def _measured(workload: Workload, figures: Figures, name: str) -> bool:
    rows = figures.rows(workload.name)
    return any(figures.get(workload.name, *row, name) for row in rows)


def of_ratios(workload: Workload, figures: Figures) -> Table:
    """How many times better isomem is than mem0 beside it; below 1 it is worse."""
    shows = [name for name in workload.shows if name not in COUNTS]
    rows = []
    for case, ours, theirs in figures.pairs(workload.name):
        cells = []
        for name in shows:
            pair = [Key(workload.name, case, system, name) for system in (theirs, ours)]
            cells.append(figures.ratio(*(pair[::-1] if name in MORE_IS_BETTER else pair)))
        if any(cells):
            rows.append([case, f"{SYSTEMS[ours]} : {SYSTEMS[theirs]}", *map(times, cells)])
    filled = [at for at in range(len(shows) + 2) if at < 2 or any(row[at] for row in rows)]
    head = ["", "", *(TITLES[name].rsplit(",", 1)[0] for name in shows)]
    return Table([head[at] for at in filled], [[row[at] for at in filled] for row in rows])


# --- Ways to write a table ----------------------------------------------------------------


def as_text(table: Table) -> str:
    """Columns of equal width, the figures to the right."""
    columns = list(zip(table.head, *table.rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    aligned = [str.ljust, str.ljust, *[str.rjust] * (len(widths) - 2)]
    lines = (
        "  ".join(put(cell, width) for put, cell, width in zip(aligned, row, widths, strict=True))
        for row in (table.head, *table.rows)
    )
    return "\n".join(line.rstrip() for line in lines)


def as_markdown(table: Table) -> str:
    """A table of Markdown, the figures to the right."""
    marks = ["---", "---", *["---:"] * (len(table.head) - 2)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (table.head, marks, *table.rows))


def as_html(table: Table) -> str:
    """A table of HTML; a case is written once, over its rows, and spread is small."""

    def line(cells: Iterable[str], tag: str, kind: str = "") -> str:
        inner = "".join(f"<{tag}>{_small_spread(escape(cell))}</{tag}>" for cell in cells)
        return f"<tr{kind}>{inner}</tr>"

    rows = []
    before = None
    for row in table.rows:
        new = row[0] != before
        before = row[0]
        rows.append(line([row[0] if new else "", *row[1:]], "td", ' class="case"' if new else ""))
    return f"<table>{line(table.head, 'th')}{''.join(rows)}</table>"


def _small_spread(cell: str) -> str:
    return re.sub(r" (\([^()]*\.\.[^()]*\))", r"<br><small>\1</small>", cell)


Write = Callable[[Table], str]
