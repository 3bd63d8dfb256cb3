"""Embedders of the `fastembed` library, which runs ONNX models."""

from __future__ import annotations

from isomem.options import merged
from isomem.providers.embedder.library import LibraryEmbedder
from isomem.providers.tables import EMBEDDER_OPTIONS, named_model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class FastEmbedEmbedder(LibraryEmbedder):
    """A model that `fastembed` knows. The library downloads it with the first text."""

    name = "fastembed"
    module = "fastembed"
    extra = "fastembed"
    default_model = "thenlper/gte-large"
    table = merged(EMBEDDER_OPTIONS, (named_model(default_model),))

    def load(self) -> tuple[Any, int | None]:
        from fastembed import TextEmbedding

        model = TextEmbedding(model_name=self.config.model)
        return model, model.embedding_size

    def compute(self, model: Any, text: str) -> Any:
        return next(iter(model.embed(text.replace("\n", " "))))
