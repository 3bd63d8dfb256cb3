"""`langchain` against upstream's own class: what the model is given, and what is returned."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from isomem.errors import InvalidConfigError, LLMError, RateLimitError
from isomem.providers.registry import create_llm
from tests.recorded.llm_cases import MESSAGES, TOOLS
from tests.recorded.test_llms import theirs

pytest.importorskip("mem0")
pytest.importorskip("langchain.chat_models.base")
pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel  # noqa: E402
from langchain_core.messages import AIMessage  # noqa: E402

CALL = {"name": "weather", "args": {"city": "Bern"}, "id": "1"}
COUNTS = {"input_tokens": 11, "output_tokens": 3, "total_tokens": 14}


class Model(GenericFakeChatModel):
    """A chat model that keeps what it was given."""

    given: list[Any] = []  # noqa: RUF012  (a field of pydantic)
    bound: list[Any] = []  # noqa: RUF012

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        self.given.append([(each.type, each.content) for each in messages])
        return super()._generate(messages, *args, **kwargs)

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        self.bound.append((tools, kwargs))
        return self


def model(*replies: Any) -> Model:
    return Model(messages=iter(replies), given=[], bound=[])


def reply(content: Any = "HI") -> AIMessage:
    return AIMessage(content, tool_calls=[CALL], usage_metadata=COUNTS)


@pytest.mark.parametrize("call", [{}, TOOLS, {**TOOLS, "tool_choice": "any"}], ids=str)
def test_the_model_is_given_the_same_and_the_result_is_the_same(call: dict[str, Any]) -> None:
    made = [model(reply()), model(reply(), reply())]
    messages = [*MESSAGES, {"role": "assistant", "content": "yes"}, {"role": "tool", "content": ""}]
    upstream, mine = (
        theirs("langchain", {"model": made[0]}),
        create_llm("langchain", {"model": made[1]}),
    )
    expected = upstream.generate_response(messages, **call)
    assert mine.generate_response(messages, **call) == expected
    assert asyncio.run(mine.agenerate_response(messages, **call)) == expected  # type: ignore[attr-defined]
    assert made[1].given == made[0].given * 2
    assert made[1].bound == made[0].bound * 2
    assert repr(mine.usage) == "Usage(calls=2, prompt_tokens=22, completion_tokens=6)"  # type: ignore[attr-defined]


def test_a_reply_in_parts_is_their_text() -> None:
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "HI"}]
    made = create_llm("langchain", {"model": model(reply(parts))})
    assert made.generate_response(MESSAGES) == "HI"


@pytest.mark.parametrize("odd", [None, "gpt-5", 7, Model])
def test_what_is_no_chat_model_is_refused_by_both(odd: Any) -> None:
    with pytest.raises(ValueError, match="`model` ") as refused:
        theirs("langchain", {"model": odd})
    with pytest.raises(InvalidConfigError) as caught:
        create_llm("langchain", {"model": odd})
    assert caught.value.message.startswith(str(refused.value))


class BusyError(Exception):
    status_code = 429


@pytest.mark.parametrize(
    ("raised", "kind"), [(BusyError("later"), RateLimitError), (KeyError("x"), LLMError)]
)
def test_what_the_model_raises_is_an_error_of_ours(
    raised: Exception, kind: type[Exception]
) -> None:
    class Failing(Model):
        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            raise raised

    made: Any = create_llm("langchain", {"model": Failing(messages=iter(()))})
    for call in (made.generate_response, lambda each: asyncio.run(made.agenerate_response(each))):
        with pytest.raises(kind, match=r"langchain \(Failing\) failed") as caught:
            call(MESSAGES)
        assert caught.value.__cause__ is raised


@pytest.mark.parametrize("odd", [[{"content": "x"}], [{"role": []}], ["x"], "x", None])
def test_messages_that_make_no_sense_are_an_error_of_ours(odd: Any) -> None:
    made: Any = create_llm("langchain", {"model": model()})
    for call in (made.generate_response, lambda each: asyncio.run(made.agenerate_response(each))):
        with pytest.raises(LLMError, match=r"No valid messages|not a list of dicts"):
            call(odd)


def test_a_key_that_the_library_shows_is_not_in_our_error() -> None:
    class Telling(Model):
        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            raise ValueError("no such key: sk-test-0123456789")

    options = {"model": Telling(messages=iter(())), "api_key": "sk-test-0123456789"}
    with pytest.raises(LLMError, match=r"no such key: \*\*\*"):
        create_llm("langchain", options).generate_response(MESSAGES)


def test_without_a_message_that_it_knows_there_is_nothing_to_ask() -> None:
    for each in (
        theirs("langchain", {"model": model()}),
        create_llm("langchain", {"model": model()}),
    ):
        with pytest.raises((ValueError, LLMError), match="No valid messages found"):
            each.generate_response([{"role": "tool", "content": "x"}])
