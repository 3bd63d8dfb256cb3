"""Opening Chroma: one folder by several paths, and servers that do not answer."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("chromadb", reason="NO CHROMA TESTED: not installed: chromadb")

import chromadb
from chromadb.api.shared_system_client import SharedSystemClient
from chromadb.config import Settings

from isomem.errors import VectorStoreError
from isomem.stores import chroma_servers, engine_calls
from isomem.stores.chroma import ChromaStore, read
from isomem.stores.chroma_calls import _settings
from tests.stores import chroma_server
from tests.stores.adapters import RUNS_ALL
from tests.torture.storage import SOURCE

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not RUNS_ALL, reason="part of `make engines`"),
]

QUERY = [1.0, 0.0]


def put(store: ChromaStore, *names: str) -> None:
    for name in names:
        store.insert(vectors=[[1.0, len(name) / 9]], payloads=[{"data": name}], ids=[name])


def found(store: ChromaStore) -> set[str]:
    """What the index finds, which has to be what is listed."""
    [hits] = store._asked_once([QUERY], 100, None)
    assert {hit.id for hit in hits} == {hit.id for hit in store.list(top_k=None)[0]}
    return {hit.id for hit in hits}


def systems() -> int:
    return len(SharedSystemClient._identifier_to_system)


# --- Folders ---------------------------------------------------------------------------------

BUSY = """
import os, signal, sys
from chromadb.config import System
from isomem.stores.chroma import ChromaStore

def store(path):
    return ChromaStore({"path": path, "collection_name": "mem0"})

first, start = store("A"), System.start
signal.signal(signal.SIGUSR1, lambda *_: first.close())

def interrupted(self):
    os.kill(os.getpid(), signal.SIGUSR1)
    start(self)

def forked(self):
    if os.fork() == 0:
        try:
            store("C")
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
    start(self)

System.start = interrupted if sys.argv[1] == "signal" else forked
if sys.argv[1] == "signal":
    store("B").close()
else:
    import threading
    opening = threading.Thread(target=store, args=("B",))
    opening.start()
    opening.join()
