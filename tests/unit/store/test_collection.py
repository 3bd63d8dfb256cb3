"""One collection: what goes in comes out, in the right order, and never from another scope."""

from __future__ import annotations

import itertools
import math
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.errors import (
    DatabaseError,
    InvalidConfigError,
    MemoryCorruptionError,
    ValidationError,
    VectorStoreError,
    VectorValueError,
)
from isomem.store import cache, keywords, matrix, texts, uncompiled
from isomem.store.check import check
from isomem.store.codec import canonical_id
from isomem.store.reading import Point, Reader
from isomem.store.row_keys import SEQ_MASK
from isomem.text.terms import TermEncoder
from isomem.types import SCOPE_KEYS
from tests.unit.store import reference
from tests.unit.store.conftest import Opened
from tests.unit.store.fuzz import examples

Open = Callable[..., Opened]


def ids_of(points: Any) -> list[str]:
    return [point.id for point in points]


# --- In and out ------------------------------------------------------------------------------


def test_what_was_inserted_is_there_and_after_reopening_too(opened: Open) -> None:
    payload = {"user_id": "u", "data": "Tea", "deep": {"list": [1, 2.5, None, True, "é\0🗼"]}}
    one = opened()
    one.points.insert([[3.0, 4.0]], [payload], ["a"])
    for store in (one.points, opened().points):
        point = store.get("a")
        assert point is not None
        assert (point.id, point.payload, point.score) == ("a", payload, 0.0)
        assert store.vector_of(point) == pytest.approx([0.6, 0.8])
    assert list(payload) == list(point.payload)


def test_ids_and_payloads_may_be_left_out(opened: Open) -> None:
    points = opened().points
    points.insert([[1.0], [2.0]])
    assert [(point.id, point.payload) for point in points.list()[0]] == [("0", {}), ("1", {})]


def test_inserting_a_known_id_replaces_the_point(opened: Open) -> None:
    points = opened().points
    points.insert([[1.0, 0.0], [0.0, 1.0]], [{"data": "x", "k": 1}, {"data": "y"}], ["a", "b"])
    points.insert([[0.0, 1.0]], [{"data": "z"}], ["a"])
    (found, _) = points.search("", [0.0, 1.0])
    assert points.get("a").payload == {"data": "z"}  # type: ignore[union-attr]
    assert points.col_info()["points"] == 2
    assert ids_of(points.keyword_search("x") or ()) == []
    assert ids_of(points.keyword_search("z") or ()) == ["a"]
    assert found.score == pytest.approx(1.0)


def test_a_point_replaced_into_another_scope_is_found_there_alone(opened: Open) -> None:
    points = opened().points
    in_a, in_b = {"user_id": "a"}, {"user_id": "b"}
    points.insert([[1.0]], [in_a], ["x"])
    assert ids_of(points.search("", [1.0], filters=in_b)) == []  # Both scopes are cached now.
    assert ids_of(points.search("", [1.0], filters=in_a)) == ["x"]
    points.insert([[1.0]], [in_b], ["x"])
    assert ids_of(points.search("", [1.0], filters=in_b)) == ["x"]
    assert ids_of(points.search("", [1.0], filters=in_a)) == []


@pytest.mark.parametrize("given_id", [
    "6F9619FF-8B86-D011-B42D-00C04FC964FF", "6f9619ff8b86d011b42d00c04fc964ff",
    "{6f9619ff-8b86-d011-b42d-00c04fc964ff}", "urn:uuid:6F9619FF-8B86-D011-B42D-00C04FC964FF",
    uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff"),
])  # fmt: skip
def test_an_id_is_the_same_in_every_spelling(opened: Open, given_id: Any) -> None:
    points = opened().points
    points.insert([[1.0]], [{"data": "x"}], ["6f9619ff-8b86-d011-b42d-00c04fc964ff"])
    found = points.get(given_id)
    assert found is not None
    assert found.id == "6f9619ff-8b86-d011-b42d-00c04fc964ff"
    points.update(given_id, payload={"k": 1})
    points.delete(given_id)
    assert points.get(found.id) is None


def test_an_id_that_is_no_uuid_is_kept_as_it_is() -> None:
    assert [canonical_id(value) for value in ("Abc", 5, "", None)] == ["Abc", "5", "", "None"]


def test_what_has_a_field_is_found_in_its_scopes_damaged_payloads_included(opened: Open) -> None:
    one = opened()
    payloads = [
        {"user_id": "a", "until": "x"}, {"user_id": "a", "note": "until"}, {"user_id": "b"},
        {"user_id": "b", "until": None}, {"user_id": "c", "until": 1},
        {"user_id": "a", "k": {"until": 1}},
    ]  # fmt: skip
    one.points.insert([[1.0]] * 6, payloads, list("uvwxyz"))
    damaged = "UPDATE points SET payload = '{\"until\"' WHERE id = 'x'"
    with one.database.writing():
        one.database.execute(damaged)
    one.points.detach({"user_id": "c"})

    def having(*fields: str, **ids: str) -> dict[str, Any]:
        with one.database.reading():
            return dict(one.points.reader.having(fields, ids))

    assert having("until", user_id="a") == {"u": payloads[0], "v": payloads[1], "z": payloads[5]}
    assert having("until", user_id="b") == {"x": {}}
    assert having("until").keys() == {"u", "v", "x", "z"}
    assert having("k", "until", user_id="a").keys() == {"u", "v", "z"}
    assert having("other") == having("until", user_id="c") == {}


def test_a_payload_alone_overlays_key_by_key(opened: Open) -> None:
    points = opened().points
    points.insert([[1.0]], [{"a": 1, "b": 2}], ["x"])
    points.update("x", payload={"b": 3, "c": 4})
    assert points.get("x").payload == {"a": 1, "b": 3, "c": 4}  # type: ignore[union-attr]


def test_a_payload_alone_can_move_a_point_to_another_scope(opened: Open) -> None:
    points = opened().points
    points.insert([[1.0]], [{"user_id": "a"}], ["x"])
    assert ids_of(points.search("", [1.0], filters={"user_id": "a"})) == ["x"]
    assert ids_of(points.search("", [1.0], filters={"user_id": "b"})) == []
    points.update("x", payload={"user_id": "b"})
    assert ids_of(points.search("", [1.0], filters={"user_id": "a"})) == []
    assert ids_of(points.search("", [1.0], filters={"user_id": "b"})) == ["x"]


