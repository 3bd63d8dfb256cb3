"""The command; the package's docstring says what it does."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

import bench.load
from bench.load import report
from bench.load.model import Costs, Outcome, Setup, Simulation, alone_ms, bounds
from bench.report.files import write_docs

RESULTS = Path(__file__).parent.parent / "results" / "load.json"
NUMBERS = {
    "machines": "that call",
    "processes": "on each machine, each with a core of its own",
    "threads": "in each process, that call again and again",
    "connections": "of each process",
    "cores": "of the database",
}


def make_parser() -> argparse.ArgumentParser:
    about = (bench.load.__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=about)
    add, usual = parser.add_argument, Setup(machines=4, processes=4, cores=8, rtt_ms=0.5)
    add("--file", type=Path, default=RESULTS, help="of the constants")
    add("--seconds", type=float, default=8, help="of each measurement (default 8)")
    add("--rounds", type=int, default=3, help="measurements beside predictions (default 3)")
    add("--model", action="store_true", help="simulate, with the constants of the file")
    add("--write-docs", type=Path, metavar="FILE", help="put tables of the file there")
    for name, meaning in NUMBERS.items():
        value = getattr(usual, name)
        add(f"--{name}", type=int, default=value, help=f"{meaning} (default {value})")
    add("--rtt-ms", type=float, default=usual.rtt_ms, help="of a round trip (default 0.5)")
    add("--rate", type=float, help="calls per second that arrive; threads then do not count")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Measures and checks, simulates, or writes tables."""
    given = make_parser().parse_args(arguments)
    if given.write_docs:
        found = json.loads(given.file.read_text(encoding="utf-8"))
        write_docs(given.write_docs, report.sections(found), report.MARK)
    elif given.model:
        simulate(given)
    else:
        measure(given)
    return 0


# --- Measuring, and the check --------------------------------------------------------------------


def measure(given: argparse.Namespace) -> None:
    """Measures the constants; predicts, and measures, what eight threads do."""
    from bench.load import measure as measured

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # So that the server is stopped.
    with measured.filled_server() as server, measured.opened(server) as memory:
        machine = measured.constants(server)
        found: dict[str, Any] = {"rtt_ms": machine.rtt_ms, "costs": {}, "checks": []}
        print(f"round trip {machine.rtt_ms:.3f} ms, flush {machine.flush_ms:.2f} ms\n")
        for name in measured.calls_of(memory):
            costs = measured.costs(server, memory, name, machine, 300)
            found["costs"][name] = asdict(costs)
            print(f"{name}: {costs}", flush=True)
            for count in (1, 8):
                rounds = [
                    _check(memory, name, costs, machine.rtt_ms, count, given.seconds)
                    for _ in range(given.rounds)
                ]
                found["checks"].append({"call": name, "threads": count, "rounds": rounds})
                print(_told(count, rounds), flush=True)
    given.file.parent.mkdir(parents=True, exist_ok=True)
    given.file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _check(
    memory: Any, name: str, costs: Costs, rtt_ms: float, count: int, seconds: float
) -> dict[str, float]:
    """One measurement and its prediction, for the share of the machine that was there around it."""
    from bench.load import measure as measured

    setup = Setup(threads=count, rtt_ms=rtt_ms, together=True)
    before = measured.speed()
    real = measured.threads(memory, name, setup, seconds)
    setup = replace(setup, speed=(before + measured.speed()) / 2)
    model = Simulation(costs, setup).run(30)
    return {
        "speed": setup.speed,
        "per_s": real.per_s, "model_per_s": model.per_s,
        "median_ms": real.median_ms, "model_median_ms": model.median_ms,
        "p99_ms": real.p99_ms, "model_p99_ms": model.p99_ms,
    }  # fmt: skip


def _told(count: int, rounds: list[dict[str, float]]) -> str:
    middle = {key: median(each[key] for each in rounds) for key in rounds[0]}
    parts = []
    for key, unit in (("per_s", "per s"), ("median_ms", "ms"), ("p99_ms", "ms at p99")):
        error = report.off_by(rounds, key)
        real, model = middle[key], middle[f"model_{key}"]
        parts.append(f"{real:,.1f} {unit}, model {model:,.1f} ({error:+.0%})")
    return f"  {count} threads, {middle['speed']:.0%} of the machine: {'; '.join(parts)}"


# --- Simulating ------------------------------------------------------------------------------


def simulate(given: argparse.Namespace) -> None:
    """Prints bounds and a simulated minute for each call."""
    found = json.loads(given.file.read_text(encoding="utf-8"))
    numbers = {name: getattr(given, name) for name in NUMBERS}
    setup = Setup(**numbers, rtt_ms=given.rtt_ms, rate=given.rate)
    print("A model's figures, with constants that were measured on one machine.")
    print(f"{setup}\n")
    for name, constants in found["costs"].items():
        costs = Costs(**constants)
        print(told(name, costs, setup, Simulation(costs, setup).run(60)))


def told(name: str, costs: Costs, setup: Setup, outcome: Outcome) -> str:
    """What the model says about one call."""
    limits = sorted(bounds(costs, setup).items(), key=lambda item: item[1])
    listed = ", ".join(f"{what} {most:,.0f}" for what, most in limits)
    return (
        f"{name}: alone {alone_ms(costs, setup):.2f} ms; at most per second: {listed}\n"
        f"  simulated: {outcome.per_s:,.0f} per second, median {outcome.median_ms:.2f} ms, "
        f"p99 {outcome.p99_ms:.2f} ms, database {outcome.database_busy:.0%} busy"
    )


if __name__ == "__main__":
    sys.exit(main())
