"""A memory that is closed while it is in use: what is being written is written as a whole."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from isomem import AsyncMemory, Memory
from isomem.errors import DatabaseError, MemoryError
from isomem.moving.reading import records_of
from isomem.testing import ScriptedLLM
from tests.stores.adapters import Adapter
from tests.stores.conftest import Open, say

pytestmark = pytest.mark.filterwarnings("ignore")

WAIT_S = 10.0
SHORT_S = 0.2
U = {"user_id": "u"}


class StoppedError(BaseException):
    """As KeyboardInterrupt."""


class Slow:
    """A method of a store that does not return before it is told to."""

    def __init__(self, store: Any, name: str) -> None:
        self._real = getattr(store, name)
        self.entered, self.go_on = threading.Event(), threading.Event()
        setattr(store, name, self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        done = self._real(*args, **kwargs)
        self.entered.set()
        assert self.go_on.wait(WAIT_S)
        return done


class Calling(threading.Thread):
    """A call in a thread of its own."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.result: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            result = self._call()
            self.result = asyncio.run(result) if asyncio.iscoroutine(result) else result
        except BaseException as error:
            self.error = error

    def is_over(self, within_s: float = WAIT_S) -> bool:
        self.join(within_s)
        return not self.is_alive()


@pytest.fixture(params=[Memory, AsyncMemory])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A memory over Qdrant, whose history is in a file."""
    pytest.importorskip("qdrant_client")
    made = request.param.from_config(
        {
            "vector_store": {"provider": "qdrant", "config": {"path": ":memory:"}},
            "history_db_path": str(tmp_path / "history.db"),
            "embedder": {"provider": "mock", "config": {"embedding_dims": 8}},
            "llm": {"provider": "mock"},
        }
    )
    yield made
    made.close()


def done(call: Any) -> Any:
    """What a call of either class returns."""
    return asyncio.run(call) if asyncio.iscoroutine(call) else call


def events(folder: Path) -> list[str]:
    """What the history of a memory that is closed has."""
    import sqlite3

    with sqlite3.connect(folder / "history.db") as connection:
        return [row[0] for row in connection.execute("SELECT event FROM history ORDER BY id")]


@pytest.mark.parametrize(
    ("name", "call", "event"),
    [
        ("insert", lambda memory, _: memory.add("Carol Jones", **U, infer=False), "ADD"),
        ("update", lambda memory, one: memory.update(one, "Carol Jones"), "UPDATE"),
        ("delete", lambda memory, one: memory.delete(one), "DELETE"),
        ("delete", lambda memory, _: memory.delete_all(**U), "DELETE"),
    ],
    ids=["add", "update", "delete", "delete_all"],
)
def test_closing_waits_for_what_is_being_written(
    memory: Any, tmp_path: Path, name: str, call: Callable[[Any, str], Any], event: str
) -> None:
    [one] = done(memory.add("hello", **U, infer=False))["results"]
    slow = Slow(memory.vector_store, name)
    writing = Calling(lambda: call(memory, one["id"]))
    assert slow.entered.wait(WAIT_S)
    closing = Calling(memory.close)
    assert not closing.is_over(SHORT_S)
    later = Calling(lambda: memory.add("later", **U, infer=False))
    slow.go_on.set()
    assert all(each.is_over() for each in (writing, closing, later))
    assert isinstance(later.error, MemoryError)
    assert closing.error is None
    if event == "ADD":
        assert writing.error is None
    assert events(tmp_path) == ["ADD", event]


def test_closing_does_not_wait_for_a_model(memory: Any) -> None:
    if isinstance(memory, AsyncMemory):
        pytest.skip("it ends its threads, whatever they do")
    memory.llm = ScriptedLLM([{"memory": [{"text": "likes tea"}]}])
    slow = Slow(memory.llm, "generate_response")
    asking = Calling(lambda: memory.add("hello", **U))
    assert slow.entered.wait(WAIT_S)
    assert Calling(memory.close).is_over()
    slow.go_on.set()
    assert asking.is_over()
    assert isinstance(asking.error, MemoryError)


@pytest.mark.parametrize("replaced", [False, True])
def test_closing_waits_whatever_object_of_the_memory_is_closed(
    memory: Any, tmp_path: Path, replaced: bool
) -> None:
    if replaced:
        memory.vector_store = Proxy(memory.vector_store)
    slow = Slow(memory.vector_store, "insert")
    writing = Calling(lambda: memory.add("hello", **U, infer=False))
    assert slow.entered.wait(WAIT_S)
    closing = Calling(memory.replacing(llm=ScriptedLLM([])).close)
    assert not closing.is_over(SHORT_S)
    slow.go_on.set()
    assert writing.is_over()
    assert closing.is_over()
    assert writing.error is None
    assert events(tmp_path) == ["ADD"]


class Proxy:
    """A store of somebody else's, over one of ours."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


# --- Exceptions ------------------------------------------------------------------------------


@pytest.fixture
def raising() -> Iterator[None]:
    """A signal raises an exception in the main thread."""

    def handler(*_: object) -> None:
        raise StoppedError

    before = signal.signal(signal.SIGUSR1, handler)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("raising")
