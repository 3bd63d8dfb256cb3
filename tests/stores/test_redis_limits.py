"""Redis: a server finds only so many points with one query, and nothing is cut off by that.

Redis Stack sets 10,000; here, it is a tenth of what is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isomem import VectorStoreError
from tests.stores import redis_server
from tests.stores.test_filters import point_id
from tests.stores.test_redis import QUERY, SMALL, made, memory_at

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(bool(redis_server.missing()), reason=redis_server.missing()),
]

LIMIT = 30
COUNT = 10 * LIMIT
NAMES = [point_id(number) for number in range(COUNT)]
NEAREST_FIRST = [1.0, 0.0, 0.0, 0.0]


@pytest.fixture(scope="module")
def server() -> Iterator[redis_server.Server]:
    started = redis_server.Server(most_found=LIMIT)
    yield started
    started.stop()


@pytest.fixture
def url(server: redis_server.Server) -> str:
    with server.client() as client:
        client.flushall()
    return server.url


@pytest.fixture
def store(url: str) -> Iterator[Any]:
    """Memories of "ana" and "ANA", whom an index does not tell apart; the first is the newest."""
    opened = made(url)
    opened.insert(
        [[1.0, number / COUNT, 0.0, 0.0] for number in range(COUNT)],
        [
            {
                "data": "green tea" if number % 2 else "green",
                "user_id": "ana" if number % 3 else "ANA",
                "created_at": f"2024-05-06T07:{59 - number // 60:02}:{59 - number % 60:02}+00:00",
                "n": number,
            }
            for number in range(COUNT)
        ],
        NAMES,
    )
    yield opened
    opened.close()


def ids(hits: Any) -> list[str]:
    return [hit.id for hit in hits]


def test_a_listing_is_whole_and_in_order(store: Any) -> None:
    assert ids(store.list(top_k=None)[0]) == NAMES
    assert ids(store.list(top_k=LIMIT + 5)[0]) == NAMES[: LIMIT + 5]
    assert ids(store.list({"user_id": "ANA"}, top_k=None)[0]) == NAMES[::3]
    assert ids(store.list({"n": {"gte": COUNT - 3}}, top_k=None)[0]) == NAMES[-3:]
    assert store.list({"user_id": "Ana"}, top_k=5)[0] == []


def test_a_search_finds_what_the_index_alone_does_not(store: Any) -> None:
    """The nearest are not those that pass, or more are wanted than a query may find."""
    found = store.search("", NEAREST_FIRST, COUNT + 1, {})
    assert ids(found) == NAMES
    assert [*map(score, found)] == sorted(map(score, found))
    assert ids(store.search("", NEAREST_FIRST, 2, {"n": {"gte": COUNT - 9}})) == NAMES[-9:-7]
    assert ids(store.search("", [0.0] * SMALL, 2, {"n": {"gte": COUNT - 9}})) == NAMES[-9:-7]
    first, second = store.search_batch(["", ""], [NEAREST_FIRST, QUERY], COUNT, {"user_id": "ANA"})
    assert ids(first) == NAMES[::3]
    assert sorted(ids(second)) == NAMES[::3]


def score(hit: Any) -> float:
    return float(hit.score)


def test_words_find_what_the_index_alone_does_not(store: Any) -> None:
    found = store.keyword_search("tea", COUNT, {})
    assert sorted(ids(found)) == NAMES[1::2]
    assert {hit.score for hit in found} == {1.0}
    assert ids(store.keyword_search("tea", 5, {"n": COUNT - 1})) == NAMES[-1:]
    near, worded = store.both(NEAREST_FIRST, "tea", COUNT, {"user_id": "ANA"})
    assert ids(near) == NAMES[::3]
    assert sorted(ids(worded)) == NAMES[3::6]


def test_a_memory_shows_and_removes_more_than_a_query_finds(url: str, tmp_path: Path) -> None:
    memory = memory_at(url, tmp_path)
    texts = [f"note {number}" for number in range(2 * LIMIT)]
    for number, text in enumerate(texts):
        expired = {"expiration_date": "2020-01-01"} if number < 5 else {}
        memory.add(text, user_id="ana", infer=False, **expired)
    memory.add("another note", user_id="bob", infer=False)
    ana = {"user_id": "ana"}
    assert memory.count(filters=ana) == 2 * LIMIT - 5
    assert sorted(each["memory"] for each in memory.iter_all(filters=ana)) == sorted(texts[5:])
    assert len(memory.get_all(filters=ana, top_k=2 * LIMIT)["results"]) == 2 * LIMIT - 5
    assert {scope["user_id"] for scope in memory.scopes()} == {"ana", "bob"}
    found = memory.search("note 7", filters={**ana, "absent": 1}, threshold=0.0)["results"]
    assert found == []
    assert memory.sweep() == 5
    memory.delete_all(user_id="ana")
    assert memory.count(filters=ana) == 0
    assert memory.count(filters={"user_id": "bob"}) == 1
    memory.close()


@pytest.mark.parametrize("set_to", [None, 20_000, 2_000_000])
def test_the_limit_of_a_server_is_read(set_to: int | None) -> None:
    server = redis_server.Server(most_found=set_to)
    try:
        opened = made(server.url)
        assert opened._most_found == min(set_to or 1_000_000, 1_000_000)
        opened.close()
    finally:
        server.stop()


def test_a_user_who_may_not_ask_for_the_limit_asks_for_what_redis_stack_gives(store: Any) -> None:
    """A server that gives even less refuses that, and the error says what to do."""
    rights = ("~*", "&*", "+@all", "-ft.config", "-config")
    client = store._connection.client
    client.execute_command("ACL", "SETUSER", "eve", "on", ">s3cret", *rights)
    opened = made(store._options["redis_url"].replace("unix://", "unix://eve:s3cret@"))
    assert opened._most_found == 10_000
    assert ids(opened.list(top_k=LIMIT)[0]) == NAMES[:LIMIT]
    with pytest.raises(VectorStoreError, match="LIMIT exceeds") as caught:
        opened.list(top_k=None)
    assert "FT.CONFIG GET" in str(caught.value.suggestion)
    opened.close()
