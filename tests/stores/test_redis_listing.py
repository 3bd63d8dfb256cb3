"""Redis: all points of a collection are listed, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stores import redis_server
from tests.stores.test_filters import point_id
from tests.stores.test_redis import QUERY, made, payload

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(bool(redis_server.missing()), reason=redis_server.missing()),
]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return redis_server.shared(tmp_path)


@pytest.fixture
def store(url: str) -> Iterator[Any]:
    opened = made(url)
    yield opened
    opened.close()


def test_a_part_of_an_answer_that_is_lost_hides_no_point(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [point_id(number) for number in range(2500)]
    store.insert(vectors=[QUERY] * 2500, payloads=[payload(0)] * 2500, ids=many)
    once, lost = store._connection._once, []

    def losing(commands: Any, *, atomic: bool) -> Any:
        answers = once(commands, atomic=atomic)
        if commands[0][0] == "SCAN" and commands[0][1] and not lost:
            lost.append(commands)
            raise ConnectionError("the answer is lost")
        return answers

    monkeypatch.setattr(store._connection, "_once", losing)
    assert sorted(store._every_id()) == sorted(many)
    assert lost
    lost.clear()
    store.reset()
    assert lost
    assert store.list()[0] == []


@pytest.mark.parametrize("name", ["mem0", "odd*[a]?\\^-"])
def test_what_others_write_meanwhile_hides_no_point_and_repeats_none(
    url: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from isomem.stores import redis

    monkeypatch.setattr(redis, "_PAGE", 10)
    store, other, third = made(url, name), made(url, name), made(url, f"{name}:x")
    many = [point_id(number) for number in range(60)]
    store.insert(vectors=[QUERY] * 60, payloads=[payload(0)] * 60, ids=many)
    third.insert(vectors=[QUERY], payloads=[payload(0)], ids=many[:1])
    once, begun = store._connection._once, []

    def disturbed(commands: Any, *, atomic: bool) -> Any:
        answers = once(commands, atomic=atomic)
        if commands[0][0] == "SCAN" and not begun:
            begun.append(commands)
            for each in many:
                other.update(each, payload=payload(1))
        return answers

    monkeypatch.setattr(store._connection, "_once", disturbed)
    assert [point[0] for point in store.points("", 100)] == many
    assert begun
    begun.clear()
    store.reset()
    assert begun
    left = [key for key in other._connection.client.scan_iter(count=1000) if b":x:" not in key]
    assert left == []
    assert [point[0] for point in third.points("", 100)] == many[:1]
    for each in (store, other, third):
        each.close()
