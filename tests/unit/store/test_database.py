"""A file that is missing, private, locked, full, read-only, damaged or somebody else's."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from isomem.errors import (
    DatabaseError,
    InvalidConfigError,
    MemoryCorruptionError,
    MemoryError,
)
from isomem.store.database import DEFAULT_BUSY_TIMEOUT_S, Database
from isomem.store.schema import prepare_store
from tests.unit.store.conftest import Opened, prepare_both

Open = Callable[..., Opened]
SOURCE = Path(__file__).resolve().parents[3] / "src"


def child(code: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Another process that runs `code` with isomem to import."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        **options,
    )  # fmt: skip


def names(one: Opened) -> list[str]:
    return [point.id for point in one.points.list(top_k=None)[0]]


# --- Opening ---------------------------------------------------------------------------------


def test_the_file_and_its_directory_are_made_for_their_owner_alone(
    tmp_path: Path, opened: Open
) -> None:
    old = os.umask(0)
    try:
        path = tmp_path / "new" / "deeper" / "memory.db"
        opened(path).points.insert([[1.0]], [{}], ["x"])
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_a_file_that_is_there_keeps_its_mode(path: Path, opened: Open) -> None:
    path.touch(mode=0o640)
    path.chmod(0o640)
    opened()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(("name", "number"), [("full", 2), ("normal", 1), ("off", 0)])
def test_the_write_ahead_log_and_the_chosen_durability_are_set(
    opened: Open, name: str, number: int
) -> None:
    database = opened(synchronous=name).database
    assert database.rows("PRAGMA journal_mode") == [("wal",)]
    assert database.rows("PRAGMA synchronous") == [(number,)]


def test_a_statement_keeps_its_plan_whatever_is_bound_to_it(opened: Open) -> None:
    assert opened().database.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, -1)


def test_the_switch_to_the_log_waits_for_another_process(path: Path, opened: Open) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE other (x)")
    connection.execute("BEGIN EXCLUSIVE")
    error = refusal(lambda: opened(busy_timeout_s=0.1), DatabaseError, path)
    assert "locked" in error.message
    threading.Timer(0.2, lambda: connection.execute("ROLLBACK")).start()
    assert opened(busy_timeout_s=30).database.rows("PRAGMA journal_mode") == [("wal",)]
    connection.close()


def test_durability_is_full_unless_chosen_otherwise(opened: Open) -> None:
    assert opened().database.rows("PRAGMA synchronous") == [(2,)]


def test_an_unknown_durability_is_refused_with_the_nearest(path: Path) -> None:
    with pytest.raises(InvalidConfigError, match="Did you mean 'full'"):
        Database(str(path), prepare_store, synchronous="ful")
    assert not path.exists()


def test_memory_only_writes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = Opened(":memory:")
    one.points.insert([[1.0]], [{}], ["x"])
    assert names(one) == ["x"]
    one.close()
    assert not list(tmp_path.iterdir())


def refusal(action: Callable[[], Any], kind: type[MemoryError], path: Path | str) -> MemoryError:
    """The error: it names the file, and says what to do."""
    with pytest.raises(MemoryError) as caught:
        action()
    error = caught.value
    assert type(error) is kind
    assert str(path) in error.message
    assert error.suggestion
    assert error.error_code
    return error


def test_a_directory_is_no_memory_file(tmp_path: Path, opened: Open) -> None:
    refusal(lambda: opened(tmp_path), DatabaseError, tmp_path)


def test_a_path_through_a_file_cannot_be_opened(path: Path, opened: Open) -> None:
    path.write_text("text")
    error = refusal(lambda: opened(path / "memory.db"), DatabaseError, path)
    assert "cannot be opened" in error.message


@pytest.mark.parametrize("content", [b"not a database at all " * 100, b"x" * 50, b"\0" * 4096])
def test_a_file_that_is_no_database_is_left_as_it_is(
    path: Path, opened: Open, content: bytes
) -> None:
    path.write_bytes(content)
    error = refusal(opened, MemoryCorruptionError, path)
    assert "not a SQLite database" in error.message
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_left_as_it_is(path: Path, opened: Open) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE points (x)")
        connection.execute("INSERT INTO points VALUES (1)")
    connection.close()
    refused = pytest.raises(MemoryCorruptionError, match="another program")
    with refused as caught:
        opened()
    assert caught.value.details["tables"] == ["points"]
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT * FROM points").fetchall() == [(1,)]
        tables = connection.execute("SELECT name FROM sqlite_schema").fetchall()
    connection.close()
    assert tables == [("points",)]


def test_a_database_marked_by_another_program_is_refused(path: Path, opened: Open) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 7")
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(MemoryCorruptionError, match="another program"):
        opened()


def filled(opened: Open) -> Path:
    one = opened()
    payloads = [{"user_id": "u", "data": f"tea number {number}" * 20} for number in range(200)]
    one.points.insert([[1.0] * 50] * 200, payloads, [f"{number:03}" for number in range(200)])
    one.close()
    return Path(one.database.path)


def test_a_truncated_file_is_called_damaged(path: Path, opened: Open) -> None:
    file = filled(opened)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])

    def use() -> None:
        one = opened()
        one.points.list(top_k=None)
        one.points.search("", [1.0] * 50, 500)

    error = refusal(use, MemoryCorruptionError, path)
    assert "damaged" in error.message
    file.write_bytes(content)
    assert len(names(opened())) == 200


def test_overwritten_pages_are_called_damaged(path: Path, opened: Open) -> None:
    file = filled(opened)
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xee" * (len(content) - 4096))

    def use() -> None:
        opened().points.list()

    refusal(use, MemoryCorruptionError, path)


# --- Read-only -------------------------------------------------------------------------------

AS_ANOTHER_USER = """
import json, os, sys
from isomem.errors import MemoryError
from isomem.store.database import Database
from isomem.store.schema import prepare_store
from isomem.store.collection import Collection
from isomem.store.cache import ScopeCache
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    database = Database(sys.argv[1], prepare_store)
    Collection(database, "mem0", ScopeCache(database, 0)).insert([[1.0] * 50], [{}], ["new"])
