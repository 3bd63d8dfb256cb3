"""Reorders results by asking a language model how relevant each one is."""

from __future__ import annotations

from isomem.providers.settings import Settings, read_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from typing import Any

    from isomem.ports import Message

    Document = dict[str, Any]
    Asked = Generator[list[Message], Any, list[Document]]

LONGEST_INPUT = 4000
NEUTRAL_SCORE = 0.5

OPTIONS: dict[str, Any] = {
    "provider": "openai",
    "model": "gpt-4o-mini",
    "api_key": None,
    "top_k": None,
    "temperature": 0.0,
    "max_tokens": 100,
    "scoring_prompt": None,
    "llm": None,
}


class LLMReranker:
    """One question to a model per document, for a score from 0 to 1.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Attributes:
        config: the options.
        llm: the model that is asked; may be replaced.

    Raises:
        InvalidConfigError: an option, or the model's provider, is not known.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        from isomem.providers.registry import create_llm

        self.config = read_settings(config, OPTIONS, "reranker.config (llm_reranker)")
        self.llm: Any = create_llm(*_model(self.config))

    def rerank(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> list[Document]:
        """Copies of `documents` with a `rerank_score`, the most relevant first.

        Args:
            query: what was searched for.
            documents: dicts with the text under "memory", "text" or "content".
            top_k: how many to return; 0 or None means the configured number, or all.

        A document for which the model fails or gives no number is scored 0.5, and a warning
        is logged.
        """
        steps = self._questions(query, documents, top_k)
        try:
            question = next(steps)
            while True:
                question = steps.send(self._answer(question))
        except StopIteration as stop:
            return _returned(stop)

    async def arerank(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> list[Document]:
        """As `rerank`, without blocking the event loop if the model can be asked so."""
        if not hasattr(self.llm, "agenerate_response"):
            import asyncio

            return await asyncio.to_thread(self.rerank, query, documents, top_k)
        steps = self._questions(query, documents, top_k)
        try:
            question = next(steps)
            while True:
                question = steps.send(await self._aanswer(question))
        except StopIteration as stop:
            return _returned(stop)

    def _questions(self, query: str, documents: list[Document], top_k: int | None) -> Asked:
        """Yields messages for the model, is sent its answers, returns the ranking."""
        scored = []
        for document in documents:
            text = text_of(document)
            answer = (yield self.messages(query, text)) if isinstance(text, str) else None
            scored.append({**document, "rerank_score": score_in(answer)})
        scored.sort(key=lambda document: document["rerank_score"], reverse=True)
        return scored[: top_k or self.config.top_k or None]

    def messages(self, query: str, document: str) -> list[Message]:
        """What the model is asked. Both texts are cut, so that neither can crowd out the task."""
        question = f"Query: {query[:LONGEST_INPUT]}\n\nDocument: {document[:LONGEST_INPUT]}"
        return [
            {"role": "system", "content": self._system_prompt()},
            {"role": "user", "content": question},
        ]

    def _system_prompt(self) -> str:
        from isomem.prompts import text

        return self.config.scoring_prompt or text("RERANK_SYSTEM")

    def _answer(self, question: list[Message]) -> Any:
        try:
            return self.llm.generate_response(messages=question)
        except Exception as error:  # noqa: BLE001  (any model may be plugged in, and one result more or less well placed is no reason to fail a search)
            return _no_answer(error)

    async def _aanswer(self, question: list[Message]) -> Any:
        try:
            return await self.llm.agenerate_response(messages=question)
        except Exception as error:  # noqa: BLE001  (as in _answer)
            return _no_answer(error)

    def close(self) -> None:
        """Closes the model's connections."""
        self.llm.close()

    async def aclose(self) -> None:
        """Closes the model's connections."""
        await self.llm.aclose()

    def __repr__(self) -> str:
        return f"<LLMReranker {self.config!r}>"


def _model(config: Settings) -> tuple[str, dict[str, Any]]:
    """Provider and options of the model: those in `llm`, then those beside it."""
    nested = config.llm or {}
    options = dict(nested.get("config") or {})
    for name in ("model", "temperature", "max_tokens"):
        options.setdefault(name, getattr(config, name))
    if config.api_key:
        options.setdefault("api_key", config.api_key)
    return nested.get("provider", config.provider), options


def text_of(document: Document) -> Any:
    """The text of one result."""
    for name in ("memory", "text", "content"):
        if name in document:
            return document[name]
    return str(document)


def score_in(answer: Any) -> float:
    """The first number from 0 to 1 in the model's answer; 0.5 if there is none."""
    import re

    found = re.search(r"\b[01](?:\.\d+)?\b", answer) if isinstance(answer, str) else None
    return min(float(found.group()), 1.0) if found else NEUTRAL_SCORE


def _no_answer(error: Exception) -> None:
    from isomem import log

    log.warning("The reranker's model failed; a result is scored %s: %s", NEUTRAL_SCORE, error)


def _returned(stop: StopIteration) -> list[Document]:
    ranking: list[Document] = stop.value
    return ranking
