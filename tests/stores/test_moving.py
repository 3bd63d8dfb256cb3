"""`isomem export` and `isomem import`: everything arrives, between any two engines."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from isomem import DatabaseError, ValidationError, VectorStoreError
from isomem.cli import main
from isomem.moving import reading
from isomem.moving.export import export
from isomem.moving.intake import import_lines, import_records
from isomem.moving.lines import END, KINDS, POINTS, Digests, line_of
from isomem.moving.sources import of_chroma, of_history, of_qdrant
from isomem.stores import listing
from isomem.stores.engine import EngineStore
from isomem.testing import HashEmbedder
from tests.stores import server
from tests.stores.adapters import ADAPTERS, DIMS, Adapter
from tests.stores.conftest import Open, learn, say, texts
from tests.stores.wire import Proxy, turns_of

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


def cut(memory: Any, folder: Path, records: int) -> Path:
    """Where an export was cut off after some records."""
    file = folder / f"cut-{len([*folder.iterdir()])}.jsonl"
    export(memory, str(file))
    lines = file.read_text("utf-8").splitlines(keepends=True)
    file.unlink()
    Path(f"{file}.part").write_text("".join(lines[: 1 + records]), encoding="utf-8")
    return file


def test_an_export_goes_on_with_nothing_of_another_memory(
    memory: Any, target: Any, tmp_path: Path
) -> None:
    for number in range(20):
        say(memory, f"one {number}")
        say(target, f"other {number}")
    file = cut(memory, tmp_path, 15)
    export(target, str(file))
    export(target, str(tmp_path / "whole.jsonl"))
    assert file.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert "one " not in file.read_text("utf-8")


def test_an_export_goes_on_with_nothing_that_was_changed_or_removed_meanwhile(
    memory: Any, tmp_path: Path
) -> None:
    users = ("bob", "ana")
    ids = sorted(say(memory, f"said {at}", user_id=users[at % 2]) for at in range(20))
    removed, changed, cleared = (cut(memory, tmp_path, 15) for _ in range(3))

    def goes_on(file: Path) -> None:
        export(memory, str(file))
        whole = tmp_path / f"whole-{file.name}"
        export(memory, str(whole))
        assert file.read_bytes() == whole.read_bytes()

    memory.delete(ids[7])
    goes_on(removed)
    memory.update(ids[3], "no longer so")
    goes_on(changed)
    memory.purge(user_id="ana")
    goes_on(cleared)
    assert '"user_id":"ana"' not in cleared.read_text("utf-8")


def test_an_export_is_for_its_owner_alone_whoever_has_begun_it(memory: Any, tmp_path: Path) -> None:
    say(memory, "tea")
    file = cut(memory, tmp_path, 1)
    Path(f"{file}.part").chmod(0o666)
    export(memory, str(file))
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_standard_output_is_named(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    say(memory, "tea")
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(ValidationError, match="standard output cannot be written"):
            export(memory, "-")
        monkeypatch.undo()
        with suppress(OSError):
            full.close()


def test_a_line_twice_counts_once_and_another_one_with_its_id_is_named(
    memory: Any, target: Any, tmp_path: Path
) -> None:
    say(memory, "tea")
    export(memory, str(tmp_path / "all.jsonl"))
    head, line, *_ = (tmp_path / "all.jsonl").read_text("utf-8").splitlines()

    def lines(*given: str) -> list[str]:
        digests = Digests()
        for each in given:
            digests.add(("memory", json.loads(each)["memory"]))
        return [head, *given, line_of({END: digests.as_json()})]

    with pytest.raises(ValidationError, match="line 3 has the id of line 2"):
        import_lines(target, lines(line, line.replace("tea", "coffee")))
    assert import_lines(target, lines(line, line))["memory"]["added"] == 1
    assert texts(target.get_all(filters=ANA)) == ["tea"]


def test_a_number_that_no_row_can_hold_is_named(target: Any) -> None:
    head = '{"isomem_export":1,"vectors":true,"embedder":null,"dims":null}'
    row = {"id": "h", "memory_id": "m", "event": "ADD", "is_deleted": 10**30}
    with pytest.raises(ValidationError, match=r"line 2 .*history\.is_deleted"):
        import_lines(target, [head, json.dumps({"history": row})])


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


def contents(file: Path) -> list[str]:
    """The messages in an export, in its order."""
    lines = map(json.loads, file.read_text("utf-8").splitlines())
    return [line["message"]["content"] for line in lines if "message" in line]


def evict(memory: Any, content: str) -> None:
    """Removes a message from the ledger."""
    with memory.db.database.writing() as database:
        database.execute("DELETE FROM messages WHERE content = ?", (content,))


def test_a_cut_off_export_whose_last_message_is_gone_has_no_message_twice(
    memory: Any, tmp_path: Path
) -> None:
    for number in range(6):
        memory.db.save_messages([{"role": "user", "content": f"m{number}"}], f"user_id=u{number}")
    export(memory, str(tmp_path / "whole.jsonl"))
    lines = (tmp_path / "whole.jsonl").read_text("utf-8").splitlines(keepends=True)
    last = next(number for number, line in enumerate(lines) if '"content":"m3"' in line)
    file = tmp_path / "cut.jsonl"
    (tmp_path / "cut.jsonl.part").write_text("".join(lines[: last + 1]), encoding="utf-8")
    evict(memory, "m3")
    assert export(memory, str(file))["message"]["count"] == 5
    assert contents(file) == ["m0", "m1", "m2", "m4", "m5"]


def test_messages_that_are_evicted_during_an_export_do_not_begin_it_again(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        memory.db.save_messages([{"role": "user", "content": f"m{number}"}], f"user_id=u{number}")
    monkeypatch.setattr(reading, "AT_ONCE", 2)
    seen = []
    for kind, fields in reading.records_of(memory):
        if kind == "message":
            seen.append(fields["content"])
            if fields["content"] in {"m1", "m3"}:  # The last ones of their parts.
                evict(memory, fields["content"])
    assert seen == ["m0", "m1", "m2", "m3", "m4", "m5"]


def test_the_owners_of_removed_memories_come_part_by_part(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = sorted(say(memory, f"note {number}") for number in range(5))
    for memory_id in ids:
        memory.delete(memory_id)
    monkeypatch.setattr(reading, "AT_ONCE", 2)
    found = [fields["id"] for kind, fields in reading.records_of(memory) if kind == "removed"]
    assert found == ids


def test_a_memory_that_is_removed_during_an_export_does_no_harm(
    memory: Any, target: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = sorted(say(memory, f"note {number}") for number in range(6))
    store, points_of = memory.vector_store, reading.points_of

    def removing(read: Any, *more: Any) -> Any:
        for number, point in enumerate(points_of(read, *more)):
            yield point
            if read is store and number == 0:
                memory.delete(ids[1])  # Of the same part.
                memory.delete(ids[5])  # Of a later one.

    monkeypatch.setattr(reading, "AT_ONCE", 3)
    monkeypatch.setattr(reading, "points_of", removing)
    file = tmp_path / "all.jsonl"
    written = export(memory, str(file))
    with file.open(encoding="utf-8") as lines:
        assert import_lines(target, lines)["memory"]["digest"] == written["memory"]["digest"]


# --- Vectors ---------------------------------------------------------------------------------


def test_every_vector_is_in_an_export_that_says_so(
    memory: Any, adapter: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn(memory, *(f"Ana met Inês Duarte in town {number}" for number in range(5)))
    monkeypatch.setattr(reading, "AT_ONCE", 2)
    file = tmp_path / "all.jsonl"
    written = export(memory, str(file))
    head, *lines = map(json.loads, file.read_text("utf-8").splitlines())
    points = [point for line in lines for kind, point in line.items() if kind in POINTS]
    assert written["memory"]["count"] == 5
    assert len(points) == 5 + written["entity"]["count"]
    gives = adapter.equip is None  # mem0's class does not give them.
    assert head["vectors"] is gives
    assert {len(point.get("vector", ())) for point in points} == {DIMS if gives else 0}
    first = next(line["memory"] for line in lines if "memory" in line)
    if gives:
        embedded = memory.embedding_model.embed(first["payload"]["data"], "add")
        assert first["vector"] == pytest.approx(embedded, abs=1e-6)


def test_every_class_of_an_engine_reads_its_points_part_by_part() -> None:
    assert "points" in EngineStore.__abstractmethods__


def test_a_store_with_more_than_it_lists_is_not_passed_over_in_silence(
    target: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Upstream:
        """A store with upstream's `list` alone."""

        list = staticmethod(target.vector_store.list)

    ids = sorted(say(target, f"note {number}") for number in range(4))
    monkeypatch.setattr(listing, "MOST_LISTED", 3)
    found = [*reading.points_of(Upstream(), target.clock)]
    assert [point_id for point_id, _, vector in found if vector is None] == ids[:3]
    assert "Only the first 3 memories are listed" in caplog.text


