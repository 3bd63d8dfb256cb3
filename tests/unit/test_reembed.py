"""Another embedder for a file: all vectors are made anew, at once, whatever else happens."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from operator import sub
from pathlib import Path
from typing import Any

import apsw
import pytest

from isomem import (
    AsyncMemory,
    AuthenticationError,
    DatabaseError,
    EmbeddingError,
    InvalidConfigError,
    Memory,
    MemoryCorruptionError,
    MemoryNotFoundError,
)
from isomem import reembed as module
from isomem.reembed import reembed
from isomem.store.check import check
from isomem.store.codec import load_payload, load_vector
from isomem.store.snapshot import snapshot
from isomem.testing import HashEmbedder, ScriptedLLM
from isomem.text.tiers import load_encoder
from tests.unit.providers.servers import KEY, Answer, Seen, Server, clean_environment, serving

ROOT = Path(__file__).resolve().parents[2]
DIMS = 64
Point = tuple[str, str, list[float]]
"""Of a point: the name of its collection, its text, and its vector."""


@cache
def made(dims: int, text: str) -> list[float]:
    return HashEmbedder(dims).embed(text)


class New:
    """The new embedder's server: what it is asked for, and what happens meanwhile."""

    def __init__(self) -> None:
        self.dims = DIMS
        self.texts: list[str] = []
        self.meanwhile: Callable[[int], object] = lambda number: None
        self.server: Any = None

    def vector(self, text: str) -> list[float]:
        return made(self.dims, f"another {text} embedder")

    def answer(self, seen: Seen) -> Any:
        given = seen.body["input"]
        texts = [given] if isinstance(given, str) else given
        self.texts += texts
        self.meanwhile(len(self.texts))
        items = [
            {"object": "embedding", "index": index, "embedding": self.vector(text)}
            for index, text in enumerate(texts)
        ]
        return {"object": "list", "data": items, "model": "m", "usage": {}}


@pytest.fixture
def new(monkeypatch: pytest.MonkeyPatch) -> Iterator[New]:
    clean_environment(monkeypatch)
    new = New()
    with serving(new.answer) as server:
        new.server = server
        yield new


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "memory.db")


def config(path: str, embedder: dict[str, Any], **store: Any) -> dict[str, Any]:
    return {
        "vector_store": {"provider": "embedded", "config": {"path": path, **store}},
        "embedder": embedder,
        "llm": {"provider": "mock"},
    }


def old_config(path: str, **store: Any) -> dict[str, Any]:
    mock = {"provider": "mock", "config": {"embedding_dims": DIMS}}
    return config(path, mock, **store)


def new_config(path: str, server: Server, dims: int = DIMS, **store: Any) -> dict[str, Any]:
    options = {
        "openai_base_url": server.url,
        "api_key": KEY,
        "model": "new",
        "embedding_dims": dims,
        "max_retries": 0,
    }
    return config(path, {"provider": "openai", "config": options}, **store)


def fill(path: str, count: int, **store: Any) -> list[str]:
    """The ids of new memories, each with entities."""
    return fill_with(old_config(path, **store), count)


def fill_with(options: dict[str, Any], count: int) -> list[str]:
    with_ids = []
    with Memory.from_config(options) as memory:
        for start in range(0, count, 10):
            facts = [
                {"text": f"Ana Silva keeps box {number} of Bruno Costa in Lisbon"}
                for number in range(start, min(start + 10, count))
            ]
            memory.llm = ScriptedLLM([{"memory": facts}])
            added = memory.add(f"What is in the boxes from {start}?", user_id=f"u{start % 3}")
            with_ids += [each["id"] for each in added["results"]]
    return with_ids


def points(path: str) -> list[Point]:
    sql = (
        "SELECT c.name, p.payload, p.vector FROM points AS p"
        " JOIN collections AS c ON c.number = p.collection ORDER BY p.row_key"
    )
    with snapshot(path) as connection:
        return [
            (name, load_payload(payload).get("data", ""), load_vector(vector))
            for name, payload, vector in connection.execute(sql)
        ]


def makers(path: str, new: New) -> set[str]:
    """What has made the vectors in a file."""
    return {_maker(text, vector, new) for _, text, vector in points(path)}


