"""Together's embedders."""

from __future__ import annotations

from isomem.options import merged
from isomem.providers.base import NetworkEmbedder, required_key
from isomem.providers.embedder.protocol import vectors_in
from isomem.providers.settings import environment, first_of, read_settings
from isomem.providers.tables import address_option, embedder_options, key_option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from isomem.providers.http import Request


class TogetherEmbedder(NetworkEmbedder):
    """An embedder of Together.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Raises:
        InvalidConfigError: an option is unknown, or there is no key.
    """

    name = "together"
    default_model = "togethercomputer/m2-bert-80M-8k-retrieval"
    default_url = "https://api.together.xyz/v1"
    table = merged(
        embedder_options(default_model, NetworkEmbedder.default_timeout_s),
        (
            key_option("TOGETHER_API_KEY"),
            address_option("together_base_url", default_url, "TOGETHER_BASE_URL"),
        ),
    )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        settings = read_settings(config, self.table, f"embedder.config ({self.name})")
        settings.model = settings.model or self.default_model
        self.dims = settings.embedding_dims
        settings.embedding_dims = settings.embedding_dims or 768  # as in upstream's object
        url = first_of(
            settings.together_base_url, environment("TOGETHER_BASE_URL"), self.default_url
        )
        key = first_of(settings.api_key, environment("TOGETHER_API_KEY"))
        needed = url == self.default_url
        super().__init__(
            settings, str(url), required_key(self.name, key, "TOGETHER_API_KEY", needed)
        )

    def request(self, texts: list[str], action: str | None = None) -> Request:  # noqa: ARG002
        from isomem.providers.http import Request

        single = texts[0] if len(texts) == 1 else texts
        return Request("/embeddings", {"model": self.config.model, "input": single})

    def parse(self, answer: object) -> list[list[float]]:
        return vectors_in(answer)