def test_a_vector_alone_replaces_the_vector(opened: Open) -> None:
    points = opened().points
    points.insert([[1.0, 0.0]], [{"user_id": "u", "data": "tea"}], ["x"])
    assert points.search("", [1.0, 0.0])[0].score == pytest.approx(1.0)
    points.update("x", vector=[0.0, 2.0])
    assert points.search("", [1.0, 0.0])[0].score == pytest.approx(0.0)
    assert points.get("x").payload == {"user_id": "u", "data": "tea"}  # type: ignore[union-attr]
    assert ids_of(points.keyword_search("tea") or ()) == ["x"]


def test_both_together_replace_or_make_the_point(opened: Open) -> None:
    points = opened().points
    points.update("x", vector=[1.0], payload={"data": "one"})
    points.update("x", vector=[1.0], payload={"other": 1})
    assert points.get("x").payload == {"other": 1}  # type: ignore[union-attr]


@pytest.mark.parametrize("change", [{"payload": {"a": 1}}, {"vector": [1.0]}, {}])
def test_half_an_update_needs_the_point(opened: Open, change: dict[str, Any]) -> None:
    points = opened().points
    with pytest.raises(KeyError):
        points.update("missing", **change)
    assert points.list()[0] == []


def test_deleting_what_is_not_there_does_nothing(opened: Open) -> None:
    points = opened().points
    points.insert([[1.0]], [{"data": "x"}], ["x"])
    points.delete("y")
    points.delete("x")
    points.delete("x")
    assert points.list()[0] == []


def test_payloads_read_together_are_those_read_one_by_one(opened: Open) -> None:
    one = opened()
    payloads = [{"user_id": user, "n": n} for n, user in enumerate("aaaab")]
    one.points.insert([[1.0, float(n)] for n in range(5)], payloads, list("vwxyz"))
    hits = [*one.points.search("", [1.0, 0.0], 9)]
    one.points.detach({"user_id": "b"})
    one.points.delete("w")
    one.database.connection.execute("UPDATE points SET payload = '{\"n' WHERE id = 'x'")
    assert hits[0].payload == payloads[0]  # It is not read again.
    asked: list[str] = []
    one.database.connection.exec_trace = lambda _, sql, __: not asked.append(sql)
    one.points.reader.read_payloads(hits)
    one.points.reader.read_payloads(hits[:2])
    assert sum("json_each" in sql for sql in asked) == 1
    asked.clear()
    found = {hit.id: hit.payload for hit in hits if hit.id != "x"}
    assert found == {"v": payloads[0], "w": {}, "y": payloads[3], "z": {}}
    assert not asked
    [damaged] = [hit for hit in hits if hit.id == "x"]
    with pytest.raises(MemoryCorruptionError):
        damaged.payload  # noqa: B018


def test_a_payload_is_gone_with_its_point_and_never_anothers(opened: Open) -> None:
    points = opened().points
    points.insert([[1.0]], [{"user_id": "a", "data": "mine"}], ["x"])
    found = points.search("", [1.0], filters={"user_id": "a"})[0]
    points.delete("x")
    points.insert([[1.0]], [{"user_id": "b", "data": "secret"}], ["y"])
    assert points.get("y").row_key != found.row_key  # type: ignore[union-attr]
    assert found.payload == {}
    assert points.vector_of(found) == ()


def test_reset_empties_the_collection_and_no_other(opened: Open) -> None:
    one = opened()
    one.points.insert([[1.0]], [{"data": "tea", "user_id": "u"}], ["x"])
    one.entities.insert([[1.0]], [{"linked_memory_ids": ["x"], "user_id": "u"}], ["e"])
    one.points.search("", [1.0], filters={"user_id": "u"})
    one.points.reset()
    assert one.points.search("", [1.0], filters={"user_id": "u"}) == []
    assert one.points.keyword_search("tea") == []
    assert one.entities.get("e").payload["linked_memory_ids"] == ["x"]  # type: ignore[union-attr]
    one.entities.delete_col()
    assert one.database.rows("SELECT count(*) FROM linked_memories") == [(0,)]


def test_collections_of_one_file_do_not_mix(opened: Open) -> None:
    one = opened()
    one.points.insert([[1.0]], [{"user_id": "u", "data": "tea"}], ["x"])
    one.entities.insert([[1.0]], [{"user_id": "u"}], ["x"])
    assert one.points.list_cols() == ["mem0", "mem0_entities"]
    assert one.entities.col_info() == {
        "name": "mem0_entities", "dims": 1, "distance": "cosine", "embedder": None, "points": 1,
    }  # fmt: skip
    one.entities.delete("x")
    assert ids_of(one.points.search("", [1.0], filters={"user_id": "u"})) == ["x"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (([[1.0]], [{}], ["a", "b"]), VectorStoreError),
        (([[1.0], [2.0]], [{}], ["a", "b"]), VectorStoreError),
        (([[1.0, 2.0], [1.0]], [{}, {}], ["a", "b"]), VectorValueError),
        (([[1.0], [float("nan")]], [{}, {}], ["a", "b"]), VectorValueError),
        (([[1.0], [float("inf")]], [{}, {}], ["a", "b"]), VectorValueError),
        (([[1.0], []], [{}, {}], ["a", "b"]), VectorValueError),
        (([[1.0], [1.0]], [{}, {"x": object()}], ["a", "b"]), ValidationError),
        (([[1.0], [1.0]], [{"data": "tea"}, {"user_id": 5}], ["a", "b"]), VectorStoreError),
    ],
)
def test_an_insert_is_whole_or_not_there(
    opened: Open, arguments: Any, error: type[Exception]
) -> None:
    one = opened()
    one.points.search("", [1.0])  # The empty scope is in the cache.
    with pytest.raises(error):
        one.points.insert(*arguments)
    assert one.points.list()[0] == []
    assert one.points.col_info()["dims"] is None
    assert reference.stored_counts(one.database, "mem0") == (0, {})
    one.points.insert([[1.0, 2.0]], [{"data": "tea"}], ["a"])
    assert ids_of(one.points.search("", [1.0, 2.0])) == ["a"]


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ([1.0, 2.0], "expected dim: 3, got 2"),
        ([], "must not be empty"),
        ([1.0, float("nan"), 2.0], "contains NaN values"),
        ([1.0, float("-inf"), 2.0], "contains infinite values"),
    ],
)
def test_a_bad_query_vector_is_refused(opened: Open, vector: Any, message: str) -> None:
    points = opened(dims=3).points
    with pytest.raises(VectorValueError, match=message):
        points.search("", vector)


