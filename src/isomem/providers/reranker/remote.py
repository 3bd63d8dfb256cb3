"""Rerankers behind HTTP: Cohere's and Zero Entropy's."""

from __future__ import annotations

from isomem.errors import ProviderError, RerankError
from isomem.options import SWITCH, Option, merged, optional
from isomem.providers.answers import MissingError, finite, member
from isomem.providers.base import Service, required_key
from isomem.providers.reranker.documents import text_of, unranked, with_score
from isomem.providers.settings import environment, first_of, read_settings
from isomem.providers.tables import (
    LENGTH,
    RERANKER_OPTIONS,
    address_option,
    key_option,
    named_model,
    network_options,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import ClassVar

    from isomem.options import Table
    from isomem.providers.http import Request
    from isomem.providers.reranker.documents import Document


class RemoteReranker(Service):
    """A reranker behind HTTP. If it fails, the documents keep their order, and a warning says why.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Attributes:
        default_model: used if the configuration does not name one.
        path: of the endpoint, below the address.
        key_variable, url_variable: of the environment.

    Raises:
        InvalidConfigError: an option is unknown, or there is no key.
    """

    failure = RerankError
    default_timeout_s = 60.0
    default_model: ClassVar[str]
    path: ClassVar[str]
    key_variable: ClassVar[str]
    url_variable: ClassVar[str]
    own_options: ClassVar[Table] = ()
    table: ClassVar[Table]

    def __init_subclass__(cls) -> None:
        cls.table = merged(
            RERANKER_OPTIONS,
            (
                named_model(cls.default_model, RERANKER_OPTIONS),
                key_option(cls.key_variable),
                address_option(f"{cls.name}_base_url", cls.default_url, cls.url_variable),
            ),
            cls.own_options,
            network_options(cls.default_timeout_s),
        )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        settings = read_settings(config, self.table, f"reranker.config ({self.name})")
        settings.model = settings.model or self.default_model
        configured = vars(settings)[f"{self.name}_base_url"]
        url = first_of(configured, environment(self.url_variable), self.default_url)
        key = first_of(settings.api_key, environment(self.key_variable))
        needed = url == self.default_url
        super().__init__(
            settings, str(url), required_key(self.name, key, self.key_variable, needed)
        )

    def rerank(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> list[Document]:
        """Copies of `documents` with a `rerank_score`, the most relevant first.

        Args:
            query: what was searched for.
            documents: dicts with the text under "memory", "text" or "content".
            top_k: how many to return; 0 or None means the configured number, or all.
        """
        if not documents:
            return documents
        try:
            answer = self._connection().send(self.request(query, documents, top_k))
            return self._ranking(answer, documents, top_k)
        except ProviderError as error:
            return unranked(self.name, documents, top_k, error)

    async def arerank(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> list[Document]:
        """As `rerank`, without blocking the event loop."""
        if not documents:
            return documents
        try:
            answer = await self._connection().asend(self.request(query, documents, top_k))
            return self._ranking(answer, documents, top_k)
        except ProviderError as error:
            return unranked(self.name, documents, top_k, error)

    def request(self, query: str, documents: list[Document], top_k: int | None) -> Request:
        """What is sent for these documents."""
        from isomem.providers.http import Request

        texts = [text_of(document) for document in documents]
        return Request(self.path, self.body(query, texts, top_k))

    def body(self, query: str, texts: list[object], top_k: int | None) -> dict[str, object]:
        """The JSON that is sent for these texts."""
        raise NotImplementedError

    def order(self, ranking: list[Document], top_k: int | None) -> list[Document]:
        """The documents in the order that is returned; they come as the service ranks them."""
        raise NotImplementedError

    def _ranking(
        self, answer: object, documents: list[Document], top_k: int | None
    ) -> list[Document]:
        try:
            return self.order(_scored(answer, documents), top_k)
        except MissingError as missing:
            raise self._connection().endpoint.malformed(str(missing), answer) from None


def _scored(answer: object, documents: list[Document]) -> list[Document]:
    """The documents that the answer names, with its scores, in its order."""
    results = member(answer, "results")
    if not isinstance(results, list):
        raise MissingError("results")
    scored = []
    for result in results:
        index, score = member(result, "index"), member(result, "relevance_score")
        if type(index) is not int or not 0 <= index < len(documents):
            raise MissingError("results[].index of a document")
        scored.append(with_score(documents[index], finite(score, "results[].relevance_score")))
    return scored


class CohereReranker(RemoteReranker):
    """Cohere's reranker."""

    name = "cohere"
    default_model = "rerank-english-v3.0"
    default_url = "https://api.cohere.com"
    path = "/v1/rerank"
    key_variable = "COHERE_API_KEY"
    url_variable = "CO_API_URL"
    own_options = (
        Option("return_documents", False, optional(SWITCH), "whether the answer repeats the texts"),
        Option("max_chunks_per_doc", None, LENGTH, "into how many parts a text is cut at most"),
    )

    def body(self, query: str, texts: list[object], top_k: int | None) -> dict[str, object]:
        return {
            "model": self.config.model,
            "query": query,
            "documents": texts,
            "top_n": top_k or self.config.top_k or len(texts),
            "return_documents": self.config.return_documents,
            "max_chunks_per_doc": self.config.max_chunks_per_doc,
        }

    def order(self, ranking: list[Document], top_k: int | None) -> list[Document]:  # noqa: ARG002
        return ranking  # The service has sorted and cut it.


class ZeroEntropyReranker(RemoteReranker):
    """Zero Entropy's reranker."""

    name = "zero_entropy"
    default_model = "zerank-1"
    default_url = "https://api.zeroentropy.dev/v1"
    path = "/models/rerank"
    key_variable = "ZERO_ENTROPY_API_KEY"
    url_variable = "ZEROENTROPY_BASE_URL"

    def body(self, query: str, texts: list[object], top_k: int | None) -> dict[str, object]:  # noqa: ARG002
        return {"documents": texts, "model": self.config.model, "query": query}

    def order(self, ranking: list[Document], top_k: int | None) -> list[Document]:
        ranking.sort(key=lambda document: document["rerank_score"], reverse=True)
        return ranking[: top_k or self.config.top_k or None]