def _maker(text: str, vector: list[float], new: New) -> str:
    for name, expected in (
        ("old", made(DIMS, text)),
        ("new", new.vector(text)),
        ("zeros", [0.0] * DIMS),
    ):
        if max(map(abs, map(sub, vector, expected))) < 1e-6 and len(vector) == len(expected):
            return name
    return f"nobody: {text}"


def findings(path: str) -> list[Any]:
    with snapshot(path) as connection:
        return check(connection, load_encoder("builtin", {}))


def everything_but_vectors(path: str) -> list[Any]:
    tables = ("scopes", "insertions", "terms", "linked_memories", "history", "messages")
    with snapshot(path) as connection:
        rest = "SELECT row_key, collection, id, payload, terms FROM points ORDER BY row_key"
        return [connection.execute(rest).fetchall()] + [
            connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables
        ]


# --- What is replaced, and what is not -------------------------------------------------------


def test_all_vectors_are_replaced_and_nothing_else(path: str, new: New) -> None:
    fill(path, 230)
    before = everything_but_vectors(path)
    assert makers(path, new) == {"old"}
    result = reembed(new_config(path, new.server))
    assert makers(path, new) == {"new"}
    assert everything_but_vectors(path) == before
    assert findings(path) == []
    count = len(points(path))
    texts = {text for _, text, _ in points(path)}
    assert {name for name, *_ in points(path)} == {"mem0", "mem0_entities"}
    assert sorted(new.texts) == sorted(texts)  # Each text is embedded once.
    assert result == {
        "path": path, "embedder": "openai/new", "dims": DIMS,
        "replaced": count, "embedded": len(texts), "without_text": 0,
    }  # fmt: skip


def test_the_file_is_then_as_if_the_embedder_had_always_been_there(path: str, new: New) -> None:
    ids = fill(path, 30)
    reembed(new_config(path, new.server))
    always = new_config(f"{path}-always", new.server)
    fill_with(always, 30)
    with Memory.from_config(always) as other:
        expected = found_in(other)
    with Memory.from_config(new_config(path, new.server)) as memory:
        assert found_in(memory) == expected
        assert memory.vector_store.col_info()["embedder"] == "openai/new"
        memory.llm = ScriptedLLM([{"memory": [{"text": "Ana Silva sold box 3 in Porto"}]}])
        memory.add("What did she sell?", user_id="u0")
        memory.update(ids[0], "Bruno Costa has box 0 again")
    assert makers(path, new) == {"new"}
    assert findings(path) == []


def found_in(memory: Memory) -> list[tuple[str, float]]:
    queries = ("Which box is in Lisbon?", "Bruno Costa", "Ana Silva keeps box 7")
    return [
        (each["memory"], each["score"])
        for query in queries
        for ranking in ("contract", "fused")
        for each in memory.search(query, filters={"user_id": "u0"}, ranking=ranking)["results"]
    ]


@pytest.mark.parametrize("dims", [8, 300])
def test_vectors_of_another_length_replace_them(path: str, new: New, dims: int) -> None:
    fill(path, 25)
    new.dims = dims
    assert reembed(new_config(path, new.server, dims))["dims"] == dims
    assert makers(path, new) == {"new"}
    assert findings(path) == []


def test_every_collection_of_the_file_changes(path: str, new: New) -> None:
    fill(path, 12, collection_name="one")
    fill(path, 15, collection_name="two")
    with Memory.from_config(new_config(path, new.server, collection_name="three")) as memory:
        memory.add("This is new already", user_id="u", infer=False)
    asked = len(new.texts)
    result = reembed(new_config(path, new.server, collection_name="two"))
    assert makers(path, new) == {"new"}
    assert {name for name, *_ in points(path)} >= {"one", "one_entities", "two", "three"}
    assert result["replaced"] == len(points(path)) - 1
    assert "This is new already" not in new.texts[asked:]
    for name in ("one", "two", "three"):
        Memory.from_config(new_config(path, new.server, collection_name=name)).close()


def test_what_has_no_text_is_kept_and_counted(path: str, new: New) -> None:
    fill(path, 10)
    vector = [1.0] + [0.0] * (DIMS - 1)
    with Memory.from_config(old_config(path)) as memory:
        odd: list[dict[str, Any]] = [{}, {"data": ""}, {"data": 7}]
        for number, payload in enumerate(odd):
            memory.vector_store.insert([vector], [{**payload, "user_id": "u"}], [f"odd-{number}"])
        memory.vector_store.insert([vector], [{"data": "x", "user_id": "gone"}], ["detached"])
        memory.vector_store.detach({"user_id": "gone"})
    result = reembed(new_config(path, new.server))
    assert result["without_text"] == 4
    zeros = [text for _, text, vector in points(path) if not any(vector)]
    assert zeros == ["", "", 7, "x"]
    assert findings(path) == []


