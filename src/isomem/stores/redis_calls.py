"""Calls of redis-py: opening it, several commands in one round trip, retries, errors."""

from __future__ import annotations

import time

from isomem.errors import InvalidConfigError, VectorStoreError, VectorValueError
from isomem.providers.settings import passwords, redact
from isomem.stores.waiting import wait_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypeAlias

    Client: TypeAlias = Any
    """A `redis.Redis`, which is not installed everywhere."""
    Command: TypeAlias = Sequence[bytes | str | int]
    """A command and its arguments."""
    Options: TypeAlias = Mapping[str, Any]
    """What is configured, by name; checked before."""

FIRST_WAIT_S = 0.1
"""Seconds before the first retry; each later one waits twice as long as the one before."""

_PASSING = ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY ")
"""How the errors of a server begin that will soon be over."""

_WITHOUT_INDEX = (
    "no such index",
    "unknown index name",
    "index not found",
    "search_index_not_found",
)


class NoIndexError(VectorStoreError):
    """The index does not exist: nobody has made it yet, or mem0 is about to make it anew."""


class Connection:
    """A client, and how its calls are made.

    Everything that a store calls may be done twice with the same result, since points have their
    ids before: so a call that was not answered is made again.

    Args:
        client: a `redis.Redis` that answers with bytes.
        max_retries: how often a call is made again.
        secrets: texts that no error shows.
    """

    def __init__(self, client: Client, max_retries: int, secrets: list[str]) -> None:
        self.client = client
        self._max_retries = max_retries
        self._secrets = secrets
        self._is_closed = False

    def ask(self, *commands: Command) -> list[Any]:
        """The answers to commands, in one round trip.

        Raises:
            NoIndexError: a command names an index that does not exist.
            VectorValueError: Redis refuses a value.
            VectorStoreError: it fails, or cannot be reached.
        """
        return self._again(commands, atomic=False)

    def ask_once(self, command: Command) -> Any:
        """The answer to a command that cannot be repeated. Raises as `ask`."""
        try:
            return self._once([command], atomic=False)[0]
        except Exception as error:  # noqa: BLE001 - its transport can raise anything
            failure = self.failure(error)
        raise failure

    def write(self, *commands: Command) -> list[Any]:
        """As `ask`, as one transaction: all commands are carried out, or none."""
        return self._again(commands, atomic=len(commands) > 1)

    def _again(self, commands: Sequence[Command], *, atomic: bool) -> list[Any]:
        if self._is_closed:
            raise VectorStoreError("vector_store redis is closed")
        retries = 0
        while True:
            try:
                return self._once(commands, atomic=atomic)
            except Exception as error:  # noqa: BLE001 - its transport can raise anything
                if retries == self._max_retries or not is_transient(error):
                    failure = self.failure(error)
                    break
            time.sleep(wait_s(FIRST_WAIT_S, retries))
            retries += 1
        raise failure

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

    def failure(self, error: Exception) -> VectorStoreError:
        """The error for what the client has raised, which is its cause unless it shows a secret."""
        described = f"{type(error).__name__}: {error}"
        text = redact(described, self._secrets)
        failure = _kind_of(error)(
            f"vector_store redis failed: {text}", suggestion=_suggestion(str(error).lower())
        )
        failure.__cause__ = error if text == described else None
        return failure

    def close(self) -> None:
        """Closes the connections. May be called twice."""
        self._is_closed = True
        try:
            self.client.connection_pool.disconnect()
        except Exception as error:  # noqa: BLE001 - its transport can raise anything
            failure = self.failure(error)
        else:
            return
        raise failure


def _kind_of(error: Exception) -> type[VectorStoreError]:
    from redis import exceptions

    said = str(error).lower()
    if any(words in said for words in _WITHOUT_INDEX):
        return NoIndexError
    return VectorValueError if isinstance(error, exceptions.DataError) else VectorStoreError


def _suggestion(said: str) -> str | None:
    if said.startswith("unknown command") and "ft." in said:
        return "Use Redis 8, or Redis with the module RediSearch: this server has no search engine."
    if any(word in said for word in ("authentication", "noauth", "wrongpass", "username-password")):
        return "Check the user and the password in redis_url."
    return None


def is_transient(error: Exception) -> bool:
    """Whether a call that failed with an error may succeed a moment later."""
    from redis import exceptions

    if isinstance(error, (exceptions.ConnectionError, exceptions.TimeoutError)):
        return not isinstance(error, exceptions.AuthenticationError)
    return str(error).startswith(_PASSING)


# --- Opening ---------------------------------------------------------------------------------


def opened(options: Options) -> Connection:
    """The client that options describe. Nothing is sent yet.

    Raises:
        InvalidConfigError: as `check_address`.
    """
    from redis import ConnectionPool, Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    check_address(options)
    pool = ConnectionPool.from_url(options["redis_url"])
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
    return InvalidConfigError(
        f"vector_store.config (redis): {fault}",
        error_code="CONFIG_002",
        details={"key": "redis_url"},
    )
