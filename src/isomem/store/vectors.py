"""The vectors of a collection: how long they are, and what made them."""

from __future__ import annotations

from isomem.errors import InvalidConfigError
from isomem.store.codec import unit_vector

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.ports.shapes import Vector
    from isomem.store.database import Database


class Vectors:
    """What is known about the vectors of one collection. Runs in the caller's transaction.

    Args:
        name, number: of the collection.
        dims: length of the vectors; None takes the length of the first one.
        embedder: identity of the embedder that makes the vectors; None if it is not known.

    Attributes:
        dims: their length, or None as long as this process does not know it.

    Raises:
        InvalidConfigError: the collection has vectors of another length or embedder.
    """

    def __init__(
        self, database: Database, name: str, number: int, dims: int | None, embedder: str | None
    ) -> None:
        self._database = database
        self._number = number
        self.dims = self._claim(name, dims, embedder)

    def _claim(self, name: str, dims: int | None, embedder: str | None) -> int | None:
        """Compares the embedder with the one that made the vectors."""
        sql = "SELECT dims, embedder FROM collections WHERE number = ?"
        stored = self._database.rows(sql, (self._number,))[0]
        old_dims, old_embedder = (dims, embedder) if self._is_empty() else stored
        if (embedder or old_embedder) != (old_embedder or embedder) or (
            (dims or old_dims) != (old_dims or dims)
        ):
            raise InvalidConfigError(
                f"{self._database.path}: the vectors of {name!r} were made by "
                f"{old_embedder or 'an unnamed embedder'} with {old_dims} dimensions, the "
                f"configured one is {embedder or 'an unnamed embedder'} with {dims}",
                error_code="CONFIG_003",
                suggestion="Configure the same embedder, or choose another path or "
                "collection_name.",
            )
        wanted = (old_dims or dims, old_embedder or embedder)
        if wanted != stored:
            sql = "UPDATE collections SET dims = ?, embedder = ? WHERE number = ?"
            self._database.execute(sql, (*wanted, self._number))
        return dims or old_dims

    def _is_empty(self) -> bool:
        # A scope without points is not kept, so this needs no look at the points.
        sql = "SELECT 1 FROM scopes WHERE collection = ? LIMIT 1"
        return not self._database.rows(sql, (self._number,))

    def unit(self, vector: Vector) -> bytes:
        """A vector as it is stored; the first one decides the length of all."""
        dims = self.dims
        if dims is not None:
            return unit_vector(vector, dims)
        unit = self.query(vector)
        sql = "UPDATE collections SET dims = ? WHERE number = ?"
        self._database.execute(sql, (len(unit) // 4, self._number))
        return unit

    def query(self, vector: Vector) -> bytes:
        """A vector to compare with the stored ones."""
        return unit_vector(vector, self.dims or self._stored_dims())

    def _stored_dims(self) -> int | None:
        """The length of the vectors in the file; None if there is none yet."""
        sql = "SELECT dims FROM collections WHERE number = ?"
        dims: int | None = self._database.rows(sql, (self._number,))[0][0]
        return dims
