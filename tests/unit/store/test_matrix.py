"""Vectors in memory: with a coarse copy and without, the best are those of comparing all."""

from __future__ import annotations

import random
from array import array
from typing import Any

import pytest
import simsimd
from hypothesis import given
from hypothesis import strategies as st

from isomem import kernel
from isomem.store import matrix
from isomem.store.best import compiled_best
from isomem.store.matrix import Matrix
from isomem.store.row_keys import SEQ_BITS, SEQ_MASK
from isomem.store.uncompiled import sorted_best
from tests.unit.store.fuzz import examples

DIMS = 64
needs_the_kernel = pytest.mark.skipif(not kernel.COMPILED, reason="not used without a compiler")


@pytest.fixture(autouse=True)
def small_ones_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "LARGE_BYTES", 1)
    monkeypatch.setattr(matrix, "SEARCHES_BEFORE", 1)


def unit(numbers: list[float]) -> bytes:
    vector = array("f", numbers)
    kernel.scale_to_unit(vector, 1.1920929e-7)
    return vector.tobytes()


def noise(chance: random.Random, scale: float = 1.0) -> list[float]:
    return [chance.gauss(0.0, scale) for _ in range(DIMS)]


def some_vectors(chance: random.Random, kind: str, count: int) -> list[bytes]:
    """Vectors of one kind; each kind is hard for bounds in its own way."""
    centre = noise(chance)
    makers: dict[str, Any] = {
        "scattered": lambda: noise(chance),
        "close": lambda: [c + n for c, n in zip(centre, noise(chance, 0.003), strict=True)],
        "tied": lambda: centre if chance.random() < 0.1 else noise(chance),
        "opposite": lambda: [c * chance.choice((-1.0, 1.0)) for c in centre],
        "spiked": lambda: [n if chance.random() < 0.05 else n * 1e-4 for n in noise(chance)],
        "zero": lambda: [0.0] * DIMS if chance.random() < 0.5 else noise(chance),
        "tiny": lambda: noise(chance, 10.0 ** chance.randrange(-44, -5)),
    }
    return [unit(makers[kind]()) for _ in range(count)]


KINDS = ("scattered", "close", "tied", "opposite", "spiked", "zero", "tiny")


def some_keys(chance: random.Random, count: int) -> array[int]:
    orders = chance.sample(range(1, 10 * count + 1), count)
    return array("q", [chance.randrange(1, 4) << SEQ_BITS | order for order in orders])


def expected(
    vectors: list[bytes], keys: array[int], query: bytes, top_k: int, allowed: Any
) -> list[tuple[float, int]]:
    """By comparing one vector after the other."""
    asked = memoryview(query).cast("f", (1, DIMS))
    scored = []
    for row, (vector, key) in enumerate(zip(vectors, keys, strict=True)):
        if allowed is None or key in allowed:
            found: Any = simsimd.cdist(asked, memoryview(vector).cast("f", (1, DIMS)), "dot")
            score = memoryview(found).cast("B").cast("d")[0]
            scored.append((score, key & SEQ_MASK, row))
    return [(score, row) for score, _, row in sorted(scored, reverse=True)[:top_k]]


@needs_the_kernel
@pytest.mark.parametrize("kind", KINDS)
@examples(30)
@given(seed=st.integers(0, 2**32), top_k=st.integers(1, 40), some=st.booleans())
def test_a_coarse_copy_never_misses_one_of_the_best(
    kind: str, seed: int, top_k: int, some: bool
) -> None:
    chance = random.Random(seed)
    vectors = some_vectors(chance, kind, 400)
    keys = some_keys(chance, len(vectors))
    allowed = {key for key in keys if chance.random() < 0.5} if some else None
    held = Matrix()
    held.extend(vectors)
    for query in (*some_vectors(chance, kind, 2), vectors[0], unit(noise(chance))):
        found = held.nearest(query, keys, top_k, allowed)
        assert found == expected(vectors, keys, query, top_k, allowed)