def test_a_zero_vector_can_be_stored_and_is_similar_to_nothing(opened: Open) -> None:
    points = opened().points
    points.insert([[0.0, 0.0]], [{}], ["zero"])
    assert points.search("", [1.0, 0.0])[0].score == 0.0
    assert points.search("", [0.0, 0.0])[0].score == 0.0


# --- Searching -------------------------------------------------------------------------------

_numbers = st.floats(-10, 10, width=32).map(lambda number: round(number, 3))
_vectors = st.lists(_numbers, min_size=4, max_size=4).filter(any)
_users = st.sampled_from(("u", "u1", "u11", None))


@examples(80)
@given(
    st.lists(st.tuples(_vectors, _users), max_size=12),
    _vectors,
    st.integers(0, 14),
    st.booleans(),
)
def test_search_is_the_brute_force_answer(
    stored: Any, query: Any, top_k: int, scoped: bool
) -> None:
    one = Opened(":memory:")
    names = [f"p{number}" for number in range(len(stored))]
    payloads = [{"user_id": user} if user else {} for _, user in stored]
    one.points.insert([vector for vector, _ in stored], payloads, names)
    scope = {"user_id": "u1"} if scoped else {}
    known = {
        name: (vector, payload)
        for name, (vector, _), payload in zip(names, stored, payloads, strict=True)
    }
    expected = reference.nearest(known, query, scope)
    hits = one.points.search("", query, top_k, scope)
    assert len(hits) == min(top_k, len(expected))
    for hit in hits:
        assert hit.score == pytest.approx(expected[hit.id], abs=2e-6)
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    left_out = set(expected) - {hit.id for hit in hits}
    assert all(expected[name] <= scores[-1] + 2e-6 for name in left_out if scores)
    one.close()


def test_of_equal_points_the_later_one_comes_first(opened: Open) -> None:
    points = opened().points
    names = ["c", "a", "d", "b"]
    points.insert([[1.0, 2.0]] * 4, [{"data": "tea"}] * 4, names)
    assert ids_of(points.search("", [1.0, 0.0])) == ["b", "d", "a", "c"]
    assert ids_of(points.keyword_search("tea") or ()) == ["b", "d", "a", "c"]


def test_a_list_is_in_the_order_of_ids_and_as_long_as_asked(opened: Open) -> None:
    points = opened().points
    names = [f"{number:02}" for number in range(30)]
    points.insert([[1.0]] * 30, [{"n": number} for number in range(30)], names[::-1])
    assert ids_of(points.list()[0]) == names
    assert ids_of(points.list(top_k=None)[0]) == names
    for top_k in (0, -1):
        with pytest.raises(ValueError, match="Must be 1 or larger"):
            points.list(top_k=top_k)
    assert ids_of(points.list(top_k=3)[0]) == names[:3]
    # By SQL and by Python: payloads count down.
    assert ids_of(points.list({"n": {"lt": 10}}, top_k=2)[0]) == ["20", "21"]
    assert ids_of(points.list({"n": {"ne": 29}}, top_k=2)[0]) == ["01", "02"]


def test_conditions_narrow_every_kind_of_search(opened: Open) -> None:
    points = opened().points
    payloads = [{"user_id": "u", "data": "tea", "n": n} for n in range(6)]
    points.insert([[1.0, float(n)] for n in range(6)], payloads, list("abcdef"))
    for filters in ({"n": {"gte": 2, "lt": 4}}, {"n": {"nin": [0, 1, 4, 5]}}):
        filters = {"user_id": "u", **filters}  # noqa: PLW2901
        assert sorted(ids_of(points.search("", [1.0, 0.0], 10, filters))) == ["c", "d"]
        assert sorted(ids_of(points.keyword_search("tea", 10, filters) or ())) == ["c", "d"]
        assert ids_of(points.list(filters)[0]) == ["c", "d"]
    assert points.search("", [1.0, 0.0], 10, {"user_id": "v", "n": 1}) == []


def test_a_batch_is_one_search_for_each_vector(opened: Open) -> None:
    points = opened().points
    points.insert([[1.0, 0.0], [0.0, 1.0]], [{}, {}], ["x", "y"])
    answers = points.search_batch(["", ""], [[1.0, 0.1], [0.1, 1.0]], top_k=1)
    assert [ids_of(answer) for answer in answers] == [["x"], ["y"]]
    assert points.search_batch([], []) == []


def test_keyword_search_can_be_off(opened: Open) -> None:
    points = opened(keywords=False).points
    points.insert([[1.0]], [{"data": "tea"}], ["x"])
    assert points.keyword_search("tea") is None


def test_keyword_search_turned_on_later_finds_what_was_there(opened: Open) -> None:
    opened(keywords=False).points.insert(
        [[1.0], [1.0], [1.0]],
        [{"data": "green tea"}, {"text_lemmatized": "drink tea", "data": "no"}, {"k": 1}],
        ["x", "y", "z"],
    )
    one = opened()
    assert set(ids_of(one.points.keyword_search("tea") or ())) == {"x", "y"}
    texts = {"x": "green tea", "y": "drink tea"}
    assert reference.stored_counts(one.database, "mem0") == reference.counts(texts)


def test_keywords_are_indexed_anew_under_other_rules(opened: Open) -> None:
    opened().points.insert([[1.0]], [{"data": "the houses"}], ["x"])
    one = opened(keywords=TermEncoder("english", []))
    assert ids_of(one.points.keyword_search("the") or ()) == ["x"]
    off = opened(keywords=False)
    off.points.insert([[1.0]], [{"data": "the house"}], ["y"])
    again = opened(keywords=TermEncoder("english", []))
    assert set(ids_of(again.points.keyword_search("the") or ())) == {"x", "y"}


