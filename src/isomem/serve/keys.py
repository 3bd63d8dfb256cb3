"""API keys: who may call the service, what for, and whose memories they may touch.

A key is `iso_<id>_<secret>`. The file has the SHA-256 of a key, which is enough for a secret of 256
random bits; the key itself is shown once, when it is made.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from contextlib import suppress

from isomem.contract.arguments import shown
from isomem.errors import DatabaseError, MemoryNotFoundError
from isomem.serve.grants import Grant, check_grants
from isomem.serve.settings import RIGHTS
from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import Any

    import apsw

PREFIX = "iso_"
MOST_PER_MINUTE = 100_000_000
LAST_MOMENT = 253_402_300_800
"""The end of the year 9999, the last that a date can show, in seconds since 1970."""

BUSY_MS = 10_000
"""How long a write waits for those of other processes."""

_ID_BYTES = 6
_SECRET_BYTES = 32
_USE_NOTED_EVERY_S = 300
_TRIED_EVERY_S = 0.01

_TABLES = """
CREATE TABLE IF NOT EXISTS keys (
    id               TEXT PRIMARY KEY,
    name             TEXT NOT NULL,
    digest           BLOB NOT NULL,
    rights           TEXT NOT NULL,
    grants           TEXT NOT NULL,
    rate_per_minute  INTEGER,
    created_at       REAL NOT NULL,
    expires_at       REAL,
    last_used_at     REAL,
    revoked_at       REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (
    what             TEXT PRIMARY KEY,
    number           INTEGER NOT NULL
) WITHOUT ROWID;
"""
_MARK = (
    "INSERT INTO changes VALUES ('{what}', 1) ON CONFLICT (what) DO UPDATE SET number = number + 1"
)
_TRIGGERS = "".join(
    f"CREATE TRIGGER IF NOT EXISTS {name} AFTER {event} ON keys"
    f" BEGIN {_MARK.format(what='keys')}; END;"
    for name, event in (
        ("key_made", "INSERT"),
        ("key_removed", "DELETE"),
        (
            "key_changed",
            "UPDATE OF name, digest, rights, grants, rate_per_minute, expires_at, revoked_at",
        ),
    )
)
"""Count what is done to keys, but not their use, whichever program does it."""

_NUMBER = "SELECT number FROM changes WHERE what = ?"
_SELECT = (
    "SELECT id, name, digest, rights, grants, rate_per_minute, created_at, expires_at,"
    " last_used_at, revoked_at FROM keys"
)
_INSERT = "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Key:
    """One key, without its secret.

    Attributes:
        id: what it is called by; it is no secret.
        name: what it is for, in words.
        rights: those of `RIGHTS` that it has.
        grants: whose memories it may touch; see `Grant`. () means nobody's.
        rate_per_minute: the most calls per minute; None means the service's limit.
        created_at, expires_at, last_used_at, revoked_at: seconds since 1970, or None.
    """

    __slots__ = (
        "created_at", "digest", "expires_at", "grants", "id", "last_used_at", "name",
        "rate_per_minute", "revoked_at", "rights",
    )  # fmt: skip

    def __init__(
        self,
        key_id: str,
        name: str,
        digest: bytes,
        rights: Collection[str],
        grants: Sequence[Grant],
        rate_per_minute: int | None = None,
        created_at: float = 0,
        expires_at: float | None = None,
        last_used_at: float | None = None,
        revoked_at: float | None = None,
    ) -> None:
        self.id = key_id
        self.name = name
        self.digest = digest
        self.rights = frozenset(rights)
        self.grants = tuple(grants)
        self.rate_per_minute = rate_per_minute
        self.created_at = created_at
        self.expires_at = expires_at
        self.last_used_at = last_used_at
        self.revoked_at = revoked_at

    @classmethod
    def named(cls, key_id: str) -> Key:
        """A key of which only the id is known; it may do nothing."""
        return cls(key_id, "", b"", (), ())

    def works_at(self, now: float) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def limited(self, grant: Grant) -> Key:
        """The same key, for nothing but what a grant means, which must be part of its own."""
        return Key(
            self.id, self.name, self.digest, self.rights, (grant,), self.rate_per_minute,
            self.created_at, self.expires_at, self.last_used_at, self.revoked_at,
        )  # fmt: skip

    def shown(self) -> dict[str, Any]:
        """What an administrator sees."""
        return {
            "id": self.id,
            "name": self.name,
            "rights": [right for right in RIGHTS if right in self.rights],
            "grants": [grant.patterns for grant in self.grants],
            "rate_per_minute": self.rate_per_minute,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "last_used_at": self.last_used_at,
            "revoked_at": self.revoked_at,
        }


EVERYTHING = Key("none", "no authentication", b"", RIGHTS, (Grant({}),))
"""What a caller is where authentication is off."""


class Keys:
    """The keys in one file, which several processes may use at once.

    Args:
        path: the file, made with the first key; only its owner can read it. ":memory:" works.
        changed: called after each change: "create", "rotate" or "revoke", and the key.

    Raises:
        DatabaseError: the file cannot be opened, or is something else.
    """

    def __init__(self, path: str, changed: Callable[[str, Key], None] | None = None) -> None:
        self.path = path
        self._changed = changed
        self._lock = threading.Lock()
        self._connection = open_file(path)
        self._version = -1
        self._number = -1
        self._known: dict[str, Key] = {}

    def create(
        self,
        name: str,
        rights: Collection[str],
        grants: Sequence[Mapping[str, str]],
        *,
        rate_per_minute: int | None = None,
        expires_at: float | None = None,
    ) -> tuple[str, Key]:
        """Makes a key. Returns it, which cannot be shown again, and what is kept of it.

        Args:
            name: what it is for, in words.
            rights: some of "read", "write" and "admin".
            grants: whose memories it may touch: dicts of ids or patterns; [{}] means everybody's.

        Raises:
            ValueError: a name, right, grant, rate or time that cannot be.
        """
        _check(name, rights, rate_per_minute, expires_at)
        checked = check_grants(grants)
        key_id = secrets.token_hex(_ID_BYTES)
        text, digest = _new_secret(key_id)
        key = Key(
            key_id, name, digest, rights, checked, rate_per_minute, time.time(), expires_at
        )  # fmt: skip
        row = (
            key_id, name, digest, json.dumps(sorted(key.rights)),
            json.dumps([grant.patterns for grant in checked]), rate_per_minute, key.created_at,
            expires_at, None, None,
        )  # fmt: skip
        self._write(_INSERT, row)
        self._tell("create", key)
        return text, key

    def rotate(self, key_id: str) -> tuple[str, Key]:
        """A new secret for a key; the old one stops working at once.

        Raises:
            MemoryNotFoundError: there is no such key, or it is revoked.
        """
        text, digest = _new_secret(key_id)
        sql = "UPDATE keys SET digest = ? WHERE id = ? AND revoked_at IS NULL"
        if not self._write(sql, (digest, key_id)):
            raise _no_key(key_id)
        return text, self._tell("rotate", self.get(key_id))

    def revoke(self, key_id: str) -> Key:
        """Ends a key. It stays in the list.

        Raises:
            MemoryNotFoundError: there is no such key, or it is revoked.
        """
        sql = "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"
        if not self._write(sql, (time.time(), key_id)):
            raise _no_key(key_id)
        return self._tell("revoke", self.get(key_id))

    def _tell(self, change: str, key: Key) -> Key:
        if self._changed is not None:
            self._changed(change, key)
        return key

    def all(self) -> list[Key]:
        """Every key, oldest first, revoked ones too, and when each was last used."""
        with self._lock:
            self._version = self._number = -1  # Uses are not counted as changes.
            self._refresh()
            return sorted(self._known.values(), key=lambda key: (key.created_at, key.id))

    def get(self, key_id: str) -> Key:
        """One key.

        Raises:
            MemoryNotFoundError: there is no such key.
        """
        with self._lock:
            self._refresh()
            if key_id not in self._known:
                raise _no_key(key_id)
            return self._known[key_id]

    def verify(self, text: str) -> Key | None:
        """The key that a caller has shown, or None if it is unknown, revoked or expired.

        It takes equally long for every secret of the same length.
        """
        key_id = text[len(PREFIX) :].partition("_")[0] if text.startswith(PREFIX) else ""
        with self._lock:
            self._refresh()
            key = self._known.get(key_id)
        digest = _digest(text)
        is_right = hmac.compare_digest(digest, key.digest if key else b"\0" * len(digest))
        if key is None or not is_right or not key.works_at(time.time()):
            return None
        self._note_use(key)
        return key

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    def _refresh(self) -> None:
        """Reads the keys again if this or another process has changed them.

        The file has more than keys: that something was written to it says little.
        """
        version = self._connection.pragma("data_version")
        if version == self._version:
            return
        number = number_of(self._connection, "keys")
        if number != self._number:
            rows = self._connection.execute(_SELECT).fetchall()
            self._known = {key.id: key for key in map(_key, rows)}
        self._version, self._number = version, number

    def _write(self, sql: str, values: tuple[object, ...]) -> int:
        """Executes one statement. Returns how many rows it changed.

        As long as another process is writing, it waits without the lock, which the event loop needs
        for every request.
        """
        import apsw

        until = time.monotonic() + BUSY_MS / 1000
        while True:
            try:
                return self._write_now(sql, values)
            except apsw.BusyError:
                if time.monotonic() > until:
                    raise
            time.sleep(_TRIED_EVERY_S)

    def _write_now(self, sql: str, values: tuple[object, ...]) -> int:
        """As `_write`.

        Raises:
            apsw.BusyError: another process is writing.
        """
        with self._lock:
            self._connection.set_busy_timeout(0)
            try:
                self._connection.execute(sql, values)
            finally:
                self._connection.set_busy_timeout(BUSY_MS)
            self._version = -1
            return self._connection.changes()

    def _note_use(self, key: Key) -> None:
        now = time.time()
        if key.last_used_at is None or now - key.last_used_at > _USE_NOTED_EVERY_S:
            import apsw

            key.last_used_at = now
            with suppress(apsw.BusyError):  # Nobody waits for it.
                self._write_now("UPDATE keys SET last_used_at = ? WHERE id = ?", (now, key.id))


def open_file(path: str) -> apsw.Connection:
    """The file of keys, made if it is not there; only its owner can read it.

    Raises:
        DatabaseError: it cannot be opened, or is something else.
    """
    import apsw

    from isomem.store.connection import switch_to_wal

    if path != ":memory:":
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600)):
            pass
    try:
        connection = apsw.Connection(path)
        connection.set_busy_timeout(BUSY_MS)
        switch_to_wal(connection, BUSY_MS / 1000)
        connection.execute(_TABLES + _TRIGGERS)
    except apsw.Error as error:
        raise DatabaseError(f"the keys in {path} cannot be read: {error}") from error
    return connection


def number_of(connection: apsw.Connection, what: str) -> int:
    """How often something in the file of keys was changed; it grows, but may leave numbers out."""
    rows: list[Any] = connection.execute(_NUMBER, (what,)).fetchall()
    return rows[0][0] if rows else 0


def count(connection: apsw.Connection, what: str) -> None:
    """Says that something in the file of keys was changed."""
    connection.execute(_MARK.format(what=what))


def _new_secret(key_id: str) -> tuple[str, bytes]:
    text = f"{PREFIX}{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return text, _digest(text)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _key(row: tuple[Any, ...]) -> Key:
    grants = [Grant(patterns) for patterns in json.loads(row[4])]
    key_id, name, digest, rights, _, *rest = row
    return Key(key_id, name, digest, json.loads(rights), grants, *rest)


def _check(
    name: object, rights: Collection[str], rate_per_minute: object, expires_at: object
) -> None:
    if not isinstance(name, str) or not name.strip() or not is_unicode(name):
        raise ValueError("A key needs a name that says what it is for.")
    unknown = [right for right in rights if right not in RIGHTS]
    if unknown or not rights:
        said = shown(unknown[0]) if unknown else "none"
        raise ValueError(f"Invalid right: {said}. Rights are {', '.join(RIGHTS)}.")
    if rate_per_minute is not None and not (
        type(rate_per_minute) is int and 0 < rate_per_minute <= MOST_PER_MINUTE
    ):
        raise ValueError(
            f"rate_per_minute must be a whole number above 0, at most {MOST_PER_MINUTE:,}"
        )
    if expires_at is not None and not (
        type(expires_at) in {int, float} and 0 <= expires_at < LAST_MOMENT  # type: ignore[operator]
    ):
        raise ValueError("A key expires in a year before 10000.")


def _no_key(key_id: str) -> MemoryNotFoundError:
    return MemoryNotFoundError(
        f"There is no key {shown(key_id)}, or it is revoked.",
        suggestion="`isomem keys list` shows the ids of keys.",
    )
