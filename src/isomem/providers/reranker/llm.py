"""Reorders results by asking a language model how relevant each one is.

A score is read as mem0 reads it, where that is right: the first number from 0 to 1, and one below 2
counts as 1. In addition, thoughts are not part of an answer. "85%", "8/10" and "8 out of 10" are
fractions. A number of 2 or more without a scale is out of ten, or out of a hundred if it is above
ten.
"""

from __future__ import annotations

from isomem.options import TEXT, Kind, Option, is_dict, is_text, or_empty
from isomem.providers.headers import KEY
from isomem.providers.reranker.documents import text_of
from isomem.providers.settings import Settings, read_settings
from isomem.providers.tables import COUNT, LENGTH, MODEL, TEMPERATURE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from typing import Any

    from isomem.ports.shapes import Message
    from isomem.providers.reranker.documents import Document

    Asked = Generator[list[Message], object, list[Document]]

LONGEST_INPUT = 4000
NEUTRAL_SCORE = 0.5

_FAILED = object()
"""Stands for the answer of a model that failed. The failure was logged."""

_BEGIN, _END = "<think>", "</think>"

_NUMBER = (
    r"(?<!\w)(?<!\d[.,])(\d+(?:[.,]\d+)?|(?<!\.)\.\d+)(?!\w)"
    r"(?:\s*(%|percent\b)|\s*(?:/|out of)\s*(\d+)(?!\w))?"
)
_EXCERPT = 100


def _names_a_model(value: object) -> bool:
    if not is_dict(value):
        return False
    parts = dict(value)
    config = parts.get("config")
    return is_text(parts.get("provider", "")) and (not config or is_dict(config))


OPTIONS = (
    Option(
        "provider",
        "openai",
        TEXT,
        "the provider of the model that is asked; one of the language models",
    ),
    Option("model", "gpt-4o-mini", MODEL, "which model is asked"),
    Option("api_key", None, or_empty(KEY), "its key", unset="the provider's", secret=True),
    Option(
        "top_k",
        None,
        COUNT,
        "how many results to return when the search does not say",
        unset="all",
    ),
    Option("temperature", 0.0, TEMPERATURE, "0 is the least random"),
    Option(
        "max_tokens",
        100,
        LENGTH,
        "maximum length of the answer, in tokens",
    ),
    Option(
        "scoring_prompt",
        None,
        or_empty(TEXT),
        "a system prompt of your own",
        unset="mem0's",
    ),
    Option(
        "llm",
        None,
        or_empty(
            Kind(
                "a dict of `provider` and `config`",
                _names_a_model,
                {"$ref": "#/$defs/reranker_llm"},
            )
        ),
        "the model to ask, with all its options: `{'provider': …, 'config': {…}}`",
        secret=True,
    ),
)


class LLMReranker:
    """One question to a model per document, for a score from 0 to 1.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Attributes:
        config: the options.
        llm: the model that is asked; may be replaced.

    Raises:
        InvalidConfigError: an option, or the model's provider, is unknown.
    """

    table = OPTIONS

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
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

        If the model fails for a document or gives no score, its score is 0.5 and a warning is
        logged.
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
        """As `rerank`. It does not block the event loop."""
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
        """Yields messages for the model, receives its answers, and returns the ranking."""
        scored = []
        for document in documents:
            text = text_of(document)
            answer = (yield self.messages(query, text)) if isinstance(text, str) else _FAILED
            scored.append({**document, "rerank_score": score_in(answer)})
        scored.sort(key=lambda document: document["rerank_score"], reverse=True)
        return scored[: top_k or self.config.top_k or None]

    def messages(self, query: str, document: str) -> list[Message]:
        """What the model is asked. Both texts are cut, so that neither crowds out the task."""
        question = f"Query: {query[:LONGEST_INPUT]}\n\nDocument: {document[:LONGEST_INPUT]}"
        return [
            {"role": "system", "content": self._system_prompt()},
            {"role": "user", "content": question},
        ]

    def _system_prompt(self) -> str:
        from isomem.prompts import text

        return self.config.scoring_prompt or text("RERANK_SYSTEM")

    def _answer(self, question: list[Message]) -> object:
        try:
            return self.llm.generate_response(messages=question)
        except Exception as error:  # noqa: BLE001  (any model may be plugged in, and one result more or less well placed is no reason to fail a search)
            return _no_answer(error)

    async def _aanswer(self, question: list[Message]) -> object:
        try:
            return await self.llm.agenerate_response(messages=question)
        except Exception as error:  # noqa: BLE001  (as in _answer)
            return _no_answer(error)

    def close(self) -> None:
        """Closes the model, if it can be closed. May be called twice."""
        if hasattr(self.llm, "close"):
            self.llm.close()

    async def aclose(self) -> None:
        """As `close`, without blocking the event loop."""
        if hasattr(self.llm, "aclose"):
            await self.llm.aclose()
        else:
            import asyncio

            await asyncio.to_thread(self.close)

    def __repr__(self) -> str:
        return f"<LLMReranker {self.config!r}>"


def _model(config: Settings) -> tuple[str, dict[str, object]]:
    """Provider and options of the model: those in `llm`, then those of the reranker itself."""
    nested = dict(config.llm or {})
    options = dict(nested.get("config") or {})
    for name in ("model", "temperature", "max_tokens"):
        options.setdefault(name, getattr(config, name))
    if config.api_key:
        options.setdefault("api_key", config.api_key)
    return nested.get("provider", config.provider), options


def score_in(answer: object) -> float:
    """The score in the model's answer; 0.5 if there is none, with a warning."""
    if answer is _FAILED:
        return NEUTRAL_SCORE
    score = read_score(answer) if isinstance(answer, str) else None
    if score is not None:
        return score
    from isomem import log

    shown = repr(answer)[:_EXCERPT]
    log.warning("The reranker's model gave no score; a result is scored %s: %s", 0.5, shown)
    return NEUTRAL_SCORE


def read_score(answer: str) -> float | None:
    """The score in an answer, 0 to 1; None if there is none."""
    import re
    from math import inf

    without_scale = None
    for number, percent, scale in re.findall(_NUMBER, _said(answer)):
        value = float(number.replace(",", "."))
        most = 100.0 if percent else float(scale or 0)
        if value == inf:  # hundreds of digits
            continue
        if most and value <= most:
            return value / most
        if not most and value < 2:
            return min(value, 1.0)
        if not most and without_scale is None and value <= 100:
            without_scale = value / (10 if value <= 10 else 100)
    return without_scale


def _said(answer: str) -> str:
    """The answer without thoughts, also one whose beginning was not sent or that was cut off.

    An answer may consist of thoughts of any length, so this takes time in proportion to it.
    """
    first, *others = answer.split(_BEGIN)
    kept = [first, *(each.partition(_END)[2] for each in others)]
    return " ".join(kept).rpartition(_END)[2]


def _no_answer(error: Exception) -> object:
    from isomem import log

    log.warning("The reranker's model failed; a result is scored %s: %s", NEUTRAL_SCORE, error)
    return _FAILED


def _returned(stop: StopIteration) -> list[Document]:
    ranking: list[Document] = stop.value
    return ranking
