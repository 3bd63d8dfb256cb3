"""Writes everything of a memory into a file: memories, entities, history and messages.

The file is written beside its name, by one export at a time, and gets its name when it is whole,
never in place of another file. An export that was cut off goes on behind the memories and entities
that it has, up to the first one that is no longer stored like that. What others have stored before
that place meanwhile is not in it. The other records are written again.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager, suppress
from itertools import groupby, islice

from isomem import log
from isomem.errors import ValidationError
from isomem.moving.lines import END, KINDS, POINTS, Digests, Lines, header, line_of, other_vector
from isomem.moving.reading import (
    AT_ONCE,
    gives_vectors,
    is_stored,
    made_by,
    payloads_of,
    records_of,
)
from isomem.store.backup import give_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

    from isomem.facade import Facade
    from isomem.moving.lines import Fields

    Result = dict[str, dict[str, Any]]

STDOUT = "-"
_PART = ".part"
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP})
"""What a file system says that has no locks, such as some of those of a network."""
_MAY_RENAME_OPEN = sys.platform != "win32"
"""Whether a file may get another name while it is open."""


def export(memory: Facade, path: str, *, vectors: bool = True) -> Result:
    """Writes an export.

    Args:
        memory: may be used by others meanwhile.
        path: the file, which must not exist yet; "-" is the standard output.
        vectors: False leaves them out, so that an import embeds the texts again.

    Returns:
        For each kind how many records were written, and their digest.

    Raises:
        ValidationError: MOVE_003, the file exists, another export is writing it, or it cannot be
            written; MOVE_004, the vectors are of another embedder than the memory's.
    """
    dims, embedder = made_by(memory)
    head = header(vectors=vectors and gives_vectors(memory), embedder=embedder, dims=dims)
    if path == STDOUT:
        return _to_stdout(memory, head)
    if os.path.lexists(path):
        raise _unwritable(path, "already exists")
    part = f"{path}{_PART}"
    try:
        with _opened(part, head, memory) as (file, digests, after):
            kept = digests.count()
            result = _write(memory, file, head, digests, after)
            file.flush()
            os.fsync(file.fileno())
            if _MAY_RENAME_OPEN:  # As long as no other export can go on with it.
                _publish(part, path)
        if not _MAY_RENAME_OPEN:
            _publish(part, path)
    except BlockingIOError:
        raise _unwritable(path, "is being written by another export") from None
    except FileExistsError:
        raise _unwritable(path, "already exists") from None
    except OSError as error:
        raise _unwritable(path, f"cannot be written: {error}") from error
    if kept:
        log.warning(
            "%s goes on behind the first %s memories and entities of an export that was cut off."
            " What has been stored in front of that place since then is not in it. For a fresh"
            " export, delete the file and run it again",
            path,
            f"{kept:,}",
        )
    return result


def _to_stdout(memory: Facade, head: Fields) -> Result:
    try:
        sys.stdout.flush()
        result = _write(memory, sys.stdout.buffer, head, Digests(), None)
        sys.stdout.flush()
    except BrokenPipeError:  # Whoever reads it has had enough.
        raise
    except OSError as error:
        raise _unwritable("the standard output", f"cannot be written: {error}") from error
    return result


def _write(
    memory: Facade,
    file: BinaryIO,
    head: Fields,
    digests: Digests,
    after: tuple[str, str] | None,
) -> Result:
    def put(value: object) -> None:
        file.write(line_of(value).encode())  # In UTF-8, whatever the locale has.

    if after is None:
        put(head)
    for kind, fields in records_of(memory, vectors=bool(head["vectors"]), after=after):
        _check_vector(kind, fields, head["dims"])
        put({kind: fields})
        digests.add((kind, fields))
    result = digests.as_json()
    put({END: result})
    return result


def _check_vector(kind: str, fields: Fields, dims: int | None) -> None:
    """Raises ValidationError unless the embedder that the header names can have made a vector."""
    vector = fields.get("vector")
    if vector and dims not in {None, len(vector)}:
        advice = "leave them out: `isomem export --no-vectors`"
        raise other_vector(f"{kind} {fields['id']}", vector, dims, advice)


@contextmanager
def _opened(
    part: str, head: Fields, memory: Facade
) -> Iterator[tuple[BinaryIO, Digests, tuple[str, str] | None]]:
    """The file, open for writing; the digests of what stays in it, and the last record of that.

    Raises:
        BlockingIOError: another export is writing it.
    """
    with open(_held(part), "r+b") as file:
        if hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), 0o600)  # Others must not read what people have told an agent.
        digests, after, size = _so_far(file.fileno(), head, memory)
        file.truncate(size)
        file.seek(size)
        yield file, digests, after


def _held(part: str) -> int:
    """A descriptor of the file; until it is closed, no other export writes to that.

    Raises:
        BlockingIOError: another export is writing it, or has just written it.
    """
    while True:
        number = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(number)
            if not _is_leftover(number, part):
                return number
            os.unlink(part)
        except BaseException:
            os.close(number)
            raise
        os.close(number)


def _is_leftover(number: int, part: str) -> bool:
    """Whether an open file is a whole export, which was killed before it removed this name.

    Raises:
        BlockingIOError: it does not have the name any more.
    """
    found = os.fstat(number)
    with suppress(FileNotFoundError):
        if os.path.samestat(found, os.stat(part)):
            return found.st_nlink > 1
    raise BlockingIOError(part)


def _publish(part: str, path: str) -> None:
    give_name(part, path)
    with suppress(FileNotFoundError):  # It was renamed.
        os.unlink(part)


if sys.platform == "win32":

    def _lock(number: int) -> None:
        """Locks nothing."""
        del number

else:
    import fcntl

    def _lock(number: int) -> None:
        """Locks a file, if the file system can; raises BlockingIOError if somebody else has."""
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise


_FIRST = (KINDS[0], "")
"""What comes before everything."""


def _so_far(
    number: int, head: Fields, memory: Facade
) -> tuple[Digests, tuple[str, str] | None, int]:
    """What a cut-off export has of memories and entities, up to the first that is stored otherwise:
    their digests, the last one, and how many bytes they take.
    """
    digests, after, size = Digests(), None, 0
    stores = {"memory": memory.vector_store, "entity": memory.entity_store}
    try:
        with open(number, "rb", closefd=False) as file:
            whole = (line for line in file if line.endswith(b"\n"))
            first = next(whole, b"")
            if first.decode() != line_of(head):
                return digests, None, 0
            size = len(first)
            for kind, some in groupby(map(_point_of, whole), key=lambda point: point[0]):
                if kind not in POINTS:
                    break
                while page := [*islice(some, AT_ONCE)]:
                    payloads = payloads_of(stores[kind], [fields["id"] for _, fields, _ in page])
                    for _, fields, length in page:
                        if not is_stored(kind, fields, payloads):
                            return digests, after or _FIRST, size
                        digests.add((kind, fields))
                        after, size = (kind, fields["id"]), size + length
    except (OSError, ValueError, KeyError, AttributeError):
        return Digests(), None, 0
    return digests, after or _FIRST, size


def _point_of(line: bytes) -> tuple[str, Fields, int]:
    """Of a line: the kind of its record, the record, and how many bytes it takes."""
    [(kind, fields)] = Lines.read(line.decode()).items()
    return kind, fields, len(line)


def _unwritable(path: str, fault: str) -> ValidationError:
    return ValidationError(
        f"{path} {fault}", error_code="MOVE_003", suggestion="Name another file."
    )
