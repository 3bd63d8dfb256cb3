"""New points that wait to be written together, for a database in memory.

Nothing in memory outlives its process, so a new point does not need a transaction of its own. It is
encoded at once, and whatever cannot be stored is refused. It is written with others when the next
block begins, whoever begins it, so nobody can tell that it waited. Nothing waits that the history
might refuse: it could never be written, and no block could begin any more.
"""

from __future__ import annotations

from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from isomem.contract.plan import Record
    from isomem.store.codec import Encoded
    from isomem.store.database import Database
    from isomem.store.ledger import Event, Ledger
    from isomem.store.writing import Writer

    Call = tuple[list[Encoded], list[Event]]
    """What one call adds: points, and rows of the history."""

HELD_AT_ONCE = 64
"""How many calls wait at most. More would save little, and the next block would take longer."""
_STORABLE = frozenset({str, type(None)})
"""What every row of the history takes. It refuses some values of other types."""


def _is_storable(record: Record) -> bool:
    """Whether the rows of a memory are certain to be accepted, once it is encoded."""
    values = [record.id, *record.event.values()]
    if type(record.id) is not str or not _STORABLE.issuperset(map(type, values)):
        return False
    return is_unicode("".join(filter(None, values)))


class Held:
    """The calls that wait.

    Args:
        database: in memory.
        writer: of the collection.
        ledger: in the same database.
    """

    def __init__(self, database: Database, writer: Writer, ledger: Ledger) -> None:
        self._database = database
        self._writer = writer
        self._ledger = ledger
        # Calls are appended by any thread; only a thread that has its turn removes them.
        self._calls: list[Call] = []
        self._begun = 0
        database.hold_back(self._calls, self._settle)

    def accepts(self, records: Sequence[Record]) -> bool:
        """Whether the memories of one call may wait.

        Not inside a block, not before vectors have a length, and not if the history may refuse one.
        """
        database = self._database
        if self._writer.dims is None or database.closed or database.is_inside():
            return False
        return all(map(_is_storable, records))

    def add(self, records: Sequence[Record]) -> None:
        """Takes the memories of one call, all or none.

        Raises:
            VectorValueError, ValidationError: one cannot be stored.
            DatabaseError: those that waited could not be written.
        """
        if len(self._calls) >= HELD_AT_ONCE:
            with self._database.reading():
                pass
        rows = self._writer.encode(records)
        self._calls.append((rows, self._ledger.events(record.event for record in records)))

    def _settle(self) -> None:
        """Writes what waits, in a transaction of its own."""
        calls, database = self._calls, self._database
        database.execute("BEGIN")
        if self._begun:
            self._drop_what_is_stored()
        self._begun = len(calls)
        if self._begun:
            self._writer.insert_encoded([row for rows, _ in calls[: self._begun] for row in rows])
            self._ledger.write([event for _, events in calls[: self._begun] for event in events])
        database.execute("COMMIT")
        del calls[: self._begun]
        self._begun = 0

    def _drop_what_is_stored(self) -> None:
        """Decides what became of calls whose writing was cut off: they are stored, or wait."""
        first_event = self._calls[0][1][0]
        if self._ledger.has(first_event):
            del self._calls[: self._begun]
        self._begun = 0
