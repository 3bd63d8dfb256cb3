"""A reply that cannot be used is not an answer that there is nothing to remember."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from isomem.errors import EmbeddingError, LLMError, UnusableReplyError
from isomem.providers.answers import Reply
from isomem.testing import HashEmbedder
from tests.facade.conftest import Face, facts

Make = Callable[..., Face]
U = {"user_id": "u"}

UNUSABLE: dict[str, Any] = {
    "nothing": None,
    "no text": "",
    "white space": " \n",
    "prose": "Sorry, I cannot help with that.",
    "cut off": '{"memory": [{"text": "Likes te',
    "thoughts alone": "<think>Tea, they said.</think>",
    "a list": '[{"text": "Likes tea"}]',
    "null": "null",
    "another key": '{"facts": ["Likes tea"]}',
    "no keys": "{}",
    "not a list": '{"memory": "Likes tea"}',
    "items without text": '{"memory": [{"fact": "Likes tea"}, "Likes tea"]}',
    "a tool call": {"content": None, "tool_calls": [{"name": "remember", "arguments": {}}]},
}
NOTHING = ('{"memory": []}', '{"memory": null}', '```json\n{"memory": []}\n```')


class Model:
    def __init__(self, reply: Any) -> None:
        self.reply = reply

    def generate_response(self, messages: Any, **options: Any) -> Any:
        return self.reply


@pytest.mark.parametrize("name", UNUSABLE)
def test_with_the_flag_it_raises_and_nothing_counts_as_taken_in(make: Make, name: str) -> None:
    memory = make(raise_on_llm_error=True)
    before = memory.state()
    memory.llm = Model(UNUSABLE[name])
    with pytest.raises(UnusableReplyError, match="cannot be used"):
        memory.add("I like tea", **U)
    assert memory.state() == before
    memory.say(("Likes tea",))
    assert len(memory.add("I like tea", **U)["results"]) == 1


@pytest.mark.parametrize("name", UNUSABLE)
def test_without_the_flag_it_is_logged_and_the_messages_are_kept_as_in_mem0(
    memory: Face, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    memory.llm = Model(UNUSABLE[name])
    assert memory.add("I like tea", **U) == {"results": []}
    assert "cannot be used" in caplog.text
    assert [row[3] for row in memory.state()["messages"]] == ["I like tea"]


@pytest.mark.parametrize("reply", NOTHING)
def test_nothing_to_remember_is_an_answer(make: Make, reply: str) -> None:
    memory = make(raise_on_llm_error=True)
    memory.llm = Model(reply)
    assert memory.add("Good morning", **U) == {"results": []}
    assert len(memory.state()["messages"]) == 1


def test_a_model_that_was_cut_off_is_named_with_its_reason(make: Make) -> None:
    memory = make(raise_on_llm_error=True)
    memory.llm = Model(Reply('{"memory": [{"text": "Li', "length"))
    with pytest.raises(UnusableReplyError, match="length") as caught:
        memory.add("I like tea", **U)
    assert caught.value.details["finish_reason"] == "length"
    assert '{"memory": [{"text": "Li' in str(caught.value)


def test_an_empty_summary_is_not_stored(memory: Face) -> None:
    memory.llm = Model(Reply("", "length"))
    with pytest.raises(LLMError, match="length"):
        memory.add("x", agent_id="a", memory_type="procedural_memory")
    assert memory.state()["points"] == []


class Embedder:
    """Fails for texts with one of the words."""

    def __init__(self, *words: str) -> None:
        self._inner = HashEmbedder(64)
        self._words = words

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        if any(word in text for word in self._words):
            raise ConnectionError("no route")
        return self._inner.embed(text)

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> Any:
        return [self.embed(text) for text in texts]


def test_an_embedder_that_fails_for_every_fact_raises_with_the_flag(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    memory = make(raise_on_llm_error=True)
    before = memory.state()
    memory.embedding_model = Embedder("tea", "cake")
    memory.llm = Model(json.dumps(facts("Likes tea", "Likes cake")))
    with pytest.raises(EmbeddingError, match="none of 2 facts could be embedded: no route"):
        memory.add("hello", **U)
    assert memory.state() == before
    memory.raise_on_llm_error = False
    assert memory.add("hello", **U) == {"results": []}
    assert "None of 2 facts could be embedded" in caplog.text


def test_a_fact_that_cannot_be_embedded_does_not_cost_the_others(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    memory = make(raise_on_llm_error=True)
    memory.embedding_model = Embedder("tea")
    memory.llm = Model(json.dumps(facts("Likes tea", "Likes cake")))
    assert [each["memory"] for each in memory.add("hello", **U)["results"]] == ["Likes cake"]
    assert "Failed to embed memory text" in caplog.text


# --- Tolerance, when asked ---


@pytest.mark.parametrize("name", ["a list", "another key"])
def test_tolerance_takes_facts_from_other_forms_and_says_so(
    make: Make, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    memory = make(replies="tolerant")
    llm = memory.say(UNUSABLE[name])
    added = memory.add("I like tea", **U)["results"]
    assert [each["memory"] for each in added] == ["Likes tea"]
    assert len(llm.calls) == 1
    assert "Salvaged 1 facts" in caplog.text
    assert "Likes tea" in caplog.text


def test_tolerance_asks_once_more_and_shows_the_model_its_reply(make: Make) -> None:
    memory = make(replies="tolerant", raise_on_llm_error=True)
    llm = memory.say("Sorry, what?", ("Likes tea",))
    assert len(memory.add("I like tea", **U)["results"]) == 1
    first, second = (call["messages"] for call in llm.calls)
    assert second[: len(first)] == first
    answer, complaint = second[len(first) :]
    assert answer == {"role": "assistant", "content": "Sorry, what?"}
    assert complaint["role"] == "user"
    assert "prose" in complaint["content"]


def test_tolerance_asks_again_without_a_reply_that_has_no_text(make: Make) -> None:
    memory = make(replies="tolerant")
    llm = memory.say("", ("Likes tea",))
    assert len(memory.add("I like tea", **U)["results"]) == 1
    assert [each["role"] for each in llm.calls[1]["messages"]] == ["system", "user", "user"]


@pytest.mark.parametrize("second", ["Sorry.", "", None, 7])
def test_tolerance_ends_after_the_second_reply(make: Make, second: Any) -> None:
    for raises in (True, False):
        memory = make(replies="tolerant", raise_on_llm_error=raises)
        llm = memory.say("Sorry, what?", second)
        if raises:
            with pytest.raises(UnusableReplyError, match="Sorry, what"):
                memory.add("I like tea", **U)
        else:
            assert memory.add("I like tea", **U)["results"] == []
        assert len(llm.calls) == 2


def test_a_second_call_that_fails_leaves_the_first_fault(make: Make) -> None:
    class Once(Model):
        calls = 0

        def generate_response(self, messages: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls > 1:
                raise TimeoutError("busy")
            return self.reply

    memory = make(replies="tolerant", raise_on_llm_error=True)
    memory.llm = Once("Sorry, what?")
    with pytest.raises(UnusableReplyError, match="Sorry, what"):
        memory.add("I like tea", **U)


def test_without_it_the_model_is_asked_once_and_nothing_is_salvaged(memory: Face) -> None:
    llm = memory.say(UNUSABLE["a list"])
    assert memory.add("I like tea", **U)["results"] == []
    assert len(llm.calls) == 1
