"""An embedder of LangChain, made by the program that configures isomem."""

from __future__ import annotations

from isomem.errors import EmbeddingError, InvalidConfigError
from isomem.options import ANYTHING, Option, merged
from isomem.providers.settings import read_settings
from isomem.providers.tables import EMBEDDER_OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class LangchainEmbedder:
    """An object with the methods of LangChain's `Embeddings`, given as `model`.

    Args:
        config: options; `model` is the object.

    Raises:
        InvalidConfigError: an option is unknown, or `model` is not such an object.
    """

    name = "langchain"
    ignores_action = True
    embeds_alike_in_batch = True
    table = merged(
        EMBEDDER_OPTIONS,
        (
            Option(
                "model",
                None,
                ANYTHING,
                "an object with the methods of LangChain's `Embeddings`",
                unset="none, you make it",
                secret=True,
            ),
        ),
    )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        self.config = read_settings(config, self.table, "embedder.config (langchain)")
        self.dims: int | None = self.config.embedding_dims
        model = self.config.model
        if model is None:
            raise InvalidConfigError("`model` parameter is required", error_code="CONFIG_004")
        if isinstance(model, type) or not callable(getattr(model, "embed_query", None)):
            raise InvalidConfigError(
                f"`model` must be an instance of Embeddings, got {type(model).__name__}",
                error_code="CONFIG_002",
            )
        self.langchain_model: Any = model

    @property
    def identity(self) -> str:
        """The object's class, and its model if it names one."""
        model = self.langchain_model
        names = (getattr(model, name, None) for name in ("model", "model_name"))
        of_model = [name for name in names if isinstance(name, str)][:1]
        return "/".join(["langchain", type(model).__name__, *of_model])

    def embed(
        self,
        text: str,
        memory_action: str | None = None,  # noqa: ARG002  (part of the port)
    ) -> list[float]:
        """The vector of `text`.

        Raises:
            EmbeddingError: the object failed.
        """
        try:
            vector: list[float] = self.langchain_model.embed_query(text)
        except Exception as error:  # the object may raise anything
            raise self._failed(error) from error
        return vector

    async def aembed(self, text: str, memory_action: str | None = None) -> list[float]:
        """As `embed`, without blocking the event loop."""
        if not hasattr(self.langchain_model, "aembed_query"):
            import asyncio

            return await asyncio.to_thread(self.embed, text, memory_action)
        try:
            vector: list[float] = await self.langchain_model.aembed_query(text)
        except Exception as error:  # the object may raise anything
            raise self._failed(error) from error
        return vector

    def _failed(self, error: Exception) -> EmbeddingError:
        return EmbeddingError(f"{self.identity} failed: {error}", details={"provider": self.name})

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> list[list[float]]:
        """One vector per text, in their order, one call each, as mem0 does. Raises as `embed`."""
        return [self.embed(each, memory_action) for each in texts]

    async def aembed_batch(
        self, texts: list[str], memory_action: str | None = "add"
    ) -> list[list[float]]:
        """As `embed_batch`, without blocking the event loop."""
        return [await self.aembed(each, memory_action) for each in texts]

    def close(self) -> None:
        """Nothing to close: the object belongs to the program."""

    async def aclose(self) -> None:
        """As `close`."""

    def __repr__(self) -> str:
        return f"<LangchainEmbedder {self.identity}>"
