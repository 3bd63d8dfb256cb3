"""Keys: what is kept of them, who they let in, and for how long."""

from __future__ import annotations

import json
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isomem.errors import DatabaseError, MemoryNotFoundError
from isomem.serve import keys as module
from isomem.serve.keys import EVERYTHING, PREFIX, Keys, open_file
from isomem.serve.keys import _key as made
from isomem.serve.queue import Queue

ANA = [{"user_id": "ana"}]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "of" / "service.db")


@pytest.fixture
def keys(path: str) -> Iterator[Keys]:
    opened = Keys(path)
    yield opened
    opened.close()


def test_a_key_is_found_again_with_all_that_it_was_made_with(keys: Keys) -> None:
    text, made = keys.create(
        "the bot", ["read", "write"], ANA, rate_per_minute=7, expires_at=time.time() + 60
    )
    found = keys.verify(text)
    assert found is not None
    noted = {"last_used_at": found.last_used_at}
    assert found.shown() == {**made.shown(), **noted}
    assert found.shown()["rights"] == ["read", "write"]
    assert found.shown()["grants"] == ANA
    assert json.loads(json.dumps(found.shown())) == found.shown()


def test_the_secret_is_nowhere_in_the_file(keys: Keys, path: str) -> None:
    secrets = [keys.create("k", ["read"], ANA)[0].split("_", 2)[2] for _ in range(5)]
    keys.close()
    for each in Path(path).parent.iterdir():
        content = each.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content]


def test_only_its_owner_can_read_the_file(keys: Keys, path: str) -> None:
    keys.create("k", ["read"], ANA)
    for each in Path(path).parent.iterdir():
        assert stat.S_IMODE(each.stat().st_mode) & 0o077 == 0, each


