"""Where mem0's classes of single providers are, by the name of the provider."""

from __future__ import annotations

from isomem.compat.surface import (
    EMBEDDER_MODULES,
    LLM_MODULES,
    RERANKER_MODULES,
    STORE_MODULES,
)
from isomem.providers import registry
from isomem.stores.registry import SETS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_STORE_FILES = {"neptune": "neptune_analytics"}

LLM_CLASSES = {
    name: f"mem0.llms.{name}.{classes.split()[0]}" for name, classes in LLM_MODULES.items()
}
"""The dotted path of each provider's class in mem0; the same for the three below."""
EMBEDDER_CLASSES = {
    name: f"mem0.embeddings.{name}.{kind}" for name, kind in EMBEDDER_MODULES.items()
}
STORE_CLASSES = {
    name: f"mem0.vector_stores.{_STORE_FILES.get(name, name)}.{kind}"
    for name, (kind, _) in STORE_MODULES.items()
}
RERANKER_CLASSES = {
    module if module == "llm_reranker" else module.removesuffix("_reranker"): (
        f"mem0.reranker.{module}.{kind}"
    )
    for module, (kind, _) in RERANKER_MODULES.items()
}

LIVE: dict[registry.Kind, dict[str, Any]] = {
    registry.LLMS: LLM_CLASSES,
    registry.EMBEDDERS: EMBEDDER_CLASSES,
    registry.VECTOR_STORES: STORE_CLASSES,
    registry.RERANKERS: RERANKER_CLASSES,
}
"""The tables that programs change, as soon as there are factories; see `factories`."""


def names_of(kind: registry.Kind) -> set[str]:
    """Every name that a section of a configuration may have for a provider."""
    own = set(SETS) if kind is registry.VECTOR_STORES else {"unset"}
    return {*registry.names_of(kind), *kind.elsewhere, *LIVE[kind], *own}
