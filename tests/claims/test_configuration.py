"""What holds when nothing is configured, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.claims.sides import both


class Ours:
    """isomem's configuration."""

    def defaults(self) -> Any:
        from isomem.config import MemoryConfig

        return MemoryConfig()

    def create(self, part: str, provider: str, folder: Path) -> None:
        from isomem import Memory

        config: dict[str, Any] = {
            "vector_store": {"provider": "embedded", "config": {"path": ":memory:"}},
            "history_db_path": str(folder / "history.db"),
        }
        Memory.from_config({**config, part: {"provider": provider}})


class Theirs:
    """mem0's."""

    def defaults(self) -> Any:
        from mem0.configs.base import MemoryConfig

        return MemoryConfig()

    def create(self, part: str, provider: str, folder: Path) -> None:
        from mem0.utils.factory import EmbedderFactory, LlmFactory, RerankerFactory
        from mem0.vector_stores.configs import VectorStoreConfig

        create: dict[str, Any] = {
            "llm": lambda: LlmFactory.create(provider, {}),
            "embedder": lambda: EmbedderFactory.create(provider, {}, None),
            "reranker": lambda: RerankerFactory.create(provider, {}),
            "vector_store": lambda: VectorStoreConfig(provider=provider),
        }
        create[part]()


side = both(Ours, Theirs)


def test_models_are_openais_for_who_has_its_key_and_nothing_is_reranked(
    side: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    config = side.defaults()
    assert config.llm.provider == config.embedder.provider == "openai"
    assert config.reranker is None
    assert config.custom_instructions is None
    assert config.version == "v1.1"
    assert config.vector_store.config.collection_name == "mem0"


@pytest.mark.parametrize("part", ["llm", "embedder", "reranker", "vector_store"])
def test_an_unknown_provider_is_refused_by_its_name(side: Any, part: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no-such-thing"):
        side.create(part, "no-such-thing", tmp_path)
