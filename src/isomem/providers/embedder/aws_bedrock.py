"""Embedders that Amazon Bedrock serves."""

from __future__ import annotations

from isomem.options import TEXT, Option, merged, or_empty
from isomem.providers import bedrock
from isomem.providers.answers import MissingError, member, vector
from isomem.providers.base import NetworkEmbedder
from isomem.providers.settings import environment, first_of, read_settings
from isomem.providers.tables import address_option, embedder_options

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
    default_url = bedrock.address(None, bedrock.DEFAULT_REGION)
    table = merged(
        embedder_options(default_model, NetworkEmbedder.default_timeout_s),
        (
            Option(
                "aws_access_key_id",
                None,
                or_empty(TEXT),
                "the key of an AWS account",
                unset="AWS's own search for credentials",
                variables=("AWS_ACCESS_KEY_ID",),
                secret=True,
            ),
            Option(
                "aws_secret_access_key", None, or_empty(TEXT), "the secret of that key", secret=True
            ),
            Option(
                "aws_region",
                None,
                or_empty(bedrock.REGION),
                "the region of the service",
                unset=f"`{bedrock.DEFAULT_REGION}`",
                variables=("AWS_REGION",),
            ),
            address_option("aws_bedrock_base_url", default_url, *bedrock.ADDRESS_VARIABLES),
        ),
    )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        settings = read_settings(config, self.table, f"embedder.config ({self.name})")
        settings.model = settings.model or self.default_model
        settings.aws_region = (
            first_of(settings.aws_region, environment("AWS_REGION")) or bedrock.DEFAULT_REGION
        )
        self.dims = settings.embedding_dims
        url = bedrock.address(settings.aws_bedrock_base_url, settings.aws_region)
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
