"""Ollama's embeddings API."""

from __future__ import annotations

from isomem.options import merged
from isomem.providers import ollama
from isomem.providers.answers import MissingError, member, vector
from isomem.providers.base import NetworkEmbedder
from isomem.providers.settings import read_settings
from isomem.providers.tables import embedder_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from isomem.providers.http import Request


class OllamaEmbedder(NetworkEmbedder):
    """An embedder served by Ollama. The model must have been pulled.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Raises:
        InvalidConfigError: an option is unknown.
    """

    name = "ollama"
    default_url = ollama.DEFAULT_URL
    default_model = "nomic-embed-text"
    table = merged(
        embedder_options(default_model, NetworkEmbedder.default_timeout_s), ollama.OPTIONS
    )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        settings = read_settings(config, self.table, "embedder.config (ollama)")
        settings.model = settings.model or self.default_model
        self.dims = settings.embedding_dims
        settings.embedding_dims = settings.embedding_dims or 512  # as in upstream's object
        url = ollama.address(settings.ollama_base_url)
        super().__init__(settings, url, ollama.api_key(settings.api_key))

    def advice(self) -> dict[int, str]:
        return ollama.advice(self.config.model)

    def request(self, texts: list[str], action: str | None = None) -> Request:  # noqa: ARG002
        from isomem.providers.http import Request

        single = texts[0] if len(texts) == 1 else texts
        return Request("/api/embed", {"model": self.config.model, "input": single})

    def parse(self, answer: object) -> list[list[float]]:
        vectors = member(answer, "embeddings")
        if not isinstance(vectors, list):
            raise MissingError("embeddings")
        return [vector(each) for each in vectors]
