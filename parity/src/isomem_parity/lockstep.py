"""Runs a script on both sides, step by step, and says where they differ."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from operator import mul
from pathlib import Path
from typing import Any

from isomem_parity import rulings
from isomem_parity.compare import Gap, Gaps, differences, same, same_state
from isomem_parity.ours import Ours
from isomem_parity.rows import rows
from isomem_parity.script import Script, Step, resolve
from isomem_parity.side import Side
from isomem_parity.trace import Names, State, Trace
from isomem_parity.upstream import Upstream

MakeSide = Callable[[Script, str, str, Path], Side]


@dataclass(frozen=True)
class Difference:
    """One value that is not what it must be."""

    area: str
    title: str
    kind: str
    tier: str
    step: int
    op: str
    path: str
    upstream: Any
    ours: Any


@dataclass(frozen=True)
class Use:
    """A divergence that showed in a step, with what each side did there."""

    row: str
    area: str
    title: str
    kind: str
    tier: str
    step: int
    op: str
    upstream: Any
    ours: Any


@dataclass
class Outcome:
    """One script on one class and tier."""

    script: Script
    kind: str
    tier: str
    steps: int = 0
    differences: list[Difference] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    seconds: float = 0.0
    trace: list[Trace] = field(default_factory=list)


def scratch() -> str | None:
    """Where stores on disk are made: in memory where the system offers that, for speed."""
    shm = Path("/dev/shm")
    return str(shm) if shm.is_dir() else None


def run_script(
    script: Script,
    kind: str,
    tier: str,
    *,
    make_ours: MakeSide = Ours,
    make_theirs: Callable[[Script, str, str, Path], Upstream] = Upstream,
    stop_at_first: bool = False,
    keep_trace: bool = False,
) -> Outcome:
    """Compare the two sides on a script."""
    outcome = Outcome(script, kind, tier)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=scratch(), prefix="parity-") as folder:
        pair = _Pair(script, kind, tier, Path(folder), make_ours, make_theirs, outcome)
        try:
            for number, step in enumerate(script.steps):
                trace = pair.step(step, number)
                if keep_trace:
                    outcome.trace.append(trace)
                if stop_at_first and outcome.differences:
                    break
        finally:
            pair.dispose()
    outcome.seconds = time.perf_counter() - began
    return outcome


class _Pair:
    """The two sides of one run."""

    def __init__(
        self,
        script: Script,
        kind: str,
        tier: str,
        folder: Path,
        make_ours: MakeSide,
        make_theirs: Callable[[Script, str, str, Path], Upstream],
        outcome: Outcome,
    ) -> None:
        for name in ("upstream", "isomem"):
            (folder / name).mkdir()
        self.upstream = make_theirs(script, tier, kind, folder / "upstream")
        self.ours = make_ours(script, tier, kind, folder / "isomem")
        self.ours.names = Names(known=self.upstream.names)
        self.outcome = outcome
        self.before = State()

    def dispose(self) -> None:
        try:
            self.upstream.dispose()
        finally:
            self.ours.dispose()

    def step(self, step: Step, number: int) -> Trace:
        """Run one step on both sides; note the differences; leave both with the same stores."""
        open_before = self.upstream.memory._entity_store is not None
        theirs = self.upstream.run(step, number)
        mine = self.ours.run(step, number)
        self.outcome.steps += 1
        if not same(theirs, mine):
            self._judge(step, number, theirs, mine, open_before)
        self.before = mine.state
        return mine

    def _judge(
        self, step: Step, number: int, theirs: Trace, mine: Trace, open_before: bool
    ) -> None:
        gaps = self._gaps(step, theirs, mine)
        if gaps.found:
            case = self._ruled(step, number, theirs, mine, open_before)
            if case.used:
                self._note_uses(case)
                gaps = self._gaps(step, case.expected, mine)
            for gap in gaps.found:
                place = self._place(step, number)
                self.outcome.differences.append(
                    Difference(*place, gap.path, gap.upstream, gap.ours)
                )
        self.upstream.named = dict(self.ours.named)
        if not same_state(self.upstream.state(), mine.state):
            self.upstream.restore(mine.state)

    def _ruled(
        self, step: Step, number: int, theirs: Trace, mine: Trace, open_before: bool
    ) -> rulings.Case:
        case = rulings.Case(
            step, number, self.outcome.kind, self.outcome.tier, self.upstream,
            open_before, self.before, theirs, mine,
        )  # fmt: skip
        listed, place = rows(), (step.op, case.kind, case.tier)
        rulings.apply(case, lambda row: row in listed and listed[row].covers(*place))
        return case

    def _place(self, step: Step, number: int) -> tuple[str, str, str, str, int, str]:
        script = self.outcome.script
        return script.area, script.title, self.outcome.kind, self.outcome.tier, number + 1, step.op

    def _note_uses(self, case: rulings.Case) -> None:
        gaps = self._gaps(case.step, case.raw, case.ours)
        theirs = {gap.path: gap.upstream for gap in gaps.found}
        mine = {gap.path: gap.ours for gap in gaps.found}
        place = self._place(case.step, case.number)
        self.outcome.uses += [Use(row, *place, theirs, mine) for row in case.used]

    def _gaps(self, step: Step, theirs: Trace, mine: Trace) -> Gaps:
        names = (self.upstream.names, self.ours.names)
        gaps = differences(theirs, mine, names, self._similarity)
        if gaps.unproven:
            gaps.found += self._past_the_cut(step, gaps.unproven)
        return gaps

    def _past_the_cut(self, step: Step, unproven: list[Any]) -> list[Gap]:
        """Search both sides again without the cut: it must be equal, and hold all `unproven`."""
        wide = replace(step, args={**step.args, "top_k": 1000}, replies=(), faults=())
        theirs, mine = (_search_again(side, wide) for side in (self.upstream, self.ours))
        gaps = differences(theirs, mine, (self.upstream.names, self.ours.names), self._similarity)
        there = self.ours.names.show((mine.result or {}).get("results", []))
        return gaps.found + [
            Gap("result.results", "(not among the tied ones)", item)
            for item in unproven
            if item not in there
        ]

    def _similarity(self, query: str, text: str) -> float:
        """The cosine similarity of a text to be stored and a query, from the embedder alone."""
        embed = self.upstream.embedder.vector
        one, other = embed(query, "search"), embed(text, "add")
        norm = sum(a * a for a in one) ** 0.5 * sum(b * b for b in other) ** 0.5
        return sum(map(mul, one, other)) / norm if norm else 0.0


def _search_again(side: Side, step: Step) -> Trace:
    args = resolve(step.args, side.id_of)
    return side.attempt(lambda: side.call("search", args), step)
