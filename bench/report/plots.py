"""The figures as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from pathlib import Path
from typing import Any

from bench.plan import SYSTEMS, Sizes, Workload
from bench.report.figures import Figures, Summary
from bench.report.tables import MORE_IS_BETTER, TITLES, number

COLOURS = {
    "isomem-memory": "#0b6e99",
    "isomem-disk": "#4fa3c7",
    "isomem-memory-plain": "#2b8a6e",
    "isomem-disk-plain": "#7cc4ae",
    "isomem-memory-uncached": "#2b8a6e",
    "isomem-disk-uncached": "#7cc4ae",
    "isomem-memory-blocking": "#4fa3c7",
    "isomem-memory-interpreted": "#7f6fb3",
    "isomem-disk-singly": "#7cc4ae",
    "isomem": "#0b6e99",
    "mem0-memory": "#c4572b",
    "mem0-disk": "#e59b6d",
    "mem0-stub": "#9a8478",
    "mem0": "#c4572b",
    "bare": "#999999",
    "local": "#0b6e99",
    "e5": "#2b8a6e",
    "wordllama": "#c4572b",
    "hash": "#9a8478",
}

BAR = 0.8
LABEL_HEIGHT = 0.045
"""Of a field's height, what a line of small text takes."""

LINEAR_UP_TO = 20
"""How many times as much the greatest value may be for a scale that starts at zero."""


def draw_all(workloads: list[Workload], figures: Figures, folder: Path) -> dict[str, list[Path]]:
    """The pictures of each workload, as PNG files in a folder."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    drawn: dict[str, list[Path]] = {}
    for workload in workloads:
        rows = figures.rows(workload.name)
        if not rows or workload.name == "machine":
            continue
        curve = {"one_scope": one_scope, "many_scopes": many_scopes}.get(workload.name)
        picture = curve(figures) if curve else bars(workload, figures)
        path = folder / f"{workload.name}.png"
        picture.savefig(path, dpi=110)
        _close(picture)
        drawn[workload.name] = [path]
    return drawn


def _close(picture: Any) -> None:
    import matplotlib.pyplot as plt

    plt.close(picture)


# --- Bars ---------------------------------------------------------------------------------


def bars(workload: Workload, figures: Figures) -> Any:
    """A field for each measured figure, a group of bars for each case, a bar for each system."""
    import matplotlib.pyplot as plt
    from matplotlib.patches import Patch

    rows = figures.rows(workload.name)
    drawn = [
        name
        for name in workload.draws
        if any(figures.get(workload.name, *row, name) for row in rows)
    ]
    systems = [system for system in SYSTEMS if any(system == row[1] for row in rows)]
    height = 1.3 + 0.24 * len(rows) + 0.25 * len({case for case, _ in rows})
    wide = 1.6 + 3.4 * len(drawn)
    picture, fields = plt.subplots(
        1,
        len(drawn),
        figsize=(max(wide, 7), height),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    for name, field in zip(drawn, fields[0], strict=True):
        _bars_of(field, workload, figures, name)
    handles = [Patch(color=COLOURS[system]) for system in systems]
    names = [SYSTEMS[system] for system in systems]
    columns = 3 if wide > 8 else 2
    picture.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)
    return picture


def _bars_of(field: Any, workload: Workload, figures: Figures, name: str) -> None:
    at, ticks = 0.0, []
    rows = figures.rows(workload.name)
    for case in dict.fromkeys(case for case, _ in rows):
        begun = at
        for system in [system for of_case, system in rows if of_case == case]:
            summary = figures.get(workload.name, case, system, name)
            if summary and summary.median > 0:
                spread = [[summary.median - summary.low], [summary.high - summary.median]]
                field.barh(at, summary.median, BAR, color=COLOURS[system])
                field.errorbar(summary.median, at, xerr=spread, color="#333333", linewidth=0.8)
                label = f"  {number(summary.median)}"
                field.text(max(summary.high, summary.median), at, label, va="center", fontsize=8)
            at += 1
        ticks.append(((begun + at - 1) / 2, case.replace(", ", ",\n")))
        at += 1
    kind = _scale(
        field, [found for row in rows if (found := figures.get(workload.name, *row, name))]
    )
    field.set_yticks([place for place, _ in ticks], [case for _, case in ticks])
    field.tick_params(axis="y", length=0)
    field.set_ylim(at - 1.2, -0.8)
    better = "more is better" if name in MORE_IS_BETTER else "less is better"
    field.set_title(f"{TITLES[name]}\n({better}{kind})", fontsize=9)
    field.grid(axis="x", color="#dddddd", linewidth=0.6)
    field.set_axisbelow(True)


def _scale(field: Any, found: list[Summary]) -> str:
    """From zero where that can be read, else by powers of ten; says which."""
    low, high = min(one.median for one in found), max(one.high for one in found)
    if low <= 0 or high < LINEAR_UP_TO * low:
        field.set_xlim(0, high * 1.25)
        return ""
    field.set_xscale("log")
    field.set_xlim(_decade(low / 2), high * 4)
    _plain_numbers(field.xaxis)
    return ", log scale"


def _decade(value: float) -> float:
    """The power of ten at or below a value."""
    return float(10 ** floor(log10(value)))


def _plain_numbers(axis: Any) -> None:
    """1,000 in place of a power."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())


