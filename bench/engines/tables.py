"""From turns to tables: medians, and ratios of neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bench.engines.rows import BY_NAME, ENGINES
from bench.engines.systems import ALIKE, PAIRS, SETTINGS, System
from bench.report.figures import Summary, summarise
from bench.report.tables import Table, number, times

Row = dict[str, Any]

FIGURES = {
    "search_median_ms": "search, ms",
    "search_p95_ms": "search p95, ms",
    "search_per_s": "searches per s",
    "raw_median_ms": "raw add, ms",
    "raw_per_s": "raw adds per s",
    "facts_median_ms": "add of 10 facts, ms",
    "facts_per_s": "such adds per s",
}
"""What is shown; `per_s` is of eight threads together, the rest is of one caller."""

OTHERS = {"failed": "failed calls", "found": "found, %", "results": "results"}
"""How many of some memories are found by their own text, and how many results a search has."""


class Turns:
    """What was measured.

    Args:
        rows: as `bench.engines.turns.measure` gives them.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = [*rows]
        self._turns: dict[tuple[int, int, str, str], dict[int, Row]] = {}
        for row in self.rows:
            if "figures" in row:
                key = row["memories"], row["scope"], row["engine"], row["setting"]
                self._turns.setdefault(key, {})[row["round"]] = row["figures"]

    @property
    def sizes(self) -> list[int]:
        """Memories, ascending."""
        return sorted({row["memories"] for row in self.rows})

    def scopes(self, memories: int) -> list[int]:
        """Sizes of scopes, ascending."""
        return sorted({row.get("scope", 100) for row in self.rows if row["memories"] == memories})

    def systems(self, memories: int) -> list[System]:
        """Whatever has a row, run or not, engine by engine."""
        found = {
            (row["engine"], row["setting"]) for row in self.rows if row["memories"] == memories
        }
        return [
            System(setting, engine)
            for engine in ENGINES
            for setting in SETTINGS
            if (engine.name, setting) in found
        ]

    def figure(self, memories: int, scope: int, system: System, name: str) -> Summary | None:
        """Over all rounds; None if there is none."""
        rounds = self._of(memories, scope, system)
        values = [
            value for figures in rounds.values() if (value := _value(figures, name)) is not None
        ]
        return summarise(values) if values else None

    def ratio(
        self, memories: int, scope: int, ours: System, theirs: System, name: str
    ) -> Summary | None:
        """How many times better ours is: the ratios of the rounds that both have."""
        mine, others = (self._of(memories, scope, system) for system in (ours, theirs))
        pairs = [(_value(mine[at], name), _value(others[at], name)) for at in mine if at in others]
        found = [
            own / other if name.endswith("per_s") else other / own
            for own, other in pairs
            if own and other
        ]
        return summarise(found) if found else None

    def _of(self, memories: int, scope: int, system: System) -> dict[int, Row]:
        return self._turns.get((memories, scope, system.engine.name, system.setting), {})

    def why(self, memories: int, system: System) -> str:
        """Why a system has no figures; "" if it has."""
        for row in self.rows:
            key = row["memories"], row["engine"], row["setting"]
            if key == (memories, system.engine.name, system.setting):
                if "why" in row:
                    return f"not run: {row['why']}"
                if "error" in row:
                    return f"failed: {row['error'].splitlines()[-1]}"
        return ""

    def pairs(self, memories: int) -> Iterator[tuple[System, System]]:
        """Each system of isomem's with each of mem0's that it is compared with."""
        systems = self.systems(memories)
        for ours in systems:
            for mine, setting in PAIRS:
                theirs = System(setting, BY_NAME[ours.engine.peer])
                if ours.setting == mine and theirs in systems:
                    yield ours, theirs


def _value(figures: Row, name: str) -> float | None:
    if name == "failed":
        return sum(value for key, value in figures.items() if key.endswith("_failed"))
    return figures.get(name)


def of_figures(turns: Turns, memories: int, scope: int) -> Table:
    """A row for each system, a column for each figure: medians."""
    names = {**FIGURES, **OTHERS}
    rows = []
    for system in turns.systems(memories):
        cells = [turns.figure(memories, scope, system, name) for name in names]
        if any(cells):
            shown = [number(cell.median) if cell else "" for cell in cells]
        else:
            shown = [
                turns.why(memories, system) or _too_few(memories, scope),
                *[""] * (len(names) - 1),
            ]
        rows.append([system.engine.title, SETTINGS[system.setting], *shown])
    return Table(["on", "system", *names.values()], rows)


def _too_few(memories: int, scope: int) -> str:
    return f"not run: scopes of {scope:,} need more than {memories:,} memories"


def of_ratios(turns: Turns, memories: int, scope: int) -> Table:
    """How many times better isomem is than mem0; below 1 it is worse."""
    rows = []
    for ours, theirs in turns.pairs(memories):
        cells = [turns.ratio(memories, scope, ours, theirs, name) for name in FIGURES]
        if any(cells):
            named = f"{SETTINGS[ours.setting]} : {SETTINGS[theirs.setting]}"
            if theirs.engine != ours.engine:
                named += f" on {theirs.engine.title}"
            rows.append([ours.engine.title, named, *map(times, cells)])
    return Table(["on", "pair", *(title.rsplit(",", 1)[0] for title in FIGURES.values())], rows)


def slower(turns: Turns) -> list[str]:
    """The rows in which isomem is slower than mem0 that does the same work on the same engine."""
    found = []
    for memories in turns.sizes:
        for scope in turns.scopes(memories):
            for ours, theirs in turns.pairs(memories):
                if ours.engine == theirs.engine and (ours.setting, theirs.setting) in ALIKE:
                    for name, title in FIGURES.items():
                        ratio = turns.ratio(memories, scope, ours, theirs, name)
                        if ratio and ratio.median < 1:
                            found.append(
                                f"{memories:,} memories, scopes of {scope:,}, {ours.engine.title}, "
                                f"{SETTINGS[ours.setting]} : {SETTINGS[theirs.setting]}, "
                                f"{title.rsplit(',', 1)[0]}: {times(ratio)}"
                            )
    return found
