"""Exchanges: where recorded adds are kept, within bounds of number, length and time.

One process has them in its memory. Several workers have them in a file of their folder, which ends
with the service, so that each shows those of all.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress

import apsw

from isomem import log
from isomem.serve.grants import covered
from isomem.serve.shared import folders_of, remove_leftovers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, Protocol

    from isomem.serve.grants import Grant

    Json = Mapping[str, object]

    class Exchange(Protocol):
        """One add, as `recording` has it.

        Attributes:
            ids: whose memory it was.
            at: when it began, in seconds since 1970.
            infers: whether a model was asked.
            size: how long its texts are, once it is over.
        """

        id: str
        ids: dict[str, str]
        at: float
        infers: bool
        size: int

        def shown(self) -> Json:
            """As JSON."""
            ...


MOST = 100
"""How many exchanges are kept."""

MOST_CHARACTERS = 4_000_000
"""How long their texts may be together."""

MOST_HOURS = 24.0
"""How long one is kept."""

RECORDINGS = "recordings.sqlite"
"""The file of the exchanges, in the folder of the workers."""

_BUSY_MS = 5_000
_TABLE = """
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS exchanges (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    ids          TEXT NOT NULL,
    infers       INTEGER NOT NULL,
    begun_at     REAL NOT NULL,
    finished_at  REAL,
    size         INTEGER,
    shown        TEXT
)
"""
_LOCK = "UPDATE exchanges SET number = number WHERE number = 0"
"""Takes the lock to write, before something is read."""

_BEGIN = "INSERT INTO exchanges (id, ids, infers, begun_at) VALUES (?, ?, ?, ?)"
_KEEP = "UPDATE exchanges SET finished_at = ?, size = ?, shown = ? WHERE id = ?"
_DROP = "DELETE FROM exchanges WHERE id = ? AND shown IS NULL"
_TRIM = """
DELETE FROM exchanges WHERE begun_at < ? OR number IN (
    SELECT number FROM (
        SELECT number, row_number() OVER newest AS place, sum(size) OVER newest AS length
        FROM exchanges WHERE shown IS NOT NULL
        WINDOW newest AS (ORDER BY finished_at DESC, number DESC)
    ) WHERE place > ? OR length > ?
)
"""
_SHOWN = (
    "SELECT ids, shown FROM exchanges WHERE shown IS NOT NULL AND begun_at >= ?"
    " ORDER BY finished_at DESC, number DESC"
)


def is_about(own: Json, infers: bool, ids: Json) -> bool:
    """Whether an add may hold something of the scopes that have all these ids.

    Its own messages belong to its own scope. A model was told of memories that have its ids and
    perhaps more: those of any scope that has no other id in place of one of its own.

    Args:
        own: the ids of the add.
        infers: whether a model was asked.
        ids: {} means every scope.
    """
    if ids.items() <= own.items():
        return True
    return infers and all(own.get(key, ids[key]) == ids[key] for key in ids)


class Exchanges:
    """The last adds of this process, in its memory.

    Args:
        most: how many are kept.
        most_characters: how long their texts may be together; the oldest make room.
        most_hours: how long one is kept.

    Attributes:
        are_shared: whether other processes have the same, and a step waits for a file.
    """

    are_shared = False

    def __init__(
        self,
        most: int = MOST,
        most_characters: int = MOST_CHARACTERS,
        most_hours: float = MOST_HOURS,
    ) -> None:
        self._most = most
        self._most_characters = most_characters
        self._most_s = 3600 * most_hours
        self._lock = threading.Lock()
        self._kept: deque[Exchange] = deque()
        self._begun: set[Exchange] = set()

    def begin(self, exchange: Exchange) -> None:
        """Knows of an add that is under way."""
        with self._lock:
            self._begun.add(exchange)

    def keep(self, exchange: Exchange) -> None:
        """Keeps an add that is over, unless what it is about was removed meanwhile."""
        with self._lock:
            if exchange in self._begun:
                self._kept.append(exchange)
            self._trim()

    def drop(self, exchange: Exchange) -> None:
        """Forgets that an add was under way."""
        with self._lock:
            self._begun.discard(exchange)

    def shown_to(self, grants: Sequence[Grant]) -> list[Json]:
        """The adds to scopes that are granted, newest first."""
        with self._lock:
            self._trim()
            return [each.shown() for each in reversed(self._kept) if covered(grants, each.ids)]

    def forget(self, ids: Json) -> None:
        """Forgets what may hold something of the scopes that have these ids; {} means everything.

        An add that is under way is not kept once it is over.
        """
        with self._lock:
            self._kept = deque(each for each in self._kept if not _is_about(each, ids))
            self._begun = {each for each in self._begun if not _is_about(each, ids)}

    def close(self) -> None:
        """Forgets all."""
        self.forget({})

    def _trim(self) -> None:
        before = time.time() - self._most_s
        while self._kept and (self._is_too_much() or self._kept[0].at < before):
            self._kept.popleft()

    def _is_too_much(self) -> bool:
        length = sum(each.size for each in self._kept)
        return len(self._kept) > self._most or length > self._most_characters


class SharedExchanges(Exchanges):
    """The last adds of all workers, in a file that only its owner can read.

    An add under way has a row without texts. A removal takes it away, in whichever process it is
    made, and so the add is not kept once it is over. That an add cannot be recorded must not become
    a fault of the add.

    Args:
        path: of the file.
        most, most_characters, most_hours: as for all exchanges.
    """

    are_shared = True

    def __init__(
        self,
        path: str,
        most: int = MOST,
        most_characters: int = MOST_CHARACTERS,
        most_hours: float = MOST_HOURS,
    ) -> None:
        super().__init__(most, most_characters, most_hours)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        self._file = _opened(path)

    def begin(self, exchange: Exchange) -> None:
        """As of all exchanges."""
        row = (exchange.id, json.dumps(exchange.ids), exchange.infers, exchange.at)
        with _excused(), self._turn():
            self._file.execute(_BEGIN, row)

    def keep(self, exchange: Exchange) -> None:
        """As of all exchanges."""
        text = json.dumps(exchange.shown())
        with _excused(), self._turn():
            self._file.execute(_KEEP, (time.time(), exchange.size, text, exchange.id))
            before = time.time() - self._most_s
            self._file.execute(_TRIM, (before, self._most, self._most_characters))

    def drop(self, exchange: Exchange) -> None:
        """As of all exchanges."""
        with _excused(), self._turn():
            self._file.execute(_DROP, (exchange.id,))

    def shown_to(self, grants: Sequence[Grant]) -> list[Json]:
        """As of all exchanges."""
        with self._lock:
            rows: list[Any] = self._file.execute(_SHOWN, (time.time() - self._most_s,)).fetchall()
        return [json.loads(text) for ids, text in rows if covered(grants, json.loads(ids))]

    def forget(self, ids: Json) -> None:
        """As of all exchanges, in all processes."""
        with self._turn():
            _forget_in(self._file, ids)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """A block in which nobody else changes anything."""
        with self._lock, self._file:
            self._file.execute(_LOCK)
            yield


def forget_beside(state_path: str, ids: Json) -> None:
    """Forgets the adds of scopes in the files of all services that have the same file of keys.

    Those of services that are dead go as a whole.

    Raises:
        apsw.Error: one cannot be changed.
    """
    remove_leftovers(state_path)
    for folder in folders_of(state_path):
        with suppress(apsw.CantOpenError):  # That service records nothing, or has ended.
            file = _opened(os.path.join(folder, RECORDINGS))
            with file:
                file.execute(_LOCK)
                _forget_in(file, ids)
            file.close()


def _forget_in(file: apsw.Connection, ids: Json) -> None:
    """Removes the rows that may hold something of the scopes that have these ids."""
    rows: list[Any] = file.execute("SELECT number, ids, infers FROM exchanges").fetchall()
    gone = [number for number, own, infers in rows if is_about(json.loads(own), bool(infers), ids)]
    file.executemany("DELETE FROM exchanges WHERE number = ?", ((number,) for number in gone))


def _opened(path: str) -> apsw.Connection:
    file = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
    file.set_busy_timeout(_BUSY_MS)
    file.pragma("secure_delete", 1)  # What is removed leaves no text behind.
    file.execute(_TABLE)
    return file


@contextmanager
def _excused() -> Iterator[None]:
    """A block whose failure is only logged."""
    try:
        yield
    except apsw.Error as error:
        log.warning("An add is not recorded: %s", error)


def _is_about(exchange: Exchange, ids: Json) -> bool:
    return is_about(exchange.ids, exchange.infers, ids)
