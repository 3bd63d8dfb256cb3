"""Everything that a memory has, as records, part by part and in an order that never changes.

A store of another package can be read if it has `points(after, limit)`: the next points ordered by
id, as `(id, payload, vector)`, with None for a vector that it does not give. A ledger needs
`rows_after(table, columns, after, limit)`. Of a store that only has mem0's methods, all points are
listed at once, without their vectors.
"""

from __future__ import annotations

from typing import NamedTuple

from isomem import log
from isomem.contract.payload import listed
from isomem.contract.visibility import Visibility
from isomem.moving.lines import KINDS
from isomem.store.collection import Collection
from isomem.store.ledger import Ledger
from isomem.store.schema import HISTORY_COLUMNS, MESSAGE_COLUMNS
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, Protocol

    from isomem.clock import Clock
    from isomem.facade import Facade
    from isomem.moving.lines import Record
    from isomem.types import Payload, Vector

    Point = tuple[str, Payload, Vector | None]
    Fields = dict[str, Any]
    Row = Sequence[Any]

    class RowPages(Protocol):
        """A ledger of another store set that can be read."""

        def rows_after(
            self, table: str, columns: Sequence[str], after: str, limit: int
        ) -> Sequence[Row]: ...


AT_ONCE = 1000
"""How many records are read at once."""


class Table(NamedTuple):
    """A table of a ledger. Its first column is the `id` of a record.

    Attributes:
        order: the column that says in which order rows were inserted.
    """

    name: str
    columns: tuple[str, ...]
    order: str = "rowid"

    def record(self, row: Row) -> Fields:
        """A row as a record."""
        return dict(zip(("id", *self.columns[1:]), row, strict=True))

    def row(self, record: Fields) -> tuple[object, ...]:
        """A record as a row."""
        return (record["id"], *map(record.get, self.columns[1:]))


TABLES = {
    "history": Table("history", tuple(HISTORY_COLUMNS)),
    "message": Table("messages", tuple(MESSAGE_COLUMNS)),
    # Whose the history of a removed memory is, so that it can be forgotten.
    "removed": Table("removed", ("memory_id", *SCOPE_KEYS), "memory_id"),
}
"""The table of each kind of row."""

_MOST_LISTED = 1_000_000


def records_of(
    memory: Facade, *, vectors: bool = True, after: tuple[str, str] | None = None
) -> Iterator[Record]:
    """The records of a memory.

    Args:
        memory: whose stores are read.
        vectors: False leaves them out.
        after: kind and id of the record to go on behind.
    """
    kind, last = after or (KINDS[0], "")
    stores = {"memory": memory.vector_store, "entity": memory.entity_store}
    for each in KINDS[KINDS.index(kind) :]:
        start = last if each == kind else ""
        if each in stores:
            yield from _points(each, stores[each], memory.clock, vectors, start)
        else:
            yield from _rows(each, memory.db, start)


# --- Points ----------------------------------------------------------------------------------


def _points(kind: str, store: Any, clock: Clock, vectors: bool, after: str) -> Iterator[Record]:
    for point_id, payload, vector in points_of(store, clock, after):
        fields: Fields = {"id": point_id, "payload": payload}
        if vectors and vector is not None:
            fields["vector"] = [*map(float, vector)]
        yield kind, fields


def points_of(store: Any, clock: Clock, after: str = "") -> Iterator[Point]:
    """All points of a store behind an id, ordered by id."""
    if hasattr(store, "points"):
        while batch := store.points(after, AT_ONCE):
            yield from batch
            after = batch[-1][0]
    elif isinstance(store, Collection):
        yield from _of_collection(store, clock, after)
    else:
        found = listed(store.list(filters=None, top_k=_MOST_LISTED))
        for point in sorted(found, key=lambda each: str(each.id)):
            if str(point.id) > after:
                yield str(point.id), dict(point.payload or {}), None


def _of_collection(store: Collection, clock: Clock, after: str) -> Iterator[Point]:
    listing = store.listing(Visibility(clock, show_expired=True, show_superseded=True))
    key = (0, after) if after else None
    while entries := listing.find({}, "id", key, AT_ONCE):
        found: Sequence[Any] = listing.read(entries, {})
        for point in found:
            yield point.id, point.payload, store.vector_of(point)
        key = entries[-1][0], entries[-1][1]


# --- History and messages --------------------------------------------------------------------


def _rows(kind: str, ledger: Any, after: str) -> Iterator[Record]:
    table = TABLES[kind]
    if hasattr(ledger, "rows_after"):
        rows = _of_other(ledger, table, after)
    elif isinstance(ledger, Ledger):
        rows = _of_ledger(ledger, table, after)
    else:
        log.warning("The ledger is not isomem's: its %s are not exported", table.name)
        return
    for row in rows:
        yield kind, table.record(row)


def _of_ledger(ledger: Ledger, table: Table, after: str) -> Iterator[Row]:
    """In insertion order, which decides which of two rows of the same moment comes first."""
    names, order = ", ".join(table.columns), table.order
    source = f"FROM {table.name} WHERE"
    page = f"SELECT {order}, {names} {source} {order} > ? ORDER BY {order} LIMIT {AT_ONCE}"
    with ledger.database.reading() as database:
        found = database.rows(f"SELECT {order} {source} {table.columns[0]} = ?", (after,))
        last = found[0][0] if found else "" if order != "rowid" else 0
        while rows := database.rows(page, (last,)):
            yield from (row[1:] for row in rows)
            last = rows[-1][0]


def _of_other(ledger: RowPages, table: Table, after: str) -> Iterator[Row]:
    while batch := ledger.rows_after(table.name, table.columns, after, AT_ONCE):
        yield from batch
        after = batch[-1][0]
