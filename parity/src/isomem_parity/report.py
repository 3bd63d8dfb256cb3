"""What a run found, as data, as text and as JSON; `page.py` makes the HTML page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from isomem_parity.lockstep import Difference, Outcome, Use
from isomem_parity.rows import rows


@dataclass
class Area:
    """The figures of one area."""

    name: str
    scripts: int = 0
    steps: int = 0
    differences: int = 0
    uses: int = 0


@dataclass
class Report:
    """All outcomes of a run.

    `stale` are rows of `divergences.toml` that should have shown in this run and did not: they
    fail it as a difference does.
    """

    versions: dict[str, str] = field(default_factory=dict)
    command: str = ""
    tiers: set[str] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)
    areas: dict[str, Area] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.differences and not self.stale

    @property
    def steps(self) -> int:
        return sum(area.steps for area in self.areas.values())

    @property
    def scripts(self) -> int:
        return sum(area.scripts for area in self.areas.values())

    def add(self, outcome: Outcome) -> None:
        """Count one script in."""
        name = outcome.script.area
        area = self.areas.setdefault(name, Area(name))
        area.scripts += 1
        area.steps += outcome.steps
        area.differences += len(outcome.differences)
        area.uses += len(outcome.uses)
        self.tiers.add(outcome.tier)
        self.classes.add(outcome.kind)
        self.differences += outcome.differences
        self.uses += outcome.uses
        self.seconds += outcome.seconds

    def find_stale(self) -> None:
        """Note each row, of the classes and tiers that were run, that a scenario did not show."""
        shown = {(use.row, f"{use.area}/{use.title}") for use in self.uses}
        for row in rows().values():
            if self.tiers & set(row.tiers) and self.classes & set(row.classes):
                self.stale += [
                    f"{row.id} was not shown by {name}"
                    for name in row.scenarios
                    if (row.id, name) not in shown
                ]

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON data."""
        return {
            "ok": self.ok,
            "command": self.command,
            "versions": self.versions,
            "tiers": sorted(self.tiers),
            "classes": sorted(self.classes),
            "scripts": self.scripts,
            "steps": self.steps,
            "seconds": round(self.seconds, 2),
            "areas": [asdict(area) for area in self.areas.values()],
            "differences": [asdict(one) for one in self.differences],
            "divergences_used": [asdict(one) for one in self.uses],
            "stale_rows": self.stale,
        }

    @staticmethod
    def _line(name: str, *columns: int | str) -> str:
        return f"{name:<16}" + "".join(f"{column:>13}" for column in columns)

    def as_text(self, most: int = 40) -> str:
        """The figures, and the first `most` differences side by side."""
        lines = [self._line("area", "scripts", "steps", "differences", "divergences")]
        lines += [
            self._line(a.name, a.scripts, a.steps, a.differences, a.uses)
            for a in self.areas.values()
        ]
        lines += [
            self._line("all", self.scripts, self.steps, len(self.differences), len(self.uses)),
            f"tiers {', '.join(sorted(self.tiers))}; classes {', '.join(sorted(self.classes))}; "
            f"{self.seconds:.1f} s; "
            + ", ".join(f"{name} {number}" for name, number in self.versions.items()),
        ]
        used = Counter(use.row for use in self.uses)
        lines += [f"  {row}: {count} steps: {rows()[row].title}" for row, count in used.items()]
        lines += _shown(self.differences[:most])
        if len(self.differences) > most:
            lines.append(f"... and {len(self.differences) - most} more differences")
        lines += [f"STALE: {line}" for line in self.stale]
        lines.append("same memory" if self.ok else "NOT the same memory")
        return "\n".join(lines) + "\n"


def _shown(differences: Iterable[Difference]) -> list[str]:
    lines = []
    for one in differences:
        lines.append(
            f"DIFFERS {one.area}/{one.title} [{one.kind}, tier {one.tier}] "
            f"step {one.step} {one.op}: {one.path}"
        )
        lines.append(f"    upstream: {short(one.upstream)}")
        lines.append(f"    isomem:   {short(one.ours)}")
    return lines


def short(value: Any, most: int = 400) -> str:
    """A value as JSON, cut in the middle when it is long."""
    told = json.dumps(value, ensure_ascii=False, default=repr)
    told = told.encode("utf-8", "backslashreplace").decode()
    return told if len(told) <= most else f"{told[: most // 2]} … {told[-most // 2 :]}"
