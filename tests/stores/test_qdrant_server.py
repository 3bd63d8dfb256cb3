"""What isomem asks of a Qdrant server, over real HTTP; see `qdrant_server`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isomem import AsyncMemory, InvalidConfigError, Memory, VectorStoreError, VectorValueError
from isomem.stores import qdrant_calls
from isomem.stores.qdrant import QdrantStore
from isomem.testing import HashEmbedder, ScriptedLLM
from tests.stores import test_filters
from tests.stores.adapters import DIMS, RUNS_ALL
from tests.stores.conftest import learn, say, texts
from tests.stores.qdrant_server import KEY, Double, serving

pytest.importorskip("qdrant_client")
pytestmark = pytest.mark.filterwarnings("ignore")

ANA = {"user_id": "ana"}


@pytest.fixture
def server() -> Iterator[Double]:
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant_calls.Connection, "first_wait_s", 0.001)


def config(server: Double, folder: Path, **options: Any) -> dict[str, Any]:
    return {
        "vector_store": {"provider": "qdrant", "config": {"url": server.url, **options}},
        "history_db_path": str(folder / "history.db"),
        "embedder": {"provider": "mock", "config": {"embedding_dims": DIMS}},
        "llm": {"provider": "mock"},
    }


@pytest.fixture
def memory(server: Double, tmp_path: Path) -> Iterator[Any]:
    made = Memory.from_config(config(server, tmp_path))
    yield made
    made.close()


# --- The collection --------------------------------------------------------------------------


def test_a_new_collection_is_that_of_mem0_with_its_indexes(memory: Any, server: Double) -> None:
    created = [
        body
        for (how, path), body in zip(server.requests, server.bodies, strict=True)
        if how == "PUT" and path == "/collections/mem0"
    ]
    [body] = created
    assert (body["vectors"]["size"], body["vectors"]["distance"]) == (DIMS, "Cosine")
    assert body["sparse_vectors"] == {"bm25": {"modifier": "idf"}}
    expected = ["user_id", "agent_id", "run_id", "actor_id", "linked_memory_ids"]
    assert server.indexed == {"mem0": expected, "mem0_entities": expected}
    assert memory.vector_store.is_local is False


def test_a_server_that_filters_by_indexes_alone_has_its_entities_cleaned(
    memory: Any, server: Double
) -> None:
    """As Qdrant Cloud's, which are in strict mode."""

    def entities() -> set[str]:
        return {each.payload["data"] for each in memory.entity_store.list(top_k=None)[0]}

    server.is_strict = True
    one = say(memory, "It rains")
    memory.update(one, "Ana Gomez lives in Lisbon")
    assert entities() == {"Ana Gomez", "Lisbon"}
    memory.update(one, "Bob Miller lives in Porto")
    assert entities() == {"Bob Miller", "Porto"}
    memory.delete(one)
    assert entities() == set()
    with pytest.raises(VectorValueError, match="Index required"):
        memory.get_all(filters={**ANA, "colour": "red"})


def test_a_cluster_is_asked_for_shards_and_copies(server: Double, tmp_path: Path) -> None:
    made = Memory.from_config(
        config(
            server,
            tmp_path,
            shard_number=3,
            replication_factor=2,
            write_consistency_factor=2,
            on_disk=True,
        )
    )
    made.close()
    body = server.bodies[server.requests.index(("PUT", "/collections/mem0"))]
    asked = (body["shard_number"], body["replication_factor"], body["write_consistency_factor"])
    assert asked == (3, 2, 2)
    assert body["vectors"]["on_disk"] is True


def test_an_existing_collection_is_used_as_it_is(server: Double, tmp_path: Path) -> None:
    first = Memory.from_config(config(server, tmp_path))
    say(first, "Ana likes tea")
    before = server.sent("PUT", "/index")
    second = Memory.from_config(config(server, tmp_path))
    assert texts(second.get_all(filters=ANA)) == ["Ana likes tea"]
    assert server.sent("PUT", "/index") == before
    assert server.sent("PUT", "/collections/mem0") == 1
    first.close()
    second.close()


