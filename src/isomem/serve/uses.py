"""Uses: which of the memories that a service has replaced may still be in use.

A change of the configuration makes another memory, with models of its own, over the same stores.
What has begun before may have the old memory until it ends. What begins later never gets it.
"""

from __future__ import annotations

from collections import Counter
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.memory_async import AsyncMemory

SINCE: ContextVar[int] = ContextVar("since")
"""What `Uses.begin` has returned to whoever runs this; what it begins may have its memory, too."""


class Uses:
    """Counts what is under way, by how many memories had been replaced when it began.

    All but `replace` is for the thread of the event loop.
    """

    def __init__(self) -> None:
        self._under_way: Counter[int] = Counter()
        self._replaced: dict[int, AsyncMemory] = {}
        self._number = 0

    def begin(self) -> int:
        """Begins something that may get the memory of now, or a later one.

        Returns:
            What `end` has to be told.
        """
        number = SINCE.get(self._number)
        self._under_way[number] += 1
        return number

    def end(self, number: int) -> list[AsyncMemory]:
        """Ends it. Returns the memories that nothing under way can have any more, each once."""
        self._under_way[number] -= 1
        if not self._under_way[number]:
            del self._under_way[number]
        oldest = min(self._under_way, default=self._number)
        return [self._replaced.pop(each) for each in [*self._replaced] if each < oldest]

    def replace(self, old: AsyncMemory) -> None:
        """Says that nothing that begins from now on gets a memory."""
        self._replaced[self._number] = old
        self._number += 1

    def replaced(self) -> list[AsyncMemory]:
        """The memories that something under way may have."""
        return [*self._replaced.values()]
