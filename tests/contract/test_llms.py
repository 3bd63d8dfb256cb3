"""What every language model does, whichever protocol it speaks."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from isomem.errors import (
    AuthenticationError,
    InvalidConfigError,
    LLMError,
    NetworkError,
    RateLimitError,
)
from isomem.options import defaults_of
from isomem.prompts import loader
from isomem.providers.registry import LLMS, create_llm
from isomem.providers.tables import LLM_OPTIONS
from tests.unit.providers.chats import access, protocol
from tests.unit.providers.servers import KEY, Answer, Server, clean_environment, openai, serving

pytestmark = pytest.mark.usefixtures("few_objects")

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "grüezi"}]
JSON = {"type": "json_object"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Looks it up",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
IN_PROCESS = {"langchain", "litellm", "mock"}
OVER_HTTP = sorted(LLMS.builtin.keys() - IN_PROCESS)
IN_OPENAIS_WORDS = [name for name in OVER_HTTP if protocol(name).usual is openai]
CALLING_IN_OPENAIS_WORDS = [name for name in IN_OPENAIS_WORDS if name != "openai_structured"]


@dataclass
class Adapter:
    """A provider, and the server that it is connected to."""

    name: str
    server: Server

    def make(self, **options: Any) -> Any:
        url, key = options.pop("url", self.server.url), options.pop("api_key", None) or KEY
        given = {**access(self.name, url, key), "model": self.model, **options}
        return create_llm(self.name, given)

    @property
    def model(self) -> str:
        return protocol(self.name).model

    @property
    def empty(self) -> str | None:
        return protocol(self.name).empty


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    with ExitStack() as stack:
        usual = {protocol(name).usual for name in OVER_HTTP}
        running = {each: stack.enter_context(serving(each)) for each in usual}
        yield {name: running[protocol(name).usual] for name in OVER_HTTP}


@pytest.fixture(params=OVER_HTTP)
def adapter(
    request: pytest.FixtureRequest, servers: dict[str, Server], monkeypatch: pytest.MonkeyPatch
) -> Adapter:
    clean_environment(monkeypatch)
    pytest.importorskip(protocol(request.param).library)
    servers[request.param].forget()
    return Adapter(request.param, servers[request.param])


@pytest.fixture
def llm(adapter: Adapter) -> Iterator[Any]:
    llm = adapter.make()
    yield llm
    llm.close()


@pytest.fixture(autouse=True)
def pinned_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for the texts that a build brings, so that the suite runs in a bare checkout."""
    if not Path(loader.DIRECTORY).is_dir():
        texts = {"OLLAMA_JSON_SUFFIX": " (as JSON)", "OLLAMA_JSON_MESSAGE": "As JSON."}
        monkeypatch.setattr(loader, "_checked", texts)


def ask(llm: Any, asynchronously: bool, **options: Any) -> Any:
    """One call, in either way; the asynchronous one in a loop of its own that just ends."""
    messages = options.pop("messages", MESSAGES)
    if not asynchronously:
        return llm.generate_response(messages, **options)
    return asyncio.run(llm.agenerate_response(messages, **options))


both_ways = pytest.mark.parametrize("asynchronously", [False, True], ids=["sync", "async"])


@both_ways
def test_a_reply_is_the_models_text(llm: Any, asynchronously: bool) -> None:
    assert ask(llm, asynchronously) == "GRÜEZI"


@both_ways
def test_the_messages_arrive_as_they_are_and_stay_as_they_were(
    adapter: Adapter, llm: Any, asynchronously: bool
) -> None:
    messages = copy.deepcopy(MESSAGES)
    ask(llm, asynchronously, messages=messages, response_format=JSON)
    assert messages == MESSAGES
    assert [text for text in texts_in(adapter.server.seen[0].body) if "grüezi" in text]
    assert "Be brief." in texts_in(adapter.server.seen[0].body)


def test_text_is_sent_as_utf8_without_escapes(adapter: Adapter, llm: Any) -> None:
    ask(llm, False)
    assert "grüezi".encode() in adapter.server.seen[0].content


@both_ways
def test_a_tool_call_comes_back_with_its_arguments(
    adapter: Adapter, llm: Any, asynchronously: bool
) -> None:
    if adapter.name == "openai_structured":
        assert ask(llm, asynchronously, tools=TOOLS) == "GRÜEZI"  # as in mem0
        return
    reply = ask(llm, asynchronously, tools=TOOLS)
    assert reply["tool_calls"] == [{"name": "weather", "arguments": {"city": "Bern"}}]


