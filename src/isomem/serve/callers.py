"""Callers: who sends a request, what they send, and how the calls that they ask for are made.

Every way in over HTTP reads its requests here, so that a key, a limit and a body mean the same to
each of them.
"""

from __future__ import annotations

import json
from math import isinf
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request

from isomem.pipeline import overview
from isomem.serve.calls import CALLS
from isomem.serve.deadlines import OutOfTimeError, within
from isomem.serve.limits import PASSED_PER_READ, READ_PER_CALL, check_read
from isomem.serve.noted import how_many
from isomem.serve.problems import BAD_INPUT, TOO_LARGE, TOO_SLOW, Problem
from isomem.serve.scopes import counted_in
from isomem.types import SCOPE_KEYS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from typing import NoReturn, TypeVar

    from starlette.requests import HTTPConnection
    from starlette.types import Receive, Scope

    from isomem.serve.access import Access
    from isomem.serve.service import Service

    T = TypeVar("T")


IDEMPOTENCY_KEY = "idempotency-key"
"""The header with which a call that adds can be sent again without harm."""

BACKGROUND = "background"
"""The argument with which a call that adds is made later."""

NOTHING_CHANGED = "Nothing was changed."


class Caller:
    """The sender of one request.

    Args:
        request: as it came.
        may_wait: whether its answer can say that a call is made later.

    Raises:
        Problem: 401, there is no key, or it does not work; 429, it was used too often.
    """

    def __init__(self, request: Request, *, may_wait: bool = True) -> None:
        self.request = request
        self._answer_may_wait = may_wait
        self.service: Service = request.app.state.service
        self.access = access_of(request)
        self._read = 0

    @property
    def path(self) -> Mapping[str, str]:
        """The parameters in the path."""
        return self.request.path_params

    @property
    def query(self) -> dict[str, str]:
        """The parameters after the question mark; of two with one name, the last.

        Raises:
            Problem: 400, a text is broken, or an id is given twice, so that it is not clear whose
                memories are meant.
        """
        given: dict[str, str] = {}
        for name, text in self.request.query_params.multi_items():
            check_text(text)
            if name in SCOPE_KEYS and name in given:
                raise Problem(BAD_INPUT, "VALIDATION_008", f"{name}: is given twice.")
            given[name] = text
        return given

    async def body(self) -> Any:
        """The JSON of the body.

        Raises:
            Problem: 400, it is not JSON; 413, it is too long; 504, it does not come.
        """
        return read_json(
            await self.in_time(_body(self.request.receive), "The body did not arrive.")
        )

    async def object(self) -> dict[str, Any]:
        """The JSON object of the body.

        Raises:
            Problem: as `body`; 400, it is something else.
        """
        given = await self.body()
        if not isinstance(given, dict):
            raise Problem(BAD_INPUT, "BODY_001", "The body must be a JSON object.")
        return given

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """What a call of the memory returns; see `Access.call`.

        A call that adds is made later if the caller prefers that (`Prefer: respond-async`, or
        `background` among the arguments), and only once for one `Idempotency-Key`.

        Raises:
            Accepted: it is made later.
            Problem: 409, the `Idempotency-Key` was used for something else; 413, there are too many
                messages; 504, it took too long.
            Exception: as `Access.call`.
        """
        check_batch(arguments.get("messages"), self.service.settings.max_messages)
        result = await self.in_time(self._made(name, arguments), _after_timeout(name))
        counted = counted_in(result) if name == "scopes" else 0
        self.count((how_many(result) or 0) + counted)
        return result

    def count(self, memories: int) -> None:
        """Counts what a request reads, or changes: beyond what one call may, as further calls."""
        before, self._read = self._read, self._read + memories
        if self._read > READ_PER_CALL:
            calls = (self._read - 1) // READ_PER_CALL - max(before - 1, 0) // READ_PER_CALL
            self.charge(calls)

    def charge(self, calls: int) -> None:
        """Counts further calls of the key, for which it waits before its next request."""
        if calls:
            self.request.app.state.limits.charge(self.access.key, calls)

    async def page_start(self, number: int, size: int, asked: Mapping[str, Any]) -> str | None:
        """The cursor of a page of `get_all`; None if there are not so many memories.

        Args:
            number: of the page, from 2 on.
            size: how many memories a page has.
            asked: the other arguments of `get_all`.

        Raises:
            Problem: 413, it is behind what one call may read.
            Exception: as `Access.call`.
        """
        access, skipped = self.access, (number - 1) * size
        check_read(number * size, self.service.settings.max_memories)
        access.check_right("read")
        named = {**asked, "filters": access.filters(asked.get("filters"))}
        cursor = await self.ask(overview.page_start, number=number, page_size=size, **named)
        self.count(skipped // PASSED_PER_READ)
        return cursor

    async def _made(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """What a call returns, or the exception that it is made later."""
        if name not in CALLS or CALLS[name].is_repeatable:
            return await self.access.call(name, arguments)
        jobs, key = self.service.jobs, self.request.headers.get(IDEMPOTENCY_KEY)
        named = {key: value for key, value in arguments.items() if key != BACKGROUND}
        if self._may_wait(arguments.get(BACKGROUND)):
            raise Accepted(await jobs.submit(self.access, name, named, key))
        if key is not None:
            return await jobs.once(self.access, name, named, key)
        return await self.access.call(name, named)

    def _may_wait(self, background: Any) -> bool:
        if background is not None and not isinstance(background, bool):
            raise Problem(BAD_INPUT, "VALIDATION_008", f"{BACKGROUND}: must be true or false.")
        preferred = self.request.headers.get("prefer", "").lower().split(",")
        is_asked = bool(background) or "respond-async" in map(str.strip, preferred)
        return is_asked and self._answer_may_wait

    async def ask(
        self, question: Callable[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any
    ) -> T:
        """What a step of `isomem.pipeline` that only reads says; see `Access.ask`.

        Raises:
            Problem: 504, it took too long.
        """
        return await self.in_time(self.access.ask(question, *args, **kwargs), NOTHING_CHANGED)

    async def everything(self, **paging: Any) -> Any:
        """A page of all memories; see `Access.everything`."""
        page = await self.in_time(self.access.everything(**paging), NOTHING_CHANGED)
        self.count(len(page["results"]))
        return page

    async def ask_model(self, messages: list[dict[str, str]]) -> Any:
        """What the model replies.

        Raises:
            ProviderError: it failed.
        """
        ports = self.access.memory._ports
        asked = ports.run_here(ports.generate(messages))  # Which needs no store.
        return await self.in_time(asked, NOTHING_CHANGED)

    async def in_time(self, work: Awaitable[T], outcome: str) -> T:
        """What some work comes to.

        Args:
            outcome: what is said of it if it is not done in time.

        Raises:
            Problem: 504, it took too long.
        """
        seconds = self.service.settings.timeout_s
        try:
            return await within(seconds, work)
        except OutOfTimeError as error:
            raise Problem(
                TOO_SLOW, "TIMEOUT_001", f"It took more than {seconds:g} seconds. {outcome}",
                "Ask for less at once, or raise `timeout_s` of the service.",
            ) from error  # fmt: skip


class Accepted(Exception):  # noqa: N818 - it is no error
    """A call is made later.

    Attributes:
        job: as its caller sees it.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        super().__init__("accepted")
        self.job = job


def _after_timeout(name: str) -> str:
    doubt = CALLS[name].doubt if name in CALLS else ""
    if not doubt:
        return NOTHING_CHANGED
    return f"It was ended, unless it was being written at that moment. {doubt}"


# --- Keys ------------------------------------------------------------------------------------


def access_of(request: HTTPConnection) -> Access:
    """The view that the sender of a request has of the memory.

    Raises:
        Problem: 401, there is no key, or it does not work; 429, it was used too often.
    """
    service: Service = request.app.state.service
    access = service.access(shown_key(request))
    request.app.state.limits.take(access.key)
    return access


def shown_key(request: HTTPConnection) -> str | None:
    """The key that a request shows: X-API-Key, or Authorization: Bearer or Token."""
    key = header_of(request.scope, b"x-api-key")
    if key:
        return key
    scheme, _, text = (header_of(request.scope, b"authorization") or "").partition(" ")
    return text.strip() if scheme.lower() in ("bearer", "token") else None


def header_of(scope: Scope, name: bytes) -> str | None:
    """A header of a request by its name in small letters; of two, the first."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


# --- Bodies ----------------------------------------------------------------------------------


async def _body(receive: Receive) -> bytes:
    """The bytes of a body.

    Raises:
        ClientDisconnect: the sender is gone.
    """
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def read_json(data: bytes) -> Any:
    """What a JSON text says.

    Raises:
        Problem: 400, it is not JSON in UTF-8, has NaN, Infinity or half a surrogate pair, or is
            nested too deeply.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Problem(BAD_INPUT, "BODY_001", "The body is not UTF-8.") from None
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise Problem(BAD_INPUT, "BODY_001", "The body is nested too deeply.") from None
    except ValueError as error:  # Not all say where.
        raise Problem(BAD_INPUT, "BODY_001", f"The body is not JSON: {error}.") from None
    if "\\u" in text:
        check_text(json.dumps(value, ensure_ascii=False))
    return value


def check_text(text: str) -> None:
    """Raises Problem, 400, if a text has half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Problem(
            BAD_INPUT, "BODY_001", "A text is not valid Unicode, it has a lone surrogate."
        ) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if isinf(value):
        raise ValueError(f"{digits:.20} is too large for a number")
    return value


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def check_batch(items: object, most: int) -> None:
    """Raises Problem, 413, if a list is longer than the service takes at once."""
    if isinstance(items, list) and len(items) > most:
        raise Problem(
            TOO_LARGE, "LIMIT_002", f"There are {len(items):,} items; {most:,} are the most.",
            "Send them in several calls.",
        )  # fmt: skip
