"""Searching: from a query to ranked memories."""

from __future__ import annotations

from isomem import log
from isomem.contract.arguments import (
    check_other,
    check_query,
    check_ranking,
    check_threshold,
    check_top_k,
)
from isomem.contract.filters import CompiledFilters, translate
from isomem.contract.limits import (
    CANDIDATES_PER_RESULT,
    DEFAULT_THRESHOLD,
    LEAST_CANDIDATES,
)
from isomem.contract.payload import describe
from isomem.contract.scope import scope_of
from isomem.contract.scoring import Signals, normalize_bm25, rank, sigmoid_for
from isomem.pipeline.asked import checked_filters, visibility_of
from isomem.pipeline.mentions import embed_query
from isomem.ports.guard import PartFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from typing import Any

    from isomem.contract.plan import Mention
    from isomem.contract.profile import Profile
    from isomem.contract.ranking import Placed
    from isomem.contract.scoring import Ranked
    from isomem.contract.visibility import Visibility
    from isomem.ports.shapes import Filters, Hit, Ports, Stores, Vector
    from isomem.results import SearchResults

    Reading = Callable[[Ports, str, Filters], Awaitable["Query"]]
    Ask = Callable[[int], Sequence[Any]]
    First = Callable[[Ask, int], Sequence[Any]]
    """Chooses so many of what can be asked for: `_first`, or `Visibility.first_shown`."""
    Order = Callable[[Stores, "Query", First], Sequence[Ranked | Placed]]


ARGUMENTS = (
    "query", "top_k", "filters", "threshold", "rerank", "ranking", "explain", "show_expired",
    "show_superseded",
)  # fmt: skip


class Query:
    """A search whose text has been analysed: what the stores are asked for."""

    __slots__ = (
        "counts_in_scope", "explain", "filters", "lemmas", "probes", "profile", "text", "threshold",
        "top_k", "vector", "visibility",
    )  # fmt: skip

    visibility: Visibility
    profile: Profile

    def __init__(self, text: str, lemmas: str, filters: Filters) -> None:
        self.text = text
        self.lemmas = lemmas
        self.vector: Vector = ()
        self.probes: Sequence[Mention] = ()
        self.filters = filters
        self.threshold = DEFAULT_THRESHOLD
        self.top_k = 0
        self.explain = False
        self.counts_in_scope = False

    def scope(self) -> Filters:
        """The ids among the filters; the filters themselves if they are only ids."""
        scope = scope_of(self.filters)
        return self.filters if scope == self.filters else CompiledFilters(scope)


async def search(
    ports: Ports,
    query: str,
    *,
    top_k: int,
    filters: Filters | None,
    threshold: float | None,
    rerank: bool,
    ranking: str | None,
    explain: bool,
    show_expired: bool = False,
    show_superseded: bool = False,
    other: Mapping[str, object],
) -> SearchResults:
    """One call of `search`. `other` has the arguments that it does not know."""
    check_other(other, "search", ARGUMENTS, ports.profile.REFUSED_BY_SEARCH)
    if rerank and not ports.reranks:
        log.warning("search(rerank=True) does nothing: no reranker is configured")
    check_threshold(threshold)
    top_k = check_top_k(top_k)
    given = ports.profile.read_query(query)
    read, order = _RANKINGS[check_ranking(ranking, ports.settings.ranking)]
    compiled = CompiledFilters(translate(checked_filters(ports, filters)))
    text = check_query(given)
    analysed = await read(ports, text, compiled)
    analysed.threshold = DEFAULT_THRESHOLD if threshold is None else threshold
    analysed.top_k = top_k
    analysed.explain = explain
    analysed.counts_in_scope = ports.settings.counts_in_scope
    analysed.visibility = visibility_of(
        ports, show_expired=show_expired, show_superseded=show_superseded
    )
    analysed.profile = ports.profile
    results: Any = await ports.store(_find, analysed, order)
    if rerank and results and ports.reranks:
        results = await _rerank(ports, text, results, top_k)
    return {"results": results}


def _find(stores: Stores, query: Query, order: Order) -> list[dict[str, object]]:
    """The memories that the stores have for a query, best first.

    All candidates are only looked at if one of the best is hidden.
    """
    with stores.reading(filters=query.filters, lemmas=query.lemmas, probes=query.probes):
        results = _described(stores, order(stores, query, _first), query)
        if results is None:
            results = _described(stores, order(stores, query, query.visibility.first_shown), query)
        return results or []


