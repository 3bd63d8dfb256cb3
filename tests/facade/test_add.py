"""Adding, by every way there is."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from isomem import prompts
from isomem.errors import ConfigurationError, LLMError, ValidationError
from isomem.testing import ScriptedLLM
from tests.facade.conftest import Face, PlantedEmbedder, facts

Make = Callable[..., Face]
U = {"user_id": "u"}


# --- Inferred --------------------------------------------------------------------------------


def test_facts_become_memories_with_everything_that_belongs_to_them(memory: Face) -> None:
    memory.say(
        {"memory": [{"text": "Likes tea", "attributed_to": "user", "x": 1}, {"text": "Has a cat"}]}
    )
    added = memory.add("I like tea and have a cat", user_id=" u ", metadata={"tag": ["a"]})
    assert [(each["memory"], each["event"]) for each in added["results"]] == [
        ("Likes tea", "ADD"), ("Has a cat", "ADD"),
    ]  # fmt: skip
    assert set(added["results"][0]) == {"id", "memory", "event"}
    first = added["results"][0]["id"]
    payload = memory.vector_store.get(first).payload
    assert list(payload) == [
        "tag", "user_id", "data", "text_lemmatized", "hash", "created_at", "updated_at",
        "attributed_to",
    ]  # fmt: skip
    assert payload["hash"] == hashlib.md5(b"Likes tea").hexdigest()
    assert payload["created_at"] == payload["updated_at"]
    assert payload["user_id"] == "u"
    (event,) = memory.history(first)
    assert event == {
        "id": event["id"], "memory_id": first, "old_memory": None, "new_memory": "Likes tea",
        "event": "ADD", "created_at": payload["created_at"], "updated_at": None,
        "is_deleted": False, "actor_id": None, "role": None,
    }  # fmt: skip
    shown = memory.get(first)
    assert shown["metadata"] == {"tag": ["a"]}
    assert "attributed_to" not in shown


def test_same_fact_twice_is_stored_once(memory: Face) -> None:
    memory.learn("Likes tea", "Likes tea", "Likes Tea")
    memory.learn("Likes tea", "Has a cat")
    memory.learn("Likes tea", user_id="v")
    assert sorted(memory.memories()) == ["Has a cat", "Likes Tea", "Likes tea"]
    assert memory.memories(user_id="v") == ["Likes tea"]


def test_a_fact_is_compared_with_the_ten_nearest_alone(planted: Face) -> None:
    planted.embedding_model = PlantedEmbedder(
        {f"near {n}": 0.9 for n in range(10)} | {"user: hello\n": 1.0, "far": 0.1}
    )
    planted.learn("far", *[f"near {n}" for n in range(10)])
    planted.learn("far")
    assert sorted(planted.memories()).count("far") == 2


def test_the_model_sees_what_it_should(memory: Face) -> None:
    memory.custom_instructions = "Be brief"
    memory.learn("Likes green tea", said="I like green tea")
    llm = memory.say(())
    memory.add([{"role": "user", "content": "Tea again: é🗼"}], **U)
    (call,) = llm.calls
    system, question = call["messages"]
    assert call["response_format"] == {"type": "json_object"}
    assert system == {"role": "system", "content": prompts.ADDITIVE_EXTRACTION_PROMPT}
    assert question["role"] == "user"
    assert question["content"] == prompts.build_user_prompt(
        existing_memories=[{"id": "0", "text": "Likes green tea"}],
        new_messages="user: Tea again: é🗼\n",
        last_k_messages=[{"role": "user", "content": "I like green tea"}],
        current_date="2024-05-01",
        custom_instructions="Be brief",
    )
    assert "é🗼" in question["content"]
    llm = memory.say(())
    memory.add("x", **U, prompt="For this call alone")
    assert "For this call alone" in llm.calls[0]["messages"][1]["content"]
    assert "Be brief" not in llm.calls[0]["messages"][1]["content"]


@pytest.mark.parametrize(
    ("ids", "suffix"),
    [
        ({"agent_id": "a"}, True),
        ({"agent_id": "a", "run_id": "r"}, True),
        ({"agent_id": "a", "user_id": "u"}, False),
        ({"run_id": "r"}, False),
    ],
)
def test_an_agent_without_a_user_gets_the_agents_suffix(
    memory: Face, ids: Any, suffix: bool
) -> None:
    llm = memory.say(())
    memory.add("x", **ids)
    expected = prompts.ADDITIVE_EXTRACTION_PROMPT + (prompts.AGENT_CONTEXT_SUFFIX if suffix else "")
    assert llm.calls[0]["messages"][0]["content"] == expected


def test_roles_other_than_the_three_are_not_in_the_conversation(memory: Face) -> None:
    llm = memory.say(())
    memory.add(
        [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "U"},
            {"role": "tool", "content": "T"},
            {"role": "assistant", "content": "A"},
        ],
        **U,
    )
    assert "system: S\nuser: U\nassistant: A\n" in llm.calls[0]["messages"][1]["content"]


def test_ten_messages_of_a_session_are_remembered(memory: Face) -> None:
    for number in range(12):
        memory.say(())
        memory.add(f"message {number}", **U)
    memory.say(())
    memory.add("other session", user_id="u", run_id="r")
    kept = memory.db.get_last_messages("user_id=u")
    assert [each["content"] for each in kept] == [f"message {number}" for number in range(2, 12)]
    assert len(memory.db.get_last_messages("run_id=r&user_id=u")) == 1


def test_messages_are_remembered_when_nothing_is_extracted(memory: Face) -> None:
    memory.say("no JSON at all")
    assert memory.add("hello", **U) == {"results": []}
    assert len(memory.db.get_last_messages("user_id=u")) == 1


def test_a_fact_that_cannot_be_embedded_is_left_out(
    planted: Face, caplog: pytest.LogCaptureFixture
) -> None:
    class NoBatch(PlantedEmbedder):
        def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> Any:
            raise ConnectionError("batch")

    planted.embedding_model = NoBatch({"bad": RuntimeError("one"), "good": 0.5})
    planted.learn("good", "bad", "also good")
    assert planted.memories() == ["good", "also good"]
    assert "Failed to embed memory text: one" in caplog.text
    assert planted.embedding_model.calls[-3:] == [
        ("good", "add"),
        ("bad", "add"),
        ("also good", "add"),
    ]


def test_the_vectors_asked_for_name_their_purpose(planted: Face) -> None:
    planted.embedding_model = PlantedEmbedder({"query": 1.0})
    (one,) = planted.learn("Likes tea")
    planted.add("raw", **U, infer=False)
    planted.update(one, "Likes coffee")
    planted.search("query", filters=U)
    assert planted.embedding_model.calls == [
        ("user: hello\n", "search"), (["Likes tea"], "add"), ("raw", "add"),
        ("Likes coffee", "update"), ("query", "search"),
    ]  # fmt: skip


def test_a_created_at_in_the_metadata_stays(memory: Face) -> None:
    memory.say(("Likes tea",))
    memory.add("x", **U, metadata={"created_at": "2020-01-01"})
    (shown,) = memory.get_all(filters=U)["results"]
    assert shown["created_at"] == shown["updated_at"] == "2020-01-01"


# --- Entities --------------------------------------------------------------------------------


def test_memories_of_one_call_share_their_entities(memory: Face) -> None:
    one, two = memory.learn("Ana Silva lives in Lisbon", "Ana Silva has a cat")
    linked = memory.entities()
    assert linked["Ana Silva"]["linked_memory_ids"] == sorted([one, two])
    assert linked["Ana Silva"]["user_id"] == "u"
    (three,) = memory.learn("We gave Ana Silva a dog")
    assert memory.entities()["Ana Silva"]["linked_memory_ids"] == sorted([one, two, three])
    memory.learn("We gave Ana Silva a cat", user_id="v")
    points, _ = memory.entity_store.list({"user_id": "v"})
    assert len([point for point in points if point.payload["data"] == "Ana Silva"]) == 1


def test_raw_memories_have_no_entities(memory: Face) -> None:
    memory.add("Ana Silva lives in Lisbon", **U, infer=False)
    assert memory.entities() == {}


# --- The model fails -------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [RuntimeError("boom"), LLMError("boom", "LLM_007")])
def test_a_failed_model_call_stores_nothing_and_is_logged(
    memory: Face, caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    memory.learn("Likes tea")
    before = memory.state()
    memory.say(failure)
    with caplog.at_level(logging.ERROR, "isomem"):
        assert memory.add("hello", **U) == {"results": []}
    assert "boom" in caplog.text
    assert memory.state() == before


def test_a_failed_model_call_can_raise(make: Make) -> None:
    memory = make(raise_on_llm_error=True)
    memory.say(RuntimeError("boom"), LLMError("own", "LLM_007"))
    before = memory.state()
    with pytest.raises(LLMError, match="the model call failed: boom") as caught:
        memory.add("hello", **U)
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(LLMError, match="own") as caught:
        memory.add("hello", **U)
    assert caught.value.error_code == "LLM_007"
    assert memory.state() == before


def test_without_a_model_the_first_call_that_needs_one_says_how_to_name_one(make: Make) -> None:
    memory = make(llm=None)
    before = memory.state()
    for call in (
        lambda: memory.add("hello", **U),
        lambda: memory.add("hello", agent_id="a", memory_type="procedural_memory"),
    ):
        with pytest.raises(ConfigurationError, match="no model is configured") as caught:
            call()
        assert "OPENAI_API_KEY" in str(caught.value.suggestion)
    assert memory.state() == before
    memory.add("raw", **U, infer=False)
    assert memory.memories() == ["raw"]


# --- Raw -------------------------------------------------------------------------------------


def test_every_raw_message_but_those_of_the_system_is_a_memory(memory: Face) -> None:
    llm = memory.say()
    added = memory.add(
        [
            {"role": "system", "content": "rules"},
            {"role": "user", "content": "same", "name": "ana"},
            {"role": "assistant", "content": "same"},
            {"role": "user", "content": ""},
            {"role": "user", "content": None},
        ],
        **U,
        infer=False,
        metadata={"k": 1},
    )["results"]
    assert [(each["memory"], each["event"], each["actor_id"], each["role"]) for each in added] == [
        ("same", "ADD", "ana", "user"),
        ("same", "ADD", None, "assistant"),
        ("", "ADD", None, "user"),
    ]
    assert llm.calls == []
    payload = memory.vector_store.get(added[0]["id"]).payload
    assert list(payload) == [
        "k", "user_id", "role", "actor_id", "data", "hash", "created_at", "updated_at",
        "text_lemmatized",
    ]  # fmt: skip
    (event,) = memory.history(added[0]["id"])
    assert (event["actor_id"], event["role"], event["updated_at"]) == (
        "ana",
        "user",
        payload["updated_at"],
    )
    assert memory.db.get_last_messages("user_id=u") == []
    shown = memory.get(added[0]["id"])
    assert (shown["actor_id"], shown["role"]) == ("ana", "user")


def test_a_raw_add_is_whole_or_not_there(planted: Face) -> None:
    planted.embedding_model = PlantedEmbedder({"bad": ConnectionError("down")})
    before = planted.state()
    with pytest.raises(ConnectionError, match="down"):
        planted.add(
            [{"role": "user", "content": text} for text in ("good", "bad")], **U, infer=False
        )
    planted.embedding_model = PlantedEmbedder({"bad": [1.0, 2.0]})
    with pytest.raises(ValueError, match="expected dim: 3, got 2"):
        planted.add(
            [{"role": "user", "content": text} for text in ("good", "bad")], **U, infer=False
        )
    assert planted.state() == before


@pytest.mark.parametrize("given", [[], [{"role": "system", "content": "rules"}]])
def test_nothing_to_add_adds_nothing(memory: Face, given: Any) -> None:
    assert memory.add(given, **U, infer=False) == {"results": []}
    assert memory.memories() == []


def test_a_text_a_dict_and_a_list_are_the_same(memory: Face) -> None:
    message = {"role": "user", "content": "tea"}
    for given in ("tea", message, [message]):
        memory.add(given, **U, infer=False)
    assert memory.memories() == ["tea"] * 3
    assert message == {"role": "user", "content": "tea"}


@pytest.mark.slow
def test_a_megabyte_of_text_is_a_memory(memory: Face) -> None:
    text = "tea and NUL\0 " * 80_000
    (added,) = memory.add(text, **U, infer=False)["results"]
    assert memory.get(added["id"])["memory"] == text
    assert memory.search("tea", filters=U)["results"][0]["id"] == added["id"]


# --- Procedural ------------------------------------------------------------------------------


def test_a_procedural_memory_is_one_summary(memory: Face) -> None:
    llm = memory.say("```\n<think>hm</think>Step 1: tea\n```")
    said = [{"role": "user", "content": "make tea"}, {"role": "assistant", "content": "done"}]
    added = memory.add(said, agent_id="a", memory_type="procedural_memory", metadata={"k": 1})
    (result,) = added["results"]
    assert (result["memory"], result["event"]) == ("Step 1: tea", "ADD")
    assert set(result) == {"id", "memory", "event"}
    (call,) = llm.calls
    first, *middle, last = call["messages"]
    assert first == {"role": "system", "content": prompts.PROCEDURAL_MEMORY_SYSTEM_PROMPT}
    assert middle == said
    assert last["role"] == "user"
    payload = memory.vector_store.get(result["id"]).payload
    assert payload["memory_type"] == "procedural_memory"
    assert (payload["k"], payload["agent_id"]) == (1, "a")
    assert memory.history(result["id"])[0]["new_memory"] == "Step 1: tea"
    llm = memory.say("x")
    memory.add("y", agent_id="a", memory_type="procedural_memory", prompt="Own prompt")
    assert llm.calls[0]["messages"][0]["content"] == "Own prompt"


def test_procedural_without_an_agent_is_an_ordinary_add(memory: Face) -> None:
    memory.say(("Likes tea",))
    added = memory.add("x", **U, memory_type="procedural_memory")
    assert added["results"][0]["memory"] == "Likes tea"


@pytest.mark.parametrize(
    ("reply", "error"),
    [(RuntimeError("boom"), RuntimeError), (None, LLMError), ("bad \ud800", ValidationError)],
)
def test_a_procedural_memory_that_fails_raises_and_stores_nothing(
    memory: Face, reply: Any, error: type[Exception]
) -> None:
    class Model:
        def generate_response(self, messages: Any, **options: Any) -> Any:
            if isinstance(reply, Exception):
                raise reply
            return reply

    memory.llm = Model()
    before = memory.state()
    with pytest.raises(error):
        memory.add("x", agent_id="a", memory_type="procedural_memory")
    assert memory.state() == before


def test_the_asynchronous_class_takes_a_chat_model_for_a_procedural_memory(memory: Face) -> None:
    if not memory.is_async:
        pytest.skip("an argument of the asynchronous class alone")

    class Chat:
        def invoke(self, input: Any) -> Any:  # noqa: A002
            self.seen = input
            return type("Answer", (), {"content": "From the chat model"})

    chat = Chat()
    added = memory.add("x", agent_id="a", memory_type="procedural_memory", llm=chat)
    assert added["results"][0]["memory"] == "From the chat model"
    assert chat.seen[1] == {"role": "user", "content": "x"}


# --- Images ----------------------------------------------------------------------------------

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}


@pytest.fixture
def seeing(make: Make) -> Face:
    return make(llm={"provider": "mock", "config": {"enable_vision": True}})


def test_an_image_becomes_its_description(seeing: Face) -> None:
    llm = seeing.say("A cat", "Two parts")
    parts = [{"type": "text", "text": "look"}, IMAGE]
    seeing.add(
        [
            {"role": "user", "content": IMAGE},
            {"role": "user", "content": parts},
            {"role": "user", "content": "text"},
        ],
        **U,
        infer=False,
    )
    assert seeing.memories() == ["A cat", "Two parts", "text"]
    asked = llm.calls[0]["messages"][0]["content"]
    assert asked[0]["type"] == "text"
    assert asked[1] == {
        "type": "image_url",
        "image_url": {"url": "https://example.org/cat.png", "detail": None},
    }
    assert llm.calls[1]["messages"] == [{"role": "user", "content": parts}]


def test_how_closely_to_look_can_be_chosen(make: Make) -> None:
    config = {"enable_vision": True, "vision_details": "high"}
    memory = make(llm={"provider": "mock", "config": config})
    llm = memory.say("A cat")
    memory.add({"role": "user", "content": IMAGE}, **U, infer=False)
    assert llm.calls[0]["messages"][0]["content"][1]["image_url"]["detail"] == "high"


def test_an_image_that_cannot_be_described_fails_the_call(seeing: Face) -> None:
    seeing.say(TimeoutError("slow"))
    before = seeing.state()
    with pytest.raises(LLMError, match=r"Error while downloading https://example\.org/cat\.png"):
        seeing.add({"role": "user", "content": IMAGE}, **U)
    assert seeing.state() == before


def test_a_model_that_is_not_shown_images_gets_the_text_parts(memory: Face) -> None:
    memory.say(())
    parts = [{"type": "text", "text": "look"}, IMAGE, "here"]
    memory.add([{"role": "user", "content": parts}, {"role": "user", "content": IMAGE}], **U)
    (message,) = memory.db.get_last_messages("user_id=u")
    assert message["content"] == "look\nhere"


def test_a_message_without_content_is_left_out(
    memory: Face, caplog: pytest.LogCaptureFixture
) -> None:
    memory.say(("Likes tea",))
    memory.add([{"role": "assistant", "tool_calls": []}, {"role": "user", "content": "tea"}], **U)
    assert memory.memories() == ["Likes tea"]
    assert "without content" in caplog.text


# --- Replies ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "stored"),
    [
        (facts("a"), ["a"]),
        ("```json\n" + json.dumps(facts("a")) + "\n```", ["a"]),
        ("<think>{}</think>" + json.dumps(facts("a")), ["a"]),
        ("Here you are: " + json.dumps(facts("a")) + " Bye", ["a"]),
        ('{"memory": [{"text": "a\nb"}]}', ["a\nb"]),
        ("not json", []),
        ("", []),
        ("[]", []),
        ("[1]", []),
        ('"text"', []),
        ("5", []),
        ("null", []),
        ({}, []),
        ({"memory": None}, []),
        ({"memory": "text"}, []),
        ({"memory": {"text": "a"}}, []),
        ({"facts": ["a"]}, []),
        ({"memory": [{"text": None}, {"text": ""}, {}, {"text": "a"}]}, ["a"]),
        ({"memory": ["a", 5, None, {"text": 5}, {"text": ["a"]}, {"text": "b"}]}, ["b"]),
        ("[" * 100_000, []),
    ],
)
def test_a_reply_is_read_as_far_as_it_can_be(memory: Face, reply: Any, stored: list[str]) -> None:
    memory.say(reply)
    assert [each["memory"] for each in memory.add("hello", **U)["results"]] == stored
    assert memory.memories() == stored
    assert len(memory.db.get_last_messages("user_id=u")) == 1


@pytest.mark.parametrize("reply", [None, 5, b"{}", ["x"]])
def test_a_reply_that_is_no_text_has_no_facts(memory: Face, reply: Any) -> None:
    class Model:
        def generate_response(self, messages: Any, **options: Any) -> Any:
            return reply

    memory.llm = Model()
    assert memory.add("hello", **U) == {"results": []}


def test_a_fact_with_broken_text_is_left_out_and_the_others_are_kept(memory: Face) -> None:
    memory.llm = ScriptedLLM(['{"memory": [{"text": "fine"}, {"text": "bad \\ud800"}]}'])
    memory.add("hello", **U)
    assert memory.memories() == ["fine"]
