"""Conversations, tools and options that are generated: upstream's requests are ours, byte for byte.

One pair of objects makes all the calls of a protocol: making it takes longer than a call.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from isomem.providers.registry import create_llm
from tests.recorded.comparison import Case, Pair, changed, pair
from tests.recorded.llm_cases import (
    ACCEPT,
    ANTHROPIC,
    CLAUDE,
    GEMINI,
    GEMINI_ROLES,
    GROQ,
    OLLAMA,
    OPENAI,
    STRUCTURED,
    azure,
    bedrock_model,
)
from tests.recorded.test_llms import theirs

pytest.importorskip("mem0")
pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["the assistant", '{"a": "b"}', "line\r\n\u2028end", "  ", "\x00\x1f", "🗼\ufeff"]
)
NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)


def conversations(*roles: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Messages of these roles, the last one by the user."""
    message = st.fixed_dictionaries({"role": st.sampled_from(roles), "content": TEXTS})
    last = st.fixed_dictionaries({"role": st.just("user"), "content": TEXTS})
    return st.builds(lambda earlier, end: [*earlier, end], st.lists(message, max_size=4), last)


ALL = conversations("system", "user", "assistant")
TYPES = st.sampled_from(["string", "integer", "number", "boolean"])
PROPERTIES = st.dictionaries(
    NAMES, st.fixed_dictionaries({"type": TYPES, "description": TEXTS}), max_size=3
)


@st.composite
def tools(draw: st.DrawFn) -> list[dict[str, Any]]:
    """One or two functions in OpenAI's form."""
    functions = [
        {
            "name": name,
            "description": draw(TEXTS),
            "parameters": {"type": "object", "properties": draw(PROPERTIES)},
        }
        for name in draw(st.lists(NAMES, min_size=1, max_size=2, unique=True))
    ]
    return [{"type": "function", "function": each} for each in functions]


FRACTIONS = st.floats(0, 1)
OPTIONS = st.fixed_dictionaries(
    {
        "temperature": FRACTIONS | st.sampled_from([0, 1, 2]),
        "max_tokens": st.integers(1, 8000),
        "top_p": FRACTIONS,
    }
)
FORMATS = st.sampled_from([None, {"type": "json_object"}, {"type": "text"}])
CHOICES = st.sampled_from(["auto", "any", "none", "required"])

few = settings(
    max_examples=6, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def compared_once(
    both: Pair, messages: list[dict[str, Any]], options: dict[str, Any], **call: Any
) -> None:
    """Makes one call with both, and asserts that requests, results and bytes are the same."""
    for side in (both.theirs, both.mine):
        vars(side.config).update(options)
    upstream = both.call_theirs("generate_response", messages, **call)
    assert upstream.error is None, upstream.error
    differences = both.case.differences + (both.case.of_tools if call.get("tools") else ())
    expected = changed(upstream, differences)
    mine = both.call_mine("generate_response", messages, **call)
    assert mine.error is None, mine.error
    assert mine.sent == expected.sent
    assert mine.result == expected.result
    if both.case.same_bytes:
        assert mine.contents == upstream.contents


OF_OPENAI = [
    OPENAI.with_(model="m-1"),
    GROQ,
    STRUCTURED,
    azure("azure_openai"),
    azure("azure_openai_structured"),
]


@pytest.mark.parametrize("case", OF_OPENAI, ids=lambda case: case.name)
def test_openais_protocol(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    takes_tools = case.name != "openai_structured"
    some_tools = st.none() | tools() if takes_tools else st.none()
    with pair(case, monkeypatch, theirs, create_llm) as both:

        @few
        @given(ALL, OPTIONS, FORMATS, some_tools, CHOICES)
        def check(messages: Any, options: Any, form: Any, given_tools: Any, choice: str) -> None:
            call = {"response_format": form, "tools": given_tools, "tool_choice": choice}
            compared_once(both, messages, options, **call)

        check()


@pytest.mark.parametrize("case", [ANTHROPIC, CLAUDE], ids=str)
def test_anthropics_protocols(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call without tools; those are a difference of their own."""
    with pair(case, monkeypatch, theirs, create_llm) as both:
        own = {} if case is CLAUDE else {"top_p": None}

        @few
        @given(ALL, OPTIONS)
        def check(messages: Any, options: Any) -> None:
            compared_once(both, messages, {} if case is CLAUDE else {**options, **own})

        check()


def test_geminis_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    with pair(GEMINI, monkeypatch, theirs, create_llm) as both:

        @few
        @given(ALL, OPTIONS, FORMATS, st.none() | tools(), CHOICES)
        def check(messages: Any, options: Any, form: Any, given_tools: Any, choice: str) -> None:
            has_answers = any(each["role"] == "assistant" for each in messages)
            own = (*GEMINI.differences, *([GEMINI_ROLES] if has_answers else []))
            both.case = replace(both.case, differences=own)
            call = {"response_format": form, "tools": given_tools, "tool_choice": choice}
            compared_once(both, messages, options, **call)

        check()


def test_ollamas_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of messages that are not empty: the SDK leaves out the content of an empty one."""
    full = ALL.filter(lambda messages: all(each["content"] for each in messages))
    with pair(replace(OLLAMA, of_tools=()), monkeypatch, theirs, create_llm) as both:

        @few
        @given(full, OPTIONS, FORMATS, st.none() | tools())
        def check(messages: Any, options: Any, form: Any, given_tools: Any) -> None:
            compared_once(both, messages, options, response_format=form, tools=given_tools)

        check()


@pytest.mark.parametrize(
    "model",
    ["meta.llama3-8b-instruct-v1:0", "minimax.minimax-m2"],
)
def test_models_on_bedrock(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pair(bedrock_model(model, ACCEPT), monkeypatch, theirs, create_llm) as both:

        @few
        @given(ALL)
        def check(messages: Any) -> None:
            # Amazon's SDK refuses an empty system prompt, which mem0 passes on.
            assume(model.startswith("meta") or all(each["content"] for each in messages))
            compared_once(both, messages, {})

        check()
