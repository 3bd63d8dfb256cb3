"""Redis: one collection for mem0 and isomem, ids that are alike, indexes that are made anew."""

from __future__ import annotations

import random
import string
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isomem import InvalidConfigError, Memory, VectorStoreError
from isomem.stores import redis_calls
from isomem.testing import ScriptedLLM
from tests.stores import redis_server
from tests.stores.adapters import DIMS, RUNS_ALL
from tests.stores.test_filters import point_id
from tests.unit.store.fuzz import examples

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(bool(redis_server.missing()), reason=redis_server.missing()),
]

MOMENT = "2024-05-06T07:08:09.123456+00:00"
LATER = "2024-05-06T07:08:10.654321+00:00"
VECTORS = [[1.0, number / 5, 0.0, 0.1] for number in range(6)]
QUERY = [1.0, 0.3, 0.0, 0.0]
SMALL = len(QUERY)
IDS = [point_id(number) for number in range(6)]
TEXTS = [
    "Ana likes green tea", "don't drink it, please", "C++ and c# code", "tea `time` at 5 o'clock",
    "日本語 の 文", "running shoes | green",
]  # fmt: skip
QUERIES = [
    *TEXTS,
    "likes",
    "run",
    "GREEN, tea",
    "a|b",
    "what is the",
    "|",
    "%x%",
    "(tea",
    "@memory",
]
FILTERS: list[dict[str, Any]] = [
    {"user_id": "a"}, {"user_id": "b"}, {"user_id": "a", "run_id": "r"}, {"user_id": "nobody"},
]  # fmt: skip


def payload(number: int, **more: Any) -> dict[str, Any]:
    whole = {
        "user_id": "ab"[number % 2], "data": TEXTS[number], "text_lemmatized": TEXTS[number],
        "hash": f"h{number}", "created_at": f"2024-05-06T07:08:{10 + number}.5+00:00",
        "updated_at": f"2024-05-06T07:08:{10 + number}.5+00:00", "n": number, "deep": {"a": [1]},
    }  # fmt: skip
    return whole | ({"run_id": "r"} if number == 2 else {}) | more


PAYLOADS = [payload(number) for number in range(6)]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return redis_server.shared(tmp_path)


def made(url: str, name: str = "mem0", **more: Any) -> Any:
    from isomem.stores.redis import RedisStore

    config = {"redis_url": url, "collection_name": name, "embedding_model_dims": SMALL}
    return RedisStore({**config, **more})


@pytest.fixture
def store(url: str) -> Iterator[Any]:
    opened = made(url)
    yield opened
    opened.close()


@pytest.fixture
def mem0s(url: str, oracle: None) -> Iterator[Any]:
    """mem0's own class on the same collection."""
    opened = pytest.importorskip("mem0.vector_stores.redis").RedisDB(url, "mem0", SMALL)
    yield opened
    opened.client.close()


def plain(hit: Any) -> Any:
    """A point as mem0 knows it: moments in seconds. It does not look for `updated_at` in search."""
    if hit is None:
        return None
    kept = {key: value for key, value in hit.payload.items() if key != "updated_at"}
    seconds = datetime.fromisoformat(kept["created_at"]).replace(microsecond=0)
    return hit.id, hit.score, {**kept, "created_at": seconds}


def seen(side: Any) -> dict[str, Any]:
    """What a store answers to everything that it can be asked."""
    answers: dict[str, Any] = {}
    for filters in FILTERS:
        answers[f"list {filters}"] = [*map(plain, side.list(filters=filters, top_k=100)[0])]
        answers[f"two {filters}"] = [*map(plain, side.list(filters=filters, top_k=2)[0])]
        found = side.search(query="", vectors=QUERY, top_k=4, filters=filters)
        answers[f"search {filters}"] = [*map(plain, found)]
    return answers


