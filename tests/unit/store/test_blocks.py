"""Blocks inside blocks: what is written is there if all blocks around it were kept."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from isomem.errors import DatabaseError
from isomem.store.database import Database
from tests.unit.store.fuzz import examples

KEPT, RAISING, CUT_OFF = "kept", "raising", "cut off"
OWN, SHARED = False, True  # Shared: a part of the block around it, which cannot be kept without it.
ROW = "row"

_steps = st.recursive(
    st.just(ROW),
    lambda inner: st.tuples(
        st.sampled_from((KEPT, KEPT, RAISING, CUT_OFF)), st.booleans(), st.lists(inner, max_size=4)
    ),
    max_leaves=10,
)


class OwnError(Exception):
    """What somebody's code raises inside a block."""


class Run:
    """Goes through steps.

    Attributes:
        around: for each row that was written, the blocks around it, by number.
        kept: the numbers of the blocks that ended without an error.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.around: list[list[int]] = []
        self.kept: set[int] = set()
        self._blocks = 0
        self._cut_off: list[Any] = []

    def block(self, ending: str, shared: bool, steps: list[Any], outside: list[int]) -> None:
        number = self._blocks = self._blocks + 1
        inside = [*outside, number]
        block: Any = self.database.writing() if shared else self.database.atomic()
        if ending == CUT_OFF and outside:
            self._cut_off.append(block)  # As one that a signal handler has jumped out of.
            block.__enter__()
            self.go(steps, inside)
            return
        with block:
            self.go(steps, inside)
            if ending == RAISING:
                raise OwnError
        self.kept.add(number)

    def go(self, steps: list[Any], inside: list[int]) -> None:
        for step in steps:
            if step == ROW:
                self.around.append(inside)
                row = (len(self.around),)
                self.database.execute("INSERT INTO rows (number) VALUES (?)", row)
            else:
                # Whoever catches an error of a block goes on in the one around it.
                with suppress(OwnError, DatabaseError):
                    self.block(*step, inside)


def kept_rows(step: Any) -> int | None:
    """How many rows a step leaves; None where a block around it may be undone for its sake."""
    if step == ROW:
        return 1
    ending, shared, steps = step
    rows = [kept_rows(each) for each in steps]
    if None in rows or ending == CUT_OFF or (ending == RAISING and shared):
        return None
    return 0 if ending == RAISING else sum(rows)  # type: ignore[arg-type]


@examples(150)
@example((KEPT, OWN, [ROW, (KEPT, OWN, [ROW, (CUT_OFF, OWN, [ROW])])]))
@example((KEPT, OWN, [(RAISING, OWN, [ROW, (CUT_OFF, OWN, [ROW])]), ROW]))
@example((KEPT, OWN, [(KEPT, OWN, [ROW, (RAISING, OWN, [ROW, (CUT_OFF, OWN, [ROW])])]), ROW]))
@example((KEPT, OWN, [ROW, (RAISING, SHARED, [ROW])]))
@example((KEPT, OWN, [ROW, (RAISING, OWN, [ROW]), (KEPT, SHARED, [ROW])]))
@given(_steps.filter(lambda step: step != ROW))
def test_a_row_is_there_if_all_blocks_around_it_were_kept(step: Any) -> None:
    database = Database(":memory:", lambda connection: connection.execute(_TABLE))
    try:
        run = Run(database)
        run.go([step], [])
        expected = [
            number for number, blocks in enumerate(run.around, 1) if run.kept.issuperset(blocks)
        ]
        with database.reading():
            found = database.rows("SELECT number FROM rows ORDER BY number")
        assert [number for (number,) in found] == expected
        assert kept_rows(step) in (None, len(expected))
    finally:
        database.close()


_TABLE = "CREATE TABLE IF NOT EXISTS rows (number INTEGER)"
