"""mem0's own class for Qdrant under its name, in place of isomem's store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from isomem.providers import registry
from isomem.providers.bridge.making import make_vector_store


def _resolve(kind: registry.Kind, provider: str) -> Callable[..., Any] | None:
    def make(config: Mapping[str, object], dims: int | None = None, **_: object) -> Any:
        return make_vector_store("qdrant", config, dims)

    return make if (kind, provider) == (registry.VECTOR_STORES, "qdrant") else None


@contextmanager
def mem0s_qdrant() -> Iterator[None]:
    """A block in which the provider "qdrant" is mem0's class."""
    registry.RESOLVERS.append(_resolve)
    try:
        yield
    finally:
        registry.RESOLVERS.remove(_resolve)
