"""`isomem purge`, `delete-all` and `reset` beside a service: nothing of what it holds is left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from isomem.cli import main
from tests.serve.service import Served
from tests.serve.test_cancelling import later, path_of, texts, work
from tests.serve.test_kept import BOB, RAW, SAID, SECRET, Down, exchanges

Command = Callable[..., int]
ANA = ("--user", "ana", "--yes")
REMOVALS = {
    "purge": ("purge", *ANA),
    "delete-all": ("delete-all", *ANA),
    "reset": ("reset", "--yes"),
}


def stored(folder: Path) -> dict[str, Any]:
    return {
        "vector_store": {"provider": "embedded", "config": {"path": str(folder / "memory.db")}},
        "embedder": {"provider": "mock", "config": {"embedding_dims": 32}},
        "nlp": {"provider": "none"},
        "serve": {"job_attempts": 1, "record": True},
    }


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """A command with the configuration of the service."""
    monkeypatch.setenv("ISOMEM_DIR", str(tmp_path))
    monkeypatch.setenv("ISOMEM_CONFIG", str(tmp_path / "config.json"))
    (tmp_path / "config.json").write_text(json.dumps(stored(tmp_path)))
    return lambda *words: main(words)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(stored(tmp_path), scripted=False)
    yield served
    served.close()


def bytes_in(folder: Path) -> bytes:
    """All files, logs and folders of a service included."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("how", REMOVALS)
def test_what_jobs_were_to_add_is_removed_as_well(
    command: Command, served: Served, tmp_path: Path, how: str
) -> None:
    client = served.key()
    served.service.memory.llm = Down()  # type: ignore[assignment]
    failed = later(client, SAID).json()
    work(served)
    waiting, other = later(client, RAW).json(), later(client, BOB).json()
    assert command(*REMOVALS[how]) == 0
    assert SECRET.encode() not in bytes_in(tmp_path)
    for job in (failed, waiting):
        seen = client.get(path_of(job)).json()
        assert (seen["status"], seen["error"]) == ("cancelled", None)
    work(served)
    assert texts(client) == []
    kept = client.get(path_of(other)).json()["status"]
    assert kept == ("cancelled" if how == "reset" else "done")


@pytest.mark.parametrize("how", REMOVALS)
def test_what_a_service_holds_for_another_memory_in_the_folder_stays(
    command: Command, served: Served, tmp_path: Path, how: str
) -> None:
    client, other = served.key(), str(tmp_path / "other.db")
    job = later(client, RAW).json()
    assert command("add", "I like tea", "--raw", "--user", "ana", "--path", other) == 0
    assert command(*REMOVALS[how], "--path", other) == 0
    assert client.get(path_of(job)).json()["status"] == "waiting"
    work(served)
    assert len(texts(client)) == 1


def test_after_a_purge_no_file_has_a_text_of_jobs_that_were_done(
    command: Command, served: Served, tmp_path: Path
) -> None:
    client = served.key()
    job = later(client, RAW).json()
    work(served)
    assert client.get(path_of(job)).json()["status"] == "done"
    assert SECRET.encode() in bytes_in(tmp_path)
    assert command("purge", *ANA) == 0
    assert SECRET.encode() not in bytes_in(tmp_path)
    assert client.get(path_of(job)).json()["result"] == {"results": []}


def test_a_purge_through_the_service_leaves_none_either(served: Served, tmp_path: Path) -> None:
    client = served.key()
    later(client, RAW)
    work(served)
    assert client.post("/api/purge", {"user_id": "ana"}).status_code == 200
    assert SECRET.encode() not in bytes_in(tmp_path)


@pytest.mark.parametrize("how", REMOVALS)
def test_recordings_of_a_service_that_runs_are_forgotten(
    command: Command, served: Served, how: str
) -> None:
    client = served.key()
    client.post("/api/add", RAW)
    assert SECRET in exchanges(client)
    assert command(*REMOVALS[how]) == 0
    assert exchanges(client) == "[]"


def test_the_audit_log_says_who_purged(command: Command, served: Served, tmp_path: Path) -> None:
    served.key().post("/api/add", RAW)
    assert command("purge", *ANA) == 0
    line = json.loads((tmp_path / "audit.log").read_text().splitlines()[-1])
    assert (line["key"], line["call"], line["user_id"]) == ("command line", "purge", "ana")
    assert line["status"] == 200


def test_a_memory_without_a_service_gets_none(command: Command, tmp_path: Path) -> None:
    assert command("add", "I like tea", "--user", "ana", "--raw") == 0
    assert command("purge", *ANA) == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["config.json", "memory.db"]


def test_a_file_beside_it_that_is_something_else_fails_before_anything_is_removed(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("add", "I like tea", "--user", "ana", "--raw") == 0
    (tmp_path / "service.db").write_bytes(b"a diary" * 1000)
    assert command("purge", *ANA) == 1
    capsys.readouterr()
    assert command("count", "--user", "ana", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"memories": 1}


def test_a_service_elsewhere_is_found_by_its_configuration(
    command: Command, tmp_path: Path
) -> None:
    config = stored(tmp_path)
    config["serve"]["state_path"] = str(tmp_path / "keys" / "state.db")
    (tmp_path / "config.json").write_text(json.dumps(config))
    served = Served(config, scripted=False)
    later(served.key(), RAW)
    served.key().post("/api/add", BOB)
    assert command("purge", *ANA) == 0
    assert SECRET.encode() not in bytes_in(tmp_path)
    served.close()
