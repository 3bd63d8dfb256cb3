"""What the inspector asks beyond the calls, below `/ui/api/`: each through the access of a key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response

from isomem import __version__
from isomem.pipeline import overview
from isomem.serve.callers import Caller, shown_key
from isomem.serve.grants import covered
from isomem.serve.limits import PASSED_PER_READ
from isomem.serve.rest.operations import encode
from isomem.types import RANKINGS, SCOPE_KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from isomem.pipeline.overview import Entities, Entity
    from isomem.serve.access import Access
    from isomem.serve.service import Service

ENTITIES_SHOWN = 40
"""The default number of entities of a scope; a graph of more can hardly be read."""

MOST_ENTITIES = 200

_FRESH = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def view_routes() -> APIRouter:
    """The routes below `/ui/api/`."""
    router = APIRouter(prefix="/ui/api", include_in_schema=False)
    for path, method, view in (
        ("/session", "GET", session),
        ("/pages", "POST", pages),
        ("/entities", "POST", entities),
        ("/exchanges", "GET", exchanges),
        ("/keys", "GET", keys),
        ("/keys", "POST", create_key),
        ("/keys/{key_id}/rotate", "POST", rotate_key),
        ("/keys/{key_id}/revoke", "POST", revoke_key),
    ):
        router.add_api_route(path, view, methods=[method])
    return router


# --- Who is there, and what -------------------------------------------------------------------


async def session(request: Request) -> Response:
    """What the caller may do, and what the memory offers. Without a key: that one is needed."""
    service: Service = request.app.state.service
    if service.settings.auth and shown_key(request) is None:
        return _json({"auth": True, "key": None})
    access = Caller(request).access
    memory, key = access.memory, access.key
    return _json(
        {
            "version": __version__,
            "auth": service.settings.auth,
            "key": {name: key.shown()[name] for name in ("id", "name", "rights", "grants")},
            "sees_everything": access.sees_everything,
            "has_model": memory.config.llm.provider != "unset",
            "profile": memory.config.profile,
            "ranking": memory.ranking,
            "rankings": [*RANKINGS],
            "records": service.kept.recorder is not None,
        }
    )


async def pages(request: Request) -> Response:
    """Where every page of `get_all` begins, with the same arguments."""
    caller = Caller(request)
    access, body = caller.access, await caller.object()
    access.check_right("read")
    known = ("filters", "order", "page_size", "show_expired", "show_superseded")
    asked = {name: body[name] for name in known if name in body}
    asked["filters"] = access.filters(asked.get("filters"))
    asked.setdefault("order", None)
    asked.setdefault("page_size", None)
    starts = await caller.ask(overview.page_starts, **asked)
    caller.count(starts["total"] // PASSED_PER_READ)
    return _json(starts)


async def entities(request: Request) -> Response:
    """The entities of a scope, and the memories that they are in."""
    caller = Caller(request)
    access, body = caller.access, await caller.object()
    access.check_right("read")
    scope = access.narrow({key: body.get(key) for key in SCOPE_KEYS})
    most = _whole(body.get("most", ENTITIES_SHOWN), 1, MOST_ENTITIES, "most")
    return _json(_own(access, await caller.ask(overview.entities, scope, most)))


def _own(access: Access, found: Entities) -> Entities:
    """What was found, without memories that the key may not touch, and entities only in those."""
    if access.sees_everything:
        return found
    own = {
        memory_id: memory
        for memory_id, memory in found["memories"].items()
        if covered(access.key.grants, memory)
    }
    shown: list[Entity] = []
    for entity in found["entities"]:
        linked = [memory_id for memory_id in entity["memories"] if memory_id in own]
        if linked:
            shown.append({**entity, "memories": linked})
    return {**found, "entities": shown, "memories": own}


async def exchanges(request: Request) -> Response:
    """The last adds that the caller may see, newest first, and the model's part in them."""
    caller = Caller(request)
    caller.access.check_right("read")
    kept = caller.service.kept
    shown = await asyncio.to_thread(kept.shown_to, caller.access.key.grants)
    return _json({"records": kept.recorder is not None, "exchanges": shown})


# --- Keys -------------------------------------------------------------------------------------


async def keys(request: Request) -> Response:
    """Every key, without its secret."""
    found = await asyncio.to_thread(_admin(request).service.keys.all)
    return _json({"keys": [key.shown() for key in found]})


async def create_key(request: Request) -> Response:
    """Makes a key. The answer has its secret, which cannot be shown again."""
    caller = _admin(request)
    body = await caller.object()
    text, key = await asyncio.to_thread(
        caller.service.keys.create,
        body.get("name", ""),
        _texts(body.get("rights", []), "rights"),
        _list(body.get("grants", []), "grants"),
        rate_per_minute=body.get("rate_per_minute"),
        expires_at=_moment(body.get("expires_at")),
    )
    return _json({"secret": text, "key": key.shown()})


async def rotate_key(request: Request, key_id: str) -> Response:
    """A new secret for a key; the old one stops working at once."""
    text, key = await asyncio.to_thread(_admin(request).service.keys.rotate, key_id)
    return _json({"secret": text, "key": key.shown()})


async def revoke_key(request: Request, key_id: str) -> Response:
    """Ends a key."""
    key = await asyncio.to_thread(_admin(request).service.keys.revoke, key_id)
    return _json({"key": key.shown()})


def _admin(request: Request) -> Caller:
    """The caller, if it may have any key: otherwise it could make itself a better one.

    Raises:
        PermissionDeniedError: it may not.
    """
    caller = Caller(request)
    caller.access.check_right("admin")
    caller.access.check_everything()
    return caller


# --- Reading a request ------------------------------------------------------------------------


def _json(content: Mapping[str, object]) -> Response:
    return Response(encode(content), headers=_FRESH, media_type="application/json")


def _whole(value: object, least: int, most: int, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise ValueError(f"{name} must be a whole number from {least} to {most}")


def _list(value: object, name: str) -> list[Mapping[str, str]]:
    if isinstance(value, list):
        return value
    raise ValueError(f"{name} must be a list")


def _texts(value: object, name: str) -> list[str]:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    raise ValueError(f"{name} must be a list of texts")


def _moment(value: object) -> float | None:
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    raise ValueError("expires_at must be seconds since 1970, or null")