@needs_the_kernel
def test_a_coarse_copy_rules_most_vectors_out(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(5)
    vectors = some_vectors(chance, "scattered", 4000)
    held = Matrix()
    held.extend(vectors)
    compared = []
    gather = Matrix._gather
    monkeypatch.setattr(
        Matrix,
        "_gather",
        lambda self, rows: compared.append(len(rows)) or gather(self, rows),  # type: ignore[func-returns-value]
    )
    held.nearest(vectors[7], some_keys(chance, 4000), 20, None)
    assert 20 <= compared[0] <= 400


@needs_the_kernel
@examples(40)
@given(seed=st.integers(0, 2**32))
def test_a_coarse_copy_follows_the_changes(seed: int) -> None:
    chance = random.Random(seed)
    vectors = some_vectors(chance, "scattered", 60)
    held = Matrix()
    held.extend(vectors)
    for _ in range(20):
        query = unit(noise(chance))
        keys = array("q", range(1, len(vectors) + 1))
        assert held.nearest(query, keys, 3, None) == expected(vectors, keys, query, 3, None)
        (new,) = some_vectors(chance, "scattered", 1)
        row = chance.randrange(len(vectors))
        change = chance.choice(("extend", "replace", "remove"))
        if change == "extend":
            held.extend([new])
            vectors.append(new)
        elif change == "replace":
            held.replace(row, new)
            vectors[row] = new
        else:
            held.remove(row)
            vectors[row] = vectors[-1]
            del vectors[-1]


@needs_the_kernel
def test_a_coarse_copy_is_in_the_size_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "SEARCHES_BEFORE", 3)
    chance = random.Random(5)
    held = Matrix()
    held.extend(some_vectors(chance, "scattered", 100))
    keys = array("q", range(1, 101))
    before = held.size_bytes
    for coarse in (False, False, True):
        held.nearest(unit(noise(chance)), keys, 1, None)
        assert (held._coarse is not None) is coarse
    assert held._coarse is not None
    parts = (held._numbers, held._coarse._codes, held._coarse._steps, held._coarse._lengths)
    assert before == held.size_bytes == sum(memoryview(part).nbytes for part in parts)
    monkeypatch.setattr(matrix, "LARGE_BYTES", len(held._numbers))
    held.remove(0)
    assert held._coarse is None
    assert held.size_bytes == len(held._numbers)


def test_short_vectors_and_few_of_them_are_all_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not matrix._may_be_coarse(10**9, 10)
    assert not matrix._may_be_coarse(10**9, 200_000)
    monkeypatch.setattr(matrix, "LARGE_BYTES", 1000)
    assert not matrix._may_be_coarse(999, 384)
    assert matrix._may_be_coarse(1000, 384) is kernel.COMPILED


@examples(200)
@given(
    scores=st.lists(st.sampled_from((-1.0, 0.0, 0.25, 0.5)) | st.floats(-1, 1), max_size=40),
    seed=st.integers(0, 2**32),
    top_k=st.integers(-1, 45),
    some=st.booleans(),
    floor=st.sampled_from((float("-inf"), 0.0)),
)
def test_the_best_are_the_same_with_the_kernel_and_without_it(
    scores: list[float], seed: int, top_k: int, some: bool, floor: float
) -> None:
    chance = random.Random(seed)
    keys = some_keys(chance, len(scores))
    allowed = {key for key in keys if chance.random() < 0.5} if some else None
    given_ = array("d", scores), keys, top_k, allowed, floor
    ordered = sorted(
        (
            (score, key & SEQ_MASK, row)
            for row, (score, key) in enumerate(zip(scores, keys, strict=True))
            if score > floor and (allowed is None or key in allowed)
        ),
        reverse=True,
    )
    expected = [(score, row) for score, _, row in ordered[: max(top_k, 0)]]
    assert compiled_best(*given_) == sorted_best(*given_) == expected
