"""Calls of redis-py: opening it, several commands in one round trip, errors."""

from __future__ import annotations

from functools import partial

from isomem.errors import VectorStoreError, VectorValueError
from isomem.providers.settings import passwords
from isomem.stores.engine_calls import EngineConnection, wrong_option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    from isomem.errors import InvalidConfigError
    from isomem.stores.engine_calls import Client, Options

    Command: TypeAlias = Sequence[bytes | str | int]
    """A command and its arguments."""

_PASSING = ("BUSY ", "MASTERDOWN ")
"""How errors begin that will soon be over, and that not every redis-py has a class for."""

_OF_A_PIPELINE = " of pipeline caused error: "
"""What redis-py puts before the error of a server, after the command."""

_WITHOUT_INDEX = (
    "no such index",
    "unknown index name",
    "index not found",
    "search_index_not_found",
)
_UNKNOWN_USER = ("authentication", "noauth", "wrongpass", "username-password")


class NoIndexError(VectorStoreError):
    """The index does not exist: nobody has made it yet, or mem0 is about to make it anew."""


class Connection(EngineConnection):
    """A `redis.Redis` that answers with bytes, and how it is called."""

    engine = "redis"
    first_wait_s = 0.1

    def __init__(self, client: Client, max_retries: int, secrets: Sequence[str]) -> None:
        super().__init__(client, max_retries, secrets, client.connection_pool.disconnect)
        self._is_closed = False

    def ask(self, *commands: Command) -> list[Any]:
        """The answers to commands, in one round trip.

        Raises:
            NoIndexError: a command names an index that does not exist.
            VectorValueError: Redis refuses a value.
            VectorStoreError: it fails, cannot be reached, or the connection is closed.
        """
        return self._again(commands, atomic=False)

    def ask_once(self, command: Command) -> Any:
        """The answer to a command that cannot be repeated. Raises as `ask`."""
        return self.tried(partial(self._once, [command], atomic=False), again=False)[0]

    def write(self, *commands: Command) -> list[Any]:
        """As `ask`, in one MULTI: nobody sees some of it. What fails undoes nothing of the rest."""
        return self._again(commands, atomic=len(commands) > 1)

    def _again(self, commands: Sequence[Command], *, atomic: bool) -> list[Any]:
        if self._is_closed:
            raise VectorStoreError("vector_store redis is closed")
        return self.tried(partial(self._once, commands, atomic=atomic))

    def _once(self, commands: Sequence[Command], *, atomic: bool) -> list[Any]:
        if len(commands) == 1:
            return [self.client.execute_command(*commands[0])]
        with self.client.pipeline(transaction=atomic) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = pipeline.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def is_transient(self, error: Exception) -> bool:
        from redis import exceptions

        if isinstance(error, (exceptions.ConnectionError, exceptions.TimeoutError)):
            return not isinstance(error, exceptions.AuthenticationError)
        passing = (
            exceptions.ReadOnlyError,
            exceptions.MasterDownError,
            exceptions.ClusterDownError,
            exceptions.TryAgainError,
        )
        return isinstance(error, passing) or _said(error).startswith(_PASSING)

    def kind_of(self, error: Exception) -> type[VectorStoreError]:
        from redis import exceptions

        said = _said(error).lower()
        if any(words in said for words in _WITHOUT_INDEX):
            return NoIndexError
        return VectorValueError if isinstance(error, exceptions.DataError) else VectorStoreError

    def suggestion(self, error: Exception) -> str | None:
        said = _said(error).lower()
        if said.startswith("unknown command") and "ft." in said:
            return (
                "Use Redis 8, or Redis with the module RediSearch: this server has no search "
                "engine."
            )
        if any(word in said for word in _UNKNOWN_USER):
            return "Check the user and the password in redis_url."
        if said.startswith("limit exceeds"):
            return (
                "Open the store anew, and let the user call FT.CONFIG GET: it reads "
                "MAXSEARCHRESULTS, which is less than 10,000 or has become less."
            )
        return None

    def close(self) -> None:
        """Closes the connections. May be called twice."""
        self._is_closed = True
        super().close()


def _said(error: Exception) -> str:
    """What a server has said; redis-py leaves out the code if it has a class for it."""
    return str(error).rpartition(_OF_A_PIPELINE)[2]


# --- Opening ---------------------------------------------------------------------------------


def opened(options: Options) -> Connection:
    """The client that options describe. Nothing is sent yet.

    Raises:
        InvalidConfigError: as `check_address`.
    """
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    from isomem.stores.redis_pool import Pool

    check_address(options)
    pool = Pool.from_url(options["redis_url"])
    # What an address says of these would change what answers look like, or how often is tried.
    pool.connection_kwargs |= {
        "decode_responses": False,
        "protocol": 2,
        "socket_timeout": options["timeout_s"],
        "socket_connect_timeout": options["timeout_s"],
        "retry": Retry(NoBackoff(), 0),
    }
    client = Redis(connection_pool=pool)
    return Connection(client, options["max_retries"], secrets_of(options["redis_url"]))


def secrets_of(address: str) -> list[str]:
    """What no error may show of an address."""
    from urllib.parse import parse_qs

    _, _, query = address.partition("?")
    return [*passwords(address), *parse_qs(query).get("password", ())]


def check_address(options: Options) -> None:
    """Raises InvalidConfigError unless `redis_url` is the address of a server.

    The error does not show it.
    """
    from redis.connection import parse_url

    address = options["redis_url"]
    if address is None:
        raise _wrong("redis_url is needed, such as redis://localhost:6379")
    try:
        parse_url(address)
    except (ValueError, TypeError):
        pass
    else:
        return
    raise _wrong("redis_url is not the address of a server, such as redis://:PASSWORD@HOST:6379/0")


def _wrong(fault: str) -> InvalidConfigError:
    return wrong_option("redis", fault, "redis_url")
