"""The vectors of a collection: how long they are, and what made them."""

from __future__ import annotations

from isomem.store.vectors import Vectors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.ports.shapes import Vector
    from isomem.store.vectors import Made


class PostgresVectors(Vectors):
    """What is known about the vectors of one collection. Runs in the caller's transaction.

    Attributes:
        recorded: what the database says, as far as this process knows.
    """

    recorded: Made = (None, None)

    def _fitting(self, stored: Made) -> Made:
        self.recorded = super()._fitting(stored)
        return self.recorded

    def current(self) -> int | None:
        """`dims`, once it is known.

        The embedder is compared when the collection is opened, and again by the first write: from
        then on the collection has vectors, and nobody can open it with another embedder.
        """
        return self.dims

    def query(self, vector: Vector) -> bytes:
        """A vector to compare with the stored ones."""
        from isomem.store.codec import unit_vector

        return unit_vector(vector, self.dims or self._stored()[0])