def test_a_payload_alone_leaves_the_terms_of_the_last_full_write(opened: Open) -> None:
    one = opened()
    one.points.insert([[1.0]], [{"data": "tea"}], ["x"])
    one.points.update("x", payload={"data": "coffee"})
    assert ids_of(one.points.keyword_search("tea") or ()) == ["x"]
    assert ids_of(one.points.keyword_search("coffee") or ()) == []
    one.points.delete("x")
    assert reference.stored_counts(one.database, "mem0") == (0, {})


# --- Scopes ----------------------------------------------------------------------------------

_ids = st.sampled_from(("u", "u1", "u%", "u_", "U", "u'", "ü", "*", "u\0", ""))
_scopes = st.fixed_dictionaries({}, optional=dict.fromkeys(SCOPE_KEYS, _ids))


@examples(120)
@given(st.lists(_scopes, max_size=8), st.lists(_scopes, min_size=1, max_size=4), st.data())
def test_a_search_sees_its_scope_and_nothing_else(
    stored: list[dict[str, str]], asked: list[dict[str, str]], data: st.DataObject
) -> None:
    one = Opened(":memory:")
    names = [f"p{number}" for number in range(len(stored))]
    for name, scope in zip(names, stored, strict=True):
        for filters in data.draw(st.lists(st.sampled_from(asked), max_size=2)):
            one.points.search("", [1.0], 50, filters)  # Fills the cache in between.
        one.points.insert([[1.0]], [{**scope, "data": "tea"}], [name])
    for filters in asked:
        expected = {
            name
            for name, scope in zip(names, stored, strict=True)
            if reference.in_scope(scope, filters)
        }
        assert set(ids_of(one.points.search("", [1.0], 50, filters))) == expected
        assert set(ids_of(one.points.keyword_search("tea", 50, filters) or ())) == expected
        assert set(ids_of(one.points.list(filters, 50)[0])) == expected
    one.close()


@pytest.mark.parametrize("key", SCOPE_KEYS)
def test_an_id_that_is_no_text_is_refused(opened: Open, key: str) -> None:
    points = opened().points
    for value in (5, ["u"], {"u": 1}, True):
        with pytest.raises(VectorStoreError, match=f"{key} must be a string"):
            points.insert([[1.0]], [{key: value}], ["x"])
    points.insert([[1.0]], [{key: None}], ["x"])
    with pytest.raises(VectorStoreError, match=f"{key} must be a string"):
        points.update("x", payload={key: 5})
    assert points.get("x").payload == {key: None}  # type: ignore[union-attr]


# --- The cache -------------------------------------------------------------------------------


def test_the_cache_holds_no_more_than_its_bound(opened: Open) -> None:
    bound = 50_000
    one = opened(cache_bytes=bound)
    scopes = [{"user_id": f"u{number}"} for number in range(40)]
    for scope in itertools.chain(scopes, scopes):
        one.points.insert([[0.5] * 100] * 5, [scope] * 5, [str(uuid.uuid4()) for _ in range(5)])
        assert len(one.points.search("", [0.5] * 100, 50, scope)) in {5, 10}
        held = one.cache._scopes.values()
        assert sum(len(each.vectors._numbers) for each in held) <= bound
        assert sum(each.size_bytes for each in held) <= bound
    assert one.cache._scopes
    everything = one.points.search("", [0.5] * 100, 1000)  # Larger than the bound alone.
    assert len(everything) == 400


