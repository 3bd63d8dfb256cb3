"""Takes records into the stores of a memory. What is there already stays as it is.

So an import that was cut off goes on when it is run again, and a second one changes nothing.
"""

from __future__ import annotations

from contextlib import nullcontext
from itertools import islice
from typing import NamedTuple

from isomem import log
from isomem.contract.payload import LINKS
from isomem.errors import MemoryError, ValidationError, VectorStoreError
from isomem.moving.lines import KINDS, POINTS, Digests, Lines, bad_line, fault_of, other_vector
from isomem.moving.reading import AT_ONCE, TABLES, is_stored, made_by, payloads_of
from isomem.ports.guard import one_for_each
from isomem.store.codec import canonical_id
from isomem.store.collection import Collection
from isomem.store.ledger import Ledger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from isomem.facade import Facade
    from isomem.moving.lines import Fields, Record
    from isomem.moving.reading import Table
    from isomem.types import Vector

    Result = dict[str, dict[str, Any]]
    Row = tuple[object, ...]

_RECORD = "record"

REFUSED = (MemoryError, ValueError, TypeError, KeyError)


class _Numbered(NamedTuple):
    """A record, and the number of its line, or its own in a source without lines."""

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
    _check_embedder(read.head, made_by(memory)[1], embed=embed)
    intake = Intake(memory, embed=embed, unit="line")
    for kind, batch in _grouped((read.number, record) for record in read):
        intake.take(kind, batch)
    return intake.result(read.digests)


def import_records(memory: Facade, records: Iterable[Record], *, embed: bool = False) -> Result:
    """As `import_lines`, from records of another source, which errors name by their number.

    A warning says how many rows of history belong to memories that the memory does not have.
    """
    digests = Digests()

    def checked() -> Iterator[tuple[int, Record]]:
        for number, record in enumerate(records, 1):
            fault = fault_of(*record)
            if fault:
                raise bad_line(number, fault, _RECORD)
            digests.add(record)
            yield number, record

    intake = Intake(memory, embed=embed, unit=_RECORD)
    strays = 0
    for kind, batch in _grouped(checked()):
        intake.take(kind, batch)
        if kind == "history":
            strays += intake.strays(batch)
    if strays:
        log.warning(
            "History rows of memories that are not here, which `purge` does not find: %s",
            f"{strays:,}",
        )
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


def _grouped(records: Iterator[tuple[int, Record]]) -> Iterator[tuple[str, list[_Numbered]]]:
    """Records of one kind together, up to `AT_ONCE`."""
    while taken := [*islice(records, AT_ONCE)]:
        for kind in KINDS:
            batch = [
                _Numbered(number, _spelled(kind, fields))
                for number, (each, fields) in taken
                if each == kind
            ]
            if batch:
                yield kind, batch


def _spelled(kind: str, fields: Fields) -> Fields:
    """A record with the ids of memories and entities as stores spell them.

    Otherwise a store would do that alone, and what is not a point would name another id.
    """
    if kind == "message":
        return fields
    name = "memory_id" if kind == "history" else "id"
    spelled = {**fields, name: canonical_id(fields[name])}
    links = fields["payload"].get(LINKS) if kind == "entity" else None
    if isinstance(links, list):
        linked = [canonical_id(each) if isinstance(each, str) else each for each in links]
        spelled["payload"] = {**fields["payload"], LINKS: linked}
    return spelled


