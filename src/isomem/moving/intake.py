"""Takes records into the stores of a memory. What is there already stays as it is.

So an import that was cut off goes on when it is run again, and a second one changes nothing.
"""

from __future__ import annotations

from contextlib import nullcontext
from itertools import islice
from typing import NamedTuple

from isomem.errors import MemoryError, ValidationError, VectorStoreError
from isomem.moving.lines import KINDS, POINTS, Digests, Lines, bad_line
from isomem.moving.reading import AT_ONCE, TABLES, is_stored, payloads_of
from isomem.ports.guard import one_for_each
from isomem.store.collection import Collection
from isomem.store.ledger import Ledger
from isomem.stores.embedded import facts_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from isomem.facade import Facade
    from isomem.moving.lines import Fields, Record
    from isomem.types import Vector

    Result = dict[str, dict[str, Any]]
    Row = tuple[object, ...]

REFUSED = (MemoryError, ValueError, TypeError, KeyError)


class _Numbered(NamedTuple):
    """A record, and the number of its line."""

    number: int
    fields: Fields


class Tally:
    """What has become of the records of one kind.

    Attributes:
        read: how many there were.
        added: how many of them were not there before.
        different: how many were there with other contents, which they keep.
    """

    __slots__ = ("added", "different", "read")

    def __init__(self) -> None:
        self.read = self.added = self.different = 0


def import_lines(memory: Facade, lines: Iterable[str], *, embed: bool = False) -> Result:
    """Takes an export into a memory.

    Args:
        memory: the target, with any store set.
        lines: of the file.
        embed: makes all vectors anew, with the embedder of the memory.

    Returns:
        For each kind `read`, `added`, `different`, and the `digest` of what was read. What the
        stores give back of it has been compared with that digest.

    Raises:
        ValidationError: MOVE_001, a line cannot be used, which the error names; MOVE_002, the file
            is not an export; MOVE_004, its vectors are of another embedder.
        VectorStoreError: a store gives back something else than it was given.
    """
    read = Lines(lines)
    _, identity = facts_of({"embedding_model_dims": None}, memory.embedding_model)
    _check_embedder(read.head, identity, embed=embed)
    intake = Intake(memory, embed=embed)
    for kind, batch in _batches(read):
        intake.take(kind, batch)
    return intake.result(read.digests)


def import_records(memory: Facade, records: Iterable[Record]) -> Result:
    """As `import_lines`, from records of another source."""
    digests = Digests()

    def counted() -> Iterator[tuple[int, Record]]:
        for number, record in enumerate(records, 1):
            digests.add(record)
            yield number, record

    intake = Intake(memory, embed=False)
    for kind, batch in _grouped(counted()):
        intake.take(kind, batch)
    return intake.result(digests)


def _check_embedder(head: Mapping[str, object], identity: str | None, *, embed: bool) -> None:
    made_by = head.get("embedder")
    if embed or not head.get("vectors") or None in {made_by, identity} or made_by == identity:
        return
    raise ValidationError(
        f"the vectors of the export are of {made_by!r}, and this memory's embedder is {identity!r}",
        error_code="MOVE_004",
        suggestion="Configure that embedder, or embed the texts again: `isomem import --embed`.",
    )


def _batches(read: Lines) -> Iterator[tuple[str, list[_Numbered]]]:
    return _grouped((read.number, record) for record in read)


def _grouped(records: Iterator[tuple[int, Record]]) -> Iterator[tuple[str, list[_Numbered]]]:
    """Records of one kind together, up to `AT_ONCE`."""
    while taken := [*islice(records, AT_ONCE)]:
        for kind in KINDS:
            batch = [_Numbered(number, fields) for number, (each, fields) in taken if each == kind]
            if batch:
                yield kind, batch