# --- One collection for both -----------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("writer", ["isomem", "mem0"])
def test_what_one_writes_the_other_reads_changes_and_removes(
    store: Any, mem0s: Any, writer: str
) -> None:
    """All answers are equal, scores and order included, whoever wrote."""
    one, other = (store, mem0s) if writer == "isomem" else (mem0s, store)
    one.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    assert seen(store) == seen(mem0s)
    changed = {"data": "milk", "hash": "hm", "updated_at": LATER, "n": 7}
    other.update(IDS[0], vector=[0.0, 1.0, 0.0, 0.0], payload={**PAYLOADS[0], **changed})
    other.update(IDS[1], payload={**PAYLOADS[1], **changed})
    assert seen(store) == seen(mem0s)
    assert plain(store.get(IDS[1])) == plain(mem0s.get(IDS[1]))
    assert store.get(IDS[1]).payload["updated_at"][:19] == LATER[:19]
    other.delete(IDS[2])
    assert seen(store) == seen(mem0s)
    assert store.get(IDS[2]) is None


@pytest.mark.oracle
def test_words_find_what_they_find_for_mem0(store: Any, mem0s: Any) -> None:
    """Where mem0's query is not refused by the server."""
    from redisvl.exceptions import RedisSearchError

    store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    rng = random.Random(1)
    odd = ["".join(rng.choices(string.punctuation + "ateg ", k=5)) for _ in range(60)]
    refused = 0
    for query in (*QUERIES, *odd):
        for filters in FILTERS[:2]:
            ours = store.keyword_search(query, top_k=10, filters=filters)
            try:
                theirs = mem0s.keyword_search(query, top_k=10, filters=filters)
            except RedisSearchError:  # mem0 raises it for a query that the server cannot read.
                refused += 1
            else:
                assert [*map(plain, ours)] == [*map(plain, theirs)], query
    assert 0 < refused < 80


@pytest.mark.oracle
def test_an_index_of_isomems_is_that_of_mem0(url: str, store: Any, request: Any) -> None:
    ours = store.col_info()
    request.getfixturevalue("mem0s")  # It makes the index anew.
    theirs = store.col_info()
    assert ours["attributes"] == theirs["attributes"]
    assert ours["index_name"] == theirs["index_name"] == "mem0"
    assert theirs["index_definition"][3] == ["mem0:mem0"]  # Which "mem0:mem0x" begins with, too.
    assert ours["index_definition"][3] == ["mem0:mem0:"]


@pytest.mark.oracle
def test_calls_of_two_memories_in_any_order_leave_no_difference(
    url: str, tmp_path: Path, oracle: None
) -> None:
    import mem0

    from isomem.testing import HashEmbedder
    from isomem_parity import tiers

    tiers.enter("A")
    shared = {
        "vector_store": {
            "provider": "redis",
            "config": {"redis_url": url, "embedding_model_dims": DIMS},
        },
        "history_db_path": str(tmp_path / "history.db"),
        "llm": {"provider": "openai", "config": {"api_key": "unused"}},
        "embedder": {"provider": "openai", "config": {"api_key": "unused"}},
    }
    sides = mem0.Memory.from_config(shared), Memory.from_config({**shared, "nlp": tiers.NLP["A"]})
    for side in sides:
        side.embedding_model = HashEmbedder(dims=DIMS)
    rng = random.Random(3)
    for _ in range(30):
        _act(sides[rng.randrange(2)], rng)
        assert _view(sides[1]) == _view(sides[0])
    assert sides[1].count(filters={"user_id": "ana"}) > 3
    for side in sides:
        side.close()
    sides[0].vector_store.client.close()


def _act(side: Any, rng: random.Random) -> None:
    listed = side.get_all(filters={"user_id": "ana"}, top_k=100)["results"]
    text = f"{rng.choice(TEXTS)}, note {rng.randrange(10)}"
    kind = rng.choice(["raw", "raw", "infer", "infer", "update", "delete"])
    if kind == "infer":
        side.llm = ScriptedLLM([{"memory": [{"text": text}, {"text": rng.choice(TEXTS)}]}])
        side.add("said", user_id="ana")
    elif kind == "raw" or not listed:
        side.add(text, user_id="ana", infer=False, metadata={"n": rng.randrange(3)})
    elif kind == "update":
        side.update(rng.choice(listed)["id"], text)
    else:
        side.delete(rng.choice(listed)["id"])


def _view(side: Any) -> list[Any]:
    filters = {"user_id": "ana"}
    listed = side.get_all(filters=filters, top_k=100)["results"]
    shown: list[Any] = [(each["id"], each["memory"], each["created_at"][:19]) for each in listed]
    for query in ("green tea", "shoes of Ana"):
        found = side.search(query, filters=filters, threshold=0.0)["results"]
        shown += sorted((round(each["score"], 9), each["id"], each["memory"]) for each in found)
    return shown