"""


@pytest.mark.parametrize("moment", ["signal", "fork"])
def test_a_signal_handler_and_a_child_do_not_wait_for_a_folder_that_is_being_opened(
    work: Path, moment: str
) -> None:
    command = [sys.executable, "-W", "ignore", "-c", BUSY, moment]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        command, cwd=work, env=environment, timeout=60, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with two others in it."""
    for name in ("A", "B"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_relative_path_in_two_working_directories_is_two_databases(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work / "A")
    one = ChromaStore({"path": "chroma"})
    put(one, "of A")
    monkeypatch.chdir(work / "B")
    other = ChromaStore({"path": "chroma"})
    assert found(other) == set()
    put(other, "of B")
    put(one, "more of A")
    assert found(one) == {"of A", "more of A"}
    assert found(other) == {"of B"}
    one.close()
    assert found(other) == {"of B"}
    other.close()
    for name, names in (("A", {"of A", "more of A"}), ("B", {"of B"})):
        again = ChromaStore({"path": str(work / name / "chroma")})
        assert found(again) == names
        again.close()


def test_a_relative_path_is_the_same_folder_when_the_working_directory_changes(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chroma opens its files when threads need them, too."""
    store = ChromaStore({"path": "chroma"})
    monkeypatch.chdir(work / "B")
    threads = [
        threading.Thread(target=put, args=[store, f"n{number}", f"m{number}"])
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found(store)) == 16
    store.close()
    assert not (work / "B" / "chroma").exists()


@pytest.mark.parametrize("first", ["chroma", "{}/chroma", "{}/link", "A/../chroma"])
@pytest.mark.parametrize("second", ["chroma", "{}/chroma", "{}/link", "A/../chroma"])
def test_a_folder_is_one_index_however_its_path_is_written(
    work: Path, first: str, second: str
) -> None:
    (work / "chroma").mkdir()
    (work / "link").symlink_to(work / "chroma")
    before = systems()
    one = ChromaStore({"path": first.format(work)})
    other = ChromaStore({"path": second.format(work)})
    for number in range(3):
        put(one, f"one {number}")
        put(other, f"other {number}")
    assert found(one) == found(other) == {f"{n} {k}" for n in ("one", "other") for k in range(3)}
    one.close()
    put(other, "later")
    assert len(found(other)) == 7
    other.close()
    assert systems() == before


@pytest.mark.parametrize("path", ["chroma", "{}/chroma", "{}/link"])
@pytest.mark.parametrize("is_first", [True, False], ids=["isomem first", "mem0 first"])
def test_isomem_and_mem0_share_what_chroma_has_open_of_a_path(
    work: Path, path: str, is_first: bool
) -> None:
    (work / "chroma").mkdir()
    (work / "link").symlink_to(work / "chroma")
    path = path.format(work)

    def theirs() -> Any:  # As mem0 makes it.
        settings = Settings(anonymized_telemetry=False)
        settings.persist_directory = path
        settings.is_persistent = True
        return chromadb.Client(settings)

    client = None if is_first else theirs()
    store = ChromaStore({"path": path})
    client = client or theirs()
    assert client._system is store.client._system
    put(store, "a")
    assert client.get_collection("mem0").get()["ids"] == ["a"]
    store.close()
    assert client.get_collection("mem0").get()["ids"] == ["a"]
    client.close()


def test_a_folder_that_mem0_has_open_by_another_path_is_opened_by_that(work: Path) -> None:
    settings = Settings(
        anonymized_telemetry=False, persist_directory=f"{work}/A/../chroma", is_persistent=True
    )
    client = chromadb.Client(settings)
    store = ChromaStore({"path": "chroma"})
    assert client._system is store.client._system
    store.close()
    client.close()


# --- Servers ---------------------------------------------------------------------------------


class Silent(BaseHTTPRequestHandler):
    """Says who asks, as often as it is told, and then nothing any more."""

    answers = 0
    asked: tuple[str, ...] = ()
    over = threading.Event()

    def do_GET(self) -> None:
        kind = type(self)
        kind.asked += (self.path,)
        if len(kind.asked) > kind.answers:
            kind.over.wait(20)
            return
        said = b'{"id": "7d8c1a44-0000-4000-8000-000000000000", "name": "n", "tenant": "t"}'
        if self.path.endswith("/identity"):
            said = b'{"user_id": "", "tenant": "default_tenant", "databases": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def silent() -> Iterator[Callable[[int], tuple[dict[str, Any], type[Silent]]]]:
    """Starts a server that answers a few times; where it is, and what it has been asked."""
    started = []

    def start(answers: int) -> tuple[dict[str, Any], type[Silent]]:
        handler = type("Handler", (Silent,), {"answers": answers, "over": threading.Event()})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append((server, handler))
        return {"host": "127.0.0.1", "port": server.server_port}, handler

    yield start
    for server, handler in started:
        handler.over.set()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("answers", [0, 1, 2])
def test_a_server_that_does_not_answer_is_waited_for_as_long_as_the_options_say(
    silent: Any, monkeypatch: pytest.MonkeyPatch, answers: int
) -> None:
    """To whatever it is asked: who it is, the tenant, the database."""
    where, handler = silent(answers)
    waited: list[float] = []
    monkeypatch.setattr(engine_calls, "time", SimpleNamespace(sleep=waited.append))
    before, begun = systems(), time.monotonic()
    with pytest.raises(VectorStoreError, match=r"cannot be opened: ReadTimeout"):
        ChromaStore({**where, "timeout_s": 0.3, "max_retries": 2})
    assert waited == [0.2, 0.4]
    assert len(handler.asked) == answers + 3
    assert time.monotonic() - begun < 10
    assert systems() == before


def test_a_call_of_the_client_waits_as_long_as_the_options_say(silent: Any) -> None:
    """Also one about tenants, which has a connection of its own."""
    where, _ = silent(3)
    client = chroma_servers.server_client(read({**where, "timeout_s": 0.3}), _settings)
    begun = time.monotonic()
    for call in (client.list_collections, lambda: client.set_tenant("other")):
        with pytest.raises(Exception, match="timed out"):
            call()
    assert time.monotonic() - begun < 10
    chroma_servers.close(client)


def test_a_server_that_is_restarted_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    server = chroma_server.ChromaServer()
    server.kill()
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            server.start()

    monkeypatch.setattr(engine_calls, "time", SimpleNamespace(sleep=wait))
    store = ChromaStore({**server.address, "timeout_s": 20})
    assert store.list()[0] == []
    assert waited == [0.2, 0.4]
    store.close()
    server.stop()


def test_what_was_open_of_a_server_is_gone_when_it_is_closed() -> None:
    before = systems()
    for _ in range(3):
        store = ChromaStore(chroma_server.shared().address)
        sessions = [
            store.client._server._session, store.client._admin_client._server._session,
        ]  # fmt: skip
        store.close()
        assert all(session.is_closed for session in sessions)
    assert systems() == before


@pytest.mark.parametrize(
    "options",
    [
        {"host": "example.org", "port": 8000},
        {"host": "https://example.org/chroma", "port": 443, "ssl": True, "api_key": "k"},
        {"host": "example.org", "port": 8000, "tenant": "t"},
        {"api_key": "k", "tenant": "t"},
    ],
    ids=str,
)  # fmt: skip
def test_a_client_is_made_as_chromadb_makes_one(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    """Its own functions cannot be told how long to wait."""
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(chromadb, "ClientCreator", lambda **arguments: made.append(arguments))
    monkeypatch.setattr(
        chroma_servers, "_timed_client", lambda _, **arguments: made.append(arguments)
    )
    tenant = {"tenant": options["tenant"]} if "tenant" in options else {}
    settings, key = _settings(), options.get("api_key")
    if "host" in options:
        chroma_servers.server_client(read(options), _settings)
        chromadb.HttpClient(
            host=options["host"], port=options["port"], ssl=options.get("ssl", False),
            headers={"X-Chroma-Token": key} if key else None, settings=settings, **tenant,
        )  # fmt: skip
    else:
        chroma_servers.cloud_client(read(options), _settings)
        chromadb.CloudClient(api_key=key, database="mem0", settings=settings, **tenant)
    ours, theirs = made
    defaults = {"tenant": "default_tenant", "database": "default_database"}
    assert {**defaults, **ours} == theirs
