"""Answers of every shape: each is a reply or an error of ours, and no text in it is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomem.errors import ProviderError
from isomem.providers.answers import MissingError, arguments
from isomem.providers.registry import create_llm
from tests.unit.providers.chats import access, protocol
from tests.unit.providers.clouds import is_installed
from tests.unit.providers.servers import KEY, Answer, Seen, clean_environment, openai, serving

TOOLS = [{"type": "function", "function": {"name": "weather"}}]
MESSAGES = [{"role": "user", "content": "hoi"}]
NAMES = [
    pytest.param(
        name, marks=[] if is_installed(name) else pytest.mark.skip("its library is not installed")
    )
    for name in ("openai", "openai_structured", "anthropic", "gemini", "aws_bedrock", "ollama")
]

KEYS = st.sampled_from(
    [
        *("error", "message", "content", "text", "type", "name", "input", "args", "toolUse"),
        *("functionCall", "parts", "code", "candidates", "choices", "output", "tool_calls"),
        *("function", "arguments", "refusal", "usage", "stopReason", "promptFeedback"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4) | st.floats()
SHAPES = st.recursive(
    SCALARS,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(KEYS, each, max_size=4),
    max_leaves=10,
)
Path = tuple[str | int, ...]


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where each part of an answer is."""
    yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, item in items:
        yield from paths(item, (*path, key))


def replaced(value: Any, path: Path, part: Any) -> Any:
    """A copy of an answer with another part at a path."""
    if not path:
        return part
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = replaced(value[path[0]], path[1:], part)  # type: ignore[index]
    return changed


class Asked:
    """A model, its request, and what its server answers to that."""

    def __init__(self, name: str) -> None:
        spoken = protocol(name)
        options = {**access(name, "http://127.0.0.1:9"), "model": spoken.model, "max_retries": 0}
        self.llm: Any = create_llm(name, options)
        self.request = self.llm.request(MESSAGES, None, TOOLS, "auto", {})
        content = json.dumps(self.request.body).encode()
        self.usual = spoken.usual(Seen(self.request.path, {}, content, 0))

    def reply(self, answer: Any, tools: Any) -> Any:
        """What the model makes of an answer."""
        return self.llm._result(self.request, answer, tools)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(monkeypatch)


def test_the_copy_of_an_answer_differs_in_one_place() -> None:
    usual = {"a": [1, {"b": 2}]}
    assert list(paths(usual)) == [(), ("a",), ("a", 0), ("a", 1), ("a", 1, "b")]
    assert replaced(usual, ("a", 1, "b"), 3) == {"a": [1, {"b": 3}]}
    assert usual == {"a": [1, {"b": 2}]}


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_of_any_shape_is_a_reply_or_an_error_of_ours(name: str) -> None:
    asked = Asked(name)

    @settings(max_examples=150, deadline=None, database=None)
    @given(st.sampled_from(list(paths(asked.usual))), SHAPES, st.booleans())
    def check(path: Path, part: Any, has_tools: bool) -> None:
        answer = replaced(asked.usual, path, part)
        try:
            reply = asked.reply(answer, TOOLS if has_tools else None)
        except ProviderError:
            return
        if has_tools and name != "openai_structured":
            assert reply.keys() == {"content", "tool_calls"}
            assert all(call.keys() == {"name", "arguments"} for call in reply["tool_calls"])

    check()


SPLIT = [each for each in NAMES if each.values[0] != "ollama"]


@pytest.mark.parametrize("name", SPLIT)
def test_no_text_of_a_reply_in_parts_is_lost(name: str) -> None:
    """Whatever stands between the parts, such as reasoning or a call."""
    asked, spoken = Asked(name), protocol(name)
    other = st.sampled_from(
        [{"type": "thinking", "thinking": "hm"}, {"type": "image"}, {"type": "text"}]
    )
    text = st.builds(lambda said: {"type": "text", "text": said}, st.text(max_size=5))

    @settings(max_examples=60, deadline=None, database=None)
    @given(st.lists(text | other, min_size=1, max_size=6))
    def check(parts: list[dict[str, str]]) -> None:
        reply = asked.reply(spoken.saying(parts, None), None)
        assert (reply or "") == "".join(part.get("text", "") for part in parts)

    check()


def test_a_content_that_is_an_object_is_not_taken_for_a_result_with_tools() -> None:
    answer = protocol("openai").saying({"b": 1}, "stop")
    for tools in (None, TOOLS):
        assert Asked("openai_structured").reply(answer, tools) == {"b": 1}


def test_with_tools_a_text_keeps_why_it_ended() -> None:
    reply = Asked("openai_structured").reply(protocol("openai").saying("Grü", "length"), TOOLS)
    assert (reply, reply.finish_reason) == ("Grü", "length")


@pytest.mark.skipif(not is_installed("aws_bedrock"), reason="its library is not installed")
def test_bedrock_with_tools_answers_with_a_dict_in_every_form() -> None:
    reply = Asked("aws_bedrock").reply({"completion": "hoi"}, TOOLS)
    assert reply == {"content": "hoi", "tool_calls": []}


@pytest.mark.parametrize("candidates", [{"0": {}}, "text", 7])
def test_gemini_that_blocks_and_answers_nonsense_is_an_error(candidates: Any) -> None:
    answer = {"promptFeedback": {"blockReason": "SAFETY"}, "candidates": candidates}
    with pytest.raises(ProviderError, match="answered without candidates"):
        Asked("gemini").reply(answer, None)


def test_gemini_is_sent_an_empty_text_as_one() -> None:
    """Google refuses contents without parts."""
    asked = Asked("gemini")
    messages = [{"role": "user", "content": ""}, {"role": "user", "content": ["", {"text": ""}]}]
    sent = asked.llm.request(messages, None, None, "auto", {}).body["contents"]
    assert [each["parts"] for each in sent] == [[{"text": ""}], [{"text": ""}, {"text": ""}]]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000 + "}", "{" + "[" * 100_000])
def test_arguments_that_are_nested_too_deep_are_missing(text: str) -> None:
    with pytest.raises(MissingError, match="arguments of a tool call that are JSON"):
        arguments(text)


@pytest.mark.parametrize("body", [b"\xff " + KEY.encode(), b"[" * 100_000, b"<p>" + KEY.encode()])
def test_a_body_that_is_not_json_is_in_no_cause(body: bytes) -> None:
    """What JSON's and Unicode's errors keep is the whole body, in which a key may be echoed."""
    with serving(openai) as server:
        server.always = Answer(body=body)
        llm: Any = create_llm("openai", {"openai_base_url": server.url, "api_key": KEY})
        with pytest.raises(ProviderError, match="something that is not JSON") as caught:
            llm.generate_response(MESSAGES)
        llm.close()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert KEY not in str(caught.value)
