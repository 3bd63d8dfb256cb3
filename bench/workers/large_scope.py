"""Searches in one large scope, next to a plain comparison of its vectors by simsimd."""

from __future__ import annotations

import random
from array import array
from time import perf_counter

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

AT_ONCE = 1000
USER = "user"
WHERE = {"user_id": USER}
WORDS = [f"word{at}" for at in range(3000)]


def main(given: dict[str, Any]) -> dict[str, float]:
    """Options: `kit.build`'s, `memories`, `dims`, `searches`, and `fill`: 1 makes the store first.

    The vectors are random, each the sum of two of 4,000 directions, so that some are close to each
    other. The texts have eight words of 3,000, some of them far more common than others.
    """
    embedder = Scattered(given["dims"])
    memory = kit.build(given, embedder)
    if given.get("fill"):
        return {"fill_s": kit.seconds(lambda: fill(memory, given["memories"], embedder), embedder)}
    words = random.Random(7)

    def ask(_: int) -> None:
        memory.search(text(words, 3), filters=WHERE)

    # With its fourth search a scope may get a coarse copy; that one is shown apart.
    first, *early = kit.each(ask, range(6), embedder)
    times = kit.each(ask, range(given["searches"]), embedder)
    figures = {"first_ms": first * 1000, "slowest_early_ms": max(early) * 1000}
    figures |= kit.spread("search", times)
    return figures | kit.spread("plain", plain(given["memories"], given["dims"], 25))


class Scattered:
    """An embedder that gives every text another vector."""

    spent = 0.0
    """Seconds that are not the system's."""

    def __init__(self, dims: int) -> None:
        self.dims = dims
        self._random = random.Random(5)
        self._pool = array("f", [self._random.gauss(0.0, 1.0) for _ in range(dims * 4000)])

    def embed(self, text: str, memory_action: str | None = None) -> array[float]:  # noqa: ARG002
        begun = perf_counter()
        first, second = (self._random.randrange(4000) * self.dims for _ in range(2))
        pool, dims = self._pool, self.dims
        pairs = zip(pool[first : first + dims], pool[second : second + dims], strict=True)
        vector = array("f", [one + other for one, other in pairs])
        self.spent += perf_counter() - begun
        return vector


def text(words: random.Random, length: int) -> str:
    ranks = (min(2999, int(words.expovariate(1 / 300))) for _ in range(length))
    return " ".join(WORDS[rank] for rank in ranks)


def fill(memory: Any, count: int, embedder: Scattered) -> None:
    """Inserts into the vector store directly: it is the searches that are measured."""
    words = random.Random(3)
    for first in range(0, count, AT_ONCE):
        payloads = [*payloads_of(range(first, min(first + AT_ONCE, count)), words)]
        vectors = [embedder.embed("") for _ in payloads]
        ids = [
            f"{at:08x}-0000-4000-8000-000000000000" for at in range(first, first + len(payloads))
        ]
        memory.vector_store.insert(vectors, payloads, ids)


def payloads_of(numbers: range, words: random.Random) -> Iterator[dict[str, str]]:
    """What a memory stores with a text."""
    moment = "2026-01-01T00:00:00.000000+00:00"
    for number in numbers:
        said = text(words, 8)
        yield {
            "user_id": USER, "data": said, "text_lemmatized": said, "hash": f"{number:032x}",
            "created_at": moment, "updated_at": moment,
        }  # fmt: skip


def plain(count: int, dims: int, rounds: int) -> list[float]:
    """The seconds that simsimd takes to compare a vector with as many others, without a search."""
    import simsimd

    numbers: Any = memoryview(bytearray(array("f", [0.05] * dims).tobytes() * count))
    one: Any = memoryview(array("f", [0.05] * dims)).cast("B").cast("f", (1, dims))
    matrix = numbers.cast("f", (count, dims))
    times = []
    for _ in range(rounds):
        begun = perf_counter()
        simsimd.cdist(one, matrix, "dot")
        times.append(perf_counter() - begun)
    return times


if __name__ == "__main__":
    kit.finish(main(kit.options()))
