"""A memory over one engine, which does what it is told, turn after turn.

Each line of the input is one JSON object: `do` names one of `ORDERS`, the rest are its arguments.
Each answer is one line of JSON. The process stays, so that several systems can take turns without
opening their stores again and again.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FACTS = 10
THREADS = 8
LEAST = 3
"""Calls of a kind, even if they take longer than they may."""

QUOTED = 20
BATCH = 1000


# --- The two sides ---------------------------------------------------------------------------


def ours(given: dict[str, Any]) -> Any:
    """A memory of isomem's."""
    from isomem import Memory

    models = {"provider": "mock", "config": {"embedding_dims": given["dims"]}}
    return Memory.from_config({**given["config"], "embedder": models, "llm": {"provider": "mock"}})


def theirs(given: dict[str, Any]) -> Any:
    """A memory of mem0's: as `pip install mem0ai` gives it, or with its extras."""
    if not given.get("extras"):
        for optional in ("fastembed", "spacy"):
            sys.modules[optional] = None  # type: ignore[assignment]
    import mem0

    if given.get("extras"):
        from isomem_parity import tiers

        tiers.enter("C")
    unused = {"provider": "openai", "config": {"api_key": "unused"}}
    return mem0.Memory.from_config({**given["config"], "embedder": unused, "llm": unused})


class Batched:
    """Stands where mem0's store and its history are while it is filled: it keeps what mem0 adds,
    and passes it on a thousand at a time, by the methods that mem0 has for several.
    """

    def __init__(self, memory: Any) -> None:
        self._memory = memory
        self._store, self._db = memory.vector_store, memory.db
        self._points: list[tuple[Any, Any, Any]] = []
        self._rows: list[dict[str, Any]] = []
        memory.vector_store = memory.db = self

    def insert(self, vectors: Any, payloads: Any, ids: Any) -> None:
        self._points += zip(vectors, payloads, ids, strict=True)
        if len(self._points) >= BATCH:
            self.flush()

    def add_history(self, memory_id: Any, old: Any, new: Any, event: Any, **more: Any) -> None:
        row = {"memory_id": memory_id, "old_memory": old, "new_memory": new, "event": event}
        self._rows.append({**row, **more})

    def flush(self) -> None:
        if self._points:
            vectors, payloads, ids = map(list, zip(*self._points, strict=True))
            self._store.insert(vectors=vectors, payloads=payloads, ids=ids)
            self._db.batch_add_history(self._rows)
        self._points, self._rows = [], []

    def close(self) -> None:
        """Passes on what is left, and puts the parts back."""
        self.flush()
        self._memory.vector_store, self._memory.db = self._store, self._db


class Facts:
    """A model that answers at once with new facts, each with the names of a person and a town."""

    config = None

    def __init__(self, first: int) -> None:
        self._calls = itertools.count(first)  # `next` of it is one step: threads may share it.

    def generate_response(self, *_: Any, **__: Any) -> str:
        first = next(self._calls) * FACTS
        facts = [{"text": kit.trip(at)} for at in range(first, first + FACTS)]
        return json.dumps({"memory": facts})


# --- What it is told -------------------------------------------------------------------------