def test_the_same_embedder_has_nothing_to_do(path: str, new: New) -> None:
    fill(path, 10)
    Path(f"{path}.reembed").touch()
    before = Path(path).read_bytes()
    result = reembed(old_config(path))
    assert (result["replaced"], result["embedded"], result["embedder"]) == (0, 0, "mock/hash")
    assert Path(path).read_bytes() == before
    assert not Path(f"{path}.reembed").exists()


def test_zeros_that_the_embedder_makes_of_a_text_are_not_made_again(
    path: str, new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path, 10)
    nothing = "Ana Silva keeps box 7 of Bruno Costa in Lisbon"
    vector = new.vector
    zeros = [0.0] * DIMS
    monkeypatch.setattr(new, "vector", lambda text: zeros if text == nothing else vector(text))
    assert reembed(new_config(path, new.server))["without_text"] == 0
    asked = len(new.texts)
    result = reembed(new_config(path, new.server))
    assert (result["replaced"], result["embedded"], len(new.texts)) == (0, 0, asked)
    assert [text for _, text, found in points(path) if not any(found)] == [nothing]


def test_progress_counts_up_to_all_points(path: str, new: New) -> None:
    fill(path, 600)
    steps: list[tuple[int, int]] = []
    reembed(new_config(path, new.server), progress=lambda *step: steps.append(step))
    count = len(points(path))
    assert steps == sorted(steps)
    assert len(steps) > 1
    assert steps[-1] == (count, count)


# --- Errors ----------------------------------------------------------------------------------


def test_an_embedder_that_fails_half_way_is_gone_on_with(path: str, new: New) -> None:
    fill(path, 450)
    refused = Answer(status=401, body={"error": {"message": "no"}})

    def fail(number: int) -> None:
        if number >= 200:
            new.server.always = refused

    new.meanwhile = fail
    with pytest.raises(AuthenticationError):
        reembed(new_config(path, new.server))
    assert makers(path, new) == {"old"}
    Memory.from_config(old_config(path)).close()
    new.server.always, new.meanwhile = None, lambda number: None
    made = len(new.texts)
    result = reembed(new_config(path, new.server))
    assert made == 200
    assert result["embedded"] == len(new.texts) - made
    assert sorted(new.texts) == sorted({text for _, text, _ in points(path)})
    assert makers(path, new) == {"new"}
    assert not Path(f"{path}.reembed").exists()


def test_a_text_that_cannot_be_embedded_is_named(
    path: str, new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(path, 30)
    bad = "Ana Silva keeps box 17 of Bruno Costa in Lisbon"
    vector = new.vector
    monkeypatch.setattr(new, "vector", lambda text: [] if text == bad else vector(text))
    with pytest.raises(EmbeddingError, match=f"the text of {ids[17]} could not be embedded"):
        reembed(new_config(path, new.server))
    assert {_maker(text, found, new) for _, text, found in points(path) if text != bad} == {"old"}
    monkeypatch.undo()
    clean_environment(monkeypatch)
    again = reembed(new_config(path, new.server))
    assert again["embedded"] < again["replaced"] - 17
    assert makers(path, new) == {"new"}


@pytest.mark.parametrize("given", [[float("nan")] * DIMS, [1.0] * (DIMS - 1), None])
def test_vectors_that_cannot_be_stored_are_refused(
    path: str, new: New, monkeypatch: pytest.MonkeyPatch, given: Any
) -> None:
    fill(path, 5)
    before = points(path)
    monkeypatch.setattr(new, "vector", lambda text: given)
    with pytest.raises(EmbeddingError):
        reembed(new_config(path, new.server))
    monkeypatch.undo()
    assert points(path) == before


def test_a_file_that_is_not_there_is_not_made(path: str, new: New) -> None:
    with pytest.raises(MemoryNotFoundError, match="no memory file"):
        reembed(new_config(path, new.server))
    assert not [*Path(path).parent.iterdir()]


def test_memories_that_are_not_in_a_file_are_refused(new: New, path: str) -> None:
    with pytest.raises(InvalidConfigError, match="not in a file"):
        reembed(new_config(":memory:", new.server))
    qdrant = {"provider": "qdrant", "config": {"path": path}}
    with pytest.raises(InvalidConfigError, match="not in a file"):
        reembed({**new_config(path, new.server), "vector_store": qdrant})


def test_a_file_that_cannot_be_written_costs_no_call(path: str, new: New) -> None:
    fill(path, 5)
    connection = apsw.Connection(path)
    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseError, match="is locked"):
        reembed(new_config(path, new.server, busy_timeout_s=0.1))
    connection.close()
    assert new.texts == []


