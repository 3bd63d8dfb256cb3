"""The profile "2.2.1", without mem0: what a memory that has it does otherwise.

The harness compares all of it with mem0 2.2.1; these tests run everywhere, and on both store sets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from isomem.errors import InvalidConfigError, LLMError, MemoryNotFoundError, VectorStoreError
from isomem.ports.guard import Guarded
from tests.facade.conftest import Face, PlantedEmbedder, facts

U = {"user_id": "u"}


class Foreign(Guarded):
    """One of our stores, in the place of a foreign one."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.part, name)


@pytest.fixture(params=["embedded", "composed"])
def later(make: Callable[..., Face], request: pytest.FixtureRequest) -> Face:
    """A memory of the profile, over one file or over stores that are wrapped as foreign ones."""
    face = make(profile="2.2.1")
    if request.param == "composed":
        real = face.real
        real.vector_store, real.entity_store = map(Foreign, (real.vector_store, real.entity_store))
    return face


def stored(face: Face, memory_id: str) -> dict[str, Any]:
    payload: dict[str, Any] = face.real.vector_store.get(memory_id).payload
    return payload


def remember(face: Face, text: str, **more: Any) -> str:
    (added,) = face.add(text, **{**U, **more}, infer=False)["results"]
    memory_id: str = added["id"]
    return memory_id


# --- The option ------------------------------------------------------------------------------


def test_the_default_is_2_0_4(make: Callable[..., Face]) -> None:
    assert make().real.profile.NAME == "2.0.4"
    assert make(profile="2.2.1").real.profile.NAME == "2.2.1"


def test_another_release_is_refused(make: Callable[..., Face]) -> None:
    with pytest.raises(InvalidConfigError, match="profile"):
        make(profile="2.1.0")


# --- Ids and metadata ------------------------------------------------------------------------


def test_a_number_is_an_id(later: Face) -> None:
    remember(later, "a cat", user_id=5)
    assert later.memories(user_id="5") == later.memories(user_id=5) == ["a cat"]
    assert later.get_all(filters={"run_id": 1, "AND": [{"user_id": 5}]})["results"] == []
    with pytest.raises(ValueError, match="must be a string, got NoneType"):
        later.get_all(filters={"user_id": None})
    later.delete_all(user_id=5)
    assert later.memories(user_id=5) == []


def test_an_id_without_text_is_refused(later: Face) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for odd in (10**5000, deep):
        with pytest.raises(ValueError, match=r"Invalid user_id: a very large .* Must be a string"):
            later.scopes(user_id=odd)
    with pytest.raises(ValueError, match="Invalid user_id: must be a string, got NoneType"):
        later.count({"user_id": None})


def test_metadata_names_nobody(later: Face) -> None:
    ids = {"user_id": "eve", "agent_id": "a", "run_id": "r", "actor_id": "eve"}
    one = remember(later, "x", metadata={**ids, "n": 1})
    later.update(one, metadata={**ids, "n": 2})
    found = stored(later, one)
    assert [found.get(key) for key in (*ids, "n")] == ["u", None, None, None, 2]


# --- Updates ---------------------------------------------------------------------------------


def test_an_update_of_metadata_alone_keeps_the_rest(later: Face) -> None:
    later.say({"memory": [{"text": "Ana Bell likes tea", "attributed_to": "user"}]})
    (one,) = (each["id"] for each in later.add("x", **U, metadata={"a": 1})["results"])
    before, entities = stored(later, one), later.entities()
    assert later.update(one, metadata={"b": 2}) == {"message": "Memory updated successfully!"}
    after = stored(later, one)
    changed = {key for key in after if after[key] != before.get(key)}
    assert changed == {"b", "updated_at"}
    assert [*after] == [*before, "b"]
    assert later.entities() == entities
    assert later.get(one)["attributed_to"] == "user"
    assert [row["event"] for row in later.history(one)] == ["ADD", "UPDATE"]


