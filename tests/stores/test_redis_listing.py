"""Redis: all points of a collection are listed, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isomem import VectorStoreError
from isomem.stores.redis_queries import creation
from tests.stores import redis_server
from tests.stores.test_filters import point_id
from tests.stores.test_redis import IDS, PAYLOADS, QUERY, SMALL, VECTORS, made, payload

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


def test_a_payload_with_keys_that_are_not_texts_hides_nothing(store: Any) -> None:
    """An index does not tell "ana" and "ANA" apart, so what one stores is read for the other."""
    odd: dict[Any, Any] = {"data": "tea", "user_id": "ANA", 2024: "a"}
    both = [{**PAYLOADS[0], "user_id": "ana"}, odd]
    store.insert(vectors=VECTORS[:2], payloads=both, ids=IDS[:2])
    store.update(IDS[1], payload={**odd, None: 1})
    assert [hit.id for hit in store.list({"user_id": "ana"})[0]] == IDS[:1]
    [found] = store.search("", QUERY, 5, {"user_id": "ANA"})
    assert found.payload == {"data": "tea", "user_id": "ANA", "2024": "a", "null": 1}


def test_an_index_that_mem0_makes_for_other_vectors_is_an_error(store: Any) -> None:
    """It finds none of the memories, so that a listing would be empty."""
    store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    client = store._connection.client
    client.execute_command("FT.DROPINDEX", "mem0")
    client.execute_command(*creation("mem0", "mem0", 2 * SMALL))
    for _ in range(2):  # The first one may find an index that is being filled.
        with pytest.raises(VectorStoreError, match="8 dimensions instead of 4"):
            store.list()
    assert store.get(IDS[0]).payload == PAYLOADS[0]
    store.reset()
    store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    assert len(store.list()[0]) == len(IDS)
