"""Builds the parts of a memory from its configuration."""

from __future__ import annotations

from isomem.errors import ConfigurationError
from isomem.providers import registry
from isomem.text.tiers import load_tier

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isomem.config import MemoryConfig
    from isomem.ports import shapes


class UnsetLLM:
    """The model if none is configured: it raises an error that says so."""

    def generate_response(self, messages: list[dict[str, Any]], **options: Any) -> str:
        """Raises ConfigurationError."""
        del messages, options
        raise ConfigurationError(
            "no model is configured, and this call needs one",
            error_code="CONFIG_004",
            suggestion=(
                "Set OPENAI_API_KEY, or name a model in the configuration, such as "
                '{"llm": {"provider": "ollama", "config": {"model": "llama3.1"}}}. '
                "add(..., infer=False) and search() need none."
            ),
        )


def build_llm(config: MemoryConfig) -> shapes.LLM:
    """The configured model."""
    if config.llm.provider == "unset":
        return UnsetLLM()
    return registry.create_llm(config.llm.provider, config.llm.config.model_dump())


def build_embedder(config: MemoryConfig) -> shapes.Embedder:
    """The configured embedder."""
    return registry.create_embedder(config.embedder.provider, config.embedder.config.model_dump())


def build_reranker(config: MemoryConfig) -> shapes.Reranker | None:
    """The configured reranker, or None."""
    if config.reranker is None:
        return None
    return registry.create_reranker(config.reranker.provider, config.reranker.config.model_dump())


def build_nlp(config: MemoryConfig) -> shapes.Nlp:
    """The configured language tier."""
    return load_tier(config.nlp.provider, config.nlp.config.model_dump(), config.profile)
