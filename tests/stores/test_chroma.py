"""Chroma itself: shared with mem0, in a folder and on a real server; and its own ways."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("chromadb", reason="NO CHROMA TESTED: not installed: chromadb")

from isomem import Memory
from isomem.cli import main
from isomem.errors import InvalidConfigError, VectorStoreError, VectorValueError
from isomem.moving.intake import import_records
from isomem.moving.sources import of_chroma
from isomem.stores import chroma as module
from isomem.stores import engine_calls
from isomem.stores.chroma import ChromaStore
from isomem.stores.chroma_payloads import MARK
from isomem.testing import ScriptedLLM
from tests.stores import chroma_server
from tests.stores.adapters import DIMS, RUNS_ALL
from tests.stores.test_shared import USERS, Pair, act

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not RUNS_ALL, reason="part of `make engines`"),
]

PLACES = ("folder", "server")
IDS = [f"7d8c1a44-0000-4000-8000-{number:012}" for number in range(6)]
VECTORS = [[1.0, number / 5, 0.0, 0.1] for number in range(6)]
QUERY = [1.0, 0.3, 0.0, 0.0]
PAYLOADS = [
    {"data": f"tea {number}", "user_id": user, "n": number, "tags": ["a", str(number)]}
    for number, user in enumerate("ababab")
]


def options(place: str, folder: Path) -> dict[str, Any]:
    """Where a collection is, as mem0 and isomem are told."""
    if place == "folder":
        return {"path": str(folder / "chroma"), "collection_name": "mem0"}
    name = f"t{abs(hash(str(folder)))}"
    return {**chroma_server.shared().address, "collection_name": name}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def store(place: str, tmp_path: Path) -> Iterator[ChromaStore]:
    made = ChromaStore(options(place, tmp_path))
    yield made
    made.close()


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    """mem0, loaded, and no network but the loopback, where the server is."""
    from isomem_parity import tiers
    from isomem_parity.upstream import load

    lacking = tiers.missing("C")
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    load()
    connect = socket.socket.connect

    def stay(self: socket.socket, address: Any) -> None:
        assert self.family == socket.AF_UNIX or address[0] in {"127.0.0.1", "::1"}
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", stay)


@pytest.fixture
def theirs(place: str, tmp_path: Path, upstream: None) -> Any:
    """mem0's own class over the same collection."""
    from mem0.vector_stores.chroma import ChromaDB

    return ChromaDB(**options(place, tmp_path))


def plain(hit: Any) -> Any:
    return None if hit is None else (hit.id, hit.score, hit.payload)


# --- With mem0 -------------------------------------------------------------------------------


class ChromaPair(Pair):
    """mem0's memory and isomem's, over one collection of Chroma's."""

    place = "folder"

    def section(self, folder: Path) -> dict[str, Any]:
        return {"provider": "chroma", "config": options(self.place, folder)}

    def prepare(self, *, has_keywords: bool) -> None:
        """mem0's class has no keywords in any tier."""

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()

    def points(self, collection: str) -> list[Any]:
        store = self.ours.vector_store if collection == "mem0" else self.ours.entity_store
        return list(store.points("", 1000))


class ServerPair(ChromaPair):
    place = "server"


@pytest.fixture(params=[ChromaPair, ServerPair], ids=PLACES)
def pair(request: pytest.FixtureRequest, tmp_path: Path, upstream: None) -> Iterator[ChromaPair]:
    made = request.param(tmp_path, "C")
    yield made
    made.close()


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(3))
def test_calls_of_both_in_any_order_leave_no_difference(pair: ChromaPair, seed: int) -> None:
    """Scores included: both rank by the distance here."""
    rng = random.Random(seed)
    for _ in range(30):
        act(pair.sides[rng.randrange(2)], rng)
        assert pair.view(pair.ours) == pair.view(pair.theirs)


