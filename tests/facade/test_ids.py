"""An id is data: it is compared and never interpreted, wherever it comes in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isomem.errors import InvalidConfigError
from isomem.testing import ScriptedLLM
from tests.facade.conftest import Face, facts
from tests.facade.test_replaced_parts import Store, foreign  # noqa: F401 - a fixture

Make = Callable[..., Face]


@pytest.fixture
def shared(memory: Face) -> Face:
    """A memory of alice, bob and the user whose id is "*"."""
    for user in ("alice", "bob"):
        memory.learn(f"{user} has a secret in Rome", user_id=user)
    memory.add("star has a secret", user_id="*", infer=False)
    return memory


def test_the_user_called_star_sees_its_own_memories(shared: Face) -> None:
    filters = {"user_id": "*"}
    found = shared.search("secret in Rome", filters=filters, threshold=0.0)["results"]
    listed = shared.get_all(filters=filters)["results"]
    assert [each["memory"] for each in (*found, *listed)] == ["star has a secret"] * 2


def test_an_inferred_add_of_the_user_called_star_shows_the_model_nobody_else(shared: Face) -> None:
    llm = shared.say(("Star went to Rome",))
    shared.add("I went to Rome", user_id="*")
    asked = str(llm.calls)
    assert "star has a secret" in asked
    assert "alice" not in asked
    assert "bob" not in asked
    linked = shared.entity_store.list(top_k=None)[0]
    assert sorted(entity.payload["user_id"] for entity in linked) == ["*", "alice", "bob"]


def test_deleting_all_of_the_user_called_star_deletes_nothing_else(shared: Face) -> None:
    shared.delete_all(user_id="alice", agent_id="*")
    shared.delete_all(user_id="*")
    assert shared.memories(user_id="*") == []
    assert shared.memories(user_id="alice") == ["alice has a secret in Rome"]
    assert shared.memories(user_id="bob") == ["bob has a secret in Rome"]


@pytest.mark.parametrize(
    "given",
    [{"ne": ""}, {"ne": "alice"}, {"in": ["alice"]}, ["alice", "bob"], ("alice",), True, 7, 1.5,
     " ", "\t", "a b", "a\ud800", b"alice", object()],
    ids=repr,
)  # fmt: skip
def test_delete_all_takes_nothing_but_an_id(shared: Face, given: Any) -> None:
    before = shared.state()
    with pytest.raises(ValueError, match="Invalid user_id: "):
        shared.delete_all(user_id=given)
    with pytest.raises(ValueError, match="Invalid run_id: "):
        shared.delete_all(user_id="alice", run_id=given)
    assert shared.state() == before


def test_delete_all_with_a_blank_id_beside_another_deletes_nothing(shared: Face) -> None:
    before = shared.state()
    with pytest.raises(ValueError, match="Invalid agent_id: cannot be empty"):
        shared.delete_all(user_id="alice", agent_id="")
    assert shared.state() == before


def test_delete_all_deletes_what_add_stored_under_the_same_words(memory: Face) -> None:
    memory.add("tea", user_id=" ana ", infer=False)
    memory.delete_all(user_id=" ana ")
    assert memory.memories(user_id="ana") == []


@pytest.mark.parametrize("spell", [lambda one: one.replace("-", ""), "{{{}}}".format])
@pytest.mark.parametrize("apart", [False, True])
def test_a_memory_is_the_same_however_its_id_is_spelled(
    make: Make, tmp_path: Path, spell: Callable[[str], str], apart: bool
) -> None:
    """What an update writes belongs to the memory, and goes when that goes."""
    face = make(supersede="similar")
    if apart:
        face.db = make(tmp_path / "other.db").db
    (one,) = face.learn("Ana lives in Berlin")
    face.learn("Ana lives in Lisbon")
    face.restore(spell(one))
    face.update(spell(one), "Ana met Zaphod Beeblebrox")
    face.update(spell(one), expiration_date="2020-01-01")
    assert [each["event"] for each in face.history(one)] == [
        "ADD", "SUPERSEDE", "RESTORE", "UPDATE", "UPDATE",
    ]  # fmt: skip
    assert face.history(spell(one)) == face.history(one)
    assert face.entities()["Zaphod Beeblebrox"]["linked_memory_ids"] == [one]
    face.purge(user_id="u")
    assert face.entities() == {}
    assert face.history(one) == []


LEADING_OUT: list[dict[str, Any]] = [
    {"AND": [{"user_id": "bob"}]},
    {"AND": [{"user_id": {"ne": "x"}}]},
    {"AND": [{"user_id": {"in": ["alice", "bob"]}}]},
    {"AND": [{"user_id": ["bob", "*"]}]},
    {"AND": [{"user_id": "*"}]},
    {"AND": [{"AND": [{"user_id": "bob"}]}]},
    {"OR": [{"user_id": "bob"}, {"user_id": "*"}]},
    {"OR": [{"user_id": {"ne": "alice"}}]},
    {"NOT": [{"user_id": "alice"}]},
    {"$and": [{"user_id": "bob"}]},
    {"$or": [{"user_id": "bob"}], "OR": [{"user_id": "*"}]},
    {"$and": [{"n": 1}], "AND": [{"user_id": "bob"}]},
    {"$not": [{"user_id": "alice"}], "NOT": [{"user_id": "bob"}]},
]


@pytest.mark.parametrize("more", LEADING_OUT, ids=str)
@pytest.mark.parametrize("first", [True, False])
def test_no_condition_leads_out_of_the_scope(shared: Face, more: Any, first: bool) -> None:
    filters = {"user_id": "alice", **more} if first else {**more, "user_id": "alice"}
    found = shared.search("secret in Rome", filters=filters, threshold=0.0)["results"]
    listed = shared.get_all(filters=filters)["results"]
    assert {each["user_id"] for each in (*found, *listed)} <= {"alice"}


@pytest.mark.parametrize(
    "conditions",
    [
        [{"agent_id": "a1"}, {"agent_id": "a2"}],
        [{"agent_id": {"ne": "a1"}}, {"agent_id": {"ne": "a2"}}],
        [{"agent_id": {"in": ["a1"]}}, {"agent_id": {"nin": ["a1"]}}],
        [{"OR": [{"agent_id": "a1"}]}, {"OR": [{"agent_id": "a2"}]}],
        [{"AND": [{"agent_id": "a1"}]}, {"AND": [{"agent_id": "a2"}]}],
    ],
    ids=str,
)
def test_conditions_on_one_id_all_hold(memory: Face, conditions: Any) -> None:
    for agent in ("a1", "a2"):
        memory.add(f"tea of {agent}", user_id="u", agent_id=agent, infer=False)
    found = memory.search("tea", filters={"user_id": "u", "AND": conditions}, threshold=0.0)
    assert found == {"results": []}


def test_an_id_in_a_group_is_read_as_one_at_the_top(memory: Face) -> None:
    for agent in ("a1", "a2"):
        memory.add(f"tea of {agent}", user_id="u", agent_id=agent, infer=False)
    filters = {"user_id": "u", "NOT": [{"agent_id": " a1 "}]}
    assert [each["agent_id"] for each in memory.get_all(filters=filters)["results"]] == ["a2"]
    for wrong in (7, "", "a b", {"eq": 7}, {"in": ["a1", None]}, ["a1", 7], None):
        for group in ("AND", "OR", "NOT", "$and", "$or", "$not"):
            bad = {"user_id": "u", group: [{"OR": [{"agent_id": wrong}]}]}
            with pytest.raises(ValueError, match="Invalid agent_id: "):
                memory.get_all(filters=bad)
            with pytest.raises(ValueError, match="Invalid agent_id: "):
                memory.search("tea", filters=bad)


@pytest.mark.usefixtures("foreign")
def test_a_store_that_is_not_ours_is_never_asked_for_star(
    foreign: Face,  # noqa: F811 - the fixture above
) -> None:
    star = {"user_id": "*"}
    nested = {"user_id": "u", "OR": [{"agent_id": "*"}]}
    foreign.llm = ScriptedLLM([facts("x")])
    calls: list[Callable[[], Any]] = [
        lambda: foreign.add("x", **star),
        lambda: foreign.add("x", **star, infer=False),
        lambda: foreign.search("x", filters=star),
        lambda: foreign.search("x", filters=nested),
        lambda: foreign.get_all(filters=star),
        lambda: foreign.delete_all(**star),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"Invalid \w+_id: '\*' means every \w+_id to some"):
            call()
    assert foreign.vector_store.points == {}


@pytest.mark.parametrize("name", ["mem0_entities", "_entities", "notes_entities"])
def test_no_collection_can_have_the_name_of_the_entities_of_another(make: Make, name: str) -> None:
    with pytest.raises(InvalidConfigError, match="collection_name") as caught:
        make(store={"collection_name": name})
    assert "_entities" in str(caught.value)


def test_entities_of_star_in_a_store_that_is_not_ours_are_left_alone(
    memory: Face, caplog: pytest.LogCaptureFixture
) -> None:
    """A memory that mem0 stored under "*" can be changed and removed; nobody else is touched."""

    class Strict(Store):
        def _matching(self, filters: Any) -> Any:
            assert "*" not in (filters or {}).values()
            return super()._matching(filters)

    memory.vector_store, memory.entity_store = Strict(), Strict()
    memory.vector_store.points["m"] = ([1.0] * 64, {"data": "old", "user_id": "*"})
    memory.update("m", "We gave Ana Silva a cat")
    memory.delete("m")
    assert memory.vector_store.points == memory.entity_store.points == {}
    assert "its id could mean any" in caplog.text
