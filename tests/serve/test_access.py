"""Access: what a key sees of a memory, call by call, and what it is told if it asks for more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from isomem import AsyncMemory
from isomem.errors import MemoryNotFoundError, PermissionDeniedError, ValidationError
from isomem.serve.access import Access
from isomem.serve.calls import CALLS, FILTERS
from isomem.serve.grants import Grant
from isomem.serve.keys import RIGHTS, Key
from isomem.testing import HashEmbedder

Run = Callable[[Coroutine[Any, Any, Any]], Any]

ANA, BOB = {"user_id": "ana"}, {"user_id": "bob"}


class World:
    """One memory, two users, and what keys see of it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self.memory = AsyncMemory(path=":memory:")
        self.memory.embedding_model = HashEmbedder()
        self.ids = {name: self.add(f"{name} likes tea", user_id=name) for name in ("ana", "bob")}
        self.ids["shared"] = self.add("They share a garden", user_id="ana", agent_id="a1")

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(call)

    def add(self, text: str, **ids: str) -> str:
        added = self.run(self.memory.add(text, infer=False, **ids))
        return str(added["results"][0]["id"])

    def access(self, *grants: dict[str, str], rights: tuple[str, ...] = RIGHTS) -> Access:
        return Access(self.memory, Key("k", "k", b"", rights, [Grant(each) for each in grants]))

    def call(self, access: Access, name: str, **arguments: Any) -> Any:
        return self.run(access.call(name, arguments))

    def texts(self) -> list[str]:
        """What is stored, for everybody."""
        every = [self.run(self.memory.get(each)) for each in self.ids.values()]
        return [each["memory"] for each in every if each is not None]

    def close(self) -> None:
        self.run(self.memory.aclose())
        self._loop.close()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def found(result: Any) -> set[str]:
    return {each["memory"] for each in result["results"]}


# --- Rights ----------------------------------------------------------------------------------

