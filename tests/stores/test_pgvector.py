"""mem0's own class for pgvector and isomem share the tables of one database."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isomem import Memory
from isomem.errors import InvalidConfigError, ValidationError
from isomem.stores.pgvector import PgvectorStore
from isomem.types import SCOPE_KEYS
from tests.stores import server
from tests.stores.adapters import DIMS as SHARED_DIMS
from tests.stores.adapters import RUNS_ALL
from tests.stores.test_shared import STEPS, Pair, act

pytestmark = [
    pytest.mark.skipif(bool(server.without_pgvector()), reason=server.without_pgvector()),
    pytest.mark.filterwarnings("ignore"),
]

DIMS = 4
IDS = [f"7d8c1a44-0000-4000-8000-{number:012}" for number in range(6)]
PAYLOADS = [
    {"data": f"tea {number}", "text_lemmatized": f"tea number{number} common", "user_id": user}
    for number, user in enumerate("ababab")
]
VECTORS = [[1.0, number / 5, 0.0, 0.1] for number in range(6)]
QUERY = [1.0, 0.3, 0.0, 0.0]
FILTERS: list[dict[str, Any] | None] = [None, {"user_id": "a"}, {"user_id": "nobody"}]


def made(name: str, **more: Any) -> PgvectorStore:
    config = {"connection_string": server.shared().dsn("tests"), "collection_name": name}
    return PgvectorStore({**config, "embedding_model_dims": DIMS, **more})


@pytest.fixture
def theirs(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A collection of mem0's class."""
    pgvector = pytest.importorskip("mem0.vector_stores.pgvector")
    name = f"of_{request.getfixturevalue('writer')}"
    store = pgvector.PGVector(
        "tests", name, DIMS, None, None, None, None, False, True,
        connection_string=server.shared().dsn("tests"),
    )  # fmt: skip
    yield store
    store.connection_pool.close()


def seen(store: Any) -> dict[str, Any]:
    """What a store answers to everything that it can be asked."""
    answers: dict[str, Any] = {"get": [plain(store.get(each)) for each in IDS]}
    for filters in FILTERS:
        hits = store.list(filters=filters, top_k=100)[0]
        answers[f"list {filters}"] = [plain(hit) for hit in hits]
        found = store.search(query="", vectors=QUERY, top_k=4, filters=filters)
        answers[f"search {filters}"] = [plain(hit) for hit in found]
        for words in ("common", "tea number2", "nothing"):
            found = store.keyword_search(words, top_k=10, filters=filters)
            answers[f"{words} {filters}"] = sorted(map(repr, map(plain, found)))
    return answers


def plain(hit: Any) -> Any:
    return None if hit is None else (hit.id, hit.score, hit.payload)


@pytest.mark.oracle
@pytest.mark.parametrize("writer", ["isomem", "mem0"])
def test_what_one_writes_the_other_reads_changes_and_removes(theirs: Any, writer: str) -> None:
    """All answers are equal, scores and order included, whoever wrote."""
    ours = made(theirs.collection_name)
    one, other = (ours, theirs) if writer == "isomem" else (theirs, ours)
    one.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    assert seen(ours) == seen(theirs)
    other.update(IDS[0], vector=[0.0, 1.0, 0.0, 0.0], payload={**PAYLOADS[0], "data": "milk"})
    other.update(IDS[1], payload={"data": "cake", "user_id": "a"})
    assert seen(ours) == seen(theirs)
    other.delete(IDS[2])
    assert seen(ours) == seen(theirs)
    assert ours.get(IDS[2]) is None
    ours.close()


class PgvectorPair(Pair):
    """mem0's memory and isomem's over the same tables, in a schema of their own."""

    def section(self, folder: Path) -> dict[str, Any]:
        from tests.stores.pgvector_sides import Schema

        config = {"connection_string": Schema().dsn(), "embedding_model_dims": SHARED_DIMS}
        return {"provider": "pgvector", "config": config}

    def prepare(self, *, has_keywords: bool) -> None:
        """Nothing: keywords are the server's, in every tier."""

    def view(self, side: Any) -> list[Any]:
        """As there, but SQL leaves open in which order a table is listed."""
        return [sorted(each, key=str) for each in super().view(side)]

    def close(self) -> None:
        self.ours.close()
        for store in (self.theirs.vector_store, self.theirs._entity_store):
            if store is not None:
                store.connection_pool.close()
        self.theirs.close()


