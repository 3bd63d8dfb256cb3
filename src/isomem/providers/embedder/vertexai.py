"""Google's embedders, through Vertex AI."""

from __future__ import annotations

from isomem.options import TEXT, Option, merged, or_empty
from isomem.providers import google
from isomem.providers.answers import MissingError, member, vector
from isomem.providers.base import NetworkEmbedder
from isomem.providers.settings import read_settings
from isomem.providers.tables import DIMS, address_option, embedder_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from isomem.providers.http import Request

LOCATION = "us-central1"
DEFAULT_DIMS = 256
_KINDS = {
    "add": "RETRIEVAL_DOCUMENT",
    "update": "RETRIEVAL_DOCUMENT",
    "search": "RETRIEVAL_QUERY",
}
_KIND_WITHOUT_ACTION = "SEMANTIC_SIMILARITY"


def _kind_option(action: str) -> Option:
    return Option(
        f"memory_{action}_embedding_type",
        None,
        or_empty(TEXT),
        f"Vertex AI's `task_type` for texts that are embedded to {action}",
        unset=f"`{_KINDS[action]}`",
    )


class VertexAIEmbedder(NetworkEmbedder):
    """An embedder of Vertex AI. It embeds questions differently from what they are to find.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Raises:
        InvalidConfigError: an option is unknown.
        DependencyError: the extra isomem[vertexai] is not installed.
    """

    name = "vertexai"
    default_model = "gemini-embedding-001"
    default_url = f"https://{LOCATION}-aiplatform.googleapis.com"
    ignores_action = False
    # Google takes one text per request for the newest models, and mem0 sends one for all.
    batch_size = 1
    dims: int
    authorizer: google.Credentials
    table = merged(
        embedder_options(default_model, NetworkEmbedder.default_timeout_s),
        (
            Option(
                "vertex_credentials_json",
                None,
                or_empty(TEXT),
                "the path of a file with credentials",
                unset="those of the machine",
                variables=(google.CREDENTIALS_VARIABLE,),
            ),
            Option(
                "embedding_dims", None, DIMS, "the length of the vectors", unset=str(DEFAULT_DIMS)
            ),
            *map(_kind_option, _KINDS),
            address_option("vertexai_base_url", default_url),
        ),
    )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        settings = read_settings(config, self.table, f"embedder.config ({self.name})")
        settings.model = settings.model or self.default_model
        self.dims = settings.embedding_dims or DEFAULT_DIMS
        settings.embedding_dims = self.dims
        for action, kind in _KINDS.items():
            name = f"memory_{action}_embedding_type"
            setattr(settings, name, vars(settings)[name] or kind)
        self.authorizer = google.Credentials(self.name, settings.vertex_credentials_json)
        super().__init__(settings, str(settings.vertexai_base_url or self.default_url), None)

    def request(self, texts: list[str], action: str | None = None) -> Request:
        """As in the base class.

        Raises:
            ValueError: `action` is not "add", "search", "update" or None.
        """
        from isomem.providers.http import Request

        kind = self._kind(action)
        body: dict[str, object] = {
            "instances": [{"content": text, "task_type": kind} for text in texts],
            "parameters": {"autoTruncate": True, "outputDimensionality": self.dims},
        }
        return Request(f"{self._model_path()}:predict", body)

    def _kind(self, action: str | None) -> str:
        if action is None:
            return _KIND_WITHOUT_ACTION
        if action not in _KINDS:
            raise ValueError(f"Invalid memory action: {action}")
        kind: str = vars(self.config)[f"memory_{action}_embedding_type"]
        return kind

    def _model_path(self) -> str:
        project = self.authorizer.project()
        publisher = f"projects/{project}/locations/{LOCATION}/publishers/google"
        return f"/v1/{publisher}/models/{self.config.model}"

    async def arequest(self, texts: list[str], action: str | None = None) -> Request:
        """As `request`. Finding the project may ask the machine's metadata server."""
        import asyncio

        return await asyncio.to_thread(self.request, texts, action)

    def parse(self, answer: object) -> list[list[float]]:
        predictions = member(answer, "predictions")
        if not isinstance(predictions, list):
            raise MissingError("predictions")
        return [vector(member(each, "embeddings", "values")) for each in predictions]
