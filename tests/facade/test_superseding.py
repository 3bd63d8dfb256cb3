"""New facts hide stale ones: what is hidden, what is not, and how it comes back."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable
from typing import Any

import pytest

from isomem import MemoryNotFoundError, ValidationError
from isomem.errors import InvalidConfigError
from isomem.testing import ConstantEmbedder, ScriptedLLM
from tests.facade.conftest import Face, facts
from tests.facade.test_replaced_parts import Store, foreign  # noqa: F401 - a fixture

Make = Callable[..., Face]
U = {"user_id": "u"}
BERLIN, LISBON = "Ana lives in Berlin", "Ana lives in Lisbon"


@pytest.fixture
def similar(make: Make) -> Face:
    """A memory in which plain words decide."""
    return make(supersede="similar")


def verdict(*pairs: tuple[Any, Any]) -> dict[str, Any]:
    """What a model says of facts and memories, by their numbers."""
    return {"superseded": [{"fact": fact, "memory": memory} for fact, memory in pairs]}


def shown(face: Face, **more: Any) -> set[str]:
    listed = face.get_all(filters=U, top_k=1000, **more)["results"]
    return {each["memory"] for each in listed}


def found(face: Face, query: str = "Where does Ana live?", **more: Any) -> set[str]:
    hits = face.search(query, filters=U, top_k=1000, threshold=0.0, **more)["results"]
    return {hit["memory"] for hit in hits}


def superseded(face: Face) -> tuple[str, str]:
    """Berlin, then Lisbon: the ids of both."""
    (old,) = face.learn(BERLIN)
    (new,) = face.learn(LISBON)
    return old, new


# --- What is hidden --------------------------------------------------------------------------


def test_nothing_is_superseded_unless_it_is_asked_for(memory: Face) -> None:
    memory.learn(BERLIN)
    memory.say((LISBON,))
    (added,) = memory.add("hello", **U)["results"]
    assert set(added) == {"id", "memory", "event"}
    assert shown(memory) == {BERLIN, LISBON}
    assert len(memory.llm.calls) == 1


@pytest.mark.parametrize("ranking", ["contract", "fused"])
def test_a_stale_fact_is_hidden(similar: Face, ranking: str) -> None:
    (old,) = similar.learn(BERLIN)
    similar.say((LISBON, "Ana likes tea"))
    first, second = similar.add("hello", **U)["results"]
    assert first["supersedes"] == [{"id": old, "memory": BERLIN, "why": "contradicts"}]
    assert second["supersedes"] == []
    assert shown(similar) == found(similar, ranking=ranking) == {LISBON, "Ana likes tea"}
    everything = {BERLIN, LISBON, "Ana likes tea"}
    assert shown(similar, show_superseded=True) == everything
    assert found(similar, ranking=ranking, show_superseded=True) == everything


def test_a_superseded_memory_says_by_what_and_when(similar: Face) -> None:
    old, new = superseded(similar)
    (hit,) = [
        each
        for each in similar.search("Ana", filters=U, threshold=0.0, show_superseded=True)["results"]
        if each["id"] == old
    ]
    for each in (similar.get(old), hit):
        assert each["superseded_by"] == new
        assert each["superseded_at"] > each["created_at"]
        assert each["metadata"] is None
    assert "superseded_by" not in similar.get(new)


def test_the_history_tells_of_it(similar: Face) -> None:
    old, new = superseded(similar)
    added, event = similar.history(old)
    assert added["event"] == "ADD"
    assert (event["event"], event["old_memory"], event["new_memory"]) == (
        "SUPERSEDE", BERLIN, LISBON,
    )  # fmt: skip
    assert event["created_at"] == added["created_at"]
    assert event["updated_at"] == similar.get(old)["superseded_at"]
    assert not event["is_deleted"]
    assert [each["event"] for each in similar.history(new)] == ["ADD"]


def test_a_call_can_choose_its_own_way(make: Make) -> None:
    face = make()
    face.learn(BERLIN)
    face.say((LISBON,))
    (added,) = face.add("hello", **U, supersede="similar")["results"]
    assert len(added["supersedes"]) == 1
    face = make(supersede="similar")
    face.say(("Ana lives in Porto",))
    (added,) = face.add("hello", **U, supersede="off")["results"]
    assert "supersedes" not in added
    assert shown(face) == {LISBON, "Ana lives in Porto"}


@pytest.mark.parametrize("mode", ["", "Model", "on", True, 1, ["model"]])
def test_another_word_is_refused_before_anything_is_asked(make: Make, mode: Any) -> None:
    face = make()
    face.llm = ScriptedLLM()
    with pytest.raises(ValueError, match=r"Invalid supersede: .* one of off, similar, model\.$"):
        face.add("hello", **U, supersede=mode)
    assert not face.llm.calls
    with pytest.raises(InvalidConfigError, match="supersede must be one of"):
        make(supersede=mode)


def test_raw_memories_supersede_nothing(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    face = make()
    face.learn(BERLIN)
    with caplog.at_level(logging.WARNING, "isomem"):
        face.add(LISBON, **U, infer=False, supersede="similar")
    assert "only facts supersede" in caplog.text
    assert shown(face) == {BERLIN, LISBON}


def test_what_is_no_fact_is_not_superseded(similar: Face) -> None:
    similar.add(BERLIN, **U, infer=False)
    similar.learn(LISBON)
    assert shown(similar) == {BERLIN, LISBON}
    ids = {"user_id": "u", "agent_id": "a"}
    similar.say("The deadline is 1 May.")
    similar.add("task", **ids, memory_type="procedural_memory")
    similar.learn("The deadline is 2 May", **ids)
    assert len(shown(similar)) == 4


def test_only_memories_with_the_ids_of_the_call_are_superseded(similar: Face) -> None:
    similar.learn(BERLIN, user_id="v")
    similar.learn(BERLIN, user_id="u", agent_id="a")
    similar.learn(BERLIN, user_id="u", agent_id="b")
    similar.learn(LISBON, user_id="u", agent_id="a")
    assert similar.memories(user_id="v") == [BERLIN]
    assert similar.memories(user_id="u", agent_id="b") == [BERLIN]
    assert similar.memories(user_id="u", agent_id="a") == [LISBON]


def test_an_earlier_conversation_supersedes_nothing_that_was_said_later(similar: Face) -> None:
    similar.say((LISBON,), (BERLIN,), ("Ana lives in Porto",))
    similar.add("hello", **U, timestamp="2025-06-01")
    similar.add("hello", **U, timestamp="2024-01-01")
    assert shown(similar) == {BERLIN, LISBON}
    similar.add("hello", **U, timestamp="2025-07-01")
    assert shown(similar) == {"Ana lives in Porto"}


def test_a_memory_without_a_readable_time_is_left_alone(similar: Face) -> None:
    similar.say((BERLIN,))
    similar.add("hello", **U, metadata={"created_at": "long ago"})
    similar.learn(LISBON)
    assert shown(similar) == {BERLIN, LISBON}


def test_a_fact_that_is_true_again_is_stored_again(similar: Face) -> None:
    superseded(similar)
    llm = similar.say((BERLIN,))
    (added,) = similar.add("hello", **U)["results"]
    assert [each["memory"] for each in added["supersedes"]] == [LISBON]
    assert shown(similar) == {BERLIN}
    asked = llm.calls[0]["messages"][1]["content"]
    assert LISBON in asked
    assert BERLIN not in asked  # A model is not told of what is stale.


def test_hidden_memories_take_no_place_of_others(similar: Face) -> None:
    for number in range(30):
        similar.learn(f"Ana weighs {number + 50} kg")
    similar.learn("Ana likes tea", "Ben likes tea")
    listed = similar.get_all(filters=U, top_k=3)["results"]
    assert {each["memory"] for each in listed} == {
        "Ana weighs 79 kg", "Ana likes tea", "Ben likes tea",
    }  # fmt: skip
    hits = similar.search("Ana weighs kg", filters=U, top_k=2, threshold=0.0)["results"]
    assert [hit["memory"] for hit in hits] == ["Ana weighs 79 kg", "Ana likes tea"]


def test_a_chain_of_updates_leaves_the_last_one(similar: Face) -> None:
    """Superseded neighbours do not keep the next one from being seen."""
    for number in range(12):
        similar.learn(f"Ana weighs {number + 50} kg")
    assert shown(similar) == {"Ana weighs 61 kg"}


def test_filters_find_what_a_fact_has_superseded(similar: Face) -> None:
    old, new = superseded(similar)
    filters = {**U, "isomem_superseded_by": new}
    listed = similar.get_all(filters=filters, show_superseded=True)["results"]
    assert [each["id"] for each in listed] == [old]
    assert similar.get_all(filters=filters)["results"] == []


def test_metadata_cannot_hide_a_memory(memory: Face) -> None:
    for key in ("isomem_superseded_by", "isomem_superseded_at"):
        with pytest.raises(ValidationError, match=key):
            memory.add(BERLIN, **U, infer=False, metadata={key: "x"})
    metadata = {"superseded_by": "x", "superseded_at": "y"}
    (added,) = memory.add(BERLIN, **U, infer=False, metadata=metadata)["results"]
    assert memory.get(added["id"])["metadata"] == metadata
    assert shown(memory) == {BERLIN}


# --- The model decides -----------------------------------------------------------------------


def all_near(make: Make, *where: Any, **more: Any) -> Face:
    """A memory in which every memory is near every other one, and a model decides."""
    face = make(*where, supersede="model", store={"embedding_model_dims": 10}, **more)
    face.embedding_model = ConstantEmbedder()
    return face


def asked_to_decide(make: Make, *known: str, new: tuple[str, ...], says: Any, **more: Any) -> Any:
    """A memory of known facts in which a model decides about new ones; and what it was asked."""
    face = all_near(make, **more)
    face.say(known)
    face.add("hello", **U)
    llm = face.say(new, says)
    added = face.add("hello", **U)["results"]
    return face, llm, added


def test_a_model_is_asked_once_more_for_all_facts(make: Make) -> None:
    face, llm, added = asked_to_decide(
        make, "Ana has a cat", BERLIN, new=(LISBON, "Ana works at Acme"), says=verdict((0, 0))
    )
    assert len(llm.calls) == 2
    question = llm.calls[1]
    assert question["response_format"] == {"type": "json_object"}
    rows = [
        json.loads(line) for line in question["messages"][1]["content"].splitlines() if "{" in line
    ]
    day = face.get(added[0]["id"])["created_at"][:10]
    assert rows == [
        {"number": 0, "day": day, "text": LISBON},
        {"number": 1, "day": day, "text": "Ana works at Acme"},
        {"number": 0, "day": day, "text": BERLIN},
        {"number": 1, "day": day, "text": "Ana has a cat"},
    ]
    assert [each["memory"] for each in added[0]["supersedes"]] == [BERLIN]
    assert added[0]["supersedes"][0]["why"] == "contradicts"
    assert "Ana has a cat" in shown(face)
    assert len(face.get_all(filters=U, top_k=100, show_superseded=True)["results"]) == 4


def test_the_model_is_told_when_facts_were_said(make: Make) -> None:
    face = all_near(make)
    llm = face.say((BERLIN,), (LISBON,), verdict())
    face.add("hello", **U, timestamp="2024-03-01")
    face.add("hello", **U, timestamp="2025-03-05")
    question = llm.calls[2]["messages"][1]["content"]
    assert '"day": "2025-03-05", "text": "Ana lives in Lisbon"' in question
    assert '"day": "2024-03-01", "text": "Ana lives in Berlin"' in question


def test_no_model_is_asked_if_nothing_is_near_or_new(make: Make) -> None:
    face = make(supersede="model")
    llm = face.say((BERLIN,), (BERLIN,), ())
    for _ in range(3):
        face.add("hello", **U)
    assert len(llm.calls) == 3


def test_what_is_not_near_is_not_looked_at(planted: Face) -> None:
    planted.supersede = "model"
    near, far = "Ana lives in Berlin", "Ben lives in Rome"
    planted.embedding_model.vectors |= {near: 0.31, far: 0.29, LISBON: 1.0, "hello": 1.0}
    planted.supersede = "off"
    planted.learn(near, far)
    planted.supersede = "model"
    llm = planted.say((LISBON,), verdict())
    planted.add("hello", **U)
    question = llm.calls[1]["messages"][1]["content"]
    assert near in question
    assert far not in question


UNUSABLE = [
    "no JSON at all", "", "[]", '{"other": []}', '{"superseded": "all"}', '{"superseded": [',
    ValueError("the model is down"),
]  # fmt: skip


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("says", UNUSABLE, ids=repr)
def test_facts_are_stored_if_the_model_cannot_decide(
    make: Make, caplog: pytest.LogCaptureFixture, says: Any, *, strict: bool
) -> None:
    with caplog.at_level(logging.ERROR, "isomem"):
        face, _, added = asked_to_decide(
            make, BERLIN, new=(LISBON,), says=says, raise_on_llm_error=strict
        )
    assert "Nothing is superseded" in caplog.text
    assert [each["supersedes"] for each in added] == [[]]
    assert shown(face) == {BERLIN, LISBON}


@pytest.mark.parametrize(
    "item",
    [
        {"fact": 0, "memory": 1}, {"fact": 1, "memory": 0}, {"fact": -1, "memory": 0},
        {"fact": 0, "memory": -1}, {"fact": 0}, {"memory": 0}, {"fact": None, "memory": 0},
        {"fact": False, "memory": 0}, {"fact": 0.0, "memory": 0}, {"fact": "a", "memory": 0},
        {"fact": 0, "memory": "9" * 50}, {"fact": [0], "memory": 0}, "0", 0, None, [0, 0],
    ],
    ids=repr,
)  # fmt: skip
def test_numbers_that_the_model_was_not_shown_are_ignored(
    make: Make, caplog: pytest.LogCaptureFixture, item: Any
) -> None:
    with caplog.at_level(logging.WARNING, "isomem"):
        face, _, _ = asked_to_decide(make, BERLIN, new=(LISBON,), says={"superseded": [item]})
    assert "was not shown" in caplog.text
    assert shown(face) == {BERLIN, LISBON}


@pytest.mark.parametrize("why", ["repeats", "contradicts", "because", None, 5])
def test_a_reply_is_read_generously_otherwise(make: Make, why: Any) -> None:
    said = {"fact": "0", "memory": 0, "why": why, "more": 1}
    says = f"<think>hm</think>```json\n{json.dumps({'superseded': [said, said]})}\n```"
    _, _, added = asked_to_decide(make, BERLIN, new=(LISBON,), says=says)
    (old,) = added[0]["supersedes"]
    assert old["why"] == ("repeats" if why == "repeats" else "contradicts")


def test_of_two_facts_that_supersede_one_memory_the_first_counts(make: Make) -> None:
    face, _, added = asked_to_decide(
        make, BERLIN, new=(LISBON, "Ana moved"), says=verdict((1, 0), (0, 0))
    )
    assert [len(each["supersedes"]) for each in added] == [0, 1]
    (old,) = [each["id"] for each in added[1]["supersedes"]]
    assert face.get(old)["superseded_by"] == added[1]["id"]


# --- What happens meanwhile ------------------------------------------------------------------


def other(face: Face, name: str, *args: Any) -> Callable[[], object]:
    """Another call of the memory, from the thread in which the model answers."""

    def call() -> object:
        done = getattr(face.real, name)(*args)
        if face.is_async:
            return asyncio.run_coroutine_threadsafe(done, face._loop).result(60)
        return done

    return call


class Deciding:
    """A model that answers twice; before its second answer, something happens."""

    def __init__(self, new: str, meanwhile: Callable[[], object]) -> None:
        self._new = new
        self._meanwhile = meanwhile
        self._calls = 0

    def generate_response(self, messages: Any, **options: Any) -> str:
        self._calls += 1
        if self._calls == 1:
            return json.dumps(facts(self._new))
        self._meanwhile()
        return json.dumps(verdict((0, 0)))


@pytest.mark.parametrize("happens", ["update", "delete"])
def test_a_memory_that_another_call_changes_meanwhile_is_left_alone(
    make: Make, happens: str
) -> None:
    face = make(supersede="model")
    (old,) = face.learn(BERLIN)
    arguments = (old, "Ana likes Berlin") if happens == "update" else (old,)
    face.llm = Deciding(LISBON, other(face, happens, *arguments))
    (added,) = face.add("hello", **U)["results"]
    assert added["supersedes"] == []
    expected = {LISBON, "Ana likes Berlin"} if happens == "update" else {LISBON}
    assert shown(face) == shown(face, show_superseded=True) == expected
    assert "SUPERSEDE" not in [each["event"] for each in face.history(old)]


def test_a_memory_is_superseded_once(make: Make) -> None:
    face = make(supersede="model")
    (old,) = face.learn(BERLIN)

    def overtake() -> None:
        quick = face.real.replacing(llm=ScriptedLLM([facts("Ana lives in Porto"), verdict((0, 0))]))
        added = quick.add("hello", **U)
        if face.is_async:
            asyncio.run_coroutine_threadsafe(added, face._loop).result(60)

    face.llm = Deciding(LISBON, overtake)
    (added,) = face.add("hello", **U)["results"]
    assert added["supersedes"] == []
    assert face.get(face.get(old)["superseded_by"])["memory"] == "Ana lives in Porto"
    assert [each["event"] for each in face.history(old)] == ["ADD", "SUPERSEDE"]


def test_a_fact_that_is_not_stored_supersedes_nothing(make: Make) -> None:
    """Another call has stored it meanwhile."""
    face = make(supersede="model", dedup_concurrent=True)
    face.learn(BERLIN)

    def overtake() -> None:
        quick = face.real.replacing(llm=ScriptedLLM([facts(LISBON)]), supersede="off")
        added = quick.add("hello", **U)
        if face.is_async:
            asyncio.run_coroutine_threadsafe(added, face._loop).result(60)

    face.llm = Deciding(LISBON, overtake)
    assert face.add("hello", **U)["results"] == []
    assert sorted(shown(face)) == [BERLIN, LISBON]


def test_an_equal_fact_that_was_superseded_meanwhile_does_not_count_as_known(make: Make) -> None:
    face = make(supersede="similar", dedup_concurrent=True)

    def overtake() -> None:
        quick = face.real.replacing(llm=ScriptedLLM([facts(BERLIN), facts(LISBON)]))
        for _ in range(2):
            added = quick.add("hello", **U)
            if face.is_async:
                asyncio.run_coroutine_threadsafe(added, face._loop).result(60)

    class Model:
        def generate_response(self, messages: Any, **options: Any) -> str:
            overtake()
            return json.dumps(facts(BERLIN))

    face.llm = Model()
    (added,) = face.add("hello", **U)["results"]
    assert [each["memory"] for each in added["supersedes"]] == [LISBON]
    assert shown(face) == {BERLIN}


# --- What the same call says again -----------------------------------------------------------


@pytest.mark.parametrize("said", [(BERLIN, LISBON), (LISBON, BERLIN)])
def test_a_known_fact_that_is_said_again_is_not_stale(similar: Face, said: tuple[str, ...]) -> None:
    """Facts of one call do not supersede each other, whether they are new or known."""
    similar.learn(BERLIN)
    similar.say(said)
    (added,) = similar.add("I live in Berlin and in Lisbon", **U)["results"]
    assert (added["memory"], added["supersedes"]) == (LISBON, [])
    assert shown(similar) == {BERLIN, LISBON}


def test_a_model_is_not_asked_about_what_was_said_again(make: Make) -> None:
    face = all_near(make)
    face.learn(BERLIN)
    face.say((BERLIN, LISBON))
    face.add("hello", **U)
    assert len(face.llm.calls) == 1


def test_a_fact_that_another_call_has_just_stored_is_not_stale_either(make: Make) -> None:
    """It is left out here, so what the other call has stored must stay."""
    face = make(supersede="similar", dedup_concurrent=True)

    class Model:
        def generate_response(self, messages: Any, **options: Any) -> str:
            quick = face.real.replacing(llm=ScriptedLLM([facts(BERLIN)]))
            added = quick.add("hello", **U)
            if face.is_async:
                asyncio.run_coroutine_threadsafe(added, face._loop).result(60)
            return json.dumps(facts(LISBON, BERLIN))

    face.llm = Model()
    (added,) = face.add("hello", **U)["results"]
    assert (added["memory"], added["supersedes"]) == (LISBON, [])
    assert shown(face) == {BERLIN, LISBON}


def test_a_fact_that_cannot_be_stored_leaves_its_equal_visible(foreign: Face) -> None:  # noqa: F811
    """The equal one is in the store, but the add has not recalled it."""

    class Forgetful(Store):
        searches = 0

        def search(self, query: str, vectors: Any, top_k: int = 5, filters: Any = None) -> Any:
            self.searches += 1
            return [] if self.searches == 2 else super().search(query, vectors, top_k, filters)

    foreign.vector_store = Forgetful()
    foreign.supersede = "similar"
    foreign.llm = ScriptedLLM([facts(BERLIN), facts(LISBON, BERLIN)])
    foreign.add("hello", **U)
    foreign.vector_store.searches = 1
    foreign.vector_store.failing[f"insert {BERLIN}"] = ConnectionError("gone")
    (added,) = foreign.add("hello", **U)["results"]
    assert (added["memory"], added["supersedes"]) == (LISBON, [])
    assert shown(foreign) == {BERLIN, LISBON}


# --- Undo ------------------------------------------------------------------------------------


def points(face: Face) -> dict[str, Any]:
    """The rows of memories and entities, without those of the history."""
    return {name: rows for name, rows in face.state().items() if name != "history"}


def test_a_restored_memory_is_exactly_what_it_was(similar: Face) -> None:
    (old,) = similar.learn("Ana Silva lives in Berlin")
    metadata = {"n": [1, {"a": None}]}
    similar.update(old, "Ana Silva lives in Berlin", metadata=metadata)
    before, described = points(similar), similar.get(old)
    (new,) = similar.learn("Ana Silva lives in Lisbon")
    assert similar.get(old)["superseded_by"] == new
    similar.delete(new)
    assert similar.restore(old) == {"message": "Memory restored successfully!"}
    after = points(similar)
    del before["messages"], after["messages"]
    assert after["points"] == before["points"]
    assert after["linked_memories"] == before["linked_memories"]
    assert similar.get(old) == described
    assert shown(similar) == found(similar) == {"Ana Silva lives in Berlin"}


def test_a_restored_memory_and_its_history(similar: Face) -> None:
    old, _ = superseded(similar)
    similar.restore(old)
    assert shown(similar) == {BERLIN, LISBON}
    assert "superseded_by" not in similar.get(old)
    *_, event = similar.history(old)
    assert (event["event"], event["old_memory"], event["new_memory"]) == ("RESTORE", BERLIN, BERLIN)
    with pytest.raises(ValidationError):
        similar.restore(old)
    similar.learn("Ana lives in Porto")
    assert shown(similar) == {"Ana lives in Porto"}  # It can be superseded again.


def test_only_a_superseded_memory_can_be_restored(similar: Face) -> None:
    old, new = superseded(similar)
    with pytest.raises(ValidationError, match=f"{new} is not superseded") as raised:
        similar.restore(new)
    assert raised.value.error_code == "VALIDATION_007"
    with pytest.raises(MemoryNotFoundError):
        similar.restore("00000000-0000-4000-8000-999999999999")
    with pytest.raises(ValueError, match="Invalid memory_id"):
        similar.restore(None)
    similar.delete(old)
    with pytest.raises(MemoryNotFoundError):
        similar.restore(old)


def test_a_memory_stays_hidden_when_what_superseded_it_is_deleted(similar: Face) -> None:
    old, new = superseded(similar)
    similar.delete(new)
    assert shown(similar) == set()
    assert similar.get(old)["superseded_by"] == new
    similar.restore(old)
    assert shown(similar) == {BERLIN}


def test_a_new_text_does_not_show_a_superseded_memory(similar: Face) -> None:
    old, new = superseded(similar)
    similar.update(old, "Ana lived in Berlin", metadata={"k": 1})
    assert shown(similar) == {LISBON}
    assert similar.get(old)["superseded_by"] == new
    assert similar.get(old)["metadata"] == {"k": 1}
    similar.restore(old)
    assert shown(similar) == {"Ana lived in Berlin", LISBON}


def test_superseded_memories_are_removed_with_the_others(similar: Face) -> None:
    superseded(similar)
    similar.delete_all(**U)
    assert shown(similar, show_superseded=True) == set()
    assert similar.entities() == {}


def test_a_superseded_memory_outlives_the_process(make: Make) -> None:
    face = make(supersede="similar")
    old, new = superseded(face)
    face.close()
    again = make()
    assert shown(again) == {LISBON}
    assert again.get(old)["superseded_by"] == new


# --- A model of it, at random ----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_what_is_shown_is_what_nothing_has_superseded(make: Make, seed: int) -> None:
    """Random additions, verdicts, restorations and removals, against a plain dictionary."""
    chance = random.Random(seed)
    face = all_near(make, ":memory:")
    state: dict[str, tuple[str, bool]] = {}  # text and whether it is hidden, by id
    for number in range(40):
        step = chance.random()
        hidden = sorted(each for each, (_, is_hidden) in state.items() if is_hidden)
        if step < 0.7 or not state:
            pairs = [(chance.randrange(2), chance.randrange(7)) for _ in range(chance.randrange(3))]
            face.say((f"fact {number} a", f"fact {number} b"), verdict(*pairs))
            for new in face.add(f"word{number}", **U)["results"]:
                for old in new["supersedes"]:
                    assert state[old["id"]] == (old["memory"], False)
                    state[old["id"]] = (old["memory"], True)
                state[new["id"]] = (new["memory"], False)
        elif step < 0.85 and hidden:
            one = chance.choice(hidden)
            face.restore(one)
            state[one] = (state[one][0], False)
        else:
            one = chance.choice(sorted(state))
            face.delete(one)
            del state[one]
        visible = {text for text, is_hidden in state.values() if not is_hidden}
        assert shown(face) == visible
        assert shown(face, show_superseded=True) == {text for text, _ in state.values()}
    assert found(face, "fact") == visible
    assert found(face, "fact", ranking="fused") == visible


# --- Stores of others ------------------------------------------------------------------------


def test_foreign_stores_do_the_same(foreign: Face) -> None:  # noqa: F811
    foreign.supersede = "similar"
    foreign.llm = ScriptedLLM([facts(BERLIN), facts(LISBON)])
    (old,) = [each["id"] for each in foreign.add("hello", **U)["results"]]
    before = dict(foreign.vector_store.points[old][1])
    (added,) = foreign.add("hello", **U)["results"]
    assert added["supersedes"] == [{"id": old, "memory": BERLIN, "why": "contradicts"}]
    assert shown(foreign) == found(foreign) == {LISBON}
    assert shown(foreign, show_superseded=True) == {BERLIN, LISBON}
    foreign.restore(old)
    assert shown(foreign) == {BERLIN, LISBON}
    assert [row["event"] for row in foreign.history(old)] == ["ADD", "SUPERSEDE", "RESTORE"]
    after = {k: v for k, v in foreign.vector_store.points[old][1].items() if v is not None}
    assert after == {key: value for key, value in before.items() if value is not None}
    assert "superseded_by" not in foreign.get(old)
    with pytest.raises(ValidationError):
        foreign.restore(old)
    with pytest.raises(MemoryNotFoundError):
        foreign.restore("nowhere")


class Overlaying(Store):
    """A store in which a payload alone is laid over the old one, as in Qdrant."""

    def update(self, vector_id: str, vector: Any = None, payload: Any = None) -> None:
        self._enter("update")
        old = self.points[vector_id]
        self.points[vector_id] = (vector or old[0], {**old[1], **(payload or {})})


def test_a_store_that_overlays_payloads_restores_too(foreign: Face) -> None:  # noqa: F811
    foreign.vector_store = Overlaying()
    foreign.supersede = "similar"
    foreign.llm = ScriptedLLM([facts(BERLIN), facts(LISBON), facts("Ana lives in Porto")])
    (old,) = [each["id"] for each in foreign.add("hello", **U)["results"]]
    foreign.add("hello", **U)
    foreign.restore(old)
    assert shown(foreign) == {BERLIN, LISBON}
    foreign.add("hello", **U)
    assert shown(foreign) == {"Ana lives in Porto"}


@pytest.mark.parametrize(
    ("part", "call"), [("vector_store", "update"), ("vector_store", "get"), ("db", "add_history")]
)
def test_a_foreign_part_that_fails_loses_no_fact(
    foreign: Face,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
    part: str,
    call: str,
) -> None:
    foreign.supersede = "similar"
    foreign.entity_store = Store()
    foreign.llm = ScriptedLLM([facts(BERLIN), facts(LISBON)])
    (old,) = [each["id"] for each in foreign.add("hello", **U)["results"]]
    getattr(foreign, part).failing[call] = ConnectionError("gone")
    with caplog.at_level(logging.ERROR, "isomem"):
        (added,) = foreign.add("hello", **U)["results"]
    getattr(foreign, part).failing.clear()
    assert added["supersedes"] == []
    assert f"Memory {old} is not superseded: gone" in caplog.text
    assert shown(foreign) == {BERLIN, LISBON}


class SecondSearchFails(Store):
    """Fails when it is asked what is near the new facts."""

    searches = 0

    def search(self, query: str, vectors: Any, top_k: int = 5, filters: Any = None) -> Any:
        self.searches += 1
        if self.searches == 2:
            raise ConnectionError("gone")
        return super().search(query, vectors, top_k, filters)


def test_a_store_that_fails_between_loses_no_fact(
    foreign: Face,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    foreign.vector_store = SecondSearchFails()
    foreign.supersede = "similar"
    foreign.llm = ScriptedLLM([facts(BERLIN)])
    with caplog.at_level(logging.ERROR, "isomem"):
        (added,) = foreign.add("hello", **U)["results"]
    assert added["supersedes"] == []
    assert "Nothing is superseded, since the store failed: gone" in caplog.text
    assert shown(foreign) == {BERLIN}


def test_our_stores_apart_do_the_same(make: Make, tmp_path: Any) -> None:
    """Our collection beside another ledger: separate parts, each ours."""
    face = make(supersede="similar")
    elsewhere = make(tmp_path / "other.db")
    face.db = elsewhere.db
    old, new = superseded(face)
    assert shown(face) == {LISBON}
    assert face.get(old)["superseded_by"] == new
    face.restore(old)
    assert shown(face) == {BERLIN, LISBON}
    assert [each["event"] for each in face.history(old)] == ["ADD", "SUPERSEDE", "RESTORE"]


def test_the_history_does_not_tell_of_a_mark_that_failed(make: Make) -> None:
    """A ledger of ours takes its row back when the foreign store fails."""
    face = make(supersede="similar")
    face.vector_store = Store()
    (old,) = face.learn(BERLIN)
    face.vector_store.failing["update"] = ConnectionError("gone")
    face.learn(LISBON)
    assert [each["event"] for each in face.history(old)] == ["ADD"]
    face.vector_store.failing.clear()
    face.learn("Ana lives in Porto")
    face.vector_store.failing["update"] = ConnectionError("gone")
    with pytest.raises(ConnectionError):
        face.restore(old)
    assert [each["event"] for each in face.history(old)] == ["ADD", "SUPERSEDE"]
    assert shown(face) == {"Ana lives in Porto"}