@pytest.mark.usefixtures("oracle")
@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(4 if RUNS_ALL else 1))
@pytest.mark.parametrize("tier", ["A", "B", "C"] if RUNS_ALL else ["A"])
def test_calls_of_both_in_any_order_leave_no_difference(
    tmp_path: Path, tier: str, seed: int
) -> None:
    from isomem_parity import tiers

    lacking = tiers.missing(tier)
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    pair, rng = PgvectorPair(tmp_path, tier), random.Random(seed)
    for _ in range(STEPS):
        act(pair.sides[rng.randrange(2)], rng)
        theirs, ours = pair.view(pair.theirs), pair.view(pair.ours)
        assert ours == theirs
    pair.close()


def test_a_lost_connection_is_not_noticed() -> None:
    store = made("lost")
    store.reset()
    for number in range(4):
        server.shared().do(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'isomem'"
        )
        if number % 2:
            store.insert(vectors=[VECTORS[number]], payloads=[PAYLOADS[number]], ids=[IDS[number]])
        else:
            assert len(store.list()[0]) == number // 2
    store.close()


def test_a_reset_of_one_process_fails_no_call_of_another() -> None:
    store, other = made("anew"), made("anew")
    store.reset()
    stop = threading.Event()
    faults: set[str] = set()

    def work() -> None:
        while not stop.is_set():
            try:
                other.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
                other.search(query="", vectors=QUERY, filters=FILTERS[1])
                other.list()
                other.batch([(IDS[0], PAYLOADS[0])], IDS[1:2])
                other.col_info()
            except Exception as fault:
                faults.add(repr(fault))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(15):
        store.reset()
        made("anew").close()
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join()
    assert not faults
    store.delete_col()
    store.close()
    other.close()


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(("scores", "unlike"), [("similarity", 0.0), ("distance", 1.0)])
def test_a_vector_of_zeros_does_no_harm(scores: str, unlike: float, exact: bool) -> None:
    """It is as far from everything, for PostgreSQL, too. An index has none."""
    store = made("zeros", scores=scores, exact=exact)
    store.reset()
    zeros = [0.0] * DIMS
    store.insert(vectors=[zeros, *VECTORS[1:]], payloads=PAYLOADS, ids=IDS)
    for filters in (None, {"user_id": "a"}, {"user_id": {"ne": "b"}}):
        expected = IDS[::2] if filters else IDS
        for found in (
            store.search("", zeros, 10, filters),
            store.search_batch(["", ""], [zeros, QUERY], 10, filters)[0],
        ):
            assert {hit.id for hit in found} | {IDS[0]} == {*expected}
            assert {hit.score for hit in found} == {unlike}
        near = {hit.id: hit.score for hit in store.search("", QUERY, 10, filters)}
        assert near.keys() | {IDS[0]} == {*expected}
        assert not exact or IDS[0] in near
        assert near.pop(IDS[0], unlike) == unlike
        assert unlike not in near.values()
    if exact:  # It is ranked by that, too, before what is farther.
        opposite = store.search("", [-number for number in VECTORS[1]], 10)
        scores_found = [hit.score for hit in opposite]
        assert scores_found == sorted(scores_found, reverse=scores != "distance")
    store.delete_col()
    store.close()


def test_without_exact_the_index_is_asked_as_by_mem0() -> None:
    """On a table that mem0 has made, it finds what mem0's statement finds.

    Plans are those of statements that were prepared, as both are after some calls.
    """
    psycopg = pytest.importorskip("psycopg")
    generic = "options='-c plan_cache_mode=force_generic_plan'"
    dsn, database = f"{server.shared().dsn('tests')} {generic}", server.shared()
    config = {"connection_string": dsn, "exact": False, "embedding_model_dims": 16}
    store = made("asked", **config)
    store.reset()
    for key in SCOPE_KEYS:
        database.do(f"DROP INDEX asked_{key}_idx", "tests")
    draw = random.Random(7)
    numbers = range(2_000)
    store.insert(
        vectors=[[draw.gauss(0, 1) for _ in range(16)] for _ in numbers],
        ids=[f"7d8c1a44-0000-4000-8000-{number:012}" for number in numbers],
        payloads=[{"data": "tea", "user_id": f"u{number % 20}"} for number in numbers],
    )
    database.do("VACUUM ANALYZE asked", "tests")
    query = [draw.gauss(0, 1) for _ in range(16)]
    found = store.search(query="", vectors=query, top_k=20, filters={"user_id": "u7"})
    sql = (
        "SELECT id::text, vector <=> %s::vector AS distance FROM asked"
        " WHERE payload->>'user_id' = %s ORDER BY distance LIMIT %s"
    )
    with psycopg.connect(dsn) as connection:
        theirs = [row[0] for row in connection.execute(sql, (str(query), "u7", 20))]
    assert [hit.id for hit in found] == theirs
    assert len(theirs) < 20
    store.close()