@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs signals")
def test_an_exception_while_it_waits_is_raised_when_all_is_closed(
    memory: Any, tmp_path: Path
) -> None:
    slow = Slow(memory.vector_store, "insert")
    writing = Calling(lambda: memory.add("hello", **U, infer=False))
    assert slow.entered.wait(WAIT_S)
    threading.Timer(SHORT_S, os.kill, [os.getpid(), signal.SIGUSR1]).start()
    threading.Timer(2 * SHORT_S, slow.go_on.set).start()
    with pytest.raises(StoppedError):
        memory.close()
    assert slow.go_on.is_set()
    assert writing.is_over()
    assert events(tmp_path) == ["ADD"]
    with pytest.raises(MemoryError):
        done(memory.get_all(filters=U))
    with pytest.raises(DatabaseError):
        memory.db.get_history("1")


def test_a_closing_that_is_cancelled_closes(tmp_path: Path, memory: Any) -> None:
    if isinstance(memory, Memory):
        pytest.skip("only tasks are cancelled")

    async def main() -> None:
        slow = Slow(memory.vector_store, "insert")
        writing = asyncio.create_task(memory.add("hello", **U, infer=False))
        await asyncio.to_thread(slow.entered.wait, WAIT_S)
        closing = asyncio.create_task(memory.aclose())
        await asyncio.sleep(SHORT_S)
        threading.Timer(SHORT_S, slow.go_on.set).start()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert slow.go_on.is_set()
        with pytest.raises(DatabaseError):
            memory.db.get_history("1")
        with suppress(MemoryError):
            await writing

    asyncio.run(main())
    assert events(tmp_path) == ["ADD"]


def test_closing_one_memory_waits_for_another_one_with_the_same_store(memory: Any) -> None:
    other = Memory.from_config(
        {
            "embedder": {"provider": "mock", "config": {"embedding_dims": 8}},
            "llm": {"provider": "mock"},
            "history_db_path": ":memory:",
        }
    )
    other.vector_store = memory.vector_store
    slow = Slow(memory.vector_store, "insert")
    writing = Calling(lambda: other.add("hello", **U, infer=False))
    assert slow.entered.wait(WAIT_S)
    closing = Calling(memory.aclose if isinstance(memory, AsyncMemory) else memory.close)
    assert not closing.is_over(SHORT_S)
    slow.go_on.set()
    assert writing.is_over()
    assert closing.is_over()
    assert (writing.error, closing.error) == (None, None)
    other.close()


# --- From inside -----------------------------------------------------------------------------


class Closes:
    """A method of a part that closes the memory, and then perhaps raises."""

    def __init__(self, memory: Any, part: Any, name: str, raised: BaseException | None) -> None:
        self._memory, self._raised = memory, raised
        self._real = getattr(part, name)
        setattr(part, name, self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        found = self._real(*args, **kwargs)
        self._memory.close()
        if self._raised is not None:
            raise self._raised
        return found


@pytest.mark.parametrize("raised", [None, SystemExit()], ids=["goes on", "raises"])
def test_whoever_closes_it_while_it_writes_finishes_that(
    memory: Any, tmp_path: Path, raised: BaseException | None
) -> None:
    if raised is not None and isinstance(memory, AsyncMemory):
        pytest.skip("signal handlers run in the main thread")
    Closes(memory, memory.vector_store, "insert", raised)
    calling = Calling(lambda: memory.add("hello", **U, infer=False))
    assert calling.is_over()
    assert calling.error is raised
    assert events(tmp_path) == ([] if raised else ["ADD"])
    with pytest.raises(DatabaseError):
        memory.db.get_history("1")


def test_a_model_that_closes_it_stops_nobody(memory: Any, tmp_path: Path) -> None:
    memory.llm = ScriptedLLM([{"memory": [{"text": "likes tea"}]}])
    Closes(memory, memory.llm, "generate_response", None)
    calling = Calling(lambda: memory.add("hello", **U))
    assert calling.is_over()
    assert isinstance(calling.error, MemoryError)
    assert events(tmp_path) == []
    memory.close()


# --- On every engine -------------------------------------------------------------------------


def test_what_threads_write_while_it_is_closed_agrees_with_its_history(
    open_memory: Open, adapter: Adapter
) -> None:
    if not adapter.can.threads or adapter.name.endswith("-memory"):
        pytest.skip("it cannot be opened again, or is not made for threads")
    for wait_s in (0.01, 0.05, 0.1):
        memory = open_memory()
        ids = [say(memory, f"Carol Jones {n}") for n in range(20)]

        def work(number: int, memory: Any = memory, ids: list[str] = ids) -> None:
            with suppress(MemoryError):
                for n in range(300):
                    if number == 0:
                        ids.append(say(memory, f"Ana Silva {n}"))
                    elif number == 1:
                        memory.update(ids[n % 10], f"Ana Silva {n}")
                    elif 10 + n < len(ids):  # Otherwise it is faster than what adds.
                        memory.delete(ids[10 + n])

        threads = [Calling(lambda number=number: work(number)) for number in range(3)]
        threading.Event().wait(wait_s)
        memory.close()
        assert all(each.is_over() for each in threads)
        assert [each.error for each in threads] == [None] * 3
        again = open_memory()
        check_agreement(again)
        again.close()


def check_agreement(memory: Any) -> None:
    """Every memory has the history of what it is, and what is gone has that of its removal."""
    stored: dict[str, str] = {}
    last: dict[str, tuple[str, str | None]] = {}
    for kind, fields in records_of(memory):
        if kind == "memory":
            stored[fields["id"]] = fields["payload"]["data"]
        elif kind == "history":
            last[fields["memory_id"]] = fields["event"], fields["new_memory"]
    assert stored.keys() <= last.keys()
    for memory_id, (event, text) in last.items():
        assert (event == "DELETE") == (memory_id not in stored)
        assert stored.get(memory_id) == text
