"""What a search asks a vector store for: the nearest memories, and those with its words."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from isomem.ports.shapes import Filters, Hit, Vector

    Both = tuple[Sequence[Hit], Sequence[Hit] | None]


class Asking:
    """A store set that asks for one after the other.

    Attributes:
        vectors: the memories.
    """

    vectors: Any

    def both(self, text: str, vector: Vector, lemmas: str, top_k: int, filters: Filters) -> Both:
        """The memories nearest to a vector, and those with the words of a query, best first.

        Args:
            text: the query.
            vector: its vector.
            lemmas: its words.
            top_k: how many of each.
            filters: which memories.
        """
        nearest = self.vectors.search(query=text, vectors=vector, top_k=top_k, filters=filters)
        return nearest, self.vectors.keyword_search(query=lemmas, top_k=top_k, filters=filters)
