"""Group commit: writes of several threads in one transaction, and one flush for all of them.

A durable write mostly waits for the disk. A thread that has to wait for its turn leaves its write
to the one that has it. That one does it before it commits, so that the other only wakes up to
return. If the transaction cannot be committed, every thread does its own write again, alone.
"""

from __future__ import annotations

from _contextvars import copy_context
from _thread import allocate_lock

from isomem.errors import DatabaseError, MemoryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from contextvars import Context
    from typing import Any

MOST_AT_ONCE = 64
LONGEST_BATCH_S = 0.02
"""How many writes of others are done before a commit, and for how long: other processes wait, and
so does the caller that does them."""


class StoredByAnotherError(Exception):
    """The block is not entered: another thread has done what it was for."""


class Batch:
    """What one thread does for others before it commits."""

    __slots__ = ("_commits", "_works")

    def __init__(self) -> None:
        self._works: list[Work] = []
        self._commits: list[object] = []

    def __len__(self) -> int:
        return len(self._works)

    def add(self, work: Work) -> None:
        """Takes a write over from the thread that waits for it."""
        self._works.append(work)
        work.batch = self

    def commit(self, execute: Callable[[str], object]) -> None:
        """Commits the transaction."""
        # One step of the interpreter: no signal comes between the commit and the note of it.
        self._commits.extend(map(execute, ("COMMIT",)))

    def is_committed(self) -> bool:
        """Whether COMMIT has returned."""
        return bool(self._commits)

    def wake(self) -> None:
        """Wakes all threads that wait for it, committed or not."""
        for work in self._works:
            work.wake()


class Work:
    """One write: its thread does it, or another one that has the turn.

    Args:
        call, args, kwargs: what writes, in a block of whoever calls it.

    Attributes:
        batch: in which another thread did it; None if none has.
        led: what its own thread does for others in the same block; None as long as that is nothing.
    """

    __slots__ = (
        "_alive", "_args", "_call", "_context", "_error", "_kwargs", "_result", "_woken",
        "batch", "led",
    )  # fmt: skip

    _alive: Callable[[], object | None]
    _context: Context
    _woken: LockType

    def __init__(
        self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._call = call
        self._args = args
        self._kwargs = kwargs
        self.batch: Batch | None = None
        self.led: Batch | None = None
        self._error: MemoryError | None = None
        self._result: Any = None

    # --- In its own thread ---

    def leave(self, alive: Callable[[], object | None]) -> None:
        """Prepares it to be done by another thread, in the context of this one.

        Args:
            alive: returns None as soon as this thread does not wait for it any more.
        """
        self._alive = alive
        self._context = copy_context()
        self._woken = allocate_lock()
        self._woken.acquire()

    def wait(self, timeout_s: float) -> bool:
        """Waits until it is woken. Returns whether it was."""
        return self._woken.acquire(timeout=timeout_s)

    def is_stored(self) -> bool:
        """Whether another thread has done it, well or with an error, and committed its block."""
        return self.batch is not None and self.batch.is_committed()

    def may_lead(self) -> bool:
        """Whether this thread may do the writes of others.

        Not in the thread that runs signal handlers: what they raise is meant for its own call. Nor
        after a block that could not be kept.
        """
        from threading import current_thread, main_thread

        return self.batch is None and current_thread() is not main_thread()

    def outcome(self) -> Any:
        """What it returned in another thread.

        Raises:
            MemoryError: what it raised there; nothing of it was stored.
        """
        if self._error is not None:
            raise self._error
        return self._result

    # --- In the other thread ---

    def is_awaited(self) -> bool:
        """Whether its thread still waits, and was not cut off."""
        return self._alive() is not None

    def perform(self, block: AbstractContextManager[object]) -> None:
        """Does it in a block of its own. An error of ours is kept for the thread that waits.

        Raises:
            DatabaseError: it failed in another way, and has to be done alone.
            BaseException: what was raised into this thread from outside.
        """
        try:
            with block:
                self._result = self._context.run(self._call, *self._args, **self._kwargs)
        except MemoryError as error:
            self._error = error
        except Exception as error:
            # Time limits of threads have classes of their own; a bug raises Python's.
            if type(error).__module__ != "builtins":
                raise
            raise DatabaseError("a write of another thread failed") from error

    def wake(self) -> None:
        """Lets its thread see what became of it."""
        try:
            self._woken.release()
        except RuntimeError:
            return  # It was woken before, and is on its way.