def test_a_scope_that_is_too_large_for_the_cache_is_read_once_per_search(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened(cache_bytes=0)
    one.points.insert([[1.0, 0.0]] * 2, [{"data": "tea"}] * 2, ["a", "b"])
    loads = []
    load = Reader._load_scope
    monkeypatch.setattr(
        Reader,
        "_load_scope",
        lambda *given: loads.append(given[2]) or load(*given),  # type: ignore[func-returns-value]
    )
    nearest = one.points.search("", [1.0, 0.0], 5)
    assert ids_of(nearest) == ids_of(one.points.keyword_search("tea", 5) or ()) == ["b", "a"]
    assert len(loads) == 1
    one.points.insert([[1.0, 0.0]], [{"data": "tea"}], ["c"])
    assert ids_of(one.points.keyword_search("tea", 5) or ()) == ["c", "b", "a"]
    one.points.delete("b")
    nearest = one.points.search("", [1.0, 0.0], 5)
    opened().points.update("a", payload={"data": "coffee"}, vector=[0.0, 1.0])
    assert ids_of(one.points.keyword_search("coffee", 5) or ()) == ["a"]
    assert len(loads) == 4
    del nearest
    assert one.points.search("", [1.0, 0.0], 5)
    assert len(loads) == 5
    assert not any(held() for held in one.cache._too_large.values())


def test_a_cached_scope_that_grows_beyond_the_bound_is_let_go(opened: Open) -> None:
    one = opened(cache_bytes=5_000)
    scope = {"user_id": "u"}
    one.points.insert([[0.5] * 100], [scope], ["x"])
    one.points.search("", [0.5] * 100, 5, scope)
    assert len(one.cache._scopes) == 1
    one.points.insert([[0.5] * 100] * 20, [scope] * 20, list(map(str, range(20))))
    assert not one.cache._scopes
    assert len(one.points.search("", [0.5] * 100, 50, scope)) == 21


def test_a_cache_of_no_size_holds_nothing(opened: Open) -> None:
    one = opened(cache_bytes=0)
    one.points.insert([[1.0]], [{"user_id": "u"}], ["x"])
    assert ids_of(one.points.search("", [1.0], 5, {"user_id": "u"})) == ["x"]
    assert one.points.search("", [1.0], 5, {"user_id": "unknown"}) == []
    assert one.cache._scopes == {}


def test_scopes_without_points_are_evicted_too(opened: Open) -> None:
    one = opened(cache_bytes=20_000)
    for number in range(50):
        assert one.points.search("", [1.0], 5, {"user_id": f"unknown{number}"}) == []
    assert 0 < len(one.cache._scopes) <= 20


def test_the_scope_used_longest_ago_goes_first(opened: Open) -> None:
    one = opened(cache_bytes=4_000)
    for user in ("a", "b", "c"):
        one.points.insert([[0.5] * 100], [{"user_id": user}], [user])
    for user in ("a", "b", "a", "c"):
        one.points.search("", [0.5] * 100, 5, {"user_id": user})
    assert [key[1] for key in one.cache._scopes] == ["a", "c"]


def test_a_first_vector_after_an_empty_search_is_found(opened: Open) -> None:
    one = opened()
    assert one.points.search("", [1.0, 2.0], 5, {"user_id": "u"}) == []
    one.points.insert([[1.0, 2.0]], [{"user_id": "u"}], ["x"])
    assert ids_of(one.points.search("", [1.0, 2.0], 5, {"user_id": "u"})) == ["x"]


def test_a_rolled_back_insert_is_in_no_search(opened: Open) -> None:
    one = opened()
    scope = {"user_id": "u"}
    one.points.insert([[1.0]], [{**scope, "data": "tea"}], ["x"])
    one.points.search("", [1.0], 5, scope)
    with pytest.raises(ZeroDivisionError), one.points.atomic():
        one.points.insert([[1.0]], [{**scope, "data": "tea"}], ["y"])
        one.points.delete("x")
        assert ids_of(one.points.search("", [1.0], 5, scope)) == ["y"]
        raise ZeroDivisionError
    assert ids_of(one.points.search("", [1.0], 5, scope)) == ["x"]
    assert ids_of(one.points.keyword_search("tea", 5, scope) or ()) == ["x"]


def test_an_inner_block_that_fails_undoes_its_own_part(opened: Open) -> None:
    one = opened()
    with one.points.atomic():
        one.points.insert([[1.0]], [{"user_id": "u"}], ["kept"])
        one.points.search("", [1.0], 5, {"user_id": "u"})
        with pytest.raises(ZeroDivisionError), one.points.atomic():
            one.points.insert([[1.0]], [{"user_id": "u"}], ["undone"])
            raise ZeroDivisionError
        assert ids_of(one.points.search("", [1.0], 5, {"user_id": "u"})) == ["kept"]
    assert ids_of(opened().points.search("", [1.0], 5, {"user_id": "u"})) == ["kept"]


def test_threads_share_one_store(opened: Open) -> None:
    one = opened(cache_bytes=30_000)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        scope = {"user_id": f"u{number % 3}"}
        try:
            for turn in range(25):
                name = f"{number}-{turn}"
                one.points.insert([[1.0] * 20], [{**scope, "data": "tea", "by": number}], [name])
                hits = one.points.search("", [1.0] * 20, 500, scope)
                assert name in ids_of(hits)
                # A payload is empty once its point is gone.
                seen = {hit.payload.get("user_id", scope["user_id"]) for hit in hits[:3]}
                assert seen == {scope["user_id"]}
                if turn % 5 == 4:
                    one.points.delete(name)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert one.points.col_info()["points"] == 8 * 20
    assert reference.stored_counts(one.database, "mem0")[0] == 8 * 20


# --- Embedders -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"dims": 3, "embedder": "one"}, {"dims": 3, "embedder": "two"}),
        ({"dims": 3, "embedder": "one"}, {"dims": 4, "embedder": "one"}),
        ({"dims": 3}, {"dims": 4}),
    ],
)
def test_another_embedder_is_refused_with_both_named(
    opened: Open, path: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    opened(**first).points.insert([[1.0, 2.0, 3.0]], [{"data": "x"}], ["x"])
    with pytest.raises(InvalidConfigError) as caught:
        opened(**second)
    for fact in (
        first.get("embedder"),
        second.get("embedder"),
        first["dims"],
        second["dims"],
        path,
    ):
        assert str(fact or "an unnamed embedder") in caught.value.message
    assert caught.value.suggestion
    assert opened(**first).points.get("x") is not None


def test_an_empty_file_takes_any_embedder_and_so_does_one_that_was_reset(opened: Open) -> None:
    opened(dims=3, embedder="one")
    one = opened(dims=2, embedder="two")
    one.points.insert([[1.0, 2.0]], [{}], ["x"])
    one.points.reset()
    three = opened(dims=4, embedder="three")
    assert three.points.col_info()["embedder"] == "three"
    three.points.insert([[1.0] * 4], [{}], ["x"])


def test_an_unnamed_embedder_takes_what_the_file_has(opened: Open) -> None:
    opened(dims=2, embedder="one").points.insert([[1.0, 2.0]], [{}], ["x"])
    assert opened().points.col_info()["embedder"] == "one"
    with pytest.raises(VectorValueError):
        opened().points.insert([[1.0]], [{}], ["y"])


def test_the_first_vector_sets_the_length_for_every_connection(opened: Open) -> None:
    one, other = opened(), opened()
    one.points.insert([[1.0, 2.0]], [{}], ["x"])
    with pytest.raises(VectorValueError):
        other.points.insert([[1.0]], [{}], ["y"])
    assert ids_of(other.points.search("", [1.0, 2.0])) == ["x"]


# --- Entities --------------------------------------------------------------------------------


def test_an_entity_shows_its_links_in_their_order_and_place(opened: Open) -> None:
    entities = opened().entities
    payload = {"data": "Ana", "linked_memory_ids": ["m2", "m1", "m3"], "user_id": "u"}
    entities.insert([[1.0]], [payload], ["e"])
    found = entities.search("", [1.0])[0].payload
    assert found == payload
    assert list(found) == list(payload)
    assert entities.list()[0][0].payload == payload
    for asked, is_found in (("m1", True), ("m9", False)):
        assert bool(entities.list({"linked_memory_ids": asked})[0]) is is_found


def test_the_entities_of_a_memory_are_found_by_its_links(opened: Open) -> None:
    entities = opened().entities
    entities.insert(
        [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
        [{"linked_memory_ids": ["m1", "m2"]}, {"linked_memory_ids": ["m1"]}, {"data": "none"}],
        ["both", "one", "free"],
    )
    assert [entity.id for entity in entities.linked_to("m1")] == ["both", "one"]
    assert [entity.payload for entity in entities.linked_to("m2")] == [
        {"linked_memory_ids": ["m1", "m2"]}
    ]
    assert entities.linked_to("unknown") == []
    entities.delete("both")
    assert entities.database.rows("SELECT memory_id FROM linked_memories") == [("m1",)]


_LINKED = st.lists(st.sampled_from("abc"), max_size=3)
_CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["insert", "update", "replace", "move", "delete"]),
        st.sampled_from(["e1", "e2"]),
        _LINKED,
    ),
    max_size=8,
)


