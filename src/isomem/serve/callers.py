"""Callers: who sends a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import Request

    from isomem.serve.access import Access
    from isomem.serve.service import Service


def access_of(request: Request) -> Access:
    """The view of the caller of a request.

    Raises:
        Problem: 401, there is no key, or it does not work.
    """
    service: Service = request.app.state.service
    return service.access(shown_key(request))


def shown_key(request: Request) -> str | None:
    """The key that a request shows: X-API-Key, or Authorization: Bearer or Token."""
    key = request.headers.get("x-api-key")
    if key:
        return key
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() in ("bearer", "token") else None
