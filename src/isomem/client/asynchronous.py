"""`AsyncClient`: the calls of `AsyncMemory`, made by a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from isomem.client.calls import Given, Pages, bound, counted, request_of
from isomem.client.exchange import Line, service_at
from isomem.memory_async import AsyncMemory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from types import TracebackType

    from isomem.results import MemoryItem

P = ParamSpec("P")
R = TypeVar("R")


def _later(body: Callable[..., Any], given: Callable[..., Given]) -> Callable[..., Any]:
    async def call(self: AsyncClient, *args: Any, **kwargs: Any) -> Any:
        return await body(self, given(*args, **kwargs))

    return call


def _at_once(body: Callable[..., Any], given: Callable[..., Given]) -> Callable[..., Any]:
    def call(self: AsyncClient, *args: Any, **kwargs: Any) -> Any:
        return body(self, given(*args, **kwargs))

    return call


def _like(
    method: Callable[Concatenate[AsyncMemory, P], Coroutine[Any, Any, R]],
) -> Callable[
    [Callable[[AsyncClient, Given], Coroutine[Any, Any, R]]],
    Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, R]],
]:
    """Makes a call with the signature of a method of `AsyncMemory`."""
    return lambda body: bound(_later, method, body)


def _sent(
    method: Callable[Concatenate[AsyncMemory, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, R]]:
    """The call of that name, made by the service."""
    name = method.__name__
    made: Callable[..., Any] = _like(method)(lambda client, given: client.ask(name, given))
    return made


def _same(
    method: Callable[Concatenate[AsyncMemory, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, R]]:
    """A method of `AsyncMemory` that only makes other calls."""
    own: Callable[..., Any] = method
    return own


def _walking(
    method: Callable[Concatenate[AsyncMemory, P], AsyncIterator[R]],
) -> Callable[
    [Callable[[AsyncClient, Given], AsyncIterator[R]]],
    Callable[Concatenate[AsyncClient, P], AsyncIterator[R]],
]:
    return lambda body: bound(_at_once, method, body)


class AsyncClient:
    """`isomem.client.blocking.Client` for event loops: the same calls as coroutines.

    Takes the same arguments. It is an asynchronous context manager, and may be used by several
    event loops.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_s: float = 150.0,
        max_retries: int = 3,
    ) -> None:
        service = service_at(url, api_key, timeout_s=timeout_s, max_retries=max_retries)
        self.url = service.base_url
        self._line = Line(service)

    async def ask(self, call: str, given: Given) -> Any:
        """Makes a call of `AsyncMemory` by its name.

        Args:
            given: its arguments by name.
        """
        return await self._line.asend(request_of(call, given))

    add = _sent(AsyncMemory.add)
    remember = _same(AsyncMemory.remember)
    search = _sent(AsyncMemory.search)  # type: ignore[arg-type]
    get = _sent(AsyncMemory.get)
    get_all = _sent(AsyncMemory.get_all)
    count = _sent(AsyncMemory.count)
    scopes = _sent(AsyncMemory.scopes)
    update = _sent(AsyncMemory.update)
    restore = _sent(AsyncMemory.restore)
    delete = _sent(AsyncMemory.delete)
    delete_all = _sent(AsyncMemory.delete_all)
    purge = _sent(AsyncMemory.purge)
    compact = _sent(AsyncMemory.compact)
    sweep = _sent(AsyncMemory.sweep)
    history = _sent(AsyncMemory.history)
    reset = _sent(AsyncMemory.reset)
    chat = _same(AsyncMemory.chat)

    @_like(AsyncMemory.context)
    async def context(self, given: Given) -> str:
        """As `AsyncMemory.context`. `count_tokens` is called here, in a thread."""
        if given.get("count_tokens") is None:
            text: str = await self.ask("context", given)
            return text
        import asyncio

        search, build = counted(given)
        found = await self.ask("search", search)
        return await asyncio.to_thread(build, found["results"])

    @_walking(AsyncMemory.iter_all)
    def iter_all(self, given: Given) -> AsyncIterator[MemoryItem]:
        """As `AsyncMemory.iter_all`, but wrong filters are an error when the first page is read."""
        return _walk(self, Pages(given))

    def close(self) -> None:
        """Closes the connections that no event loop holds; `aclose` closes those of this one."""
        self._line.close()

    async def aclose(self) -> None:
        """Closes the connections. The next call opens new ones."""
        await self._line.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


async def _walk(client: AsyncClient, pages: Pages) -> AsyncIterator[MemoryItem]:
    while True:
        page = await client.ask("get_all", pages.arguments())
        for each in page["results"]:
            yield each
        if not pages.has_more(page):
            return