# --- Curves -------------------------------------------------------------------------------


def one_scope(figures: Figures) -> Any:
    """Search and add by the number of memories in the scope."""
    sizes = {case: _size(case) for case, _ in figures.rows("one_scope")}
    return _curves(
        figures,
        "one_scope",
        sizes,
        [("search_median_ms", "search, median, ms"), ("add_us", "add, µs")],
        "memories in the scope",
    )


def many_scopes(figures: Figures) -> Any:
    """Search by the number of memories in the store, 100 of them in each scope."""
    each = Sizes().each
    sizes = {case: _size(case) * each for case, _ in figures.rows("many_scopes")}
    fields = [
        ("first_p95_ms", "scopes not searched before:\nsearch, p95, ms"),
        ("again_p95_ms", "scopes searched before:\nsearch, p95, ms"),
        ("random_p95_ms", "random scopes of the whole store:\nsearch, p95, ms"),
    ]
    return _curves(
        figures, "many_scopes", sizes, fields, f"memories in the store, {each} per scope"
    )


def _size(case: str) -> int:
    """The first number in the name of a case."""
    return int(case.split(maxsplit=1)[0].replace(",", ""))


def _curves(
    figures: Figures,
    workload: str,
    sizes: dict[str, int],
    fields: list[tuple[str, str]],
    below: str,
) -> Any:
    import matplotlib.pyplot as plt

    shape = (3.9 * len(fields), 3.9)
    picture, axes = plt.subplots(1, len(fields), figsize=shape, squeeze=False, layout="constrained")
    systems = [s for s in SYSTEMS if any(s == system for _, system in figures.rows(workload))]
    for (name, title), field in zip(fields, axes[0], strict=True):
        ends = []
        for system in systems:
            points = [
                (size, found)
                for case, size in sizes.items()
                if (found := figures.get(workload, case, system, name))
            ]
            if points:
                _curve(field, system, points)
                ends.append((points[-1][1].median, points[-1][0], COLOURS[system]))
        field.set_xscale("log")
        field.set_yscale("log")
        low, high = field.get_ylim()
        field.set_ylim(_decade(low), 10 * _decade(high))
        _plain_numbers(field.xaxis)
        _plain_numbers(field.yaxis)
        _label(field, ends)
        field.set_title(title, fontsize=9)
        field.set_xlabel(below)
        field.grid(color="#dddddd", linewidth=0.6)
    handles, names = axes[0][0].get_legend_handles_labels()
    picture.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    return picture


def _curve(field: Any, system: str, points: list[tuple[int, Any]]) -> None:
    xs = [size for size, _ in points]
    ys = [found.median for _, found in points]
    field.plot(xs, ys, marker="o", markersize=4, color=COLOURS[system], label=SYSTEMS[system])
    field.fill_between(
        xs,
        [found.low for _, found in points],
        [found.high for _, found in points],
        color=COLOURS[system],
        alpha=0.15,
        linewidth=0,
    )


def _label(field: Any, ends: Sequence[tuple[float, float, str]]) -> None:
    """Writes the values at the ends of curves (value, place, colour), none over another."""
    low, high = field.get_ylim()
    part = log10(high / low) * LABEL_HEIGHT
    free = log10(low)
    for value, place, colour in sorted(ends):
        at = max(log10(value), free)
        free = at + part
        field.annotate(
            number(value),
            (place, 10**at),
            (6, 0),
            textcoords="offset points",
            fontsize=8,
            color=colour,
            va="center",
        )
    left, right = field.get_xlim()
    field.set_xlim(left, right * (right / left) ** 0.12)
