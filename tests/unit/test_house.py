"""The picture in CONTRIBUTING.md is that of the code."""

from __future__ import annotations

from scripts.house import (
    END,
    LOWEST,
    PAGE,
    ROOMS,
    START,
    picture,
    room_graph,
    with_picture,
    without_detours,
)
from scripts.imports import circles, names, part_graph, part_of, reachable


def test_the_picture_on_the_page_is_that_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_picture(page, picture()) == page, "run: python -m scripts.house"


def test_the_text_around_the_picture_stays() -> None:
    page = with_picture(f"a\n{START}\nold\n{END}\nb\n", "new")
    assert page == f"a\n{START}\nnew\n{END}\nb\n"


def test_the_rooms_hold_parts_that_exist_and_no_part_twice() -> None:
    listed = [part for parts in ROOMS.values() for part in parts] + list(LOWEST)
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) <= {part_of(name) for name in names()}


def test_no_room_is_in_a_circle() -> None:
    assert circles(room_graph()) == set()


def test_what_the_picture_leaves_out_imports_nothing_that_it_shows() -> None:
    graph = part_graph()
    assert all(graph[part] <= LOWEST for part in LOWEST)


def test_leaving_out_detours_keeps_what_can_be_reached() -> None:
    graph = {"a": frozenset("bc"), "b": frozenset("c"), "c": frozenset()}
    shown = without_detours(graph)
    assert shown == {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset()}
    rooms = room_graph()
    assert all(reachable(rooms, room) == reachable(without_detours(rooms), room) for room in rooms)