def test_files_of_something_else_are_left_alone(path: str, new: New) -> None:
    fill(path, 5)
    Path(f"{path}.reembed").write_bytes(b"my notes" * 1000)
    with pytest.raises(MemoryCorruptionError, match=r"memory\.db\.reembed is not a"):
        reembed(new_config(path, new.server))
    assert Path(f"{path}.reembed").read_bytes() == b"my notes" * 1000
    Path(f"{path}.reembed").unlink()
    other = apsw.Connection(f"{path}.reembed")
    other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(MemoryCorruptionError, match=r"memory\.db\.reembed is not a"):
        reembed(new_config(path, new.server))
    assert makers(path, new) == {"old"}


def test_two_at_once_are_refused(path: str, new: New) -> None:
    fill(path, 50)
    refused: list[DatabaseError] = []

    def again(number: int) -> None:
        new.meanwhile = lambda number: None
        with pytest.raises(DatabaseError, match="by another process") as caught:
            reembed(new_config(path, new.server))
        refused.append(caught.value)

    new.meanwhile = again
    reembed(new_config(path, new.server))
    assert len(refused) == 1
    assert makers(path, new) == {"new"}


def test_two_at_once_are_refused_even_by_another_name_of_the_file(
    path: str, new: New, tmp_path: Path
) -> None:
    fill(path, 20)
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    told: list[str] = []

    def again(number: int) -> None:
        new.meanwhile = lambda number: None
        with pytest.raises(DatabaseError, match="by another process") as caught:
            reembed(new_config(str(link), new.server))
        told.append(str(caught.value))

    new.meanwhile = again
    reembed(new_config(path, new.server))
    assert len(told) == 1
    assert makers(path, new) == {"new"}
    assert list(link.parent.iterdir()) == [link]
    assert reembed(new_config(str(link), new.server))["replaced"] == 0


def test_a_run_whose_progress_fails_is_gone_on_with(path: str, new: New) -> None:
    fill(path, 20)

    def fail(done: int, total: int) -> None:
        raise LookupError(f"{done} of {total}")

    with pytest.raises(LookupError, match="of"):
        reembed(new_config(path, new.server), progress=fail)
    assert makers(path, new) == {"old"}
    made_before = len(new.texts)
    assert reembed(new_config(path, new.server))["embedded"] == 0
    assert len(new.texts) == made_before
    assert makers(path, new) == {"new"}


def test_memories_that_are_hidden_change_too(path: str, new: New) -> None:
    """What has expired or was superseded comes back in some searches, so it needs its vector."""
    with Memory.from_config({**old_config(path), "supersede": "similar"}) as memory:
        memory.llm = ScriptedLLM([
            {"memory": [{"text": "Ana Silva lives in Lisbon"}]},
            {"memory": [{"text": "Ana Silva lives in Lisbon now"}]},
        ])  # fmt: skip
        memory.add("Where?", user_id="u")
        memory.add("And now?", user_id="u")
        memory.add("Old", user_id="u", infer=False, expiration_date="2020-01-01")
        shown = [each["memory"] for each in memory.get_all(filters={"user_id": "u"})["results"]]
        before = {text for _, text, _ in points(path)}
    assert shown == ["Ana Silva lives in Lisbon now"]
    result = reembed(new_config(path, new.server))
    assert result["replaced"] == len(points(path))
    assert {text for _, text, _ in points(path)} == before >= {"Old"}
    assert makers(path, new) == {"new"}
    assert findings(path) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written_is_named(path: str, new: New, tmp_path: Path) -> None:
    fill(path, 5)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DatabaseError, match=r"memory\.db"):
            reembed(new_config(path, new.server))
    finally:
        tmp_path.chmod(0o700)
    assert new.texts == []
    assert makers(path, new) == {"old"}


