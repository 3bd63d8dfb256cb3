"""What the embedders have in common that a library computes in this process."""

from __future__ import annotations

from isomem.errors import EmbeddingError
from isomem.providers.embedder.in_process import InProcessEmbedder
from isomem.providers.extras import OncePerProcess, missing, require
from isomem.providers.settings import read_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, ClassVar

    from isomem.options import Table


class LibraryEmbedder(InProcessEmbedder):
    """An embedder whose library is imported, and its model loaded, with the first text.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Attributes:
        name: in the configuration.
        module, extra: the library, and the extra that brings it.
        dims: length of the vectors; None until the model is loaded, unless it is configured.

    Raises:
        InvalidConfigError: an option is unknown.
        DependencyError: the extra is not installed.
    """

    name: ClassVar[str]
    module: ClassVar[str]
    extra: ClassVar[str]
    default_model: ClassVar[str]
    table: ClassVar[Table]

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        self.config = read_settings(config, self.table, f"embedder.config ({self.name})")
        self.config.model = self.config.model or self.default_model
        self.dims: int | None = self.config.embedding_dims
        require(self.module, self.extra, f"The embedder {self.name!r}")
        self._held = OncePerProcess(self._load)

    @property
    def identity(self) -> str:
        """Provider and model; a store records it with its vectors."""
        return f"{self.name}/{self.config.model}"

    def load(self) -> tuple[Any, int | None]:
        """The model, and the length of its vectors if it says."""
        raise NotImplementedError

    def compute(self, model: Any, text: str) -> Any:
        """The vector of one text, as the library gives it."""
        raise NotImplementedError

    def embed(
        self,
        text: str,
        memory_action: str | None = None,  # noqa: ARG002  (part of the port)
    ) -> list[float]:
        """The vector of `text`.

        Raises:
            EmbeddingError: the library cannot load the model, or failed.
            DependencyError: the library is installed, but cannot be imported.
        """
        model = self._held.get()
        try:
            vector: list[float] = self.compute(model, text).tolist()
        except Exception as error:  # the library may raise anything
            raise self._failed("failed", error) from error
        return vector

    def _load(self) -> Any:
        model, dims = self._made()
        self.dims = self.dims or dims
        self.config.embedding_dims = self.dims
        return model

    def _made(self) -> tuple[Any, int | None]:
        try:
            return self.load()
        except ImportError as error:
            raise missing(self.module, self.extra, self.name, str(error)) from error
        except Exception as error:  # the library may raise anything
            raise self._failed("cannot load its model", error) from error

    def _failed(self, what: str, error: Exception) -> EmbeddingError:
        return EmbeddingError(
            f"{self.name} (model {self.config.model!r}) {what}: {error}",
            details={"provider": self.name, "model": self.config.model},
        )

    def close(self) -> None:
        """Releases the model; the next call loads it again."""
        self._held.forget()