@pytest.mark.parametrize("value", [7, True, None, ["7"], {"a": "7"}])
def test_an_id_that_is_no_text_is_nobodys(value: object) -> None:
    store = made("typed")
    store.reset()
    store.insert(vectors=VECTORS[:1], payloads=[{"data": "x", "user_id": value}], ids=IDS[:1])
    for text in ("7", "true", "null", '["7"]', '{"a": "7"}'):
        assert store.list(filters={"user_id": text})[0] == []
        assert not store.search(query="", vectors=QUERY, filters={"user_id": text})
    store.close()


def test_a_memory_over_it_finds_the_nearest_first(tmp_path: Path) -> None:
    store = {
        "connection_string": server.shared().dsn("tests"),
        "collection_name": "nearest",
        "scores": "similarity",
    }
    memory = Memory.from_config(
        {
            "vector_store": {"provider": "pgvector", "config": store},
            "history_db_path": str(tmp_path / "history.db"),
            "embedder": {"provider": "mock", "config": {"embedding_dims": 32}},
            "llm": {"provider": "mock"},
        }
    )
    memory.reset()
    for text in ("green tea", "black coffee", "cold water"):
        memory.add(text, user_id="u", infer=False)
    found = memory.search("black coffee", filters={"user_id": "u"})["results"]
    assert found[0]["memory"] == "black coffee"
    memory.close()


@pytest.mark.parametrize(
    "odd", ["a\0b", "\ud800", float("nan"), [{"k": float("inf")}], {"a\0": 1}], ids=ascii
)
def test_what_jsonb_cannot_hold_is_refused_and_the_rest_is_not(odd: object) -> None:
    store = made("odd")
    store.reset()
    with pytest.raises(ValidationError, match="cannot store"):
        store.insert(vectors=[VECTORS[0]], payloads=[{"data": "x", "k": odd}], ids=[IDS[0]])
    fine = {"data": "NaN \\u0000 Infinity \\ud800 🗼"}
    store.insert(vectors=[VECTORS[0]], payloads=[fine], ids=[IDS[0]])
    [hit] = store.list()[0]
    assert hit.payload == fine
    store.close()


@pytest.mark.parametrize("name", ["what?", "x" * 53, "é" * 27])
def test_a_name_that_no_table_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidConfigError, match="cannot name a table"):
        made(name)


def test_a_collection_with_the_longest_name_and_its_entities_have_all_indexes() -> None:
    name = "é" * 26
    store = made(name)
    entities = store.beside(f"{name}_entities")
    for each in (store, entities):
        sql = f"SELECT indexdef FROM pg_indexes WHERE tablename = '{each.collection_name}'"
        found = [row[0].partition(" USING ")[2] for row in server.shared().do(sql, "tests")]
        keys = [f"btree (((payload ->> '{key}'::text)))" for key in SCOPE_KEYS]
        assert {"btree (id)", "hnsw (vector vector_cosine_ops)", *keys} < {*found}
        assert len(found) == 3 + len(keys)
        each.delete_col()
    store.close()


@pytest.mark.parametrize(("dims", "more"), [(3072, {}), (17_000, {"hnsw": False})])
def test_vectors_that_are_too_long_say_what_helps(dims: int, more: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfigError) as refused:
        made("long", embedding_model_dims=dims, **more)
    assert ("hnsw: False" in str(refused.value.suggestion)) == (not more)
    assert str(dims) in refused.value.message


def test_vectors_that_are_too_long_for_an_index_are_stored_without_one() -> None:
    store = made("long", embedding_model_dims=3072, hnsw=False)
    store.insert(vectors=[[1.0] * 3072], payloads=PAYLOADS[:1], ids=IDS[:1])
    store.close()
    again = made("long", embedding_model_dims=3072)  # The table is there, and needs no index.
    assert len(again.search(query="", vectors=[1.0] * 3072)) == 1
    again.delete_col()
    again.close()


def test_an_id_may_be_spelled_in_any_way() -> None:
    store = made("spelled")
    store.insert(vectors=VECTORS[:1], payloads=[{"data": "tea"}], ids=IDS[:1])
    for spelled in (f"urn:uuid:{IDS[0]}", IDS[0].upper(), f"{{{IDS[0]}}}"):
        hit = store.get(spelled)
        assert hit is not None
        assert hit.id == IDS[0]
    assert store.get("no id") is None
    store.delete_col()
    store.close()


