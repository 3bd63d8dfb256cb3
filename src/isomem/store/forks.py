"""Forks: every open database is notified of them, before and after."""

from __future__ import annotations

import os
import time
from _thread import get_ident
from _weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Forked(Protocol):
        """What is open while a process forks."""

        def hold(self, timeout_s: float, longest_s: float) -> Callable[[], None] | None:
            """Keeps other threads out. Returns what lets them in; None if one is still inside."""
            ...

        def after_fork(self, *, quiet: bool) -> None:
            """In the child. `quiet`: no other thread was inside."""
            ...


LONGEST_FORK_DELAY_S, LONGEST_STATEMENT_S = 0.5, 60.0
"""How long a fork waits for other threads to leave their blocks, and their statements."""

_live: set[ref[Forked]] = set()
_quiet: dict[int, list[tuple[Forked, Callable[[], None]]]] = {}
"""By the thread that forks: what no thread is inside of, and how to let threads in."""


def watch(one: Forked) -> None:
    """Notifies it of forks as long as it lives."""
    _live.add(ref(one, _live.discard))


def _before_fork() -> None:
    # What a thread is in the middle of would stay unfinished in the child forever.
    deadline = time.monotonic() + LONGEST_FORK_DELAY_S
    quiet = _quiet[get_ident()] = []
    for each in list(_live):
        one = each()
        if one is not None:
            rest_s = max(0.0, deadline - time.monotonic())
            let_in = one.hold(rest_s, LONGEST_STATEMENT_S)
            if let_in is not None:
                quiet.append((one, let_in))


def _after_fork_in_parent() -> None:
    for _, let_in in _quiet.pop(get_ident(), ()):
        let_in()


def _after_fork_in_child() -> None:
    quiet = [one for one, _ in _quiet.pop(get_ident(), ())]
    _quiet.clear()
    for each in list(_live):
        one = each()
        if one is not None:
            one.after_fork(quiet=one in quiet)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
