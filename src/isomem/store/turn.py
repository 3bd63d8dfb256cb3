"""Turns of threads on one connection, and what happens to them when a thread is cut off.

An exception from a signal handler can end a block at any bytecode, including the first and the last
one. Then nothing has left the block. So being inside a block is not a counter that must be reset:
it is an object that lives exactly as long as the `with` statement.
"""

from __future__ import annotations

import sys
import time
from _thread import RLock, get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PATIENCE_S = 0.05
"""How long a thread waits before it checks whether the owner of the lock is still at work."""


def nobody() -> object | None:
    """What `Turn.alive` is before the first block."""
    return None


class Turn:
    """A lock for entering a block. It recovers if a thread never left its block.

    Attributes:
        owner: the thread inside the outermost block; 0 for none.
        alive: returns an object while that block is on the stack of its thread, then None.
    """

    __slots__ = ("_lock", "alive", "owner")

    def __init__(self) -> None:
        self.owner = 0
        self.alive: Callable[[], object | None] = nobody
        self._lock: Any = RLock()

    def is_mine(self) -> bool:
        """Whether this thread is inside a block."""
        return self.owner == get_ident() and self.alive() is not None

    def take(self) -> None:
        """Waits until no other thread is inside a block."""
        lock = self._lock
        if lock._is_owned():
            lock._release_save()  # An earlier block of this thread was cut off.
        if lock.acquire(False):
            if lock is self._lock:
                return
            lock.release()
        while not self._wait_for(self._lock):
            pass

    def _wait_for(self, lock: Any) -> bool:
        if lock.acquire(timeout=PATIENCE_S):
            if lock is self._lock:
                return True
            lock.release()
        elif lock is self._lock and self._is_abandoned(lock):
            self._replace(lock)
            return True
        return False

    def give_back(self) -> None:
        """Lets the next thread in."""
        self.owner = 0
        self._lock.release()

    def _is_abandoned(self, lock: Any) -> bool:
        """Whether the owner of the lock was cut off: it is neither in a block nor entering one."""
        if self.alive() is not None:
            return False
        owner = _owner_of(lock)
        frame = sys._current_frames().get(owner)
        while frame is not None:
            if frame.f_globals.get("__package__") == __package__:
                return False
            frame = frame.f_back
        return owner != 0 and owner == _owner_of(lock) and self.alive() is None

    def _replace(self, lock: Any) -> None:
        fresh: Any = RLock()
        fresh.acquire()
        self._lock = fresh
        # Its owner may have come back just before: then it has the old lock, and is waited for.
        while not (lock.acquire(timeout=PATIENCE_S) or self._is_abandoned(lock)):
            pass

    # --- Forks ---

    def hold(self, timeout_s: float, longest_s: float) -> Callable[[], None] | None:
        """Keeps other threads out while the process forks. Returns a function that lets them in.

        It is None if one of them was still inside a block after `timeout_s`. A thread that may be
        inside SQLite is waited for up to `longest_s`: it may hold one of SQLite's own locks, which
        would stay locked in the child forever.
        """
        lock, last = self._lock, time.monotonic() + longest_s
        held = lock.acquire(timeout=timeout_s)
        while not held and self._may_be_in_sqlite(lock) and time.monotonic() < last:
            held = lock.acquire(timeout=PATIENCE_S)
        return lock.release if held else None

    def _may_be_in_sqlite(self, lock: Any) -> bool:
        """Whether the innermost frame of the owner is one of the store's."""
        frame = sys._current_frames().get(_owner_of(lock))
        return frame is not None and frame.f_globals.get("__package__") == __package__

    def restart(self) -> None:
        """In the child of a fork: no other thread exists any more."""
        mine = self.is_mine()
        self._lock = RLock()
        if mine:
            self._lock.acquire()
        else:
            self.owner = 0


def _owner_of(lock: Any) -> int:
    """The thread that has an RLock. Only its `repr` says so."""
    return int(repr(lock).partition("owner=")[2].split()[0])
