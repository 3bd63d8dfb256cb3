"""`isomem import` and `isomem export`: other stores as sources, options, encodings, warnings."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isomem import DatabaseError, InvalidConfigError, Memory, ValidationError, VectorStoreError
from isomem.cli import main
from isomem.importer import import_mem0
from isomem.moving.export import export
from isomem.moving.intake import import_lines, import_records
from isomem.moving.lines import END, Digests, header, line_of
from isomem.moving.sources import of_chroma, of_history, of_qdrant
from isomem.testing import HashEmbedder
from tests.stores.adapters import ADAPTERS, DIMS
from tests.stores.conftest import say, texts
from tests.stores.qdrant_server import serving
from tests.unit.test_importer import stored, write_points

pytestmark = pytest.mark.filterwarnings("ignore")
ANA = {"user_id": "ana"}
ID = "7d8c1a44-0000-4000-8000-{:012}".format
HISTORY = "id, memory_id, old_memory, new_memory, event, created_at, updated_at, is_deleted"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, and an environment in which the commands need no package."""
    for name in [name for name in os.environ if name.startswith("ISOMEM_")]:
        monkeypatch.delenv(name)
    config = {
        "embedder": {"provider": "mock", "config": {"embedding_dims": DIMS}},
        "llm": {"provider": "mock"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("ISOMEM_CONFIG", str(tmp_path / "config.json"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def memory(home: Path) -> Iterator[Any]:
    made = ADAPTERS[0].open(home)
    yield made
    made.close()


def points(*texts: str, dims: int = DIMS) -> list[bytes]:
    """Points of a local Qdrant, as its file has them."""
    return [
        stored(
            id=ID(number),
            vector=[1.0, *[0.0] * (dims - 2), float(number)],
            payload={"data": text, "user_id": "ana", "hash": text},
        )
        for number, text in enumerate(texts)
    ]


def whole(*records: Any, vectors: bool = True) -> list[str]:
    """An export with these records."""
    digests = Digests()
    for record in records:
        digests.add(record)
    head = header(vectors=vectors, embedder=None, dims=None)
    lines = [head, *({kind: fields} for kind, fields in records), {END: digests.as_json()}]
    return [line_of(line) for line in lines]


def event(memory_id: str, **more: Any) -> Any:
    """A row of history."""
    row = {"id": f"of {memory_id}", "memory_id": memory_id, "new_memory": "tea", "event": "ADD"}
    return "history", row | more


def history_of(file: Path, *memory_ids: str) -> str:
    """A history of mem0's, without messages."""
    with sqlite3.connect(file) as connection:
        connection.execute(f"CREATE TABLE history ({HISTORY})")
        for name in memory_ids:
            row = (f"of {name}", name, None, "a secret", "ADD", "2025-01-01T00:00:00Z", None, 0)
            connection.execute(f"INSERT INTO history VALUES ({', '.join('?' * 8)})", row)
    connection.close()
    return str(file)


# --- Encodings -------------------------------------------------------------------------------


def piped(*words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The command in a process whose locale is not UTF-8."""
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "isomem", *words]
    return subprocess.run(command, input=given, capture_output=True, env=environment, check=False)


def test_pipes_have_utf_8_whatever_the_locale_has(memory: Any) -> None:
    say(memory, "Größe: 日本語", user_id="inês")
    export(memory, "all.jsonl")
    [path] = [row[2] for row in memory.vector_store.database.rows("PRAGMA database_list")]
    done = piped("--path", path, "export", "-")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == Path("all.jsonl").read_bytes()
    done = piped("--path", "other.db", "import", "-", given=done.stdout)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = piped("--path", "other.db", "list", "--user", "inês", "--json")
    assert [each["memory"] for each in json.loads(shown.stdout)["results"]] == ["Größe: 日本語"]


def test_a_standard_input_that_is_not_utf_8_is_named() -> None:
    line = whole(("memory", {"id": ID(1), "payload": {"data": "Größe"}}))
    done = piped("--path", "a.db", "import", "-", given="".join(line).encode("latin-1"))
    assert done.returncode == 2
    assert b"the standard input cannot be read" in done.stderr


# --- Vectors of another embedder -------------------------------------------------------------


def test_an_export_does_not_put_the_name_of_one_embedder_on_the_vectors_of_another(
    memory: Any,
) -> None:
    memory_id = say(memory, "tea")
    memory.embedding_model = HashEmbedder(dims=DIMS * 2)
    expected = f"memory {memory_id} has a vector of length {DIMS}, and .* length {DIMS * 2}"
    with pytest.raises(ValidationError, match=expected) as caught:
        export(memory, "all.jsonl")
    assert caught.value.error_code == "MOVE_004"
    assert "--no-vectors" in str(caught.value.suggestion)
    assert not Path("all.jsonl").exists()
    assert export(memory, "all.jsonl", vectors=False)["memory"]["count"] == 1


@pytest.mark.parametrize("unit", ["line", "record"])
def test_an_import_of_vectors_that_the_embedder_cannot_have_made_says_so_once(
    memory: Any, unit: str
) -> None:
    records = [
        ("memory", {"id": ID(n), "payload": {"data": f"{n}", **ANA}, "vector": [1.0, float(n)]})
        for n in range(3)
    ]

    def taken(embed: bool) -> Any:
        if unit == "line":
            return import_lines(memory, whole(*records), embed=embed)
        return import_records(memory, records, embed=embed)

    first = {"line": 2, "record": 1}[unit]
    with pytest.raises(
        ValidationError, match=f"^{unit} {first} has a vector of length 2"
    ) as caught:
        taken(embed=False)
    assert caught.value.error_code == "MOVE_004"
    assert "--embed" in str(caught.value.suggestion)
    assert memory.count(filters=ANA) == 0
    assert taken(embed=True)["memory"]["added"] == 3


# --- A folder of Qdrant into the embedded store ----------------------------------------------


def test_a_folder_of_qdrant_has_digests_and_says_what_is_here_with_other_contents(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = write_points(home / "first", points("tea", "coffee"))
    later = write_points(home / "later", points("tea", "cocoa", "milk"))
    assert main(["--path", "a.db", "import", "--qdrant", first]) == 0
    assert "2 added" in capsys.readouterr().out
    assert main(["--path", "a.db", "import", "--qdrant", later, "--json"]) == 0
    taken = json.loads(capsys.readouterr().out)["memory"]
    assert (taken["read"], taken["added"], taken["different"]) == (3, 1, 1)
    assert main(["--path", "a.db", "import", "--qdrant", later]) == 0
    assert "1 are here with other contents" in capsys.readouterr().out
    assert main(["--path", "b.db", "import", "--qdrant", later, "--json"]) == 0
    read = json.loads(capsys.readouterr().out)["memory"]["digest"]
    assert read == taken["digest"]
    assert main(["--path", "b.db", "export", "all.jsonl", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["memory"]["digest"] == read


def test_what_import_mem0_has_stored_is_read_back(
    memory: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = type(memory.vector_store)
    real = store.insert

    def insert(self: Any, vectors: Any, payloads: Any = None, ids: Any = None) -> Any:
        return real(self, vectors, [{**each, "data": "?"} for each in payloads], ids)

    monkeypatch.setattr(store, "insert", insert)
    with pytest.raises(VectorStoreError, match=r"gives back other memory records .* records 1 to"):
        import_mem0(memory, qdrant=write_points(home / "qdrant", points("tea")))


def test_import_mem0_takes_any_store(home: Path) -> None:
    adapter = next(each for each in ADAPTERS if each.name == "qdrant-memory")
    if adapter.missing():
        pytest.skip(adapter.missing())
    with adapter.open(home) as target:
        folder = write_points(home / "qdrant", points("tea"))
        history = history_of(home / "theirs.db", ID(0))
        counts = import_mem0(target, qdrant=folder, history=history)
        assert counts == {"memories": 1, "entities": 0, "history": 1, "messages": 0}
        assert texts(target.get_all(filters=ANA)) == ["tea"]


# --- Options ---------------------------------------------------------------------------------


def test_embed_makes_the_vectors_of_a_source_anew(
    memory: Any, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_points(home / "qdrant", points("tea", "coffee", dims=7))
    assert main(["--path", "a.db", "import", "--qdrant", folder]) == 2
    assert "record 1 has a vector of length 7" in capsys.readouterr().err
    assert main(["--path", "a.db", "import", "--qdrant", folder, "--embed"]) == 0
    capsys.readouterr()
    assert main(["--path", "a.db", "export", "-"]) == 0
    lines = [*map(json.loads, capsys.readouterr().out.splitlines())]
    made = [line["memory"] for line in lines if "memory" in line]
    found = {each["payload"]["data"]: each["vector"] for each in made}
    for text, vector in found.items():
        assert vector == pytest.approx(memory.embedding_model.embed(text, "add"), abs=1e-6)
    assert found.keys() == {"tea", "coffee"}


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["all.jsonl", "--expiry"], "--expiry"),
        (["all.jsonl", "--collection", "mem0"], "--collection"),
        (["--history", "history.db", "--expiry"], "--expiry"),
        (["--history", "history.db", "--collection", "mem0"], "--collection"),
        (["--history", "history.db", "--embed"], "--embed"),
    ],
)
def test_an_option_that_does_nothing_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], words: list[str], flag: str
) -> None:
    (home / "all.jsonl").write_text("".join(whole()))
    history_of(home / "history.db")
    assert main(["--path", "a.db", "import", *words]) == 2
    assert f"{flag} is for" in capsys.readouterr().err
    assert not Path("a.db").exists()


def test_a_record_of_a_source_is_not_called_a_line(memory: Any, home: Path) -> None:
    one, _, three = points("tea", "coffee", "milk")
    again = stored(id=ID(0), vector=[1.0] * DIMS, payload={"data": "cocoa"})
    folder = write_points(home / "qdrant", [one, three, again])
    with pytest.raises(ValidationError, match="record 3 has the id of record 1") as caught:
        import_records(memory, of_qdrant(folder, "mem0"))
    assert caught.value.details == {"record": 3}


@pytest.mark.parametrize(("words", "code"), [(["nope.jsonl"], 1), (["--history", "nope.db"], 1)])
def test_a_file_that_is_not_there_is_no_wrong_argument(
    capsys: pytest.CaptureFixture[str], words: list[str], code: int
) -> None:
    assert main(["--path", "a.db", "import", *words]) == code
    assert f"{words[-1]} is not there" in capsys.readouterr().err


# --- Addresses -------------------------------------------------------------------------------

ADDRESSES = [
    ("--chroma", "http://ana:s3cret@127.0.0.1:9", "has a user or a password"),
    ("--chroma", "http://ana:s3/cret@127.0.0.1:9", "has a user or a password"),
    ("--chroma", "http://127.0.0.1:9/s3cret", "has a path"),
    ("--chroma", "http://127.0.0.1:s3cret", "is not http://HOST:PORT"),
    ("--chroma", "ftp://127.0.0.1/s3cret", "is not http://HOST:PORT"),
    ("--chroma", "ana:s3cret@127.0.0.1:9", "has a user or a password"),
    ("--chroma", "s3cret:8000", "is not http://HOST:PORT"),
    ("--qdrant", "http://ana:s3cret@127.0.0.1:9", "has a user or a password"),
    ("--qdrant", "http://127.0.0.1:9/?key=s3cret", "is not http://HOST:PORT"),
    ("--qdrant", "ana:s3cret@127.0.0.1/qdrant", "has a user or a password"),
]


@pytest.mark.parametrize(("flag", "address", "fault"), ADDRESSES)
def test_an_address_with_what_would_not_be_sent_is_refused_and_not_shown(
    capsys: pytest.CaptureFixture[str], flag: str, address: str, fault: str
) -> None:
    assert main(["--path", "a.db", "import", flag, address]) == 2
    said = capsys.readouterr().err
    assert f"{flag}: the address {fault}" in said
    assert f"{flag[2:].upper()}_API_KEY" in said
    assert "s3" not in said
    assert not Path("a.db").exists()
    source = of_qdrant if flag == "--qdrant" else of_chroma
    with pytest.raises(InvalidConfigError, match=fault) as caught:
        source(address, "mem0")
    assert "s3" not in str(caught.value)


def test_a_folder_may_have_a_name_that_looks_like_an_address(tmp_path: Path) -> None:
    folder = tmp_path / "ana@host:8000"
    folder.mkdir()
    for source, kind in ((of_qdrant, "a local Qdrant"), (of_chroma, "Chroma")):
        with pytest.raises(DatabaseError, match=f"is not a folder of {kind}"):
            source(str(folder), "mem0")


def test_a_collection_that_a_qdrant_server_lacks_is_an_error_with_those_it_has() -> None:
    models = pytest.importorskip("qdrant_client.models")
    with serving() as server:
        size = models.VectorParams(size=DIMS, distance=models.Distance.COSINE)
        server.local.create_collection("notes", vectors_config=size)
        with pytest.raises(DatabaseError, match="has no collection 'mem0'") as caught:
            next(of_qdrant(server.url, "mem0"))
    assert caught.value.suggestion == "Name another one with --collection. It has: notes."


def test_a_collection_that_chroma_lacks_is_an_error_with_those_it_has(home: Path) -> None:
    chromadb = pytest.importorskip("chromadb")
    settings = chromadb.config.Settings(anonymized_telemetry=False)
    client = chromadb.PersistentClient(str(home / "chroma"), settings)
    client.create_collection("notes", embedding_function=None)
    with pytest.raises(DatabaseError, match="has no collection 'mem0'") as caught:
        next(of_chroma(str(home / "chroma"), "mem0"))
    assert caught.value.suggestion == "Name another one with --collection. It has: notes."


# --- An export that was continued ------------------------------------------------------------


def test_an_export_that_was_continued_says_so_and_what_may_be_missing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        assert main(["--path", "a.db", "add", f"note {number}", "--user", "ana", "--raw"]) == 0
    assert main(["--path", "a.db", "export", "whole.jsonl"]) == 0
    assert capsys.readouterr().err == ""
    kept = (home / "whole.jsonl").read_text("utf-8").splitlines(keepends=True)[:4]
    (home / "cut.jsonl.part").write_text("".join(kept), encoding="utf-8")
    assert main(["--path", "a.db", "--json", "export", "cut.jsonl"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["memory"]["count"] == 5
    [logged] = map(json.loads, printed.err.splitlines())
    assert "cut.jsonl goes on behind the first 3 memories and entities" in logged["log"]["message"]
    (home / "begun.jsonl.part").write_text(kept[0], encoding="utf-8")
    assert main(["--path", "a.db", "export", "begun.jsonl"]) == 0
    assert capsys.readouterr().err == ""  # Nothing can be missing.


# --- History ---------------------------------------------------------------------------------


def test_history_of_memories_that_are_gone_is_counted_since_purge_does_not_find_it(
    memory: Any, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_points(home / "qdrant", points("tea"))
    removed = say(memory, "coffee")
    memory.delete(removed)
    history = history_of(home / "history.db", ID(0), ID(8), ID(9), removed)
    import_mem0(memory, qdrant=folder, history=history)
    assert "which `purge` does not find: 2" in caplog.text
    caplog.clear()
    memory.purge(user_id="ana")
    assert [bool(memory.history(name)) for name in (ID(0), removed, ID(8))] == [False, False, True]
    import_records(memory, of_qdrant(folder, "mem0"))
    import_records(memory, of_history(history_of(home / "other.db", ID(0))))
    assert "History rows" not in caplog.text


@pytest.mark.parametrize(
    "made", ["", "CREATE TABLE notes (id, text)", "CREATE TABLE history (url, visited)"]
)
def test_a_file_that_is_not_mem0s_history_is_refused(memory: Any, home: Path, made: str) -> None:
    with sqlite3.connect(home / "other.db") as connection:
        connection.execute(made)
    connection.close()
    (home / "other.db").touch()
    with pytest.raises(DatabaseError, match="is not mem0's history: it has no table history"):
        import_mem0(memory, history=str(home / "other.db"))


def test_bytes_in_a_history_are_named_and_no_accident(memory: Any, home: Path) -> None:
    history = history_of(home / "history.db", ID(0))
    with sqlite3.connect(history) as connection:
        connection.execute("UPDATE history SET new_memory = x'00ff'")
    connection.close()
    with pytest.raises(ValidationError, match=r"record 1 has a value in history\.new_memory"):
        import_mem0(memory, history=history)


# --- Spellings of ids ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelled",
    [str.upper, lambda name: name.replace("-", ""), "{{{}}}".format, "urn:uuid:{}".format],
)
def test_what_is_known_of_a_memory_follows_the_spelling_of_its_id(
    memory: Any, spelled: Any
) -> None:
    one, gone, entity = map(ID, (1, 2, 3))
    links = {"data": "Lisbon", "entity_type": "PROPER", "linked_memory_ids": [spelled(one)], **ANA}
    lines = whole(
        ("memory", {"id": spelled(one), "payload": {"data": "Ana lives in Lisbon", **ANA}}),
        ("entity", {"id": spelled(entity), "payload": links}),
        event(spelled(one)),
        event(spelled(gone)),
        ("removed", {"id": spelled(gone), "user_id": "ana", "agent_id": None, "run_id": None}),
        vectors=False,
    )
    for added in (1, 0):
        taken = import_lines(memory, lines)
        assert [taken[kind]["different"] for kind in taken] == [0] * len(taken)
        assert taken["memory"]["added"] == taken["entity"]["added"] == added
    [found] = memory.get_all(filters=ANA)["results"]
    assert found["id"] == one
    assert [each["new_memory"] for each in memory.history(one)] == ["tea"]
    assert memory.entity_store.get(entity).payload["linked_memory_ids"] == [one]
    memory.purge(user_id="ana")
    assert [memory.history(name) for name in (one, gone, spelled(gone))] == [[], [], []]


def test_what_was_stored_in_front_of_an_export_that_began_with_entities_is_in_it(
    home: Path, tmp_path: Path
) -> None:
    """The export was cut off when nothing but entities was stored, and the first has changed."""
    with ADAPTERS[0].open(tmp_path) as memory:
        say(memory, "it rains")
        entity = {"id": "7d8c1a44-0000-4000-8000-000000000001", "vector": [1.0] * DIMS}
        memory.entity_store.insert(
            vectors=[entity["vector"]],
            ids=[entity["id"]],
            payloads=[{"data": "x", "linked_memory_ids": ["a"], "user_id": "ana"}],
        )
        export(memory, "whole.jsonl")
        head = (home / "whole.jsonl").read_text("utf-8").splitlines(keepends=True)[0]
        old = line_of({"entity": {**entity, "payload": {"data": "old"}}})
        (home / "cut.jsonl.part").write_text(head + old, encoding="utf-8")
        assert export(memory, "cut.jsonl")["memory"]["count"] == 1
    assert (home / "cut.jsonl").read_bytes() == (home / "whole.jsonl").read_bytes()


def test_the_length_for_a_new_collection_is_not_that_of_one_that_is_there(home: Path) -> None:
    pytest.importorskip("qdrant_client")
    config: dict[str, Any] = {
        "vector_store": {"provider": "qdrant", "config": {"path": "q"}},
        "history_db_path": "h.db",
        "embedder": {"provider": "mock", "config": {"embedding_dims": DIMS}},
        "llm": {"provider": "mock"},
    }
    with Memory.from_config(config) as memory:
        say(memory, "it rains")
    config["vector_store"]["config"]["embedding_model_dims"] = 1536
    with Memory.from_config(config) as memory:
        export(memory, "all.jsonl")
        memory.delete_all(user_id="ana")
        with (home / "all.jsonl").open(encoding="utf-8") as lines:
            assert import_lines(memory, lines)["memory"]["added"] == 1
