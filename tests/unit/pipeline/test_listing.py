"""Long lists of a store: what is no longer needed is freed at once, not all at the end."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from isomem.pipeline.manage import _one_by_one


class Point:
    """Something that can be freed."""


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_a_point_is_freed_before_the_next_one_is_taken(is_wrapped: bool) -> None:
    alive: list[weakref.ref[Point]] = []

    def answer() -> Any:
        points = [Point() for _ in range(3)]
        alive.extend(map(weakref.ref, points))
        return (points, None) if is_wrapped else points

    taken = _one_by_one(answer())
    for at in range(3):
        assert next(taken) is not None
        assert [each() is None for each in alive] == [number <= at for number in range(3)]


def test_points_come_in_the_order_of_the_store_and_its_own_list_is_left_alone() -> None:
    listed = [1, 2, 3]
    assert list(_one_by_one(listed)) == [1, 2, 3]  # type: ignore[comparison-overlap]
    assert listed == [1, 2, 3]
    assert list(_one_by_one(None)) == []