# --- Ids -------------------------------------------------------------------------------------

_SIMILAR = [
    "ana", "Ana", "ANA", " ana", "ana ", "ana,bob", "ana, bob", "bob,ana", ",", ",,", " ", "", "*",
    "a*", "{ana}", "ana|bob", "ana\\", "\\{", "a\\,b", "@ana", "-ana", "ana\0", "ana\0bob", "\0",
    "ana\n",
    "a" * 2000, "a" * 5000, "a" * 5000 + "b", "straße", "STRASSE", "İ", "i̇", "日本", "\ud800",
    "?", "$p0", "%a%", "ana]=>[KNN 9 @embedding $vector]", "*=>", "a b", "a  b", "ａｎａ",
]  # fmt: skip
_ids = st.sampled_from(_SIMILAR) | st.text(max_size=8)


def test_an_id_never_means_another(store: Any) -> None:
    """Each of two scopes sees its own memory and nothing else, whatever their ids are."""

    @settings(parent=examples(60), suppress_health_check=[*HealthCheck])
    @given(_ids, _ids, st.sampled_from(["user_id", "agent_id", "run_id"]))
    def holds(one: str, other: str, key: str) -> None:
        store.insert(
            vectors=VECTORS[:2],
            payloads=[{"data": "tea", key: one}, {"data": "tea", key: other}],
            ids=IDS[:2],
        )
        for number, value in enumerate((one, other)):
            expected = {IDS[number]} | ({IDS[0], IDS[1]} if one == other else set())
            filters = {key: value}
            for hits in (
                store.list(filters=filters)[0],
                store.search("", QUERY, 5, filters),
                store.keyword_search("tea", 5, filters),
            ):
                assert {hit.id for hit in hits} == expected
                assert all(hit.payload[key] == value for hit in hits)

    holds()


@pytest.mark.oracle
def test_to_mem0_ids_are_alike_that_are_not_equal(store: Any, mem0s: Any) -> None:
    users = ("ana", "Ana", " ana ", "ana,bob")
    payloads = [{**PAYLOADS[0], "user_id": user} for user in users]
    mem0s.insert(vectors=VECTORS[:4], payloads=payloads, ids=IDS[:4])
    assert len(mem0s.list({"user_id": "ana"})[0]) == 4
    for user in users:
        assert [hit.payload["user_id"] for hit in store.list({"user_id": user})[0]] == [user]


@pytest.mark.oracle
def test_what_mem0_loses_is_kept(store: Any, mem0s: Any) -> None:
    """Moments, entities, blocks of code in metadata; and what is not there is no error."""
    mem0s.insert(vectors=VECTORS[:1], payloads=PAYLOADS[:1], ids=IDS[:1])
    assert mem0s.get(IDS[0]).payload["created_at"] == "2024-05-06T07:08:10.000000+00:00"
    store.insert(vectors=VECTORS[:1], payloads=PAYLOADS[:1], ids=IDS[:1])
    assert store.get(IDS[0]).payload == PAYLOADS[0]
    entity = {"data": "Lisbon", "entity_type": "PLACE", "linked_memory_ids": [IDS[0]]}
    coded = {**PAYLOADS[0], "note": "```json\n{}\n```"}
    mem0s.insert(vectors=VECTORS[1:2], payloads=[coded], ids=IDS[1:2])
    assert store.get(IDS[1]).payload["note"] == coded["note"]
    for fails, error in (
        (lambda: mem0s.insert(vectors=VECTORS[:1], payloads=[entity], ids=IDS[:1]), KeyError),
        (lambda: mem0s.get(IDS[5]), KeyError),
        (lambda: mem0s.get(IDS[1]), ValueError),  # It reads what is in the block.
        (lambda: mem0s.keyword_search("what is the", filters={"user_id": "a"}), Exception),
    ):
        with pytest.raises(error):
            fails()
    store.insert(vectors=VECTORS[:1], payloads=[entity], ids=IDS[:1])
    assert store.get(IDS[0]).payload == entity
    assert store.get(IDS[5]) is None
    assert store.keyword_search("what is the", filters={"user_id": "a"}) == []