except MemoryError as error:
    print(json.dumps([type(error).__name__, error.message, error.suggestion]))
"""


@pytest.fixture
def reachable(tmp_path: Path) -> Path:
    """A folder that another user can enter."""
    folder = tmp_path / "shared"
    folder.mkdir()
    for each in (folder, *folder.parents):
        if each.stat().st_uid == os.getuid() and each != Path("/"):
            each.chmod(each.stat().st_mode | 0o111)
    return folder


@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "message"),
    [(0o755, 0o644, "is read-only"), (0o777, 0o444, "is read-only"), (0o755, 0o600, "cannot be")],
)
def test_a_file_that_cannot_be_written_says_so(
    reachable: Path, opened: Open, folder_mode: int, file_mode: int, message: str
) -> None:
    if os.getuid():
        folder_mode, file_mode = folder_mode & 0o555, file_mode & 0o444
    path = reachable / "memory.db"
    one = opened(path)
    one.points.insert([[1.0] * 50], [{}], ["old"])
    one.close()
    path.chmod(file_mode)
    reachable.chmod(folder_mode)
    try:
        output, errors = child(AS_ANOTHER_USER, str(path)).communicate(timeout=60)
    finally:
        reachable.chmod(0o755)
        path.chmod(0o600)
    assert output, errors
    kind, text, suggestion = json.loads(output)
    assert kind == "DatabaseError"
    assert str(path) in text
    assert message in text
    assert suggestion
    assert names(opened(path)) == ["old"]


READS_AS_ANOTHER_USER = """
import json, os, sys, time
from isomem.errors import DatabaseError
from isomem.store.database import Database
from isomem.store.schema import prepare_ledger, prepare_store
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
def prepare_both(connection):
    prepare_store(connection)
    prepare_ledger(connection)
def ids():
    with database.reading():
        return [row[0] for row in database.rows("SELECT id FROM points ORDER BY 1")]