@given(_CHANGES)
def test_the_links_are_those_of_the_payloads(changes: list[tuple[str, str, list[str]]]) -> None:
    one = Opened(":memory:")
    entities = one.entities
    for change, name, linked in changes:
        if change == "insert":
            entities.insert([[1.0]], [{"linked_memory_ids": linked, "user_id": "u"}], [name])
        elif change == "delete":
            entities.delete(name)
        elif entities.get(name):
            payload = {"linked_memory_ids": linked, "user_id": "v" if change == "move" else "u"}
            vector = [1.0] if change == "replace" else None
            entities.update(name, vector=vector, payload=payload)
    points = entities.list()[0]
    assert sorted(
        entities.database.rows("SELECT entity, memory_id FROM linked_memories")
    ) == sorted((point.row_key, memory) for point in points for memory in linked_in(point))
    for memory in "abc":
        assert [each.id for each in entities.linked_to(memory)] == [
            point.id
            for point in sorted(points, key=lambda point: point.row_key & SEQ_MASK)
            if memory in linked_in(point)
        ]
    one.close()


def linked_in(point: Point) -> list[str]:
    linked: list[str] = point.payload["linked_memory_ids"]
    return linked


def test_new_links_replace_the_old_ones(opened: Open) -> None:
    entities = opened().entities
    entities.insert([[1.0]], [{"linked_memory_ids": ["m1"], "user_id": "u"}], ["e"])
    entities.update("e", payload={"linked_memory_ids": ["m1", "m2"]})
    assert entities.get("e").payload == {  # type: ignore[union-attr]
        "linked_memory_ids": ["m1", "m2"], "user_id": "u",
    }  # fmt: skip
    entities.update("e", payload={"linked_memory_ids": []})
    assert entities.database.rows("SELECT * FROM linked_memories") == []
    entities.delete("e")


# --- The rest --------------------------------------------------------------------------------


def test_a_closed_file_says_so(opened: Open, path: Path) -> None:
    one = opened()
    one.close()
    one.close()
    with pytest.raises(DatabaseError, match="is closed") as caught:
        one.points.list()
    assert str(path) in caught.value.message
    assert caught.value.suggestion


def test_a_point_prints_what_it_is(opened: Open) -> None:
    assert repr(Point(opened().points, 1, "x", 0.5)) == "Point(id='x', score=0.5)"


# --- Row keys and insertions ---------------------------------------------------------------------


def test_points_of_a_scope_stand_together_in_insertion_order(opened: Open) -> None:
    one = opened()
    users = ["a", "b", "a", "c", "b", "a"]
    for number, user in enumerate(users):
        one.points.insert([[1.0]], [{"user_id": user}], [f"{user}{number}"])
    rows = one.database.rows("SELECT id FROM points ORDER BY row_key")
    assert [row[0] for row in rows] == ["a0", "a2", "a5", "b1", "b4", "c3"]
    # Over several scopes the one inserted later is first among equals, too.
    assert ids_of(one.points.search("", [1.0], 6)) == ["a5", "b4", "c3", "a2", "b1", "a0"]


def test_an_id_leaves_the_file_with_the_last_point_of_its_scope(path: Path, opened: Open) -> None:
    one = opened(synchronous="off")
    for name in ("x", "y"):
        one.points.insert([[1.0]], [{"user_id": "forget-me", "data": "tea"}], [name])
    one.points.delete("x")
    assert one.database.rows("SELECT user_id FROM scopes") == [("forget-me",)]
    one.points.delete("y")
    assert one.database.rows("SELECT * FROM scopes") == []
    one.points.insert([[1.0]], [{"user_id": "forget-me"}], ["z"])
    assert ids_of(one.points.search("", [1.0], 5, {"user_id": "forget-me"})) == ["z"]


def test_a_point_that_changes_its_scope_keeps_its_place_in_the_order(opened: Open) -> None:
    one = opened()
    for name in ("x", "y", "z"):
        one.points.insert([[1.0]], [{"user_id": "a", "data": "tea"}], [name])
    one.points.update("y", payload={"user_id": "b"})
    assert ids_of(one.points.search("", [1.0], 5)) == ["z", "y", "x"]
    assert ids_of(one.points.search("", [1.0], 5, {"user_id": "b"})) == ["y"]
    assert ids_of(one.points.keyword_search("tea", 5, {"user_id": "a"}) or ()) == ["z", "x"]


