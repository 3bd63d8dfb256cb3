"""The files of the inspector: HTML, styles and scripts, as they are in the package."""

from __future__ import annotations

import hashlib
import os

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from isomem.serve.problems import NOT_FOUND, Problem

INDEX = "index.html"

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
"""The kinds of files that there are, by the end of their names."""

_DIRECTIVES = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
POLICY = "; ".join(_DIRECTIVES)
"""What a browser lets the page do: run its own files, and talk to the service that it came from.

The text of a memory may be anything, markup included, so nothing that is in the page itself runs,
and no text can become markup.
"""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-cache",
}


class Asset:
    """One file.

    Attributes:
        content: its bytes.
        media_type: what it is.
        tag: changes with its content.
    """

    __slots__ = ("content", "media_type", "tag")

    def __init__(self, name: str, content: bytes) -> None:
        self.content = content
        self.media_type = TYPES[name.rpartition(".")[2]]
        self.tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def read_assets() -> dict[str, Asset]:
    """Every file of the page by its path below `/ui/`."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static")
    paths = (os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names)
    found = {os.path.relpath(path, root).replace(os.sep, "/"): path for path in paths}
    return {name: _read(name, path) for name, path in found.items()}


def _read(name: str, path: str) -> Asset:
    with open(path, "rb") as file:
        return Asset(name, file.read())


def asset_routes() -> APIRouter:
    """`/ui/` and the files below it. `/` leads there."""
    router = APIRouter(include_in_schema=False)
    assets = read_assets()

    async def page(request: Request, name: str = INDEX) -> Response:
        asset = assets.get(name or INDEX)
        if asset is None:
            raise Problem(NOT_FOUND, "NOT_FOUND", "The inspector has no such file.")
        headers = {**HEADERS, "ETag": asset.tag}
        if request.headers.get("if-none-match") == asset.tag:
            return Response(status_code=304, headers=headers)
        return Response(asset.content, media_type=asset.media_type, headers=headers)

    async def to_page() -> Response:
        return RedirectResponse("ui/", headers=HEADERS)

    router.add_api_route("/", to_page, methods=["GET"])
    router.add_api_route("/ui", to_page, methods=["GET"])
    router.add_api_route("/ui/{name:path}", page, methods=["GET"])
    return router
