"""`Client`: the calls of `Memory`, made by a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from isomem.client.calls import Given, Pages, bound, counted, request_of
from isomem.client.exchange import Line, service_at
from isomem.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from isomem.results import MemoryItem

P = ParamSpec("P")
R = TypeVar("R")


def _blocking(body: Callable[..., Any], given: Callable[..., Given]) -> Callable[..., Any]:
    def call(self: Client, *args: Any, **kwargs: Any) -> Any:
        return body(self, given(*args, **kwargs))

    return call


def _like(
    method: Callable[Concatenate[Memory, P], R],
) -> Callable[[Callable[[Client, Given], R]], Callable[Concatenate[Client, P], R]]:
    """Makes a call with the signature of a method of `Memory`."""
    return lambda body: bound(_blocking, method, body)


def _sent(method: Callable[Concatenate[Memory, P], R]) -> Callable[Concatenate[Client, P], R]:
    """The call of that name, made by the service."""
    name = method.__name__
    made: Callable[..., Any] = _like(method)(lambda client, given: client.ask(name, given))
    return made


def _same(method: Callable[Concatenate[Memory, P], R]) -> Callable[Concatenate[Client, P], R]:
    """A method of `Memory` that only makes other calls."""
    own: Callable[..., Any] = method
    return own


class Client:
    """A memory that a service keeps: the calls of `Memory`, with its results and errors.

    It is a context manager that closes its connections, and can be shared between threads. A call
    is sent again if the connection fails, if the service asks to wait, and if that cannot do it
    twice.

    Args:
        url: the address of the service, such as "https://memory.example.com". By default
            `ISOMEM_URL` in the environment.
        api_key: a key of the service, as `isomem keys create` shows it. By default
            `ISOMEM_SERVICE_KEY` in the environment; a service without keys needs none.
        timeout_s: the longest wait for an answer, in seconds. A service takes at most 120 by
            default.
        max_retries: how often a call is sent again.

    Raises:
        InvalidConfigError: CONFIG_004, there is no address; CONFIG_002, one of these is wrong.

    Every call raises what the method of `Memory` raises, and in addition:

    Raises:
        AuthenticationError: the service does not know the key.
        PermissionDeniedError: the key does not have the right, or is not for this scope.
        RateLimitError: too many calls, after the retries.
        NetworkError: the service cannot be reached, is too slow, or something else answers.
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

    def ask(self, call: str, given: Given) -> Any:
        """Makes a call of `Memory` by its name.

        Args:
            given: its arguments by name.
        """
        return self._line.send(request_of(call, given))

    add = _sent(Memory.add)
    remember = _same(Memory.remember)
    search = _sent(Memory.search)  # type: ignore[arg-type]
    get = _sent(Memory.get)
    get_all = _sent(Memory.get_all)
    count = _sent(Memory.count)
    scopes = _sent(Memory.scopes)
    update = _sent(Memory.update)
    restore = _sent(Memory.restore)
    delete = _sent(Memory.delete)
    delete_all = _sent(Memory.delete_all)
    purge = _sent(Memory.purge)
    compact = _sent(Memory.compact)
    sweep = _sent(Memory.sweep)
    history = _sent(Memory.history)
    reset = _sent(Memory.reset)
    chat = _same(Memory.chat)

    @_like(Memory.context)
    def context(self, given: Given) -> str:
        """As `Memory.context`. Tokens are counted by `count_tokens` here, not in the service."""
        if given.get("count_tokens") is None:
            text: str = self.ask("context", given)
            return text
        search, build = counted(given)
        return build(self.ask("search", search)["results"])

    @_like(Memory.iter_all)
    def iter_all(self, given: Given) -> Iterator[MemoryItem]:
        """As `Memory.iter_all`. The first page is read at once."""
        pages = Pages(given)
        return _walk(self, pages, self.ask("get_all", pages.arguments()))

    def close(self) -> None:
        """Closes the connections. The next call opens new ones."""
        self._line.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _walk(client: Client, pages: Pages, page: Any) -> Iterator[MemoryItem]:
    while True:
        yield from page["results"]
        if not pages.has_more(page):
            return
        page = client.ask("get_all", pages.arguments())
