"""What was measured and what the model says, as tables of Markdown for docs/scaling.md."""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Any

from bench.load.model import Costs, Setup, Simulation, bounds
from bench.report.tables import Table, as_markdown, number

Found = dict[str, Any]

MARK = "<!-- {}: python -m bench.load --write-docs docs/scaling.md -->"

GROWING = Setup(processes=4, threads=8, cores=8, rtt_ms=0.5)
"""The example of the page: machines of four processes each, over a database with eight cores."""

MACHINES = (1, 2, 4, 8)
SHARES = (0.5, 0.8, 0.95)
"""Of what the smallest bound allows, how much arrives at random times."""

SIMULATED_S = 10


def sections(found: Found) -> dict[str, str]:
    """The sections of the page, by name."""
    return {
        "costs": as_markdown(_costs(found)),
        "check": as_markdown(_check(found)),
        "growing": as_markdown(_growing(found)),
    }


def _costs(found: Found) -> Table:
    head = ["call", "", "client, ms", "server, ms", "round trips", "flush, ms", "spread"]
    rows = []
    for name, constants in found["costs"].items():
        costs = Costs(**constants)
        shown = (
            costs.client_ms, costs.server_ms, costs.trips, costs.flush_ms, round(costs.spread, 2),
        )  # fmt: skip
        rows.append([name, "alone", *map(number, shown)])
    return Table(head, rows)


def _check(found: Found) -> Table:
    kinds = {"per_s": "per s", "median_ms": "median, ms", "p99_ms": "p99, ms"}
    head = ["call", "threads"]
    for title in kinds.values():
        head += [title, "model", "off by"]
    rows = []
    for check in found["checks"]:
        row = [check["call"], str(check["threads"])]
        for key in kinds:
            row += _compared(check["rounds"], key)
        rows.append(row)
    return Table(head, rows)


def _compared(rounds: list[dict[str, float]], key: str) -> list[str]:
    """Measured, predicted, and the median of how far off the predictions were."""
    real, model = (median(each[name] for each in rounds) for name in (key, f"model_{key}"))
    return [number(real), number(model), f"{off_by(rounds, key):+.0%}"]


def off_by(rounds: list[dict[str, float]], key: str) -> float:
    """The median of how far off the predictions were, as a share of what was measured."""
    return median(each[f"model_{key}"] / each[key] - 1 for each in rounds)


def _growing(found: Found) -> Table:
    """The example: as fast as the threads can, and at shares of what is possible."""
    head = ["call", "machines", "at most per s", "limited by", "as fast as they can", "p99, ms"]
    head += [f"p99 at {share:.0%}, ms" for share in SHARES]
    rows = []
    for name, constants in found["costs"].items():
        costs = Costs(**constants)
        for machines in MACHINES:
            setup = replace(GROWING, machines=machines)
            what, most = min(bounds(costs, setup).items(), key=lambda item: item[1])
            fast = Simulation(costs, setup).run(SIMULATED_S)
            shares = [
                Simulation(costs, replace(setup, rate=share * most)).run(SIMULATED_S).p99_ms
                for share in SHARES
            ]
            shown = map(number, (fast.per_s, fast.p99_ms, *shares))
            rows.append([name, str(machines), number(most), what, *shown])
    return Table(head, rows)
