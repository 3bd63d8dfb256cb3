"""Models of Hugging Face: in this process by sentence-transformers, or behind an endpoint."""

from __future__ import annotations

from collections.abc import Mapping

from isomem.options import DICT, Option, merged, or_empty
from isomem.providers.base import NetworkEmbedder
from isomem.providers.embedder.library import LibraryEmbedder
from isomem.providers.embedder.protocol import vectors_in
from isomem.providers.settings import environment, first_of, read_settings, takes
from isomem.providers.tables import (
    ADDRESS,
    embedder_options,
    key_option,
    named_model,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isomem.providers.http import Request

DEFAULT_MODEL = "multi-qa-MiniLM-L6-cos-v1"
ENDPOINT_MODEL = "tei"
"""What an endpoint is told if no model is configured: it has only one."""

OPTIONS = merged(
    embedder_options(DEFAULT_MODEL, NetworkEmbedder.default_timeout_s),
    (
        named_model(DEFAULT_MODEL),
        key_option("OPENAI_API_KEY"),
        Option(
            "huggingface_base_url",
            None,
            or_empty(ADDRESS),
            "the address of an inference endpoint, with the path before `/embeddings`",
            unset="none, the model runs in this process",
        ),
        Option(
            "model_kwargs",
            None,
            or_empty(DICT),
            "further arguments of `SentenceTransformer`; with an endpoint, of its requests",
            secret=True,
        ),
    ),
)


@takes(OPTIONS)
def huggingface_embedder(
    config: Mapping[str, object] | None = None,
) -> EndpointEmbedder | SentenceTransformerEmbedder:
    """An endpoint's embedder if `huggingface_base_url` is configured, else one in this process.

    Raises:
        InvalidConfigError: an option is unknown.
        DependencyError: there is no endpoint, and the extra isomem[huggingface] is not installed.
    """
    settings = read_settings(config, OPTIONS, "embedder.config (huggingface)")
    if settings.huggingface_base_url:
        return EndpointEmbedder(config)
    return SentenceTransformerEmbedder(config)


class EndpointEmbedder(NetworkEmbedder):
    """A model behind an inference endpoint that speaks OpenAI's protocol, such as TEI."""

    name = "huggingface"
    batch_size = 32
    """As many as TEI takes unless it is told otherwise."""

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        settings = read_settings(config, OPTIONS, "embedder.config (huggingface)")
        settings.model = settings.model or ENDPOINT_MODEL
        self.dims = settings.embedding_dims
        key = first_of(settings.api_key, environment("OPENAI_API_KEY"))
        super().__init__(settings, str(settings.huggingface_base_url), key)

    def request(self, texts: list[str], action: str | None = None) -> Request:  # noqa: ARG002
        from isomem.providers.http import Request

        extra = dict(self.config.model_kwargs or {})
        headers, query, more = [self._part(extra, name) for name in _APART]
        timeout = extra.pop("timeout", None)
        single = texts[0] if len(texts) == 1 else texts
        body = {"model": self.config.model, "input": single, **extra}
        body = {**body, "encoding_format": extra.get("encoding_format", "base64"), **more}
        return Request("/embeddings", body, headers, query or None, timeout)

    def _part(self, extra: dict[str, Any], name: str) -> dict[str, Any]:
        """What goes elsewhere than into the body; removed from `extra`."""
        given = extra.pop(name, None) or {}
        if isinstance(given, Mapping) and all(isinstance(key, str) for key in given):
            return dict(given)
        raise self.refusal(f"cannot be sent {name} that is not a dict with strings as keys")

    def parse(self, answer: object) -> list[list[float]]:
        return vectors_in(answer)


_APART = ("extra_headers", "extra_query", "extra_body")


class SentenceTransformerEmbedder(LibraryEmbedder):
    """A model that sentence-transformers runs: a name at Hugging Face, or the path of a folder.

    The library downloads a name's model with the first text.
    """

    name = "huggingface"
    module = "sentence_transformers"
    extra = "huggingface"
    default_model = DEFAULT_MODEL
    table = OPTIONS

    def load(self) -> tuple[Any, int | None]:
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(self.config.model, **(self.config.model_kwargs or {}))
        return model, model.get_sentence_embedding_dimension()

    def compute(self, model: Any, text: str) -> Any:
        return model.encode(text, convert_to_numpy=True)
