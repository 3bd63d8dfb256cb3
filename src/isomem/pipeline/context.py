"""Contexts: a search whose results become text for a prompt."""

from __future__ import annotations

from isomem.contract.context import check_count_tokens, check_max_tokens, context_of
from isomem.pipeline.search import search

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from isomem.ports.shapes import Filters, Ports


async def context(
    ports: Ports,
    query: str,
    *,
    filters: Filters,
    top_k: int,
    threshold: float | None,
    rerank: bool,
    ranking: str | None,
    max_tokens: int,
    count_tokens: Callable[[str], int] | None,
) -> str:
    """The memories that answer a query and fit into a prompt, as text."""
    most, count = check_max_tokens(max_tokens), check_count_tokens(count_tokens)
    found = await search(
        ports,
        query,
        top_k=top_k,
        filters=filters,
        threshold=threshold,
        rerank=rerank,
        ranking=ranking,
        explain=False,
        other={},
    )
    return await ports.compute(context_of, found["results"], most, count)
