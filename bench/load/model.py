"""The model: where a call spends its time, bounds from that, and a simulation.

A call goes back and forth between a process and the database. In the process it takes processor
time, of which there is one core for each process: Python has one lock. At the database it takes
processor time, of which there are `cores`. A call that writes waits for the disk at the end; calls
that wait at the same time share one flush, as PostgreSQL's do. Each call holds one connection.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from itertools import count
from math import inf
from typing import Any


@dataclass(frozen=True)
class Costs:
    """What one call takes, alone; all times in milliseconds.

    Attributes:
        client_ms: processor time in the process that calls.
        server_ms: processor time at the database.
        trips: round trips.
        flush_ms: the wait for the disk; 0 if the call writes nothing.
        spread: how much calls differ: the standard deviation of their time as a share of its mean.
    """

    client_ms: float
    server_ms: float
    trips: int
    flush_ms: float = 0.0
    spread: float = 1.0


@dataclass(frozen=True)
class Setup:
    """The machines.

    Attributes:
        machines: that call.
        processes: on each; each has one core of its own.
        threads: in each process, which call again and again; without `rate`.
        rate: calls per second that arrive at all processes together, at random times; None: the
            threads call as fast as they can.
        connections: of each process.
        cores: of the database.
        rtt_ms: milliseconds for a message to the database and back.
        together: the processes and the database share the database's cores: everything is one
            machine.
        speed: of a core, where 1 is the one that the costs were measured on; below 1 where others
            use it, too.
    """

    machines: int = 1
    processes: int = 1
    threads: int = 8
    rate: float | None = None
    connections: int = 10
    cores: int = 2
    rtt_ms: float = 0.05
    together: bool = False
    speed: float = 1.0


@dataclass(frozen=True)
class Outcome:
    """What calls came to; times in milliseconds."""

    per_s: float
    median_ms: float
    p99_ms: float
    database_busy: float
    """The share of the time in which a core of the database is at work."""


# --- Bounds ----------------------------------------------------------------------------------


def alone_ms(costs: Costs, setup: Setup) -> float:
    """How long a call takes that meets no other."""
    work = (costs.client_ms + costs.server_ms) / setup.speed
    return work + costs.trips * setup.rtt_ms + costs.flush_ms


def bounds(costs: Costs, setup: Setup) -> dict[str, float]:
    """Calls per second that nothing can exceed, by what limits them. The smallest one counts."""
    processes = setup.machines * setup.processes
    work, alone = costs.client_ms + costs.server_ms, alone_ms(costs, setup)
    most = {
        "the processes": (processes * setup.speed, costs.client_ms),
        "the database": (setup.cores * setup.speed, costs.server_ms),
        "the connections": (processes * setup.connections, alone),
        "the threads": (processes * setup.threads if setup.rate is None else inf, alone),
        "the machine": (setup.cores * setup.speed if setup.together else inf, work),
    }
    found = {what: 1000 * at_once / ms for what, (at_once, ms) in most.items() if ms}
    if setup.rate is not None:
        found["what arrives"] = setup.rate
    return {what: per_s for what, per_s in found.items() if per_s < inf}


# --- Simulation ------------------------------------------------------------------------------

Steps = Generator[tuple[str, Any], None, None]


class Servers:
    """Something that so many calls can use at a time; the others wait.

    Args:
        most: how many.
        random: says who is next; None: whoever has waited longest.
    """

    def __init__(self, most: int, random: random.Random | None = None) -> None:
        self.free = most
        self.waiting: deque[Steps] = deque()
        self.busy_ms = 0.0
        self._random = random

    def next(self) -> Steps:
        """Who is next of those who wait."""
        if self._random is not None:
            self.waiting.rotate(self._random.randrange(len(self.waiting)))
        return self.waiting.popleft()


@dataclass
class Disk:
    """Flushes: whoever comes while one runs shares the next one."""

    flushes: bool = False
    waiting: list[Steps] = field(default_factory=list)


class Clock:
    """Runs steps in the order of their times. Steps yield what they wait for:

    `("wait", ms)`, `("take", servers)`, `("release", servers)`, `("flush", (disk, ms))`.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = count()
        self._events: list[tuple[float, int, Steps]] = []

    def start(self, steps: Steps, after_ms: float = 0.0) -> None:
        heapq.heappush(self._events, (self.now + after_ms, next(self._numbers), steps))

    def run(self, until_ms: float) -> None:
        while self._events and self._events[0][0] <= until_ms:
            self.now, _, steps = heapq.heappop(self._events)
            self._advance(steps)

    def _advance(self, steps: Steps) -> None:
        for what, value in steps:
            if what == "wait":
                self.start(steps, value)
                return
            if what == "take":
                if value.free == 0:
                    value.waiting.append(steps)
                    return
                value.free -= 1
            elif what == "release":
                if value.waiting:
                    self.start(value.next())
                else:
                    value.free += 1
            else:
                self._flush(steps, *value)
                return

    def _flush(self, steps: Steps, disk: Disk, ms: float) -> None:
        disk.waiting.append(steps)
        if not disk.flushes:
            disk.flushes = True
            self.start(self._flushing(disk, ms))

    def _flushing(self, disk: Disk, ms: float) -> Steps:
        while disk.waiting:
            served, disk.waiting = disk.waiting, []
            yield "wait", ms
            for steps in served:
                self.start(steps)
        disk.flushes = False