def test_no_order_of_arrival_is_given_out_twice(opened: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(keywords, "COUNTED_EVERY", 3)
    one = opened()
    seen = set()
    for number in range(10):
        one.points.insert([[1.0]], [{"data": "tea"}], [str(number)])
        (row_key,) = one.database.rows("SELECT max(row_key) FROM points")[0]
        seen.add(row_key)
        if number % 2:
            one.points.delete(str(number))
        if number == 6:
            one.points.reset()
    assert len(seen) == 10


def test_counted_and_uncounted_texts_weigh_alike(opened: Open, monkeypatch: Any) -> None:
    found = []
    for every in (1, 3, 512):
        monkeypatch.setattr(keywords, "COUNTED_EVERY", every)
        points = opened(":memory:").points
        for number in range(8):
            points.insert([[1.0]], [{"data": f"tea {'green ' * (number % 3)}"}], [str(number)])
        points.delete("2")
        points.update("4", vector=[1.0], payload={"data": "green"})
        hits = points.keyword_search("green tea", 10) or ()
        found.append([(hit.id, hit.score) for hit in hits])
    assert found[0] == found[1] == found[2]


def test_a_block_is_not_kept_when_a_part_of_it_failed_half_way(opened: Open) -> None:
    one = opened()

    def insert_two() -> None:
        one.points.insert([[1.0], [math.nan]], [{}, {}], ["half", "bad"])

    with pytest.raises(DatabaseError, match="had to undo"), one.points.atomic():
        one.points.insert([[1.0]], [{}], ["first"])
        with pytest.raises(VectorValueError):
            insert_two()
    assert ids_of(one.points.list()[0]) == []
    with one.points.atomic():
        one.points.insert([[1.0]], [{}], ["first"])
        with pytest.raises(VectorValueError), one.points.atomic():
            insert_two()
    assert ids_of(one.points.list()[0]) == ["first"]


def test_updates_alone_do_not_pile_up_insertions(opened: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(keywords, "COUNTED_EVERY", 4)
    one = opened()
    one.points.insert([[1.0]], [{"data": "tea"}], ["x"])
    for number in range(20):
        one.points.update("x", vector=[1.0], payload={"data": f"tea {number}"})
    assert one.database.rows("SELECT count(*) FROM insertions")[0][0] <= 4
    assert reference.stored_counts(one.database, "mem0") == reference.counts({"x": "tea 19"})


# --- Ties ------------------------------------------------------------------------------------

FAMILY: list[dict[str, Any]] = [
    {"user_id": "u"}, {"user_id": "u", "agent_id": "a"}, {"user_id": "u", "run_id": "r"},
    {"user_id": "u", "agent_id": "a", "run_id": "r"},
]  # fmt: skip


@examples(30)
@given(
    places=st.lists(st.sampled_from(FAMILY), min_size=2, max_size=12),
    changes=st.lists(st.tuples(st.integers(0, 11), st.sampled_from(FAMILY)), max_size=6),
    cached=st.booleans(),
    top_k=st.integers(1, 12),
)
def test_equal_scores_go_by_insertion_over_all_scopes_whatever_was_updated_or_moved(
    places: list[dict[str, Any]],
    changes: list[tuple[int, dict[str, Any]]],
    cached: bool,
    top_k: int,
) -> None:
    one = Opened(":memory:", cache_bytes=10**6 if cached else 0)
    for number, scope in enumerate(places):
        one.points.insert([[0.6, 0.8]], [{**scope, "data": "tea"}], [f"p{number}"])
        one.points.search("", [0.6, 0.8], filters={"user_id": "u"})
    for number, scope in changes:
        if number < len(places):
            one.points.update(f"p{number}", payload=scope)
            one.points.update(f"p{number}", [0.6, 0.8], {**scope, "data": "tea"})
    latest_first = [f"p{number}" for number in range(len(places))][::-1][:top_k]
    found = one.points.search("", [0.6, 0.8], top_k, {"user_id": "u"})
    worded = one.points.keyword_search("tea", top_k, {"user_id": "u"})
    assert ids_of(found) == latest_first
    assert ids_of(worded) == latest_first
    one.close()


# --- Damage ----------------------------------------------------------------------------------


def damage(one: Opened, column: str, values: dict[str, Any]) -> None:
    with one.database.writing() as database:
        for name, value in values.items():
            database.execute(f"UPDATE points SET {column} = ? WHERE id = ?", (value, name))


@pytest.mark.parametrize("lengths", [(1, 3), (3, 1), (1, 1), (3, 3), (0, 4)])
@pytest.mark.parametrize("at_once", [1, 100])
def test_vectors_of_wrong_lengths_are_damage_even_where_they_cancel_out(
    opened: Open, monkeypatch: pytest.MonkeyPatch, lengths: tuple[int, int], at_once: int
) -> None:
    monkeypatch.setattr("isomem.store.reading._ROWS_AT_ONCE", at_once)
    one = opened()
    one.points.insert([[1.0, 0.0]] * 3, [{"user_id": "u"}] * 3, ["a", "b", "c"])
    damage(one, "vector", dict(zip("ab", (bytes(4 * each) for each in lengths), strict=True)))
    with pytest.raises(MemoryCorruptionError, match="vector"):
        opened().points.search("", [1.0, 0.0], filters={"user_id": "u"})
    for name in "ab":
        one.points.delete(name)
    assert ids_of(opened().points.search("", [1.0, 0.0])) == ["c"]


@pytest.mark.parametrize(("column", "value"), [
    ("vector", "text"), ("vector", 7), ("vector", b"\x00" * 7), ("terms", b"\x00" * 7),
    ("terms", "text"),
])  # fmt: skip
def test_numbers_of_wrong_types_are_damage_that_names_its_point(
    opened: Open, column: str, value: Any
) -> None:
    one = opened()
    one.points.insert([[1.0, 0.0]] * 2, [{"data": "tea"}] * 2, ["a", "b"])
    damage(one, column, {"b": value})
    with pytest.raises(MemoryCorruptionError, match="damaged") as caught:
        opened().points.search("", [1.0, 0.0])
    assert "b" in caught.value.details["id"]


DAMAGED = ["", "{", "null", "[1]", '{"a": 1', "7", "NaN", "[" * 5000]


@pytest.mark.parametrize("payload", DAMAGED)
def test_a_point_with_a_damaged_payload_can_be_removed_and_replaced(
    opened: Open, payload: str
) -> None:
    one = opened()
    one.points.insert([[1.0]] * 3, [{"user_id": "u", "data": "tea"}] * 3, ["a", "b", "c"])
    damage(one, "payload", dict.fromkeys("ab", payload))
    one.points.delete("a")
    assert one.points.get("a") is None
    one.points.insert([[1.0]], [{"user_id": "u", "data": "coffee"}], ["b"])
    assert ids_of(one.points.list({"user_id": "u"})[0]) == ["b", "c"]
    texts = {"b": "coffee", "c": "tea"}
    assert reference.stored_counts(one.database, "mem0") == reference.counts(texts)


@pytest.mark.parametrize("payload", DAMAGED)
def test_an_entity_with_a_damaged_payload_leaves_no_links_when_removed_or_replaced(
    opened: Open, payload: str
) -> None:
    one = opened()
    one.entities.insert(
        [[1.0]] * 2, [{"data": "x", "linked_memory_ids": ["m", "n"]}] * 2, ["a", "b"]
    )
    damage(one, "payload", dict.fromkeys("ab", payload))
    one.entities.delete("a")
    one.entities.update("b", [1.0], {"data": "x", "linked_memory_ids": ["n"]})
    assert [row[0] for row in one.database.rows("SELECT memory_id FROM linked_memories")] == ["n"]


def test_a_scope_that_was_extended_by_half_is_never_searched(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened()
    one.points.insert([[1.0, 0.0]], [{"user_id": "u"}], ["a"])
    assert ids_of(one.points.search("", [1.0, 0.0])) == ["a"]

    def interrupted(*_: Any) -> None:
        raise InterruptedError

    with one.database.writing():
        monkeypatch.setattr(texts.Texts, "extend", interrupted)
        with pytest.raises(InterruptedError):
            one.cache.append(1, [1], [("b", bytes(8), ("u", None, None), "{}", b"", {})])
        monkeypatch.undo()
        assert ids_of(one.points.search("", [1.0, 0.0])) == ["a"]


# --- Counting in the middle of a batch --------------------------------------------------------


def insert_apples(one: Opened, *ids: str, user: str = "ana") -> None:
    payloads = [{"data": f"apple {each}", "user_id": user} for each in ids]
    one.points.insert([[1.0, 0.0]] * len(ids), payloads, list(ids))


def apples(one: Opened) -> list[tuple[str, float]]:
    return [(hit.id, hit.score) for hit in one.points.keyword_search("apple", 10) or ()]


def test_an_undone_batch_that_was_counted_is_not_counted_twice_when_it_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keywords, "COUNTED_EVERY", 4)
    one = Opened(tmp_path / "memory.db")
    insert_apples(one, "a", "b")
    with pytest.raises(RuntimeError), one.database.writing():
        insert_apples(one, "c", "d")
        raise RuntimeError
    apples(one)  # So that this process counts the recent ones for itself.
    insert_apples(one, "c", "d")
    assert apples(one) == apples(Opened(tmp_path / "memory.db"))


def test_a_batch_with_the_id_of_a_detached_point_that_is_counted_leaves_a_sound_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keywords, "COUNTED_EVERY", 4)
    one = Opened(tmp_path / "memory.db")
    insert_apples(one, "x")
    one.points.detach({"user_id": "ana"})
    insert_apples(one, "p", user="bob")
    insert_apples(one, "y", "x", "z", user="bob")
    assert check(one.database) == []
    assert apples(one) == apples(Opened(tmp_path / "memory.db"))


# --- Scopes that are changed in place ---------------------------------------------------------

_names = st.sampled_from(("a", "b", "c", "d"))
_sides = st.sampled_from(([1.0, 0.0], [0.0, 1.0], [0.6, 0.8]))
_said = st.sampled_from(("tea", "green tea", "coffee and tea", "", "tea tea"))
_owners = st.sampled_from(("u", "v"))
_changes = st.one_of(
    st.tuples(st.just("insert"), st.lists(st.tuples(_names, _sides, _said, _owners), max_size=4)),
    st.tuples(st.just("replace"), _names, _sides, _said, _owners),
    st.tuples(st.just("turn"), _names, _sides),
    st.tuples(st.just("delete"), _names),
)


def change(points: Any, kind: str, *given: Any) -> None:
    if kind == "insert":
        rows = given[0]
        payloads = [{"data": text, "user_id": owner} for _, _, text, owner in rows]
        points.insert([vector for _, vector, _, _ in rows], payloads, [name for name, *_ in rows])
    elif kind == "replace":
        name, vector, text, owner = given
        points.update(name, vector, {"data": text, "user_id": owner})
    elif kind == "turn" and points.get(given[0]):
        points.update(given[0], given[1])
    elif kind == "delete":
        points.delete(given[0])


def as_it_is(patch: pytest.MonkeyPatch) -> None:
    """With the kernel of this installation."""


def without_a_compiler(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cache, "ScopeTexts", uncompiled.SearchedTexts)
    patch.setattr(cache, "best", uncompiled.sorted_best)
    patch.setattr(matrix, "best", uncompiled.sorted_best)


def with_a_coarse_copy(patch: pytest.MonkeyPatch) -> None:
    """Of whatever scope is searched for the second time."""
    patch.setattr(matrix, "_may_be_coarse", lambda size, dims: size > 0)
    patch.setattr(matrix, "SEARCHES_BEFORE", 2)
    patch.setattr(matrix, "_MOST_COMPARED", 1)


@pytest.mark.parametrize("form", [as_it_is, without_a_compiler, with_a_coarse_copy])
@examples(60)
@given(changes=st.lists(_changes, max_size=12), top_k=st.sampled_from((1, 2, 9)))
def test_a_scope_that_was_changed_in_place_is_the_one_in_the_file(
    form: Callable[[pytest.MonkeyPatch], None], changes: list[Any], top_k: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        form(patch)
        one = Opened(":memory:")
        found_in(one, top_k)
        for kind, *given_ in changes:
            change(one.points, kind, *given_)
            found = [found_in(one, top_k) for _ in range(2)]
            kept = dict(one.cache._scopes)
            one.cache.clear()
            one.points._keywords._recent.state = None  # type: ignore[union-attr]
            patch.undo()
            assert found == [found_in(one, top_k)] * 2
            form(patch)
            one.cache.clear()
            for key, scope in kept.items():
                one.cache.put(key, scope)
        one.close()


def found_in(one: Opened, top_k: int) -> list[list[tuple[str, float]]]:
    return [
        [(hit.id, hit.score) for hit in hits]
        for where in ({}, {"user_id": "u"}, {"user_id": "v"}, {"data": "tea"})
        for hits in (
            one.points.search("", [0.8, 0.6], top_k, where),
            one.points.keyword_search("green tea coffee", top_k, where) or (),
        )
    ]


def test_an_update_and_a_delete_leave_the_scope_in_the_cache() -> None:
    one = Opened(":memory:")
    one.points.insert([[1.0, 0.0]] * 3, [{"user_id": "u", "data": "tea"}] * 3, ["a", "b", "c"])
    one.points.search("", [1.0, 0.0], filters={"user_id": "u"})
    (before,) = one.cache._scopes.values()
    one.points.update("b", [0.0, 1.0], {"user_id": "u", "data": "green tea"})
    one.points.delete("a")
    (after,) = one.cache._scopes.values()
    assert after is before
    assert after.size_bytes == one.cache._size_bytes
    assert sorted(after.ids) == ["b", "c"]
    one.close()


def test_a_scope_whose_bytes_somebody_holds_is_loaded_again() -> None:
    """As a debugger does, or a traceback that is kept: the write goes on."""
    one = Opened(":memory:")
    one.points.insert([[1.0, 0.0]] * 2, [{"user_id": "u", "data": "tea"}] * 2, ["a", "b"])
    one.points.search("", [1.0, 0.0], filters={"user_id": "u"})
    (scope,) = one.cache._scopes.values()
    with memoryview(scope.vectors._numbers):
        one.points.insert([[0.0, 1.0]], [{"user_id": "u", "data": "tea"}], ["c"])
        one.points.delete("a")
        assert sorted(ids_of(one.points.search("", [1.0, 0.0]))) == ["b", "c"]
    one.close()
