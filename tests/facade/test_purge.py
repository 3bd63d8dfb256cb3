"""What was asked to be forgotten: where it is gone from, and where it stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isomem.errors import DatabaseError
from tests.facade.conftest import Face

Make = Callable[..., Face]
SECRET = "xylophone"
ANA = {"user_id": "ana"}


def fill(memory: Face) -> list[str]:
    """Memories, an update, a deletion, entities, history and messages that name the secret."""
    one, two = memory.learn(
        f'Ana Silva plays the "{SECRET} grande"', f"Ana Silva sold a {SECRET}", said=SECRET, **ANA
    )
    memory.update(one, f'Ana Silva mends the "{SECRET} grande"', {"note": SECRET})
    memory.delete(two)
    memory.add(f"raw {SECRET}", **ANA, agent_id="bot", infer=False)
    memory.learn("Ben likes tea", said="tea", user_id="ben")
    return [one, two]


def bytes_of(path: Path) -> bytes:
    return b"".join(each.read_bytes() for each in sorted(path.parent.glob(f"{path.name}*")))


def test_after_a_purge_the_text_is_not_in_the_bytes_of_the_file(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    memory = make(path)
    fill(memory)
    assert SECRET.encode() in bytes_of(path)
    assert memory.purge(**ANA) == {"message": "Memories deleted successfully!"}
    assert SECRET.encode() not in bytes_of(path)
    memory.close()
    assert SECRET.encode() not in bytes_of(path)
    assert make(path).memories(user_id="ben") == ["Ben likes tea"]


def test_a_separate_history_file_is_purged_too(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    memory = make(path, history_db_path=str(tmp_path / "history.db"))
    fill(memory)
    memory.purge(**ANA)
    for file in (path, tmp_path / "history.db"):
        assert SECRET.encode() not in bytes_of(file)
        assert b"tea" in bytes_of(file)


def test_history_stays_unless_it_is_asked_for(memory: Face) -> None:
    one, two = fill(memory)
    memory.delete_all(**ANA)
    assert [each["event"] for each in memory.history(one)] == ["ADD", "UPDATE", "DELETE"]
    memory.delete_all(**ANA, purge_history=True)
    assert memory.history(one) == memory.history(two) == []
    assert len(memory.state()["history"]) == 1


@pytest.mark.parametrize(
    ("ids", "gone"),
    [
        ({"user_id": "u"}, ["u", "ua", "uar"]),
        ({"user_id": "u", "agent_id": "a"}, ["ua", "uar"]),
        ({"agent_id": "a"}, ["ua", "uar", "a"]),
        ({"user_id": "u", "agent_id": "a", "run_id": "r"}, ["uar"]),
    ],
)
def test_a_purge_takes_the_scopes_that_have_all_the_ids(
    memory: Face, ids: dict[str, str], gone: list[str]
) -> None:
    scopes: dict[str, dict[str, str]] = {
        "u": {"user_id": "u"},
        "ua": {"user_id": "u", "agent_id": "a"},
        "uar": {"user_id": "u", "agent_id": "a", "run_id": "r"},
        "a": {"agent_id": "a"},
        "u2": {"user_id": "u2"},
        "odd": {"user_id": "u&agent_id=a"},
    }
    made = {name: memory.learn(f"fact of {name}", said=name, **s) for name, s in scopes.items()}
    memory.delete_all(**ids, purge_history=True)
    left = {name: bool(memory.history(each[0])) for name, each in made.items()}
    said = {row[3] for row in memory.state()["messages"]}
    assert [name for name in scopes if not left[name]] == gone
    assert said == set(scopes) - set(gone)


def test_a_purge_takes_more_memories_than_one_transaction(memory: Face, monkeypatch: Any) -> None:
    monkeypatch.setattr("isomem.stores.embedded.REMOVED_AT_ONCE", 2)
    for number in range(7):
        memory.add(f"number {number}", **ANA, infer=False)
    memory.delete_all(**ANA, purge_history=True)
    assert memory.state()["history"] == memory.state()["points"] == []


def test_others_write_between_the_transactions_of_a_purge(
    make: Make, tmp_path: Path, monkeypatch: Any
) -> None:
    path = tmp_path / "memory.db"
    memory, other = make(path), make(path, store={"busy_timeout_s": 0})
    monkeypatch.setattr("isomem.stores.embedded.REMOVED_AT_ONCE", 2)
    for number in range(7):
        memory.add(f"number {number}", **ANA, infer=False)
    own, seen = memory.vector_store.database, []

    def write() -> None:
        other.db.add_history("other", None, "x", "ADD")  # It would raise, and does not wait.
        tables = other.state()
        seen.append((len(tables["points"]), len(tables["history"]) - len(seen)))

    monkeypatch.setattr(own, "give_way", write)
    memory.delete_all(**ANA, purge_history=True)
    points, rows = zip(*seen, strict=True)
    assert list(points) == sorted(points, reverse=True)
    assert {3, 1} <= set(points)
    assert len(set(rows)) > 4


def test_compacting_waits_for_readers_and_says_so(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    memory, other = make(path, store={"busy_timeout_s": 0.05}), make(path)
    fill(memory)
    with other.vector_store.database.reading() as database:
        database.rows("SELECT count(*) FROM points")
        with pytest.raises(DatabaseError, match=r"everything was removed, but the bytes .* locked"):
            memory.purge(**ANA)
    assert memory.memories(**ANA) == []
    memory.purge(**ANA)
    assert SECRET.encode() not in bytes_of(path)


def test_nothing_is_compacted_inside_a_block(memory: Face) -> None:
    if memory.is_async:
        pytest.skip("the steps of an asynchronous memory run in another thread")
    database = memory.vector_store.database
    with pytest.raises(DatabaseError, match="inside a block"), database.reading():
        memory.compact()
    memory.compact()
