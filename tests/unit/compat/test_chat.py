"""`mem0.proxy.main.Mem0`: at 2.0.4 mem0's cannot work; isomem's recalls, answers and remembers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.compat.children import WITH_COMPAT, run, told
from tests.unit.providers.servers import Answer, Seen, Server, clean_environment, serving

CALL = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"a": 1}'}}
TOLD = "- Relevant Memories/Facts: {}\n\n- Entities: []\n\n- User Question: {}"


def usual(seen: Seen) -> Any:
    if seen.path.endswith("/embeddings"):
        texts = seen.body["input"] if isinstance(seen.body["input"], list) else [seen.body["input"]]
        vectors = [{"index": i, "embedding": [1.0] * 1536} for i in range(len(texts))]
        return {"object": "list", "data": vectors, "model": "m"}
    if "response_format" in seen.body:
        return completion(json.dumps({"memory": [{"text": "Ana likes green tea"}]}))
    if seen.body.get("stream"):
        event = {"choices": [{"index": 0, "delta": {"content": "Hel"}}]}
        lines = [f"data: {json.dumps(event)}", "", ": a comment", "data: [DONE]", ""]
        return Answer(body="\n".join(lines), headers={"Content-Type": "text/event-stream"})
    return completion("Hello", tool_calls=[CALL] if seen.body.get("tools") else None)


def completion(content: str, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **more}
    return {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    clean_environment(monkeypatch)
    with serving(usual) as made:
        yield made


PROGRAM = """
import json, logging, sys, threading
from mem0.proxy.main import Mem0
url, path = sys.argv[1:]
sides = {"openai_base_url": url, "api_key": "sk-x", "model": "own-model"}
chat = Mem0({
    "llm": {"provider": "openai", "config": sides},
    "embedder": {"provider": "openai", "config": {"openai_base_url": url, "api_key": "sk-x"}},
    "vector_store": {"provider": "embedded", "config": {"path": path}},
})
def remembered():
    [each.join() for each in threading.enumerate() if each.name == "mem0"]
def say(text, **options):
    answer = chat.chat.completions.create(
        "gpt-x", [{"role": "user", "content": text}], user_id="ana", **options)
    remembered()
    return answer
"""


def chats(server: Server) -> list[Any]:
    found = [seen.body for seen in server.seen if seen.path.endswith("/chat/completions")]
    return [body for body in found if "response_format" not in body]


def ran(server: Server, path: Any, program: str) -> str:
    done = run(WITH_COMPAT + PROGRAM + program, server.url, str(path / "m.db"))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_chat_is_told_what_earlier_ones_said(server: Server, tmp_path: Any) -> None:
    ran(
        server,
        tmp_path,
        """
first = say("I like green tea", temperature=0.5, seed=7)
assert first.choices[0].message.content == first["choices"][0]["message"]["content"] == "Hello"
say("Which tea?", top_k=3)
assert chat.mem0_client.get_all(filters={"user_id": "ana"})["results"][0]["memory"]
""",
    )
    first, second = chats(server)
    from isomem.prompts import MEMORY_ANSWER_PROMPT

    assert first == {
        "model": "gpt-x", "temperature": 0.5, "seed": 7,
        "messages": [
            {"role": "system", "content": MEMORY_ANSWER_PROMPT},
            {"role": "user", "content": TOLD.format("", "I like green tea")},
        ],
    }  # fmt: skip
    told = TOLD.format("Ana likes green tea", "Which tea?")
    assert second["messages"][1]["content"] == told
    searches = [
        seen.body["input"]
        for seen in server.seen
        if seen.path.endswith("/embeddings") and "user: " in str(seen.body["input"])
    ]
    assert "user: Which tea?" in str(searches)


def test_streams_tools_and_other_roles_pass(server: Server, tmp_path: Any) -> None:
    ran(
        server,
        tmp_path,
        """
