"""A backup is one state of the file, complete, private, and replaces nothing."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import pytest

from isomem import Memory
from isomem.errors import DatabaseError, MemoryCorruptionError, ValidationError
from isomem.store.backup import backup
from isomem.store.check import check, check_history
from isomem.store.snapshot import snapshot
from isomem.text.terms import TermEncoder

ROOT = Path(__file__).resolve().parents[3]
WRITER = """
import sys
from isomem import Memory
memory = Memory.from_config({
    "vector_store": {"provider": "embedded", "config": {"path": sys.argv[1], "synchronous": "off"}},
    "embedder": {"provider": "mock", "config": {"embedding_dims": 16}},
})
number = 0
while True:
    added = memory.add(f"text {number}", user_id=f"u{number % 3}", infer=False)
    if number % 3 == 2:
        memory.delete(added["results"][0]["id"])
    number += 1
    print(number, flush=True)
"""


def memory_at(path: Path, **config: Any) -> Memory:
    return Memory.from_config(
        {
            "vector_store": {"provider": "embedded", "config": {"path": str(path)}},
            "embedder": {"provider": "mock", "config": {"embedding_dims": 16}},
            **config,
        }
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "memory.db"
    memory = memory_at(path)
    for number in range(5):
        memory.add(f"text {number}", user_id="ana", infer=False)
    memory.close()
    return path


def findings(path: Path) -> list[Any]:
    with snapshot(str(path)) as connection:
        return [*check(connection, TermEncoder()), *check_history(connection)]


def texts(path: Path) -> set[str]:
    memory = memory_at(path)
    found = memory.get_all(filters={"user_id": "ana"})["results"]
    memory.close()
    return {each["memory"] for each in found}


def copies_in(folder: Path) -> set[str]:
    return {each.name for each in folder.glob("copy*")}


def test_the_copy_has_everything(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    size = backup(str(source), str(target))
    assert size == target.stat().st_size
    assert findings(target) == []
    assert texts(target) == texts(source) == {f"text {number}" for number in range(5)}


def test_what_is_in_the_log_of_an_open_memory_is_copied(source: Path, tmp_path: Path) -> None:
    memory = memory_at(source)
    memory.add("the latest", user_id="ana", infer=False)
    backup(str(source), str(tmp_path / "copy.db"))
    memory.add("too late", user_id="ana", infer=False)
    memory.close()
    assert "the latest" in texts(tmp_path / "copy.db")
    assert "too late" not in texts(tmp_path / "copy.db")


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_the_copy_is_private_whatever_the_umask(source: Path, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        backup(str(source), str(tmp_path / "copy.db"))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600


def test_copies_made_while_another_process_writes_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert writer.stdout is not None
    try:
        for round_ in range(8):
            acknowledged = 0
            for _ in range(40):
                acknowledged = int(writer.stdout.readline())
            target = tmp_path / f"copy-{round_}.db"
            backup(str(path), str(target))
            assert findings(target) == []
            with snapshot(str(target)) as connection:
                rows = connection.execute("SELECT count(*) FROM history WHERE event = 'ADD'")
                assert rows.fetchall()[0][0] >= acknowledged
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()


def test_nothing_is_replaced(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    with pytest.raises(ValidationError, match="precious exists already"):
        backup(str(source), str(target))
    assert target.read_text() == "mine"
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValidationError, match="exists already"):
        backup(str(source), str(tmp_path / "dangling"))


def test_a_log_of_another_file_would_be_mixed_with_the_copy(source: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.db-wal").write_text("frames")
    with pytest.raises(ValidationError, match=r"copy\.db-wal exists already"):
        backup(str(source), str(tmp_path / "copy.db"))


def test_a_name_that_is_taken_meanwhile_is_not_replaced(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "copy.db"
    real = os.link

    def slow_link(*args: Any) -> None:
        target.write_text("mine")
        real(*args)

    monkeypatch.setattr(os, "link", slow_link)
    with pytest.raises(ValidationError, match="exists already"):
        backup(str(source), str(target))
    assert target.read_text() == "mine"
    assert copies_in(tmp_path) == {"copy.db"}


def test_a_file_system_without_hard_links_will_do(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    backup(str(source), str(tmp_path / "copy.db"))
    assert findings(tmp_path / "copy.db") == []


def test_a_directory_that_is_not_there_is_named(source: Path, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"absent/copy\.db cannot be written: No such file"):
        backup(str(source), str(tmp_path / "absent" / "copy.db"))


@pytest.mark.parametrize(("content", "kind"), [(None, DatabaseError),
                                               (b"x" * 5000, MemoryCorruptionError)])  # fmt: skip
def test_a_source_that_cannot_be_read_leaves_nothing_behind(
    tmp_path: Path, content: bytes | None, kind: type[Exception]
) -> None:
    source = tmp_path / "source.db"
    if content:
        source.write_bytes(content)
    with pytest.raises(kind, match=r"source\.db"):
        backup(str(source), str(tmp_path / "copy.db"))
    assert copies_in(tmp_path) == set()


def test_a_full_disk_leaves_nothing_behind(source: Path, tmp_path: Path) -> None:
    """The size limit of the process stands for the end of the disk."""
    code = (
        "import resource, signal, sys\n"
        "from isomem.errors import DatabaseError\n"
        "from isomem.store.backup import backup\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "try: backup(*sys.argv[1:])\n"
        "except DatabaseError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(source), str(tmp_path / "copy.db")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert "copy.db cannot be written" in done.stdout
    assert copies_in(tmp_path) == set()


def test_a_history_alone_is_copied_too(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "history.db"))
    connection.execute("CREATE TABLE history (id); INSERT INTO history VALUES (1)")
    backup(str(tmp_path / "history.db"), str(tmp_path / "copy.db"))
    connection.close()
    assert (tmp_path / "copy.db").stat().st_size > 0
