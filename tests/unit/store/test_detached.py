"""Removing many points: hidden in one short write, gone for good in parts, whatever happens
in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.contract.payload import LINKS
from isomem.errors import VectorStoreError
from isomem.store import keywords
from isomem.store.check import check
from isomem.text.terms import TermEncoder
from tests.unit.store import reference
from tests.unit.store.conftest import Opened
from tests.unit.store.fuzz import examples
from tests.unit.text.growth import check_growth, now

Open = Callable[..., Opened]

ANA, BOB = {"user_id": "ana"}, {"user_id": "bob"}
RUN = {"user_id": "ana", "run_id": "r"}


def fill(one: Opened, scope: dict[str, Any], names: list[str]) -> None:
    payloads = [{**scope, "data": f"tea {name}"} for name in names]
    one.points.insert([[1.0, float(n)] for n in range(len(names))], payloads, names)


def swept(one: Opened, limit: int = 2) -> list[str]:
    found: list[str] = []
    while some := one.points.sweep(limit):
        assert len(some) <= limit
        found += [point.id for point in some]
    return found


def visible(one: Opened, scope: dict[str, Any] | None = None) -> set[str]:
    """What a reader sees, by every way of reading."""
    listed = {point.id for point in one.points.list(scope, None)[0]}
    searched = {point.id for point in one.points.search("", [1.0, 0.0], 99, scope)}
    worded = {point.id for point in one.points.keyword_search("tea", 99, scope) or ()}
    assert listed == searched == worded
    assert all(one.points.get(name) for name in listed)
    return listed


def test_detached_points_are_gone_for_every_reader_at_once(opened: Open) -> None:
    one, other = opened(), opened()
    fill(one, ANA, ["a", "b"])
    fill(one, RUN, ["c"])
    fill(one, BOB, ["d"])
    (hit, *_) = other.points.search("", [1.0, 0.0], 1, ANA)
    assert visible(one, ANA) == visible(other, ANA) == {"a", "b", "c"}
    assert one.points.detach(ANA) == 2
    for each in (one, other, opened()):
        assert visible(each) == {"d"}
        assert visible(each, ANA) == visible(each, RUN) == set()
        assert [each.points.get(name) for name in ("a", "b", "c")] == [None] * 3
        assert each.points.col_info()["points"] == 1
        assert each.points.has_detached()
    assert (hit.payload, other.points.vector_of(hit)) == ({}, ())
    with pytest.raises(KeyError):
        one.points.update("a", payload={"n": 1})
    one.points.delete("a")
    assert sorted(swept(one)) == ["a", "b", "c"]


def test_sweeping_returns_each_point_once_with_its_payload_and_leaves_nothing(opened: Open) -> None:
    one = opened()
    fill(one, ANA, [f"p{number}" for number in range(5)])
    one.points.detach(ANA)
    (first,) = one.points.sweep(1)
    assert first.payload == {**ANA, "data": f"tea {first.id}"}
    assert sorted([first.id, *swept(opened())]) == [f"p{number}" for number in range(5)]
    assert not one.points.has_detached()
    assert one.points.sweep(9) == []
    for table in ("points", "scopes", "terms"):
        assert one.database.rows(f"SELECT count(*) FROM {table}") == [(0,)], table


@pytest.mark.parametrize("limit", [1, 3, 99])
def test_points_are_swept_in_the_order_of_their_ids_as_mem0_deletes_them(
    opened: Open, limit: int
) -> None:
    one = opened()
    fill(one, ANA, ["d", "b", "f"])
    fill(one, RUN, ["c", "a", "e"])
    one.points.detach(ANA)
    assert swept(one, limit) == ["a", "b", "c", "d", "e", "f"]


def test_two_connections_sweep_together_and_each_point_once(opened: Open) -> None:
    one, other = opened(), opened()
    fill(one, ANA, [f"p{number}" for number in range(9)])
    one.points.detach(ANA)
    assert one.points.has_detached()
    assert other.points.has_detached()
    found = [point.id for _ in range(3) for each in (one, other) for point in each.points.sweep(2)]
    fill(other, BOB, ["new"])
    other.points.detach(BOB)
    found += [*swept(one), *swept(other)]
    assert sorted(found) == ["new", *(f"p{number}" for number in range(9))]


def test_a_sweep_that_fails_leaves_the_points_hidden_and_to_be_swept(opened: Open) -> None:
    one = opened()
    fill(one, ANA, ["a", "b"])
    one.points.detach(ANA)

    def interrupted() -> None:
        with one.database.writing():
            assert one.points.sweep(1)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        interrupted()
    assert visible(one) == set()
    assert sorted(swept(one)) == ["a", "b"]


def test_what_is_added_after_detaching_stays(opened: Open) -> None:
    one, other = opened(), opened()
    fill(one, ANA, ["a"])
    assert visible(other, ANA) == {"a"}
    one.points.detach(ANA)
    fill(other, ANA, ["b"])
    fill(one, ANA, ["c"])
    assert swept(one) == ["a"]
    assert visible(one, ANA) == visible(other, ANA) == {"b", "c"}


@pytest.mark.parametrize("rounds", [1, 3])
def test_an_id_of_a_detached_point_can_be_inserted_again(opened: Open, rounds: int) -> None:
    one = opened()
    for _ in range(rounds):
        fill(one, ANA, ["a", "b"])
        one.points.detach(ANA)
    fill(one, BOB, ["a"])
    assert visible(one) == {"a"}
    assert sorted(swept(one)) == ["a"] * rounds + ["b"] * rounds
    assert visible(one) == {"a"}
    assert one.points.get("a").payload["data"] == "tea a"  # type: ignore[union-attr]
    assert reference.stored_counts(one.database, "mem0") == reference.counts({"a": "tea a"})


def test_a_damaged_point_is_swept_like_any_other(opened: Open) -> None:
    one = opened()
    fill(one, ANA, ["a", "b"])
    with one.database.writing() as database:
        database.execute("UPDATE points SET payload = '{' WHERE id = 'a'")
    one.points.detach(ANA)
    assert {point.id: bool(point.payload) for point in one.points.sweep(9)} == {
        "a": False, "b": True,
    }  # fmt: skip


@pytest.mark.parametrize("ids", [{}, {"user_id": 7}, {"user_id": None}, {"user_id": ["ana"]},
                                 {"name": "ana"}, {"user_id = '' OR 1": "x"}])  # fmt: skip
def test_only_ids_of_a_scope_can_be_detached(opened: Open, ids: Any) -> None:
    one = opened()
    fill(one, {"user_id": "7"}, ["a"])
    with pytest.raises(VectorStoreError):
        one.points.detach(ids)
    assert visible(one) == {"a"}


def test_an_id_is_compared_as_it_is(opened: Open) -> None:
    one = opened()
    for number, user in enumerate((" ana ", "ana", "ANA", "*", "%", "an_")):
        fill(one, {"user_id": user}, [f"p{number}"])
    for user in (" ana ", "*", "%", "an_"):
        assert one.points.detach({"user_id": user}) == 1
    assert visible(one) == {"p1", "p2"}


def test_detached_points_of_another_embedder_do_not_hold_up_a_new_one(opened: Open) -> None:
    one = opened(dims=2, embedder="old")
    fill(one, ANA, ["a"])
    one.points.detach(ANA)
    other = opened(dims=1, embedder="new")
    other.points.insert([[1.0]], [{**ANA, "data": "tea"}], ["b"])
    assert swept(other) == ["a"]
    assert [point.id for point in other.points.search("", [1.0])] == ["b"]


def test_reset_removes_what_is_detached_too(opened: Open) -> None:
    one = opened()
    fill(one, ANA, ["a", "b"])
    one.points.detach(ANA)
    fill(one, BOB, ["a"])
    one.points.reset()
    assert not one.points.has_detached()
    for table in ("points", "scopes", "terms"):
        assert one.database.rows(f"SELECT count(*) FROM {table}") == [(0,)], table


texts = st.lists(st.sampled_from(("tea", "green", "the", "house")), max_size=3).map(" ".join)


@examples(60)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.sampled_from([ANA, BOB, RUN]), texts),
            st.tuples(st.just("detach"), st.sampled_from([ANA, BOB, RUN])),
            st.tuples(st.just("sweep"), st.integers(1, 3)),
            st.tuples(st.just("reindex"), st.booleans()),
        ),
        max_size=25,
    ),
    every=st.sampled_from((1, 3, 512)),
)
def test_statistics_are_right_when_everything_is_swept(
    steps: list[Any], every: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("store") / "memory.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keywords, "COUNTED_EVERY", every)
        one = Opened(path, synchronous="off")
        texts_there: dict[str, tuple[dict[str, Any], str]] = {}
        for number, (kind, *rest) in enumerate(steps):
            if kind == "add":
                scope, text = rest
                texts_there[f"p{number}"] = scope, text
                one.points.insert([[1.0]], [{**scope, "data": text}], [f"p{number}"])
            elif kind == "detach":
                one.points.detach(rest[0])
                texts_there = {
                    name: (scope, text) for name, (scope, text) in texts_there.items()
                    if not reference.in_scope(scope, rest[0])
                }  # fmt: skip
            elif kind == "sweep":
                one.points.sweep(rest[0])
            else:
                one.close()
                language = TermEncoder() if rest[0] else None
                one = Opened(path, synchronous="off", keywords=language)
            assert {point.id for point in one.points.list(None, None)[0]} == set(texts_there)
        one.close()
        one = Opened(path, synchronous="off")
        swept(one)
        there = {name: text or None for name, (_, text) in texts_there.items()}
        assert reference.stored_counts(one.database, "mem0") == reference.counts(there)
        zero = "SELECT count(*) FROM terms WHERE documents <= 0"
        with one.database.reading() as database:
            assert database.rows(zero) == [(0,)]
        one.close()


# --- Entities --------------------------------------------------------------------------------


def link(one: Opened, name: str, memories: list[str]) -> None:
    one.entities.insert([[1.0, 0.0]], [{**ANA, "data": name, LINKS: memories}], [name])


def links(one: Opened) -> dict[str, list[str]]:
    found = {point.id: point.payload[LINKS] for point in one.entities.list(None, None)[0]}
    rows = one.database.rows(
        "SELECT p.id, l.memory_id FROM linked_memories AS l"
        " JOIN points AS p ON p.row_key = l.entity"
    )
    assert sorted(rows) == sorted((name, each) for name, some in found.items() for each in some)
    return found


def test_memories_leave_all_their_entities_at_once(opened: Open) -> None:
    one = opened()
    link(one, "many", ["d", "a", "c", "b"])
    link(one, "few", ["a", "b"])
    link(one, "other", ["x"])
    one.entities.unlink_all(["a", "b", "unknown"], {"many": [0.0, 2.0], "other": [0.0, 1.0]})
    assert links(one) == {"many": ["d", "c"], "other": ["x"]}
    many, other = one.entities.get("many"), one.entities.get("other")
    assert many is not None
    assert other is not None
    assert one.entities.vector_of(many) == [0.0, 1.0]
    assert one.entities.vector_of(other) == [1.0, 0.0]
    assert list(many.payload) == ["user_id", "data", LINKS]
    assert [each.id for each in one.entities.linked_to("c")] == ["many"]


def test_an_entity_loses_its_detached_memories_as_they_are_swept(opened: Open) -> None:
    one = opened()
    fill(one, ANA, [f"m{number}" for number in range(6)])
    fill(one, BOB, ["kept"])
    link(one, "hub", ["m5", "kept", *[f"m{number}" for number in range(5)]])
    one.points.detach(ANA)
    while some := [point.id for point in one.points.sweep(4)]:
        one.entities.unlink_all(some, {})
        assert set(some).isdisjoint(links(one)["hub"])
    assert links(one) == {"hub": ["kept"]}


def test_an_entity_with_a_damaged_payload_does_not_hold_up_the_others(opened: Open) -> None:
    one = opened()
    link(one, "damaged", ["a"])
    link(one, "sound", ["a", "b"])
    with one.database.writing() as database:
        database.execute("UPDATE points SET payload = '{\"linked' WHERE id = 'damaged'")
    one.entities.unlink_all(["a"], {})
    assert links(one) == {"sound": ["b"]}


@pytest.mark.parametrize("share", [False, True])
def test_removing_many_is_linear(share: bool) -> None:
    """In processor time."""

    def seconds(count: int) -> float:
        one = Opened(":memory:")
        names = [f"m{number}" for number in range(count)]
        fill(one, ANA, names)
        groups = [names] if share else [names[at : at + 5] for at in range(0, count, 5)]
        for number, some in enumerate(groups):
            link(one, f"e{number}", some)
        began = now()
        one.points.detach(ANA)
        while some := [point.id for point in one.points.sweep(100)]:  # type: ignore[assignment]
            one.entities.unlink_all(some, {})
        took = now() - began
        assert one.database.rows("SELECT count(*) FROM points") == [(0,)]
        one.close()
        return took

    check_growth(seconds, 1000, 8000)


def test_a_file_with_detached_points_is_sound(opened: Open) -> None:
    one = opened()
    for name in ("green", "black"):
        fill(one, ANA, ["a", "b"])
        link(one, name, ["a"])
        one.points.detach(ANA)
    fill(one, BOB, ["a"])
    assert check(one.database, TermEncoder()) == []
    swept(one)
    assert check(one.database, TermEncoder()) == []
