"""A parameter that a model refuses is left out, once and for all."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.errors import LLMError
from isomem.providers.refusals import CHAT, Refusals
from isomem.providers.registry import create_llm
from tests.unit.providers.servers import Answer, Seen, Server, ollama, openai, serving

MESSAGES = [{"role": "user", "content": "hi"}]
JSON = {"type": "json_object"}
BODY = {"model": "m", "messages": [], "temperature": 0.1, "max_tokens": 9, "top_p": 0.1}

# What servers really say, and what is left out of the request.
COMPLAINTS: list[tuple[Any, str]] = [
    (
        {
            "error": {
                "message": "Unsupported value: 'temperature' does not support 0.1 with this model."
                " Only the default (1) value is supported.",
                "param": "temperature",
                "code": "unsupported_value",
            }
        },
        "temperature",
    ),
    ({"error": {"message": "Unsupported parameter: 'top_p'", "param": "top_p"}}, "top_p"),
    (
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "`temperature` and `top_p` cannot both be specified for this model.",
            },
        },
        "top_p",
    ),
    ({"error": {"message": "top_p: Extra inputs are not permitted"}}, "top_p"),
    ({"detail": [{"loc": ["body", "temperature"], "msg": "not permitted"}]}, "temperature"),
    ("max_tokens is too large: 9. This model supports at most 4", "max_tokens"),
]


def without_refused(refusals: Refusals, body: Any, answer: Any) -> Any:
    """The body without what the server refuses; None if it names nothing."""
    refusal = refusals.read(body, answer)
    return None if refusal is None else refusal.applied(body)


@pytest.mark.parametrize(("answer", "refused"), COMPLAINTS)
def test_a_complaint_names_the_parameter(answer: Any, refused: str) -> None:
    left = without_refused(Refusals("openai", CHAT), BODY, answer)
    assert left == {name: value for name, value in BODY.items() if name != refused}


def test_a_parameter_that_has_a_new_name_is_sent_under_it() -> None:
    said = "Unsupported parameter: 'max_tokens' is not supported with this model."
    advice = " Use 'max_completion_tokens' instead."
    answer = {"error": {"message": said + advice}}
    left = without_refused(Refusals("openai", CHAT), BODY, answer)
    assert left is not None
    assert left["max_completion_tokens"] == 9
    assert "max_tokens" not in left
    assert list(left) == ["model", "messages", "temperature", "max_completion_tokens", "top_p"]


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"message": "This model's maximum context length is 4096 tokens."}},
        {"error": {"message": "presence_penalty is not supported"}},
        {"error": "messages must not be empty"},
        *({}, [], None, "", 5, "<html>"),
    ],
)
def test_any_other_complaint_changes_nothing(answer: Any) -> None:
    assert Refusals("openai", CHAT).read(BODY, answer) is None


def test_what_was_refused_is_remembered_for_that_model_and_that_value() -> None:
    refusals = Refusals("openai", CHAT)
    refusal = refusals.read(BODY, "no temperature")
    assert refusal is not None
    assert refusals.applied("m", BODY) is BODY  # The model has not answered yet.
    refusals.remember("m", [refusal])
    assert "temperature" not in refusals.applied("m", BODY)
    assert refusals.applied("other", BODY) is BODY
    hot = {**BODY, "temperature": 1}
    assert refusals.applied("m", hot) is hot


def test_a_parameter_inside_another_is_found_in_either_spelling() -> None:
    refusals = Refusals("gemini", [("generationConfig", "topP")])
    body = {"contents": [], "generationConfig": {"topP": 0.1, "temperature": 0.1}}
    left = without_refused(refusals, body, "top_p is not supported")
    assert left == {"contents": [], "generationConfig": {"temperature": 0.1}}
    assert body["generationConfig"] == {"topP": 0.1, "temperature": 0.1}


@given(st.lists(st.sampled_from([path[0] for path in CHAT]) | st.text(max_size=20), max_size=30))
def test_it_comes_to_an_end(words: list[str]) -> None:
    """Each parameter is left out once, and one of them may be renamed first."""
    refusals = Refusals("openai", CHAT)
    body: Any = dict(BODY, response_format=JSON, reasoning_effort="low")
    rounds = 0
    while body is not None:
        body = without_refused(refusals, body, " ".join(words))
        rounds += 1
        assert rounds <= len(CHAT) + 2


# --- With a server ---------------------------------------------------------------------------


def strict(seen: Seen) -> Any:
    """A server like OpenAI's for gpt-5: it refuses one parameter at a time."""
    if "max_tokens" in seen.body:
        return refused("max_tokens", "Use 'max_completion_tokens' instead.")
    for name in ("temperature", "top_p", "response_format"):
        if name in seen.body:
            return refused(name, "Only the default is supported.")
    return openai(seen)


