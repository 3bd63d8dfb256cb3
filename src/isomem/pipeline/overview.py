"""What a page that shows a memory asks beyond the calls: entities, and where pages begin."""

from __future__ import annotations

from operator import itemgetter

from isomem.contract.arguments import check_ids, refuse_wildcard_ids
from isomem.contract.filters import CompiledFilters
from isomem.contract.limits import LISTED_ENTITIES
from isomem.contract.pages import place_of
from isomem.contract.payload import describe, links_of, listed
from isomem.pipeline.asked import checked_filters, visibility_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from isomem.contract.pages import Place
    from isomem.contract.payload import ResultFields
    from isomem.contract.visibility import Visibility
    from isomem.ports.shapes import Filters, Hit, Ports, Stores

LINKED_SHOWN = 200
"""The most memories of one entity that are shown."""

MOST_PLACED = 1_000_000
"""The most memories whose pages are looked for."""

# --- Entities --------------------------------------------------------------------------------


async def entities(ports: Ports, ids: Mapping[str, object], most: int) -> dict[str, Any]:
    """The entities of a scope that are in most memories, and these memories.

    Args:
        ids: of the scope; at least one.
        most: how many entities.

    Returns:
        `{"entities": [{"id", "text", "type", "links", "memories"}, ...], "memories": {id: memory},
        "total"}`: `links` is in how many memories an entity is, `memories` has the ids of up to
        `LINKED_SHOWN` of them, and `total` is how many entities there are, of the first 10,000.

    Raises:
        ValidationError: no id was given.
        ValueError: an id is not valid.
    """
    scope = check_ids(dict(ids), ports.profile.read_id)
    if not ports.takes_any_id:
        refuse_wildcard_ids(scope)
    return await ports.store(_entities, scope, most, ports.profile.RESULT_FIELDS)


def _entities(stores: Stores, scope: Filters, most: int, fields: ResultFields) -> dict[str, Any]:
    with stores.reading():
        found = listed(stores.parts[1].list(filters=scope, top_k=LISTED_ENTITIES))
        named = [(point, payload) for point in found if (payload := point.payload or {})]
        shown = sorted((_entity(*each) for each in named), key=itemgetter("text"))
        shown.sort(key=itemgetter("links"), reverse=True)
        best = shown[:most]
        linked = {memory_id: None for entity in best for memory_id in entity["memories"]}
        return {
            "entities": best,
            "memories": _memories(stores, linked, fields),
            "total": len(shown),
        }


def _entity(point: Hit, payload: Mapping[str, Any]) -> dict[str, Any]:
    linked = [*links_of(dict(payload))]
    return {
        "id": str(point.id),
        "text": str(payload.get("data") or ""),
        "type": str(payload.get("entity_type") or ""),
        "links": len(linked),
        "memories": linked[:LINKED_SHOWN],
    }


def _memories(stores: Stores, ids: Mapping[str, None], fields: ResultFields) -> dict[str, Any]:
    points = ((memory_id, stores.vectors.get(vector_id=memory_id)) for memory_id in ids)
    return {
        memory_id: describe(memory_id, point.payload or {}, fields)
        for memory_id, point in points
        if point is not None
    }


# --- Pages -----------------------------------------------------------------------------------


async def page_starts(
    ports: Ports,
    *,
    filters: Filters | None,
    order: str | None,
    page_size: int,
    show_expired: bool = False,
    show_superseded: bool = False,
) -> dict[str, Any]:
    """Where every page of `get_all` begins, so that any page can be asked for at once.

    Args:
        filters, order, page_size, show_expired, show_superseded: as in `get_all`.

    Returns:
        `{"cursors": [None, cursor, ...], "total"}`. The first page has None. Pages behind the first
        `MOST_PLACED` memories have to be read one after another.

    Raises:
        ValueError: as in `get_all`.
    """
    asked = checked_filters(ports, filters)
    visibility = visibility_of(ports, show_expired=show_expired, show_superseded=show_superseded)
    place = place_of((asked, visibility.shows), order, page_size, None)
    return await ports.store(_page_starts, CompiledFilters(asked), visibility, place)


def _page_starts(
    stores: Stores, filters: Filters, visibility: Visibility, place: Place
) -> dict[str, Any]:
    with stores.reading():
        entries = stores.listing(visibility).find(filters, place.order, None, MOST_PLACED)
        size: int = place.page_size
        lasts: Sequence[Any] = entries[size - 1 : len(entries) - 1 : size]
        return {
            "cursors": [None, *(place.cursor(entry[:2]) for entry in lasts)],
            "total": len(entries),
        }