def test_what_it_leaves_behind_is_for_the_owner_alone(path: str, new: New) -> None:
    fill(path, 150)
    modes = []
    new.meanwhile = lambda number: modes.append(Path(f"{path}.reembed").stat().st_mode & 0o777)
    reembed(new_config(path, new.server))
    assert set(modes) == {0o600}


FULL = """
import json, resource, signal, sys
from isomem.errors import DatabaseError
from isomem.reembed import reembed
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try: reembed(json.loads(sys.argv[1]))
except DatabaseError as error: print(error)
"""


@pytest.mark.parametrize(("limit", "full"), [(50_000, "memory.db.reembed"), (150_000, "memory.db")])
def test_a_full_disk_leaves_the_old_vectors(path: str, new: New, limit: int, full: str) -> None:
    """The size limit of the process stands for the end of the disk."""
    fill(path, 300)
    words = (json.dumps(new_config(path, new.server)), str(limit))
    said = finished(start(FULL, *words))
    assert f"/{full}: reading or writing the file failed. Check the disk, its free space" in said
    assert makers(path, new) == {"old"}
    assert findings(path) == []
    reembed(new_config(path, new.server))
    assert makers(path, new) == {"new"}


# --- While others use the file ---------------------------------------------------------------


def test_what_others_write_meanwhile_is_in_it_at_the_end(path: str, new: New) -> None:
    ids = fill(path, 300)
    other = Memory.from_config(old_config(path))
    free = ids[200:204]

    def write(number: int) -> None:
        if not free:
            return
        other.llm = ScriptedLLM([{"memory": [{"text": f"Eva Novak came as guest {number}"}]}])
        other.add("Who came?", user_id="u0")
        other.update(ids[number % 7], f"Bruno Costa moved box {number} to Madrid")
        other.delete(free.pop())

    new.meanwhile = write
    reembed(new_config(path, new.server))
    other.close()
    assert makers(path, new) == {"new"}
    assert findings(path) == []
    texts = {text for _, text, _ in points(path)}
    assert len([text for text in texts if "as guest" in text]) == 4
    assert len([text for text in texts if "to Madrid" in text]) >= 1


def test_those_who_never_stop_writing_are_stopped_by_the_replacing(path: str, new: New) -> None:
    """What they wrote last gets its vector after that; until then nothing is similar to it."""
    fill(path, 20)
    other = Memory.from_config(old_config(path))
    refused: list[str] = []

    def write(number: int) -> None:
        try:
            other.add(f"raw {number}", user_id="u", infer=False)
        except InvalidConfigError:
            refused.extend(sorted(makers(path, new)))

    new.meanwhile = write
    result = reembed(new_config(path, new.server))
    other.close()
    assert refused == ["new", "zeros"]
    assert makers(path, new) == {"new"}
    assert (result["replaced"], result["without_text"]) == (len(points(path)), 0)
    assert findings(path) == []


def test_those_who_write_more_than_can_be_embedded_are_named(
    path: str, new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path, 20)
    monkeypatch.setattr(module, "ROUNDS", module.PATIENCE)
    other = Memory.from_config(old_config(path))
    new.meanwhile = lambda number: other.add(f"raw {number}", user_id="u", infer=False)
    with pytest.raises(DatabaseError, match="others wrote"):
        reembed(new_config(path, new.server))
    other.close()
    assert makers(path, new) == {"old"}
    new.meanwhile = lambda number: None
    reembed(new_config(path, new.server))
    assert makers(path, new) == {"new"}


def test_what_was_left_without_a_vector_is_filled_in_by_the_next_run(path: str, new: New) -> None:
    fill(path, 20)
    reembed(new_config(path, new.server))
    connection = apsw.Connection(path)
    lacking = b"\0\0\0\x80" + bytes(4 * DIMS - 4)
    connection.execute("UPDATE points SET vector = ? WHERE row_key % 7 = 0", (lacking,))
    connection.close()
    assert makers(path, new) == {"new", "zeros"}
    assert reembed(new_config(path, new.server))["replaced"] > 0
    assert makers(path, new) == {"new"}
    assert reembed(new_config(path, new.server))["replaced"] == 0