class Simulation:
    """Calls over a database.

    Args:
        costs: of each call; how much work one is, is random, with these means.
        setup: the machines.
        seed: of the random times.
    """

    def __init__(self, costs: Costs, setup: Setup, seed: int = 1) -> None:
        self._costs = costs
        self._setup = setup
        self._random = random.Random(seed)
        self._clock = Clock()
        self._database = Servers(setup.cores)
        self._disk = Disk()
        self._times: list[tuple[float, float]] = []

    def run(self, seconds: float = 60.0) -> Outcome:
        """What the calls come to that end after the first tenth of the time."""
        number = self._setup.machines * self._setup.processes
        for _ in range(number):
            # Which thread gets Python's lock next is up to the system.
            core, pool = Servers(1, self._random), Servers(self._setup.connections)
            if self._setup.rate is None:
                for _ in range(self._setup.threads):
                    self._clock.start(self._repeat(core, pool))
            else:
                self._clock.start(self._arrive(core, pool, self._setup.rate / number))
        end_ms = seconds * 1000
        self._clock.run(end_ms)
        return self._outcome(end_ms)

    def _outcome(self, end_ms: float) -> Outcome:
        times = sorted(took for ended, took in self._times if ended > end_ms / 10)
        if not times:
            return Outcome(0.0, 0.0, 0.0, 0.0)
        last = len(times) - 1
        return Outcome(
            per_s=len(times) / (end_ms * 0.9) * 1000,
            median_ms=times[last // 2],
            p99_ms=times[round(last * 0.99)],
            database_busy=self._database.busy_ms / (end_ms * self._setup.cores),
        )

    def _repeat(self, core: Servers, pool: Servers) -> Steps:
        while True:
            yield from self._call(core, pool)

    def _arrive(self, core: Servers, pool: Servers, per_s: float) -> Steps:
        while True:
            yield "wait", self._random.expovariate(per_s / 1000)
            self._clock.start(self._call(core, pool))

    def _call(self, core: Servers, pool: Servers) -> Steps:
        begun, costs, trips = self._clock.now, self._costs, self._costs.trips
        factor = self._factor()
        in_process, at_database = costs.client_ms * factor / (trips + 1), costs.server_ms * factor
        yield "take", pool
        yield from self._compute(core, in_process, in_process=True)
        for _ in range(trips):
            yield "wait", self._setup.rtt_ms / 2
            yield from self._compute(self._database, at_database / trips)
            yield "wait", self._setup.rtt_ms / 2
            yield from self._compute(core, in_process, in_process=True)
        if costs.flush_ms:
            yield "flush", (self._disk, costs.flush_ms)
        yield "release", pool
        self._times.append((self._clock.now, self._clock.now - begun))

    def _factor(self) -> float:
        """How much more or less work a call is than the mean of all."""
        variance = self._costs.spread**2
        return self._random.gammavariate(1 / variance, variance) if variance else 1.0

    def _compute(self, servers: Servers, ms: float, *, in_process: bool = False) -> Steps:
        ms /= self._setup.speed
        yield "take", servers
        if in_process and self._setup.together:
            yield from self._occupy(self._database, ms)
        else:
            servers.busy_ms += ms
            yield "wait", ms
        yield "release", servers

    def _occupy(self, servers: Servers, ms: float) -> Steps:
        yield "take", servers
        servers.busy_ms += ms
        yield "wait", ms
        yield "release", servers
