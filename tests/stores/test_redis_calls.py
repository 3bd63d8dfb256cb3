"""Redis: no call gets the answer to another one, and what will soon be over is waited for."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from isomem import VectorStoreError
from isomem.stores import redis_calls
from tests.stores import redis_server
from tests.stores.test_redis import IDS, PAYLOADS, VECTORS, made
from tests.torture import test_interrupts as interrupting
from tests.torture.test_interrupts import (
    Interrupted,
    Interruption,
    TimedOut,
    bytecodes_of,
    points_of_interruption,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(bool(redis_server.missing()), reason=redis_server.missing()),
]

CALLS: dict[str, Callable[[Any], object]] = {
    "one command": lambda store: store.get(IDS[0]),
    "several": lambda store: store.payloads_of(IDS),
    "in a MULTI": lambda store: store.list({"user_id": "a"}),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    opened = made(redis_server.shared(tmp_path))
    opened.insert(vectors=VECTORS, payloads=PAYLOADS, ids=IDS)
    yield opened
    opened.close()


# --- Interrupted calls -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Interrupted, TimedOut])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("is_open", [True, False], ids=["open", "opening"])
def test_no_call_reads_what_an_interrupted_one_was_answered(
    store: Any,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[BaseException],
    call: Callable[[Any], object],
    is_open: bool,
) -> None:
    """Wherever in redis-py it was interrupted, even while it opened its connection."""
    import redis

    pool = store._connection.client.connection_pool
    # An answer that is late: redis-py does not notice that it is still to come.
    monkeypatch.setattr(pool.connection_class, "can_read", lambda connection, timeout=0: False)
    # A trace function may raise where no signal is handled: before a lock is let go of. So there is
    # one here that its thread can take again, and nothing of events, which have locks of their own.
    monkeypatch.setattr(pool, "_lock", threading.RLock())
    folder = Path(redis.__file__).parent
    theirs = (folder / name for name in ("client.py", "connection.py", "retry.py", "_parsers"))
    ours = (Path(redis_calls.__file__).with_name(f"redis_{name}.py") for name in ("calls", "pool"))
    monkeypatch.setattr(interrupting, "UNDER_TEST", (*map(str, theirs), *map(str, ours)))

    def prepare() -> None:
        if not is_open:
            pool.disconnect()

    total = bytecodes_of(lambda: call(store), prepare)
    kept: list[BaseException] = []  # As a log keeps a traceback, with all its frames.
    for number in points_of_interruption(total):
        prepare()
        with Interruption(kind, number) as interruption:
            try:
                call(store)
            except (kind, VectorStoreError) as error:
                kept.append(error)
        for name, payload in zip(IDS, PAYLOADS, strict=True):
            assert store.get(name).payload == payload, interruption.where
    assert kept
    kept.clear()
    gc.collect()  # A connection that was cut off on its way to the pool has left its socket open.


def test_a_connection_is_used_again_even_while_an_error_is_handled(store: Any) -> None:
    """By the caller: it is opened anew then, which the call does not notice."""
    pool = store._connection.client.connection_pool
    for _ in range(3):
        try:
            raise ValueError
        except ValueError:
            assert store.get(IDS[0]).payload == PAYLOADS[0]
    assert len(pool._available_connections) == 1


# --- What will soon be over ------------------------------------------------------------------

WRITES: dict[str, Callable[[Any], object]] = {
    "insert": lambda store: store.insert(VECTORS, PAYLOADS, IDS),
    "update": lambda store: store.update(IDS[1], payload=PAYLOADS[2]),
    "batch": lambda store: store.batch([(IDS[1], PAYLOADS[1])], [IDS[2]]),
    "delete": lambda store: store.delete(IDS[3]),
}


def after(seconds: float, act: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


def test_a_server_that_is_a_replica_for_a_moment_is_waited_for() -> None:
    """As during a failover: nobody may write then, or even read."""
    server = redis_server.Server()
    try:
        store, client = made(server.url, max_retries=6), server.client()
        for name, call in (*WRITES.items(), *CALLS.items()):
            client.config_set("replica-serve-stale-data", "no" if name in CALLS else "yes")
            client.replicaof("127.0.0.1", "1")
            ended = after(0.15, lambda: client.replicaof("NO", "ONE"))
            call(store)
            ended.join()
        assert sorted(hit.id for hit in store.list()[0]) == [*IDS[:2], *IDS[4:]]
        assert store.get(IDS[1]).payload == PAYLOADS[1]
        store.close()
    finally:
        server.stop()


def test_a_server_that_runs_a_long_script_is_waited_for() -> None:
    server = redis_server.Server("--busy-reply-threshold", "1")
    try:
        store, client, other = made(server.url, max_retries=6), server.client(), server.client()
        store.insert(VECTORS, PAYLOADS, IDS)
        for call in (CALLS["one command"], WRITES["insert"]):
            script = after(0, lambda: error_of(lambda: other.eval("while 1 do end", 0)))
            while not error_of(client.ping).startswith("BUSY"):
                pass
            ended = after(0.15, client.script_kill)
            call(store)
            script.join()
            ended.join()
        store.close()
    finally:
        server.stop()


def error_of(call: Callable[[], object]) -> str:
    """What a server says against a call; empty if it answers."""
    from redis import exceptions

    try:
        call()
    except exceptions.ResponseError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ["ClusterDownError", "TryAgainError"])
def test_a_cluster_that_is_changing_is_waited_for(store: Any, name: str) -> None:
    from redis import exceptions

    assert store._connection.is_transient(getattr(exceptions, name)("the text without its code"))
    assert not store._connection.is_transient(exceptions.ResponseError("TRYAGAIN is not its code"))


def test_what_is_said_in_a_command_is_not_what_the_server_says(store: Any) -> None:
    """redis-py puts the command before the error of a server."""
    from redis import exceptions

    said = "Command # 1 (HSET k memory no such index) of pipeline caused error: OOM"
    error = exceptions.ResponseError(said)
    assert store._connection.kind_of(error) is VectorStoreError
    assert not store._connection.is_transient(error)