def _described(
    stores: Stores, found: Sequence[Ranked | Placed], query: Query
) -> list[dict[str, object]] | None:
    """What was found as results; None if one is hidden."""
    results, fields = [], query.profile.RESULT_FIELDS
    stores.with_payloads([each.hit for each in found])
    for each in found:
        payload = each.hit.payload or {}
        if query.visibility.hides(payload):
            return None
        if payload.get("data"):
            result = describe(each.memory_id, payload, fields, score=each.score)
            if query.explain:
                result["score_details"] = each.details(query.threshold)
            results.append(result)
    return results


def _first(ask: Ask, most: int) -> Sequence[Any]:
    return ask(most)


# --- The contract's ranking ------------------------------------------------------------------


async def _read(ports: Ports, text: str, filters: Filters) -> Query:
    lemmas = await ports.compute(ports.nlp.lemmatize, text)
    entities = await ports.compute(ports.nlp.entities, text)
    query = Query(text, lemmas, filters)
    query.vector, query.probes = await embed_query(ports, text, entities, query.scope())
    return query


def _rank(stores: Stores, query: Query, first: First) -> Sequence[Ranked]:
    matching = first
    if first is not _first and not query.profile.WIDENS_SEARCH:
        first, matching = query.visibility.shown_of, _first
    return rank(_signals(stores, query, first, matching), query.threshold, query.top_k)


def _signals(stores: Stores, query: Query, first: First, first_matching: First) -> Signals:
    """The signals of the first candidates in two orders: similarity and keywords."""
    most = max(query.top_k * CANDIDATES_PER_RESULT, LEAST_CANDIDATES)
    if first is first_matching is _first and not _counts_in_scope(stores, query):
        nearest, matching = stores.both(query.text, query.vector, query.lemmas, most, query.filters)
    else:
        nearest, matching = _widened(stores, query, most, first, first_matching)
    return Signals(
        [(str(hit.id), hit) for hit in nearest],
        _keyword_scores(matching or (), query.lemmas),
        stores.links.boosts(query.probes, query.scope()),
    )


def _widened(
    stores: Stores, query: Query, most: int, first: First, first_matching: First
) -> tuple[Sequence[Any], Sequence[Any]]:
    """The candidates in both orders, if more may have to be asked for."""
    vectors, filters = stores.vectors, query.filters
    nearest = first(
        lambda top_k: vectors.search(
            query=query.text, vectors=query.vector, top_k=top_k, filters=filters
        ),
        most,
    )
    matching = first_matching(
        lambda top_k: _matching(stores, query, top_k) or (),
        most,
    )
    return nearest, matching


def _counts_in_scope(stores: Stores, query: Query) -> bool:
    return query.counts_in_scope and stores.can_count_in_scope


def _matching(stores: Stores, query: Query, top_k: int) -> Sequence[Any] | None:
    if _counts_in_scope(stores, query):
        return stores.matching(query.lemmas, top_k, query.filters)
    return stores.vectors.keyword_search(query=query.lemmas, top_k=top_k, filters=query.filters)


def _keyword_scores(hits: Iterable[Hit | dict[str, Any]], lemmas: str) -> dict[str, float]:
    midpoint, steepness = sigmoid_for(lemmas)
    scores = {}
    for hit in hits:
        if isinstance(hit, dict):  # Some vector stores return dicts here.
            memory_id, raw = hit.get("id", ""), hit.get("score", 0)
        else:
            memory_id, raw = hit.id, hit.score
        if raw and raw > 0:
            scores[str(memory_id)] = normalize_bm25(raw, midpoint, steepness)
    return scores


# --- The fused ranking -----------------------------------------------------------------------


async def _read_plain(ports: Ports, text: str, filters: Filters) -> Query:
    """A query without its entities, which that ranking does not look at."""
    query = Query(text, await ports.compute(ports.nlp.lemmatize, text), filters)
    query.vector = await ports.embed(text, "search")
    return query


def _fuse(stores: Stores, query: Query, first: First) -> Sequence[Placed]:
    # Here: most memories are never searched like this, and importing isomem would take longer.
    from isomem.contract.ranking import Question, place

    question = Question(query.text, query.lemmas, query.vector)
    return first(
        lambda top_k: place(stores.ranked(question, top_k, query.filters), query.threshold),
        query.top_k,
    )


_RANKINGS: dict[str, tuple[Reading, Order]] = {
    "contract": (_read, _rank),
    "fused": (_read_plain, _fuse),
}

# --- Reranking -------------------------------------------------------------------------------


async def _rerank(
    ports: Ports, query: str, results: list[dict[str, object]], top_k: int
) -> list[dict[str, object]]:
    try:
        ranked = await ports.rerank(query, list(results), top_k)
    except PartFailure as failure:
        log.warning("Reranking failed, using original results: %s", failure)
        return results
    if isinstance(ranked, list):
        return ranked
    log.warning("Reranking gave %s, using original results", type(ranked).__name__)
    return results