def test_the_text_is_embedded_again_unless_that_changes_nothing(later: Face) -> None:
    one = remember(later, "tea")
    later.real.embedding_model = embedder = PlantedEmbedder({"tea": [1.0] + [0.0] * 63})
    embedder.dims = 64
    later.update(one, metadata={"a": 1})
    assert embedder.calls == [("tea", "update")]
    embedder.ignores_action = True  # type: ignore[attr-defined]
    later.update(one, metadata={"a": 2})
    assert embedder.calls == [("tea", "update")]
    assert later.search("tea", filters=U)["results"][0]["metadata"] == {"a": 2}


def test_another_call_that_changes_the_text_meanwhile_wins(later: Face) -> None:
    one = remember(later, "tea")
    embedder = later.real.embedding_model

    class Slow:
        dims = 64

        def embed(self, text: str, action: str | None = None) -> Any:
            later.real.vector_store.update(
                one, embedder.embed("coffee"), {**stored(later, one), "data": "coffee"}
            )
            return embedder.embed(text, action)

    later.real.embedding_model = Slow()
    later.update(one, metadata={"a": 1})
    assert (stored(later, one)["data"], stored(later, one)["a"]) == ("coffee", 1)


def test_an_update_needs_something_to_change_and_a_memory(later: Face) -> None:
    one = remember(later, "tea")
    with pytest.raises(ValueError, match="At least one of text, metadata, or expiration_date"):
        later.update(one)
    with pytest.raises(MemoryNotFoundError):
        later.update("00000000-0000-4000-8000-00000000dead", metadata={"a": 1})
    later.real.vector_store.update(one, payload={"data": None})
    with pytest.raises(ValueError, match="does not have text content"):
        later.update(one, metadata={"a": 1})


# --- Adding ----------------------------------------------------------------------------------


def test_a_model_that_fails_is_an_error(later: Face) -> None:
    later.say(ConnectionError("down"))
    with pytest.raises(LLMError, match="LLM extraction failed: down"):
        later.add("hello", **U)


def test_messages_are_kept_when_no_memory_can_be_stored(later: Face) -> None:
    later.say(facts("bad"))
    later.real.embedding_model = PlantedEmbedder({"bad": [0.0]})
    later.real.embedding_model.vectors["user: hello\n"] = [1.0] + [0.0] * 63
    with pytest.raises(VectorStoreError, match="any of the 1 extracted memories"):
        later.add("hello", **U)
    assert later.memories() == []
    (kept,) = later.real.db.get_last_messages("user_id=u")
    assert kept["content"] == "hello"


class Blocks:
    """A model that answers with a list of blocks."""

    fact = "a fact"

    def generate_response(self, messages: Any, **options: Any) -> Any:
        del options
        if "stored memories" in messages[0]["content"]:
            return [{"text": '{"superseded": [{"fact": 0, '}, '"memory": 0}]}']
        return [{"text": '{"memory": [{"text": '}, f'"{self.fact}"}}]}}', {"type": "x"}]


def test_a_reply_may_be_blocks(later: Face) -> None:
    later.real.llm = Blocks()
    assert [each["memory"] for each in later.add("x", **U)["results"]] == ["a fact"]


def test_what_is_superseded_may_be_said_in_blocks(later: Face) -> None:
    later.real.llm = Blocks()
    later.add("x", **U)
    later.real.llm.fact = "a newer fact"
    (added,) = later.add("x", **U, supersede="model")["results"]
    assert [each["memory"] for each in added["supersedes"]] == ["a fact"]


def test_an_empty_summary_is_an_error(later: Face) -> None:
    later.say(None)
    with pytest.raises(ValueError, match="no content for the procedural memory"):
        later.add("x", agent_id="a", memory_type="procedural_memory")


# --- Expiry ----------------------------------------------------------------------------------


