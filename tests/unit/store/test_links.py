"""Links as rows against links as upstream keeps them: one entity after another, whole payloads."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import nullcontext
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.contract.payload import LINKS
from isomem.contract.plan import Mention
from isomem.errors import ValidationError, VectorValueError
from isomem.store.check import check
from isomem.stores.joining import EmbeddedLinks, JoinedLinks
from isomem.text.terms import TermEncoder
from tests.unit.store.conftest import Opened
from tests.unit.store.fuzz import examples

Open = Callable[..., Opened]

MEMORIES = ["m1", "m2", "m3", "m4"]
SCOPES: list[dict[str, str]] = [
    {"user_id": "u"},
    {"user_id": "u", "run_id": "r"},
    {"agent_id": "a"},
]


def at(degrees: int) -> list[float]:
    """Two of these are the same entity if they are 18 degrees apart, not if they are 19."""
    return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]


vectors = st.one_of(
    st.integers(0, 15).map(lambda step: at(9 * step)),
    st.integers(0, 90).map(at),
    st.sampled_from([[0.0, 0.0], [math.nan, 1.0], [1.0], [1.0, 2.0, 3.0]]),
)
usable = st.integers(0, 15).map(lambda step: at(9 * step))
scopes = st.sampled_from(SCOPES)
memories = st.sampled_from(MEMORIES)
named = st.sets(memories, min_size=1, max_size=3)
texts = st.sampled_from(["Ana", "Bo", "Cy", "Dee"])

steps = st.one_of(
    st.tuples(st.just("link"), st.lists(st.tuples(texts, usable, named), max_size=5), scopes),
    st.tuples(st.just("relink"), memories, st.lists(st.tuples(texts, vectors), max_size=5), scopes),
    st.tuples(st.just("unlink"), memories, st.booleans(), usable),
)


class Side:
    """One file, and one way of linking in it."""

    def __init__(self, kind: type[EmbeddedLinks], *, cache_bytes: int, dims: int | None) -> None:
        self.one = Opened(":memory:", cache_bytes=cache_bytes, dims=dims)
        is_joined = kind is JoinedLinks
        atomic = nullcontext if is_joined else self.one.database.atomic
        self._links = kind(self.one.points, self.one.entities, (VectorValueError,), atomic)
        numbers = count()
        self._clock: Any = SimpleNamespace(new_id=lambda: f"e{next(numbers):03}")
        self._is_joined = is_joined

    def step(self, kind: str, *given_: Any) -> None:
        with self.one.database.writing():
            getattr(self, f"_{kind}")(*given_)

    def _link(self, some: list[Any], scope: Any) -> None:
        mentions = [Mention("PROPER", text, set(ids), vector) for text, vector, ids in some]
        self._links.link(mentions, scope, self._clock)

    def _relink(self, memory_id: str, some: list[Any], scope: Any) -> None:
        mentions = [Mention("PROPER", text, {memory_id}, vector) for text, vector in some]
        self._links.relink(memory_id, mentions, scope, self._clock)

    def _unlink(self, memory_id: str, is_renewed: bool, vector: list[float]) -> None:
        entities = self.one.entities
        ids = [each.id for each in entities.list(None, None)[0]]
        renewed = dict.fromkeys(ids, vector) if is_renewed else {}
        if self._is_joined:
            entities.unlink_all([memory_id], renewed)
        else:
            self._links.unlink(memory_id, {}, renewed)

    def seen(self) -> Any:
        """Everything that a caller sees of the entities."""
        entities = self.one.entities
        with self.one.database.reading():
            listed = [
                (each.id, list(each.payload.items()), entities.vector_of(each))
                for each in entities.list(None, None)[0]
            ]
            linked = {name: [each.id for each in entities.linked_to(name)] for name in MEMORIES}
            probes = [Mention("", "x", set(), at(30)), Mention("", "y", set(), at(70))]
            boosts = [self._links.boosts(probes, scope) for scope in SCOPES]
        return listed, linked, boosts

    def shared(self, memory_ids: list[str]) -> dict[str, str]:
        with self.one.database.reading():
            return self._links.shared(memory_ids)


@examples(150)
@given(
    some=st.lists(steps, min_size=1, max_size=10),
    cache_bytes=st.sampled_from((0, 1_400, 10**6)),
    dims=st.sampled_from((2, None)),
    gone=st.lists(memories, min_size=1, unique=True),
)
def test_rows_say_what_payloads_would_say(
    some: list[Any], cache_bytes: int, dims: int | None, gone: list[str]
) -> None:
    ours, plain = (Side(kind, cache_bytes=cache_bytes, dims=dims)
                   for kind in (JoinedLinks, EmbeddedLinks))  # fmt: skip
    for side in (ours, plain):
        side.one.points.insert([at(0)] * 4, [{"user_id": "u", "data": "x"}] * 4, MEMORIES)
    for kind, *given_ in some:
        for side in (ours, plain):
            side.step(kind, *given_)
        assert ours.seen() == plain.seen()
        assert ours.shared(gone) == plain.shared(gone)
    assert check(ours.one.database, TermEncoder()) == []
    ours.one.close()
    plain.one.close()


def test_the_file_has_each_link_once(opened: Open) -> None:
    one = opened()
    one.entities.insert([[1.0]], [{"data": "Ana", LINKS: ["m2", "m1"], "user_id": "u"}], ["e"])
    with one.database.writing():
        ((row_key, text),) = one.database.rows("SELECT row_key, payload FROM points")
        assert json.loads(text) == {"data": "Ana", LINKS: [], "user_id": "u"}
        one.entities.links.append("m0", [row_key])
        one.entities.links.append("m1", [row_key])
        assert one.entities.links.of(row_key) == ["m2", "m1", "m0"]
        one.entities.links.merge({row_key: {"m1", "m3"}})
        assert one.entities.links.of(row_key) == ["m0", "m1", "m2", "m3"]
        one.entities.links.append("l", [row_key])
        assert one.entities.links.of(row_key) == ["m0", "m1", "m2", "m3", "l"]
        one.entities.links.unlink("m1", [row_key])
    assert one.entities.get("e").payload == {  # type: ignore[union-attr]
        "data": "Ana", LINKS: ["m0", "m2", "m3", "l"], "user_id": "u",
    }  # fmt: skip


@pytest.mark.parametrize("linked", [["m1", "m1"], ["", "\0", "ä", "\U0001f600"], []])
def test_any_list_of_texts_comes_back(opened: Open, linked: list[str]) -> None:
    one = opened()
    one.entities.insert([[1.0]], [{LINKS: linked}], ["e"])
    one.entities.update("e", payload={"data": "x"})
    assert one.entities.get("e").payload == {LINKS: linked, "data": "x"}  # type: ignore[union-attr]


@pytest.mark.parametrize("linked", [None, "m1", 7, {"m1": 1}])
def test_what_is_not_a_list_is_no_links(opened: Open, linked: Any) -> None:
    one = opened()
    one.entities.insert([[1.0]], [{LINKS: linked}], ["e"])
    assert one.entities.get("e").payload == {LINKS: linked}  # type: ignore[union-attr]
    assert one.database.rows("SELECT * FROM linked_memories") == []


@pytest.mark.parametrize("payload", [{}, {LINKS: None}, {LINKS: "m1"}])
def test_an_entity_without_a_list_gets_one_with_its_first_link(
    opened: Open, payload: dict[str, Any]
) -> None:
    one = opened()
    one.points.insert([[1.0]], [{"user_id": "u", "data": "x"}], ["m2"])
    one.entities.insert([[1.0]], [{**payload, "user_id": "u"}], ["e"])
    links = JoinedLinks(one.points, one.entities, (VectorValueError,), nullcontext)
    with one.database.writing():
        links.link([Mention("PROPER", "Ana", {"m2"}, [1.0])], {"user_id": "u"}, SimpleNamespace())  # type: ignore[arg-type]
    assert one.entities.get("e").payload == {LINKS: ["m2"], "user_id": "u"}  # type: ignore[union-attr]
    assert check(one.database, TermEncoder()) == []


@pytest.mark.parametrize("linked", [[1], [None], [["m1"]], ["m1", {}], ["\ud800"]])
def test_links_that_are_not_ids_are_refused_and_nothing_is_stored(
    opened: Open, linked: list[Any]
) -> None:
    one = opened()
    one.entities.insert([[1.0]], [{LINKS: ["m1"]}], ["e"])
    with pytest.raises(ValidationError, match="must be a list of ids") as caught:
        one.entities.insert([[1.0]] * 2, [{LINKS: ["m2"]}, {LINKS: linked}], ["f", "g"])
    assert caught.value.error_code == "VALIDATION_005"
    with pytest.raises(ValidationError):
        one.entities.update("e", payload={LINKS: linked})
    assert [(each.id, each.payload) for each in one.entities.list()[0]] == [("e", {LINKS: ["m1"]})]


def test_a_vector_that_is_the_same_is_not_written_again(opened: Open) -> None:
    one = opened(dims=2)
    one.entities.insert([[3.0, 4.0]], [{LINKS: ["m1", "m2", "m3"]}], ["e"])
    with one.database.writing() as database:
        for memory_id, vector, changes in (("m1", [6.0, 8.0], 1), ("m2", [1.0, 0.0], 2)):
            before = database.connection.total_changes()
            one.entities.unlink_all([memory_id], {"e": vector})
            assert database.connection.total_changes() - before == changes
    (found,) = one.entities.search("", [1.0, 0.0])
    assert found.score == pytest.approx(1.0)
