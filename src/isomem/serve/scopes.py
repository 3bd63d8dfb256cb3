"""Scopes: whose memories there are, as far as a key may see them, all at once or page by page."""

from __future__ import annotations

from isomem.pipeline import scope_pages
from isomem.pipeline.listing import checked_ids
from isomem.pipeline.scope_pages import Asked
from isomem.serve.grants import covered, is_everything
from isomem.serve.limits import PASSED_PER_READ
from isomem.serve.problems import TOO_LARGE, Problem
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from isomem.memory_async import AsyncMemory
    from isomem.results import Scope, ScopePage
    from isomem.serve.grants import Grant

LISTED_AT_ONCE = 10_000
"""How many scopes are listed to who asks for no page."""


async def list_scopes(
    memory: AsyncMemory, grants: Sequence[Grant], arguments: Mapping[str, Any]
) -> list[Scope] | ScopePage:
    """The scopes that are granted: all of them, or with `page_size` or `cursor` a page.

    Args:
        arguments: of the call, narrowed down to what the key may ask for.

    Raises:
        ValueError: an argument is not valid.
        Problem: 413, there are more than are listed at once.
    """
    ports = memory._ports
    given = checked_ids(ports, {key: arguments.get(key) for key in SCOPE_KEYS})
    asked = _asked(given, grants)
    options = {key: value for key, value in arguments.items() if key not in SCOPE_KEYS}
    if options.get("page_size") is not None or options.get("cursor") is not None:
        return await ports.run(scope_pages.page(ports, asked, **options))
    hidden = {key: options[key] for key in ("show_expired", "show_superseded") if key in options}
    found = await ports.run(scope_pages.every(ports, asked, LISTED_AT_ONCE, **hidden))
    if found is None:
        raise _too_many()
    return found


def _asked(ids: Mapping[str, str], grants: Sequence[Grant]) -> Asked:
    """The scopes with these ids that are granted, without a look at those of others if possible."""
    if is_everything(grants):
        return Asked([ids])
    ways = [{**ids, **grant.fixed} for grant in grants if _agree(ids, grant.fixed)]
    return Asked(ways, lambda own: covered(grants, own))


def _agree(ids: Mapping[str, str], others: Mapping[str, str]) -> bool:
    return all(ids.get(key, value) == value for key, value in others.items())


def counted_in(result: list[Scope] | ScopePage) -> int:
    """What it costs that the memories of some scopes were counted, in memories that are read."""
    scopes = result["results"] if isinstance(result, dict) else result
    return sum(scope["memories"] for scope in scopes) // PASSED_PER_READ


def _too_many() -> Problem:
    return Problem(
        TOO_LARGE, "LIMIT_004",
        f"{LISTED_AT_ONCE:,} scopes are listed at once, and there are more.",
        "Name a user_id, an agent_id or a run_id, or ask page by page: `POST /api/scopes` with "
        "`page_size`, and then with the `next_cursor` of each page.",
    )  # fmt: skip