def test_a_reply_without_text_is_none_or_empty_as_in_mem0(adapter: Adapter, llm: Any) -> None:
    adapter.server.answers = [Answer(body=ending(adapter, None, None))]
    assert ask(llm, False) == adapter.empty


@both_ways
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_an_authentication_error_at_once(
    adapter: Adapter, llm: Any, status: int, asynchronously: bool
) -> None:
    adapter.server.always = Answer(status, {"error": {"message": f"Wrong key: {KEY}"}})
    with pytest.raises(AuthenticationError) as caught:
        ask(llm, asynchronously)
    assert len(adapter.server.seen) == 1
    facts = {"provider": adapter.name, "model": adapter.model, "status": status}
    assert caught.value.details == facts
    assert "Wrong key: ***" in str(caught.value)
    assert KEY not in f"{caught.value!r} {caught.value.__cause__!r}"


@both_ways
def test_too_many_requests_are_tried_again_as_long_as_the_server_says(
    adapter: Adapter, llm: Any, asynchronously: bool
) -> None:
    adapter.server.answers = [Answer(429, headers={"Retry-After": "0"})] * 3
    assert ask(llm, asynchronously) == "GRÜEZI"
    assert len(adapter.server.seen) == 4


@both_ways
def test_too_many_requests_for_too_long_are_a_rate_limit_error(
    adapter: Adapter, llm: Any, asynchronously: bool
) -> None:
    adapter.server.always = Answer(429, "slow down", {"Retry-After": "0"})
    with pytest.raises(
        RateLimitError, match=f"{adapter.name}.*{adapter.model}.*429.*slow down"
    ) as caught:
        ask(llm, asynchronously)
    assert caught.value.debug_info == {"retry_after": 0.0}
    assert len(adapter.server.seen) == 4


def test_a_server_that_wants_an_hour_is_not_asked_again(adapter: Adapter, llm: Any) -> None:
    adapter.server.always = Answer(429, headers={"Retry-After": "3600"})
    with pytest.raises(RateLimitError) as caught:
        ask(llm, False)
    assert caught.value.debug_info == {"retry_after": 3600.0}
    assert len(adapter.server.seen) == 1


@both_ways
def test_a_server_that_recovers_is_waited_for(
    adapter: Adapter, llm: Any, asynchronously: bool
) -> None:
    adapter.server.answers = [
        Answer(503, headers={"Retry-After": "0"}),
        Answer(500, headers={"retry-after-ms": "1"}),
    ]
    assert ask(llm, asynchronously) == "GRÜEZI"


@both_ways
def test_a_server_that_stays_broken_is_an_llm_error(
    adapter: Adapter, llm: Any, asynchronously: bool
) -> None:
    adapter.server.always = Answer(500, "out of memory", {"Retry-After": "0"})
    with pytest.raises(LLMError, match=r"500.*out of memory") as caught:
        ask(llm, asynchronously)
    assert caught.value.error_code == "LLM_001"
    assert len(adapter.server.seen) == 4


def test_a_bad_request_is_not_sent_again(adapter: Adapter, llm: Any) -> None:
    adapter.server.always = Answer(400, {"error": "messages are not supported"})
    with pytest.raises(LLMError, match="messages are not supported"):
        ask(llm, False)
    assert len(adapter.server.seen) == 1


@both_ways
def test_a_server_that_is_not_there_is_a_network_error(
    adapter: Adapter, asynchronously: bool
) -> None:
    llm = adapter.make(url="http://127.0.0.1:9", max_retries=0)
    with pytest.raises(NetworkError, match=r"cannot be reached at http://127\.0\.0\.1:9"):
        ask(llm, asynchronously)
    llm.close()


@both_ways
def test_a_server_that_is_too_slow_is_a_network_error(
    adapter: Adapter, asynchronously: bool
) -> None:
    llm = adapter.make(timeout_s=0.05, max_retries=0)
    adapter.server.always = Answer(after_s=0.3)
    with pytest.raises(NetworkError, match=r"did not answer in time \(timeout_s=0.05\)"):
        ask(llm, asynchronously)
    llm.close()


@pytest.mark.parametrize("body", ["", "<html>", b"\xff", "[" * 100_000])
def test_an_answer_that_is_not_json_is_an_llm_error(adapter: Adapter, llm: Any, body: Any) -> None:
    adapter.server.always = Answer(body=body)
    with pytest.raises(LLMError, match="not JSON"):
        ask(llm, False)


