"""Google's embedders, through the Gemini API."""

from __future__ import annotations

from isomem.options import Kind, Option, is_text, merged, or_empty
from isomem.providers import google
from isomem.providers.answers import MissingError, member, vector
from isomem.providers.base import NetworkEmbedder, required_key
from isomem.providers.settings import environment, first_of, read_settings
from isomem.providers.tables import (
    DIMS,
    LONGEST_VECTOR,
    address_option,
    embedder_options,
    key_option,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from isomem.providers.http import Request

ADDRESS_VARIABLE = "GOOGLE_GEMINI_BASE_URL"
DEFAULT_DIMS = 768


def _is_length(value: object) -> bool:
    """mem0 types this option as text; Google's library takes numbers, too."""
    if not is_text(value):
        return DIMS.accepts(value)
    digits = value.lstrip("0")
    return value.isascii() and value.isdecimal() and 0 < len(digits) < len(str(LONGEST_VECTOR))


_LENGTH = Kind(
    "a whole number, at least 1",
    _is_length,
    {"anyOf": [DIMS.schema, {"type": "string", "pattern": r"^0*[1-9][0-9]{0,5}(?![\s\S])"}]},
)


class GeminiEmbedder(NetworkEmbedder):
    """An embedder of the Gemini API.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Raises:
        InvalidConfigError: an option is unknown, or there is no key.
    """

    name = "gemini"
    default_model = "models/gemini-embedding-001"
    default_url = google.GEMINI_URL
    dims: int
    table = merged(
        embedder_options(default_model, NetworkEmbedder.default_timeout_s),
        (
            key_option(*google.GEMINI_KEYS),
            Option(
                "embedding_dims", None, DIMS, "the length of the vectors", unset=str(DEFAULT_DIMS)
            ),
            Option(
                "output_dimensionality",
                None,
                or_empty(_LENGTH),
                "the length of the vectors, if `embedding_dims` does not say",
            ),
            address_option("gemini_base_url", default_url, ADDRESS_VARIABLE),
        ),
    )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        settings = read_settings(config, self.table, f"embedder.config ({self.name})")
        settings.model = settings.model or self.default_model
        wanted = str(settings.output_dimensionality or DEFAULT_DIMS).lstrip("0")
        self.dims = settings.embedding_dims or int(wanted)
        settings.embedding_dims = self.dims
        url = first_of(settings.gemini_base_url, environment(ADDRESS_VARIABLE), self.default_url)
        key = first_of(settings.api_key, *map(environment, google.GEMINI_KEYS))
        needed = url == self.default_url
        self._key = required_key(self.name, key, google.GEMINI_KEYS[0], needed)
        super().__init__(settings, str(url), None)

    def _all_headers(self, api_key: str | None) -> dict[str, str]:
        return {**super()._all_headers(api_key), **google.key_header(self.name, self._key)}

    def request(self, texts: list[str], action: str | None = None) -> Request:  # noqa: ARG002
        from isomem.providers.http import Request

        model = google.model_path(self.config.model)
        requests = [
            {
                "content": {"parts": [{"text": text.replace("\n", " ")}], "role": "user"},
                "outputDimensionality": self.dims,
                "model": model,
            }
            for text in texts
        ]
        path = f"/{google.GEMINI_VERSION}/{model}:batchEmbedContents"
        return Request(path, {"requests": requests})

    def parse(self, answer: object) -> list[list[float]]:
        embeddings = member(answer, "embeddings")
        if not isinstance(embeddings, list):
            raise MissingError("embeddings")
        return [vector(member(each, "values")) for each in embeddings]