def test_memories_that_are_open_refuse_the_vectors_of_the_old_embedder(path: str, new: New) -> None:
    """Both embedders have vectors of the same length, so that only the names tell them apart."""
    ids = fill(path, 20)
    memory = Memory.from_config(old_config(path))
    memory.search("Which box?", filters={"user_id": "u0"})  # The scope is cached.
    reembed(new_config(path, new.server))
    before = everything_but_vectors(path)
    memory.llm = ScriptedLLM([{"memory": [{"text": "Ana Silva has box 99"}]}] * 2)
    calls: list[Callable[[], Any]] = [
        lambda: memory.search("Which box?", filters={"user_id": "u0"}),
        lambda: memory.search("Which box?", filters={"user_id": "u0"}, ranking="fused"),
        lambda: memory.add("raw", user_id="u0", infer=False),
        lambda: memory.add("What else?", user_id="u0"),
        lambda: memory.update(ids[0], "Something else"),
        lambda: memory.vector_store.insert([[1.0] * DIMS], [{"data": "x"}], ["x"]),
        lambda: memory.vector_store.search("x", [1.0] * DIMS),
    ]
    for call in calls:
        with pytest.raises(InvalidConfigError, match=r"openai/new.*configured one is mock/hash"):
            call()
    found = memory.get(ids[0])
    assert found is not None
    assert len(memory.get_all(filters={"user_id": "u0"})["results"]) > 0
    memory.close()
    assert everything_but_vectors(path) == before
    assert makers(path, new) == {"new"}
    with Memory.from_config(new_config(path, new.server)) as again:
        assert again.search("Which box?", filters={"user_id": "u0"})["results"]


def test_asynchronous_memories_refuse_them_too(path: str, new: New) -> None:
    fill(path, 10)

    async def run() -> None:
        async with AsyncMemory.from_config(old_config(path)) as memory:
            await memory.search("Which box?", filters={"user_id": "u0"})
            await asyncio.to_thread(reembed, new_config(path, new.server))
            with pytest.raises(InvalidConfigError, match="isomem reembed"):
                await memory.search("Which box?", filters={"user_id": "u0"})
            with pytest.raises(InvalidConfigError, match="isomem reembed"):
                await memory.add("raw", user_id="u0", infer=False)

    asyncio.run(run())
    assert makers(path, new) == {"new"}


def test_an_emptied_collection_takes_the_embedder_of_whoever_writes_next(
    path: str, new: New
) -> None:
    fill(path, 5)
    first = Memory.from_config(old_config(path))
    with Memory.from_config(old_config(path)) as other:
        other.reset()
    with Memory.from_config(new_config(path, new.server)):
        first.search("x", filters={"user_id": "u"})
        first.add("raw", user_id="u", infer=False)
        assert first.vector_store.col_info()["embedder"] == "mock/hash"
    first.close()
    assert makers(path, new) == {"old"}


def test_other_processes_read_and_write_until_the_moment_of_replacing(path: str, new: New) -> None:
    """They see the old vectors or an error that says what to do, and never something else."""
    fill(path, 400)
    others = [start(OTHER, json.dumps(old_config(path)), name) for name in "ab"]
    try:
        for other in others:
            assert other.stdout is not None
            assert other.stdout.readline() == b"open\n"
        reembed(new_config(path, new.server))
        told = [*map(finished, others)]
    finally:
        for other in others:
            other.kill()
            other.wait()
            if other.stdout is not None:
                other.stdout.close()
    for said in told:
        assert "ended by CONFIG_003" in said
        acknowledged = [line for line in said.splitlines() if line.startswith("raw ")]
        assert acknowledged
        assert {text for _, text, _ in points(path)} >= set(acknowledged)
    assert makers(path, new) == {"new"}
    assert findings(path) == []


OTHER = """
import json, sys, time
from isomem import InvalidConfigError, Memory
memory = Memory.from_config(json.loads(sys.argv[1]))
box = "Ana Silva keeps box 0 of Bruno Costa in Lisbon"
print("open", flush=True)
try:
    for number in range(100_000):
        first = memory.search(box, filters={"user_id": "u0"})["results"][0]
        assert first["memory"] == box, first
        memory.add(f"raw {sys.argv[2]} {number}", user_id="other", infer=False)
        print(f"raw {sys.argv[2]} {number}", flush=True)
        time.sleep(0.02)
except InvalidConfigError as error:
    print("ended by", error.code)
"""