pieces = [each.choices[0].delta.content for each in say("Hi", stream=True)]
assert pieces == ["Hel"]
tools = [{"type": "function", "function": {"name": "weather"}}]
answer = say("Weather?", tools=tools)
assert answer.choices[0].message.tool_calls[0].function.name == "weather"
before = len(chat.mem0_client.get_all(filters={"user_id": "ana"})["results"])
messages = [{"role": "system", "content": "S"}, {"role": "tool", "content": "sun"}]
chat.chat.completions.create("m", messages, agent_id="a")
remembered()
assert chat.mem0_client.get_all(filters={"agent_id": "a"})["results"] == []
try:
    chat.chat.completions.create("m", messages)
except ValueError as error:
    assert str(error) == "One of user_id, agent_id, run_id must be provided"
else:
    raise AssertionError
""",
    )
    assert chats(server)[-1]["messages"] == [
        {"role": "system", "content": "S"},
        {"role": "tool", "content": "sun"},
    ]


def test_failures_of_the_model_are_isomems_errors(server: Server, tmp_path: Any) -> None:
    server.answers = []
    ran(
        server,
        tmp_path,
        """
import isomem
llm = chat.mem0_client.llm
llm.base_url, llm.config.max_retries = "http://127.0.0.1:9", 0
for options in ({}, {"stream": True}):
    try:
        list(say("Hi", **options))
    except isomem.NetworkError as error:
        assert "127.0.0.1:9" in str(error)
    else:
        raise AssertionError
""",
    )


def test_a_model_of_another_protocol_answers_in_the_same_form(tmp_path: Any) -> None:
    done = run(
        WITH_COMPAT
        + """
import sys, threading
from isomem.testing import ScriptedLLM
from mem0.proxy.main import Mem0
chat = Mem0({
    "llm": {"provider": "mock", "config": {}},
    "embedder": {"provider": "mock", "config": {}},
    "vector_store": {"provider": "embedded", "config": {"path": sys.argv[1]}},
})
def create(**options):
    given = [{"role": "assistant", "content": "x"}]
    return chat.chat.completions.create("m", given, user_id="u", **options)
llm = chat.mem0_client.llm = ScriptedLLM(["Hello", "Hello"])
assert create().choices[0].message.content == "Hello"
[part] = create(stream=True)
assert part.choices[0].delta.content == "Hello"
assert [each["messages"][0]["role"] for each in llm.calls] == ["system", "system"]
""",
        str(tmp_path / "m.db"),
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.oracle
def test_mem0s_own_cannot_work_with_a_memory() -> None:
    """Divergence D-23: both sides, with the same double of a model."""
    found = told(
        """
        import json, sys, threading, types
        litellm = types.ModuleType("litellm")
        litellm.supports_function_calling = lambda model: True
        litellm.completion = lambda **options: "answered"
        sys.modules["litellm"] = litellm
        threading.excepthook = lambda failed: failures.append(str(failed.exc_value))
        failures = []
        import mem0.proxy.main as proxy
        from mem0 import Memory
        class Mine(Memory):
            def __init__(self): ...
        try:
            proxy.Completions(Mine()).create(
                "m", [{"role": "user", "content": "Hi"}], user_id="ana")
        except Exception as error:
            failures.append(str(error))
        [each.join() for each in threading.enumerate() if each.daemon]
        print(json.dumps(sorted(failures)))
        """,
        warnings="ignore",
    )
    assert len(found) == 2
    assert "unexpected keyword argument 'filters'" in found[0]
    assert "Top-level entity parameters" in found[1]


@pytest.mark.oracle
def test_signatures_are_mem0s() -> None:
    program = """
import inspect, json, sys, types
sys.modules["litellm"] = types.ModuleType("litellm")
from mem0.proxy.main import Chat, Completions, Mem0
print(json.dumps([
    [(each.name, str(each.kind), repr(each.default)) for each in
     inspect.signature(function).parameters.values()]
    for function in (Mem0.__init__, Chat.__init__, Completions.__init__, Completions.create)
]))
"""
    assert told(WITH_COMPAT + program) == told(program, warnings="ignore")