def test_keys_are_read_again_only_if_one_has_changed(
    keys: Keys, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has jobs as well, and is written to all the time."""
    text, key = keys.create("k", ["read"], ANA)
    assert keys.verify(text)
    other, queue = Keys(path), Queue(path)
    read: list[Any] = []
    monkeypatch.setattr(module, "_key", lambda row: read.append(row) or made(row))
    for number in range(5):
        queue.add("k", None, "d", "add", {}, str(number))
        assert keys.verify(text)
    assert other.verify(text)
    assert len(read) == 1
    assert keys.verify(text)  # A use is no change.
    assert len(read) == 1
    again, _ = other.rotate(key.id)
    assert keys.verify(text) is None
    assert keys.verify(again)
    other.revoke(key.id)
    assert keys.verify(again) is None
    raw = open_file(path)
    raw.execute("UPDATE keys SET revoked_at = NULL")  # By an older version, or by hand.
    assert keys.verify(again)
    raw.execute("DELETE FROM keys")
    assert keys.verify(again) is None
    for each in (other, queue, raw):
        each.close()


def test_when_a_key_was_last_used_is_listed_by_every_process(keys: Keys, path: str) -> None:
    text, _ = keys.create("k", ["read"], ANA)
    other = Keys(path)
    assert [key.last_used_at for key in other.all()] == [None]
    assert keys.verify(text)
    assert [key.last_used_at for key in other.all()] != [None]
    other.close()


def test_keys_are_long_and_never_the_same(keys: Keys) -> None:
    made = {keys.create("k", ["read"], ANA)[0] for _ in range(50)}
    assert len(made) == 50
    assert min(map(len, made)) > 50
    assert all(text.startswith(PREFIX) for text in made)


@pytest.mark.parametrize("change", ["shorter", "longer", "case", "other secret", "other id"])
def test_a_key_that_is_almost_right_is_wrong(keys: Keys, change: str) -> None:
    text, key = keys.create("k", ["read"], ANA)
    other, _ = keys.create("other", ["read"], ANA)
    wrong = {
        "shorter": text[:-1],
        "longer": f"{text}A",
        "case": text.swapcase(),
        "other secret": f"{PREFIX}{key.id}_{other.split('_', 2)[2]}",
        "other id": f"{PREFIX}{'0' * len(key.id)}_{text.split('_', 2)[2]}",
    }[change]
    assert keys.verify(wrong) is None
    assert keys.verify(text) is not None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=80))
def test_whatever_is_shown_lets_nobody_in(keys: Keys, text: str) -> None:
    for shown in (text, PREFIX + text):
        assert keys.verify(shown) is None


def test_a_lone_surrogate_lets_nobody_in(keys: Keys) -> None:
    assert keys.verify(f"{PREFIX}\ud800_\udfff") is None


def test_a_revoked_key_ends_and_stays_in_the_list(keys: Keys) -> None:
    text, key = keys.create("k", ["read"], ANA)
    keys.revoke(key.id)
    assert keys.verify(text) is None
    assert [each.revoked_at is not None for each in keys.all()] == [True]
    for again in (keys.revoke, keys.rotate):
        with pytest.raises(MemoryNotFoundError, match=key.id):
            again(key.id)


def test_rotating_ends_the_old_secret_at_once_and_keeps_the_rest(keys: Keys) -> None:
    text, key = keys.create("k", ["write"], ANA, rate_per_minute=3)
    new, after = keys.rotate(key.id)
    assert keys.verify(text) is None
    assert keys.verify(new) is not None
    assert (after.id, after.name, after.rights, after.rate_per_minute) == (
        key.id, "k", {"write"}, 3,
    )  # fmt: skip


def test_a_key_expires(keys: Keys) -> None:
    now = time.time()
    text, key = keys.create("k", ["read"], ANA, expires_at=now + 3600)
    assert keys.verify(text) is not None
    assert key.works_at(now + 3599)
    assert not key.works_at(now + 3600)
    gone, _ = keys.create("gone", ["read"], ANA, expires_at=now - 1)
    assert keys.verify(gone) is None


def test_another_process_sees_every_change_at_once(keys: Keys, path: str) -> None:
    other = Keys(path)
    text, key = keys.create("k", ["read"], ANA)
    assert other.verify(text) is not None
    new, _ = other.rotate(key.id)
    assert keys.verify(text) is None
    assert keys.verify(new) is not None
    keys.revoke(key.id)
    assert other.verify(new) is None
    other.close()


def test_its_last_use_is_noted_but_not_every_time(keys: Keys, path: str) -> None:
    text, key = keys.create("k", ["read"], ANA)
    assert keys.get(key.id).last_used_at is None
    keys.verify(text)
    first = keys.get(key.id).last_used_at
    assert first is not None
    for _ in range(20):
        keys.verify(text)
    assert keys.get(key.id).last_used_at == first
    other = Keys(path)
    assert other.get(key.id).last_used_at == first
    other.close()


def test_keys_are_listed_in_the_order_in_which_they_were_made(keys: Keys) -> None:
    names = [f"key {number}" for number in range(8)]
    for name in names:
        keys.create(name, ["read"], ANA)
    assert [key.name for key in keys.all()] == names


def test_threads_make_and_check_keys_at_once(keys: Keys) -> None:
    failed: list[str] = []

    def work(number: int) -> None:
        for _ in range(10):
            text, key = keys.create(f"key {number}", ["read"], ANA)
            if keys.verify(text) is None:
                failed.append(key.id)
            keys.revoke(key.id)
            if keys.verify(text) is not None:
                failed.append(key.id)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(keys.all()) == 40


@pytest.mark.parametrize(
    ("name", "rights", "grants", "rate", "fault"),
    [
        ("", ["read"], ANA, None, "name"),
        (" \t", ["read"], ANA, None, "name"),
        (None, ["read"], ANA, None, "name"),
        ("\ud800", ["read"], ANA, None, "name"),
        ("k", [], ANA, None, "Invalid right: none"),
        ("k", ["read", "own"], ANA, None, "'own'"),
        ("k", ["read"], [], None, "grant"),
        ("k", ["read"], [{"user": "ana"}], None, "'user'"),
        ("k", ["read"], ANA, 0, "rate_per_minute"),
        ("k", ["read"], ANA, -5, "rate_per_minute"),
        ("k", ["read"], ANA, 1.5, "rate_per_minute"),
        ("k", ["read"], ANA, True, "rate_per_minute"),
        ("k", ["read"], ANA, 10**30, "rate_per_minute"),
    ],
)
def test_what_no_key_can_be(
    keys: Keys, name: Any, rights: Any, grants: Any, rate: Any, fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        keys.create(name, rights, grants, rate_per_minute=rate)
    assert keys.all() == []


@pytest.mark.parametrize("moment", [float("inf"), float("nan"), 1e300, 10**400, -1, "soon", True])
def test_no_key_expires_when_no_date_can_say(keys: Keys, moment: Any) -> None:
    with pytest.raises(ValueError, match="expires"):
        keys.create("k", ["read"], ANA, expires_at=moment)
    assert keys.all() == []


def test_a_busy_file_does_not_keep_a_caller_waiting(keys: Keys, path: str) -> None:
    """Only the note of the last use is lost."""
    import apsw

    text, key = keys.create("k", ["read"], ANA)
    other = apsw.Connection(path)
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    assert keys.verify(text) is not None
    assert time.monotonic() - started < 5
    other.execute("ROLLBACK")
    keys.revoke(key.id)
    assert keys.verify(text) is None


def test_a_change_waits_for_its_turn_and_a_caller_does_not_wait_for_the_change(
    keys: Keys, path: str
) -> None:
    import apsw

    text, _ = keys.create("k", ["read"], ANA)
    other = apsw.Connection(path)
    other.execute("BEGIN IMMEDIATE")
    changing = threading.Thread(target=keys.create, args=("l", ["read"], ANA))
    changing.start()
    started = time.monotonic()
    for _ in range(20):
        assert keys.verify(text) is not None
        time.sleep(0.01)
    assert time.monotonic() - started < 5
    assert changing.is_alive()
    other.execute("COMMIT")
    changing.join()
    other.close()
    assert [key.name for key in keys.all()] == ["k", "l"]


def test_a_change_does_not_wait_for_ever(
    keys: Keys, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import apsw

    monkeypatch.setattr(module, "BUSY_MS", 50)
    other = apsw.Connection(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(apsw.BusyError):
        keys.create("k", ["read"], ANA)
    other.execute("COMMIT")
    other.close()
    assert keys.all() == []


def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("This is no database, but notes that somebody needs. " * 40)
    before = path.read_bytes()
    with pytest.raises(DatabaseError, match=r"notes\.txt"):
        Keys(str(path))
    assert path.read_bytes() == before


def test_keys_in_memory_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keys = Keys(":memory:")
    text, _ = keys.create("k", ["read"], ANA)
    assert keys.verify(text) is not None
    keys.close()
    assert list(tmp_path.iterdir()) == []


def test_without_authentication_a_caller_may_do_everything() -> None:
    assert EVERYTHING.rights == {"read", "write", "admin"}
    assert EVERYTHING.works_at(time.time())
    assert [grant.patterns for grant in EVERYTHING.grants] == [{}]
