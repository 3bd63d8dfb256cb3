"""Receipts in a file: written with what they are for, found by their ids, removed by their age."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.contract.plan import Receipt, Record
from isomem.errors import DatabaseError
from isomem.store import receipts as module
from isomem.store.database import Database
from isomem.store.receipts import Receipts
from isomem.store.schema import prepare_ledger


def record(memory_id: str, text: str = "a text", **told: Any) -> Record:
    made = Record(memory_id, text, [], {"data": text}, {})
    made.told = told
    return made


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "memory.db"), prepare_ledger)
    yield database
    database.close()


@pytest.fixture
def rows(database: Database) -> Receipts:
    return Receipts(database)


def test_a_file_without_receipts_has_none(rows: Receipts, database: Database) -> None:
    assert rows.find("r") is None
    assert rows.forget("r", 1e12) == 0
    with database.reading():
        assert not database.rows("SELECT 1 FROM sqlite_schema WHERE name = 'receipts'")


def test_a_receipt_says_what_was_told_but_no_text(rows: Receipts) -> None:
    superseding = record("b")
    superseding.supersedes = [{"id": "old", "memory": "an old text", "why": "repeats"}]
    rows.save(Receipt("r", "d"), [record("a", role="user", actor_id=None), superseding])
    found = rows.find("r")
    assert found is not None
    assert found.digest == "d"
    assert found.results == [
        {"id": "a", "event": "ADD", "role": "user", "actor_id": None},
        {"id": "b", "event": "ADD", "supersedes": [{"id": "old", "why": "repeats"}]},
    ]


def test_a_receipt_is_written_once(rows: Receipts) -> None:
    rows.save(Receipt("r", "d"), [])
    with pytest.raises(DatabaseError) as caught:
        rows.save(Receipt("r", "another"), [record("a")])
    assert caught.value.error_code == "RECEIPT_001"
    assert caught.value.details == {"receipt": "r"}
    found = rows.find("r")
    assert found is not None
    assert (found.digest, found.results) == ("d", [])


def test_a_receipt_is_undone_with_the_block_around_it(rows: Receipts, database: Database) -> None:
    with pytest.raises(RuntimeError), database.writing():
        rows.save(Receipt("r", "d"), [])
        raise RuntimeError
    assert rows.find("r") is None
    with database.writing():
        with pytest.raises(RuntimeError), database.atomic():
            rows.save(Receipt("r", "d"), [])
            raise RuntimeError
        rows.save(Receipt("s", "d"), [])
    assert (rows.find("r"), rows.find("s") is not None) == (None, True)


def test_another_process_finds_it(rows: Receipts, tmp_path: Path) -> None:
    rows.save(Receipt("r", "d"), [record("a")])
    other = Database(str(tmp_path / "memory.db"), prepare_ledger)
    found = Receipts(other).find("r")
    other.close()
    assert found is not None
    assert [each["id"] for each in found.results] == ["a"]


# --- Calls that are begun first ---------------------------------------------------------------


def test_what_was_begun_is_told_to_the_next_try(rows: Receipts) -> None:
    receipt = Receipt("r", "d")
    assert rows.begin(receipt, ["a", "b"]) == []
    assert rows.begin(receipt, ["c"]) == ["a", "b"]
    assert rows.begin(Receipt("other", "d"), ["x"]) == []
    rows.complete(receipt, ["a", "b", "c"], [record("c")])
    with pytest.raises(DatabaseError, match="carried out already"):
        rows.begin(receipt, ["d"])


def test_a_try_that_was_overtaken_leaves_no_receipt(rows: Receipts) -> None:
    receipt = Receipt("r", "d")
    rows.begin(receipt, ["a"])
    rows.begin(receipt, ["b"])
    with pytest.raises(DatabaseError) as caught:
        rows.complete(receipt, ["a"], [record("a")])
    assert caught.value.error_code == "RECEIPT_003"
    assert rows.find("r") is None
    rows.complete(receipt, ["a", "b"], [record("b")])
    assert rows.find("r") is not None


def test_nothing_is_left_of_what_was_begun_once_it_is_completed(
    rows: Receipts, database: Database
) -> None:
    rows.begin(Receipt("r", "d"), ["a"])
    rows.complete(Receipt("r", "d"), ["a"], [])
    with database.reading():
        assert database.rows("SELECT count(*) FROM begun_calls") == [(0,)]


def begun(database: Database) -> set[str]:
    with database.reading():
        return {name for (name,) in database.rows("SELECT id FROM begun_calls")}


def test_what_was_begun_and_given_up_is_forgotten_with_what_it_has_left(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[list[str]] = []
    rows = Receipts(database, lambda ids: not taken.append([*ids]))
    monkeypatch.setattr(module, "time", lambda: 10.0)
    for name in ("job:1", "job:2", "key:3"):
        rows.begin(Receipt(name, "d"), [f"of {name}"])
    monkeypatch.setattr(module, "time", lambda: 20.0)
    rows.begin(Receipt("job:4", "d"), [])
    assert rows.forget("job:", 15, ["job:2"]) == 0
    assert begun(database) == {"job:2", "key:3", "job:4"}
    assert taken == [["of job:1"]]


def test_another_try_makes_what_was_begun_young_again(
    rows: Receipts, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for moment in (10.0, 20.0):
        monkeypatch.setattr(module, "time", lambda moment=moment: moment)
        rows.begin(Receipt("job:1", "d"), ["a"])
    rows.forget("job:", 15)
    assert begun(database) == {"job:1"}
    rows.forget("job:", 25)
    assert begun(database) == set()


def test_what_cannot_be_taken_back_stays_noted(database: Database) -> None:
    Receipts(database).begin(Receipt("job:1", "d"), ["a"])
    assert Receipts(database, lambda _: False).forget("job:", 1e12) == 0
    assert begun(database) == {"job:1"}


# --- Forgetting ------------------------------------------------------------------------------

names = st.text(st.sampled_from("ab:*%_'é"), min_size=1, max_size=4)


@given(
    written=st.dictionaries(names, st.floats(0, 100), max_size=8),
    prefix=names,
    before=st.floats(0, 100),
    kept=st.lists(names, max_size=3),
)
def test_what_is_forgotten_has_the_prefix_is_old_and_is_not_kept(
    written: dict[str, float], prefix: str, before: float, kept: list[str]
) -> None:
    database = Database(":memory:", prepare_ledger)
    rows = Receipts(database)
    with pytest.MonkeyPatch.context() as patched:
        for name, moment in written.items():
            patched.setattr(module, "time", lambda moment=moment: moment)
            rows.save(Receipt(name, ""), [])
    gone = {
        name
        for name, moment in written.items()
        if name.startswith(prefix) and moment < before and name not in kept
    }
    assert rows.forget(prefix, before, kept) == len(gone)
    assert {name for name in written if rows.find(name) is None} == gone
    database.close()
