"""The examples that need a service run, against a real one and a scripted model."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client.running import running
from tests.serve.chatting import MODEL_KEY, TEA, Chatting, chatting, until
from tests.unit.providers.servers import clean_environment

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("openai")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def chat(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chatting]:
    """A service; the environment names it, and the model server."""
    clean_environment(monkeypatch)
    with chatting(tmp_path) as made:
        monkeypatch.setenv("ISOMEM_URL", made.url)
        monkeypatch.setenv("ISOMEM_SERVICE_KEY", made.key())
        monkeypatch.setenv("OPENAI_BASE_URL", f"{made.model.server.url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", MODEL_KEY)
        yield made


def run(name: str, said: str) -> str:
    """What an example prints when a person says this."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), "ana"],
        input=f"{said}\n\n", capture_output=True, text=True, env=os.environ.copy(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(chat: Chatting) -> str:
    """What the model was told in the last chat."""
    return str(chat.model.chats[-1]["messages"])


def test_openais_sdk_remembers_by_the_proxy(chat: Chatting) -> None:
    assert "bot> Hello Ana" in run("openai_chat.py", "I like green tea")
    assert chat.memories("ana") == [TEA]
    run("openai_chat.py", "Which tea do I like?")
    assert TEA in told(chat)


def test_a_fastapi_server_remembers_by_the_client(chat: Chatting) -> None:
    app = runpy.run_path(str(EXAMPLES / "fastapi_chat.py"))["app"]
    with running(app) as url:
        for said in ("I like green tea", "Which tea do I like?"):
            answer = httpx.post(f"{url}/chat/ana", json={"said": said}, timeout=60)
            assert answer.json() == {"reply": "Hello Ana"}
            until(lambda: chat.memories("ana") == [TEA])
    assert TEA in told(chat)


def test_a_graph_of_langgraph_remembers_by_the_client(chat: Chatting) -> None:
    pytest.importorskip("langgraph")
    pytest.importorskip("langchain_openai")
    assert "bot> Hello Ana" in run("langgraph_chat.py", "I like green tea")
    assert chat.memories("ana") == [TEA]
    run("langgraph_chat.py", "Which tea do I like?")
    assert TEA in told(chat)


@pytest.mark.parametrize("name", ["openai_chat.py", "fastapi_chat.py", "langgraph_chat.py"])
def test_an_example_has_thirty_lines_of_code(name: str) -> None:
    text = (EXAMPLES / name).read_text("utf-8").split('"""', 2)[2]
    assert len([line for line in text.splitlines() if line.strip()]) <= 30
