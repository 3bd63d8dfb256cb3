"""`isomem export` and `isomem import`: everything arrives, between any two engines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from isomem import DatabaseError, ValidationError, VectorStoreError
from isomem.cli import main
from isomem.moving.export import export
from isomem.moving.intake import import_lines, import_records
from isomem.moving.lines import KINDS, Digests, line_of
from isomem.moving.sources import of_chroma, of_history, of_qdrant
from isomem.testing import HashEmbedder
from tests.stores.adapters import ADAPTERS, DIMS, Adapter
from tests.stores.conftest import Open, learn, say

ANA = {"user_id": "ana"}
pytestmark = pytest.mark.filterwarnings("ignore")
EMBEDDED, QDRANT = (
    next(each for each in ADAPTERS if each.name == name) for name in ("embedded", "qdrant-memory")
)


def fill(memory: Any) -> list[str]:
    """A memory with something of every kind; the ids of what is left."""
    ids = learn(memory, "Ana met Inês Duarte", "Ana lives in Lisbon")
    ids += learn(memory, "Inês Duarte plays the cello")
    ids.append(say(memory, "My car is on level 3", expiration_date="2020-01-31"))
    ids.append(say(memory, "Größe: 日本語 🗼", metadata={"deep": {"a": [1, 2.5, None, True]}}))
    memory.update(ids[1], "Ana lives in Porto")
    memory.delete(ids.pop(0))
    say(memory, "Bob stays", user_id="bob", run_id="r")
    return ids


def view(memory: Any) -> list[Any]:
    """What callers see of it."""
    listed = memory.get_all(filters=ANA, top_k=100, show_expired=True)["results"]
    listed.sort(key=lambda each: each["id"])
    found = memory.search("Who plays the cello?", filters=ANA, threshold=0.0)["results"]
    return [
        listed,
        [memory.history(each["id"]) for each in listed],
        [(each["id"], round(each["score"], 5)) for each in found],
        memory.db.get_last_messages("user_id=ana"),
        memory.count(filters=ANA),
    ]


def assert_alike(target: Any, memory: Any, adapter: Adapter) -> None:
    """Both show the same; scores are the same where both weigh words alike."""
    if adapter.equip is not None:  # mem0's class gives no vectors.
        return
    one, other = view(target), view(memory)
    if adapter.name in {"pgvector", "redis"} or not adapter.can.keywords:
        del one[2], other[2]  # Their servers rank words by rules of their own, and Chroma has none.
    assert one == other


@pytest.fixture(params=[EMBEDDED, QDRANT], ids=lambda each: f"to-{each.name}")
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param.missing():
        pytest.skip(request.param.missing())
    folder = tmp_path / "target"
    folder.mkdir()
    memory = request.param.open(folder)
    yield memory
    memory.close()


# --- There and back --------------------------------------------------------------------------


def test_everything_arrives_and_a_second_import_changes_nothing(
    memory: Any, target: Any, adapter: Adapter, tmp_path: Path
) -> None:
    fill(memory)
    file = tmp_path / "all.jsonl"
    written = export(memory, str(file))
    assert written["memory"]["count"] == 5
    assert file.stat().st_mode & 0o077 == 0
    for expected in (True, False):
        with file.open(encoding="utf-8") as lines:
            taken = import_lines(target, lines)
        for kind in KINDS:
            assert taken[kind]["read"] == written[kind]["count"]
            assert taken[kind]["digest"] == written[kind]["digest"]
            assert taken[kind]["added"] == (written[kind]["count"] if expected else 0)
            assert taken[kind]["different"] == 0
    assert export(target, str(tmp_path / "again.jsonl")) == written
    assert_alike(target, memory, adapter)
    entities = {each.payload["data"] for each in target.entity_store.list(top_k=100)[0]}
    assert "Inês Duarte" in entities
    learn(target, "Ana met Inês Duarte again")  # It goes on, with the entity that is there.
    target.purge(**ANA)
    assert target.count(filters={"user_id": "bob"}) == 1


def test_without_vectors_the_texts_are_embedded_again(
    memory: Any, target: Any, adapter: Adapter, tmp_path: Path
) -> None:
    fill(memory)
    file = tmp_path / "all.jsonl"
    export(memory, str(file), vectors=False)
    assert '"vector":' not in file.read_text("utf-8")
    import_lines(target, file.read_text("utf-8").splitlines())
    assert_alike(target, memory, adapter)


# --- Cut off ---------------------------------------------------------------------------------


def test_an_export_that_was_cut_off_goes_on(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory()
    fill(memory)
    export(memory, str(tmp_path / "whole.jsonl"))
    whole = (tmp_path / "whole.jsonl").read_bytes()
    for cut in (0, 10, len(whole) // 3, len(whole) // 2, len(whole) - 200, len(whole) - 1):
        file = tmp_path / f"cut-{cut}.jsonl"
        (tmp_path / f"cut-{cut}.jsonl.part").write_bytes(whole[:cut])
        export(memory, str(file))
        assert file.read_bytes() == whole
    other = tmp_path / "other.jsonl"
    (tmp_path / "other.jsonl.part").write_bytes(b'{"isomem_export":1,"vectors":false}\n{"mem')
    export(memory, str(other))  # Of something else: from the beginning.
    assert other.read_bytes() == whole


def test_an_import_that_was_cut_off_says_so_and_goes_on(
    memory: Any, target: Any, tmp_path: Path
) -> None:
    fill(memory)
    written = export(memory, str(tmp_path / "all.jsonl"))
    lines = (tmp_path / "all.jsonl").read_text("utf-8").splitlines()
    for end in (1, 3, len(lines) - 1):
        with pytest.raises(ValidationError, match=f"line {end + 1} is missing"):
            import_lines(target, lines[:end])
    import_lines(target, lines)
    assert export(target, str(tmp_path / "again.jsonl")) == written


# --- What is refused -------------------------------------------------------------------------

HEAD = '{"isomem_export":1,"vectors":false,"embedder":null,"dims":null}'
POINT = '{"memory":{"id":"7d8c1a44-0000-4000-8000-000000000001","payload":{"data":"x"}}}'


@pytest.mark.parametrize(
    ("lines", "number", "code"),
    [
        ([], 1, "MOVE_002"),
        (["{}"], 1, "MOVE_002"),
        (["no json"], 1, "MOVE_002"),
        (['{"isomem_export":2}'], 1, "MOVE_002"),
        ([HEAD, "no json"], 2, "MOVE_001"),
        ([HEAD, POINT, "", "[1]"], 4, "MOVE_001"),
        ([HEAD, '{"a":1,"b":2}'], 2, "MOVE_001"),
        ([HEAD, '{"graph":{"id":"x"}}'], 2, "MOVE_001"),
        ([HEAD, '{"memory":{"payload":{}}}'], 2, "MOVE_001"),
        ([HEAD, '{"memory":{"id":7,"payload":{}}}'], 2, "MOVE_001"),
        ([HEAD, '{"memory":{"id":"a","payload":[]}}'], 2, "MOVE_001"),
        ([HEAD, '{"memory":{"id":"a","payload":{},"vector":["x"]}}'], 2, "MOVE_001"),
        ([HEAD, '{"history":{"id":"a"}}'], 2, "MOVE_001"),
        ([HEAD, '{"history":{"id":"a","memory_id":"b","role":[1]}}'], 2, "MOVE_001"),
        ([HEAD, POINT, '{"end":{}}'], 3, "MOVE_001"),
        ([HEAD, '{"a":' * 100_000], 2, "MOVE_001"),
    ],
)
def test_a_bad_line_is_named(target: Any, lines: list[str], number: int, code: str) -> None:
    with pytest.raises(ValidationError, match=f"line {number} ") as caught:
        import_lines(target, lines)
    assert caught.value.error_code == code


def ended(*lines: str) -> list[str]:
    """An export with these lines, whole."""
    digests = Digests()
    for line in lines:
        [record] = json.loads(line).items()
        digests.add(record)
    return [HEAD, *lines, line_of({"end": digests.as_json()})]


def test_a_record_that_the_store_refuses_is_named_by_its_line(target: Any) -> None:
    bad = '{"memory":{"id":"7d8c1a44-0000-4000-8000-000000000002","payload":{},"vector":[1.0]}}'
    with pytest.raises(ValidationError, match="line 3 cannot be stored"):
        import_lines(target, ended(POINT, bad))
    assert target.get("7d8c1a44-0000-4000-8000-000000000001")["memory"] == "x"


def test_what_is_there_with_other_contents_stays(target: Any) -> None:
    import_lines(target, ended(POINT))
    other = POINT.replace('"x"', '"y"')
    taken = import_lines(target, ended(other))
    assert (taken["memory"]["added"], taken["memory"]["different"]) == (0, 1)
    assert target.get("7d8c1a44-0000-4000-8000-000000000001")["memory"] == "x"


def test_vectors_of_another_embedder_are_refused_or_made_anew(
    memory: Any, target: Any, adapter: Adapter, tmp_path: Path
) -> None:
    if adapter.equip is not None:
        pytest.skip("mem0's class gives no vectors")
    fill(memory)
    export(memory, str(tmp_path / "all.jsonl"))
    lines = (tmp_path / "all.jsonl").read_text("utf-8").splitlines()
    other = HashEmbedder(dims=DIMS)
    other.identity = "another/one"
    target.embedding_model = other
    with pytest.raises(ValidationError, match="another/one") as caught:
        import_lines(target, lines)
    assert caught.value.error_code == "MOVE_004"
    assert target.count(filters=ANA) == 0
    import_lines(target, lines, embed=True)
    assert target.count(filters=ANA) == memory.count(filters=ANA)


def test_a_store_that_gives_back_something_else_is_found_out(
    target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = type(target.vector_store)
    real = store.insert

    def insert(self: Any, vectors: Any, payloads: Any = None, ids: Any = None) -> Any:
        return real(self, vectors, [{**each, "data": "?"} for each in payloads], ids)

    monkeypatch.setattr(store, "insert", insert)
    with pytest.raises(VectorStoreError, match="gives back other memory records"):
        import_lines(target, ended(POINT))


# --- Other sources ---------------------------------------------------------------------------


def test_a_folder_of_qdrant_and_a_history_are_a_source(target: Any, tmp_path: Path) -> None:
    folder = next(each for each in ADAPTERS if each.name == "qdrant-folder")
    if folder.missing():
        pytest.skip(folder.missing())
    source = folder.open(tmp_path)
    fill(source)
    seen = view(source)
    source.close()
    for expected in (5, 0):
        taken = import_records(target, of_qdrant(str(tmp_path / "qdrant"), "mem0"))
        assert taken["memory"]["added"] == expected
    import_records(target, of_history(str(tmp_path / "history.db")))
    assert view(target) == seen
    with pytest.raises(DatabaseError, match="no collection"):
        import_records(target, of_qdrant(str(tmp_path / "qdrant"), "other"))


def test_a_folder_of_chroma_is_a_source(target: Any, tmp_path: Path) -> None:
    chromadb = pytest.importorskip("chromadb")
    settings = chromadb.config.Settings(anonymized_telemetry=False)
    client = chromadb.PersistentClient(str(tmp_path / "chroma"), settings)
    made = client.get_or_create_collection("mem0")
    names = [f"7d8c1a44-0000-4000-8000-{n:012}" for n in range(3)]
    vectors = [[1.0, *[0.0] * (DIMS - 2), float(n)] for n in range(3)]
    payloads = [{"data": f"text {n}", "user_id": "ana", "hash": str(n)} for n in range(3)]
    made.add(ids=names, embeddings=vectors, metadatas=payloads)
    taken = import_records(target, of_chroma(str(tmp_path / "chroma"), "mem0"))
    assert taken["memory"]["added"] == 3
    assert target.get(names[1])["memory"] == "text 1"
    with pytest.raises(DatabaseError, match="no collection"):
        import_records(target, of_chroma(str(tmp_path / "chroma"), "other"))
    with pytest.raises(DatabaseError, match="not a folder of Chroma"):
        import_records(target, of_chroma(str(tmp_path), "mem0"))


# --- The commands ----------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("ISOMEM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ISOMEM_EMBEDDER", "mock")
    monkeypatch.setenv("ISOMEM_LLM_PROVIDER", "mock")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_print_equal_digests(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--path", "a.db", "add", "Ana likes tea", "--user", "ana", "--raw"]) == 0
    capsys.readouterr()
    assert main(["--path", "a.db", "export", "all.jsonl"]) == 0
    digest = capsys.readouterr().out.split()[2]
    assert main(["--path", "b.db", "import", "all.jsonl"]) == 0
    shown = capsys.readouterr().out
    assert digest in shown
    assert "1 added" in shown
    assert main(["--path", "b.db", "export", "-", "--no-vectors"]) == 0
    piped = capsys.readouterr().out
    assert json.loads(piped.splitlines()[0])["vectors"] is False
    assert main(["--path", "a.db", "export", "all.jsonl"]) != 0
    assert "already exists" in capsys.readouterr().err
    for words in ([], ["no.jsonl"], ["all.jsonl", "--qdrant", "q"]):
        assert main(["--path", "b.db", "import", *words]) != 0
    assert "Traceback" not in capsys.readouterr().err
