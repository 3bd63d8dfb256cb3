"""Reading, changing and removing what is there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from isomem.errors import DatabaseError
from isomem.testing import HashEmbedder
from tests.facade.conftest import Face

Make = Callable[..., Face]
U = {"user_id": "u"}


def test_get_shows_a_memory_as_search_does_but_without_a_score(memory: Face) -> None:
    (one,) = memory.learn("Likes tea")
    shown = memory.get(one)
    assert list(shown) == [
        "id", "memory", "hash", "metadata", "score", "created_at", "updated_at", "user_id",
    ]  # fmt: skip
    assert (shown["score"], shown["metadata"]) == (None, None)
    assert memory.get(one.upper()) == shown
    assert memory.get("missing") is None


def test_get_all_lists_a_scope_by_id(memory: Face) -> None:
    for number in range(25):
        memory.add(f"tea {number}", **U, infer=False)
    memory.add("other", user_id="u1", infer=False)
    results = memory.get_all(filters=U)["results"]
    assert [each["memory"] for each in results] == [f"tea {number}" for number in range(20)]
    assert "score" not in results[0]
    assert len(memory.get_all(filters=U, top_k=100)["results"]) == 25


# --- Update ----------------------------------------------------------------------------------


def test_an_update_replaces_the_text_and_keeps_the_rest(memory: Face) -> None:
    said = {"role": "user", "content": "tea", "name": "ana"}
    (added,) = memory.add(said, **U, infer=False, metadata={"a": 1, "b": 2})["results"]
    before = memory.vector_store.get(added["id"]).payload
    assert memory.update(added["id"], "coffee", metadata={"b": 3, "c": 4}) == {
        "message": "Memory updated successfully!"
    }
    payload = memory.vector_store.get(added["id"]).payload
    assert {key: payload[key] for key in "abc"} == {"a": 1, "b": 3, "c": 4}
    assert payload["data"] == payload["text_lemmatized"] == "coffee"
    assert payload["hash"] == hashlib.md5(b"coffee").hexdigest()
    assert payload["created_at"] == before["created_at"]
    assert payload["updated_at"] > before["updated_at"]
    assert (payload["user_id"], payload["actor_id"], payload["role"]) == ("u", "ana", "user")
    first, second = memory.history(added["id"])
    assert (second["event"], second["old_memory"], second["new_memory"]) == (
        "UPDATE", "tea", "coffee",
    )  # fmt: skip
    assert (second["actor_id"], second["role"]) == ("ana", "user")
    assert second["updated_at"] == payload["updated_at"]
    assert first["event"] == "ADD"


def test_an_updated_memory_is_found_by_its_new_text(memory: Face) -> None:
    (one,) = memory.learn("green tea")
    memory.update(one, "black coffee")
    assert memory.search("black coffee", filters=U)["results"][0]["id"] == one
    assert memory.vector_store.keyword_search("tea", filters=U) == []
    vector = memory.vector_store.vector_of(memory.vector_store.get(one))
    assert vector == pytest.approx(HashEmbedder(64).embed("black coffee"), abs=1e-6)


def test_metadata_moves_no_memory(memory: Face) -> None:
    (one,) = memory.learn("tea")
    memory.update(
        one, "coffee", metadata={"user_id": "v", "agent_id": "a", "data": "x", "hash": "y"}
    )
    shown = memory.get(one)
    assert (shown["user_id"], shown["memory"]) == ("u", "coffee")
    assert "agent_id" not in shown
    assert shown["hash"] == hashlib.md5(b"coffee").hexdigest()
    assert memory.memories(user_id="v") == []


def test_an_update_moves_the_links_to_the_new_entities(memory: Face) -> None:
    one, two = memory.learn("We gave Ana Silva a cat", "We gave Ana Silva a dog")
    memory.update(one, "We gave Bruno Costa a cat")
    linked = {name: payload["linked_memory_ids"] for name, payload in memory.entities().items()}
    assert linked == {"Ana Silva": [two], "Bruno Costa": [one]}
    memory.update(two, "We gave Bruno Costa a dog")
    linked = {name: payload["linked_memory_ids"] for name, payload in memory.entities().items()}
    assert linked == {"Bruno Costa": [one, two]}
    memory.update(two, "nobody")
    assert memory.entities()["Bruno Costa"]["linked_memory_ids"] == [one]


def test_an_update_of_an_entity_named_twice_links_once(memory: Face) -> None:
    (one,) = memory.learn("nobody")
    memory.update(one, 'We met Ana Silva and called her "Ana Silva"')
    assert memory.entities()["Ana Silva"]["linked_memory_ids"] == [one]


# --- Delete ----------------------------------------------------------------------------------


def test_a_deleted_memory_is_gone_and_its_history_stays(memory: Face) -> None:
    one, two = memory.learn("We gave Ana Silva a cat", "We gave Bruno Costa a dog")
    assert memory.delete(one) == {"message": "Memory deleted successfully!"}
    assert memory.get(one) is None
    assert memory.memories() == ["We gave Bruno Costa a dog"]
    assert list(memory.entities()) == ["Bruno Costa"]
    *_, last = memory.history(one)
    assert (last["event"], last["old_memory"], last["new_memory"], last["is_deleted"]) == (
        "DELETE", "We gave Ana Silva a cat", None, True,
    )  # fmt: skip
    assert last["updated_at"]
    with pytest.raises(ValueError, match=f"Memory with id {one} not found"):
        memory.delete(one)
    assert memory.get(two)


def test_links_go_with_their_memory_in_another_process_too(make: Make) -> None:
    one, two = make().learn("We gave Ana Silva a cat", "We gave Ana Silva a dog")
    other = make()
    other.delete(one)
    assert other.entities()["Ana Silva"]["linked_memory_ids"] == [two]
    other.delete_all(**U)
    assert other.entities() == {}


@pytest.mark.parametrize("count", [1, 100, 101, 1001])
def test_delete_all_deletes_all_of_a_scope_and_nothing_else(memory: Face, count: int) -> None:
    said = [{"role": "user", "content": f"tea {number}"} for number in range(count)]
    added = memory.add(said, **U, infer=False)["results"]
    memory.add("other", user_id="u", agent_id="a", infer=False)
    memory.add("another", user_id="u1", infer=False)
    assert memory.delete_all(user_id="u") == {"message": "Memories deleted successfully!"}
    assert memory.memories() == []
    assert memory.memories(user_id="u1") == ["another"]
    assert [event["event"] for event in memory.history(added[-1]["id"])] == ["ADD", "DELETE"]
    deleted = [row for row in memory.state()["history"] if row[4] == "DELETE"]
    assert len(deleted) == count + 1


def test_delete_all_takes_memories_that_have_every_given_id(memory: Face) -> None:
    memory.add("both", user_id="u", agent_id="a", infer=False)
    memory.add("one", user_id="u", infer=False)
    memory.delete_all(user_id="u", agent_id="a")
    assert memory.memories() == ["one"]
    memory.delete_all("u")
    assert memory.memories() == []


def test_reset_resets_everything(memory: Face) -> None:
    (one,) = memory.learn("We gave Ana Silva a cat")
    assert memory.search("cat", filters=U)["results"]
    assert memory.reset() is None
    state = memory.state()
    assert not any(
        state[table]
        for table in ("scopes", "points", "terms", "linked_memories", "history", "messages")
    )
    assert memory.get(one) is None
    assert memory.history(one) == []
    assert memory.search("cat", filters=U) == {"results": []}
    memory.learn("We gave Ana Silva a dog")
    assert memory.memories() == ["We gave Ana Silva a dog"]


# --- The life of a memory --------------------------------------------------------------------


def test_what_was_stored_is_there_after_reopening(make: Make) -> None:
    one = make()
    (name,) = one.learn("We gave Ana Silva a cat")
    one.say(
        (),
    )
    one.add("said later", **U)
    before = one.search("cat", filters=U), one.history(name), one.get(name)
    one.close()
    again = make()
    assert (again.search("cat", filters=U), again.history(name), again.get(name)) == before
    assert [each["content"] for each in again.db.get_last_messages("user_id=u")] == [
        "hello", "said later",
    ]  # fmt: skip


def test_a_memory_is_a_context_manager(make: Make) -> None:
    memory = make()
    if memory.is_async:

        async def use() -> None:
            async with memory.real as entered:
                assert entered is memory.real
                await entered.add("tea", **U, infer=False)

        memory._loop.run_until_complete(use())
    else:
        with memory.real as entered:
            assert entered is memory.real
            entered.add("tea", **U, infer=False)
    assert make().memories() == ["tea"]
    with pytest.raises(DatabaseError, match="is closed"):
        memory.get("x")


def test_a_memory_may_be_closed_twice_and_says_so_when_it_is_used_after(memory: Face) -> None:
    memory.learn("tea")
    memory.close()
    memory.close()
    for call in (
        lambda: memory.add("tea", **U, infer=False),
        lambda: memory.search("tea", filters=U),
        lambda: memory.get("x"),
        lambda: memory.history("x"),
        memory.reset,
    ):
        with pytest.raises(DatabaseError, match="is closed") as caught:
            call()
        assert caught.value.suggestion


def test_chat_is_not_there_as_in_upstream(memory: Face) -> None:
    with pytest.raises(NotImplementedError):
        memory.chat("hello")


def test_the_history_can_have_a_file_of_its_own(make: Make, tmp_path: Any) -> None:
    own = tmp_path / "history.db"
    memory = make(history_db_path=str(own))
    (one,) = memory.learn("Likes tea")
    memory.update(one, "Likes coffee")
    assert [event["event"] for event in memory.history(one)] == ["ADD", "UPDATE"]
    assert memory.db.db_path == str(own)
    assert memory.vector_store.database.path != str(own)
    memory.delete_all(**U)
    memory.reset()
    assert memory.history(one) == []
    memory.close()
    memory.close()


def test_memory_only_keeps_nothing(make: Make, tmp_path: Any) -> None:
    memory = make(":memory:")
    memory.learn("We gave Ana Silva a cat")
    assert memory.memories() == ["We gave Ana Silva a cat"]
    assert make(":memory:").memories() == []
    assert not list(tmp_path.glob("*.db*"))


def test_a_memory_has_the_attributes_that_programs_use(memory: Face) -> None:
    assert memory.config.vector_store.provider == "embedded"
    assert memory.collection_name == "mem0"
    assert memory.api_version == "v1.1"
    assert memory.custom_instructions is None
    assert memory.reranker is None
    for name in ("embedding_model", "llm", "vector_store", "entity_store", "db"):
        assert getattr(memory.real, name) is not None


def test_a_memory_with_an_odd_time_can_be_deleted(memory: Face) -> None:
    for moment in ("0001-01-01T00:00:00+14:00", "soon", 5, "2024-01-01T02:00:00+02:00"):
        (added,) = memory.add("x", **U, infer=False, metadata={"created_at": moment})["results"]
        memory.delete(added["id"])
        assert memory.get(added["id"]) is None
    times = {event["event"]: event["created_at"] for event in memory.history(added["id"])}
    assert times == {"ADD": "2024-01-01T02:00:00+02:00", "DELETE": "2024-01-01T00:00:00+00:00"}
