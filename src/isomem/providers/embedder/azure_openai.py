"""Embedders that Azure OpenAI serves."""

from __future__ import annotations

from isomem.options import ANYTHING, Option, merged
from isomem.providers.azure import Deployment, azure_option
from isomem.providers.base import NetworkEmbedder
from isomem.providers.embedder.protocol import vectors_in
from isomem.providers.settings import read_settings
from isomem.providers.tables import MODEL, embedder_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from isomem.providers.http import Request


class AzureOpenAIEmbedder(NetworkEmbedder):
    """A deployment of Azure OpenAI. Without a key, `azure-identity` finds credentials.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Raises:
        InvalidConfigError: an option is unknown, or nothing names the deployment.
        DependencyError: there is no key, and the extra isomem[azure] is not installed.
    """

    name = "azure_openai"
    default_url = ""
    table = merged(
        embedder_options("", NetworkEmbedder.default_timeout_s),
        (
            Option("model", None, MODEL, "which model the deployment serves"),
            Option(
                "api_key",
                None,
                ANYTHING,
                "does nothing here: the key is in `azure_kwargs`",
                variables=("EMBEDDING_AZURE_OPENAI_API_KEY",),
                secret=True,
                idle=True,
            ),
            azure_option("EMBEDDING"),
        ),
    )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        settings = read_settings(config, self.table, f"embedder.config ({self.name})")
        self.dims = settings.embedding_dims
        self._deployment = Deployment(self.name, settings.azure_kwargs, "EMBEDDING", settings.model)
        self.authorizer = self._deployment.authorizer
        super().__init__(settings, self._deployment.base_url, None)

    @property
    def identity(self) -> str:
        """Provider and model; the deployment, if no model is named."""
        return f"{self.name}/{self.config.model or self.base_url.rpartition('/')[2]}"

    def _all_headers(self, api_key: str | None) -> dict[str, str]:
        return {**super()._all_headers(api_key), **self._deployment.headers}

    def request(self, texts: list[str], action: str | None = None) -> Request:  # noqa: ARG002
        from isomem.providers.http import Request

        body = {
            "model": self.config.model,
            "input": [text.replace("\n", " ") for text in texts],
            "encoding_format": "base64",
        }
        return Request("/embeddings", body, query=self._deployment.query)

    def parse(self, answer: object) -> list[list[float]]:
        return vectors_in(answer)
