"""The history rows of one step of a composed set, which can be taken back."""

from __future__ import annotations

from isomem import log
from isomem.errors import MemoryError
from isomem.ports.guard import PartFailure
from isomem.store.ledger import Ledger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from isomem.ports.shapes import Payload
    from isomem.store.ledger import Event

_UNKNOWN = "unknown"


class Events:
    """Rows that tell what happens to memories.

    A ledger of ours has their ids before they are written, so that they are found again whenever
    the writing was cut off. A foreign one says them afterwards, or not at all.

    Args:
        ledger: where they are written.
        events: each a dict of columns of `history` but its id.
    """

    def __init__(self, ledger: Any, events: Sequence[Payload]) -> None:
        self._ledger = ledger
        self._events = events
        is_ours = isinstance(ledger, Ledger)
        self._rows: Sequence[Event] = ledger.events(events) if is_ours else ()
        self._ids: Sequence[Any] = [row[0] for row in self._rows] or [_UNKNOWN] * len(events)

    def write(self) -> None:
        """Adds the rows."""
        if self._rows:
            with self._ledger.database.writing():
                self._ledger.write(self._rows)
        elif self._events:
            self._ids = self._ledger.batch_add_history(self._events) or self._ids

    def write_one(self) -> None:
        """Adds the row, if it is only one, by the method that a foreign ledger has for that."""
        if self._rows:
            self.write()
            return
        [event] = self._events
        memory_id, old, new, name, *_ = map(event.get, _NAMED)
        more = {key: value for key, value in event.items() if key not in _NAMED}
        self._ids = [self._ledger.add_history(memory_id, old, new, name, **more)]

    def are_stored(self) -> bool:
        """Whether they are stored for sure; a foreign ledger does not say.

        Raises:
            DatabaseError: the ledger cannot be read.
        """
        if not self._rows:
            return False
        with self._ledger.database.reading():
            stored: bool = self._ledger.has(self._rows[-1])
            return stored

    def take_back(self) -> None:
        """Removes the rows, as far as the ledger can."""
        try:
            if self._ids:
                self._ledger.remove_history(self._ids)
        except (PartFailure, MemoryError) as error:
            log.error("The history may keep events that were not carried out: %s", error)


_NAMED = ("memory_id", "old_memory", "new_memory", "event")
