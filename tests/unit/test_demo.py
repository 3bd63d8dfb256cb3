"""The demonstration runs, finds what it should, and leaves one file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from isomem import demo
from isomem.ingest import chunks_of
from tests.unit.providers.servers import clean_environment, serving

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(monkeypatch)
    for name in [name for name in os.environ if name.startswith("ISOMEM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ISOMEM_DIR", str(tmp_path / "memory"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isomem", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_day_of_the_conversation_has_one_reply() -> None:
    assert len(chunks_of(demo.conversation())) == len(demo.replies())
    assert len(demo.conversation()) >= 40
    facts = [fact for reply in demo.replies() for fact in reply["memory"]]
    assert all({"id", "text", "attributed_to"} == fact.keys() for fact in facts)
    assert len({fact["text"] for fact in facts}) == len(facts)


def test_without_a_model_it_says_so_and_answers() -> None:
    done = run("demo")
    assert done.returncode == 0, done.stderr
    assert "none is configured" in done.stdout
    assert "45 messages of six days: 34 memories" in done.stdout
    for said in (*demo.QUESTIONS, "ADD", "UPDATE", demo.CORRECTION, "memory.db", "kB"):
        assert said in done.stdout


def test_the_answers_are_among_what_is_shown() -> None:
    result = json.loads(run("demo", "--json").stdout)
    shown = {
        each["question"]: " ".join(hit["memory"] for hit in each["results"])
        for each in result["answers"]
    }
    expected = (
        *("Porto", "peanuts", "April 8", "Priya", "94", "half marathon", "Lindqvist"),
        *("Helen Marsh", "Mondays", "line 1", "flapjacks", "bookbinding"),
    )
    for question, answer in zip(demo.QUESTIONS, expected, strict=True):
        assert answer in shown[question], question


def test_it_leaves_one_file_where_it_was_told(tmp_path: Path) -> None:
    path = tmp_path / "own" / "demo.db"
    done = run("--path", str(path), "demo")
    assert f"{path}  (" in done.stdout
    assert [file.name for file in path.parent.iterdir()] == ["demo.db"]
    assert not (tmp_path / "memory").exists()
    found = run("--path", str(path), "search", "cat", "--user", demo.USER, "--top-k", "1", "--json")
    assert "Biscuit" in json.loads(found.stdout)["results"][0]["memory"]


def test_it_does_not_write_into_a_memory_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "mine.db"
    run("--path", str(path), "add", "mine", "--user", "ana", "--raw")
    before = path.read_bytes()
    done = run("--path", str(path), "demo")
    assert done.returncode == 2
    assert "already exists" in done.stderr
    assert path.read_bytes() == before


def test_a_model_that_is_configured_is_asked() -> None:
    def extraction(seen: Any) -> Any:
        reply = json.dumps({"memory": [{"id": "0", "text": f"fact {len(server.seen)}"}]})
        return {"choices": [{"message": {"role": "assistant", "content": reply}}]}

    with serving(extraction) as server:
        done = run("demo", "--model", "m1", "--base-url", f"{server.url}/v1")
    assert done.returncode == 0, done.stderr
    assert "Model: m1 (openai)." in done.stdout
    assert "6 memories" in done.stdout
    assert "2025-03-03" in server.seen[0].body["messages"][1]["content"]
