"""Everything that a memory has, as records, part by part and in an order that never changes.

A store of another package can be read if it has `points(after, limit)`: the next points ordered by
id, as `(id, payload, vector)`, with None for a vector that it does not give. A ledger needs
`every_row(table, columns, at_once)`: all rows in the order in which they were inserted. Of a store
that only has mem0's methods, all points are listed at once, without their vectors.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import NamedTuple

from isomem import log
from isomem.contract.visibility import Visibility
from isomem.moving.lines import KINDS, Digests
from isomem.store.collection import Collection
from isomem.store.ledger import Ledger
from isomem.store.schema import HISTORY_COLUMNS, MESSAGE_COLUMNS
from isomem.stores.embedded import facts_of
from isomem.stores.listing import every_point
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any, Protocol

    from isomem.clock import Clock
    from isomem.facade import Facade
    from isomem.moving.lines import Record
    from isomem.store.vectors import Made
    from isomem.types import Payload, Vector

    Point = tuple[str, Payload, Vector | None]
    Fields = dict[str, Any]
    Row = Sequence[Any]

    class RowPages(Protocol):
        """A ledger of another store set that can be read."""

        def every_row(self, table: str, columns: Sequence[str], at_once: int) -> Iterable[Row]: ...


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


def made_by(memory: Facade) -> Made:
    """The length of the vectors that a memory expects, and the identity of its embedder.

    An embedder need not say how long its vectors are. The option may be that of another collection:
    to an engine, it is the length for a new one.
    """
    options = memory.config.vector_store.config
    dims, identity = facts_of({"embedding_model_dims": None}, memory.embedding_model)
    found = getattr(memory.vector_store, "embedding_model_dims", None)
    stored = found if isinstance(found, int) else options.get("embedding_model_dims")
    return dims or stored, identity


def gives_vectors(memory: Facade) -> bool:
    """Whether a store of a memory gives the vectors of its points."""
    stores = (memory.vector_store, memory.entity_store)
    return any(hasattr(store, "points") or isinstance(store, Collection) for store in stores)


def records_of(
    memory: Facade, *, vectors: bool = True, after: tuple[str, str] | None = None
) -> Iterator[Record]:
    """The records of a memory.

    Args:
        memory: whose stores are read.
        vectors: False leaves them out.
        after: kind and id of the memory or entity to go on behind. The rows of a ledger are all
            read: the one that was read last may be gone, and with it the place to go on from.
    """
    kind, last = after or (KINDS[0], "")
    stores = {"memory": memory.vector_store, "entity": memory.entity_store}
    for each in KINDS[KINDS.index(kind) :]:
        if each in stores:
            start = last if each == kind else ""
            yield from _points(each, stores[each], memory.clock, vectors, start)
        else:
            yield from _rows(each, memory.db)


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
        for point in sorted(every_point(store, None), key=lambda each: str(each.id)):
            if str(point.id) > after:
                yield str(point.id), dict(point.payload or {}), None


def payloads_of(store: Any, ids: Sequence[str]) -> dict[str, Payload]:
    """The payloads of the points that a store has, by id."""
    if hasattr(store, "payloads_of"):
        found: dict[str, Payload] = store.payloads_of(ids)
        return found
    # One block for all of them: each would begin a transaction of its own.
    with store.database.reading() if isinstance(store, Collection) else nullcontext():
        hits = [(name, store.get(vector_id=name)) for name in ids]
        return {name: dict(hit.payload or {}) for name, hit in hits if hit is not None}


def is_stored(kind: str, fields: Fields, payloads: Mapping[str, Payload]) -> bool:
    """Whether a record is among these payloads, by id, as it is."""
    payload = payloads.get(fields["id"])
    if payload is None:
        return False
    one, other = Digests(), Digests()
    one.add((kind, fields))
    other.add((kind, {"id": fields["id"], "payload": payload}))
    return one.as_json() == other.as_json()


def _of_collection(store: Collection, clock: Clock, after: str) -> Iterator[Point]:
    listing = store.listing(Visibility(clock, show_expired=True, show_superseded=True))
    key = (0, after) if after else None
    while True:
        with store.database.reading():  # In one block, so that no point loses its vector meanwhile.
            entries = listing.find({}, "id", key, AT_ONCE)
            found: Sequence[Any] = listing.read(entries, {})
            page = [(point.id, point.payload, store.vector_of(point)) for point in found]
        yield from page
        if not entries:
            return
        key = entries[-1][:2]


# --- History and messages --------------------------------------------------------------------


def _rows(kind: str, ledger: Any) -> Iterator[Record]:
    table = TABLES[kind]
    if hasattr(ledger, "every_row"):
        rows = _of_other(ledger, table)
    elif isinstance(ledger, Ledger):
        rows = _of_ledger(ledger, table)
    else:
        log.warning("The ledger is not isomem's: its %s are not exported", table.name)
        return
    for row in rows:
        yield kind, table.record(row)


def _of_ledger(ledger: Ledger, table: Table) -> Iterator[Row]:
    """In insertion order, which decides which of two rows of the same moment comes first."""
    names, order = ", ".join(table.columns), table.order
    source = f"FROM {table.name} WHERE {order} > ? ORDER BY {order}"
    page = f"SELECT {order}, {names} {source} LIMIT {AT_ONCE}"
    last: int | str = 0 if order == "rowid" else ""
    with ledger.database.reading() as database:
        while rows := database.rows(page, (last,)):
            yield from (row[1:] for row in rows)
            last = rows[-1][0]


def _of_other(ledger: RowPages, table: Table) -> Iterable[Row]:
    return ledger.every_row(table.name, table.columns, AT_ONCE)
