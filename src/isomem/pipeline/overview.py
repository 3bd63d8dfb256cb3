"""What a page that shows a memory asks beyond the calls: entities, and where pages begin."""

from __future__ import annotations

from operator import itemgetter

from isomem.contract.arguments import check_ids, refuse_wildcard_ids
from isomem.contract.filters import CompiledFilters
from isomem.contract.limits import LINKED_SHOWN, LISTED_ENTITIES, MOST_PLACED
from isomem.contract.pages import place_of
from isomem.contract.payload import describe, links_of, listed
from isomem.pipeline.asked import checked_filters, visibility_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypedDict

    from isomem.contract.pages import Place
    from isomem.contract.payload import ResultFields
    from isomem.contract.visibility import Visibility
    from isomem.ports.shapes import Entry, Filters, Hit, Payload, Ports, Stores

    class Entity(TypedDict):
        """An entity: in how many memories it is, and the ids of the first of them."""

        id: str
        text: str
        type: str
        links: int
        memories: list[str]

    class Entities(TypedDict):
        """Entities, and the memories by id that they are in."""

        entities: list[Entity]
        memories: dict[str, dict[str, object]]
        total: int

    class PageStarts(TypedDict):
        """Where pages begin, and how many memories are on all of them."""

        cursors: list[str | None]
        total: int


# --- Entities --------------------------------------------------------------------------------


async def entities(ports: Ports, ids: Mapping[str, object], most: int) -> Entities:
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


def _entities(stores: Stores, scope: Filters, most: int, fields: ResultFields) -> Entities:
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


def _entity(point: Hit, payload: Payload) -> Entity:
    linked = [*links_of(payload)]
    return {
        "id": str(point.id),
        "text": str(payload.get("data") or ""),
        "type": str(payload.get("entity_type") or ""),
        "links": len(linked),
        "memories": linked[:LINKED_SHOWN],
    }


def _memories(
    stores: Stores, ids: Mapping[str, None], fields: ResultFields
) -> dict[str, dict[str, object]]:
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
) -> PageStarts:
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


async def page_start(
    ports: Ports,
    *,
    number: int,
    filters: Filters | None,
    page_size: int,
    order: str | None = None,
    show_expired: bool = False,
    show_superseded: bool = False,
) -> str | None:
    """The cursor of one page of `get_all`, from the second on; None if there is nothing there.

    Args:
        number: of the page; the first one is 1.
        filters, page_size, order, show_expired, show_superseded: as in `get_all`.

    Raises:
        ValueError: as in `get_all`.
    """
    asked = checked_filters(ports, filters)
    visibility = visibility_of(ports, show_expired=show_expired, show_superseded=show_superseded)
    place = place_of((asked, visibility.shows), order, page_size, None)
    compiled = CompiledFilters(asked)
    return await ports.store(_page_start, compiled, visibility, place, (number - 1) * page_size)


def _page_start(
    stores: Stores, filters: Filters, visibility: Visibility, place: Place, skipped: int
) -> str | None:
    with stores.reading():
        entries = stores.listing(visibility).find(filters, place.order, None, skipped + 1)
        return place.cursor(entries[-2][:2]) if len(entries) > skipped else None


def _page_starts(
    stores: Stores, filters: Filters, visibility: Visibility, place: Place
) -> PageStarts:
    with stores.reading():
        entries = stores.listing(visibility).find(filters, place.order, None, MOST_PLACED)
        size: int = place.page_size
        lasts: Sequence[Entry] = entries[size - 1 : len(entries) - 1 : size]
        return {
            "cursors": [None, *(place.cursor(entry[:2]) for entry in lasts)],
            "total": len(entries),
        }
