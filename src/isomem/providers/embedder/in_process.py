"""What the embedders have in common that compute in this process."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class InProcessEmbedder:
    """An embedder whose model is loaded with the first text.

    Attributes:
        dims: length of the vectors; None while it is not known.
    """

    ignores_action = True
    embeds_alike_in_batch = True
    dims: int | None
    _model: Any = None
    """The model, as soon as it is loaded. Another thread may close it at any time."""

    @property
    def identity(self) -> str:
        """Provider and model; a store records it with its vectors."""
        raise NotImplementedError

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """The vector of `text`."""
        raise NotImplementedError

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> list[list[float]]:
        """One vector per text, in their order, computed one by one. Raises as `embed`."""
        return [self.embed(each, memory_action) for each in texts]

    def close(self) -> None:
        """Releases the model; the next call loads it again."""
        self._model = None

    async def aclose(self) -> None:
        """As `close`."""
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identity} dims={self.dims}>"
