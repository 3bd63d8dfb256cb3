"""What the workers share: options, systems, embedders and models, clocks, and the result line.

A worker is a script of a process of its own. It imports next to nothing before the system that it
measures, so that what the process costs is what the system costs: `os` and `sys` are there in
every interpreter, `time` is built in, and `json` is imported after memory has been read.
"""

from __future__ import annotations

import os
import sys
from time import perf_counter, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

MB = 1024 * 1024
WORDS = "about hiking cooking travel"
QUERY = "hiking travel"
PEOPLE = ("Ana", "Bruno", "Clara", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas")
TOWNS = ("Lisbon", "Porto", "Bergen", "Krakow", "Lyon", "Turin", "Ghent", "Graz", "Malmo", "Cork")


# --- Options ------------------------------------------------------------------------------


def options() -> dict[str, Any]:
    """The command line's `name=value` words; digits are numbers."""
    pairs = (word.partition("=") for word in sys.argv[1:])
    return {name: int(value) if value.isdigit() else value for name, _, value in pairs}


# --- Embedders and models -----------------------------------------------------------------


class Constant:
    """The article's mock embedder: ten numbers, the same for every text."""

    dims = 10
    spent = 0.0
    """Seconds that are not the system's; nothing worth counting here."""

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:  # noqa: ARG002
        return [number / 10 for number in range(1, 11)]

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> list[list[float]]:
        return [self.embed(each, memory_action) for each in texts]


class Hashed:
    """`isomem.testing.HashEmbedder`, which adds up the seconds that it takes.

    Making a vector of many dimensions in Python takes longer than storing it, so the workers
    subtract `spent` from what they measure.
    """

    def __init__(self, dims: int) -> None:
        from isomem.testing import HashEmbedder

        self.dims = dims
        self.spent = 0.0
        self._embedder = HashEmbedder(dims)

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        begun = perf_counter()
        vector = self._embedder.embed(text, memory_action)
        self.spent += perf_counter() - begun
        return vector

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> list[list[float]]:
        return [self.embed(each, memory_action) for each in texts]


class Paired:
    """An embedder that costs next to nothing: every text is the sum of two of 256 directions.

    Equal texts have equal vectors. Texts that share a direction are alike, as one in 128 does.
    """

    spent = 0.0
    """Seconds that are not the system's: some ten microseconds for each text, on every side."""

    def __init__(self, dims: int) -> None:
        self.dims = dims
        numbers = scattered(256 * dims, 2001)
        self._directions = [
            tuple(next(numbers) / 1000 - 1 for _ in range(dims)) for _ in range(256)
        ]

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:  # noqa: ARG002
        from operator import add
        from zlib import crc32

        number = crc32(text.encode())
        pair = self._directions[number & 255], self._directions[number >> 8 & 255]
        return [*map(add, *pair)]

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> list[list[float]]:
        return [self.embed(each, memory_action) for each in texts]


class Slow(Constant):
    """An embedder somewhere else: every call waits. Blocks the thread that it runs in."""

    def __init__(self, latency_s: float) -> None:
        self.latency_s = latency_s

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        sleep(self.latency_s)
        return super().embed(text, memory_action)

    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> list[list[float]]:
        sleep(self.latency_s)
        return [Constant.embed(self, text, memory_action) for text in texts]


class SlowAwaitable(Slow):
    """The same with the methods that isomem awaits, which leave the loop free meanwhile."""

    async def aembed(self, text: str, memory_action: str | None = None) -> list[float]:
        import asyncio

        await asyncio.sleep(self.latency_s)
        return Constant.embed(self, text, memory_action)

    async def aembed_batch(
        self, texts: list[str], memory_action: str | None = "add"
    ) -> list[list[float]]:
        import asyncio

        await asyncio.sleep(self.latency_s)
        return [Constant.embed(self, text, memory_action) for text in texts]


class Facts:
    """A model that finds new facts in every call: the same sequence in every process.

    Args:
        per_call: facts in one reply.
        latency_s: how long a call waits.
        plain: facts are the article's texts, without names in them.
    """

    def __init__(self, per_call: int, latency_s: float = 0.0, *, plain: bool = False) -> None:
        self.config = None
        self.per_call = per_call
        self.latency_s = latency_s
        self.told = 0
        self._sentence = item if plain else trip

    def reply(self) -> str:
        """The next reply, as JSON text."""
        first, self.told = self.told, self.told + self.per_call
        facts = ", ".join(
            f'{{"id": "{at}", "text": "{self._sentence(at)}", "attributed_to": "user"}}'
            for at in range(first, self.told)
        )
        return f'{{"memory": [{facts}]}}'

    def generate_response(self, messages: Any, *_: Any, **__: Any) -> str:  # noqa: ARG002
        if self.latency_s:
            sleep(self.latency_s)
        return self.reply()


class FactsAwaitable(Facts):
    """The same with the method that isomem awaits."""

    async def agenerate_response(self, messages: Any, *_: Any, **__: Any) -> str:  # noqa: ARG002
        import asyncio

        await asyncio.sleep(self.latency_s)
        return self.reply()


def item(at: int) -> str:
    """The article's text number `at`."""
    return f"memory item {at} {WORDS}"


def trip(at: int) -> str:
    """A fact with two names in it: ten people, ten towns."""
    person, town = PEOPLE[at % 10], TOWNS[at // 10 % 10]
    return f"{person} went on hiking trip number {at} near {town} and cooked on the way"


SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "zo")


def note(at: int) -> str:
    """Text number `at`: eight words of 2,744, a name and a town; no two of a scope are equal."""
    state, words = at * 2654435761 + 1 & 0xFFFFFFFF, []
    for _ in range(8):
        state = state * 1664525 + 1013904223 & 0xFFFFFFFF
        first, second, third = state >> 8 & 0xFFF, state >> 16 & 0xFFF, state >> 20
        words.append(SYLLABLES[first % 14] + SYLLABLES[second % 14] + SYLLABLES[third % 14])
    return f"{PEOPLE[at % 10]} in {TOWNS[at // 10 % 10]}: {' '.join(words)}"


def said(numbers: range) -> list[dict[str, str]]:
    """Notes as the messages of a raw add."""
    return [{"role": "user", "content": note(at)} for at in numbers]


SMALL = 100
"""Memories of a small scope."""


def layout(memories: int, large: int = 0) -> Iterator[tuple[str, range]]:
    """Whose notes there are, in the order in which they are added.

    Args:
        large: memories of a large scope. With it, half of the memories are in large scopes, the
            other half in small ones, by turns. Without it, all scopes are small.
    """
    at = small = 0
    for number in range(memories // 2 // large if large else 1):
        if large:
            yield f"large{number}", range(at, at := at + large)
        for _ in range((large or memories) // SMALL):
            yield f"small{small}", range(at, at := at + SMALL)
            small += 1


def question(at: int) -> str:
    """A query with a name, a town and two words of note number `at`."""
    *_, first, second = note(at).split()
    return f"What did {PEOPLE[at % 10]} say about {first} and {second} near {TOWNS[at // 10 % 10]}?"


# --- Systems ------------------------------------------------------------------------------


def build(given: dict[str, Any], embedder: Any, model: Any = None) -> Any:
    """The memory that `given` names, with our embedder and model in place of its own.

    Keys of `given`:
        system: "isomem-memory", "isomem-disk", "mem0-memory", "mem0-disk" or "mem0-stub".
        folder: where files go.
        asynchronous: 1 for `AsyncMemory`.
        tier: "plain" for isomem as a plain install of mem0 is: no entities, no keyword search.
        synchronous, cache_mb: isomem's options of those names.
        clock: isomem's time and ids, if they are not to be the real ones.
        kernel: "interpreted" for isomem as it is without a compiler.
    """
    system, _, place = str(given["system"]).partition("-")
    memory = (_isomem if system == "isomem" else _mem0)(given, place, embedder.dims)
    memory.embedding_model = embedder
    if model is not None:
        memory.llm = model
    return memory


def _isomem(given: dict[str, Any], place: str, dims: int) -> Any:
    if given.get("kernel") == "interpreted":
        interpret_the_kernel()
    from isomem import AsyncMemory, Memory

    store: dict[str, Any] = {
        "path": ":memory:" if place == "memory" else f"{given['folder']}/memory.db",
        "embedding_model_dims": dims,
        **{name: given[name] for name in ("synchronous", "cache_mb") if name in given},
    }
    config: dict[str, Any] = {
        "vector_store": {"provider": "embedded", "config": store},
        "llm": {"provider": "mock"},
        "embedder": {"provider": "mock"},
    }
    if given.get("tier") == "plain":
        store["keyword_search"] = False
        config["nlp"] = {"provider": "none"}
    kind = AsyncMemory if given.get("asynchronous") else Memory
    return kind.from_config(config, clock=given.get("clock"))


def interpret_the_kernel() -> None:
    """Makes isomem run as it does without a compiler. Call it before anything imports isomem."""
    from importlib.util import find_spec, module_from_spec, spec_from_file_location

    package = find_spec("isomem")
    assert package
    assert package.submodule_search_locations
    for name in ("kernel", "pieces"):
        path = f"{package.submodule_search_locations[0]}/{name}.py"
        spec = spec_from_file_location(f"isomem.{name}", path)
        assert spec
        assert spec.loader
        sys.modules[f"isomem.{name}"] = module = module_from_spec(spec)
        spec.loader.exec_module(module)


def _mem0(given: dict[str, Any], place: str, dims: int) -> Any:
    # As a plain install finds it: where these are installed, mem0 would look for their models.
    for optional in ("fastembed", "spacy"):
        sys.modules[optional] = None  # type: ignore[assignment]
    import mem0

    refuse_connections()
    store: dict[str, Any] = {"collection_name": "mem0", "embedding_model_dims": dims}
    if place == "disk":
        store["path"] = f"{given['folder']}/qdrant"
    else:
        from qdrant_client import QdrantClient

        store["client"] = QdrantClient(":memory:")
    unused = {"provider": "openai", "config": {"api_key": "unused"}}
    history = f"{given['folder']}/history.db" if place == "disk" else ":memory:"
    kind = mem0.AsyncMemory if given.get("asynchronous") else mem0.Memory
    memory = kind.from_config(
        {
            "vector_store": {"provider": "qdrant", "config": store},
            "embedder": unused,
            "llm": unused,
            "history_db_path": history,
        }
    )
    if place == "stub":
        from stub import StubStore

        memory.vector_store = StubStore()
    return memory


def refuse_connections() -> None:
    """No socket of this process leaves the machine from now on."""
    import socket

    connect = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            raise OSError(f"a benchmark tried to connect to {address!r}")
        connect(self, address)

    socket.socket.connect = refuse  # type: ignore[method-assign,assignment]


# --- Measuring ----------------------------------------------------------------------------


def seconds(work: Callable[[], Any], embedder: Any) -> float:
    """How long `work` takes, without what the embedder takes."""
    spent, begun = embedder.spent, perf_counter()
    work()
    took: float = perf_counter() - begun - (embedder.spent - spent)
    return took


def each(call: Callable[[Any], Any], whose: Iterable[Any], embedder: Any) -> list[float]:
    """The seconds of every call, without what the embedder takes."""
    times = []
    for one in whose:
        spent, begun = embedder.spent, perf_counter()
        call(one)
        times.append(perf_counter() - begun - (embedder.spent - spent))
    return times


def spread(name: str, times: list[float]) -> dict[str, float]:
    """Mean, median and 95th percentile in milliseconds."""
    ordered = sorted(times)
    last = len(ordered) - 1
    return {
        f"{name}_ms": sum(ordered) / len(ordered) * 1000,
        f"{name}_median_ms": ordered[last // 2] * 1000,
        f"{name}_p95_ms": ordered[round(last * 0.95)] * 1000,
    }


def memory_mb(name: str) -> float:
    """What Linux says of this process: "VmHWM" is the peak, "VmRSS" what is resident now."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - pathlib is memory
        for line in status:
            if line.startswith(name):
                return int(line.split()[1]) * 1024 / MB
    raise OSError(f"/proc/self/status does not say {name}")


def percentile(times: list[float], share: float) -> float:
    """The time that this share of the times does not exceed, in milliseconds."""
    return sorted(times)[round((len(times) - 1) * share)] * 1000


def scattered(count: int, below: int) -> Iterator[int]:
    """Numbers that look random, the same every time; `random` costs memory to import."""
    state = 12345
    for _ in range(count):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        yield (state >> 8) % below


def finish(figures: dict[str, Any]) -> None:
    """Prints the figures, and the peak memory unless it is among them, as one line; ends.

    Ends without cleaning up: closing and freeing are no part of what is measured.
    """
    figures.setdefault("peak_mb", memory_mb("VmHWM"))
    import json

    print(json.dumps(figures), flush=True)
    os._exit(0)