def test_no_query_of_words_is_refused(store: Any) -> None:
    store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)

    @settings(parent=examples(50), suppress_health_check=[*HealthCheck])
    @given(st.text(max_size=20) | st.text(alphabet=string.printable, max_size=20))
    def holds(query: str) -> None:
        store.keyword_search(query, 5, {"user_id": "a"})

    holds()


def test_as_many_are_found_as_there_are_among_ids_that_are_alike(store: Any) -> None:
    """The index cannot tell them apart, so more is asked for until enough is found."""
    count = 300
    names = [point_id(number) for number in range(count)]
    vectors = [[1.0, number / count, 0.0, 0.0] for number in range(count)]
    payloads = [{"data": "tea", "user_id": "ana" if n % 100 else "ANA"} for n in range(count)]
    store.insert(vectors=vectors, payloads=payloads, ids=names)
    found = store.search("", [1.0, 0.0, 0.0, 0.0], 3, {"user_id": "ANA"})
    assert [hit.id for hit in found] == [names[0], names[100], names[200]]
    assert len(store.list({"user_id": "ana"}, top_k=1000)[0]) == count - 3


# --- Collections -----------------------------------------------------------------------------


def test_collections_whose_names_begin_alike_do_not_mix(url: str, store: Any, mem0s: Any) -> None:
    """mem0's index of "mem0" has the keys of "mem0x", too, and would remove them with its own."""
    other, entities = made(url, "mem0x"), store.beside("mem0_entities")
    for each, user in ((store, "one"), (other, "two"), (entities, "three")):
        each.insert(vectors=VECTORS[:1], payloads=[{**PAYLOADS[0], "user_id": user}], ids=IDS[:1])
    assert [hit.payload["user_id"] for hit in mem0s.list({"user_id": "two"})[0]] == ["two"]
    for each, user in ((store, "one"), (other, "two"), (entities, "three")):
        assert [hit.payload["user_id"] for hit in each.list()[0]] == [user]
        assert [hit.payload["user_id"] for hit in each.search("", QUERY)] == [user]
        assert [point[1]["user_id"] for point in each.points("", 10)] == [user]
    store.reset()
    assert store.list()[0] == []
    assert len(other.list()[0]) == len(entities.list()[0]) == 1
    other.close()


def test_an_index_that_mem0_makes_anew_never_hides_a_memory(url: str, store: Any) -> None:
    """mem0 does that whenever it opens, and the server then looks at all keys once more. If nobody
    does it, isomem does.
    """
    from redis import Redis

    from isomem.stores.redis_queries import creation

    count = 600
    client = Redis.from_url(url)
    rows = [(point_id(number), number) for number in range(count)]
    for start in range(0, count, 200):
        part = rows[start : start + 200]
        store.insert(
            vectors=[[1.0, number / count, 0.0, 0.0] for _, number in part],
            payloads=[{"data": "tea", "user_id": "ana"} for _ in part],
            ids=[name for name, _ in part],
        )
    for times in (1, 3, 1):  # Several programs may open at once.
        for _ in range(times):
            client.execute_command("FT.DROPINDEX", "mem0")
            client.execute_command(*creation("mem0", "mem0", SMALL))
        found = store.search("", [1.0, 0.0, 0.0, 0.0], 3, {"user_id": "ana"})
        assert [hit.id for hit in found] == [point_id(number) for number in range(3)]
    client.execute_command("FT.DROPINDEX", "mem0")
    anew = threading.Timer(0.2, client.execute_command, creation("mem0", "mem0", SMALL))
    anew.start()
    assert len(store.list({"user_id": "ana"}, top_k=10_000)[0]) == count
    anew.join()
    assert store.col_info()["index_definition"][3] == ["mem0:"]  # It was waited for.
    client.execute_command("FT.DROPINDEX", "mem0")
    assert len(store.points("", 10_000)) == count  # It is not asked for these.
    assert len(store.list({"user_id": "ana"}, top_k=10_000)[0]) == count
    assert store.col_info()["index_definition"][3] == ["mem0:mem0:"]
    client.close()


