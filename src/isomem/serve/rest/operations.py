"""Operations: what one method of one path does, for the router and for the OpenAPI document."""

from __future__ import annotations

import json
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import PydanticSerializationError, to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from isomem.serve.callers import Accepted, Caller

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    from isomem.serve.rest.schemas import Schema


class Operation(NamedTuple):
    """One method of one path.

    Attributes:
        method, path: of HTTP; the path may have parameters in braces.
        run: makes the answer to a caller: what is sent as JSON, or something `Raw`.
        name: unique among all operations.
        summary: what it does, in a sentence.
        tag: the dialect.
        result: schema of the answer.
        body: schema of the request, or None if there is none.
        query: schemas of the parameters after the question mark, by name.
        doc: more about it, as Markdown.
        status: of HTTP, if it goes well.
        is_open: whether it needs no key; then `run` gets the request.
        content: of the answer by its media type, if that is not JSON.
        may_wait: whether it can be made later, and sent again without harm.
    """

    method: str
    path: str
    run: Callable[[Any], Awaitable[object]]
    name: str
    summary: str
    tag: str
    result: Schema
    body: Schema | None = None
    query: dict[str, Schema] | None = None
    doc: str = ""
    status: int = 200
    is_open: bool = False
    content: Schema | None = None
    may_wait: bool = False


class Raw:
    """An answer whose bytes are there already, in place of something to send as JSON."""

    __slots__ = ("body", "headers", "media_type", "status")

    def __init__(
        self,
        body: bytes,
        media_type: str,
        status: int = 200,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.body = body
        self.media_type = media_type
        self.status = status
        self.headers = headers


class Endpoint:
    """Answers the requests for one path.

    It is an ASGI application, so that no framework looks at a request that it reads itself.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._path = operations[0].path
        self._operations = {each.method: each for each in operations}
        if "GET" in self._operations:
            self._operations.setdefault("HEAD", self._operations["GET"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request.

        Raises:
            Exception: what went wrong; the guard answers.
        """
        scope["state"]["route"] = self._path
        operation = self._operations.get(scope["method"])
        if operation is None:
            allowed = {"Allow": ", ".join(sorted(self._operations))}
            raise HTTPException(405, f"{scope['method']} does nothing here.", allowed)
        request = Request(scope, receive)
        try:
            answer = await operation.run(request if operation.is_open else Caller(request))
        except Accepted as accepted:
            answer = accepted_job(accepted.job)
        await send_answer(answer, operation.status, send)


class Shortcut:
    """The way past the router to the paths without parameters, since it looks at every route.

    Args:
        app: what answers everything else.
        routes: of the router, in its order.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        known = [each for each in routes if isinstance(each, Route)]
        self._endpoints: dict[str, ASGIApp] = {
            each.path: each.app
            for each in known
            if isinstance(each.app, Endpoint)
            and not each.param_convertors
            and each is _first(known, each.path)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        await self._endpoints.get(scope.get("path", ""), self._app)(scope, receive, send)


def _first(routes: Iterable[Route], path: str) -> Route | None:
    """The route that the router takes."""
    return next((each for each in routes if each.path_regex.match(path)), None)


def accepted_job(job: dict[str, Any]) -> Raw:
    """The answer to a call that is made later."""
    where = [("Location", f"/api/jobs/{job['id']}"), ("Preference-Applied", "respond-async")]
    return Raw(encode(job), "application/json", 202, where)


async def send_answer(answer: object, status: int, send: Send) -> None:
    """Sends what an operation made."""
    raw = answer if isinstance(answer, Raw) else Raw(encode(answer), "application/json", status)
    headers = [
        (b"content-type", raw.media_type.encode()),
        (b"content-length", str(len(raw.body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in raw.headers),
    ]
    await send({"type": "http.response.start", "status": raw.status, "headers": headers})
    await send({"type": "http.response.body", "body": raw.body})


def encode(value: object) -> bytes:
    """A value as JSON in UTF-8.

    A program may have stored what JSON cannot say: NaN and infinity become null, and half of a
    surrogate pair becomes a question mark.
    """
    try:
        return to_json(value, inf_nan_mode="null")
    except PydanticSerializationError:
        text = _ENCODER.encode(_finite(value))
    return text.encode("utf-8", "replace")


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def routes_of(operations: Iterable[Operation]) -> list[Route]:
    """One route per path."""
    paths: dict[str, list[Operation]] = {}
    for each in operations:
        paths.setdefault(each.path, []).append(each)
    return [Route(path, Endpoint(some)) for path, some in paths.items()]
