"""Turns of threads: who waits for whom, and what becomes of a block that is cut off."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from isomem.stores.turns import Block, Turns, may_share_entities, write_the_same
from tests.torture.test_interrupts import Interrupted, Interruption, bytecodes_of

WAIT_S = 10.0
SHORT_S = 0.2


@pytest.fixture
def turns() -> Turns:
    """Blocks that collide if they are about the same."""
    return Turns(lambda one, other: bool(one == other))


class Thread:
    """A thread that enters a block and stays until it is told to leave."""

    def __init__(self, block: Callable[[], Block]) -> None:
        self._inside, self._leave = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(block,), daemon=True)
        self._thread.start()

    def _run(self, block: Callable[[], Block]) -> None:
        with block():
            self._inside.set()
            self._leave.wait(WAIT_S)

    def is_inside(self, within_s: float = WAIT_S) -> bool:
        return self._inside.wait(within_s)

    def leave(self) -> None:
        self._leave.set()
        self._thread.join(WAIT_S)


def test_blocks_that_collide_follow_each_other(turns: Turns) -> None:
    seen = 0

    def work(_: int) -> None:
        nonlocal seen
        for _ in range(200):
            with turns.block("a"):
                before = seen
                threading.Event().wait(0)
                seen = before + 1

    with ThreadPoolExecutor(4) as pool:
        [*pool.map(work, range(4))]
    assert seen == 800
    assert turns.places == {}


def test_other_blocks_do_not_wait(turns: Turns) -> None:
    one, other = Thread(lambda: turns.block("a")), Thread(lambda: turns.block("b"))
    assert one.is_inside()
    assert other.is_inside()
    one.leave()
    other.leave()


def test_who_comes_first_is_first(turns: Turns) -> None:
    order: list[int] = []
    first = Thread(lambda: turns.block("a"))
    assert first.is_inside()

    def work(number: int) -> None:
        with turns.block("a"):
            order.append(number)

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        while len(turns.places) < number + 2:
            pass
    first.leave()
    for each in threads:
        each.join(WAIT_S)
    assert order == [*range(5)]


def test_a_block_inside_another_one_is_a_part_of_it(turns: Turns) -> None:
    with turns.block("a"):
        waiting = Thread(lambda: turns.block("a"))
        other = Thread(lambda: turns.block("b"))
        assert other.is_inside()
        with turns.block("a"), turns.block("b"):
            assert not waiting.is_inside(SHORT_S)
        assert not waiting.is_inside(SHORT_S)
    assert waiting.is_inside()
    waiting.leave()
    other.leave()


def test_what_is_to_be_done_afterwards_is_done_outside(turns: Turns) -> None:
    places: list[int] = []
    with suppress(Interrupted), turns.block("a"):
        mine = turns.mine()
        assert mine is not None
        mine.afterwards.append(lambda: places.append(len(turns.places)))
        with turns.block("a"):
            assert turns.mine() is mine
        assert places == []
        raise Interrupted
    assert places == [0]
    assert turns.mine() is None


# --- Cut off ---------------------------------------------------------------------------------


def enter_and_leave(turns: Turns) -> None:
    with turns.block("a"):
        with turns.block("b"):
            pass
        raise ValueError


# What is raised while a generator is closed can only be told.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_block_that_is_cut_off_at_any_bytecode_is_over(turns: Turns) -> None:
    def call() -> None:
        with suppress(ValueError):
            enter_and_leave(turns)

    kept: list[BaseException] = []  # Their tracebacks, too.
    count = bytecodes_of(call)
    for number in range(1, count + 1):
        with Interruption(Interrupted, number) as interruption:
            try:
                enter_and_leave(turns)
            except (Interrupted, ValueError) as error:
                kept.append(error)
        for about in ("a", "b"):
            thread = Thread(lambda about=about: turns.block(about))  # type: ignore[misc]
            assert thread.is_inside(), f"{interruption.where} ({number})"
            thread.leave()
        assert turns.mine() is None
    assert count > 200


def test_who_waits_can_be_cut_off(turns: Turns) -> None:
    first = Thread(lambda: turns.block("a"))
    assert first.is_inside()
    with Interruption(Interrupted, 100), pytest.raises(Interrupted), turns.block("a"):
        pytest.fail("it was inside")
    assert len(turns.places) == 1
    first.leave()


def test_who_waits_to_the_end_raises_at_the_end(turns: Turns) -> None:
    first = Thread(lambda: turns.block("a"))
    assert first.is_inside()
    threading.Timer(SHORT_S, first.leave).start()
    done = []
    with (
        pytest.raises(Interrupted),
        Interruption(Interrupted, 100),
        turns.block("a", to_the_end=True),
    ):
        done.append(len(turns.places))
    assert done == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_does_not_wait_for_the_threads_of_its_parent(turns: Turns) -> None:
    thread = Thread(lambda: turns.block("a"))
    assert thread.is_inside()
    child = os.fork()
    if child == 0:
        with suppress(BaseException), turns.block("a"):
            os._exit(0 if turns.mine() is not None else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.leave()


# --- What collides ---------------------------------------------------------------------------

U, V, A = {"user_id": "u"}, {"user_id": "v"}, {"agent_id": "a"}
UA = {**U, **A}


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        (U, U, True), (U, V, False), (U, UA, True), (V, UA, False), (U, A, True), (A, UA, True),
        (UA, {**UA, "run_id": "r"}, True), (UA, {**UA, "agent_id": "b"}, False), ({}, UA, True),
        ({"user_id": "*"}, U, True), ({"user_id": ["u"]}, U, False),
    ],
)  # fmt: skip
def test_scopes_thatmay_share_entities(one: Any, other: Any, share: bool) -> None:
    for pair in [(one, other), (other, one)]:
        assert may_share_entities(("c", pair[0]), ("c", pair[1])) == share
        assert not may_share_entities(("c", pair[0]), ("d", pair[1]))


def test_steps_thatwrite_the_same() -> None:
    parts, others, both = frozenset({1, 2}), frozenset({3}), frozenset({2, 3})
    one, two = frozenset({"one"}), frozenset({"one", "two"})
    assert write_the_same((parts, one), (others, two))
    assert not write_the_same((parts, one), (parts, frozenset({"two"})))
    assert not write_the_same((parts, one), (parts, frozenset()))
    assert write_the_same((both, None), (parts, one))
    assert write_the_same((parts, frozenset()), (both, None))
    assert not write_the_same((others, None), (parts, one))