OF_ALL: dict[str, dict[str, Any]] = {
    "add": {"messages": "x", "infer": False, **ANA}, "remember": {"said": "x", **ANA},
    "search": {"query": "x", "filters": ANA}, "context": {"query": "x", "filters": ANA},
    "get": {"memory_id": "x"}, "get_all": {"filters": ANA}, "count": {"filters": ANA},
    "scopes": {}, "history": {"memory_id": "x"}, "update": {"memory_id": "x", "data": "y"},
    "restore": {"memory_id": "x"}, "delete": {"memory_id": "x"}, "delete_all": ANA, "purge": ANA,
    "sweep": ANA, "compact": {}, "reset": {},
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_a_call_needs_its_right_and_no_other(world: World, name: str) -> None:
    right = CALLS[name].right
    others = tuple(each for each in RIGHTS if each != right)
    with pytest.raises(PermissionDeniedError, match=f"'{right}'"):
        world.call(world.access({}, rights=others), name, **OF_ALL[name])
    assert len(world.texts()) == 3
    world.run(world.access({}, rights=(right,)).prepare(name, OF_ALL[name]))


@pytest.mark.parametrize("name", ["compact", "reset"])
def test_what_is_for_everybody_needs_a_key_for_everybody(world: World, name: str) -> None:
    with pytest.raises(PermissionDeniedError, match="not all"):
        world.call(world.access({"user_id": "*"}), name)
    assert len(world.texts()) == 3


# --- Reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [each.name for each in CALLS.values() if each.kept_by == FILTERS])
def test_a_call_without_filters_gets_what_is_the_keys(world: World, name: str) -> None:
    arguments = {key: value for key, value in OF_ALL[name].items() if key != "filters"}
    if "query" in arguments:
        arguments = {"query": "tea", "threshold": 0}
    named = world.call(world.access({}), name, **arguments, filters=ANA)
    assert "likes tea" in str(named) or named == 2
    assert world.call(world.access(ANA), name, **arguments) == named
    with pytest.raises((ValidationError, ValueError)):
        world.call(world.access({}), name, **arguments)


def test_a_search_is_narrowed_to_the_keys_user(world: World) -> None:
    access = world.access(ANA)
    for filters in (None, {}, ANA):
        asked = {"query": "share tea", "filters": filters, "threshold": 0}
        assert found(world.call(access, "search", **asked)) == {
            "ana likes tea", "They share a garden",
        }  # fmt: skip


@pytest.mark.parametrize(
    "filters",
    [
        BOB, {"user_id": " bob "}, {"user_id": "bob", "agent_id": "a1"},
        {"OR": [ANA, BOB], "user_id": "bob"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["search", "get_all", "count", "context"])
def test_another_user_is_refused(world: World, name: str, filters: Any) -> None:
    asked = {"query": "tea"} if name in {"search", "context"} else {}
    with pytest.raises(PermissionDeniedError):
        world.call(world.access(ANA), name, filters=filters, **asked)


@pytest.mark.parametrize(
    "filters",
    [
        {"OR": [ANA, BOB]}, {"$or": [ANA, BOB]}, {"NOT": [ANA]}, {"AND": [BOB]},
        {"AND": [{"OR": [BOB]}]}, {"user_id": "ana", "OR": [BOB, {"data": "*"}]},
    ],
)  # fmt: skip
def test_groups_never_lead_out_of_the_scope(world: World, filters: Any) -> None:
    listed = world.call(world.access(ANA), "get_all", filters=filters)
    assert "bob likes tea" not in found(listed)
    searched = world.call(world.access(ANA), "search", query="tea", filters=filters, threshold=0)
    assert "bob likes tea" not in found(searched)


@pytest.mark.parametrize("user", [["ana", "bob"], {"in": ["ana", "bob"]}, {"ne": ""}, 7, True, ""])
def test_an_id_at_the_top_level_is_text(world: World, user: Any) -> None:
    with pytest.raises(ValueError, match="user_id"):
        world.call(world.access(ANA), "get_all", filters={"user_id": user})


@pytest.mark.parametrize("filters", ["ana", [ANA], 7])
def test_filters_are_a_dict(world: World, filters: Any) -> None:
    with pytest.raises(ValueError, match="dict"):
        world.call(world.access(ANA), "get_all", filters=filters)


def test_a_star_is_an_id_and_not_everybody(world: World) -> None:
    with pytest.raises(PermissionDeniedError):
        world.call(world.access(ANA), "get_all", filters={"user_id": "*"})
    every_user = world.access({"user_id": "*"})
    assert found(world.call(every_user, "get_all", filters={"user_id": "*"})) == set()


def test_scopes_of_others_are_not_listed(world: World) -> None:
    one = world.call(world.access(ANA), "scopes")
    several = world.call(world.access({"agent_id": "a1"}, BOB), "scopes")
    assert {each["user_id"] for each in one} == {"ana"}
    assert sorted(each["user_id"] for each in several) == ["ana", "bob"]
    assert sum(each["memories"] for each in several) == 2
    assert len(world.call(world.access({}), "scopes")) == 3


# --- One memory ------------------------------------------------------------------------------

ON_ONE: dict[str, dict[str, Any]] = {
    "get": {}, "history": {}, "update": {"data": "mine now"}, "delete": {}, "restore": {},
}  # fmt: skip


@pytest.mark.parametrize("name", ON_ONE)
def test_a_memory_of_somebody_else_is_as_one_that_is_not_there(world: World, name: str) -> None:
    access = world.access(ANA)
    faults = []
    for memory_id in (world.ids["bob"], "00000000-0000-4000-8000-000000000000"):
        with pytest.raises(MemoryNotFoundError) as raised:
            world.call(access, name, memory_id=memory_id, **ON_ONE[name])
        faults.append((str(raised.value).replace(memory_id, "ID"), raised.value.error_code))
    assert faults[0] == faults[1]
    assert "bob likes tea" in world.texts()


def test_ones_own_memory_is_read_changed_and_removed(world: World) -> None:
    access, memory_id = world.access(ANA), world.ids["ana"]
    assert world.call(access, "get", memory_id=memory_id)["memory"] == "ana likes tea"
    world.call(access, "update", memory_id=memory_id, data="ana likes coffee", metadata=BOB)
    assert world.call(access, "get", memory_id=memory_id)["user_id"] == "ana"
    world.call(access, "delete", memory_id=memory_id)
    events = [each["event"] for each in world.call(access, "history", memory_id=memory_id)]
    assert events == ["ADD", "UPDATE", "DELETE"]


def test_the_history_of_a_removed_memory_stays_its_owners(world: World) -> None:
    memory_id = world.ids["bob"]
    world.call(world.access(BOB), "delete", memory_id=memory_id)
    assert len(world.call(world.access(BOB), "history", memory_id=memory_id)) == 2
    with pytest.raises(MemoryNotFoundError):
        world.call(world.access(ANA), "history", memory_id=memory_id)


# --- Writing ---------------------------------------------------------------------------------


def test_what_is_added_is_the_keys(world: World) -> None:
    access = world.access({"user_id": "ana", "agent_id": "a2"})
    added = world.call(access, "add", messages="x", infer=False, metadata={**BOB, "kind": "note"})
    got = world.run(world.memory.get(added["results"][0]["id"]))
    assert (got["user_id"], got["agent_id"]) == ("ana", "a2")
    assert got["metadata"] == {"kind": "note"}


@pytest.mark.parametrize("name", ["delete_all", "purge"])
def test_removing_everything_removes_ones_own(world: World, name: str) -> None:
    world.call(world.access(ANA), name)
    assert world.texts() == ["bob likes tea"]


@pytest.mark.parametrize("name", ["add", "delete_all", "purge", "sweep"])
def test_writing_for_another_is_refused(world: World, name: str) -> None:
    asked = {"messages": "x", "infer": False} if name == "add" else {}
    with pytest.raises(PermissionDeniedError):
        world.call(world.access(ANA), name, **BOB, **asked)
    assert len(world.texts()) == 3


def test_a_narrower_key_leaves_the_rest_of_the_user(world: World) -> None:
    world.call(world.access({"user_id": "ana", "agent_id": "a1"}), "delete_all", user_id="ana")
    assert sorted(world.texts()) == ["ana likes tea", "bob likes tea"]


def test_who_may_not_read_is_not_told_what_a_new_fact_supersedes(world: World) -> None:
    given = {"results": [{"id": "1", "memory": "new", "event": "ADD", "supersedes": [
        {"id": "2", "memory": "old", "why": "contradicts"}]}]}  # fmt: skip
    seen = world.access(ANA, rights=("write",)).seen(given)
    assert seen["results"] == [{"id": "1", "memory": "new", "event": "ADD"}]
    assert given["results"][0]["supersedes"][0]["memory"] == "old"
    assert world.access(ANA, rights=("read", "write")).seen(given) == given


def test_only_who_runs_the_service_has_the_store_rewritten(world: World) -> None:
    compacted: list[object] = []
    world.memory.stores.compact = lambda: compacted.append(1)  # type: ignore[method-assign]
    world.call(world.access(ANA), "purge")
    world.call(world.access({}, rights=("write",)), "purge", **BOB)
    assert (compacted, world.texts()) == ([], [])
    assert world.call(world.access({}), "history", memory_id=world.ids["ana"]) == []
    world.call(world.access({}), "purge", **ANA)
    assert compacted == [1]


# --- Arguments -------------------------------------------------------------------------------


def test_an_argument_is_spelt_right(world: World) -> None:
    with pytest.raises(ValidationError, match="treshold") as raised:
        world.call(world.access({}), "search", query="x", filters=ANA, treshold=0)
    assert "threshold" in str(raised.value.suggestion)
    assert raised.value.error_code == "VALIDATION_008"


@pytest.mark.parametrize("name", ["_get", "close", "replacing", "__class__", "", "chat"])
def test_only_calls_of_the_table_are_made(world: World, name: str) -> None:
    with pytest.raises(ValidationError, match="no call"):
        world.call(world.access({}), name)


@pytest.mark.parametrize("argument", ["llm", "self", "count_tokens", "kwargs"])
def test_what_is_for_programs_alone_is_not_taken(world: World, argument: str) -> None:
    with pytest.raises(ValidationError, match=argument):
        world.run(world.access({}).call("add", {"messages": "x", **ANA, argument: "x"}))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("add", {"messages": "x", "infer": False}),
        ("update", {"memory_id": "x", "data": "y"}),
    ],
)
def test_a_number_that_no_answer_could_show_is_not_stored(
    world: World, name: str, arguments: dict[str, Any], number: float
) -> None:
    metadata = {"deep": [{"x": number}]}
    with pytest.raises(ValidationError, match="metadata"):
        world.call(world.access(ANA), name, **arguments, metadata=metadata)
    assert len(world.texts()) == 3


def test_what_is_missing_is_named(world: World) -> None:
    with pytest.raises(ValidationError, match="'query'"):
        world.call(world.access(ANA), "search")


# --- A scope of a key ------------------------------------------------------------------------


def test_a_view_of_one_scope_never_gets_out_of_it(world: World) -> None:
    view = world.access({}).within(ANA)
    assert found(world.call(view, "get_all")) == {"ana likes tea", "They share a garden"}
    with pytest.raises(PermissionDeniedError):
        world.call(view, "get_all", filters=BOB)
    with pytest.raises(PermissionDeniedError):
        world.call(view, "reset")
    with pytest.raises(PermissionDeniedError):
        world.access(ANA).within(BOB)


def test_a_view_of_a_star_is_not_one_of_everybody(world: World) -> None:
    view = world.access({}).within({"user_id": "*"})
    assert found(world.call(view, "get_all")) == set()
    with pytest.raises(PermissionDeniedError):
        world.call(view, "get_all", filters=BOB)