class Intake:
    """Stores records of all kinds in one memory.

    Args:
        memory: the target.
        embed: makes all vectors anew.
        unit: what the numbers of the records count, for errors.
    """

    def __init__(self, memory: Facade, *, embed: bool, unit: str) -> None:
        self._memory = memory
        self._embed = embed
        self._unit = unit
        self._dims, _ = made_by(memory)
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
        batch = self._without_repeated(batch)
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
                    raise self._bad(each, f"cannot be stored: {error}") from error

    def _vectors(self, new: Sequence[_Numbered]) -> list[Vector]:
        given = [None if self._embed else self._given(each) for each in new]
        lacking = [each for each, vector in zip(new, given, strict=True) if vector is None]
        texts = [str(each.fields["payload"].get("data") or "") for each in lacking]
        embedder = self._memory.embedding_model
        made = iter(one_for_each(embedder.embed_batch(texts, "add"), texts) if texts else ())
        return [next(made) if vector is None else vector for vector in given]

    def _given(self, each: _Numbered) -> Vector | None:
        vector: Vector | None = each.fields.get("vector")
        if vector is not None and self._dims not in {None, len(vector)}:
            advice = "make them anew: `isomem import --embed`"
            raise other_vector(f"{self._unit} {each.number}", vector, self._dims, advice)
        return vector

    def _verify(self, kind: str, store: Any, new: Sequence[_Numbered]) -> None:
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
                f"the store gives back other {kind} records than it was given in "
                f"{self._unit}s {new[0].number} to {new[-1].number}",
                details={"given": given.as_json()[kind], "found": found.as_json()[kind]},
            )

    # --- Rows ---

    def _rows(self, kind: str, batch: Sequence[_Numbered]) -> None:
        table = TABLES[kind]
        rows = {each.fields["id"]: table.row(each.fields) for each in batch}
        put, _ = self._methods(table)
        try:
            added = put(self._memory.db, table.name, table.columns, [*rows.values()])
        except REFUSED as error:
            fault = f"or one up to {self._unit} {batch[-1].number} cannot be stored: {error}"
            raise self._bad(batch[0], fault) from error
        stored = {row[0]: tuple(row) for row in self._stored(table, [*rows])}
        if stored.keys() != rows.keys():
            raise VectorStoreError(f"the ledger lacks rows of {table.name} that it was given")
        tally = self._tallies[kind]
        tally.added += added
        tally.different += sum(stored[name] != row for name, row in rows.items())

    def strays(self, history: Sequence[_Numbered]) -> int:
        """How many rows of history belong to no memory, nor to one whose removal is known."""
        named = {each.fields["memory_id"] for each in history}
        known = {*payloads_of(self._memory.vector_store, [*named])}
        known |= {str(row[0]) for row in self._stored(TABLES["removed"], [*(named - known)])}
        return sum(each.fields["memory_id"] not in known for each in history)

    def _stored(self, table: Table, ids: Sequence[str]) -> Iterable[Row]:
        _, read = self._methods(table)
        return read(self._memory.db, table.name, table.columns, ids)

    def _methods(self, table: Table) -> tuple[Callable[..., int], Callable[..., Iterable[Row]]]:
        """What puts rows into the ledger, and what reads them."""
        ledger: Any = self._memory.db
        if hasattr(ledger, "put_rows"):  # It is that of another store set.
            return type(ledger).put_rows, type(ledger).rows_of
        if isinstance(ledger, Ledger):
            return _put_rows, _rows_of
        raise VectorStoreError(f"the ledger is not isomem's and cannot take {table.name}")

    # --- Errors ---

    def _bad(self, each: _Numbered, fault: str) -> ValidationError:
        return bad_line(each.number, fault, self._unit)

    def _without_repeated(self, batch: Sequence[_Numbered]) -> Sequence[_Numbered]:
        """The records of which none has the id of another.

        Raises:
            ValidationError: MOVE_001, two records have one id and say different things.
        """
        first: dict[str, _Numbered] = {}
        for each in batch:
            other = first.setdefault(each.fields["id"], each)
            if other.fields != each.fields:
                fault = f"has the id of {self._unit} {other.number}, and something else"
                raise self._bad(each, fault)
        return [*first.values()]


def _put(store: Any, new: Sequence[_Numbered], vectors: Sequence[Vector]) -> None:
    payloads = [each.fields["payload"] for each in new]
    ids = [each.fields["id"] for each in new]
    atomic = store.database.writing() if isinstance(store, Collection) else nullcontext()
    with atomic:
        store.insert(vectors=[*vectors], payloads=payloads, ids=ids)


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