def test_a_collection_without_a_place_for_keywords_is_searched_without_them(
    server: Double, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from qdrant_client import models

    vectors = models.VectorParams(size=DIMS, distance=models.Distance.COSINE)
    server.local.create_collection("mem0", vectors_config=vectors)
    made = Memory.from_config(config(server, tmp_path))
    say(made, "Ana likes tea")
    assert "no place for keywords" in caplog.text
    assert made.vector_store.keyword_search(query="tea", filters=ANA) is None
    assert texts(made.search("Ana likes tea", filters=ANA, threshold=0.0)) == ["Ana likes tea"]
    made.close()


def test_a_collection_with_named_vectors_is_refused(server: Double, tmp_path: Path) -> None:
    from qdrant_client import models

    vectors = {"text": models.VectorParams(size=DIMS, distance=models.Distance.COSINE)}
    server.local.create_collection("mem0", vectors_config=vectors)
    with pytest.raises(VectorStoreError, match="vectors with names"):
        Memory.from_config(config(server, tmp_path))


def test_the_length_of_an_existing_collection_counts(server: Double, tmp_path: Path) -> None:
    Memory.from_config(config(server, tmp_path)).close()
    made: Any = Memory.from_config(config(server, tmp_path, embedding_model_dims=7))
    assert made.vector_store.embedding_model_dims == DIMS
    made.embedding_model = HashEmbedder(dims=7)
    with pytest.raises(VectorValueError, match=f"expected dim: {DIMS}"):
        say(made, "Ana likes tea")
    made.close()


# --- Calls -----------------------------------------------------------------------------------


def test_the_calls_of_a_memory_work_over_http(memory: Any) -> None:
    first, second = learn(memory, "Ana met Inês Duarte", "Ana lives in Lisbon")
    memory.update(second, "Ana lives in Porto")
    found = memory.search("Who is Inês Duarte?", filters=ANA, threshold=0.0)["results"]
    assert found[0]["id"] == first
    memory.delete(first)
    assert memory.entity_store.list(filters=ANA)[0]
    assert texts(memory.get_all(filters=ANA)) == ["Ana lives in Porto"]
    assert memory.get("no uuid") is None
    memory.reset()
    assert memory.count(filters=ANA) == 0
    say(memory, "Ana is back")
    assert memory.count(filters=ANA) == 1


def test_an_asynchronous_memory_works_over_http(server: Double, tmp_path: Path) -> None:
    async def calls() -> None:
        made = AsyncMemory.from_config(config(server, tmp_path))
        adding = (made.add(f"Note {n}", infer=False, **ANA) for n in range(6))
        await asyncio.gather(*adding)
        assert await made.count(filters=ANA) == 6
        made.close()

    asyncio.run(calls())


def test_many_points_are_sent_and_read_in_parts(server: Double, tmp_path: Path) -> None:
    made: Any = Memory.from_config(config(server, tmp_path, batch_size=10))
    store = made.vector_store
    names = [test_filters.point_id(n) for n in range(25)]
    payloads = [{"data": f"text {n}", **ANA} for n in range(25)]
    store.insert(vectors=[[1.0] * DIMS] * 25, payloads=payloads, ids=names)
    assert server.sent("PUT", "/mem0/points") == 3
    assert [str(each.id) for each in store.list(top_k=None)[0]] == names
    made.close()


def test_a_bad_vector_in_a_late_part_stores_nothing_of_the_others(
    server: Double, tmp_path: Path
) -> None:
    made: Any = Memory.from_config(config(server, tmp_path, batch_size=2))
    names = [test_filters.point_id(n) for n in range(5)]
    vectors = [[1.0] * DIMS] * 4 + [[1.0]]
    with pytest.raises(VectorValueError):
        made.vector_store.insert(vectors=vectors, payloads=[ANA] * 5, ids=names)
    assert made.vector_store.list(top_k=None)[0] == []
    made.close()


def test_many_entities_are_looked_up_in_one_request(memory: Any, server: Double) -> None:
    memory.llm = ScriptedLLM(
        [{"memory": [{"text": "Inês Duarte met Rui Costa in New York at Blue Moon Records"}]}]
    )
    memory.add("said", **ANA)
    assert server.sent("POST", "/points/query/batch") == 1
    assert len(memory.entity_store.list(filters=ANA)[0]) >= 2


TRIP = "Inês Duarte met Rui Costa in New York at Blue Moon Records"


def test_a_search_is_two_requests_whatever_it_names(memory: Any, server: Double) -> None:
    memory.llm = ScriptedLLM([{"memory": [{"text": TRIP}]}])
    memory.add("said", **ANA)
    before = len(server.requests)
    found = memory.search(f"When was it that {TRIP}?", filters=ANA, explain=True)["results"]
    assert [path for _, path in server.requests[before:]] == [
        "/collections/mem0/points/query/batch",
        "/collections/mem0_entities/points/query/batch",
    ]
    details = found[0]["score_details"]
    assert found[0]["memory"] == TRIP
    assert details["bm25_score"] > 0
    assert details["entity_boost"] > 0


def test_a_search_finds_the_same_in_one_request_as_in_two(memory: Any) -> None:
    for text in ("Ana likes green tea", "Ana lives in Lisbon", "Ana drinks tea in Lisbon"):
        say(memory, text)
    store = memory.vector_store
    vector, asked = memory.embedding_model.embed("tea"), {"top_k": 2, "filters": ANA}
    nearest, matching = store.both(vector, "tea", **asked)
    assert _found(nearest) == _found(store.search("", vector, **asked))
    assert _found(matching) == _found(store.keyword_search("tea", **asked))
    assert store.both(vector, "", **asked)[1] == []


def _found(hits: Any) -> list[tuple[str, float]]:
    return [(hit.id, hit.score) for hit in hits]


def test_known_entities_get_their_links_in_one_request(memory: Any, server: Double) -> None:
    memory.llm = ScriptedLLM(
        [{"memory": [{"text": f"{TRIP} {day}"}]} for day in ("today", "again")]
    )
    memory.add("said", **ANA)
    before = len(server.requests)
    second = memory.add("said once more", **ANA)["results"][0]["id"]
    sent = [path.removeprefix("/collections/") for _, path in server.requests[before:]]
    assert sent.count("mem0_entities/points/batch") == 1
    assert "mem0_entities/points/payload" not in sent
    linked = [
        each.payload["linked_memory_ids"] for each in memory.entity_store.list(filters=ANA)[0]
    ]
    assert sum(second in links for links in linked) >= 2

    before = len(server.requests)
    memory.delete(second)
    sent = [path.removeprefix("/collections/") for _, path in server.requests[before:]]
    assert sent.count("mem0_entities/points/batch") == 1
    left = [each.payload["linked_memory_ids"] for each in memory.entity_store.list(filters=ANA)[0]]
    assert left
    assert not any(second in links for links in left)


def test_an_overlay_changes_only_its_keys_and_takes_none_for_a_value(
    memory: Any, server: Double
) -> None:
    store, name = memory.vector_store, "7d8c1a44-0000-4000-8000-000000000001"
    store.insert(vectors=[[1.0] * DIMS], payloads=[{"a": 1, "none": None}], ids=[name])
    expected: dict[str, Any] = {"a": 1, "none": None}
    for overlay, requests in (
        ({"b": 1}, ["batch"]),
        ({"c": {"x": None}, "none": None}, ["", "batch"]),  # A look, and one change.
        ({"a": None, "d": None}, ["", "batch"]),
        ({"a": 2}, ["batch"]),
    ):
        before = len(server.requests)
        store.update(name, payload=overlay)
        paths = [path.partition("/points")[2] for _, path in server.requests[before:]]
        assert [path.removeprefix("/") for path in paths] == requests
        expected |= overlay
        assert store.get(name).payload == expected
    store.batch([(name, {"a": None}), (name, {"b": 2, "e": 1}), (name, {"e": None})])
    assert store.get(name).payload == expected | {"a": None, "b": 2, "e": None}


def test_a_none_that_is_there_already_writes_back_nothing_else(memory: Any, server: Double) -> None:
    store, name = memory.vector_store, "7d8c1a44-0000-4000-8000-000000000001"
    store.insert(vectors=[[1.0] * DIMS], payloads=[{"a": 1, "none": None}], ids=[name])
    store.update(name, payload={"b": 1, "none": None})
    assert server.bodies[-1]["operations"] == [
        {"set_payload": {"payload": {"b": 1}, "points": [name]}}
    ]


def test_what_cannot_be_done_in_one_request_is_done_in_several(
    memory: Any, server: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.llm = ScriptedLLM(
        [{"memory": [{"text": f"{TRIP} {day}"}]} for day in ("today", "again")]
    )
    memory.add("said", **ANA)

    def fail(*_: Any) -> None:
        raise VectorStoreError("not today")

    monkeypatch.setattr(memory.entity_store, "batch", fail)
    monkeypatch.setattr(memory.entity_store, "search_batch", fail)
    found = memory.search(f"When was it that {TRIP}?", filters=ANA, explain=True)["results"]
    assert found[0]["score_details"]["entity_boost"] > 0
    monkeypatch.undo()
    monkeypatch.setattr(memory.entity_store, "batch", fail)
    second = memory.add("said once more", **ANA)["results"][0]["id"]
    linked = [
        each.payload["linked_memory_ids"] for each in memory.entity_store.list(filters=ANA)[0]
    ]
    assert sum(second in links for links in linked) >= 2
    memory.delete(second)
    left = [each.payload["linked_memory_ids"] for each in memory.entity_store.list(filters=ANA)[0]]
    assert not any(second in links for links in left)


# --- Filters ---------------------------------------------------------------------------------


def test_what_a_server_decides_alone_is_never_asked_of_it_and_nothing_is_missed(
    memory: Any,
) -> None:
    """The double refuses words, dates and excluded values; what is found is right all the same."""
    store = memory.vector_store
    stored = test_filters.fill(store, [{"k": value} for value in test_filters.VALUES] + [{}])
    for operator in test_filters.OPERATORS:
        test_filters.check(store, stored, {"k": operator})
        if RUNS_ALL or isinstance(operator, dict):
            test_filters.check(store, stored, {"NOT": [{"k": operator}]})


def test_a_filter_that_passes_few_points_is_asked_for_until_all_are_seen(
    memory: Any, server: Double
) -> None:
    """More points than are fetched at first, and the wanted ones are the farthest."""
    store, count = memory.vector_store, 300
    vectors = [[1.0, n / count, *[0.0] * (DIMS - 2)] for n in range(count)]
    payloads = [{"data": "red apple" if n >= count - 3 else "pear", **ANA} for n in range(count)]
    names = [test_filters.point_id(n) for n in range(count)]
    store.insert(vectors=vectors, payloads=payloads, ids=names)
    query, wanted = [1.0, *[0.0] * (DIMS - 1)], {**ANA, "data": {"contains": "apple"}}
    before = server.sent("POST", "/points/query")
    found = store.search(query="", vectors=query, top_k=3, filters=wanted)
    assert [str(each.id) for each in found] == names[-3:]
    limits = [
        body["limit"]
        for (_, path), body in zip(server.requests, server.bodies, strict=True)
        if path.endswith("/points/query")
    ][before:]
    assert limits == [64, 256, 1024]
    exact = [
        body["params"]
        for (_, path), body in zip(server.requests, server.bodies, strict=True)
        if path.endswith("/points/query")
    ][before:]
    assert all(each["exact"] is True for each in exact)


def test_a_scope_is_asked_of_the_server(memory: Any, server: Double) -> None:
    say(memory, "Ana likes tea")
    memory.search("tea", filters={**ANA, "k": {"contains": "x"}}, threshold=0.0)
    body = next(
        body
        for (_, path), body in zip(server.requests, server.bodies, strict=True)
        if path.endswith("/points/query")
    )
    [condition] = body["filter"]["must"]
    assert (condition["key"], condition["match"]) == ("user_id", {"value": "ana"})


# --- Failures --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_call_that_was_not_answered_is_made_again(
    memory: Any, server: Double, status: int
) -> None:
    server.failing = [status, status]
    one = say(memory, "Ana likes tea")
    assert server.failing == []
    assert memory.get(one)["memory"] == "Ana likes tea"
    assert memory.count(filters=ANA) == 1


def test_after_all_retries_the_error_says_what_happened(memory: Any, server: Double) -> None:
    server.failing = [503] * 20
    with pytest.raises(VectorStoreError, match="503"):
        memory.search("tea", filters=ANA)
    assert len(server.failing) == 17  # Two retries after the first try.
    server.failing = [503] * 100
    with pytest.raises(VectorStoreError):
        say(memory, "Ana likes tea")
    server.failing = []
    assert memory.count(filters=ANA) == 0


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_call_that_was_refused_is_not_made_again(
    memory: Any, server: Double, status: int
) -> None:
    server.failing = [status] * 5
    with pytest.raises(VectorStoreError) as caught:
        memory.search("tea", filters=ANA)
    assert len(server.failing) == 4
    assert isinstance(caught.value, ValueError) == (status in {400, 422})


def test_a_key_is_sent_and_never_shown(tmp_path: Path) -> None:
    with serving(KEY) as server:
        made = Memory.from_config(config(server, tmp_path, api_key=KEY, https=False))
        say(made, "Ana likes tea")
        made.close()
        wrong = f"not-{KEY}"
        with pytest.raises(VectorStoreError, match="401") as caught:
            Memory.from_config(config(server, tmp_path, api_key=wrong, https=False))
        assert wrong not in f"{caught.value!r} {caught.value} {caught.value.__cause__}"


def test_a_closed_connection_is_an_error_of_the_store(server: Double, tmp_path: Path) -> None:
    made = Memory.from_config(config(server, tmp_path))
    made.close()
    made.close()
    with pytest.raises(VectorStoreError):
        made.search("tea", filters=ANA)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"host": "h"}, "both host and port"),
        ({"port": 6333}, "both host and port"),
        ({"url": "http://h", "host": "h", "port": 1}, "not by both"),
        ({"path": ""}, "must be provided"),
        ({"path": None}, "must be provided"),
        ({"port": 0}, "port must be"),
        ({"timeout_s": 0}, "timeout_s must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"client": "x"}, "client must be"),
        ({"colection_name": "x"}, "collection_name"),
        ({"collection_name": "x_entities"}, "collection_name must be"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], fault: str) -> None:
    section = {"provider": "qdrant", "config": options}
    with pytest.raises(InvalidConfigError, match=fault):
        Memory.from_config(
            {"vector_store": section, "embedder": {"provider": "mock"}, "llm": {"provider": "mock"}}
        )