def test_points_are_read_part_by_part_in_the_order_of_their_ids(store: Any) -> None:
    store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    first = store.points("", 2)
    store.delete(IDS[2])
    store.delete(IDS[3])
    rest = store.points(first[-1][0], 2)
    assert [point[0] for point in (*first, *rest)] == [IDS[0], IDS[1], IDS[4], IDS[5]]
    assert store.points(IDS[5], 2) == []
    assert [point[0] for point in store.points(IDS[3], 1)] == [IDS[4]]
    assert sum(number * number for number in rest[0][2]) == pytest.approx(1.0)


def test_a_change_of_what_is_not_there_leaves_nothing(store: Any) -> None:
    store.update(IDS[0], vector=QUERY, payload=PAYLOADS[0])
    store.update(IDS[0], payload=PAYLOADS[0])
    assert store.get(IDS[0]) is None
    assert store.list()[0] == []


def test_a_payload_with_every_field_is_stored(store: Any) -> None:
    whole = {**PAYLOADS[2], "agent_id": "x", "updated_at": LATER}
    store.insert(vectors=VECTORS[:1], payloads=[whole], ids=IDS[:1])
    store.update(IDS[0], vector=VECTORS[1], payload={**whole, "n": 9})
    assert store.get(IDS[0]).payload == {**whole, "n": 9}


def test_a_batch_changes_and_removes_at_once_and_makes_nothing(store: Any) -> None:
    store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    store.batch([(IDS[0], {"data": "x"}), (IDS[1], {"data": "y"})], [IDS[1], IDS[2], IDS[3]])
    assert {hit.id: hit.payload["data"] for hit in store.list()[0]} == {
        IDS[0]: "x", IDS[4]: TEXTS[4], IDS[5]: TEXTS[5],
    }  # fmt: skip
    store.batch([], [])


def test_both_ways_of_finding_are_one_round_trip(store: Any) -> None:
    store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    filters = {"user_id": "a"}
    apart = store.search("", QUERY, 2, filters), store.keyword_search("green", 2, filters)
    sent = _counted(store)
    together = store.both(QUERY, "green", 2, filters)
    assert len(sent) == 1
    assert [[*map(plain, hits)] for hits in together] == [[*map(plain, hits)] for hits in apart]
    assert store.both(QUERY, "the", 2, filters)[1] == []
    silent = made(redis_server.shared(), keyword_search=False)
    assert silent.both(QUERY, "green", 2, filters)[1] is None
    silent.close()


def _counted(store: Any) -> list[int]:
    """How many commands each round trip has from now on."""
    sent: list[int] = []
    connection, once = store._connection, store._connection._once

    def counting(commands: Any, **more: Any) -> Any:
        sent.append(len(commands))
        return once(commands, **more)

    connection._once = counting
    return sent


def memory_at(url: str, folder: Path) -> Memory:
    """A memory over a server, with its history in a folder."""
    return Memory.from_config(
        {
            "vector_store": {
                "provider": "redis",
                "config": {"redis_url": url, "scores": "similarity"},
            },
            "history_db_path": str(folder / "history.db"),
            "embedder": {"provider": "mock", "config": {"embedding_dims": DIMS}},
            "llm": {"provider": "mock"},
        }
    )


MOST = {
    "raw add": 1, "add of 10 facts": 4, "search": 2, "get": 1, "get_all": 1, "update": 5,
    "delete": 4,
}  # fmt: skip


def test_no_call_makes_more_round_trips_than_it_has_to(url: str, tmp_path: Path) -> None:
    memory = memory_at(url, tmp_path)
    facts = [{"text": f"Ana Silva met Tom Berg in town {number}"} for number in range(10)]
    memory.llm = ScriptedLLM([{"memory": facts}])
    ana = {"user_id": "ana"}
    sent = _counted(memory.vector_store)
    trips = {}

    def count(name: str, call: Any) -> Any:
        sent.clear()
        result = call()
        trips[name] = len(sent)
        return result

    added = count("raw add", lambda: memory.add("a note", infer=False, **ana))["results"][0]["id"]
    count("add of 10 facts", lambda: memory.add("said", **ana))
    count("search", lambda: memory.search("Where is Tom Berg?", filters=ana))
    count("get", lambda: memory.get(added))
    count("get_all", lambda: memory.get_all(filters=ana))
    count("update", lambda: memory.update(added, "Tom Berg is in town 3"))
    count("delete", lambda: memory.delete(added))
    memory.close()
    assert trips == MOST


