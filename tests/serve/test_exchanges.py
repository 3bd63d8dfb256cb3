"""Recordings of several workers: each shows those of all, and a removal reaches them anywhere."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

pytest.importorskip("fastapi")

from isomem.cli import main
from isomem.serve import shared
from isomem.serve.exchanges import RECORDINGS, SharedExchanges
from isomem.serve.grants import Grant
from isomem.serve.recording import Exchange
from isomem.testing import HashEmbedder
from tests.serve.service import Client, Served
from tests.serve.test_cancelling import Model
from tests.serve.test_kept import BOB, FACT, RAW, REMOVALS, SAID, SECRET, exchanges

EVERYTHING = [Grant({})]
MODELS = {
    "embedder": {"provider": "mock", "config": {"embedding_dims": 32}},
    "nlp": {"provider": "none"},
}


Work = Callable[[], Served]


def stored(folder: Path) -> dict[str, Any]:
    store = {"provider": "embedded", "config": {"path": str(folder / "memory.db")}}
    return {"vector_store": store, **MODELS, "serve": {"record": True}}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[str]:
    with shared.shared_folder(str(tmp_path / "service.db")) as folder:
        yield folder


@pytest.fixture
def worker(tmp_path: Path, folder: str) -> Iterator[Work]:
    made: list[Served] = []

    def one() -> Served:
        made.append(Served(stored(tmp_path), scripted=False, folder=folder))
        return made[-1]

    yield one
    for each in made:
        each.close()


def key_of(worker: Served, client: Client) -> Client:
    """The same key, shown to another worker."""
    return Client(worker, client.headers["X-API-Key"])


def bytes_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_each_worker_shows_the_adds_of_all(worker: Work, folder: str) -> None:
    one, other = worker(), worker()
    client = one.key()
    elsewhere = key_of(other, client)
    one.service.memory.llm = one.llm
    one.llm.reply(FACT)
    client.post("/api/add", SAID)
    elsewhere.post("/api/add", BOB)
    assert exchanges(client) == exchanges(elsewhere)
    newest, oldest = json.loads(exchanges(client))
    assert (newest["outcome"], oldest["outcome"]) == ("as_said", "stored")
    assert SECRET in json.dumps(oldest["turns"])
    assert stat.S_IMODE(Path(folder, RECORDINGS).stat().st_mode) == 0o600
    own = one.key({"user_id": "bob"})
    assert SECRET not in exchanges(own)
    assert "I like tea" in exchanges(own)


@pytest.mark.parametrize("how", ["native delete_all", "reset"])
@pytest.mark.parametrize("where", ["the same process", "another one", "another service"])
def test_what_was_removed_is_in_no_file_of_any_worker(
    worker: Work, tmp_path: Path, folder: str, how: str, where: str
) -> None:
    one = worker()
    client = one.key()
    client.post("/api/add", BOB)
    client.post("/api/add", RAW)
    assert SECRET.encode() in bytes_in(Path(folder))
    remover = client
    alone = None
    if where == "another one":
        remover = key_of(worker(), client)
    if where == "another service":
        alone = Served(stored(tmp_path), scripted=False)
        remover = Client(alone, client.headers["X-API-Key"])
    assert REMOVALS[how](remover).status_code == 200
    assert SECRET.encode() not in bytes_in(Path(folder))
    assert ("I like tea" in exchanges(client)) == (how != "reset")
    if alone is not None:
        alone.close()


def test_an_add_under_way_in_one_worker_is_not_kept_after_a_removal_in_another(
    worker: Work, folder: str
) -> None:
    one, other = worker(), worker()
    client = one.key()

    async def run() -> None:
        model = Model()
        one.service.memory.llm = model  # type: ignore[assignment]
        one.service.memory.embedding_model = HashEmbedder(32)
        adding = asyncio.ensure_future(
            one.service.access(client.headers["X-API-Key"]).call("add", SAID)
        )
        await model.asked.wait()
        await asyncio.to_thread(other.service._removals.note, {"user_id": "ana"})
        model.may_answer.set()
        await adding

    one.run(run())
    assert exchanges(client) == "[]"
    assert SECRET.encode() not in bytes_in(Path(folder))


def test_a_purge_by_command_reaches_workers_and_what_dead_ones_have_left(
    worker: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = worker().key()
    client.post("/api/add", RAW)
    client.post("/api/add", BOB)
    dead = tmp_path / "service.db-workers-dead"
    dead.mkdir()
    (dead / RECORDINGS).write_text(SECRET)
    monkeypatch.setenv("ISOMEM_CONFIG", str(tmp_path / "config.json"))
    (tmp_path / "config.json").write_text(json.dumps(stored(tmp_path)))
    assert main(["purge", "--user", "ana", "--yes"]) == 0
    assert SECRET.encode() not in bytes_in(tmp_path)
    assert not dead.exists()
    assert "I like tea" in exchanges(client)


def test_a_service_that_records_nothing_is_passed_over(tmp_path: Path) -> None:
    service = Served(stored(tmp_path), scripted=False)
    with shared.shared_folder(str(tmp_path / "service.db")) as folder:
        client = service.key()
        assert client.post("/api/delete_all", {"user_id": "ana"}).status_code == 200
        assert not Path(folder, RECORDINGS).exists()
    service.close()


def test_an_add_that_cannot_be_recorded_is_made_all_the_same(worker: Work, folder: str) -> None:
    one = worker()
    client = one.key()
    file = apsw.Connection(str(Path(folder, RECORDINGS)))
    file.execute("DROP TABLE exchanges")
    assert client.post("/api/add", RAW).status_code == 200
    file.close()


# --- Bounds ----------------------------------------------------------------------------------


def kept(store: SharedExchanges, text: str, at: float | None = None) -> Exchange:
    exchange = Exchange("add", {"user_id": "ana"})
    exchange.at = exchange.at if at is None else at
    store.begin(exchange)
    exchange.end({"results": [{"id": "i", "memory": text}]}, None)
    store.keep(exchange)
    store.drop(exchange)
    return exchange


def shown(store: SharedExchanges) -> list[str]:
    found: Any = store.shown_to(EVERYTHING)
    return [each["stored"][0]["memory"] for each in found]


def test_a_bounded_number_length_and_time_are_kept(tmp_path: Path) -> None:
    store = SharedExchanges(str(tmp_path / "r"), most=3, most_characters=20, most_hours=1)
    for text in "abcde":
        kept(store, text)
    assert shown(store) == ["e", "d", "c"]
    kept(store, "x" * 18)
    assert shown(store) == ["x" * 18, "e", "d"]
    kept(store, "y" * 15)
    assert shown(store) == ["y" * 15]
    kept(store, "old", at=0)
    assert shown(store) == ["y" * 15]
    store.close()
    assert b"xxx" not in (tmp_path / "r").read_bytes()


def test_an_add_that_never_ends_is_forgotten_in_time(tmp_path: Path) -> None:
    store = SharedExchanges(str(tmp_path / "r"), most_hours=1)
    dead = Exchange("add", {"user_id": "ana"})
    dead.at = 0
    store.begin(dead)
    assert b'"ana"' in (tmp_path / "r").read_bytes()
    store.keep(Exchange("add", {"user_id": "bob"}))
    assert b'"ana"' not in (tmp_path / "r").read_bytes()
    store.close()
