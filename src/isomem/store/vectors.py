"""The vectors of a collection: how long they are, and what made them."""

from __future__ import annotations

from isomem.errors import InvalidConfigError
from isomem.store.codec import unit_vector
from isomem.store.connection import IN_MEMORY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.ports.shapes import Vector
    from isomem.store.database import Database

    Made = tuple[int | None, str | None]
    """The length of vectors, and the identity of the embedder that made them."""


_MOVED = {
    "local/wordllama-l2-supercat": '"embedder": {"provider": "wordllama"} makes such vectors '
    '(pip install "isomem[wordllama]")',
}
"""What to configure for vectors whose embedder has got another name, by the embedder's identity."""


class Vectors:
    """What is known about the vectors of one collection. Runs in the caller's transaction.

    Args:
        name, number: of the collection.
        dims: length of the vectors; None takes the length of the first one.
        embedder: identity of the embedder that makes the vectors; None if it is not known.

    Attributes:
        dims: their length, or None as long as this process does not know it.

    Raises:
        InvalidConfigError: the collection has vectors of another length or embedder. Every method
            raises it, too, as soon as another process has made all vectors anew.
    """

    def __init__(
        self, database: Database, name: str, number: int, dims: int | None, embedder: str | None
    ) -> None:
        self._database = database
        self._name = name
        self._number = number
        self._wanted = (dims, embedder)
        self._is_shared = database.path != IN_MEMORY
        self.claim()

    @property
    def made_by(self) -> Made:
        """The length and the embedder that this process expects."""
        return self._wanted

    def expect(self, made: Made) -> None:
        """Expects another length and another embedder from now on. `claim` compares them."""
        self._wanted = made
        self.dims = made[0]

    def claim(self) -> int | None:
        """Compares the embedder with the one that made the vectors, and records it if it is new.

        Returns:
            `dims`.
        """
        stored = self._stored()
        fitting = self._fitting(stored)
        if fitting != stored:
            sql = "UPDATE collections SET dims = ?, embedder = ? WHERE number = ?"
            self._database.execute(sql, (*fitting, self._number))
        return self._agree(fitting[0])

    def _stored(self) -> Made:
        sql = "SELECT dims, embedder FROM collections WHERE number = ?"
        stored: Made = self._database.rows(sql, (self._number,))[0]
        return stored

    def _fitting(self, stored: Made) -> Made:
        """What is to be stored about the embedder."""
        if stored == self._wanted:
            return stored
        dims, embedder = self._wanted
        old_dims, old_embedder = self._wanted if self._is_empty() else stored
        if (embedder or old_embedder) != (old_embedder or embedder) or (
            (dims or old_dims) != (old_dims or dims)
        ):
            raise self._other_embedder(stored)
        return old_dims or dims, old_embedder or embedder

    def _is_empty(self) -> bool:
        # A scope without points is not kept, so this needs no look at the points.
        sql = "SELECT 1 FROM scopes WHERE collection = ? LIMIT 1"
        return not self._database.rows(sql, (self._number,))

    def _agree(self, dims: int | None) -> int | None:
        self.dims = self._wanted[0] or dims
        self._epoch = self._database.epoch
        return self.dims

    def _other_embedder(self, stored: Made) -> InvalidConfigError:
        (dims, embedder), (old_dims, old_embedder) = self._wanted, stored
        moved = _MOVED.get(old_embedder or "")
        return InvalidConfigError(
            f"{self._database.path}: the vectors of {self._name!r} were made by "
            f"{old_embedder or 'an unnamed embedder'} with {old_dims} dimensions, the "
            f"configured one is {embedder or 'an unnamed embedder'} with {dims}",
            error_code="CONFIG_003",
            details={"stored": old_embedder, "configured": embedder},
            suggestion=f"Configure the embedder that made them{f': {moved}' if moved else ''}. Or "
            "run `isomem reembed`, which makes all vectors of the file anew with the configured "
            "one. Or choose another path or collection_name.",
        )

    def current(self) -> int | None:
        """`dims`, after a look at what others have done to the file since the last one."""
        if self._is_shared and self._epoch != self._database.epoch:
            return self.claim()
        return self.dims

    def unit(self, vector: Vector) -> bytes:
        """A vector as it is stored; the first one decides the length of all."""
        dims = self.current()
        if dims is not None:
            return unit_vector(vector, dims)
        unit = unit_vector(vector, self._stored()[0])
        sql = "UPDATE collections SET dims = ? WHERE number = ?"
        self._database.execute(sql, (len(unit) // 4, self._number))
        return unit

    def query(self, vector: Vector) -> bytes:
        """A vector to compare with the stored ones."""
        if self._is_shared and self._epoch != self._database.epoch:
            stored = self._stored()
            if self._fitting(stored) == stored:  # Otherwise the next write has something to record.
                self._agree(stored[0])
        return unit_vector(vector, self.dims or self._stored()[0])