class Intake:
    """Stores records of all kinds in one memory."""

    def __init__(self, memory: Facade, *, embed: bool) -> None:
        self._memory = memory
        self._embed = embed
        self._tallies = {kind: Tally() for kind in KINDS}

    def result(self, digests: Digests) -> Result:
        """What has become of the records; see `import_lines`."""
        read = digests.as_json()
        return {
            kind: {
                "read": tally.read,
                "added": tally.added,
                "different": tally.different,
                "digest": read[kind]["digest"],
            }
            for kind, tally in self._tallies.items()
        }

    def take(self, kind: str, batch: Sequence[_Numbered]) -> None:
        """Stores records of one kind."""
        self._tallies[kind].read += len(batch)
        if kind in POINTS:
            self._points(kind, batch)
        else:
            self._rows(kind, batch)

    # --- Points ---

    def _points(self, kind: str, batch: Sequence[_Numbered]) -> None:
        store: Any = self._memory.vector_store if kind == "memory" else self._memory.entity_store
        tally = self._tallies[kind]
        batch = _without_repeated(batch)
        known = payloads_of(store, [each.fields["id"] for each in batch])
        new = [each for each in batch if each.fields["id"] not in known]
        tally.different += sum(
            not is_stored(kind, each.fields, known) for each in batch if each.fields["id"] in known
        )
        if new:
            self._insert(store, new)
            self._verify(kind, store, new)
        tally.added += len(new)

    def _insert(self, store: Any, new: Sequence[_Numbered]) -> None:
        vectors = self._vectors(new)
        try:
            _put(store, new, vectors)
        except REFUSED:
            # Once more, one by one, to say which line it is.
            for each, vector in zip(new, vectors, strict=True):
                try:
                    _put(store, [each], [vector])
                except REFUSED as error:
                    raise bad_line(each.number, f"cannot be stored: {error}") from error

    def _vectors(self, new: Sequence[_Numbered]) -> list[Vector]:
        given = [None if self._embed else each.fields.get("vector") for each in new]
        lacking = [each for each, vector in zip(new, given, strict=True) if vector is None]
        texts = [str(each.fields["payload"].get("data") or "") for each in lacking]
        embedder = self._memory.embedding_model
        made = iter(one_for_each(embedder.embed_batch(texts, "add"), texts) if texts else ())
        return [next(made) if vector is None else vector for vector in given]

    @staticmethod
    def _verify(kind: str, store: Any, new: Sequence[_Numbered]) -> None:
        """Compares what a store gives back with what it was given."""
        given, found = Digests(), Digests()
        stored = payloads_of(store, [each.fields["id"] for each in new])
        for each in new:
            point_id = each.fields["id"]
            given.add((kind, each.fields))
            if point_id in stored:
                found.add((kind, {"id": point_id, "payload": stored[point_id]}))
        if given.as_json() != found.as_json():
            raise VectorStoreError(
                f"the store gives back other {kind} records than it was given in lines "
                f"{new[0].number} to {new[-1].number}",
                details={"given": given.as_json()[kind], "found": found.as_json()[kind]},
            )

    # --- Rows ---

    def _rows(self, kind: str, batch: Sequence[_Numbered]) -> None:
        ledger: Any = self._memory.db
        table = TABLES[kind]
        if not (isinstance(ledger, Ledger) or hasattr(ledger, "put_rows")):
            raise VectorStoreError(f"the ledger is not isomem's and cannot take {table.name}")
        rows = {each.fields["id"]: table.row(each.fields) for each in batch}
        put, read = _methods_of(ledger) if hasattr(ledger, "put_rows") else (_put_rows, _rows_of)
        try:
            added = put(ledger, table.name, table.columns, [*rows.values()])
        except REFUSED as error:
            fault = f"or one up to line {batch[-1].number} cannot be stored: {error}"
            raise bad_line(batch[0].number, fault) from error
        stored = {row[0]: tuple(row) for row in read(ledger, table.name, table.columns, [*rows])}
        if stored.keys() != rows.keys():
            raise VectorStoreError(f"the ledger lacks rows of {table.name} that it was given")
        tally = self._tallies[kind]
        tally.added += added
        tally.different += sum(stored[name] != row for name, row in rows.items())


def _without_repeated(batch: Sequence[_Numbered]) -> Sequence[_Numbered]:
    """The records of which none has the id of another.

    Raises:
        ValidationError: MOVE_001, two lines have one id and say different things.
    """
    first: dict[str, _Numbered] = {}
    for each in batch:
        other = first.setdefault(each.fields["id"], each)
        if other.fields != each.fields:
            raise bad_line(each.number, f"has the id of line {other.number}, and something else")
    return [*first.values()]


def _put(store: Any, new: Sequence[_Numbered], vectors: Sequence[Vector]) -> None:
    payloads = [each.fields["payload"] for each in new]
    ids = [each.fields["id"] for each in new]
    atomic = store.database.writing() if isinstance(store, Collection) else nullcontext()
    with atomic:
        store.insert(vectors=[*vectors], payloads=payloads, ids=ids)


def _methods_of(ledger: Any) -> tuple[Callable[..., int], Callable[..., Iterable[Row]]]:
    """The two methods of a ledger of another store set."""
    return type(ledger).put_rows, type(ledger).rows_of


def _rows_of(ledger: Ledger, table: str, columns: Sequence[str], ids: Sequence[str]) -> list[Row]:
    """The rows with these ids."""
    sql = f"SELECT {', '.join(columns)} FROM {table} WHERE {columns[0]} = ?"  # noqa: S608 - ours
    with ledger.database.reading() as database:
        return [tuple(row) for name in ids for row in database.rows(sql, (name,))]


def _put_rows(ledger: Ledger, table: str, columns: Sequence[str], rows: Sequence[Row]) -> int:
    """Adds rows with ids that are not there yet. Returns how many."""
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    sql = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - ours
    with ledger.atomic() as database:
        before = database.connection.total_changes()
        database.execute_many(sql, rows)
        added: int = database.connection.total_changes() - before
        return added
