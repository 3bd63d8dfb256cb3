"""The processes: they are opened, filled, and take turns."""

from __future__ import annotations

import json
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.engines.rows import Place
from bench.engines.systems import System
from bench.rounds import WORKERS, WorkerError, environment

Say = Callable[[str], None]
Row = dict[str, Any]

LARGE = 10_000
KINDS = {"small": 100, "large": LARGE}
FILL_S = 4 * 3600
TURN_S = 1800


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        rounds: how often each system has its turn.
        limit_s: seconds after which one system makes no more calls of one kind in one turn.
    """

    rounds: int = 3
    limit_s: float = 10.0

    def calls(self, memories: int) -> dict[str, int]:
        """Calls of each kind in a turn: few where what they add would be much."""
        some = memories > 10_000
        return {
            "search": 50,
            "search_at_once": 200,
            "raw": 1_000 if some else 50,
            "raw_at_once": 200 if some else 80,
            "facts": 15 if some else 10,
            "facts_at_once": 32 if some else 16,
        }


class Worker:
    """One process of `bench/workers/engine.py`.

    Args:
        job: what it is given.
        folder: its home.
    """

    def __init__(self, job: dict[str, Any], folder: Path) -> None:
        self._errors = folder / "stderr"
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, str(WORKERS / "engine.py"), str(folder / "job.json")],
                env=environment(folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def ask(self, do: str, timeout_s: float = TURN_S, **arguments: Any) -> dict[str, float]:
        """The figures of one order.

        Raises:
            WorkerError: it ended, or did not answer in time.
        """
        process = self._process
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(self._told()) from None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout_s):
                self.end()
                raise WorkerError(f"{do} took more than {timeout_s:,.0f} s")
        line = process.stdout.readline()
        if not line:
            process.wait()
            raise WorkerError(self._told())
        figures: dict[str, float] = json.loads(line)
        return figures

    def _told(self) -> str:
        lines = self._errors.read_text(encoding="utf-8", errors="replace").strip()
        return f"exit status {self._process.poll()}: {lines[-1000:]}"

    def end(self) -> None:
        """Ends it, if it has not ended yet."""
        self._process.kill()
        with self._process:  # It waits, and closes the pipes.
            pass


def measure(group: list[System], place: Place, plan: Plan, say: Say) -> Iterator[Row]:
    """What each system of a group comes to, and which are not run, and why."""
    large = LARGE if place.memories >= 2 * LARGE else 0
    with ExitStack() as stack:
        workers: dict[System, Worker] = {}
        for system in group:
            why = system.engine.missing(place.memories)
            if why:
                yield {**_key(system, place), "why": why}
                continue
            try:
                workers[system] = _ready(system, place, large, [*workers], stack, say)
            except WorkerError as error:
                say(f"  {system.title} FAILED: {error}")
                yield {**_key(system, place), "error": str(error)}
        yield from _turns(workers, place, plan, large, say)


def _ready(
    system: System,
    place: Place,
    large: int,
    earlier: list[System],
    stack: ExitStack,
    say: Say,
) -> Worker:
    """A process whose store is filled."""
    begun, engine = time.monotonic(), system.engine
    job = system.job(place, large)
    is_filled = engine.shares and any(map(system.shares_with, earlier))
    if original := next(filter(partial(system.copies, memories=place.memories), earlier), None):
        files = place.folder / original.name / engine.copied
        shutil.copytree(files, place.folder / system.name / engine.copied)
        is_filled = True
    worker = Worker(job, place.folder / system.name)
    stack.callback(worker.end)
    worker.ask("open")
    if not is_filled:
        with engine.filling(place, job["config"]["vector_store"]):
            worker.ask("fill", FILL_S)
    say(f"  {system.title} is ready after {time.monotonic() - begun:,.0f} s")
    return worker


def _turns(
    workers: dict[System, Worker], place: Place, plan: Plan, large: int, say: Say
) -> Iterator[Row]:
    for number in range(1, plan.rounds + 1):
        for kind, size in KINDS.items():
            if kind == "large" and not large:
                continue
            scopes = place.memories // size // (2 if large else 1)
            arguments = {
                "kind": kind, "scopes": scopes, "number": number,
                "calls": plan.calls(place.memories), "limit_s": plan.limit_s,
            }  # fmt: skip
            for system in _beginning_with(number, [*workers]):
                row = {**_key(system, place), "scope": size, "round": number}
                try:
                    checked = workers[system].ask("check")
                    figures = workers[system].ask("turn", **arguments) | checked
                except WorkerError as error:
                    workers.pop(system)
                    say(f"  {system.title} FAILED: {error}")
                    yield {**row, "error": str(error)}
                    continue
                say(told(system, size, number, figures))
                yield {**row, "figures": figures}


def _beginning_with(number: int, systems: list[System]) -> list[System]:
    """The order of a round: nobody always comes after the same one, and finds what it has left."""
    at = (number - 1) % len(systems) if systems else 0
    return [*systems[at:], *systems[:at]]


def _key(system: System, place: Place) -> Row:
    return {
        "engine": system.engine.name, "setting": system.setting, "memories": place.memories,
    }  # fmt: skip


def told(system: System, size: int, number: int, figures: dict[str, float]) -> str:
    """What a turn came to, for those who wait."""
    shown = "  ".join(
        f"{name} {figures[f'{name}_median_ms']:.3g} ms {figures.get(f'{name}_per_s', 0):,.3g}/s"
        for name in ("search", "raw", "facts")
    )
    failed = sum(value for name, value in figures.items() if name.endswith("_failed"))
    return (
        f"  round {number}  scopes of {size:,}  {system.title:<45}  {shown}"
        f"  failed {failed:.0f}  found {figures['found']:.0f} %"
    )