# --- Cut off ---------------------------------------------------------------------------------

RUN = """
import json, sys
from isomem import reembed
from isomem.store.reembedding import Reembedding
reembed.TEXTS_AT_ONCE = 10
{patch}
print("begins", flush=True)
reembed.reembed(json.loads(sys.argv[1]))
print("done", flush=True)
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(path: str, new: New) -> None:
    """After each kill the file is of one embedder, and the other one is refused."""
    fill(path, 120)
    chance, longest, kills = random.Random(14), 0.0, 0
    while makers(path, new) == {"old"}:
        process = start(RUN.format(patch=""), json.dumps(new_config(path, new.server)))
        assert process.stdout is not None
        assert process.stdout.readline() == b"begins\n"
        time.sleep(chance.uniform(0.0, 0.05) + longest)
        longest += 0.05
        process.kill()
        process.communicate()
        kills += 1
        assert findings(path) == []
        assert makers(path, new) in ({"old"}, {"new"})
        if makers(path, new) == {"old"}:
            Memory.from_config(old_config(path)).close()
            with pytest.raises(InvalidConfigError):
                Memory.from_config(new_config(path, new.server))
    assert kills >= 3
    # Some batches were made by a run that was killed before it had kept them.
    texts = {text for _, text, _ in points(path)}
    assert len(new.texts) <= len(texts) + 10 * kills
    reembed(new_config(path, new.server))
    assert not Path(f"{path}.reembed").exists()
    with Memory.from_config(new_config(path, new.server)) as memory:
        assert memory.search("box", filters={"user_id": "u0"})["results"]


KILLED_IN = {
    "while replacing": """
replace = Reembedding._replace_page
def killed(run, page):
    replace(run, page)
    if run.replaced > 300: import os; os.kill(os.getpid(), 9)
Reembedding._replace_page = killed
""",
    "after replacing": """
from isomem.store.new_vectors import NewVectors
NewVectors.remove = lambda vectors: __import__("os").kill(__import__("os").getpid(), 9)
""",
}


@pytest.mark.parametrize(
    ("moment", "left"), [("while replacing", "old"), ("after replacing", "new")]
)
def test_killed_while_or_after_it_replaces(path: str, new: New, moment: str, left: str) -> None:
    fill(path, 600)
    patch = KILLED_IN[moment]
    process = start(RUN.format(patch=patch), json.dumps(new_config(path, new.server)))
    assert b"done" not in process.communicate()[0]
    assert process.returncode == -signal.SIGKILL
    assert makers(path, new) == {left}
    assert findings(path) == []
    asked = len(new.texts)
    reembed(new_config(path, new.server))
    assert len(new.texts) == asked  # Everything had been made.
    assert makers(path, new) == {"new"}
    assert not Path(f"{path}.reembed").exists()


def start(code: str, *words: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, env=environment
    )


def finished(process: subprocess.Popen[bytes]) -> str:
    said = process.communicate()[0].decode()
    assert process.returncode == 0
    return said


# --- Stores of the former local embedder -----------------------------------------------------


def test_a_store_of_the_former_local_embedder_says_what_to_do(path: str) -> None:
    pytest.importorskip("wordllama", exc_type=ImportError)
    with Memory.from_config(config(path, {"provider": "wordllama"})) as memory:
        memory.add("I like tea", user_id="u", infer=False)
    with pytest.raises(InvalidConfigError) as caught:
        Memory.from_config(old_config(path))
    message = str(caught.value)
    assert "made by local/wordllama-l2-supercat with 256 dimensions" in message
    for advice in ('{"provider": "wordllama"}', 'isomem[wordllama]"', "`isomem reembed`"):
        assert advice in message
    assert reembed(old_config(path))["replaced"] == 1
    with Memory.from_config(old_config(path)) as memory:
        assert memory.search("tea", filters={"user_id": "u"})["results"]


def test_the_example_in_the_docs_runs(
    tmp_path: Path, new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "store.md").read_text("utf-8")
    section = page.partition("## Embedders")[2]
    code = section.partition("```python")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    with Memory.from_config(new_config("memory.db", new.server)) as memory:
        memory.add("I like tea", user_id="u", infer=False)
    exec(code)
    assert makers("memory.db", new) == {"old"}