def test_a_payload_that_is_replaced_keeps_nothing_of_the_old_one(store: Any) -> None:
    store.insert(vectors=VECTORS[2:3], payloads=[PAYLOADS[2]], ids=IDS[:1])
    store.insert(vectors=VECTORS[:1], payloads=[{"data": "x"}], ids=IDS[:1])
    assert store.get(IDS[0]).payload == {"data": "x"}
    assert store.search("", QUERY, 5, {"run_id": "r"}) == []
    store.update(IDS[0], payload={"data": "y", "agent_id": "b"})
    store.update(IDS[0], payload={"data": "z"})
    assert store.search("", QUERY, 5, {"agent_id": "b"}) == []


def test_a_vector_of_zeros_does_no_harm(store: Any) -> None:
    """It is as far from everything, and an index with one finds too little."""
    zeros = [0.0] * SMALL
    store.insert(vectors=[zeros, *VECTORS[1:]], payloads=PAYLOADS, ids=IDS)
    store.update(IDS[1], vector=zeros)
    found = store.search("", VECTORS[2], 10, {})
    assert [hit.id for hit in found] == IDS[2:]
    assert [*store.points("", 2)[1][2]] == zeros
    assert store.get(IDS[0]).payload == PAYLOADS[0]
    assert [hit.score for hit in store.search("", zeros, 3, {"user_id": "a"})] == [1.0] * 3
    store.update(IDS[0], vector=VECTORS[0])
    assert IDS[0] in [hit.id for hit in store.search("", QUERY, 10, {})]
    negative = [-0.0] * SMALL
    store.update(IDS[0], vector=negative)
    assert [hit.id for hit in store.search("", VECTORS[2], 10, {})] == IDS[2:]
    assert [hit.score for hit in store.search("", negative, 3, {"user_id": "a"})] == [1.0] * 3


# --- Failures --------------------------------------------------------------------------------


def test_an_index_that_is_never_filled_is_an_error(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isomem.stores import redis

    monkeypatch.setattr(redis, "FILLED_WITHIN_S", 0.05)
    monkeypatch.setattr(redis.asking, "is_filling", lambda about: True)
    with pytest.raises(VectorStoreError, match="still being filled"):
        store.list()


@pytest.mark.skipif(not RUNS_ALL, reason="takes ten seconds; part of `make engines`")
def test_a_server_that_restarts_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_calls.Connection, "first_wait_s", 0.05)
    server = redis_server.Server("--appendonly", "yes", "--appendfsync", "always")
    try:
        store = made(server.url, max_retries=8)
        store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
        server.kill()
        restarting = threading.Thread(target=server.start)
        restarting.start()
        assert [hit.id for hit in store.search("", QUERY, 3, {"user_id": "a"})]
        store.delete(IDS[0])
        restarting.join()
        assert len(store.list()[0]) == 5
        server.kill()
        with pytest.raises(VectorStoreError, match="ConnectionError"):
            store.get(IDS[1])
    finally:
        server.stop()


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    server = redis_server.Server("--requirepass", "s3cret")
    try:
        right = server.url.replace("unix://", "unix://:s3cret@")
        store = made(right)
        assert "s3cret" not in f"{store!r} {vars(store)['_connection']!r} {store.col_info()}"
        for wrong in (server.url, server.url.replace("unix://", "unix://:wr0ngpass@")):
            with pytest.raises(VectorStoreError, match="redis failed") as caught:
                made(wrong)
            assert "wr0ngpass" not in f"{caught.value} {caught.value.__cause__}"
            assert "password" in str(caught.value.suggestion)
        store.close()
    finally:
        server.stop()


def test_a_server_without_the_search_engine_says_what_is_missing() -> None:
    server = redis_server.Server(engine=False)
    try:
        with pytest.raises(VectorStoreError, match="unknown command") as caught:
            made(server.url)
        assert "search engine" in str(caught.value.suggestion)
    finally:
        server.stop()


@pytest.mark.parametrize("address", [None, "", "localhost:6379", "http://x", "redis://h:port"])
def test_an_address_that_is_none_is_refused(address: str | None) -> None:
    with pytest.raises(InvalidConfigError, match="redis_url"):
        made(address)  # type: ignore[arg-type]
