"""Pages of scopes: on them are the scopes that `scopes` lists, each once, in its order."""

from __future__ import annotations

import inspect
from random import Random
from typing import Any

import pytest

from isomem.pipeline import scope_pages
from isomem.pipeline.scope_pages import Asked
from tests.facade.conftest import Face
from tests.facade.test_replaced_parts import Store

Ids = dict[str, str]
SHOW_ALL = {"show_expired": True, "show_superseded": True}
KEYS = ("user_id", "agent_id", "run_id")


def done(face: Face, result: Any) -> Any:
    """The result of a call of either class."""
    return face._loop.run_until_complete(result) if inspect.isawaitable(result) else result


def page(face: Face, asked: Asked, **options: Any) -> Any:
    ports = face.real._ports
    return done(face, ports.run(scope_pages.page(ports, asked, **options)))


def walk(face: Face, asked: Asked, size: int, **options: Any) -> list[Any]:
    """The scopes of all pages."""
    found, cursor, total = [], None, None
    while True:
        some = page(face, asked, page_size=size, cursor=cursor, **options)
        found += some["results"]
        assert len(some["results"]) <= size
        assert total in (None, some["total"])
        total, cursor = some["total"], some["next_cursor"]
        if cursor is None:
            return found


def ids_of(scope: Any) -> Ids:
    return {key: scope[key] for key in KEYS if key in scope}


def fill(face: Face, chance: Random, count: int) -> None:
    names = ["a", "a\x00", "b", "é", "z" * 40, "𝄞", "Z"]
    for number in range(count):
        chosen = chance.sample(KEYS, chance.randint(1, 3))
        ids: Any = {key: chance.choice(names) for key in chosen}
        expires = {"expiration_date": "2001-01-01"} if chance.random() < 0.3 else {}
        face.add(f"number {number}", infer=False, **ids, **expires)


@pytest.mark.parametrize("seed", [1, 2])
def test_all_pages_have_what_scopes_lists(memory: Face, seed: int) -> None:
    chance = Random(seed)
    fill(memory, chance, 40)
    for options in ({}, SHOW_ALL):
        every = memory.scopes(**options)
        for size in (1, 3, 1000):
            assert walk(memory, Asked([{}]), size, **options) == every
        for key in KEYS:
            own: Ids = {key: ids_of(chance.choice(every)).get(key, "a")}
            assert walk(memory, Asked([own]), 2, **options) == memory.scopes(**own, **options)
    assert page(memory, Asked([{}]), **SHOW_ALL)["total"] == len(memory.scopes(**SHOW_ALL))


def test_a_foreign_store_has_pages_too(memory: Face) -> None:
    memory.vector_store, memory.entity_store = Store(), Store()  # type: ignore[assignment]
    fill(memory, Random(3), 20)
    every = memory.scopes(**SHOW_ALL)
    assert walk(memory, Asked([{}]), 3, **SHOW_ALL) == every
    assert page(memory, Asked([{}]), page_size=3, **SHOW_ALL)["total"] == len(every)


def test_who_may_see_some_sees_each_of_them_once_and_how_many_they_are(memory: Face) -> None:
    fill(memory, Random(4), 40)
    every = memory.scopes(**SHOW_ALL)

    def covers(ids: Any) -> bool:
        return ids.get("user_id") == "a" or "run_id" in ids

    ways: list[Ids] = [{"user_id": "a"}, {"user_id": "a", "agent_id": "b"}, {}]
    found = walk(memory, Asked(ways, covers), 2, **SHOW_ALL)
    assert found == [each for each in every if covers(ids_of(each))]
    assert page(memory, Asked(ways, covers), **SHOW_ALL)["total"] == len(found)
    assert walk(memory, Asked([]), 2) == []


def test_a_page_counts_what_is_in_so_many_scopes_and_no_more(
    memory: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nearly everything has expired, a page may be empty, but says how to go on."""
    monkeypatch.setattr(scope_pages, "MOST_COUNTED", 3)
    for number in range(8):
        over = {} if number == 7 else {"expiration_date": "2001-01-01"}
        memory.add("x", infer=False, user_id=f"u{number}", **over)
    first = page(memory, Asked([{}]), page_size=5)
    assert (first["results"], first["total"]) == ([], 8)
    assert [each["user_id"] for each in walk(memory, Asked([{}]), 5)] == ["u7"]


def test_a_scope_that_comes_or_goes_moves_no_other_off_its_page(memory: Face) -> None:
    for name in "bcdef":
        memory.add("x", infer=False, user_id=name)
    first = page(memory, Asked([{}]), page_size=2)
    memory.add("x", infer=False, user_id="a")
    memory.delete_all(user_id="c")
    second = page(memory, Asked([{}]), cursor=first["next_cursor"])
    assert [each["user_id"] for each in second["results"]] == ["d", "e"]


def test_a_cursor_is_for_what_it_came_with(memory: Face) -> None:
    for name in "abc":
        memory.add("x", infer=False, user_id=name)
    cursor = page(memory, Asked([{}]), page_size=1)["next_cursor"]
    for asked, options in ((Asked([{"user_id": "a"}]), {}), (Asked([{}]), SHOW_ALL)):
        with pytest.raises(ValueError, match="The cursor is for other ids"):
            page(memory, asked, cursor=cursor, **options)
    for wrong in ("", "x", 7, cursor[:-2], "WzEsMiwzLDQsNV0", "bnVsbA"):
        with pytest.raises(ValueError, match="Invalid cursor"):
            page(memory, Asked([{}]), cursor=wrong)
    for size in (0, 1001, "1", True):
        with pytest.raises(ValueError, match="Invalid page_size"):
            page(memory, Asked([{}]), page_size=size)
