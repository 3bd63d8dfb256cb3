"""Every call of a memory, over every engine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from isomem import MemoryNotFoundError, ValidationError, VectorStoreError
from isomem.contract.limits import OWN_FIELDS
from isomem.contract.plan import Receipt
from isomem.pipeline import receipts, scope_pages
from isomem.pipeline.scope_pages import Asked
from isomem.testing import ScriptedLLM
from isomem.types import SCOPE_KEYS
from tests.stores.adapters import Adapter
from tests.stores.conftest import Open, learn, say, texts

ANA = {"user_id": "ana"}
BOB = {"user_id": "bob"}
pytestmark = pytest.mark.filterwarnings("ignore")


# --- Adding and reading ----------------------------------------------------------------------


def test_what_is_added_is_read_again(memory: Any) -> None:
    one = say(memory, "Ana likes green tea", metadata={"n": 1, "tags": ["tea"]})
    found = memory.get(one)
    assert (found["memory"], found["metadata"]) == (
        "Ana likes green tea",
        {"n": 1, "tags": ["tea"]},
    )
    assert found["created_at"] == found["updated_at"]
    assert memory.get("7d8c1a44-0000-4000-8000-00000000ffff") is None
    assert texts(memory.get_all(filters=ANA)) == ["Ana likes green tea"]


def test_facts_that_a_model_finds_are_stored_once(memory: Any) -> None:
    ids = learn(memory, "Ana lives in Lisbon", "Ana plays the cello")
    assert len(ids) == 2
    assert learn(memory, "Ana lives in Lisbon") == []
    assert sorted(texts(memory.get_all(filters=ANA))) == [
        "Ana lives in Lisbon",
        "Ana plays the cello",
    ]


def test_the_last_messages_are_kept_by_session(memory: Any) -> None:
    learn(memory, "Ana lives in Lisbon")
    last = memory.db.get_last_messages("user_id=ana")
    assert [each["content"] for each in last] == ["Ana lives in Lisbon"]
    assert memory.db.get_last_messages("user_id=bob") == []


def test_a_scope_never_sees_another(memory: Any) -> None:
    say(memory, "Ana likes green tea")
    say(memory, "Bob likes green tea", **BOB)
    say(memory, "Ana likes tea on this trip", run_id="trip")
    assert texts(memory.search("green tea", filters=BOB, threshold=0.0)) == ["Bob likes green tea"]
    trip = {**ANA, "run_id": "trip"}
    assert texts(memory.get_all(filters=trip)) == ["Ana likes tea on this trip"]
    assert len(texts(memory.get_all(filters=ANA))) == 2
    memory.delete_all(**BOB)
    assert len(texts(memory.get_all(filters=ANA))) == 2


# --- Searching -------------------------------------------------------------------------------


def test_the_nearest_memory_comes_first_and_scores_fall(memory: Any) -> None:
    for text in ("Ana likes green tea", "Ana drives a red car", "Ana sleeps late"):
        say(memory, text)
    found = memory.search("Ana likes green tea", filters=ANA, threshold=0.0)["results"]
    assert found[0]["memory"] == "Ana likes green tea"
    scores = [each["score"] for each in found]
    assert scores == sorted(scores, reverse=True)
    assert len(memory.search("tea", filters=ANA, top_k=1, threshold=0.0)["results"]) == 1


def test_words_count_where_the_engine_finds_words(memory: Any, adapter: Adapter) -> None:
    say(memory, "The zeppelin was built in Friedrichshafen")
    say(memory, "A quiet evening at home")
    hits = memory.vector_store.keyword_search(query="zeppelin", top_k=5, filters=ANA)
    if not adapter.can.keywords:
        assert hits is None
        return
    assert [hit.payload["data"] for hit in hits] == ["The zeppelin was built in Friedrichshafen"]
    assert hits[0].score > 0
    assert memory.vector_store.keyword_search(query="the", top_k=5, filters=ANA) == []


def test_entities_of_the_query_raise_the_memories_that_name_them(memory: Any) -> None:
    [named, other] = learn(memory, "Ana met Inês Duarte", "Ana met a neighbour")
    entities = {each.payload["data"]: each.payload for each in memory.entity_store.list()[0]}
    assert entities["Inês Duarte"]["linked_memory_ids"] == [named]
    found = memory.search("Who is Inês Duarte?", filters=ANA, threshold=0.0)["results"]
    scores = {each["id"]: each["score"] for each in found}
    assert scores[named] > scores[other]


def test_a_later_mention_joins_the_entity_and_a_deletion_leaves_it(memory: Any) -> None:
    [first] = learn(memory, "Ana met Inês Duarte")
    [second] = learn(memory, "Inês Duarte plays the cello")
    [entity] = entities_named(memory, "Inês Duarte")
    assert sorted(entity["linked_memory_ids"]) == sorted([first, second])
    memory.delete(first)
    [entity] = entities_named(memory, "Inês Duarte")
    assert entity["linked_memory_ids"] == [second]
    memory.delete(second)
    assert entities_named(memory, "Inês Duarte") == []


def entities_named(memory: Any, name: str) -> list[Any]:
    points, _ = memory.entity_store.list(filters=ANA, top_k=100)
    return [each.payload for each in points if each.payload["data"] == name]


# --- Changing --------------------------------------------------------------------------------


def test_an_update_changes_the_text_and_what_is_found(memory: Any) -> None:
    one = say(memory, "Ana lives in Lisbon", metadata={"n": 1})
    memory.update(one, "Ana lives in Porto", metadata={"k": 2})
    found = memory.get(one)
    assert (found["memory"], found["metadata"]) == ("Ana lives in Porto", {"n": 1, "k": 2})
    best = memory.search("Ana lives in Porto", filters=ANA, threshold=0.0)["results"][0]
    assert best["id"] == one
    assert [row["event"] for row in memory.history(one)] == ["ADD", "UPDATE"]
    with pytest.raises(ValueError, match="not found"):
        memory.update("7d8c1a44-0000-4000-8000-00000000ffff", "x")


def test_a_deleted_memory_is_gone_and_its_history_says_so(memory: Any) -> None:
    one = say(memory, "Ana lives in Lisbon")
    memory.delete(one)
    assert memory.get(one) is None
    assert texts(memory.search("Lisbon", filters=ANA, threshold=0.0)) == []
    last = memory.history(one)[-1]
    assert (last["event"], last["old_memory"], bool(last["is_deleted"])) == (
        "DELETE",
        "Ana lives in Lisbon",
        True,
    )
    with pytest.raises(MemoryNotFoundError):
        memory.delete(one)


def test_delete_all_removes_a_scope_however_large(memory: Any) -> None:
    learn(memory, *(f"Fact number {n} of Ana" for n in range(60)))
    say(memory, "Bob stays", **BOB)
    assert memory.count(filters=ANA) == 60
    memory.delete_all(**ANA)
    assert memory.count(filters=ANA) == 0
    assert memory.entity_store.list(filters=ANA)[0] == []
    assert texts(memory.get_all(filters=BOB)) == ["Bob stays"]
    memory.delete_all(**ANA)  # Nothing is left, and that is no error.


def test_delete_all_can_forget_the_history(memory: Any) -> None:
    one, other = say(memory, "Ana lives in Lisbon"), say(memory, "Bob stays", **BOB)
    memory.purge(**ANA)
    assert memory.history(one) == []
    assert len(memory.history(other)) == 1


def test_reset_removes_everything_and_the_memory_goes_on(memory: Any) -> None:
    one = learn(memory, "Ana met Inês Duarte")[0]
    memory.reset()
    assert memory.scopes() == []
    assert memory.history(one) == []
    assert memory.db.get_last_messages("user_id=ana") == []
    assert memory.entity_store.list()[0] == []
    say(memory, "Ana is back")
    assert texts(memory.get_all(filters=ANA)) == ["Ana is back"]


def test_what_has_expired_is_hidden_and_swept(memory: Any) -> None:
    old = say(memory, "My car is on level 3", expiration_date="2020-01-31")
    say(memory, "My car is red", expiration_date="9000-01-31")
    assert texts(memory.get_all(filters=ANA)) == ["My car is red"]
    assert len(texts(memory.search("car", filters=ANA, threshold=0.0, show_expired=True))) == 2
    assert memory.sweep() == 1
    assert memory.get(old) is None
    assert memory.sweep() == 0


def test_a_sweep_of_a_scope_leaves_the_others(memory: Any) -> None:
    for who in ("ana", "bob"):
        say(memory, f"{who} was here", user_id=who, expiration_date="2020-01-31")
    assert memory.sweep(**ANA) == 1
    assert memory.count(filters=BOB, show_expired=True) == 1


def test_a_later_fact_supersedes_an_earlier_one_until_it_is_restored(open_memory: Open) -> None:
    memory = open_memory(supersede="similar")
    [old] = learn(memory, "Ana's favourite colour is blue")
    memory.llm = ScriptedLLM([{"memory": [{"text": "Ana's favourite colour is now green"}]}])
    [new] = memory.add("It is green now", **ANA)["results"]
    hidden = memory.get(old).get("superseded_by") == new["id"]
    assert len(texts(memory.get_all(filters=ANA))) == (1 if hidden else 2)
    if hidden:
        memory.restore(old)
        assert len(texts(memory.get_all(filters=ANA))) == 2
    with pytest.raises(ValidationError, match="not superseded"):
        memory.restore(old)


def test_what_a_fact_superseded_is_told_again_with_its_receipt(open_memory: Open) -> None:
    memory = open_memory(supersede="similar")
    learn(memory, "Ana's favourite colour is blue")
    memory.llm = ScriptedLLM([{"memory": [{"text": "Ana's favourite colour is now green"}]}])
    told = memory.replacing(receipt=Receipt("k", "digest")).add("It is green now", **ANA)
    again = memory._ports.run(receipts.outcome(memory._ports, "k"))
    assert again.results == told["results"]


# --- Listing ---------------------------------------------------------------------------------


def test_pages_show_every_memory_once_in_order(memory: Any) -> None:
    for n in range(7):
        say(memory, f"Fact {n}", timestamp=f"2024-05-0{n + 1}T10:00:00+00:00")
    for order, expected in (("oldest", range(7)), ("newest", range(6, -1, -1))):
        seen, cursor = [], None
        while True:
            page = memory.get_all(filters=ANA, page_size=3, order=order, cursor=cursor)
            seen += texts(page)
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == [f"Fact {n}" for n in expected]
        assert page["total"] == 7


def test_get_all_gives_as_many_as_asked_for(memory: Any) -> None:
    learn(memory, *(f"Fact {n}" for n in range(30)))
    assert len(texts(memory.get_all(filters=ANA, top_k=5))) == 5
    assert len(texts(memory.get_all(filters=ANA))) == 20
    assert len([*memory.iter_all(filters=ANA)]) == 30


def test_memories_are_counted_and_scopes_listed(memory: Any) -> None:
    say(memory, "One")
    say(memory, "Two")
    say(memory, "Three", user_id="bob", agent_id="helper")
    assert memory.count(filters=ANA) == 2
    assert memory.count(filters=BOB) == 1
    found = {(each["user_id"], each.get("agent_id")): each["memories"] for each in memory.scopes()}
    assert found == {("ana", None): 2, ("bob", "helper"): 1}


def test_an_id_that_is_no_text_belongs_to_no_scope(memory: Any, adapter: Adapter) -> None:
    """Many stores refuse it; into others, another program may write it."""
    say(memory, "One", agent_id="helper")

    def store(number: int, user: object) -> None:
        memory.vector_store.insert(
            vectors=[memory.embedding_model.embed(str(number))],
            ids=[f"7d8c1a44-0000-4000-8000-00000000000{number}"],
            payloads=[{"data": str(number), "user_id": user, "agent_id": "helper"}],
        )

    if adapter.can.atomic or adapter.name.startswith("chroma"):
        with pytest.raises(VectorStoreError, match="user_id"):
            store(2, ["ana"])
        return
    store(2, ["ana"])
    store(3, 7)
    counts = {("helper",): 2, ("ana", "helper"): 1}
    for own in ({}, {"agent_id": "helper"}):
        question = scope_pages.page(memory._ports, Asked([own]), page_size=9, cursor=None)
        for found in (memory.scopes(**own), memory._ports.run(question)["results"]):
            ids = [tuple(each[key] for key in SCOPE_KEYS if each.get(key)) for each in found]
            assert dict(zip(ids, (each["memories"] for each in found), strict=True)) == counts


def test_scopes_come_page_by_page(memory: Any) -> None:
    for ids in ({"run_id": "r"}, ANA, {**ANA, "agent_id": "x"}, {**ANA, "run_id": "r"}, BOB):
        say(memory, "One", **{"user_id": None, **ids})
    say(memory, "Two", **BOB)
    for own in ({}, ANA, {"run_id": "r"}):
        found, cursor = [], None
        while True:
            question = scope_pages.page(memory._ports, Asked([own]), page_size=2, cursor=cursor)
            page = memory._ports.run(question)
            found += page["results"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert found == memory.scopes(**own)
        assert page["total"] == len(found)


# --- The rest --------------------------------------------------------------------------------


def test_history_is_in_order_and_for_one_memory_alone(memory: Any) -> None:
    one, other = say(memory, "First"), say(memory, "Other")
    memory.update(one, "Second")
    memory.update(one, "Third")
    memory.delete(one)
    rows = memory.history(one)
    assert [(row["event"], row["old_memory"], row["new_memory"]) for row in rows] == [
        ("ADD", None, "First"),
        ("UPDATE", "First", "Second"),
        ("UPDATE", "Second", "Third"),
        ("DELETE", "Third", None),
    ]
    assert len(memory.history(other)) == 1


def test_odd_texts_and_payloads_come_back_as_they_were(memory: Any) -> None:
    odd = 'naïve "quotes" \\ back, tab\t, 日本語 🗼, zero\u200bwidth'
    payload = {"deep": {"a": [1, 2.5, None, True, {"b": "c"}]}, "größe": 3, "empty": []}
    one = say(memory, odd, metadata=payload)
    found = memory.get(one)
    assert (found["memory"], found["metadata"]) == (odd, payload)


def test_none_in_metadata_is_kept_by_every_change(memory: Any, adapter: Adapter) -> None:
    if adapter.name == "mem0-qdrant":
        pytest.skip("mem0's class leaves it out")
    one = say(memory, "Ana likes tea", metadata={"none": None, "later": 1})
    for change in (
        {"expiration_date": "2099-01-01"}, {"metadata": {"later": None, "new": None}},
        {"text": "Ana likes coffee"}, {"expiration_date": None}, {"metadata": {"new": 2}},
    ):  # fmt: skip
        memory.update(one, **change)
    assert memory.get(one)["metadata"] == {"none": None, "later": None, "new": 2}
    assert memory.vector_store.get(one).payload[OWN_FIELDS[0]] is None


@pytest.mark.parametrize("star", ["*"])
def test_a_star_as_an_id_is_an_id_or_is_refused(memory: Any, adapter: Adapter, star: str) -> None:
    """Never does it mean everybody."""
    say(memory, "Ana's alone")
    try:
        say(memory, "The star's alone", user_id=star)
        found = texts(memory.get_all(filters={"user_id": star}))
    except (ValueError, ValidationError):
        assert not adapter.can.stars
        return
    assert adapter.can.stars
    assert found == ["The star's alone"]
    memory.delete_all(user_id=star)
    assert texts(memory.get_all(filters=ANA)) == ["Ana's alone"]


def test_an_asynchronous_memory_does_the_same(adapter: Adapter, tmp_path: Path) -> None:
    lacks = adapter.missing()
    if lacks:
        pytest.skip(f"{adapter.name}: {lacks}")

    async def calls() -> None:
        memory = adapter.made(tmp_path, "AsyncMemory")
        memory.llm = ScriptedLLM([{"memory": [{"text": "Ana met Inês Duarte"}]}])
        [added] = (await memory.add("I met Inês", **ANA))["results"]
        adding = [memory.add(f"Note {n}", infer=False, **ANA) for n in range(8)]
        if adapter.can.threads:
            await asyncio.gather(*adding)
        else:
            for each in adding:
                await each
        found = await memory.search("Inês Duarte", filters=ANA, threshold=0.0)
        assert found["results"][0]["id"] == added["id"]
        await memory.update(added["id"], "Ana knows Inês Duarte")
        assert (await memory.get(added["id"]))["memory"] == "Ana knows Inês Duarte"
        assert await memory.count(filters=ANA) == 9
        await memory.delete_all(**ANA)
        assert await memory.count(filters=ANA) == 0
        memory.close()

    asyncio.run(calls())
