"""From single processes to medians, spread and ratios."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median
from typing import NamedTuple

from bench.plan import SYSTEMS, Result, peer


class Summary(NamedTuple):
    """Median, least and greatest of the figures of some processes."""

    median: float
    low: float
    high: float
    processes: int


class Key(NamedTuple):
    """Whose figure it is."""

    workload: str
    case: str
    system: str
    figure: str


def summarise(values: Iterable[float]) -> Summary:
    """The summary of at least one value."""
    ordered = sorted(values)
    return Summary(median(ordered), ordered[0], ordered[-1], len(ordered))


class Figures:
    """What a run of the benchmark came to.

    Args:
        results: one for each process, as `bench.rounds.measure` gives them. Processes that only
            prepared something, and those that failed, have no part in it.
    """

    def __init__(self, results: Iterable[Result]) -> None:
        self._by_round: dict[Key, dict[int, list[float]]] = {}
        for result in results:
            for name, value in result.get("figures", {}).items():
                if result["round"] > 0:
                    key = Key(result["workload"], result["case"], result["system"], name)
                    self._by_round.setdefault(key, {}).setdefault(result["round"], []).append(value)

    def get(self, workload: str, case: str, system: str, figure: str) -> Summary | None:
        """Over all processes of all rounds; None if there were none."""
        rounds = self._by_round.get(Key(workload, case, system, figure))
        return (
            summarise(value for values in rounds.values() for value in values) if rounds else None
        )

    def ratio(self, above: Key, below: Key) -> Summary | None:
        """How many times as much `above` is as `below`.

        One ratio for each round that has both, of what stood side by side in it: what slows the
        whole machine for a while cancels out. None if no round has both, or one is zero.
        """
        rounds, others = self._by_round.get(above, {}), self._by_round.get(below, {})
        pairs = [(median(rounds[at]), median(others[at])) for at in rounds if at in others]
        if not pairs or not all(below for _, below in pairs):
            return None
        return summarise(above / below for above, below in pairs)

    def rows(self, workload: str) -> list[tuple[str, str]]:
        """The cases of a workload as they first came, each with its systems in our order."""
        found = dict.fromkeys(
            (key.case, key.system) for key in self._by_round if key.workload == workload
        )
        cases = list(dict.fromkeys(case for case, _ in found))
        order = list(SYSTEMS)
        return sorted(found, key=lambda row: (cases.index(row[0]), order.index(row[1])))

    def pairs(self, workload: str) -> Iterator[tuple[str, str, str]]:
        """Case, system of isomem, and the system of mem0 that was measured beside it."""
        rows = self.rows(workload)
        for case, system in rows:
            other = peer(system)
            if other and (case, other) in rows:
                yield case, system, other


def failures(results: Iterable[Result]) -> list[Result]:
    """The processes that gave no figures."""
    return [result for result in results if "error" in result]
