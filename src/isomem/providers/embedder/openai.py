"""OpenAI's embeddings, and servers that speak the same protocol."""

from __future__ import annotations

from isomem.options import Option, merged, or_empty
from isomem.providers.base import NetworkEmbedder, required_key
from isomem.providers.embedder.protocol import vectors_in
from isomem.providers.settings import Settings, environment, first_of, read_settings
from isomem.providers.tables import (
    ADDRESS,
    DIMS,
    LMSTUDIO_URL,
    OPENAI_URL,
    address_option,
    embedder_options,
    key_option,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, ClassVar

    from isomem.options import Table
    from isomem.providers.http import Request

# Known lengths. For any other model, the first vector shows it.
_DIMS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}


class OpenAIEmbedder(NetworkEmbedder):
    """OpenAI's embedder, or any server of the protocol.

    Args:
        config: options under upstream's names; see docs/providers.md. `embedding_dims` is sent
            to the server only if it is given, since not all servers accept it.

    Raises:
        InvalidConfigError: an option is unknown, or there is no key for api.openai.com.
    """

    name = "openai"
    default_model: ClassVar[str] = "text-embedding-3-small"
    default_url = OPENAI_URL
    table: ClassVar[Table] = merged(
        embedder_options(default_model, NetworkEmbedder.default_timeout_s),
        (
            key_option("OPENAI_API_KEY"),
            Option(
                "embedding_dims",
                None,
                DIMS,
                "the length of the vectors; sent only if it is given",
                unset=str(_DIMS[default_model]),
            ),
            address_option("openai_base_url", default_url, "OPENAI_API_BASE", "OPENAI_BASE_URL"),
        ),
    )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        settings = read_settings(config, self.table, f"embedder.config ({self.name})")
        settings.model = settings.model or self.default_model
        self._wanted_dims: int | None = settings.embedding_dims
        self.dims = self._wanted_dims or _DIMS.get(settings.model)
        settings.embedding_dims = self._wanted_dims or 1536  # as in upstream's object
        super().__init__(settings, *self._access(settings))

    def _access(self, settings: Settings) -> tuple[str, str | None]:
        """Address and key."""
        url = first_of(
            settings.openai_base_url,
            environment("OPENAI_API_BASE"),
            environment("OPENAI_BASE_URL"),
            self.default_url,
        )
        key = first_of(settings.api_key, environment("OPENAI_API_KEY"))
        needed = url == self.default_url
        return str(url), required_key(self.name, key, "OPENAI_API_KEY", needed)

    def request(self, texts: list[str], action: str | None = None) -> Request:  # noqa: ARG002
        from isomem.providers.http import Request

        body: dict[str, Any] = {
            "model": self.config.model,
            "input": [text.replace("\n", " ") for text in texts],
        }
        if self._wanted_dims is not None:
            body["dimensions"] = self._wanted_dims
        body["encoding_format"] = "float"
        return Request("/embeddings", body)

    def parse(self, answer: object) -> list[list[float]]:
        return vectors_in(answer)


class LMStudioEmbedder(OpenAIEmbedder):
    """An embedder served by LM Studio."""

    name = "lmstudio"
    default_model = "nomic-ai/nomic-embed-text-v1.5-GGUF/nomic-embed-text-v1.5.f16.gguf"
    default_url = LMSTUDIO_URL
    fallback_key = "lm-studio"
    table = merged(
        embedder_options(default_model, NetworkEmbedder.default_timeout_s),
        (
            key_option(unset=fallback_key),
            Option(
                "lmstudio_base_url", LMSTUDIO_URL, or_empty(ADDRESS), "the address of LM Studio"
            ),
        ),
    )

    def _access(self, settings: Settings) -> tuple[str, str | None]:
        self._wanted_dims = None  # upstream never sends it here
        settings.api_key = settings.api_key or self.fallback_key
        return str(settings.lmstudio_base_url or self.default_url), settings.api_key