# --- Words -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    ["tea " * 5_001, " ".join(f"w{n}" for n in range(20_000)), "tea \ud800"],
    ids=["long", "many words", "no Unicode"],
)
def test_a_query_that_the_server_cannot_read_is_searched_without_keywords(
    query: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = made("words")
    store.reset()
    store.insert(vectors=VECTORS[:2], payloads=PAYLOADS[:2], ids=IDS[:2])
    assert store.keyword_search(query, filters=FILTERS[1]) == []
    nearest, words = store.both(QUERY, query, 5, FILTERS[1])
    assert [hit.id for hit in nearest] == IDS[:1]
    assert words == []
    assert "without keywords" in caplog.text
    store.close()


def test_a_query_of_the_longest_has_keywords() -> None:
    store = made("words")
    store.reset()
    store.insert(vectors=VECTORS[:1], payloads=PAYLOADS[:1], ids=IDS[:1])
    a_b = {"data": "a-b", "text_lemmatized": "a-b"}
    store.insert(vectors=VECTORS[1:2], payloads=[a_b], ids=IDS[1:2])
    [once], [often] = (store.keyword_search(each) or () for each in ("tea", "tea " * 5_000))
    assert (once.id, once.score) == (often.id, often.score) == (IDS[0], once.score)
    [most] = store.keyword_search("a-b " * 5_000) or ()  # Of each, the server makes three words.
    assert most.id == IDS[1]
    store.close()


# --- What others have stored -----------------------------------------------------------------


@pytest.mark.parametrize("top_k", [1, 2, None])
def test_filters_on_keys_like_ours_find_what_has_them(top_k: int | None) -> None:
    """Their values are under other keys, and isomem decides."""
    store = made("like_ours")
    store.reset()
    payloads: list[dict[str, Any]] = [
        {"isomem_json": "x"},
        {"isomem_json:y": 3, "isomem_json": {"k": [1, 2]}},
        {"isomem_jsonl": "x", "n": 1e22},
        {"z": 1},
    ]
    stored = [{"user_id": "a", **payload} for payload in payloads]
    store.insert(vectors=VECTORS[:4], payloads=stored, ids=IDS[:4])
    for filters, numbers in (
        ({"isomem_json": "x"}, [0]),
        ({"isomem_json": True}, []),
        ({"isomem_json.k": 2}, [1]),
        ({'"isomem_json:y"': {"gt": 2}}, [1]),
        ({"isomem_jsonl": "x"}, [2]),
        ({"NOT": [{"isomem_json": "x"}]}, [1, 2, 3]),
        ({"OR": [{"z": 1}, {"isomem_jsonl": "x"}]}, [2, 3]),
        ({"AND": [{"OR": [{"isomem_json": "x"}]}]}, [0]),
    ):
        asked = {"user_id": "a", **filters}
        expected = {IDS[number] for number in numbers}
        listed = store.list(filters=asked, top_k=top_k)[0]
        found = store.search(query="", vectors=QUERY, top_k=top_k or 10, filters=asked)
        for hits in (listed, found):
            assert {hit.id for hit in hits} <= expected
            assert len(hits) == min(len(expected), top_k or 10)
    store.delete_col()
    store.close()


def test_a_payload_that_is_not_an_object_is_empty() -> None:
    store = made("no_objects")
    store.reset()
    store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    for name, payload in zip(IDS, ("[1, 2]", '"a text"', "5", "true", "null"), strict=False):
        sql = f"UPDATE no_objects SET payload = '{payload}' WHERE id = '{name}'"
        server.shared().do(sql, "tests")
    server.shared().do(f"UPDATE no_objects SET payload = NULL WHERE id = '{IDS[0]}'", "tests")
    expected: list[Any] = [{}] * 5 + PAYLOADS[5:]
    assert [payload for _, payload, _ in store.points("", 10)] == expected
    assert [store.payloads_of(IDS)[name] for name in IDS] == expected
    assert {hit.id: hit.payload for hit in store.list()[0]} == dict(zip(IDS, expected, strict=True))
    assert len(store.search(query="", vectors=QUERY, top_k=10)) == len(IDS)
    store.delete_col()
    store.close()


# --- Options ---------------------------------------------------------------------------------


def test_what_mem0s_configuration_has_is_accepted() -> None:
    """As a dump of its `PGVectorConfig` has it."""
    made("options", connection_pool=None, diskann=True).close()
    with pytest.raises(InvalidConfigError, match="connection_pool must be None"):
        made("options", connection_pool=object())


def test_an_address_that_cannot_be_read_is_named_as_it_was_given() -> None:
    with pytest.raises(InvalidConfigError, match="connection_string cannot be read") as refused:
        made("options", connection_string="nonsense")
    assert refused.value.details == {"key": "connection_string"}