def refused(name: str, advice: str) -> Answer:
    said = f"Unsupported parameter: '{name}' is not supported with this model. {advice}"
    error = {"message": said, "type": "invalid_request_error", "param": name}
    return Answer(400, {"error": error})


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(strict) as server:
        yield server


def ask(llm: Any, asynchronously: bool, **options: Any) -> Any:
    if not asynchronously:
        return llm.generate_response(MESSAGES, **options)
    return asyncio.run(llm.agenerate_response(MESSAGES, **options))


@pytest.mark.parametrize("asynchronously", [False, True], ids=["sync", "async"])
def test_a_model_that_refuses_everything_is_answered_and_asked_right_afterwards(
    server: Server, asynchronously: bool, caplog: pytest.LogCaptureFixture
) -> None:
    llm: Any = create_llm("openai", {"openai_base_url": server.url, "model": "gpt-6"})
    with caplog.at_level(logging.WARNING, "isomem"):
        assert ask(llm, asynchronously, response_format=JSON) == "HI"
        assert len(server.seen) == 5
        assert ask(llm, asynchronously, response_format=JSON) == "HI"
        assert len(server.seen) == 6
    llm.close()
    assert server.seen[-1].body == {
        "model": "gpt-6",
        "messages": MESSAGES,
        "max_completion_tokens": 2000,
    }
    assert [message.split("refuses ")[1].split("=")[0] for message in caplog.messages] == [
        *("max_tokens", "temperature", "top_p", "response_format")
    ]


def test_a_server_that_refuses_what_is_not_sent_any_more_is_an_error(server: Server) -> None:
    server.always = refused("temperature", "")
    llm: Any = create_llm("openai", {"openai_base_url": server.url, "model": "gpt-6"})
    with pytest.raises(LLMError, match=r"400.*'temperature' is not supported"):
        ask(llm, False)
    assert len(server.seen) == 2
    llm.close()


def test_a_complaint_that_leads_to_no_answer_is_not_remembered(server: Server) -> None:
    """A prompt that is too long, in the words of vLLM, says nothing about other prompts."""
    said = (
        "'max_tokens' or 'max_completion_tokens' is too large: 2000. Your request has 9000 tokens"
    )
    server.always = Answer(400, {"error": {"message": said}})
    llm: Any = create_llm("openai", {"openai_base_url": server.url, "model": "gpt-6"})
    with pytest.raises(LLMError, match="too large"):
        ask(llm, False)
    assert [
        len({"max_tokens", "max_completion_tokens"} & each.body.keys()) for each in server.seen
    ] == [*(1, 1, 0)]
    server.forget()
    server.answers = [
        Answer(body=openai(Seen("", {}, json.dumps({"messages": MESSAGES}).encode(), 0)))
    ]
    assert ask(llm, False) == "HI"
    assert server.seen[0].body["max_tokens"] == 2000
    llm.close()


def test_a_model_of_ollama_that_cannot_think_is_not_told_to() -> None:
    with serving(ollama) as server:
        said = {"error": '"llama3" does not support thinking'}
        server.answers = [Answer(400, said)]
        llm: Any = create_llm("ollama", {"ollama_base_url": server.url, "think": True})
        assert ask(llm, False) == "HI"
        assert ["think" in seen.body for seen in server.seen] == [True, False]
        llm.close()


def test_threads_share_what_was_refused_and_other_objects_do_not(server: Server) -> None:
    made: list[Any] = [
        create_llm("openai", {"openai_base_url": server.url, "model": "gpt-6"}) for _ in range(2)
    ]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: ask(made[0], False, response_format=JSON), range(24)))
    assert replies == ["HI"] * 24
    assert made[0].usage.calls == 24
    for llm, requests in zip(made, (1, 5), strict=True):
        server.forget()
        assert ask(llm, False, response_format=JSON) == "HI"
        assert len(server.seen) == requests
        llm.close()
