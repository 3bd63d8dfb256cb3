"""HNSW indexes in `postgres`: large scopes get one, it misses little, and filters lose nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from isomem import Memory
from isomem.errors import InvalidConfigError
from isomem.stores.postgres import scopes
from tests.stores import server

pytestmark = pytest.mark.skipif(bool(server.without_pgvector()), reason=server.without_pgvector())

DIMS, LARGE, FROM, TOP = 24, 1500, 1000, 10
REST = {
    "embedder": {"provider": "mock", "config": {"embedding_dims": DIMS}},
    "llm": {"provider": "mock"},
}
ANA, BOB = {"user_id": "ana"}, {"user_id": "bob"}


def opened(schema: str = "", **more: Any) -> Memory:
    section = server.section(schema, **more)
    memory = Memory.from_config({"vector_store": section, **REST})
    memory.schema = section["config"]["schema"]  # type: ignore[attr-defined]
    return memory


def point_id(number: int) -> str:
    return f"7d8c1a44-0000-4000-8000-{number:012}"


def vector(chance: random.Random) -> list[float]:
    return [chance.gauss(0, 1) for _ in range(DIMS)]


def fill(memory: Memory, first: int, count: int, ids: dict[str, str], chance: Any) -> None:
    numbers = range(first, first + count)
    memory.vector_store.insert(
        vectors=[vector(chance) for _ in numbers],
        payloads=[{"data": f"note {n}", "n": n % 100, **ids} for n in numbers],
        ids=[point_id(n) for n in numbers],
    )


def look(memory: Memory, ids: dict[str, Any], query: list[float]) -> list[tuple[str, float]]:
    """What a search finds, in the block that a search of a memory reads in."""
    with memory.stores.reading(filters=ids, lemmas="note"):  # type: ignore[attr-defined]
        hits = memory.vector_store.search(query="", vectors=query, top_k=TOP, filters=ids)
        return [(hit.id, hit.score) for hit in hits]


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Memory, Memory]]:
    """Two memories over the same data, with indexes and without."""
    chance = random.Random(7)
    plain = opened()
    fill(plain, 0, LARGE, ANA, chance)
    fill(plain, LARGE, 200, BOB, chance)
    indexed = opened(plain.schema, hnsw=True, hnsw_from=FROM)  # type: ignore[attr-defined]
    indexed.vector_store.build_indexes()
    yield indexed, plain
    indexed.close()
    plain.close()


def indexes(memory: Any) -> list[tuple[Any, ...]]:
    return server.shared().do(f"SELECT scope, dims FROM {memory.schema}.indexes", "tests")


def test_only_a_large_scope_gets_an_index(pair: tuple[Memory, Memory]) -> None:
    indexed, _ = pair
    look(indexed, BOB, [1.0] * DIMS)
    assert [dims for _, dims in indexes(indexed)] == [DIMS]
    sql = f"SELECT indexdef FROM pg_indexes WHERE schemaname = '{indexed.schema}'"  # type: ignore[attr-defined]
    made = [row[0] for row in server.shared().do(sql, "tests") if "hnsw" in row[0]]
    assert len(made) == 1


def test_an_index_finds_nearly_all_of_the_nearest_and_scores_them_exactly(
    pair: tuple[Memory, Memory],
) -> None:
    """The recall is that of pgvector, here over 1,500 random vectors: above 0.97."""
    indexed, plain = pair
    chance = random.Random(1)
    found = wanted = 0
    for _ in range(40):
        query = vector(chance)
        exact, near = dict(look(plain, ANA, query)), dict(look(indexed, ANA, query))
        assert len(near) == TOP
        assert all(near[each] == exact[each] for each in near.keys() & exact.keys())
        found += len(near.keys() & exact.keys())
        wanted += TOP
    assert found / wanted > 0.97
    plan = uses_index(indexed)
    assert "near_" in plan


@pytest.mark.parametrize("asked", [{"top_k": 300}, {"ranking": "fused"}], ids=str)
def test_what_an_index_cannot_answer_is_brought_to_memory_once(
    pair: tuple[Memory, Memory], asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed, _ = pair
    brought: list[int] = []

    class Counted(scopes.Changes):
        def __init__(self, found: Any) -> None:
            super().__init__(found)
            brought.append(len(self.rows))

    indexed.vector_store._scope_cache.clear()
    monkeypatch.setattr(scopes, "Changes", Counted)
    indexed.search("note", filters=ANA, **asked)
    assert sum(brought) >= LARGE
    brought.clear()
    look(indexed, ANA, [1.0] * DIMS)
    indexed.search("note", filters=ANA, **asked)
    assert sum(brought) == 0


def uses_index(memory: Any) -> str:
    """The plan of the statement for one scope."""
    near = memory.vector_store.near
    [(number, _)] = indexes(memory)
    sql = near._nearest(number, DIMS).replace("?", "%s")
    from isomem.stores.postgres.connections import connected

    with connected(memory.vector_store._rows.connections.target) as connection:
        query = f"EXPLAIN {sql}"
        rows = connection.execute(query.encode(), (str([1.0] * DIMS), 100)).fetchall()
    return "\n".join(row[0] for row in rows)


def test_scopes_without_an_index_and_filters_are_exact(pair: tuple[Memory, Memory]) -> None:
    indexed, plain = pair
    chance = random.Random(2)
    for filters in (BOB, {**ANA, "n": 7}, {**ANA, "n": {"gte": 95}}, {**ANA, "NOT": [{"n": 1}]}):
        for _ in range(5):
            query = vector(chance)
            assert look(indexed, filters, query) == look(plain, filters, query)


def test_what_is_newer_than_the_index_changed_or_removed_is_seen_at_once(
    pair: tuple[Memory, Memory],
) -> None:
    indexed, plain = pair
    chance = random.Random(3)
    query = vector(chance)
    (first, _), (second, _) = look(indexed, ANA, query)[:2]
    plain.vector_store.delete(first)
    plain.vector_store.update(second, vector=[-number for number in query])
    plain.vector_store.insert(
        vectors=[query], payloads=[{"data": "new", **ANA}], ids=[point_id(99_999)]
    )
    found = [each for each, _ in look(indexed, ANA, query)]
    assert found[0] == point_id(99_999)
    assert first not in found
    assert second not in found


def test_keywords_and_whole_searches_are_the_same(pair: tuple[Memory, Memory]) -> None:
    indexed, plain = pair
    for text in ("note 7", "note 1234", "nothing at all"):
        results = [
            [each["memory"] for each in memory.search(text, filters=BOB, threshold=0.0)["results"]]
            for memory in pair
        ]
        assert results[0] == results[1]
        asked = {"query": text, "top_k": 20, "filters": ANA}
        words = [
            [(hit.id, hit.score) for hit in memory.vector_store.keyword_search(**asked) or ()]
            for memory in (indexed, plain)
        ]
        assert words[0] == words[1]


def test_an_index_catches_up_and_goes_with_its_scope() -> None:
    chance = random.Random(4)
    memory = opened(hnsw=True, hnsw_from=50)
    fill(memory, 0, 60, ANA, chance)
    memory.vector_store.build_indexes()
    assert len(indexes(memory)) == 1
    fill(memory, 100, 1100, ANA, chance)
    memory.vector_store.build_indexes()
    sql = f"SELECT count(*) FROM {memory.schema}.near"  # type: ignore[attr-defined]
    assert server.shared().do(sql, "tests") == [(1160,)]
    memory.delete_all(**ANA)
    assert look(memory, ANA, [1.0] * DIMS) == []
    memory.stores.compact()  # type: ignore[attr-defined]
    assert indexes(memory) == []
    assert server.shared().do(sql, "tests") == [(0,)]
    memory.close()


def test_vectors_that_cannot_be_indexed_are_refused() -> None:
    with pytest.raises(InvalidConfigError, match="2000 dimensions"):
        Memory.from_config(
            {
                "vector_store": server.section(hnsw=True),
                "embedder": {"provider": "mock", "config": {"embedding_dims": 3000}},
                "llm": {"provider": "mock"},
            }
        )


def test_compacting_leaves_no_vector_of_a_removed_memory() -> None:
    memory = opened(hnsw=True, hnsw_from=50)
    try:
        said = [{"role": "user", "content": f"note {n}"} for n in range(60)]
        stored = memory.add(said, user_id="u", infer=False)["results"]
        memory.vector_store.build_indexes()
        rows = memory.stores._rows
        memory.delete(stored[0]["id"])
        memory.compact()
        with rows.reading():
            assert rows.rows("SELECT count(*) FROM near") == [(59,)]
    finally:
        memory.close()