@pytest.mark.parametrize(
    "body",
    [
        *([], {}, None, 3, "text", {"choices": []}, {"choices": [{}]}, {"choices": None}),
        *({"choices": [{"message": None}]}, {"message": {}}, {"message": "text"}),
    ],
)
def test_an_answer_of_another_shape_names_what_is_missing(
    adapter: Adapter, llm: Any, body: Any
) -> None:
    adapter.server.always = Answer(body=json.dumps(body))
    missing = "choices|message|content|candidates|a text"
    with pytest.raises(LLMError, match=f"answered without ({missing})"):
        ask(llm, False)


def test_an_address_that_is_none_is_a_network_error(adapter: Adapter) -> None:
    if adapter.name == "ollama":
        pytest.skip("Ollama's rules for writing a host make an address of everything")
    for url in ("nowhere", "http://127.0.0.1:port", "ftp://127.0.0.1"):
        llm = adapter.make(url=url, max_retries=0)
        with pytest.raises(NetworkError):
            ask(llm, False)
        llm.close()


def test_text_that_cannot_be_sent_is_an_llm_error(llm: Any) -> None:
    with pytest.raises(LLMError, match="cannot be sent"):
        llm.generate_response([{"role": "user", "content": "\ud800"}])


def test_connections_are_used_again(adapter: Adapter, llm: Any) -> None:
    for _ in range(3):
        ask(llm, False)
    assert len({seen.port for seen in adapter.server.seen}) == 1


def test_connections_are_used_again_within_an_event_loop(adapter: Adapter, llm: Any) -> None:
    async def thrice() -> None:
        for _ in range(3):
            await llm.agenerate_response(MESSAGES)

    asyncio.run(thrice())
    assert len({seen.port for seen in adapter.server.seen}) == 1


def test_one_object_serves_many_event_loops_and_leaves_no_socket_open(llm: Any) -> None:
    for _ in range(3):
        assert ask(llm, True) == "GRÜEZI"
    gc.collect()  # a socket left open is a ResourceWarning here, and warnings are errors


