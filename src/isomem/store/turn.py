"""Turns of threads on one connection, and what happens to them when a thread is cut off.

An exception from a signal handler can end a block at any bytecode, including the first and the last
one. Then nothing has left the block. So being inside a block is not a counter that must be reset:
it is an object that lives exactly as long as the `with` statement.
"""

from __future__ import annotations

import sys
import time
from _thread import RLock, get_ident
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from isomem.store.group import Work

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
        waiting: the writes that the owner may do for other threads, in the order of their arrival.
            Only the owner takes one from it, and whoever left it there.
    """

    __slots__ = ("_lock", "alive", "owner", "waiting")

    def __init__(self) -> None:
        self.owner = 0
        self.alive: Callable[[], object | None] = nobody
        self.waiting: deque[Work] = deque()
        self._lock: Any = RLock()

    def is_mine(self) -> bool:
        """Whether this thread is inside a block."""
        return self.owner == get_ident() and self.alive() is not None

    def take(self) -> None:
        """Waits until no other thread is inside a block."""
        if not self.take_at_once():
            while not self._wait_for(self._lock):
                pass

    def take_at_once(self) -> bool:
        """Takes the turn if no other thread is inside a block. Returns whether it did."""
        lock = self._lock
        if lock._is_owned():
            lock._release_save()  # An earlier block of this thread was cut off.
        if lock.acquire(False):
            if lock is self._lock:
                return True
            lock.release()
        return False

    def take_or_leave(self, work: Work) -> bool:
        """Takes the turn, or leaves a write to the owner. Returns whether it is still to be done.

        Then the turn is taken.
        """
        self.waiting.append(work)
        try:
            is_mine = self._wait_with(work)
        except BaseException:
            if not self._withdraw(work):
                self.take()  # Nobody must find it stored later than the call has failed.
                self.give_back()
            raise
        self._withdraw(work)
        if is_mine and work.is_stored():
            self.give_back()
            return False
        return is_mine

    def _wait_with(self, work: Work) -> bool:
        """Waits until a write is stored, or the turn is taken. Returns whether the turn is."""
        if self._first() is work and self.take_at_once():
            return True
        while not work.wait(PATIENCE_S):
            if self._wait_for(self._lock, 0):
                return True  # Whoever should have woken this thread was cut off.
        if work.is_stored():
            return False
        self.take()
        return True

    def _withdraw(self, work: Work) -> bool:
        """Whether the write was still waiting."""
        try:
            self.waiting.remove(work)
        except ValueError:
            return False
        return True

    def _wait_for(self, lock: Any, timeout_s: float = PATIENCE_S) -> bool:
        if lock.acquire(timeout=timeout_s):
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
        if self.waiting:
            self._wake_first()

    def _wake_first(self) -> None:
        first = self._first()
        if first is not None:
            first.wake()

    def _first(self) -> Work | None:
        """The write that has waited longest: its thread has the next turn."""
        try:
            return self.waiting[0] if self.waiting else None
        except IndexError:
            return None  # It was taken just now.

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
        return self._let_in(lock) if held else None

    def _let_in(self, lock: Any) -> Callable[[], None]:
        def let_in() -> None:
            lock.release()
            self._wake_first()

        return let_in

    def _may_be_in_sqlite(self, lock: Any) -> bool:
        """Whether the innermost frame of the owner is one of the store's."""
        frame = sys._current_frames().get(_owner_of(lock))
        return frame is not None and frame.f_globals.get("__package__") == __package__

    def restart(self) -> None:
        """In the child of a fork: no other thread exists any more."""
        mine = self.is_mine()
        self._lock = RLock()
        self.waiting.clear()
        if mine:
            self._lock.acquire()
        else:
            self.owner = 0


def _owner_of(lock: Any) -> int:
    """The thread that has an RLock. Only its `repr` says so."""
    return int(repr(lock).partition("owner=")[2].split()[0])