@pytest.mark.skipif(bool(server.missing()), reason=server.missing())
def test_a_part_of_an_export_is_few_round_trips() -> None:
    proxy = Proxy(server.shared().folder)
    section = server.section()
    section["config"]["dsn"] = proxy.dsn("tests")
    memory = EMBEDDED.open(Path("unused"), vector_store=section)
    for number in range(50):
        say(memory, f"note {number}")
    assert turns_of(proxy, lambda: [*reading.records_of(memory)]) <= 12
    memory.close()
    proxy.close()


# --- Half of a surrogate pair ----------------------------------------------------------------


def test_a_text_that_utf_8_cannot_hold_arrives(tmp_path: Path) -> None:
    source, target = EMBEDDED.open(tmp_path), EMBEDDED.open(tmp_path / "target")
    strange, plain = say(source, "one", metadata={"k": "\ud801"}), say(source, "größer")
    file = tmp_path / "all.jsonl"
    written = export(source, str(file))
    assert "größer" in file.read_text("utf-8")
    with file.open(encoding="utf-8") as lines:
        assert import_lines(target, lines)["memory"]["digest"] == written["memory"]["digest"]
    assert target.get(strange)["metadata"] == {"k": "\ud801"}
    assert target.get(plain)["memory"] == "größer"
    source.close()
    target.close()


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
    vector = ",".join(["NaN"] * DIMS)
    bad = POINT.replace('1"', '2"').replace("}}}", f'}},"vector":[{vector}]}}}}')
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


def test_what_fails_is_named_and_not_the_file_that_was_read(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--path", "a.db", "add", "Ana likes tea", "--user", "ana", "--raw"]) == 0
    assert main(["--path", "a.db", "export", "all.jsonl"]) == 0
    (home / "bad.jsonl").write_bytes((home / "all.jsonl").read_bytes()[:-1] + b"\xff\n")
    capsys.readouterr()
    assert main(["--path", "b.db", "import", "bad.jsonl"]) != 0
    assert "bad.jsonl cannot be read" in capsys.readouterr().err

    def broken(*_: object, **__: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr("isomem.moving.intake.payloads_of", broken)
    assert main(["--path", "b.db", "import", "all.jsonl"]) != 0
    said = capsys.readouterr().err
    assert "the disk is gone" in said
    assert "cannot be read" not in said
