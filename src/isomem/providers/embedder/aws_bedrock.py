"""Embedders that Amazon Bedrock serves."""

from __future__ import annotations

from isomem.options import merged
from isomem.providers import bedrock
from isomem.providers.answers import MissingError, member, vector
from isomem.providers.base import NetworkEmbedder
from isomem.providers.settings import environment, read_settings
from isomem.providers.tables import embedder_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from isomem.providers.http import Request

_COHERE_TEXTS = 96
"""How many texts a request to Cohere's models can have; those of others have one."""


class BedrockEmbedder(NetworkEmbedder):
    """An embedder that Amazon Bedrock serves.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Raises:
        InvalidConfigError: an option is unknown, or half of the credentials is missing.
        DependencyError: the extra isomem[bedrock] is not installed.
    """

    name = "aws_bedrock"
    default_model = "amazon.titan-embed-text-v1"
    default_url = bedrock.DEFAULT_ADDRESS
    table = merged(
        embedder_options(default_model, NetworkEmbedder.default_timeout_s),
        (*bedrock.KEYS, bedrock.REGION_OPTION, bedrock.ADDRESS_OPTION),
    )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        settings = read_settings(config, self.table, f"embedder.config ({self.name})")
        settings.model = settings.model or self.default_model
        self.dims = settings.embedding_dims
        url = bedrock.located(settings)
        self.authorizer = bedrock.authorizer(
            self.name,
            settings.aws_region,
            url,
            access_key_id=settings.aws_access_key_id,
            secret_access_key=settings.aws_secret_access_key,
            session_token=environment("AWS_SESSION_TOKEN"),
        )
        # The part before the first dot names the maker, as mem0 reads it.
        self._is_cohere = settings.model.split(".")[0] == "cohere"
        self.batch_size = _COHERE_TEXTS if self._is_cohere else 1
        super().__init__(settings, url, None)

    def request(self, texts: list[str], action: str | None = None) -> Request:  # noqa: ARG002
        from isomem.providers.http import Request

        body: dict[str, object] = (
            {"input_type": "search_document", "texts": texts}
            if self._is_cohere
            else {"inputText": texts[0]}
        )
        return Request(bedrock.path(self.config.model, "invoke"), body)

    def parse(self, answer: object) -> list[list[float]]:
        if not self._is_cohere:
            return [vector(member(answer, "embedding"))]
        vectors = member(answer, "embeddings")
        if not isinstance(vectors, list):
            raise MissingError("embeddings")
        return [vector(each) for each in vectors]
