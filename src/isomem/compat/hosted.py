"""How the classes of `mem0.client` talk to a service that speaks the dialect of mem0's platform.

What a call sends is written once, as a generator: it yields requests, receives the JSON of each
answer, and returns the result. `Blocking` and `Later` make methods of it.
"""

from __future__ import annotations

import os
from functools import wraps
from urllib.parse import quote

from isomem.compat.failures import api_error_handler
from isomem.digest import md5_hex
from isomem.errors import InvalidConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from typing import Any, TypeVar

    import httpx

    Class = TypeVar("Class", bound=type)
    Steps = Generator["Ask", Any, object]
    Plan = Callable[..., Steps]

TIMEOUT_S = 300
PING = "/v1/ping/"


class Ask:
    """One request.

    Args:
        verb: of HTTP, in lower case.
        path: below the address of the service.
        is_read: whether the answer is read; otherwise only whether it is an error.
        arguments: `json` and `params`, as httpx takes them.
    """

    __slots__ = ("arguments", "is_read", "path", "verb")

    def __init__(self, verb: str, path: str, *, is_read: bool = True, **arguments: object) -> None:
        self.verb = verb
        self.path = path
        self.is_read = is_read
        self.arguments = arguments

    def sent_by(self, client: Any) -> Any:
        """The response; awaitable if the client is asynchronous."""
        if self.verb == "delete" and "json" in self.arguments:
            return client.request("DELETE", self.path, **self.arguments)
        return getattr(client, self.verb)(self.path, **self.arguments)

    def result(self, response: httpx.Response) -> object:
        """The JSON of the answer, or None."""
        response.raise_for_status()
        return response.json() if self.is_read else None


def in_path(value: object) -> str:
    """An id as one part of a path: it cannot lead to another route."""
    return quote(str(value), safe="")


def given(arguments: Mapping[str, object] | None = None) -> dict[str, object]:
    """The arguments that are not None."""
    return {name: value for name, value in (arguments or {}).items() if value is not None}


def blocking(plan: Plan, client: str) -> Callable[..., object]:
    """A method that does what a plan says.

    Args:
        client: the attribute with the `httpx.Client`.
    """

    @api_error_handler
    @wraps(plan)
    def call(self: object, *args: object, **kwargs: object) -> object:
        steps = plan(self, *args, **kwargs)
        try:
            ask = next(steps)
            while True:
                ask = steps.send(ask.result(ask.sent_by(getattr(self, client))))
        except StopIteration as stop:
            return stop.value

    return call


def later(plan: Plan, client: str) -> Callable[..., object]:
    """The same as a coroutine. As in mem0, it raises what httpx raises.

    Args:
        client: the attribute with the `httpx.AsyncClient`.
    """

    @wraps(plan)
    async def call(self: object, *args: object, **kwargs: object) -> object:
        steps = plan(self, *args, **kwargs)
        try:
            ask = next(steps)
            while True:
                ask = steps.send(ask.result(await ask.sent_by(getattr(self, client))))
        except StopIteration as stop:
            return stop.value

    return call


def made_of(
    plans: type, make: Callable[[Plan, str], Callable[..., object]], client: str
) -> Callable[[Class], Class]:
    """A class decorator: every plan becomes a method."""

    def decorate(kind: Class) -> Class:
        for name, plan in vars(plans).items():
            if not name.startswith("_"):
                method = make(plan, client)
                method.__module__ = kind.__module__
                method.__qualname__ = f"{kind.__name__}.{name}"
                setattr(kind, name, method)
        return kind

    return decorate


# --- The service -----------------------------------------------------------------------------


class Hosted:
    """What `MemoryClient` and `AsyncMemoryClient` have in common.

    Attributes:
        api_key: for the service.
        host: its address.
        user_id: the MD5 digest of the key.
        org_id, project_id, user_email: what the service says about the key.
    """

    def __init__(self, api_key: str | None, host: str | None) -> None:
        name = type(self).__name__
        if not host:
            raise InvalidConfigError(
                f"{name} talks to a service: name it by host=",
                error_code="CONFIG_001",
                details={"class": name},
                suggestion="Without a service, use Memory or AsyncMemory: they keep memories in a "
                "file. isomem never calls mem0's platform on its own.",
            )
        self.api_key = api_key or os.getenv("MEM0_API_KEY")
        if not self.api_key:
            raise ValueError("Mem0 API Key not provided. Please provide an API Key.")
        self.host = host
        self.org_id: str | None = None
        self.project_id: str | None = None
        self.user_id = md5_hex(self.api_key)
        self.user_email: str | None = None

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Token {self.api_key}", "Mem0-User-ID": self.user_id}

    def _connected(self, kind: Any, client: Any) -> Any:
        """The client of httpx; one that is given gets the address and the headers."""
        if client is None:
            return kind(base_url=self.host, headers=self._headers(), timeout=TIMEOUT_S)
        import httpx

        client.base_url = httpx.URL(self.host)
        client.headers.update(self._headers())
        return client

    def _project(self, kind: Any, client: object) -> Any:
        """The project that the key belongs to."""
        return kind(
            client=client,
            org_id=self.org_id,
            project_id=self.project_id,
            user_email=self.user_email,
        )

    def _asked(
        self, send: Callable[..., httpx.Response], url: str, **options: object
    ) -> str | None:
        """Asks the service who the key belongs to; the person's address.

        Raises:
            ValueError: the service refuses the key.
        """
        import httpx

        response = send(url, params={}, **options)
        found = response.json()
        try:
            response.raise_for_status()
        except httpx.HTTPStatusError as error:
            detail = found.get("detail", str(error)) if isinstance(found, dict) else str(error)
            raise ValueError(f"Error: {detail}") from error
        if found.get("org_id") and found.get("project_id"):
            self.org_id, self.project_id = found["org_id"], found["project_id"]
        email: str | None = found.get("user_email")
        return email

    def _prepare_params(self, kwargs: dict[str, object] | None = None) -> dict[str, object]:
        return given(kwargs)

    def _prepare_payload(
        self, messages: list[object], kwargs: dict[str, object]
    ) -> dict[str, object]:
        return {"messages": messages, **given(kwargs)}