def test_what_2_0_4_has_stored_expires(make: Callable[..., Face]) -> None:
    one = remember(make(), "old", expiration_date="2024-04-01")
    later = make(profile="2.2.1")
    assert later.memories() == []
    assert later.get(one)["expiration_date"] == "2024-04-01"
    later.update(one, expiration_date="2030-01-01")
    assert later.memories() == ["old"]
    assert later.get(one)["expiration_date"] == "2030-01-01"
    assert later.get(one)["metadata"] is None


@pytest.mark.parametrize("expires", [None, "2030-01-01"])
def test_what_2_0_4_has_stored_can_get_another_date(
    later: Face, make: Callable[..., Face], expires: str | None
) -> None:
    one = remember(make(), "old", expiration_date="2024-04-01")
    later.update(one, expiration_date=expires)
    assert later.memories() == ["old"]
    assert later.get(one)["expiration_date"] == expires
    assert later.sweep() == 0
    later.update(one, expiration_date="2024-04-01")
    assert later.memories() == []


@pytest.mark.parametrize("mem0s", [None, "", "9000-01-01"])
def test_of_two_dates_the_one_that_hides_is_shown(make: Callable[..., Face], mem0s: Any) -> None:
    """A memory has two if the profile "2.0.4" changes the date that "2.2.1" has stored."""
    early, late = make(), make(profile="2.2.1")
    memory_id = remember(late, "tea", metadata={"expiration_date": mem0s})
    early.update(memory_id, expiration_date="2020-01-01")
    assert late.get_all(filters=U)["results"] == []
    assert late.get(memory_id)["expiration_date"] == "2020-01-01"
    late.update(memory_id, expiration_date="9000-01-01")
    assert late.get_all(filters=U)["results"][0]["expiration_date"] == "9000-01-01"


def test_an_expiration_date_in_metadata_counts(later: Face) -> None:
    remember(later, "old", metadata={"expiration_date": "2024-04-01"})
    assert later.memories() == []
    assert later.sweep() == 1
    assert later.get_all(filters=U, show_expired=True)["results"] == []


# --- Entities --------------------------------------------------------------------------------


TITLES = {"Moby Dick": [1.0, 0.0, 0.0], "MOBY  DICK": [0.0, 0.0, 1.0]}


class Quotes:
    """A tier that finds what is in quotes."""

    def lemmatize(self, text: str) -> str:
        return text

    def entities(self, text: str) -> list[tuple[str, str]]:
        return [("QUOTED", quoted) for quoted in text.split('"')[1::2]]

    def entities_batch(self, texts: list[str]) -> list[list[tuple[str, str]]]:
        return [self.entities(text) for text in texts]


@pytest.mark.parametrize(("profile", "entities"), [("2.0.4", 2), ("2.2.1", 1)])
@pytest.mark.parametrize("update", [False, True], ids=["add", "update"])
def test_an_entity_of_the_same_text_is_the_same(
    make: Callable[..., Face], profile: str, entities: int, update: bool
) -> None:
    face = make(profile=profile, store={"embedding_model_dims": 3, "keyword_search": False})
    face.embedding_model, face.nlp = PlantedEmbedder(TITLES), Quotes()
    (first,) = face.learn('"Moby Dick" is long')
    (second,) = face.learn("it is short" if update else 'I sold "MOBY  DICK"')
    if update:
        face.update(second, 'I sold "MOBY  DICK"')
    linked = [each["linked_memory_ids"] for each in face.entities().values()]
    assert linked == ([[first, second]] if entities == 1 else [[first], [second]])


def test_queries_are_trimmed_first(later: Face) -> None:
    for query in (" ", 5, None):
        with pytest.raises(ValueError, match="Invalid query: "):
            later.search(query, filters={})
    remember(later, "tea")
    assert [each["memory"] for each in later.search(" tea\n", filters=U)["results"]] == ["tea"]


def test_get_all_lists_at_least_one(later: Face) -> None:
    remember(later, "one")
    remember(later, "two")
    assert len(later.get_all(filters=U, top_k=0)["results"]) == 1