@pytest.mark.oracle
def test_what_isomem_writes_is_what_mem0_writes(pair: ChromaPair) -> None:
    """Keys, values and vectors of equal calls, entities included."""
    text = "Ana met Inês Duarte in Porto"
    for side, user in zip(pair.sides, USERS, strict=True):
        side.llm = ScriptedLLM([{"memory": [{"text": text}]}])
        side.add("said", user_id=user)
        side.add(f"{text}, too", user_id=user, infer=False, metadata={"n": 1, "tags": ["a"]})
    own = {"id", "created_at", "updated_at", "user_id", "linked_memory_ids"}
    for collection in ("mem0", "mem0_entities"):
        seen: dict[str, list[Any]] = {user: [] for user in USERS}
        for _, payload, vector in pair.points(collection):
            kept = {key: payload[key] for key in sorted(payload.keys() - own)}
            numbers = [round(float(number), 5) for number in vector]
            seen[payload["user_id"]].append((sorted(payload), kept, numbers))
        assert seen["ana"]
        assert sorted(seen["ana"], key=str) == sorted(seen["bob"], key=str)


@pytest.mark.oracle
@pytest.mark.parametrize("writer", ["isomem", "mem0"])
def test_what_one_writes_the_other_reads_changes_and_removes(
    store: ChromaStore, theirs: Any, writer: str
) -> None:
    one, other = (store, theirs) if writer == "isomem" else (theirs, store)
    one.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)

    def seen(side: Any) -> list[Any]:
        filters: list[dict[str, Any] | None] = [None, {"user_id": "a"}, {"user_id": "a", "n": 2}]
        listed = [[*map(plain, side.list(filters=each, top_k=9)[0])] for each in filters]
        found = [
            [*map(plain, side.search(query="", vectors=QUERY, top_k=4, filters=each))]
            for each in filters
        ]
        return [*listed, *found, [plain(side.get(each)) for each in IDS if each in left]]

    left = set(IDS)
    assert seen(store) == seen(theirs)
    other.update(IDS[0], vector=[0.0, 1.0, 0.0, 0.0], payload={**PAYLOADS[0], "data": "milk"})
    other.update(IDS[1], payload={"data": "cake", "user_id": "a"})
    assert seen(store) == seen(theirs)
    left.remove(IDS[2])
    other.delete(IDS[2])
    assert seen(store) == seen(theirs)
    assert store.get(IDS[2]) is None


@pytest.mark.oracle
def test_when_mem0_makes_the_collection_anew_isomem_goes_on(
    store: ChromaStore, theirs: Any
) -> None:
    store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    theirs.reset()
    assert store.list()[0] == []
    theirs.insert(vectors=VECTORS[:1], payloads=PAYLOADS[:1], ids=IDS[:1])
    assert plain(store.get(IDS[0])) == (IDS[0], None, PAYLOADS[0])


@pytest.mark.oracle
def test_mem0_can_change_what_it_cannot_read(store: ChromaStore, theirs: Any) -> None:
    """A value that Chroma does not have is in a key of isomem's; what mem0 writes counts."""
    odd = {"data": "tea", "user_id": "a", "deep": {"a": [1, None]}, "none": None, "n": 1}
    store.insert(vectors=VECTORS[:1], payloads=[odd], ids=IDS[:1])
    shown = theirs.get(IDS[0]).payload
    assert {key: shown[key] for key in ("data", "user_id", "n")} == {
        "data": "tea", "user_id": "a", "n": 1,
    }  # fmt: skip
    assert f"{MARK}:deep" in shown
    theirs.update(IDS[0], payload={"data": "milk", "deep": "flat"})
    assert plain(store.get(IDS[0])) == (IDS[0], None, {**odd, "data": "milk", "deep": "flat"})


@pytest.mark.oracle
def test_everything_of_mem0_is_imported(pair: ChromaPair, tmp_path: Path) -> None:
    rng = random.Random(5)
    for _ in range(20):
        act(pair.theirs, rng)
    where = options(pair.place, tmp_path)
    place = where.get("path") or f"http://{where['host']}:{where['port']}"
    target = Memory.from_config({
        "vector_store": {"provider": "chroma", "config": {"path": ":memory:"}},
        "history_db_path": ":memory:",
        "embedder": {"provider": "mock", "config": {"embedding_dims": DIMS}},
        "llm": {"provider": "mock"},
    })  # fmt: skip
    first = import_records(target, of_chroma(place, where["collection_name"]))
    again = import_records(target, of_chroma(place, where["collection_name"]))
    for kind, found in (("memory", pair.points("mem0")), ("entity", pair.points("mem0_entities"))):
        assert first[kind]["added"] == len(found) > 0
        assert again[kind]["added"] == again[kind]["different"] == 0
        assert first[kind]["digest"] == again[kind]["digest"]
    for collection, store in (
        ("mem0", target.vector_store),
        ("mem0_entities", target.entity_store),
    ):
        for one, other in zip(pair.points(collection), store.points("", 1000), strict=True):
            assert one[:2] == other[:2]
            assert [*map(float, one[2])] == pytest.approx([*map(float, other[2])])
    target.close()


