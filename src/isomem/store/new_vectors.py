"""Vectors that are waiting to replace those of a memory file, in a file beside it.

A vector is found by its text and by what made it, whatever has happened to the memories meanwhile.
So nothing in this file can be out of date, and a run that was cut off left something to go on with.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import blake2b

import apsw

from isomem.errors import DatabaseError
from isomem.store.meanings import meaning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Any

SUFFIX = ".reembed"

_APPLICATION_ID = 0x69737276
_DIGEST_BYTES = 16
_TABLE = "CREATE TABLE IF NOT EXISTS vectors (digest BLOB PRIMARY KEY, vector BLOB NOT NULL)"


class NewVectors:
    """The file of the vectors; a context, whose end closes it.

    Args:
        path: of the memory file.
        maker: names what makes the vectors. Those of another maker are not found.

    Raises:
        DatabaseError: another process has it open, or it cannot be written.
        MemoryCorruptionError: it is a file of something else.
    """

    def __init__(self, path: str, maker: str) -> None:
        self._memory_path = path
        # Whoever names the memory file by a link uses the same file, and finds it locked.
        self.path = f"{os.path.realpath(path)}{SUFFIX}"
        self._seed = blake2b(maker.encode("utf-8", "surrogatepass") + b"\0")
        self._connection = self._open()

    def _open(self) -> apsw.Connection:
        connection: apsw.Connection | None = None
        try:
            # Readable only by the owner, as the memory file is.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            connection = apsw.Connection(self.path, flags=apsw.SQLITE_OPEN_READWRITE)
            connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
            connection.execute("BEGIN EXCLUSIVE")
            self._prepare(connection)
            connection.execute("COMMIT")
        except OSError as error:
            raise DatabaseError(
                f"{self.path} cannot be written: {error.strerror}",
                suggestion="The vectors are collected there. Make its directory writable.",
            ) from error
        except apsw.Error as error:
            if connection is not None:
                connection.close(True)
            raise self._explained(error) from error
        return connection

    def _prepare(self, connection: apsw.Connection) -> None:
        owner = connection.execute("PRAGMA application_id").fetchall()[0][0]
        if owner != _APPLICATION_ID:
            if connection.execute("SELECT 1 FROM sqlite_schema").fetchall():
                raise apsw.NotADBError("it is a database of another program")
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(_TABLE)

    def _explained(self, error: apsw.Error) -> Exception:
        if isinstance(error, apsw.BusyError):
            return DatabaseError(
                f"the vectors of {self._memory_path} are being made anew by another process",
                details={"path": self.path},
                suggestion="Wait until it is done, or stop it.",
            )
        return meaning(error, self.path, 0)

    def _digest(self, text: str) -> bytes:
        hashed = self._seed.copy()
        hashed.update(text.encode("utf-8", "surrogatepass"))
        return hashed.digest()[:_DIGEST_BYTES]

    def get(self, text: str) -> bytes | None:
        """The vector of a text as it is stored; None if it has not been made yet."""
        sql = "SELECT vector FROM vectors WHERE digest = ?"
        try:
            found = self._connection.execute(sql, (self._digest(text),)).fetchall()
        except apsw.Error as error:
            raise self._explained(error) from error
        vector: Any = found[0][0] if found else None
        return vector if isinstance(vector, bytes) else None

    def missing(self, texts: Iterable[str]) -> list[str]:
        """Those of the texts whose vectors have not been made yet, each once."""
        return [text for text in dict.fromkeys(texts) if self.get(text) is None]

    def put(self, vectors: Iterable[tuple[str, bytes]]) -> None:
        """Keeps vectors with their texts, even if the process dies after that.

        Raises:
            DatabaseError: the disk is full; none of these were kept.
        """
        rows = [(self._digest(text), vector) for text, vector in vectors]
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        except apsw.Error as error:
            raise self._explained(error) from error

    def remove(self) -> None:
        """Removes the file; afterwards, it can only be closed."""
        # The lock on it is released last, so that no other process has begun to use it.
        for path in (f"{self.path}-journal", self.path):
            with suppress(OSError):
                os.unlink(path)

    def __enter__(self) -> NewVectors:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close(True)
