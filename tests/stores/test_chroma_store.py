"""The store for Chroma over a stand-in for its client: parts, retries, errors, limits."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from isomem.errors import VectorStoreError, VectorValueError
from isomem.stores import engine_calls
from isomem.stores.chroma import ChromaStore
from tests.stores.chroma_stand_in import InternalError, InvalidArgumentError, StandIn

MANY = 700
NAMES = [f"7d8c1a44-0000-4000-8000-{number:012}" for number in range(MANY)]
VECTORS = [[1.0, number / MANY] for number in range(MANY)]
PAYLOADS = [
    {"data": str(n), "user_id": "ana" if n % 2 else "bob", "tags": ["x", str(n % 7)], "n": n}
    for n in range(MANY)
]
CLOUD = {"api_key": "s3cret-key", "tenant": "t"}


@pytest.fixture
def client() -> StandIn:
    return StandIn(10_000)


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr(engine_calls, "time", SimpleNamespace(sleep=seconds.append))
    return seconds


def made(client: StandIn, **more: Any) -> ChromaStore:
    return ChromaStore({"client": client, **more}, dims=2)


def filled(client: StandIn, **more: Any) -> ChromaStore:
    store = made(client, **more)
    store.insert(vectors=[*VECTORS], payloads=[*PAYLOADS], ids=[*NAMES])
    return store


# --- Parts -----------------------------------------------------------------------------------


def test_many_points_are_written_in_parts(client: StandIn) -> None:
    filled(client, batch_size=300)
    assert [call for call in client.calls if call[0] == "upsert"] == [
        ("upsert", 300), ("upsert", 300), ("upsert", 100),
    ]  # fmt: skip
    assert len(client.collections["mem0"].rows) == MANY


def test_nothing_is_more_than_the_cloud_takes() -> None:
    """It refuses calls that are about more than 300 records."""
    client = StandIn(300)
    store = filled(client, **CLOUD, batch_size=1000)
    assert len(store.list(top_k=None)[0]) == MANY
    assert len(store.list(filters={"user_id": "ana"}, top_k=340)[0]) == 340
    assert len(store.payloads_of(NAMES)) == MANY
    seen: list[str] = []
    while page := store.points(seen[-1] if seen else "", 1000):
        seen += [name for name, _, _ in page]
    assert seen == NAMES
    query = [1.0, 0.0]
    for filters in (None, {"user_id": "ana"}, {"n": {"gte": 500}}, {"tags": "3"}):
        found = store.search(query="", vectors=query, top_k=500, filters=filters)
        passing = [hit.id for hit in store.list(filters=filters, top_k=None)[0]]
        assert [hit.id for hit in found] == passing[:500]
    store.reset()
    assert store.list()[0] == []
    assert max(size for _, size in client.calls) <= 300


def test_many_vectors_are_searched_in_one_call(client: StandIn) -> None:
    store = filled(client)
    client.calls.clear()
    found = store.search_batch([""] * 40, VECTORS[:40], top_k=3, filters={"user_id": "bob"})
    assert client.calls == [("query", 3)]
    assert len(found) == 40
    assert all(len(hits) == 3 for hits in found)


def test_a_raw_add_is_a_write_and_a_look_at_it(client: StandIn) -> None:
    store = made(client)
    client.calls.clear()
    store.insert(vectors=VECTORS[:1], payloads=PAYLOADS[:1], ids=NAMES[:1])
    assert client.calls == [("upsert", 1), ("get", 1)]


def test_a_point_that_is_replaced_is_a_look_and_a_write(client: StandIn) -> None:
    store = filled(client)
    client.calls.clear()
    store.update(NAMES[0], vector=VECTORS[1], payload={"data": "new"})
    assert client.calls == [("get", 1), ("upsert", 1)]
    client.calls.clear()
    store.update("new", vector=VECTORS[1], payload={"data": "new"})
    assert client.calls == [("get", 0), ("upsert", 1), ("get", 1)]


@pytest.mark.parametrize(
    "filters",
    [
        {"OR": [{"user_id": f"u{n}"} for n in range(1099)] + [{"user_id": "ana"}]},
        {"user_id": "ana", "OR": [{"n": n} for n in range(1100)]},
        {"user_id": "ana", "AND": [{"OR": [{"n": n}, {"tags": "x"}]} for n in range(400)]},
        {"AND": [{"user_id": "ana"}] * 1200},
        {"OR": [{"AND": [{"tags": "x"}] * 40 + [{"user_id": "ana"}]}] * 30},
        {"user_id": "ana", "NOT": [{"n": -n} for n in range(1, 1200)]},
    ],
    ids=["OR of users", "OR of values", "AND of OR", "AND of users", "OR of AND", "NOT"],
)
def test_a_filter_of_very_many_conditions_finds_what_it_means(
    client: StandIn, filters: dict[str, Any]
) -> None:
    """Chroma refuses an expression that is too large."""
    store = made(client)
    store.insert(vectors=VECTORS[:40], payloads=PAYLOADS[:40], ids=NAMES[:40])
    passing = NAMES[1:40:2]
    assert [hit.id for hit in store.list(filters=filters, top_k=None)[0]] == passing
    for query in (VECTORS[0], VECTORS[39]):
        found = store.search(query="", vectors=query, top_k=30, filters=filters)
        assert sorted(hit.id for hit in found) == passing
        assert [hit.score for hit in found] == sorted(hit.score or 0.0 for hit in found)


def test_several_changes_are_two_calls(client: StandIn) -> None:
    store = filled(client)
    client.calls.clear()
    changes = [(NAMES[0], {"n": 5}), (NAMES[1], {"n": [None]}), (NAMES[0], {"data": "new"})]
    store.batch(changes, [NAMES[2], NAMES[2], "none"])
    assert client.calls == [("update", 2), ("delete", 2)]
    found = store.payloads_of(NAMES[:3])
    assert found[NAMES[0]] == {**PAYLOADS[0], "n": 5, "data": "new"}
    assert found[NAMES[1]] == {**PAYLOADS[1], "n": [None]}
    assert NAMES[2] not in found
    store.batch([], [])


# --- What is not ours ------------------------------------------------------------------------


def test_what_a_new_point_has_beside_its_payload_is_removed(client: StandIn) -> None:
    """Chroma gives lists of removed records to new ones."""
    store = made(client)
    rows = client.collections["mem0"].rows
    for number, name in enumerate(NAMES[:3]):
        rows[name] = ([0.0, 1.0], {"tags": ["of", "another"], "n": number})
    store.insert(vectors=VECTORS[:3], payloads=[{"data": "new", "n": 1}] * 3, ids=NAMES[:3])
    assert [row[1] for row in rows.values()] == [{"data": "new", "n": 1}] * 3
    store.update(NAMES[0], vector=VECTORS[1], payload={"data": "newer"})
    assert rows[NAMES[0]] == (VECTORS[1], {"data": "newer"})


def test_what_another_adds_to_a_new_point_stays(
    client: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be another process, which sees the point before the call that adds it returns."""
    store = made(client)
    real = store._call
    added = {
        "superseded_by": NAMES[1], "note": 1, "isomem_json": True, "isomem_json:deep": "{}",
        "data": "changed", "mine": ["more"],
    }  # fmt: skip

    def call(method: str, **arguments: Any) -> Any:
        answer = real(method, **arguments)
        if method == "upsert":
            real("update", ids=NAMES[:1], metadatas=[{**added, "of a removed one": ["x"]}])
        return answer

    monkeypatch.setattr(store, "_call", call)
    payload = {"data": "new", "user_id": "ana", "mine": ["a"]}
    store.insert(vectors=VECTORS[:1], payloads=[payload], ids=NAMES[:1])
    assert client.collections["mem0"].rows[NAMES[0]][1] == {**payload, **added}