def test_the_command_imports_once(
    store: ChromaStore, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("ISOMEM_EMBEDDER", "mock")
    monkeypatch.setenv("ISOMEM_LLM_PROVIDER", "mock")
    vectors = [[*vector, *[0.0] * 6] for vector in VECTORS]
    store.embedding_model_dims = 10  # As the command has it.
    store.insert(vectors=vectors, payloads=PAYLOADS, ids=IDS)
    where = options(place, tmp_path)
    source = where.get("path") or f"http://{where['host']}:{where['port']}"
    for number, added in enumerate((len(IDS), 0)):
        command = ["--path", str(tmp_path / "target.db"), "import", "--chroma", source]
        assert main([*command, "--collection", where["collection_name"]]) == 0, number
        assert f"{added} added" in capsys.readouterr().out
    command[-1] = str(tmp_path)
    assert main(command) != 0
    assert "not a folder of Chroma" in capsys.readouterr().err


# --- What is found ---------------------------------------------------------------------------


def test_what_the_index_does_not_find_is_compared_here(
    store: ChromaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if an index loses points: whatever passes is found, nearest first."""
    store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    expected = [plain(hit) for hit in store.search(query="", vectors=QUERY, top_k=6)]
    real = store._asked_once
    monkeypatch.setattr(store, "_asked_once", lambda *asked: [hits[2:4] for hits in real(*asked)])
    found = [plain(hit) for hit in store.search(query="", vectors=QUERY, top_k=6)]
    assert [each[0] for each in found] == [each[0] for each in expected]
    assert [each[1] for each in found] == pytest.approx([each[1] for each in expected])
    assert [each[2] for each in found] == [each[2] for each in expected]


@pytest.mark.parametrize("scores", ["distance", "similarity"])
def test_the_nearest_of_a_rare_kind_are_found_among_many(
    place: str, tmp_path: Path, scores: str
) -> None:
    store = ChromaStore({**options(place, tmp_path), "scores": scores})
    rng = random.Random(1)
    vectors = [[rng.gauss(0, 1) for _ in range(8)] for _ in range(700)]
    payloads = [
        {"data": str(n), "user_id": "a", "kind": "rare" if n % 100 == 7 else "common"}
        for n in range(700)
    ]
    ids = [f"7d8c1a44-0000-4000-8000-{n:012}" for n in range(700)]
    store.insert(vectors=vectors, payloads=payloads, ids=ids)
    for filters in ({"kind": "rare"}, {"kind": {"contains": "rare"}}, {"kind": {"ne": "common"}}):
        found = store.search(query="", vectors=vectors[7], top_k=9, filters=filters)
        assert sorted(hit.id for hit in found) == ids[7::100]
        assert found[0].id == ids[7]
        shown = [hit.score for hit in found]
        assert shown == sorted(shown, reverse=scores == "similarity")
        assert len(store.list(filters=filters, top_k=None)[0]) == 7
    store.close()


def test_long_lists_come_in_parts(store: ChromaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAGE", 4)
    store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    assert [hit.id for hit in store.list(top_k=None)[0]] == IDS
    assert [hit.id for hit in store.list(top_k=5)[0]] == IDS[:5]
    assert [hit.id for hit in store.list(filters={"n": {"gt": 0}}, top_k=2)[0]] == IDS[1:3]
    assert {*store.payloads_of([*IDS, *IDS, "none"])} == {*IDS}
    first = [point[0] for point in store.points("", 4)]
    assert first + [point[0] for point in store.points(first[-1], 4)] == IDS
    assert list(store.points(IDS[-1], 4)) == []


def test_points_that_are_written_again_are_the_same_points(store: ChromaStore) -> None:
    for _ in range(2):
        store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    assert [plain(hit)[2] for hit in store.list()[0]] == PAYLOADS
    store.update(IDS[0], vector=VECTORS[1], payload={"data": "tea", "user_id": "a"})
    assert plain(store.get(IDS[0])) == (IDS[0], None, {"data": "tea", "user_id": "a"})
    store.update(IDS[1], payload={"data": "cake"})
    assert plain(store.get(IDS[1])) == (IDS[1], None, {**PAYLOADS[1], "data": "cake"})
    store.update(IDS[2], vector=VECTORS[0])
    assert plain(store.get(IDS[2])) == (IDS[2], None, PAYLOADS[2])
    store.update("none", payload={"data": "?"})
    assert store.get("none") is None
    store.delete("none")


def test_a_point_that_is_replaced_keeps_what_another_adds_meanwhile(
    store: ChromaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing of what it had before: texts, lists, and what is kept as JSON."""
    old = {"data": "tea", "user_id": "a", "tags": ["x"], "none": None, "deep": {"a": 1}, "n": 1}
    store.insert(vectors=VECTORS[:1], payloads=[old], ids=IDS[:1])
    real = store._call

    def call(method: str, **arguments: Any) -> Any:
        answer = real(method, **arguments)
        if method == "upsert":
            real("update", ids=IDS[:1], metadatas=[{"superseded_by": IDS[1]}])
        return answer

    monkeypatch.setattr(store, "_call", call)
    store.update(IDS[0], vector=VECTORS[1], payload={"data": "milk", "user_id": "a"})
    added = {"data": "milk", "superseded_by": IDS[1], "user_id": "a"}
    assert plain(store.get(IDS[0])) == (IDS[0], None, added)
    [(_, _, vector)] = store.points("", 2)
    assert [*vector] == pytest.approx(VECTORS[1])
    monkeypatch.undo()
    store.insert(vectors=VECTORS[:1], payloads=[{"data": "cake"}], ids=IDS[:1])
    assert plain(store.get(IDS[0])) == (IDS[0], None, {**added, "data": "cake"})


def test_a_new_point_keeps_what_another_adds_before_the_call_returns(
    store: ChromaStore, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, real = ChromaStore(options(place, tmp_path)), store._call

    def call(method: str, **arguments: Any) -> Any:
        answer = real(method, **arguments)
        if method == "upsert":
            other.update(IDS[0], payload={"superseded_by": IDS[1], "deep": {"a": 1}})
        return answer

    monkeypatch.setattr(store, "_call", call)
    store.insert(vectors=VECTORS[:1], payloads=PAYLOADS[:1], ids=IDS[:1])
    whole = {**PAYLOADS[0], "superseded_by": IDS[1], "deep": {"a": 1}}
    assert plain(store.get(IDS[0])) == (IDS[0], None, whole)
    other.close()


@pytest.mark.parametrize("who", ["isomem", "mem0"])
@pytest.mark.oracle
def test_new_points_have_nothing_of_removed_collections(
    place: str, tmp_path: Path, theirs: Any, who: str
) -> None:
    """Chroma keeps the lists of a removed collection, and new records get them."""
    store = ChromaStore(options(place, tmp_path))
    store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    (store if who == "isomem" else theirs).reset()
    new = [{"data": "new", "user_id": "c"} for _ in IDS]
    store.insert(vectors=VECTORS, payloads=new, ids=IDS)
    assert [hit.payload for hit in store.list()[0]] == new
    store.close()


@pytest.mark.oracle
def test_a_new_collection_stores_its_index_often_and_that_of_mem0_stays_as_it_is(
    store: ChromaStore, theirs: Any
) -> None:
    """With Chroma's own threshold, a write costs several times as much before the next storing."""

    def threshold() -> int:
        index = store.client.get_collection(store.collection_name, embedding_function=None)
        often: int = index.configuration_json["hnsw"]["sync_threshold"]
        return often

    assert threshold() == 100
    theirs.reset()
    store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    assert threshold() == 1000


def test_what_threads_add_at_the_same_moment_is_written_together(
    store: ChromaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, write = [], store._put_all
    barrier = threading.Barrier(8)

    def counted(points: Any) -> None:
        calls.append(len(points))
        write(points)

    monkeypatch.setattr(store._together, "_write", counted)

    def work(number: int) -> None:
        barrier.wait()
        for at in range(number, 80, 8):
            store.insert(vectors=[VECTORS[at % 6]], payloads=[{"n": at}], ids=[str(at)])

    with ThreadPoolExecutor(8) as pool:
        [*pool.map(work, range(8))]
    assert sum(calls) == 80
    assert len(calls) < 60
    found = {hit.id: hit.payload for hit in store.list(top_k=None)[0]}
    assert found == {str(at): {"n": at} for at in range(80)}


# --- What is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ab", "", "_mem0", "mem0_", "a b", "x" * 501, "größe"])
def test_a_name_that_no_collection_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidConfigError):
        ChromaStore({"path": ":memory:", "collection_name": name})


def test_vectors_of_another_length_are_refused(store: ChromaStore) -> None:
    store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    with pytest.raises(VectorValueError):
        store.search(query="", vectors=[1.0] * 3)
    with pytest.raises(VectorValueError):
        store.insert(vectors=[[1.0] * 3], payloads=PAYLOADS[:1], ids=["x"])
    assert len(store.list()[0]) == len(IDS)


def test_two_memories_of_one_process_do_not_see_each_other() -> None:
    one, other = (ChromaStore({"path": ":memory:"}) for _ in range(2))
    one.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    assert other.list()[0] == []
    other.close()
    assert len(one.list()[0]) == len(IDS)
    one.close()


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    with pytest.raises(VectorStoreError, match="cannot be opened"):
        ChromaStore({"path": str(file)})


def test_a_server_that_cannot_be_reached_is_an_error_and_shows_no_key() -> None:
    where = {"host": "127.0.0.1", "port": 9, "api_key": "s3cret-key"}
    with pytest.raises(VectorStoreError, match="cannot be opened") as caught:
        ChromaStore(where)
    assert "s3cret" not in str(caught.value)


def test_after_a_fork_the_store_says_so(store: ChromaStore) -> None:
    """It would wait for threads that the child does not have."""
    store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    child = os.fork()
    if child == 0:
        try:
            store.list()
        except VectorStoreError as error:
            store.close()
            os._exit(0 if "forked" in str(error) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(store.list()[0]) == len(IDS)


# --- A server that goes away -----------------------------------------------------------------


def test_a_server_that_is_killed_has_what_it_acknowledged_and_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = chroma_server.ChromaServer()
    store = ChromaStore({**server.address, "max_retries": 2, "timeout_s": 20})
    store.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    server.kill()
    with pytest.raises(VectorStoreError, match="vector_store chroma failed"):
        store.list()
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        server.start()

    monkeypatch.setattr(engine_calls, "time", SimpleNamespace(sleep=wait))
    assert [plain(hit)[2] for hit in store.list()[0]] == PAYLOADS
    assert waited == [0.2]
    store.close()
    server.stop()


# --- What goes out ---------------------------------------------------------------------------

WATCHED = """
import json, os, sys, threading, time

def sockets():
    own = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            own.add(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            pass
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in open(f"/proc/self/net/{table}").readlines()[1:]:
            fields = line.split()
            if f"socket:[{fields[9]}]" in own:
                yield int(fields[2].rpartition(":")[2], 16)

asked, seen, over = [], set(), threading.Event()
sys.addaudithook(
    lambda event, args: asked.append((event, str(args[-1])))
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto") else None
)

def watch():
    while not over.is_set():
        seen.update(sockets())
        time.sleep(0.002)

watcher = threading.Thread(target=watch)
watcher.start()
from isomem.stores.chroma import ChromaStore
store = ChromaStore(json.loads(sys.argv[1]))
store.insert(vectors=[[1.0, 0.0]], payloads=[{"data": "tea"}], ids=["a"])
store.search(query="tea", vectors=[1.0, 0.0])
store.list()
time.sleep(0.5)
store.close()
over.set()
watcher.join()
print(json.dumps({"asked": asked, "seen": sorted(seen)}))
"""


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="needs Linux")
@pytest.mark.parametrize("where", ["memory", "folder", "server"])
def test_nothing_goes_anywhere_but_to_the_server(where: str, tmp_path: Path) -> None:
    """Nothing is sent to the makers of Chroma, and no model of theirs is fetched."""
    import json

    chosen = {"path": ":memory:"} if where == "memory" else options(where, tmp_path)
    environment = {**os.environ, "ANONYMIZED_TELEMETRY": "True", "HOME": str(tmp_path)}
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WATCHED, json.dumps(chosen)],
        env=environment, capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    found = json.loads(said)
    if where == "server":
        port = chroma_server.shared().address["port"]
        assert {*found["seen"]} <= {port, 0}
        assert found["asked"]
        assert all(str(port) in each for event, each in found["asked"] if "connect" in event)
    else:
        assert found == {"asked": [], "seen": []}
    assert not (tmp_path / ".cache").exists()
