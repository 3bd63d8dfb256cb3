"""The benchmark of the engines: it runs, every row is told of, and ratios are of neighbours."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.engines import __main__ as command
from bench.engines import rows, tables
from bench.engines.systems import System, groups
from bench.engines.turns import Worker, _beginning_with
from bench.rounds import WorkerError
from bench.workers import kit
from tests.stores import server


@pytest.fixture(autouse=True)
def _as_it_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "compile_everything", lambda: None)


def run(folder: Path, engines: str, settings: str, memories: int = 200) -> list[dict[str, Any]]:
    given = f"--sizes {memories} --engines {engines} --settings {settings} --rounds 1 --seconds 0.3"
    assert command.main([*given.split(), "--out", str(folder)]) == 0
    found: list[dict[str, Any]] = json.loads((folder / "engines.json").read_text())["rows"]
    return found


@pytest.mark.slow
def test_systems_are_filled_and_take_turns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(tmp_path, "embedded", "isomem,plain")
    assert [row["setting"] for row in found] == ["isomem", "plain"]
    for row in found:
        figures = row["figures"]
        assert tables.FIGURES.keys() <= figures.keys()
        assert all(figures[name] > 0 for name in tables.FIGURES)
        assert figures["found"] == 100
        assert not sum(value for name, value in figures.items() if name.endswith("_failed"))
    assert [path.name for path in tmp_path.iterdir()] == ["engines.json"]
    assert "200 memories, in scopes of 100" in capsys.readouterr().out


@pytest.mark.oracle
@pytest.mark.slow
def test_mem0_is_filled_through_its_own_add_and_finds_it(tmp_path: Path) -> None:
    pytest.importorskip("mem0")
    found = run(tmp_path, "qdrant-memory", "mem0,plain")
    assert [row["setting"] for row in found] == ["mem0", "plain"]
    assert [row["figures"]["found"] for row in found] == [100, 100]
    assert not any(row["figures"]["raw_failed"] or row["figures"]["facts_failed"] for row in found)


def test_what_is_measured_again_replaces_its_group_and_the_rest_may_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QDRANT_URL", raising=False)
    before = [
        row("mem0", 1, "qdrant-folder"), row("isomem", 1, "embedded"), row("mem0", 1, "pgvector"),
        {**row("mem0", 1, "qdrant-server"), "memories": 200},
    ]  # fmt: skip
    (tmp_path / "engines.json").write_text(json.dumps({"rows": before}))
    asked = "--sizes 200 --engines qdrant-server --settings mem0 --rounds 1 --keep"
    assert command.main([*asked.split(), "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "engines.json").read_text())["rows"]
    assert found[:3] == before[:3]
    assert [each["memories"] for each in found[3:]] == [200]
    assert "why" in found[3]


def test_what_is_not_run_is_told_of_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("QDRANT_URL", raising=False)
    found = run(tmp_path, "qdrant-server", "isomem,mem0")
    assert {row["why"] for row in found} <= {
        "QDRANT_URL names no server", "not installed: qdrant_client",
    }  # fmt: skip
    assert len(found) == 2
    assert capsys.readouterr().out.count("not run: ") == 2


def test_local_mode_is_not_run_beyond_what_it_can_hold() -> None:
    pytest.importorskip("qdrant_client")
    local = rows.BY_NAME["qdrant-folder"]
    assert not local.missing(100_000)
    assert "memory of the process" in local.missing(1_000_000)


def test_a_system_that_ends_is_an_error_with_what_it_said(tmp_path: Path) -> None:
    worker = Worker({"dims": 4}, tmp_path)
    with pytest.raises(WorkerError, match="KeyError: 'side'"):
        worker.ask("open")
    worker.end()


def test_whatever_has_the_same_mem0_beside_it_takes_turns() -> None:
    (group,) = groups(["postgres", "pgvector"], ["isomem", "plain", "mem0"])
    assert [system.name for system in group] == [
        "mem0_pgvector", "isomem_postgres", "plain_postgres", "isomem_pgvector", "plain_pgvector",
    ]  # fmt: skip
    pairs = [*groups(["embedded", "qdrant-memory"], ["isomem", "mem0"])]
    assert [[system.name for system in pair] for pair in pairs] == [
        ["mem0_qdrant_folder", "isomem_embedded"],
        ["mem0_qdrant_memory", "isomem_qdrant_memory"],
    ]


def test_in_each_round_another_system_begins() -> None:
    (systems,) = groups(["pgvector"], ["isomem", "plain", "mem0"])
    orders = [[each.setting for each in _beginning_with(at, systems)] for at in (1, 2, 3, 4)]
    assert orders == [
        ["mem0", "isomem", "plain"], ["isomem", "plain", "mem0"], ["plain", "mem0", "isomem"],
        ["mem0", "isomem", "plain"],
    ]  # fmt: skip
    assert _beginning_with(3, []) == []


def test_set_as_mem0_means_without_entities_and_keywords(tmp_path: Path) -> None:
    place = rows.Place(tmp_path, 200)
    job = System("plain", rows.BY_NAME["qdrant-folder"]).job(place, 0)
    assert job["config"]["nlp"] == {"provider": "none"}
    assert job["config"]["vector_store"]["config"]["keyword_search"] is False
    assert job["config"]["history_db_path"].endswith("plain_qdrant_folder/history.db")


# --- A server further away -------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(bool(server.missing()), reason=server.missing())
def test_the_way_to_the_server_and_back_takes_its_time(tmp_path: Path) -> None:
    psycopg = pytest.importorskip("psycopg")
    place = rows.Place(tmp_path, 10, rtt_ms=40)
    try:
        with psycopg.connect(place.dsn, autocommit=True) as connection:
            begun = time.perf_counter()
            assert connection.execute("SELECT 7").fetchone() == (7,)
            assert time.perf_counter() - begun >= 0.04
    finally:
        place.close()


def test_only_postgresql_can_be_further_away(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--engines", "redis,pgvector", "--rtt-ms", "1"])
    assert "--rtt-ms needs --engines of pgvector, postgres" in capsys.readouterr().err


def test_results_from_further_away_have_a_place_of_their_own(tmp_path: Path) -> None:
    docs = tmp_path / "docs.md"
    names = ("engines", "away")
    marks = [command.MARK.format(f"{word} {name}") for name in names for word in ("begin", "end")]
    docs.write_text("\n".join(marks))
    for name, setting in zip(names, ("mem0", "plain"), strict=True):
        content = {"about": {"measured": name}, "rows": [row(setting, 1, search_median_ms=1)]}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    assert command.main(["--write-docs", str(docs), "--out", str(tmp_path)]) == 0
    first, second = docs.read_text().split(marks[1])
    assert "measured engines" in first
    assert "measured away" in second


# --- Tables ----------------------------------------------------------------------------------


def row(setting: str, number: int, engine: str = "qdrant-memory", **figures: float) -> Any:
    return {
        "engine": engine, "setting": setting, "memories": 2000, "scope": 100, "round": number,
        "figures": figures,
    }  # fmt: skip


def test_a_ratio_is_of_the_same_round_and_above_one_where_isomem_is_better() -> None:
    turns = tables.Turns([
        row("mem0", 1, search_median_ms=10.0, search_per_s=50.0),
        row("plain", 1, search_median_ms=5.0, search_per_s=100.0),
        row("mem0", 2, search_median_ms=40.0, search_per_s=10.0),
        row("plain", 2, search_median_ms=10.0, search_per_s=60.0),
        row("plain", 3, search_median_ms=1.0, search_per_s=1.0),
    ])  # fmt: skip
    engine = rows.BY_NAME["qdrant-memory"]
    pair = System("plain", engine), System("mem0", engine)
    assert turns.ratio(2000, 100, *pair, "search_median_ms") == (3.0, 2.0, 4.0, 2)
    assert turns.ratio(2000, 100, *pair, "search_per_s") == (4.0, 2.0, 6.0, 2)
    assert turns.ratio(2000, 100, *pair, "raw_median_ms") is None
    assert tables.slower(turns) == []


def test_a_row_that_is_slower_is_told_of_if_both_do_the_same() -> None:
    turns = tables.Turns([
        row("mem0", 1, search_median_ms=1.0),
        row("plain", 1, search_median_ms=2.0),
        row("isomem", 1, search_median_ms=4.0),
        row("mem0", 1, "qdrant-folder", search_median_ms=1.0),
        row("plain", 1, "embedded", search_median_ms=2.0),
    ])  # fmt: skip
    (line,) = tables.slower(turns)
    assert "Qdrant in memory, isomem set as mem0 : mem0, search: 0.500 x" in line
    named = [cells[:3] for cells in tables.of_ratios(turns, 2000, 100).rows]
    assert named == [
        ["embedded", "isomem set as mem0 : mem0 on Qdrant, a folder", "0.500 x"],
        ["Qdrant in memory", "isomem : mem0", "0.250 x"],
        ["Qdrant in memory", "isomem set as mem0 : mem0", "0.500 x"],
    ]


def test_a_failure_is_in_the_table() -> None:
    turns = tables.Turns([{
        "engine": "pgvector", "setting": "mem0", "memories": 2000, "error": "boom\nlast line",
    }])  # fmt: skip
    (cells,) = tables.of_figures(turns, 2000, 100).rows
    assert cells[2] == "failed: last line"


def test_the_tables_go_into_a_page(tmp_path: Path) -> None:
    about = {"measured": "today"}
    content = {"about": about, "rows": [row("mem0", 1, search_median_ms=1.0)]}
    (tmp_path / "engines.json").write_text(json.dumps(content))
    page = tmp_path / "page.md"
    marks = [command.MARK.format(f"{word} engines") for word in ("begin", "end")]
    page.write_text("# Before\n{}\nold\n{}\nafter\n".format(*marks))
    assert command.main(["--write-docs", str(page), "--out", str(tmp_path)]) == 0
    text = page.read_text()
    assert "measured today." in text
    assert "| Qdrant in memory | mem0 | 1 |" in text
    assert "old" not in text
    assert text.endswith("after\n")


def test_unknown_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--engines", "embedded,mongo"])
    assert "unknown: mongo" in capsys.readouterr().err


# --- What they are filled with ---------------------------------------------------------------


def test_half_of_the_memories_are_in_large_scopes() -> None:
    found = [(user, len(numbers)) for user, numbers in kit.layout(40_000, 10_000)]
    assert sum(count for _, count in found) == 40_000
    assert [user for user, count in found if count == 10_000] == ["large0", "large1"]
    assert [user for user, count in found if count == 100] == [f"small{at}" for at in range(200)]
    numbers = [at for _, part in kit.layout(40_000, 10_000) for at in part]
    assert numbers == [*range(40_000)]
    assert [user for user, _ in kit.layout(300)] == ["small0", "small1", "small2"]


def test_notes_differ_and_come_again_the_same() -> None:
    notes = [kit.note(at) for at in range(-100, 10_000)]
    assert len(set(notes)) == len(notes)
    assert notes[100] == kit.note(0)
    assert {*kit.question(5).rstrip("?").split()} & {*kit.note(5).split()}


def test_equal_texts_have_equal_vectors_and_others_do_not() -> None:
    sys.path.insert(0, str(Path(kit.__file__).parent))
    embedder = kit.Paired(64)
    one, same, other = embedder.embed_batch(["tea", "tea", "towns"])
    assert one == same != other
    assert len(one) == 64
    assert max(map(abs, one)) <= 2
