"""The proxy: OpenAI's own SDK talks to a real service, and that to a scripted model server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from isomem.prompts import MEMORY_ANSWER_PROMPT
from isomem.testing import HashEmbedder
from tests.serve.chatting import MODEL_KEY, TEA, Chatting, chatting, completion, until
from tests.unit.providers.servers import Answer, clean_environment, serving

openai = pytest.importorskip("openai")
pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

CALL = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


@pytest.fixture
def chat(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chatting]:
    clean_environment(monkeypatch)
    with chatting(tmp_path) as made:
        yield made


def say(text: Any, *, sdk: Any, user: str | None = "ana", **options: Any) -> Any:
    messages = [{"role": "user", "content": text}]
    if user is not None:
        options["user"] = user
    return sdk.chat.completions.create(model="m", messages=messages, **options)


def test_a_turn_is_remembered_and_told_to_the_model_in_the_next(chat: Chatting) -> None:
    sdk = chat.sdk()
    first = say("I like green tea", sdk=sdk)
    assert first.choices[0].message.content == "Hello Ana"
    assert chat.memories("ana") == [TEA]
    say("Which green tea do I like?", sdk=sdk)
    [_, second] = chat.model.chats
    assert second["messages"] == [
        {"role": "system", "content": MEMORY_ANSWER_PROMPT},
        {
            "role": "user",
            "content": f"- Relevant Memories/Facts: {TEA}\n\n- Entities: []\n\n"
            "- User Question: Which green tea do I like?",
        },
    ]
    extraction = chat.model.server.seen[1].body["messages"][-1]["content"]
    assert "I like green tea" in extraction
    assert "Hello Ana" in extraction


def test_everything_else_passes_unchanged_in_both_directions(chat: Chatting) -> None:
    options: dict[str, Any] = {
        "temperature": 0.25, "tools": TOOLS, "tool_choice": "none", "seed": 7, "n": 1,
        "stop": ["x"], "logit_bias": {"5": -1}, "extra_body": {"odd": {"deep": [None, 1.5]}},
    }  # fmt: skip
    got = say("Hello", sdk=chat.sdk(), **options)
    [body] = chat.model.chats
    extra = options.pop("extra_body")
    assert {name: body[name] for name in body if name != "messages"} == {
        **options, **extra, "model": "m", "user": "ana",
    }  # fmt: skip
    sent = completion(chat.model.message)
    assert got.to_dict() == sent
    [seen] = [each for each in chat.model.server.seen if each.body == body]
    assert seen.headers["authorization"] == f"Bearer {MODEL_KEY}"


def test_an_instruction_of_ones_own_replaces_the_answer_prompt(chat: Chatting) -> None:
    own = [{"role": "developer", "content": "Be rude."}, {"role": "user", "content": "Hi"}]
    chat.sdk().chat.completions.create(model="m", messages=own, user="ana")
    told = chat.model.chats[0]["messages"]
    assert told[0] == own[0]
    assert told[1]["content"].endswith("- User Question: Hi")


def test_a_stream_comes_as_it_is_made_and_is_remembered(chat: Chatting) -> None:
    chat.model.gate = threading.Semaphore(0)
    chat.model.pieces = ["You like ", "green ", "tea"]
    chat.model.gate.release()
    stream = say("Tell me", sdk=chat.sdk(), stream=True, stream_options={"include_usage": True})
    pieces = []
    for chunk in stream:
        if chunk.choices[0].delta.content:
            pieces.append(chunk.choices[0].delta.content)
            chat.model.gate.release()  # The model says the next piece once this one has come.
    assert pieces == chat.model.pieces
    until(lambda: len(chat.model.server.seen) == 2)
    assert chat.memories("ana") == [TEA]
    assert chat.model.chats[0]["stream_options"] == {"include_usage": True}


def test_tools_pass_and_a_turn_ends_with_the_text_that_answers_it(chat: Chatting) -> None:
    sdk = chat.sdk()
    chat.model.message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    first = say("I like green tea. How is the weather?", sdk=sdk, tools=TOOLS)
    assert first.choices[0].message.tool_calls[0].function.name == "weather"
    assert chat.memories("ana") == []
    chat.model.message = {"role": "assistant", "content": "It is sunny"}
    messages = [
        {"role": "user", "content": "I like green tea. How is the weather?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "1", "content": "sun"},
    ]
    sdk.chat.completions.create(model="m", messages=messages, user="ana", tools=TOOLS)
    assert chat.memories("ana") == [TEA]
    told = chat.model.chats[1]["messages"]
    assert told[2:] == messages[1:]
    assert told[1]["content"].startswith("- Relevant Memories/Facts: ")


def test_a_streamed_call_of_a_tool_does_not_end_a_turn(chat: Chatting) -> None:
    chat.model.pieces = ["Let me see", {"tool_calls": [{"index": 0, **CALL}]}]  # type: ignore[list-item]
    chunks = [*say("I like green tea", sdk=chat.sdk(), stream=True, tools=TOOLS)]
    assert chunks[1].choices[0].delta.tool_calls[0].function.name == "weather"
    assert chat.memories("ana") == []


def test_the_parts_of_a_message_stay(chat: Chatting) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    say([{"type": "text", "text": "I like green tea"}, image], sdk=chat.sdk())
    [text, other] = chat.model.chats[0]["messages"][1]["content"]
    assert text["text"].endswith("- User Question: I like green tea")
    assert other == image
    assert chat.memories("ana") == [TEA]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "BadRequestError"), (401, "AuthenticationError"), (404, "NotFoundError"),
        (429, "RateLimitError"), (500, "InternalServerError"),
    ],
)  # fmt: skip
def test_an_error_of_the_model_server_passes_as_it_is(
    chat: Chatting, status: int, error: str
) -> None:
    told = {"error": {"message": "Because.", "type": "odd", "param": "p", "code": "c"}}
    chat.model.failure = Answer(status, told, {"Retry-After": "3", "X-Secret": "x"})
    for streams in (False, True):
        with pytest.raises(getattr(openai, error)) as caught:
            say("I like green tea", sdk=chat.sdk(), stream=streams)
        assert caught.value.response.status_code == status
        assert caught.value.body == told["error"]
        assert caught.value.response.headers["retry-after"] == "3"
        assert "x-secret" not in caught.value.response.headers
    assert chat.memories("ana") == []


def test_the_services_own_errors_have_openais_form(chat: Chatting) -> None:
    ana = chat.key({"user_id": "ana"})
    for error, call, code in [
        ("AuthenticationError", lambda: say("x", sdk=chat.sdk("iso_wrong")), "AUTH_001"),
        ("PermissionDeniedError", lambda: say("x", sdk=chat.sdk(ana), user="bob"), "AUTH_002"),
        ("BadRequestError", lambda: say("x", sdk=chat.sdk(), user=None), "VALIDATION_001"),
        ("BadRequestError", lambda: say("x", sdk=chat.sdk(), user="a b"), "INVALID_VALUE"),
        (
            "BadRequestError",
            lambda: chat.sdk().chat.completions.create(model="m", messages=[], user="ana"),
            "VALIDATION_003",
        ),
        (
            "PermissionDeniedError",
            lambda: say("x", sdk=chat.sdk(chat.key(rights=("write",)))),
            "AUTH_002",
        ),
    ]:
        with pytest.raises(getattr(openai, error)) as caught:
            call()
        assert caught.value.code == code
        assert caught.value.body["message"]
    assert chat.model.chats == []


def test_two_users_are_kept_apart(chat: Chatting) -> None:
    keys = {name: chat.key({"user_id": name}) for name in ("ana", "bob")}
    say("I like green tea", sdk=chat.sdk(keys["ana"]), user=None)
    assert chat.memories("ana") == [TEA]
    say("Which tea?", sdk=chat.sdk(keys["bob"]), user=None)
    say("Which tea?", sdk=chat.sdk(keys["ana"]), user=None)
    with pytest.raises(openai.PermissionDeniedError):
        say("Which tea?", sdk=chat.sdk(keys["bob"], **{"X-Isomem-User-Id": "ana"}))
    told = [body["messages"][1]["content"] for body in chat.model.chats[1:]]
    assert [TEA in each for each in told] == [False, True]
    assert chat.memories("bob") == []


def test_headers_name_a_scope_before_the_field_user(chat: Chatting) -> None:
    sdk = chat.sdk(**{"X-Isomem-User-Id": "ana", "X-Isomem-Run-Id": "r-1"})
    say("I like green tea", sdk=sdk, user="somebody else")
    assert chat.memories("ana") == [TEA]
    assert chat.memories("somebody") == []


def test_a_key_that_may_not_write_leaves_nothing_behind(chat: Chatting) -> None:
    say("I like green tea", sdk=chat.sdk(chat.key(rights=("read",))))
    assert chat.memories("ana") == []


def test_the_models_are_those_of_the_model_server(chat: Chatting) -> None:
    assert [each.id for each in chat.sdk().models.list()] == ["m"]
    with pytest.raises(openai.AuthenticationError):
        chat.sdk("iso_wrong").models.list()


def test_a_chat_goes_on_if_nothing_can_be_recalled(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(HashEmbedder, "embed", fails)
    assert say("Hi", sdk=chat.sdk()).choices[0].message.content == "Hello Ana"
    monkeypatch.setattr(chat.service.settings, "proxy_needs_memory", True)
    with pytest.raises(openai.InternalServerError):
        say("Hi", sdk=chat.sdk())
    assert len(chat.model.chats) == 1


def test_a_turn_that_cannot_be_remembered_does_not_fail_the_chat(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("I like green tea")

    monkeypatch.setattr(chat.service.jobs, "submit", fails)
    assert say("I like green tea", sdk=chat.sdk()).choices[0].message.content == "Hello Ana"
    until(lambda: "A turn of a chat is not remembered: RuntimeError" in caplog.text)
    assert "green tea" not in caplog.text


def test_what_was_said_is_remembered_if_the_caller_goes_in_the_middle(chat: Chatting) -> None:
    chat.model.gate = threading.Semaphore(2)
    stream = say("I like green tea", sdk=chat.sdk(), stream=True)
    assert [next(stream).choices[0].delta.content for _ in range(2)] == ["Hel", "lo "]
    stream.close()
    until(lambda: len(chat.model.server.seen) == 2)
    assert chat.memories("ana") == [TEA]
    assert "Hello " in chat.model.server.seen[1].body["messages"][-1]["content"]
    chat.model.gate.release(10)


def test_a_stream_that_the_model_server_breaks_off_is_an_error(chat: Chatting) -> None:
    chat.model.breaks = True
    pieces = []
    with pytest.raises(openai.APIError, match="broke off"):
        for chunk in say("Hi", sdk=chat.sdk(), stream=True):
            pieces.append(chunk.choices[0].delta.content)  # noqa: PERF401 - it fails in between
    assert pieces == chat.model.pieces


def test_a_model_server_that_is_away_is_a_bad_gateway(chat: Chatting) -> None:
    chat.service.memory.llm.base_url = "http://127.0.0.1:9"
    with pytest.raises(openai.InternalServerError) as caught:
        say("Hi", sdk=chat.sdk())
    assert (caught.value.status_code, caught.value.code) == (502, "NET_001")
    assert MODEL_KEY not in str(caught.value)


def test_another_server_can_be_named_and_does_not_get_the_key_of_openai(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean_environment(monkeypatch)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    with serving(lambda seen: completion({"role": "assistant", "content": seen.path})) as other:
        with chatting(tmp_path, proxy_url=f"{other.url}/api") as chat:
            said = say("Hi", sdk=chat.sdk())
            assert said.choices[0].message.content == "/api/chat/completions"
        assert "sk-of-openai" not in json.dumps([seen.headers for seen in other.seen])
        with chatting(tmp_path, proxy_url=f"{other.url}/api", proxy_key="sk-own") as chat:
            say("Hi", sdk=chat.sdk())
        assert other.seen[-1].headers["authorization"] == "Bearer sk-own"


def test_without_a_model_server_a_chat_says_what_is_missing() -> None:
    from tests.serve.service import serving as served

    with served() as made:
        answer = made.key().post("/v1/chat/completions", {"messages": [{}], "user": "ana"})
    assert answer.status_code == 503
    assert "proxy_url" in answer.json()["error"]["message"]