class Side:
    """One system. Each public method is an order, and returns figures."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given
        self.embedder = kit.Paired(given["dims"])
        self.memory: Any = None

    def open(self) -> dict[str, float]:
        begun = perf_counter()
        self.memory = (theirs if self.given["side"] == "mem0" else ours)(self.given)
        self.memory.embedding_model = self.embedder
        self.memory.llm = Facts(0)
        return {"open_s": perf_counter() - begun}

    def fill(self) -> dict[str, float]:
        """Raw memories: one add for each scope. Indexes that a thread would build are built."""
        begun = perf_counter()
        if self.given["side"] == "mem0":
            batched = Batched(self.memory)
            for scope in self._layout():
                self._fill_scope(*scope)
            batched.close()
        else:
            with ThreadPoolExecutor(THREADS) as pool:
                for _ in pool.map(self._fill_scope, *zip(*self._layout(), strict=True)):
                    pass  # It raises what a thread has raised.
        if hasattr(self.memory.vector_store, "build_indexes"):
            self.memory.vector_store.build_indexes()
        return {"fill_s": perf_counter() - begun}

    def _fill_scope(self, user: str, numbers: range) -> None:
        self.memory.add(kit.said(numbers), user_id=user, infer=False)

    def _layout(self) -> Iterator[tuple[str, range]]:
        return kit.layout(self.given["memories"], self.given["large"])

    def check(self) -> dict[str, float]:
        """How many of some memories, of a hundred, are among the ten nearest to their own text."""
        scopes = [*self._layout()]
        found = 0
        for at in kit.scattered(QUOTED, len(scopes)):
            user, numbers = scopes[at]
            text = kit.note(numbers[at % len(numbers)])
            hits = self.memory.vector_store.search(
                query=text, vectors=self.embedder.embed(text), top_k=10, filters={"user_id": user}
            )
            found += any(hit.payload.get("data") == text for hit in hits)
        return {"found": found / QUOTED * 100}

    def turn(self, kind: str, scopes: int, number: int, calls: dict[str, int], limit_s: float) -> (
        dict[str, float]
    ):  # fmt: skip
        """Every kind of call in scopes of one kind: by one caller, then by eight threads.

        Args:
            kind: of the scopes: small or large.
            scopes: how many there are.
            number: of the round.
            calls: how many of each kind, by one caller and by all threads.
            limit_s: seconds after which no more are made.
        """
        # Each side has facts of its own: in a table that both use, the other's would not be new.
        own = 500_000 if self.given["side"] == "mem0" else 0
        self.memory.llm = Facts(number * 1_000_000 + own)
        figures: dict[str, float] = {}
        figures["results"] = self._results(_places(kind, scopes, number))
        for name, call in self._calls().items():
            places = _places(kind, scopes, number)
            call(next(places), 0)  # It warms up.
            times = _one_by_one(call, places, calls[name], limit_s)
            figures[f"{name}_median_ms"] = kit.percentile(times, 0.5)
            figures[f"{name}_p95_ms"] = kit.percentile(times, 0.95)
            alone = self.given.get("one_at_a_time") and name != "search"
            at_once = _after_another(call) if alone else call
            figures |= _at_once(name, at_once, places, calls[f"{name}_at_once"], limit_s)
        return figures

    def _results(self, places: Iterator[str]) -> float:
        """How many results a search has: the mean of some."""
        counts = [
            len(self.memory.search(kit.question(at), filters={"user_id": next(places)})["results"])
            for at in range(5)
        ]
        return sum(counts) / len(counts)

    def _calls(self) -> dict[str, Callable[[str, int], object]]:
        memory = self.memory
        return {
            "search": lambda user, at: memory.search(kit.question(at), filters={"user_id": user}),
            "raw": lambda user, at: memory.add(kit.note(-1 - at), user_id=user, infer=False),
            "facts": lambda user, at: memory.add(f"What happened on day {at}", user_id=user),
        }

    def close(self) -> dict[str, float]:
        figures = {"peak_mb": kit.memory_mb("VmHWM")}
        if self.given["side"] != "mem0":
            self.memory.close()
        return figures


def _places(kind: str, scopes: int, number: int) -> Iterator[str]:
    """Random scopes: others in each round, the same for every system."""
    first = number * 10_000
    for at in itertools.islice(kit.scattered(first + 10_000, scopes), first, None):
        yield f"{kind}{at}"


def _one_by_one(
    call: Callable[[str, int], object], places: Iterator[str], count: int, limit_s: float
) -> list[float]:
    """The seconds of each call."""
    times: list[float] = []
    until = perf_counter() + limit_s
    for at in range(1, count + 1):
        begun = perf_counter()
        if begun > until and at > LEAST:
            break
        call(next(places), at)
        times.append(perf_counter() - begun)
    return times


def _after_another(call: Callable[[str, int], object]) -> Callable[[str, int], object]:
    """The same, but one thread at a time."""
    turn = threading.Lock()

    def locked(place: str, at: int) -> object:
        with turn:
            return call(place, at)

    return locked


def _at_once(
    name: str, call: Callable[[str, int], object], places: Iterator[str], count: int, limit_s: float
) -> dict[str, float]:
    """Calls per second of some threads together, and how many failed."""
    ready = threading.Barrier(THREADS + 1)
    numbers, lock = iter(range(1000, 1000 + count)), threading.Lock()
    ends: list[float] = []
    failures: list[Exception] = []
    until = perf_counter() + limit_s

    def work() -> None:
        ready.wait()
        while perf_counter() < until or len(ends) < THREADS:
            with lock:
                at = next(numbers, None)
                if at is None:
                    return
                place = next(places)
            try:
                call(place, at)
            except Exception as error:  # noqa: BLE001 - whatever a system raises is counted
                failures.append(error)
            else:
                ends.append(perf_counter())

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    ready.wait()
    begun = perf_counter()
    for thread in threads:
        thread.join()
    for error in failures[:1]:
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    figures: dict[str, float] = {f"{name}_failed": len(failures)}
    if ends:
        figures[f"{name}_per_s"] = len(ends) / (max(ends) - begun)
    return figures


ORDERS = ("open", "fill", "check", "turn", "close")


def main(path: str) -> None:
    """Carries out orders until the input ends. What the system prints goes to stderr."""
    answers, sys.stdout = sys.stdout, sys.stderr
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is memory
        side = Side(json.load(file))
    for line in sys.stdin:
        order = json.loads(line)
        name = order.pop("do")
        assert name in ORDERS
        print(json.dumps(getattr(side, name)(**order)), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
