"""What the calls of a memory do, one claim each, on both classes of both implementations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem_parity import tiers
from tests.claims.conftest import Called, Make
from tests.claims.sides import examples

MINE = {"user_id": "u"}
LINKS = "linked_memory_ids"


def add_raw(memory: Called, text: str, **ids: Any) -> str:
    """The id of a new memory."""
    added = memory.result("add", messages=text, infer=False, **(ids or MINE))
    [stored] = added["results"]
    found: str = stored["id"]
    return found


# --- One memory ------------------------------------------------------------------------------


def test_a_memory_is_shown_with_its_scope_times_and_metadata(memory: Called) -> None:
    ids = {"user_id": "u", "agent_id": "a", "run_id": "r"}
    given_ = {"mood": "fine", "tags": ["x"]}
    added = memory.result("add", messages="Sails", infer=False, metadata=given_, **ids)
    [stored] = added["results"]
    shown = memory.result("get", memory_id=stored["id"])
    assert shown["memory"] == "Sails"
    assert shown["metadata"] == given_
    assert {key: shown[key] for key in ids} == ids
    assert shown["role"] == "user"
    assert shown["created_at"] == shown["updated_at"]
    [listed] = memory.result("get_all", filters=MINE)["results"]
    [found] = memory.result("search", query="Sails", filters=MINE)["results"]
    assert {**listed, "score": None} == {**found, "score": None} == {**shown, "score": None}


def test_a_memory_without_metadata_has_none(memory: Called) -> None:
    shown = memory.result("get", memory_id=add_raw(memory, "Sails"))
    assert shown["metadata"] is None
    assert not {"agent_id", "run_id", "actor_id"} & shown.keys()


def test_an_unknown_memory_is_none(memory: Called) -> None:
    assert memory.result("get", memory_id="5e0f0000-0000-4000-8000-000000000000") is None


def test_an_update_changes_the_text_the_hash_and_the_time(memory: Called) -> None:
    name = add_raw(memory, "Sails")
    before = memory.result("get", memory_id=name)
    told = memory.result("update", memory_id=name, data="Rows")
    after = memory.result("get", memory_id=name)
    assert told == {"message": "Memory updated successfully!"}
    assert after["memory"] == "Rows"
    assert after["created_at"] == before["created_at"] < after["updated_at"]
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"memory", "hash", "updated_at"}


def test_the_history_tells_of_every_event_and_outlives_the_memory(memory: Called) -> None:
    name = add_raw(memory, "Sails")
    memory.result("update", memory_id=name, data="Rows")
    assert memory.result("delete", memory_id=name) == {"message": "Memory deleted successfully!"}
    assert memory.result("get", memory_id=name) is None
    events = [
        (row["event"], row["old_memory"], row["new_memory"], row["is_deleted"])
        for row in memory.result("history", memory_id=name)
    ]
    assert events == [
        ("ADD", None, "Sails", False),
        ("UPDATE", "Sails", "Rows", False),
        ("DELETE", "Rows", None, True),
    ]


# --- Many ------------------------------------------------------------------------------------


def test_delete_all_takes_one_scope_alone(memory: Called) -> None:
    for ids in (MINE, MINE, {"user_id": "u2"}, {"user_id": "u", "run_id": "r"}):
        add_raw(memory, "Sails", **ids)
    told = memory.result("delete_all", user_id="u", run_id="r")
    assert told == {"message": "Memories deleted successfully!"}
    assert len(memory.texts("u")) == 2
    memory.result("delete_all", user_id="u")
    assert memory.texts("u") == []
    assert memory.texts("u2") == ["Sails"]


def test_twenty_are_listed_and_found_if_nothing_is_said(memory: Called) -> None:
    for number in range(23):
        add_raw(memory, f"Sails boat {number}")
    assert len(memory.result("get_all", filters=MINE)["results"]) == 20
    found = memory.result("search", query="Sails boat", filters=MINE)["results"]
    assert len(found) == 20
    assert len(memory.result("get_all", filters=MINE, top_k=22)["results"]) == 22


def test_a_tenth_is_the_least_similarity_if_nothing_is_said(make_memory: Make) -> None:
    near, far, query = [1.0, 0.0], [0.0625, 0.998], [1.0, 0.0]
    memory = make_memory(dims=2, vectors={"near": near, "far": far, "q": query})
    for text in ("near", "far"):
        add_raw(memory, text)
    for given_, texts in (
        ({}, ["near"]),
        ({"threshold": None}, ["near"]),
        ({"threshold": 0.05}, ["near", "far"]),
    ):
        found = memory.result("search", query="q", filters=MINE, **given_)["results"]
        assert [hit["memory"] for hit in found] == texts


@examples(10)
@given(st.lists(st.sampled_from(("tea", "green tea", "a dog", "dogs", "trains")), max_size=5))
def test_a_search_is_in_falling_order_and_in_its_scope(memory: Called, texts: list[str]) -> None:
    mine, other = {"user_id": f"u{memory.steps}"}, {"user_id": f"o{memory.steps}"}
    for text in texts:
        add_raw(memory, text, **mine)
        add_raw(memory, text, **other)
    found = memory.result("search", query="a dog and tea", filters=mine, threshold=0)["results"]
    scores = [hit["score"] for hit in found]
    assert scores == sorted(scores, reverse=True)
    assert sorted(hit["memory"] for hit in found) == sorted(texts)
    assert all(hit["user_id"] == mine["user_id"] for hit in found)


# --- What the model is asked -----------------------------------------------------------------


def asked(memory: Called, **arguments: Any) -> tuple[str, str]:
    """The two messages of the one prompt of an `add`."""
    [prompt] = memory("add", **arguments).prompts
    system, user = prompt["messages"]
    assert (system["role"], user["role"]) == ("system", "user")
    return system["content"], user["content"]


def test_without_inference_no_model_is_asked(memory: Called) -> None:
    assert memory("add", messages="Sails", infer=False, **MINE).prompts == []


def test_an_agent_alone_has_another_prompt_than_a_user(memory: Called) -> None:
    of_user, _ = asked(memory, messages="Sails", user_id="u")
    of_both, _ = asked(memory, messages="Sails", user_id="u", agent_id="a")
    of_agent, _ = asked(memory, messages="Sails", agent_id="a")
    assert of_user == of_both
    assert of_agent.startswith(of_user)
    assert len(of_agent) > len(of_user)


def test_instructions_of_the_call_come_before_those_of_the_configuration(
    make_memory: Make,
) -> None:
    memory = make_memory(custom_instructions="Only boats, please.")
    _, usual = asked(memory, messages="Sails", **MINE)
    _, once = asked(memory, messages="Sails", prompt="Only trains, please.", **MINE)
    assert "Only boats, please." in usual
    assert "Only trains, please." in once
    assert "Only boats" not in once


def test_known_memories_are_numbered_and_their_ids_kept_back(memory: Called) -> None:
    name = add_raw(memory, "Sails a yawl")
    _, prompt = asked(memory, messages="I sail", **MINE)
    assert '[{"id": "0", "text": "Sails a yawl"}]' in prompt
    assert name not in prompt


def test_a_fact_that_is_known_in_the_scope_is_not_stored_again(memory: Called) -> None:
    reply = '{"memory": [{"text": "Sails a yawl"}]}'
    assert memory.result("add", reply, messages="I sail", **MINE)["results"]
    assert memory.result("add", reply, messages="I sail", **MINE) == {"results": []}
    assert memory.result("add", reply, messages="I sail", user_id="u2")["results"]


# --- Reset -----------------------------------------------------------------------------------


@pytest.mark.oracle
def test_entities_are_linked_after_a_reset_but_not_in_mem0s_asynchronous_class(
    make_memory: Make,
) -> None:
    """Divergence D-04."""
    lacking = tiers.missing("C")
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    memory = make_memory("C", store="disk")
    told = '{"memory": [{"text": "They drove from Porto to see Mateus"}]}'
    assert len(memory("add", told, messages="x", **MINE).state.entities) == 2
    dead = memory.kind == "async" and not memory.is_isomem
    assert bool(reset_as_a_caller(memory)) == dead
    state = memory("add", told, messages="x", **MINE).state
    linked = {each for point in state.entities.values() for each in point.fields[LINKS]}
    assert (linked == set(state.memories)) != dead


def reset_as_a_caller(memory: Called) -> Any:
    """Resets without what the harness mends afterwards; the entities that are left."""
    memory.driver.call("reset", {})
    return memory.driver.state().entities
