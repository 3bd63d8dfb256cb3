"""A side of a comparison: one memory object, driven step by step. Upstream and isomem subclass it.

A subclass says how the memory is built and how its stores are read; everything that decides how
a step is carried out is here, once for both.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from isomem_parity.doubles import (
    FallibleEmbedder,
    FallibleLLM,
    Faults,
    Flaky,
    StepClock,
    StubReranker,
)
from isomem_parity.script import METHODS, START, Script, ScriptError, Step, resolve
from isomem_parity.trace import Names, State, Trace, error_of, plain

DIMS = 16
COLLECTION = "mem0"


class Side(ABC):
    """One implementation at work on one script."""

    label = ""

    def __init__(self, script: Script, tier: str, kind: str, folder: Path) -> None:
        self.script, self.tier, self.kind, self.folder = script, tier, kind, folder
        clock = script.clock
        self.clock = StepClock(clock.get("start", START), clock.get("step", 1.000001))
        self.faults = Faults()
        dims = (
            None if script.config.get("embedder") == "constant" else script.config.get("dims", DIMS)
        )
        self.embedder = FallibleEmbedder(dims, self.faults, script.config.get("vectors"))
        self.dims = self.embedder.dims
        self.llm = FallibleLLM(self.faults)
        self.reranker: StubReranker | None = None
        self.names = Names()
        self.named: dict[str, list[str]] = {}
        self.loop = self.make_loop() if kind == "async" else None
        self.memory: Any = None
        self.open()

    # -- what a subclass knows -----------------------------------------------------------------

    @abstractmethod
    def build(self) -> Any:
        """A memory object over `folder`, or in memory when the script does not need files."""

    @abstractmethod
    def state(self) -> State:
        """Everything stored now."""

    @abstractmethod
    def close_stores(self) -> None:
        """Let go of the files that `memory.close()` leaves open."""

    @abstractmethod
    def swap_entity_store(self, store: Any) -> None:
        """Put another object in the place of the entity store."""

    def make_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()

    # -- life ----------------------------------------------------------------------------------

    def open(self) -> None:
        """Build the memory and put the doubles in."""
        self.memory = self.build()
        self.memory.embedding_model = self.embedder
        self.memory.llm = self.llm
        self.memory.reranker = self.reranker

    def close(self) -> None:
        try:
            self._finish(self.memory.close())
        finally:
            self.close_stores()

    def dispose(self) -> None:
        """Close for good."""
        self.close()
        if self.loop is not None:
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()

    # -- one step ------------------------------------------------------------------------------

    def run(self, step: Step, number: int) -> Trace:
        """Carry out a step; what it did, with everything that is stored afterwards."""
        self.clock.begin(number)
        return self.attempt(lambda: self._outcome(step, number), step)

    def attempt(self, act: Callable[[], Any], step: Step) -> Trace:
        """Run `act` with the step's replies and faults; trace how it ended."""
        self.llm.begin(step.replies)
        self.faults.arm(step.faults)
        trace = Trace()
        try:
            with self._guarded_stores(step):
                trace.result = plain(act())
        except ScriptError:
            raise
        except Exception as error:
            trace.error = error_of(error)
        self.faults.arm([])
        trace.prompts = self.llm.calls
        trace.state = self.state()
        self.names.learn(trace)
        if step.name:
            self.named[step.name] = _ids_of(trace.result)
        return trace

    def _outcome(self, step: Step, number: int) -> Any:
        if step.op in METHODS:
            return self.call(step.op, resolve(step.args, self.id_of))
        return self._stage(step.op, step.args)

    def call(self, method: str, args: Any) -> Any:
        """Call the memory; a list is positional arguments, a dict keyword arguments."""
        function = getattr(self.memory, method)
        outcome = function(*args) if isinstance(args, list) else function(**args)
        return self._finish(outcome)

    def _finish(self, outcome: Any) -> Any:
        if self.loop is not None and asyncio.iscoroutine(outcome):
            return self.loop.run_until_complete(outcome)
        return outcome

    def _stage(self, op: str, args: Any) -> None:
        if op == "reopen":
            self.close()
            self.open()
        elif op == "clock":
            self.clock.set(args["set"]) if "set" in args else self.clock.advance(args["advance"])
        elif op == "instructions":
            self.memory.custom_instructions = args
        elif op == "reranker":
            self.reranker = StubReranker(args, self.faults) if args else None
            self.memory.reranker = self.reranker

    def id_of(self, reference: str) -> str:
        """The id behind "dog", "dog.1" or "m3"."""
        name, _, index = reference.partition(".")
        if name in self.named:
            ids = self.named[name]
            at = int(index or 0)
            return ids[at] if at < len(ids) else f"no id {reference}"
        return self.names.id_of(name) or f"no id {reference}"

    @contextmanager
    def _guarded_stores(self, step: Step) -> Iterator[None]:
        """Wrap the stores that the step wants to fail, for as long as the step takes."""
        wanted = {fault["on"].partition(".")[0] for fault in step.faults}
        memory = self.memory
        store, ledger = memory.vector_store, memory.db
        entities = memory.entity_store if "entities" in wanted else None
        if "store" in wanted:
            memory.vector_store = Flaky(store, "store", self.faults)
        if "db" in wanted:
            memory.db = Flaky(ledger, "db", self.faults)
        if entities is not None:
            self.swap_entity_store(Flaky(entities, "entities", self.faults))
        try:
            yield
        finally:
            if "store" in wanted:
                memory.vector_store = store
            if "db" in wanted:
                memory.db = ledger
            if entities is not None:
                self.swap_entity_store(entities)


def _ids_of(result: Any) -> list[str]:
    results = result.get("results") if isinstance(result, dict) else None
    return [item["id"] for item in results or [] if isinstance(item, dict) and "id" in item]


class InlineExecutor(ThreadPoolExecutor):
    """Runs what it is given at once, in the caller's thread.

    Upstream's `AsyncMemory` hands every blocking call to a thread; with one caller at a time the
    threads add nothing but time, and with several they would make its races differ from run to
    run. This is one of the schedules that real threads may take.
    """

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        from concurrent.futures import Future

        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
