"""Sends requests and receives replies as `http.attempts` decides, blocking or asynchronously."""

from __future__ import annotations

import json
import os
import time
import weakref
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, TypedDict

import httpx

from isomem.providers.headers import sendable_headers
from isomem.providers.http import (
    CONNECT_TIMEOUT_S,
    Attempts,
    Broken,
    Endpoint,
    Failure,
    Outcome,
    Pause,
    Reply,
    Request,
    attempts,
    explained,
)
from isomem.providers.routes import proxy_for, transport_proxy, trust_for

if TYPE_CHECKING:
    import ssl
    from asyncio import AbstractEventLoop

    from isomem.errors import ProviderError

_ALWAYS = {
    "Accept": "application/json",
    "Content-Type": "application/json",
    "User-Agent": "isomem",
}
LONGEST_REPLY_BYTES = 128 * 2**20
"""A hundred long vectors take a tenth of that."""

MOST_REDIRECTS = 5


class Sender:
    """Performs the attempts. Connections are kept and reused until they are closed.

    Several threads and event loops may use it at once. It can be used after a fork: a child opens
    its own connections and does not touch the inherited ones. After `close` or `aclose`, the next
    request opens new connections.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._by_process: dict[int, _Connections] = {}

    def send(self, request: Request) -> object:
        """The JSON of the answer to `request`. Raises as `attempts`."""
        steps = self.steps(request)
        try:
            step = next(steps)
            while True:
                step = steps.send(self._perform(step))
        except StopIteration as stop:
            return stop.value

    async def asend(self, request: Request) -> object:
        """As `send`, without blocking the running event loop."""
        steps = self.steps(request)
        try:
            step = next(steps)
            while True:
                step = steps.send(await self._aperform(step))
        except StopIteration as stop:
            return stop.value

    def open(self, method: str, request: Request) -> httpx.Response:
        """The answer to one attempt, whatever its status; its body has not been read.

        The caller reads and closes it. Nothing is sent again, and no redirect is followed.

        Raises:
            NetworkError: nothing answers.
        """
        try:
            client = self._client(self.endpoint.base_url)
            content = self.encoded(request) if method == "POST" else b""
            proof = self._proof(request, content)
            sent = client.build_request(method, **self._arguments(request, content, proof))
            return client.send(sent, stream=True)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise self._unreachable(error, request) from error

    async def aopen(self, method: str, request: Request) -> httpx.Response:
        """As `open`, without blocking the running event loop."""
        try:
            client = await self._aclient(self.endpoint.base_url)
            content = self.encoded(request) if method == "POST" else b""
            proof = await self._aproof(request, content)
            sent = client.build_request(method, **self._arguments(request, content, proof))
            return await client.send(sent, stream=True)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise self._unreachable(error, request) from error

    def _unreachable(self, failure: Failure, request: Request) -> ProviderError:
        return explained(self.endpoint, self._broken(failure, request))

    def steps(self, request: Request) -> Attempts:
        """What to do for `request`, one step at a time."""
        return attempts(self.endpoint, request)

    def _perform(self, step: Request | Pause) -> Outcome:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            return self._exchange(step)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            return self._broken(error, step)

    async def _aperform(self, step: Request | Pause) -> Outcome:
        if isinstance(step, Pause):
            import asyncio

            await asyncio.sleep(step.seconds)
            return None
        try:
            return await self._aexchange(step)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            return self._broken(error, step)

    def _exchange(self, request: Request) -> Reply:
        client = self._client(self.endpoint.base_url)
        content = self.encoded(request)
        proof = self._proof(request, content)
        sent = client.build_request("POST", **self._arguments(request, content, proof))
        for _ in range(MOST_REDIRECTS + 1):
            response = self._client(str(sent.url)).send(sent, stream=True)
            try:
                onward = response.next_request
                if onward is None:
                    body = _Body(self.endpoint)
                    for part in response.iter_bytes():
                        body.add(part)
                    return Reply(response.status_code, response.headers, body.whole())
            finally:
                response.close()
            sent = self._followed(sent, onward)
        raise httpx.TooManyRedirects("it redirects in circles", request=sent)

    async def _aexchange(self, request: Request) -> Reply:
        client = await self._aclient(self.endpoint.base_url)
        content = self.encoded(request)
        proof = await self._aproof(request, content)
        sent = client.build_request("POST", **self._arguments(request, content, proof))
        for _ in range(MOST_REDIRECTS + 1):
            response = await (await self._aclient(str(sent.url))).send(sent, stream=True)
            try:
                onward = response.next_request
                if onward is None:
                    body = _Body(self.endpoint)
                    async for part in response.aiter_bytes():
                        body.add(part)
                    return Reply(response.status_code, response.headers, body.whole())
            finally:
                await response.aclose()
            sent = self._followed(sent, onward)
        raise httpx.TooManyRedirects("it redirects in circles", request=sent)

    def _followed(self, sent: httpx.Request, onward: httpx.Request) -> httpx.Request:
        """`onward`, if it leads to the same server: no other may see keys and conversations."""
        old, new = sent.url, onward.url
        is_same = (old.scheme, old.host, old.port) == (new.scheme, new.host, new.port)
        is_secured = old.host == new.host and (old.scheme, new.scheme) == ("http", "https")
        if is_same or is_secured:
            return onward
        origin = f"{new.scheme}://{new.netloc.decode('ascii', 'replace')}"
        raise self.endpoint.redirected(origin)

    def _broken(self, failure: Failure, request: Request) -> Broken:
        url = self.endpoint.url(request.path)
        return Broken(failure, proxy_for(url, self.endpoint.proxies))

    def encoded(self, request: Request) -> bytes:
        """The body of `request` as JSON.

        Raises:
            ProviderError: it has no form in JSON.
        """
        try:
            text = json.dumps(
                request.body, ensure_ascii=False, separators=(",", ":"), allow_nan=False
            )
            return text.encode("utf-8")
        except (TypeError, ValueError, RecursionError) as error:
            raise self.endpoint.error(f"cannot be sent this as JSON: {error}") from error

    def _proof(self, request: Request, content: bytes) -> Mapping[str, str]:
        authorize = self.endpoint.authorize
        if authorize is None:
            return {}
        url = httpx.URL(self.endpoint.url(request.path)).copy_with(userinfo=b"")
        return authorize(str(url), content) if url.host else {}  # which cannot be sent anyway

    async def _aproof(self, request: Request, content: bytes) -> Mapping[str, str]:
        """As `_proof`, in a thread, since it may ask a server for a token."""
        if self.endpoint.authorize is None:
            return {}
        import asyncio

        return await asyncio.to_thread(self._proof, request, content)

    def _arguments(self, request: Request, content: bytes, proof: Mapping[str, str]) -> _Arguments:
        url = self._url(request)
        headers = httpx.Headers(_ALWAYS)  # However they are spelt, one takes the place of another.
        headers.update(self.endpoint.headers)
        headers.update(sendable_headers(request.headers, f"{self.endpoint.provider}: header"))
        headers.update(sendable_headers(proof, f"{self.endpoint.provider}: header"))
        if url.userinfo:
            # As httpx does it, which would log the address with the password.
            headers["Authorization"] = _basic(url)
            url = url.copy_with(userinfo=b"")
        return {
            "url": url,
            "content": content,
            "headers": headers,
            "params": request.query,
            "timeout": self._timeout(request),
        }

    def _url(self, request: Request) -> httpx.URL:
        try:
            return httpx.URL(self.endpoint.url(request.path))
        except UnicodeEncodeError as error:
            raise self.endpoint.error(f"cannot be sent this in an address: {error}") from error

    def _timeout(self, request: Request) -> httpx.Timeout:
        seconds = request.timeout_s or self.endpoint.timeout_s
        if isinstance(seconds, httpx.Timeout):
            return seconds
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
            raise self.endpoint.error(f"cannot wait for timeout={seconds!r}; give it in seconds")
        return httpx.Timeout(seconds, connect=min(seconds, CONNECT_TIMEOUT_S))

    # --- Clients ---

    def _connections(self) -> _Connections:
        """The connections of this process. After a fork, even a lock may be held forever."""
        process = os.getpid()
        known = self._by_process.get(process)
        return known or self._by_process.setdefault(process, _Connections())

    def _client(self, url: str) -> httpx.Client:
        own, scheme = self._connections(), _scheme(url)
        with own.lock:
            client = own.blocking.get(scheme)
            if client is None:
                client = own.blocking[scheme] = httpx.Client(**self._route(url))
            return client

    async def _aclient(self, url: str) -> httpx.AsyncClient:
        import asyncio

        loop, scheme = asyncio.get_running_loop(), _scheme(url)
        own = self._connections()
        with own.lock:
            of_loop = own.by_loop.setdefault(loop, {})
            known = of_loop.get(scheme)
            if known is not None and not known.client.is_closed:
                return known.client
            client = httpx.AsyncClient(**self._route(url))
            known = of_loop[scheme] = _LoopClient(client, _open_until_loop_ends(client))
        await known.lifetime.__anext__()
        return client

    def _route(self, url: str) -> _Route:
        # The proxy is chosen here, so httpx does not have to look at the environment.
        proxy = proxy_for(url, self.endpoint.proxies)
        trusted = trust_for(url, proxy)
        taken = transport_proxy(proxy, trusted) if proxy else None
        return {"verify": trusted, "proxy": taken, "trust_env": False}

    def close(self) -> None:
        """Closes the connections of blocking calls."""
        own = self._connections()
        with own.lock:
            clients, own.blocking = own.blocking, {}
        for client in clients.values():
            client.close()

    async def aclose(self) -> None:
        """Closes the connections of blocking calls and those of the running event loop."""
        import asyncio

        self.close()
        own = self._connections()
        with own.lock:
            of_loop = own.by_loop.pop(asyncio.get_running_loop(), {})
        for known in of_loop.values():
            await known.lifetime.aclose()


class _Arguments(TypedDict):
    """Those of `httpx.Client.build_request`."""

    url: httpx.URL
    content: bytes
    headers: httpx.Headers
    params: Mapping[str, str] | None
    timeout: httpx.Timeout


class _Route(TypedDict):
    """Those of `httpx.Client`."""

    verify: ssl.SSLContext | bool
    proxy: httpx.Proxy | None
    trust_env: bool


def _basic(url: httpx.URL) -> str:
    user = f"{url.username}:{url.password}".encode()
    return f"Basic {b64encode(user).decode()}"


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()


@dataclass(frozen=True)
class _LoopClient:
    client: httpx.AsyncClient
    lifetime: AsyncGenerator[None, None]


class _Connections:
    """The clients of one process, by the scheme of the address."""

    __slots__ = ("blocking", "by_loop", "lock")

    def __init__(self) -> None:
        self.lock = Lock()
        self.blocking: dict[str, httpx.Client] = {}
        self.by_loop: weakref.WeakKeyDictionary[AbstractEventLoop, dict[str, _LoopClient]]
        self.by_loop = weakref.WeakKeyDictionary()


class _Body:
    """The body of a reply while it is received; its size is limited."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > LONGEST_REPLY_BYTES:
            limit = f"{LONGEST_REPLY_BYTES // 2**20} MB"
            raise self._endpoint.error(f"answered more than {limit}, which were not read")
        self._parts.append(part)

    def whole(self) -> bytes:
        return b"".join(self._parts)


async def _open_until_loop_ends(client: httpx.AsyncClient) -> AsyncGenerator[None, None]:
    """Closes `client` when the event loop in which this was started shuts down.

    `asyncio.run` and similar functions close every started asynchronous generator at the end. The
    one that waits here then closes connections that nobody has closed explicitly.
    """
    try:
        yield
    finally:
        await client.aclose()
