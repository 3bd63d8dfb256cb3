"""What docs/client.md and docs/proxy.md say is true: their programs run, their tables are whole."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import isomem
from isomem.client import exchange
from tests.unit.providers.servers import clean_environment

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


@pytest.fixture
def chat(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    pytest.importorskip("openai")
    from tests.serve.chatting import chatting

    clean_environment(monkeypatch)
    with chatting(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "address"),
    [("client.md", "https://memory.example.com"), ("proxy.md", "http://127.0.0.1:8765")],
)
def test_the_program_of_a_page_runs(chat: Any, name: str, address: str) -> None:
    [program] = BLOCK.findall(page(name))
    assert address in program
    assert "iso_..." in program
    names: dict[str, Any] = {}
    exec(program.replace(address, chat.url).replace("iso_...", chat.key()), names)
    for opened in ("client", "memory"):
        if opened in names:
            names[opened].close()
    assert chat.model.server.seen  # An extraction, or a chat.


def test_the_arguments_of_a_client_are_listed_with_their_defaults_and_variables() -> None:
    rows = {
        cells[0]: cells
        for line in page("client.md").splitlines()
        if line.startswith("| `") and len(cells := [c.strip() for c in line.split("|")[1:-1]]) == 3
    }
    parameters = inspect.signature(isomem.Client.__init__).parameters
    named = [f"`{name}`" for name in parameters if name != "self"]
    assert [*rows] == named
    assert rows["`url`"][1] == f"`{exchange.URL}`"
    assert rows["`api_key`"][1] == f"`{exchange.KEY}`"
    for name in ("timeout_s", "max_retries"):
        assert f"{parameters[name].default:g}" in rows[f"`{name}`"][2]


def test_both_clients_take_the_same_arguments() -> None:
    ours = inspect.signature(isomem.Client.__init__)
    assert inspect.signature(isomem.AsyncClient.__init__) == ours


def test_the_errors_that_are_listed_exist() -> None:
    names = re.findall(r"^\| `(\w+Error)`", page("client.md"), flags=re.MULTILINE)
    assert len(names) == 5
    assert all(issubclass(getattr(isomem, name), isomem.MemoryError) for name in names)


def test_the_headers_and_the_form_of_the_proxy_are_those_of_the_code() -> None:
    from isomem.contract.limits import TOLD_MEMORIES
    from isomem.pipeline.answering import question_with
    from isomem.serve.proxy import RECALL_TIMEOUT_S, SCOPE_HEADERS
    from isomem.serve.settings import TABLE

    text = page("proxy.md")
    assert all(f"`{name}`" in text for name in SCOPE_HEADERS.values())
    facts = ["Ana moved to Lisbon", "Ana likes green tea"]
    assert question_with(facts, "Where do I live?") in text
    assert f"more than {RECALL_TIMEOUT_S:g} seconds" in text
    options = {option.name: option for option in TABLE if option.name.startswith("proxy_")}
    assert all(f"`{name}`" in text for name in options)
    assert options["proxy_memories"].default == TOLD_MEMORIES
