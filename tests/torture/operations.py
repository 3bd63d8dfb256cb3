"""What the torture tests of the store do to a memory, and all that may be seen of it afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from isomem import Memory
from isomem.contract.plan import Receipt
from isomem.testing import ScriptedLLM
from tests.torture.storage import open_memory

SCOPE = {"user_id": "u"}
EXPIRED = "2020-01-31"


class Operation:
    """One call. `state` is what another connection sees; it has two values, before and after."""

    changes = True

    def __init__(self, memory: Memory, number: int) -> None:
        self.memory = memory
        self.number = number
        self.texts = [f"Ana met Bruno {number} {part} times in Lisbon" for part in range(2)]

    def prepare(self) -> None:
        """What must be there before."""

    def call(self) -> None:
        raise NotImplementedError

    def stored(self) -> list[str]:
        """Stores the two texts; their ids."""
        said = [{"role": "user", "content": text} for text in self.texts]
        results = self.memory.add(said, infer=False, **SCOPE)["results"]
        return [each["id"] for each in results]


class AddRaw(Operation):
    def call(self) -> None:
        self.stored()


class AddInferred(Operation):
    """With a receipt, which is there if and only if the rest is."""

    calls = count()

    def prepare(self) -> None:
        self.memory.llm = ScriptedLLM([{"memory": [{"text": text} for text in self.texts]}])

    def call(self) -> None:
        receipted = self.memory.replacing(receipt=Receipt(f"call {next(self.calls)}", ""))
        receipted.add(f"what happened {self.number}", **SCOPE)


class Update(Operation):
    def prepare(self) -> None:
        self.id = self.stored()[0]

    def call(self) -> None:
        self.memory.update(self.id, f"Carla has been to Porto {self.number} times")


class Supersede(Operation):
    """A new fact, the mark on a stale one, and two history rows."""

    people = count()

    def prepare(self) -> None:
        self.know()
        self.memory.llm = self.model(1)

    def call(self) -> None:
        self.memory.add(f"what changed {self.number}", **SCOPE, supersede="similar")

    def know(self) -> None:
        self.who = f"Ana{next(self.people)}"
        self.learn(0, "off")

    def model(self, more: int) -> ScriptedLLM:
        fact = f"{self.who}'s favourite place in the old garden by the lake is room {more}"
        return ScriptedLLM([{"memory": [{"text": fact}]}])

    def learn(self, more: int, mode: str) -> list[Any]:
        self.memory.llm = self.model(more)
        added = self.memory.add(f"what was {self.number}", **SCOPE, supersede=mode)
        return list(added["results"])


class Restore(Supersede):
    def prepare(self) -> None:
        self.know()
        self.id = self.learn(1, "similar")[0]["supersedes"][0]["id"]

    def call(self) -> None:
        self.memory.restore(self.id)


class Delete(Operation):
    def prepare(self) -> None:
        self.id = self.stored()[0]

    def call(self) -> None:
        self.memory.delete(self.id)


class DeleteAll(Operation):
    def prepare(self) -> None:
        self.stored()

    def call(self) -> None:
        self.memory.delete_all(**SCOPE)


class Expire(Operation):
    def prepare(self) -> None:
        self.id = self.stored()[0]

    def call(self) -> None:
        self.memory.update(self.id, expiration_date=EXPIRED)


class Sweep(Operation):
    def prepare(self) -> None:
        for memory_id in self.stored():
            self.memory.update(memory_id, expiration_date=EXPIRED)

    def call(self) -> None:
        self.memory.sweep()


class Search(Operation):
    changes = False

    def prepare(self) -> None:
        self.memory.vector_store._cache.clear()  # type: ignore[attr-defined]

    def call(self) -> None:
        self.memory.search("Bruno in Lisbon", filters=SCOPE, threshold=0)


OPERATIONS = (
    AddRaw, AddInferred, Supersede, Restore, Update, Delete, DeleteAll, Expire, Sweep, Search,
)  # fmt: skip


class State(NamedTuple):
    """All that may be seen of a call."""

    texts: list[str]
    history: list[Any]
    messages: list[Any]
    links: list[Any]
    receipts: int
    loose: int
    """Links whose memory is gone."""


class Outside:
    """Another connection to the file."""

    def __init__(self, path: Path) -> None:
        self.memory = open_memory(path)
        self.connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)

    def query(self, sql: str, *values: Any) -> list[Any]:
        return self.connection.execute(sql, values).fetchall()

    def texts(self) -> list[str]:
        found = self.memory.get_all(filters=SCOPE, top_k=10_000, show_expired=True)["results"]
        return sorted(each["memory"] for each in found)

    def state(self) -> State:
        history = self.query("SELECT event, new_memory, is_deleted FROM history ORDER BY 1, 2, 3")
        messages = self.query("SELECT content FROM messages ORDER BY 1")
        links = self.query(
            "SELECT json_extract(m.payload, '$.data'), json_extract(e.payload, '$.data')"
            " FROM linked_memories JOIN points AS m ON m.id = memory_id"
            " JOIN points AS e ON e.row_key = entity"
            " ORDER BY 1, 2"
        )
        loose = self.query(
            "SELECT count(*) FROM linked_memories WHERE memory_id NOT IN (SELECT id FROM points)"
        )
        return State(self.texts(), history, messages, links, self.receipts(), loose[0][0])

    def receipts(self) -> int:
        if not self.query("SELECT 1 FROM sqlite_schema WHERE name = 'receipts'"):
            return 0
        count: int = self.query("SELECT count(*) FROM receipts")[0][0]
        return count

    def close(self) -> None:
        self.connection.close()
        self.memory.close()


def in_thread(work: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    thread.join(60)
    assert results, "another thread hangs or fails"
    return results[0]


def check_that_it_works(memory: Memory, outside: Outside, number: int) -> None:
    """Reads and writes of this thread and of another one, each seen from outside at once."""
    ways: list[Callable[[Callable[[], Any]], Any]] = [in_thread, lambda work: work()]
    for way in ways if number % 2 else reversed(ways):
        result: Any = way(lambda: memory.add("probe", infer=False, **SCOPE))
        assert "probe" in outside.texts(), "acknowledged and not there"
        found: Any = way(lambda: memory.get_all(filters=SCOPE, top_k=10_000, show_expired=True))
        assert sorted(each["memory"] for each in found["results"]) == outside.texts()
        way(lambda: memory.search("Bruno in Lisbon", filters=SCOPE, threshold=0))
        way(partial(memory.delete, result["results"][0]["id"]))
        assert "probe" not in outside.texts()


WHOLE = {
    AddRaw: (2, 2), AddInferred: (2, 2), Supersede: (0, 2), Restore: (1, 1),
    Update: (0, 1), Delete: (-1, 1), DeleteAll: (-2, 2), Expire: (0, 1), Sweep: (-2, 2),
}  # fmt: skip
"""By how many a whole call changes the memories and the rows of the history."""


def check_whole(operation: type[Operation], before: State, after: State) -> None:
    """What is stored is nothing of the call, or all that it brings about."""
    if after == before:
        return
    changes = len(after.texts) - len(before.texts), len(after.history) - len(before.history)
    assert changes == WHOLE[operation]
    if operation is AddInferred:
        assert after.messages != before.messages
        assert after.receipts == before.receipts + 1
        assert {memory for memory, _ in after.links} == set(after.texts)
    assert after.loose == 0