def wait(word):
    print(json.dumps(word), flush=True)
    sys.stdin.readline()
def refused(work):
    try:
        work()
    except DatabaseError as error:
        return error.message
def write():
    with database.writing():
        database.execute("DELETE FROM points")
def read_slowly():
    with database.reading():
        database.rows("SELECT id FROM points")
        wait("inside")
database = Database(sys.argv[1], prepare_both)
wait([ids(), refused(write)])
wait([ids(), refused(write)])
wait([refused(read_slowly), ids()])
"""


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o755, 0o644), (0o777, 0o444)])
@pytest.mark.parametrize("is_open", [True, False])
def test_a_file_that_cannot_be_written_can_be_read_and_follows_its_writer(
    reachable: Path, opened: Open, folder_mode: int, file_mode: int, is_open: bool
) -> None:
    if os.getuid():
        pytest.skip("needs another user")
    path = reachable / "memory.db"

    def add(name: str) -> None:
        one = opened(path)
        one.points.insert([[1.0]], [{}], [name])
        if not is_open:
            one.close()

    def answer() -> Any:
        assert reader.stdout is not None
        return json.loads(reader.stdout.readline())

    def go_on() -> None:
        assert reader.stdin is not None
        reader.stdin.write("\n")
        reader.stdin.flush()

    add("1")
    reachable.chmod(folder_mode)
    for file in reachable.iterdir():
        file.chmod(file_mode)
    reader = child(READS_AS_ANOTHER_USER, str(path), stdin=subprocess.PIPE)
    try:
        found, message = answer()
        assert found == ["1"]
        assert "is read-only; nothing was stored" in message
        add("2")
        go_on()
        assert answer()[0] == ["1", "2"]
        go_on()
        assert answer() == "inside"
        add("3")
        go_on()
        message, found = answer()
        assert found == ["1", "2", "3"]
        without_locks = not is_open and folder_mode == 0o755
        assert message is None or (without_locks and "read without locks" in message)
        assert bool(message) == without_locks
    finally:
        output, errors = reader.communicate("\n", timeout=60)
        reachable.chmod(0o755)
    assert not output, errors
    assert names(opened(path)) == ["1", "2", "3"]


# --- Locked ----------------------------------------------------------------------------------

LOCKS = """
import sys, apsw
connection = apsw.Connection(sys.argv[1])
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE collections SET documents = documents")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
print("free", flush=True)
"""


def test_a_write_gives_up_when_another_process_writes_for_too_long(
    path: Path, opened: Open
) -> None:
    one = opened(busy_timeout_s=0.2)
    one.points.insert([[1.0]], [{}], ["x"])
    other = child(LOCKS, str(path), stdin=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == "locked\n"
    waits = []
    for _ in range(3):
        started = time.monotonic()
        error = refusal(lambda: one.points.insert([[1.0]], [{}], ["y"]), DatabaseError, path)
        waits.append(time.monotonic() - started)
    # The wait is the store's own and not the default. The least of three: a machine would have to
    # stand still three times, for seconds each, to make it look like the default.
    assert 0.15 < min(waits) < DEFAULT_BUSY_TIMEOUT_S / 2
    assert "locked" in error.message
    assert "0.2 s" in error.message
    assert "busy_timeout_s" in str(error.suggestion)
    assert names(one) == ["x"]  # Reading goes on.
    assert names(opened(busy_timeout_s=0.1)) == ["x"]  # So does opening.
    other.communicate("\n", timeout=60)
    one.points.insert([[1.0]], [{}], ["y"])
    assert names(opened()) == ["x", "y"]


def test_a_write_waits_for_another_process(path: Path, opened: Open) -> None:
    one = opened(busy_timeout_s=30)
    other = child(LOCKS, str(path), stdin=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == "locked\n"
    threading.Timer(0.3, lambda: other.communicate("\n", timeout=60)).start()
    one.points.insert([[1.0]], [{}], ["x"])
    assert names(one) == ["x"]
    other.wait(60)


def test_opening_does_not_wait_for_a_writer(path: Path, opened: Open) -> None:
    opened().points.insert([[1.0]], [{}], ["x"])
    other = child(LOCKS, str(path), stdin=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == "locked\n"
    database = Database(str(path), prepare_both, busy_timeout_s=0)
    with database.reading():
        assert database.rows("SELECT id FROM points") == [("x",)]
    database.close()
    other.communicate("\n", timeout=60)


def test_what_is_prepared_takes_the_write_lock_only_to_write(path: Path, opened: Open) -> None:
    database = opened(busy_timeout_s=0).database
    holder = apsw.Connection(str(path))
    holder.execute("BEGIN IMMEDIATE")
    counted = database.prepared(lambda: database.rows("SELECT count(*) FROM collections")[0][0])
    assert counted == 2
    with pytest.raises(DatabaseError, match="is locked"):
        database.prepared(lambda: database.execute("DELETE FROM collections"))
    holder.execute("ROLLBACK")
    database.prepared(lambda: database.execute("DELETE FROM collections"))
    assert database.rows("SELECT count(*) FROM collections") == [(0,)]
    with pytest.raises(ZeroDivisionError):
        database.prepared(lambda: 1 / 0)
    with database.writing():
        database.execute("DELETE FROM scopes")
    holder.close()


# --- A file that is moved away ---------------------------------------------------------------


def move(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


def replace(path: Path) -> None:
    other = path.with_name("other.db")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def remove_log(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


def remove_index(path: Path) -> None:
    path.with_name(f"{path.name}-shm").unlink()


def remove_everything(path: Path) -> None:
    for file in path.parent.iterdir():
        file.unlink()


def move_the_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.mkdir()


def take_the_folder_away(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be moved")
@pytest.mark.parametrize(
    "happening",
    [
        move,
        replace,
        remove_log,
        remove_index,
        remove_everything,
        move_the_folder,
        take_the_folder_away,
        Path.unlink,
    ],
)
@pytest.mark.parametrize("pause_s", [0, 0.15])
def test_a_write_to_a_file_that_is_not_there_any_more_is_refused(
    path: Path, opened: Open, happening: Callable[[Path], object], pause_s: float
) -> None:
    path = path.with_name("folder") / path.name
    one = opened(path)
    one.points.insert([[1.0]], [{}], ["x"])
    time.sleep(pause_s)  # Longer ago than the grain of a file's times, or not.
    one.points.insert([[1.0]], [{}], ["y"])
    happening(path)
    for _ in range(2):
        error = refusal(lambda: one.points.insert([[1.0]], [{}], ["z"]), DatabaseError, path)
        assert "moved, replaced or deleted while it was open; nothing was stored" in error.message
    assert names(one) == ["x", "y"]


def test_a_file_that_is_moved_back_can_be_written_again(path: Path, opened: Open) -> None:
    one = opened()
    one.points.insert([[1.0]], [{}], ["x"])
    move(path)
    with pytest.raises(DatabaseError, match="was moved"):
        one.points.insert([[1.0]], [{}], ["y"])
    path.with_name("moved.db").rename(path)
    one.points.insert([[1.0]], [{}], ["z"])
    assert names(opened()) == ["x", "z"]


def test_a_file_that_is_moved_during_a_block_is_noticed_before_it_ends(
    path: Path, opened: Open
) -> None:
    one = opened()
    with pytest.raises(DatabaseError, match="was moved"), one.points.atomic():
        one.points.insert([[1.0]], [{}], ["x"])
        move(path)
    assert names(one) == []


# --- A file that somebody else has made ------------------------------------------------------


def test_triggers_and_views_in_a_file_do_not_run(path: Path, opened: Open) -> None:
    opened().close()
    other = apsw.Connection(str(path))
    other.execute(
        "CREATE TRIGGER evil AFTER INSERT ON points BEGIN DELETE FROM points; END;"
        "CREATE TRIGGER worse AFTER INSERT ON insertions BEGIN SELECT raise(FAIL, 'no'); END;"
        "CREATE VIEW shown AS SELECT 1 AS x"
    )
    other.close()
    one = opened()
    one.points.insert([[1.0]], [{}], ["x"])
    assert names(one) == ["x"]
    with pytest.raises(DatabaseError, match="view"), one.database.reading() as database:
        database.rows("SELECT x FROM shown")


def test_a_file_cannot_make_its_reader_call_functions_or_rewrite_the_schema(
    path: Path, opened: Open
) -> None:
    connection = opened().database.connection
    assert connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, -1)
    assert not connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, -1)


# --- A full disk -----------------------------------------------------------------------------


def test_a_full_disk_loses_nothing_and_works_again_after(path: Path, opened: Open) -> None:
    one = opened()
    one.points.insert([[1.0]], [{"user_id": "u", "data": "tea"}], ["x"])
    pages = one.database.rows("PRAGMA page_count")[0][0]
    one.database.execute(f"PRAGMA max_page_count = {pages + 2}")
    big = {"user_id": "u", "data": "tea " * 20_000}
    error = refusal(lambda: one.points.insert([[1.0]], [big], ["y"]), DatabaseError, path)
    assert "the disk is full" in error.message
    assert names(one) == ["x"]
    assert [hit.id for hit in one.points.search("", [1.0], 5, {"user_id": "u"})] == ["x"]
    one.database.execute("PRAGMA max_page_count = 1000000")
    one.points.insert([[1.0]], [big], ["y"])
    assert names(opened()) == ["x", "y"]


def test_a_full_disk_inside_a_block_undoes_all_of_the_block(path: Path, opened: Open) -> None:
    """Even when somebody inside swallows the error, no half of the block is there."""
    one = opened()
    pages = one.database.rows("PRAGMA page_count")[0][0]
    one.database.execute(f"PRAGMA max_page_count = {pages + 40}")

    def half_swallowed() -> None:
        with one.points.atomic():
            one.points.insert([[1.0]], [{"data": "first"}], ["x"])
            try:
                with one.points.atomic():
                    for number in range(100):
                        big = {"data": "tea", "more": "x" * 50_000}
                        one.points.insert([[1.0]], [big], [f"big{number}"])
            except DatabaseError as error:
                assert "the disk is full" in error.message  # noqa: PT017
            one.points.insert([[1.0]], [{"data": "last"}], ["z"])

    try:
        half_swallowed()
    except DatabaseError as error:
        assert str(path) in error.message  # noqa: PT017
        expected: list[str] = []
    else:
        expected = ["x", "z"]
    assert names(one) == expected
    assert names(opened()) == expected
    one.database.execute("PRAGMA max_page_count = 1000000")
    one.points.insert([[1.0]], [{}], ["after"])
    assert names(opened()) == sorted([*expected, "after"])


def test_when_sqlite_undoes_a_block_by_itself_nothing_of_it_stays(path: Path, opened: Open) -> None:
    one = opened()

    def lose() -> None:
        with one.points.atomic():
            one.points.insert([[1.0]], [{}], ["before"])
            with pytest.raises(ZeroDivisionError), one.points.atomic():
                one.database.execute("ROLLBACK")  # As SQLite does on some errors of the disk.
                raise ZeroDivisionError
            one.points.insert([[1.0]], [{}], ["after"])

    error = refusal(lose, DatabaseError, path)
    assert "nothing of it was stored" in error.message
    assert names(one) == []
    assert names(opened()) == []
    one.points.insert([[1.0]], [{}], ["x"])
    assert names(opened()) == ["x"]


def test_a_block_that_sqlite_undid_cannot_end_as_if_it_was_kept(path: Path, opened: Open) -> None:
    one = opened()

    def lose() -> None:
        with one.points.atomic():
            one.points.insert([[1.0]], [{}], ["before"])
            one.database.execute("ROLLBACK")

    assert "nothing of it" in refusal(lose, DatabaseError, path).message
    assert names(opened()) == []


@pytest.mark.skipif(
    os.getuid() != 0 or not Path("/proc/mounts").exists(), reason="mounts a file system"
)
def test_a_file_system_without_space_is_a_full_disk(tmp_path: Path, opened: Open) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        path, ballast = folder / "memory.db", folder / "ballast"
        one = opened(path)
        ballast.write_bytes(b"x" * 100_000)
        done = 0
        with pytest.raises(DatabaseError, match="the disk is full"):
            for number in range(1000):
                payload = {"user_id": "u", "data": f"tea {number} " + "x" * 3000}
                one.points.insert([[1.0] * 10], [payload], [f"{number:04}"])
                done = number + 1
        assert len(names(one)) == done > 0
        assert len(one.points.search("", [1.0] * 10, 1000, {"user_id": "u"})) == done
        ballast.unlink()
        one.points.insert([[1.0] * 10], [{"data": "small"}], ["new"])
        one.close()
        reopened = opened(path)
        assert len(names(reopened)) == done + 1
        reopened.close()
    finally:
        one.close()
        subprocess.run(["umount", str(folder)], check=True)


# --- Blocks ----------------------------------------------------------------------------------


def test_another_thread_waits_for_the_end_of_a_block(opened: Open) -> None:
    one = opened()
    seen: list[list[str]] = []
    with one.points.atomic():
        one.points.insert([[1.0]], [{}], ["x"])
        thread = threading.Thread(target=lambda: seen.append(names(one)))
        thread.start()
        time.sleep(0.05)
        assert not seen
        one.points.insert([[1.0]], [{}], ["y"])
    thread.join()
    assert seen == [["x", "y"]]


def test_a_read_block_sees_one_state_of_the_file(opened: Open) -> None:
    one, other = opened(), opened()
    with one.database.reading():
        assert names(one) == []
        other.points.insert([[1.0]], [{}], ["x"])
        assert names(one) == []
    assert names(one) == ["x"]


def test_a_block_that_cannot_begin_leaves_no_trace(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened()
    cursor = one.database._cursor

    class Failing:
        def execute(self, sql: str, *rest: Any) -> Any:
            if "data_version" in sql:
                raise apsw.IOError("disk I/O error")
            return cursor.execute(sql, *rest)

    monkeypatch.setattr(one.database, "_cursor", Failing())
    for block in (one.database.reading, one.database.writing):
        with pytest.raises(DatabaseError, match="reading or writing the file failed"), block():
            pass
    monkeypatch.undo()
    one.points.insert([[1.0]], [{}], ["x"])
    assert names(opened()) == ["x"]


def test_after_a_failure_inside_sqlite_the_store_goes_on(path: Path, opened: Open) -> None:
    one = opened()
    with pytest.raises(DatabaseError, match="no such table") as caught, one.database.writing():
        one.points.insert([[1.0]], [{}], ["x"])
        one.database.execute("SELECT * FROM missing")
    assert str(path) in caught.value.message
    assert "missing" in caught.value.debug_info["sqlite"]
    assert names(one) == []
    with pytest.raises(DatabaseError), one.database.reading() as database:
        database.rows("SELECT * FROM missing")
    one.points.insert([[1.0]], [{}], ["y"])
    assert names(opened()) == ["y"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (apsw.BusyError, DatabaseError),
        (apsw.LockedError, DatabaseError),
        (apsw.FullError, DatabaseError),
        (apsw.ReadOnlyError, DatabaseError),
        (apsw.CantOpenError, DatabaseError),
        (apsw.IOError, DatabaseError),
        (apsw.NotADBError, MemoryCorruptionError),
        (apsw.CorruptError, MemoryCorruptionError),
        (apsw.MisuseError, DatabaseError),
    ],
)
def test_every_error_of_sqlite_is_one_of_ours_that_names_the_file(
    path: Path, opened: Open, error: type[apsw.Error], kind: type[MemoryError]
) -> None:
    def fail() -> None:
        with opened().database.writing():
            raise error("the words of SQLite")

    refused = refusal(fail, kind, path)
    assert refused.debug_info["sqlite"] == "the words of SQLite"
