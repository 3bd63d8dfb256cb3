"""The threads of an asynchronous memory, and the plans that wait for its stores."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor

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
            """Is told what became of the plan, in the thread of the stores."""
            ...

        def end(self) -> None:
            """Is told that the plan is not applied, since nobody waits for it."""
            ...

    Waiting = tuple[shapes.SerialStores, Plan, Applicant]
    """A plan, where it is to be applied, and for whom."""

PROVIDERS, COMPUTING, STORE = "provider", "compute", "store"

THREADS = {PROVIDERS: 64, COMPUTING: 2, STORE: 1}
"""The most threads of each pool.

Providers wait, so their threads cost little; one is made only if all others are busy. Threads that
compute take turns anyway, and each that wants its turn keeps the event loop waiting longer.
"""

PLANS_AT_ONCE = 64
"""How many plans are applied together."""


class Pools:
    """The threads of one memory, separate for each process.

    A forked child has none of its parent's threads, so it gets its own pools.
    """

    def __init__(self) -> None:
        self._process = -1
        self._is_closed = False
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._waiting: deque[Waiting]

    def submit(self, pool: str, work: Callable[[], object]) -> None:
        """Lets a thread of one of the pools in `THREADS` do something.

        Raises:
            DatabaseError: the pools are closed.
        """
        self._open()
        try:
            self._pools[pool].submit(work)
        except RuntimeError:
            if self._is_closed:
                raise _closed() from None
            raise

    def apply(self, stores: shapes.SerialStores, plan: Plan, applicant: Applicant) -> None:
        """Lets the thread of the stores apply a plan, together with those that wait for the same.

        Raises:
            DatabaseError: the pools are closed.
        """
        self._open()
        waits = stores, plan, applicant
        self._waiting.append(waits)
        try:
            self.submit(STORE, lambda: self._apply_waiting(stores))
        except DatabaseError:
            if waits in self._waiting:
                self._waiting.remove(waits)
                raise

    def _apply_waiting(self, stores: shapes.SerialStores) -> None:
        """Applies the plans that wait now, in their order. There are none if this was done."""
        taken = self._take_waiting(stores)
        outcomes = _apply_together(stores, [plan for plan, _ in taken])
        for (_, applicant), outcome in zip(taken, outcomes, strict=True):
            applicant.applied(outcome)

    def _take_waiting(self, stores: shapes.SerialStores) -> list[tuple[Plan, Applicant]]:
        """The plans that wait for these stores, without those that nobody waits for any more."""
        waiting = self._waiting
        taken: list[tuple[Plan, Applicant]] = []
        while waiting and waiting[0][0] is stores and len(taken) < PLANS_AT_ONCE:
            _, plan, applicant = waiting.popleft()
            if applicant.is_cancelled:
                applicant.end()
            else:
                taken.append((plan, applicant))
        return taken

    def _open(self) -> None:
        if self._is_closed:
            raise _closed()
        if self._process != os.getpid():
            self._pools = {
                name: ThreadPoolExecutor(most, f"isomem-{name}") for name, most in THREADS.items()
            }
            self._waiting = deque()
            self._process = os.getpid()

    def close(self) -> None:
        """Ends the threads after their current work. May be called twice."""
        self._is_closed = True
        if self._process == os.getpid():
            for pool in self._pools.values():
                pool.shutdown()

    async def aclose(self) -> None:
        """`close`, without blocking the event loop until the threads are done."""
        self._is_closed = True
        await asyncio.to_thread(self.close)


def _closed() -> DatabaseError:
    return DatabaseError(
        "this AsyncMemory is closed", suggestion="Make a new AsyncMemory to use the file again."
    )


def _apply_together(
    stores: shapes.SerialStores, plans: list[Plan]
) -> Sequence[Sequence[Record] | BaseException]:
    """What becomes of each plan: the stored records, or an error."""
    if len(plans) > 1 and all(map(stores.shares, plans)):
        try:
            return stores.apply_all(plans)
        except BaseException:  # noqa: BLE001 - each has its own below
            pass
    return [_apply_alone(stores, plan) for plan in plans]


def _apply_alone(stores: shapes.Stores, plan: Plan) -> Sequence[Record] | BaseException:
    try:
        return stores.apply(plan)
    except BaseException as error:  # noqa: BLE001 - whoever waits for it raises it
        return error