@pytest.mark.parametrize(
    "name", ["a/b", "../a", "a:b", 'a"b', "a\\b", "a*", "a?", "<a>", "a|b", ".", "..", "x" * 247]
)
def test_a_name_that_no_collection_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfigError, match="cannot name a collection"):
        QdrantStore({"path": str(tmp_path), "collection_name": name})


def test_the_longest_name_leaves_room_for_the_entities() -> None:
    store = QdrantStore({"path": ":memory:", "collection_name": "x" * 246})
    store.beside("x" * 246 + "_entities")
    store.close()


def test_a_client_of_the_callers_stays_open(server: Double, tmp_path: Path) -> None:
    from qdrant_client import QdrantClient

    client = QdrantClient(url=server.url, check_compatibility=False)
    options = config(server, tmp_path)
    options["vector_store"]["config"] = {"client": client}
    made = Memory.from_config(options)
    say(made, "Ana likes tea")
    made.close()
    assert client.collection_exists("mem0")
    client.close()


# --- Moving ----------------------------------------------------------------------------------


def test_a_server_is_a_source_of_an_import(
    memory: Any, server: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isomem import DatabaseError
    from isomem.moving import sources
    from isomem.moving.intake import import_records

    monkeypatch.setattr(sources, "AT_ONCE", 2)
    ids = learn(memory, "Ana met Inês Duarte", "Ana lives in Lisbon", "Ana plays the cello")
    target = Memory.from_config(
        {
            "vector_store": {"provider": "embedded", "config": {"path": ":memory:"}},
            "embedder": {"provider": "mock", "config": {"embedding_dims": DIMS}},
            "llm": {"provider": "mock"},
        }
    )
    for expected in (3, 0):
        taken = import_records(target, sources.of_qdrant(server.url, "mem0"))
        assert taken["memory"]["added"] == expected
    assert {each["id"] for each in target.get_all(filters=ANA)["results"]} == {*ids}
    with pytest.raises(DatabaseError, match="no collection"):
        import_records(target, sources.of_qdrant(server.url, "other"))
    target.close()


def test_an_export_of_a_server_goes_on_page_by_page(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isomem.moving import reading
    from isomem.moving.export import export

    learn(memory, *(f"Fact {n}" for n in range(7)))
    monkeypatch.setattr(reading, "AT_ONCE", 3)
    assert export(memory, str(tmp_path / "all.jsonl"))["memory"]["count"] == 7