def test_a_hit_of_another_scope_is_not_shown(
    client: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if Chroma should find it."""
    store = filled(client)
    monkeypatch.setattr("tests.stores.chroma_stand_in.passes", lambda *_: True)
    for hits in (
        store.list(filters={"user_id": "ana"})[0],
        store.search(query="", vectors=[1.0, 0.0], top_k=50, filters={"user_id": "ana"}),
    ):
        assert hits
        assert {hit.payload["user_id"] for hit in hits} == {"ana"}


def test_a_collection_that_was_made_anew_is_found(client: StandIn) -> None:
    store = filled(client)
    client.delete_collection("mem0")
    assert store.list()[0] == []
    client.delete_collection("mem0")
    store.insert(vectors=VECTORS[:1], payloads=PAYLOADS[:1], ids=NAMES[:1])
    assert store.get(NAMES[0]) is not None
    client.delete_collection("mem0")
    store.reset()
    assert [*client.collections] == ["mem0"]


def test_a_collection_that_another_made_with_another_distance_is_scored_by_it(
    client: StandIn,
) -> None:
    client.get_or_create_collection("mem0", embedding_function=None)  # With mem0's distance.
    store = made(client, scores="similarity")
    client.delete_collection("mem0")
    filled(client, scores="similarity")
    query = VECTORS[MANY // 2]
    expected = made(client, scores="similarity").search(query="", vectors=query, top_k=5)
    found = store.search(query="", vectors=query, top_k=5)
    assert [(hit.id, hit.score) for hit in found] == [(hit.id, hit.score) for hit in expected]


@pytest.mark.parametrize(("scores", "space"), [("distance", "l2"), ("similarity", "cosine")])
def test_a_new_collection_has_the_distance_that_the_scores_need(
    client: StandIn, scores: str, space: str
) -> None:
    store = made(client, scores=scores).beside("mem0_entities")
    assert {each.configuration_json["hnsw"]["space"] for each in client.list_collections()} == {
        space
    }
    assert store.collection_name == "mem0_entities"


@pytest.mark.parametrize("scores", ["distance", "similarity"])
def test_the_cloud_is_told_nothing_about_an_index_of_a_file(client: StandIn, scores: str) -> None:
    made(client, scores=scores, **CLOUD)
    made(StandIn(10_000), scores=scores)
    [mem0] = client.list_collections()
    assert mem0.configuration_json["hnsw"] == {"space": "l2" if scores == "distance" else "cosine"}


def test_a_collection_that_another_removes_at_the_same_moment_is_removed(
    client: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(client)
    collection = client.collections["mem0"]
    delete = collection.delete

    def slower(ids: list[str]) -> None:
        delete(ids=ids)
        client.delete_collection("mem0")

    monkeypatch.setattr(collection, "delete", slower)
    store.reset()
    assert store.list()[0] == []


def test_a_number_that_changes_by_less_than_chroma_keeps_is_changed(client: StandIn) -> None:
    store = made(client)
    store.insert(vectors=VECTORS[:1], payloads=[{"n": 0.1 + 0.2}], ids=NAMES[:1])
    store.update(NAMES[0], payload={"n": 0.3})
    assert getattr(store.get(NAMES[0]), "payload", None) == {"n": 0.3}


# --- Failures --------------------------------------------------------------------------------


def test_a_call_that_fails_for_now_is_made_again(client: StandIn, waited: list[float]) -> None:
    import httpx

    store = made(client)
    client.failures = [httpx.ConnectError("no"), InternalError("busy")]
    store.insert(vectors=VECTORS[:1], payloads=PAYLOADS[:1], ids=NAMES[:1])
    assert waited == [0.2, 0.4]
    assert len(client.collections["mem0"].rows) == 1


def test_after_the_last_try_it_is_an_error_of_the_store(
    client: StandIn, waited: list[float]
) -> None:
    store = made(client, max_retries=1, api_key="s3cret-key")
    client.failures = [InternalError("busy")] * 2 + [InternalError("s3cret-key is wrong")] * 2
    with pytest.raises(VectorStoreError, match="busy") as caught:
        store.list()
    assert isinstance(caught.value.__cause__, InternalError)
    with pytest.raises(VectorStoreError, match="is wrong") as caught:
        store.list()
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert waited == [0.2, 0.2]


@pytest.mark.parametrize("error", [InvalidArgumentError("x"), ValueError("x"), TypeError("x")])
def test_what_chroma_refuses_is_not_tried_again(
    client: StandIn, waited: list[float], error: Exception
) -> None:
    store = made(client)
    client.failures = [error]
    with pytest.raises(VectorValueError, match="vector_store chroma failed"):
        store.get(NAMES[0])
    assert waited == []


@pytest.mark.parametrize("error", [InvalidArgumentError("32 keys"), InternalError("busy")])
def test_what_one_thread_may_not_write_fails_for_no_other(
    client: StandIn, waited: list[float], error: Exception
) -> None:
    """Whatever Chroma calls it: an answer of a proxy has no class, and a quota another one."""
    store = made(client)
    collection = client.collections["mem0"]
    upsert, begun, go_on = collection.upsert, threading.Event(), threading.Event()

    def checked(ids: list[str], embeddings: Any, metadatas: Any) -> None:
        begun.set()
        assert go_on.wait(10)
        if any("poison" in (each or {}) for each in metadatas):
            raise error
        upsert(ids=ids, embeddings=embeddings, metadatas=metadatas)

    collection.upsert = checked  # type: ignore[method-assign]
    with ThreadPoolExecutor(4) as pool:
        calls = []
        for number, payload in enumerate([{"n": 0}, {"n": 1}, {"poison": 1}, {"n": 3}]):
            calls.append(
                pool.submit(
                    store.insert, vectors=VECTORS[:1], payloads=[payload], ids=[NAMES[number]]
                )
            )
            assert begun.wait(10)
        go_on.set()
    assert [call.exception() is None for call in calls] == [True, True, False, True]
    assert sorted(hit.id for hit in store.list()[0]) == [NAMES[0], NAMES[1], NAMES[3]]


def test_a_closed_store_says_so_and_leaves_the_callers_client(client: StandIn) -> None:
    store = made(client)
    beside = store.beside("mem0_entities")
    beside.close()
    store.list()
    store.close()
    store.close()
    for each in (store, beside):
        with pytest.raises(VectorStoreError, match="closed"):
            each.list()
    assert {*client.collections} == {"mem0", "mem0_entities"}
