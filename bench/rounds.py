"""Runs the workers: each in a process of its own, the systems in turn, round after round."""

from __future__ import annotations

import compileall
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.plan import WORKLOADS, Result, Run, Sizes, Workload

WORKERS = Path(__file__).parent / "workers"
MACHINE = "machine"

Say = Callable[[str], None]


class WorkerError(RuntimeError):
    """A worker ended without a line of figures."""


def measure(
    workloads: Iterable[Workload], sizes: Sizes, rounds: int, folder: Path, say: Say
) -> list[Result]:
    """What all processes measured, in the order in which they ran.

    Before each workload the machine itself is measured, so that it can be seen whether something
    else was using it.

    Args:
        workloads: what to run.
        sizes: how much of it.
        rounds: how often everything is repeated.
        folder: stores are made below it, and removed.
        say: told about each process.
    """
    compile_everything()
    results = []
    for workload in workloads:
        say(f"\n{workload.title} ({workload.name})")
        with tempfile.TemporaryDirectory(dir=folder, prefix="work-") as name:
            turns = [(workload.name, *turn) for turn in in_turn(list(workload.runs(sizes)), rounds)]
            for of_workload, number, run in [*probe(workload, sizes), *turns]:
                result = {
                    "workload": of_workload,
                    "case": run.case,
                    "system": run.system,
                    "script": run.script,
                    "round": number,
                    **attempt(run, Path(name)),
                }
                say(line(result))
                results.append(result)
    return results


def probe(workload: Workload, sizes: Sizes) -> Iterator[tuple[str, int, Run]]:
    """How the machine is just before a workload."""
    if workload.name != MACHINE:
        for run in WORKLOADS[MACHINE].runs(sizes):
            yield MACHINE, 1, replace(run, case=f"before {workload.name}")


def in_turn(runs: list[Run], rounds: int) -> Iterator[tuple[int, Run]]:
    """What prepares, as round 0; then everything else, from round 1 on."""
    yield from ((0, run) for run in runs if run.first)
    for number in range(1, rounds + 1):
        for run in runs:
            if not run.first and not (run.once and number > 1):
                yield from [(number, run)] * run.times


def compile_everything() -> None:
    """Nobody's import should pay for compiling."""
    compileall.compile_dir(WORKERS, quiet=1)
    for name in ("isomem", "mem0", "qdrant_client"):
        spec = importlib.util.find_spec(name)
        for place in (spec.submodule_search_locations or []) if spec else []:
            compileall.compile_dir(place, quiet=1)


def attempt(run: Run, folder: Path) -> dict[str, Any]:
    """The figures of one process, or why there are none."""
    begun = time.monotonic()
    try:
        return {"figures": start(run, folder), "took_s": round(time.monotonic() - begun, 2)}
    except (WorkerError, subprocess.TimeoutExpired) as error:
        return {"error": str(error), "took_s": round(time.monotonic() - begun, 2)}


def start(run: Run, folder: Path) -> dict[str, Any]:
    """The figures of one process.

    Raises:
        WorkerError: it printed none.
        subprocess.TimeoutExpired: it took too long.
    """
    if run.place:
        place = folder / run.place
        place.mkdir(exist_ok=True)
        return _start(run, place)
    with tempfile.TemporaryDirectory(dir=folder, prefix="run-") as name:
        return _start(run, Path(name))


def _start(run: Run, place: Path) -> dict[str, Any]:
    words = [f"{name}={value}" for name, value in run.arguments.items()]
    done = subprocess.run(
        [sys.executable, str(WORKERS / f"{run.script}.py"), f"folder={place}", *words],
        env=environment(place),
        capture_output=True,
        text=True,
        timeout=run.timeout_s,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise WorkerError(f"exit status {done.returncode}: {done.stderr.strip()[-2000:]}")
    figures: dict[str, Any] = json.loads(lines[-1])
    return figures


def environment(home: Path) -> dict[str, str]:
    """A home of its own, no telemetry, no key, and nothing that changes how Python runs."""
    kept = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "TMPDIR")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "HOME": str(home),
        "ISOMEM_DIR": str(home),
        "MEM0_DIR": str(home / ".mem0"),
        "MEM0_TELEMETRY": "False",
    }


def line(result: Result) -> str:
    """What a process came to, for the one who waits."""
    figures = result.get("figures")
    told = (
        "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        if figures
        else f"FAILED: {result['error']}"
    )
    head = f"round {result['round']}  {result['case']:<28}  {result['system']:<24}"
    return f"  {head}  {result['took_s']:6.1f} s  {told}"
