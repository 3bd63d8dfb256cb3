"""One thread at a time is inside, those included that take over from one that never left."""

from __future__ import annotations

import threading
import weakref

import pytest

from isomem.store.turn import PATIENCE_S, Turn

LONG_S = 60.0
"""For what must happen; a test that passes does not wait for it."""


class Block:
    """What lives as long as a thread is inside a block."""


def inside(turn: Turn) -> Block:
    """Takes the turn as a block does; whoever keeps the result is inside."""
    turn.take()
    block = Block()
    turn.owner, turn.alive = threading.get_ident(), weakref.ref(block)
    return block


def cut_off(turn: Turn) -> None:
    """A thread that takes the turn and ends without giving it back."""
    thread = threading.Thread(target=inside, args=(turn,))
    thread.start()
    thread.join()


@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_turn_is_had_alone_also_after_threads_that_never_left(times: int) -> None:
    turn = Turn()
    for _ in range(times):
        cut_off(turn)
    block = inside(turn)
    assert turn.is_mine()
    entered = threading.Event()

    def enter() -> None:
        other = inside(turn)
        entered.set()
        turn.give_back()
        del other

    thread = threading.Thread(target=enter)
    thread.start()
    # Time to look several times whether it may: it must find each time that it may not.
    assert not entered.wait(5 * PATIENCE_S)
    turn.give_back()  # While the block lives: without one, who has the lock looks cut off.
    del block
    assert entered.wait(LONG_S)
    thread.join()
    assert not turn.is_mine()