def test_one_object_serves_event_loops_in_several_threads(llm: Any) -> None:
    replies: list[Any] = []
    threads = [threading.Thread(target=lambda: replies.append(ask(llm, True))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == ["GRÜEZI"] * 8


WAIT_S = 30.0
"""For what a test must not wait for: only a machine that stands still for so long would fail it."""


@pytest.mark.parametrize(
    "answer",
    [Answer(after_s=WAIT_S), Answer(503, headers={"Retry-After": str(WAIT_S)})],
    ids=["for a slow server", "before another attempt"],
)
def test_waiting_does_not_hold_up_the_other_calls(
    adapter: Adapter, llm: Any, answer: Answer
) -> None:
    """Of six calls at once, one waits; the other five end meanwhile."""
    adapter.server.answers = [answer]

    async def beside_one_that_waits() -> list[Any]:
        calls = [asyncio.create_task(llm.agenerate_response(MESSAGES)) for _ in range(6)]
        ended = asyncio.as_completed(calls)
        replies = [await next(ended) for _ in range(5)]
        (waiting,) = (call for call in calls if not call.done())
        waiting.cancel()
        return replies

    started = time.monotonic()
    assert asyncio.run(beside_one_that_waits()) == ["GRÜEZI"] * 5
    assert time.monotonic() - started < WAIT_S


def test_closing_ends_every_connection_that_a_call_has_left_open(
    adapter: Adapter, llm: Any
) -> None:
    server = adapter.server

    async def both_kinds() -> None:
        llm.generate_response(MESSAGES)
        await llm.agenerate_response(MESSAGES)
        assert len(server.connected) == 2
        await llm.aclose()
        assert all_closed(server)

    llm.generate_response(MESSAGES)
    assert len(server.connected) == 1
    llm.close()
    assert all_closed(server)
    asyncio.run(both_kinds())


def all_closed(server: Server) -> bool:
    """Whether no connection is left, once the server has noticed."""
    last = time.monotonic() + WAIT_S
    while server.connected and time.monotonic() < last:
        time.sleep(0.001)
    return not server.connected


def test_it_can_be_used_after_it_was_closed(llm: Any) -> None:
    async def twice() -> Any:
        await llm.agenerate_response(MESSAGES)
        await llm.aclose()
        await llm.aclose()
        return await llm.agenerate_response(MESSAGES)

    assert ask(llm, False) == "GRÜEZI"
    llm.close()
    llm.close()
    assert ask(llm, False) == "GRÜEZI"
    assert asyncio.run(twice()) == "GRÜEZI"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own(adapter: Adapter, llm: Any) -> None:
    ask(llm, False)
    child = os.fork()
    if not child:
        os._exit(0 if ask(llm, False) == "GRÜEZI" else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len({seen.port for seen in adapter.server.seen}) == 2


def test_printing_shows_options_but_no_secret(adapter: Adapter) -> None:
    llm = adapter.make(
        headers={"X-Auth": "abcdefgh-secret"},
        http_client_proxies="http://me:hunter22@proxy:1",
        url="http://joe:swordfish@127.0.0.1:9",
    )
    text = f"{llm!r} {llm} {llm.config!r} {llm.config}"
    assert "m-1" in text
    assert "temperature=0.1" in text
    for secret in (KEY, "abcdefgh", "hunter22", "swordfish"):
        assert secret not in text


@both_ways
@pytest.mark.parametrize("per_scheme", [False, True])
def test_a_proxy_is_used_when_configured(
    adapter: Adapter, per_scheme: bool, asynchronously: bool
) -> None:
    proxy = adapter.server.url
    llm = adapter.make(
        url="http://nowhere.invalid:80",
        http_client_proxies={"http://": proxy} if per_scheme else proxy,
    )
    assert ask(llm, asynchronously) == "GRÜEZI"
    llm.close()
    assert adapter.server.seen[0].headers["host"].startswith("nowhere.invalid")


def test_configured_headers_are_sent(adapter: Adapter) -> None:
    llm = adapter.make(headers={"X-Team": "blue"})
    ask(llm, False)
    llm.close()
    assert adapter.server.seen[0].headers["x-team"] == "blue"
    assert protocol(adapter.name).key(adapter.server.seen[0].headers) == f"Bearer {KEY}"


def test_a_key_that_no_header_can_carry_is_refused_unseen(adapter: Adapter) -> None:
    if adapter.name == "aws_bedrock":
        pytest.skip("no header carries it: it signs")
    for key in ("sk-geheim\nX-Evil: 1", "sk-geheimé"):
        with pytest.raises(InvalidConfigError) as caught:
            adapter.make(api_key=key)
        assert "geheim" not in repr(caught.value)


def test_white_space_around_a_key_is_dropped(adapter: Adapter) -> None:
    llm = adapter.make(api_key=f" {KEY}\n")
    ask(llm, False)
    llm.close()
    assert protocol(adapter.name).key(adapter.server.seen[0].headers) == f"Bearer {KEY}"


def test_upstreams_options_are_all_taken(adapter: Adapter) -> None:
    given_options = {**defaults_of(LLM_OPTIONS), "model": adapter.model}
    llm = adapter.make(**given_options)
    assert llm.config.max_tokens == 2000
    assert llm.config.enable_vision is False


def test_an_unknown_option_is_refused_and_the_nearest_suggested(adapter: Adapter) -> None:
    with pytest.raises(InvalidConfigError, match="'temperature'"):
        adapter.make(temprature=0.3)


@pytest.mark.parametrize(
    "options", [{"timeout_s": 0}, {"timeout_s": "5"}, {"max_retries": -1}, {"max_retries": True}]
)
def test_numbers_out_of_range_are_refused(adapter: Adapter, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfigError, match=next(iter(options))):
        adapter.make(**options)


@pytest.mark.parametrize("adapter", ["openai", "ollama"], indirect=True)
@example(key="000000\\\\", status=400, shape='"{}"', escaped=False)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    key=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=80),
    status=st.sampled_from([400, 401, 403, 404, 429, 500]),
    shape=st.sampled_from(
        ["{}", '"{}"', '{{"error": {{"message": "x {} y"}}}}', "{{'key': '{}'}}"]
    ),
    escaped=st.booleans(),
)
def test_no_error_shows_a_key_that_the_server_echoes(
    adapter: Adapter, key: str, status: int, shape: str, escaped: bool
) -> None:
    def shown(key: str, echoed: str) -> str:
        adapter.server.forget()
        adapter.server.always = Answer(status, shape.format("filler " * 70 + echoed))
        llm = adapter.make(api_key=key, max_retries=0)
        with pytest.raises((LLMError, AuthenticationError, RateLimitError)) as caught:
            ask(llm, False)
        llm.close()
        error = caught.value
        return f"{error} {error!r} {error.__cause__!r} {llm!r}"

    echoed = json.dumps(key)[1:-1] if escaped else key
    # What we say whatever the key is no leak, and hypothesis does guess our words.
    text, own = shown(key, echoed), shown(KEY, KEY)
    assert key not in text or key in own
    assert echoed not in text or echoed in own


def test_the_mock_is_covered_by_its_own_tests() -> None:
    assert set(LLMS.builtin) == {*OVER_HTTP, *IN_PROCESS}


# --- How an answer ends ----------------------------------------------------------------------


def ending(adapter: Adapter, content: Any, reason: str | None, **message: Any) -> Any:
    """An answer that ends for `reason`, in the provider's words."""
    return protocol(adapter.name).saying(content, reason, **message)


def texts_in(value: Any) -> list[str]:
    """Every text in JSON."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in texts_in(each)]


@both_ways
@pytest.mark.parametrize("content", ['{"memory": [{"te', "", None])
def test_a_text_that_was_cut_off_knows_why(
    adapter: Adapter, llm: Any, content: str | None, asynchronously: bool
) -> None:
    adapter.server.answers = [Answer(body=ending(adapter, content, "length"))]
    reply = ask(llm, asynchronously)
    assert isinstance(reply, str)
    assert reply == (content or "")
    assert (reply.finish_reason, reply.explanation) == ("length", None)  # type: ignore[attr-defined]


@pytest.mark.parametrize("reason", ["stop", None, ""])
@pytest.mark.parametrize("content", ["text", "", None])
def test_a_text_that_ended_by_itself_is_just_a_text(
    adapter: Adapter, llm: Any, reason: str | None, content: str | None
) -> None:
    adapter.server.answers = [Answer(body=ending(adapter, content, reason))]
    reply = ask(llm, False)
    assert reply == (adapter.empty if content is None else content)
    assert type(reply) in {str, type(None)}


@pytest.mark.parametrize("adapter", IN_OPENAIS_WORDS, indirect=True)
def test_a_refusal_is_handed_on(adapter: Adapter, llm: Any) -> None:
    adapter.server.answers = [Answer(body=ending(adapter, None, "stop", refusal="I may not."))]
    assert ask(llm, False).explanation == "I may not."


@pytest.mark.parametrize("error", ["out of memory", {"message": "out of memory", "code": 500}])
def test_an_error_inside_an_answer_keeps_the_servers_sentence(
    adapter: Adapter, llm: Any, error: Any
) -> None:
    adapter.server.always = Answer(body={"error": error})
    with pytest.raises(LLMError, match=f"{adapter.name}.*status 200 and an error: out of memory"):
        ask(llm, False)


@pytest.mark.parametrize(("code", "kind"), [(401, AuthenticationError), (429, RateLimitError)])
def test_an_error_inside_an_answer_is_of_the_kind_that_its_code_names(
    adapter: Adapter, llm: Any, code: int, kind: type[Exception]
) -> None:
    adapter.server.always = Answer(body={"error": {"code": code, "message": f"no {KEY}"}})
    with pytest.raises(kind, match=r"no \*\*\*"):
        ask(llm, False)


def test_an_error_without_a_sentence_is_shown_as_it_is(adapter: Adapter, llm: Any) -> None:
    adapter.server.always = Answer(body={"error": {"type": "overloaded"}})
    with pytest.raises(LLMError, match="overloaded"):
        ask(llm, False)


@pytest.mark.parametrize("adapter", [*CALLING_IN_OPENAIS_WORDS, "ollama"], indirect=True)
@pytest.mark.parametrize("calls", ["x", 7, ["x"], [7], [{"function": "x"}], {"function": {}}])
def test_tool_calls_of_another_shape_are_an_llm_error(
    adapter: Adapter, llm: Any, calls: Any
) -> None:
    adapter.server.always = Answer(body=ending(adapter, "", "stop", tool_calls=calls))
    with pytest.raises(LLMError, match="answered without"):
        ask(llm, False, tools=TOOLS)


@pytest.mark.parametrize("adapter", ["openai", "vllm"], indirect=True)
@pytest.mark.parametrize("timeout", ["soon", -1, True, [1]])
def test_a_wait_of_one_call_that_makes_no_sense_is_an_llm_error(
    adapter: Adapter, llm: Any, timeout: Any
) -> None:
    with pytest.raises(LLMError, match="timeout="):
        ask(llm, False, timeout=timeout)
    assert ask(llm, False, timeout=30) == "GRÜEZI"


@both_ways
def test_a_reply_in_parts_is_their_text(adapter: Adapter, llm: Any, asynchronously: bool) -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "Grü"},
        {"type": "text", "text": "ezi"},
    ]
    adapter.server.answers = [Answer(body=ending(adapter, parts, "stop"))]
    assert ask(llm, asynchronously) == "Grüezi"


def test_an_option_that_is_none_is_not_sent(adapter: Adapter) -> None:
    llm = adapter.make(temperature=None, max_tokens=None, top_p=None)
    ask(llm, False)
    llm.close()
    assert b"null" not in adapter.server.seen[0].content
