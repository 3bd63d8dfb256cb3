"""The threads of an asynchronous memory, and the plans that wait for its stores."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import get_ident

from isomem.errors import DatabaseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from isomem.contract.plan import Plan, Record
    from isomem.ports import shapes

    class Applicant(Protocol):
        """Whoever wants a plan to be applied."""

        @property
        def is_cancelled(self) -> bool:
            """Whether nobody waits for it any more."""
            ...

        def applied(self, outcome: Sequence[Record] | BaseException) -> None:
            """Is told what became of the plan, in the thread of the stores. Raises nothing."""
            ...

        def end(self) -> None:
            """Is told that the plan is not applied, since nobody waits for it. Raises nothing."""
            ...


PROVIDERS, COMPUTING, STORE, CALLS = "provider", "compute", "store", "call"

THREADS = {PROVIDERS: 64, COMPUTING: 2, STORE: 1, CALLS: 64}
"""The most threads of each pool.

Providers wait, and so do stores that are not serial, whose calls have the last pool; their threads
cost little, and one is made only if all others are busy. Threads that compute take turns anyway,
and each that wants its turn keeps the event loop waiting longer.
"""

PLANS_AT_ONCE = 64
"""How many plans are applied together."""


class _Waiting:
    """A plan, where it is to be applied, and for whom."""

    __slots__ = ("applicant", "plan", "stores")

    def __init__(self, stores: shapes.SerialStores, plan: Plan, applicant: Applicant) -> None:
        self.stores = stores
        self.plan = plan
        self.applicant = applicant


class _Threads:
    """What one process has: its pools, and the plans that wait."""

    def __init__(self) -> None:
        self._members: dict[str, set[int]] = {name: set() for name in THREADS}
        self.pools = {
            name: ThreadPoolExecutor(most, f"isomem-{name}", partial(_join, self._members[name]))
            for name, most in THREADS.items()
        }
        self.waiting: deque[_Waiting] = deque()

    def is_mine(self, pool: str) -> bool:
        """Whether this thread is one of a pool: it cannot wait for its own end."""
        return get_ident() in self._members[pool]


def _join(members: set[int]) -> None:
    members.add(get_ident())


class Pools:
    """The threads of one memory, separate for each process.

    A forked child has none of its parent's threads, so it gets its own pools.
    """

    def __init__(self) -> None:
        self._is_closed = False
        self._of_processes: dict[int, _Threads] = {}

    def submit(self, pool: str, work: Callable[[], object]) -> None:
        """Lets a thread of one of the pools in `THREADS` do something, unless this raises.

        Raises:
            DatabaseError: the pools are closed, or no thread can be had for it.
        """
        executor = self._open().pools[pool]
        todo = [work]
        try:
            executor.submit(_once, todo)
        except RuntimeError as error:
            # It may be queued all the same: the thread that takes it out of here first has it.
            try:
                todo.pop()
            except IndexError:
                return
            raise _closed() if self._is_closed else _refused(error) from error

    def apply(self, stores: shapes.SerialStores, plan: Plan, applicant: Applicant) -> None:
        """Lets the thread of the stores apply a plan, together with those that wait for the same.

        Raises:
            DatabaseError: the pools are closed, or no thread can be had for it.
        """
        waiting = self._open().waiting
        waits = _Waiting(stores, plan, applicant)
        waiting.append(waits)
        try:
            self.submit(STORE, partial(_apply_waiting, waiting))
        except DatabaseError:
            with suppress(ValueError):  # The thread has taken it, together with others.
                waiting.remove(waits)
                raise

    def _open(self) -> _Threads:
        """The threads of this process. Whoever comes first makes them; of several, one."""
        process = os.getpid()
        threads = self._of_processes.get(process)
        if threads is None:
            threads = self._of_processes.setdefault(process, _Threads())
        if self._is_closed:  # Only now, so that `close` misses none.
            raise _closed()
        return threads

    def close(self) -> None:
        """Ends the threads after their current work. May be called twice."""
        self._is_closed = True
        threads = self._of_processes.get(os.getpid())
        if threads is not None:
            for name, pool in threads.pools.items():
                pool.shutdown(wait=not threads.is_mine(name))

    async def aclose(self) -> None:
        """`close`, without blocking the event loop until the threads are done."""
        self._is_closed = True
        await asyncio.to_thread(self.close)


def _once(todo: list[Callable[[], object]]) -> None:
    """Does what is in a list, unless somebody has taken it out."""
    try:
        work = todo.pop()
    except IndexError:
        return
    work()


def _apply_waiting(waiting: deque[_Waiting]) -> None:
    """Applies the plans that wait now, in their order. There are none if this was done.

    There is a call of this for each plan, and each takes at least one, so none is left.
    """
    taken = _take_waiting(waiting)
    if not taken:
        return
    outcomes = _apply_together(taken[0].stores, [each.plan for each in taken])
    for each, outcome in zip(taken, outcomes, strict=True):
        each.applicant.applied(outcome)


def _take_waiting(waiting: deque[_Waiting]) -> list[_Waiting]:
    """The first plans for the same stores, without those that nobody waits for any more."""
    taken: list[_Waiting] = []
    while waiting and len(taken) < PLANS_AT_ONCE:
        if taken and waiting[0].stores is not taken[0].stores:
            break
        first = waiting.popleft()
        if first.applicant.is_cancelled:
            first.applicant.end()
        else:
            taken.append(first)
    return taken


def _closed() -> DatabaseError:
    return DatabaseError(
        "this AsyncMemory is closed", suggestion="Make a new AsyncMemory to use the file again."
    )


def _refused(error: Exception) -> DatabaseError:
    return DatabaseError(
        f"this AsyncMemory has got no thread for a call: {error}",
        suggestion="Keep the main thread alive while calls are made, or allow for more threads.",
    )


def _apply_together(
    stores: shapes.SerialStores, plans: list[Plan]
) -> Sequence[Sequence[Record] | BaseException]:
    """What becomes of each plan: the stored records, or an error."""
    try:
        if len(plans) > 1 and all(map(stores.shares, plans)):
            return stores.apply_all(plans)
    except BaseException:  # noqa: BLE001 - each has its own below
        pass
    return [_apply_alone(stores, plan) for plan in plans]


def _apply_alone(stores: shapes.Stores, plan: Plan) -> Sequence[Record] | BaseException:
    try:
        return stores.apply(plan)
    except BaseException as error:  # noqa: BLE001 - whoever waits for it raises it
        return error
