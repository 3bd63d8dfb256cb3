"""The answers of embedders: any order, any damage, and numbers as they were sent."""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomem.providers.answers import MissingError, finite, vector
from isomem.providers.embedder.protocol import vectors_in
from isomem.providers.registry import create_embedder
from tests.unit.providers.clouds import access, skip_unless_installed

Vectors = list[list[float]]

singles = st.floats(width=32, allow_nan=False, allow_infinity=False)
rows = st.lists(st.lists(singles, min_size=1, max_size=4), min_size=1, max_size=5)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just(10**400)
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def packed(numbers: list[float]) -> str:
    return b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def of_openai(vectors: Vectors) -> Any:
    return {"data": [{"index": n, "embedding": each} for n, each in enumerate(vectors)]}


def in_base_64(vectors: Vectors) -> Any:
    return of_openai([packed(each) for each in vectors])  # type: ignore[misc]


class Protocol(NamedTuple):
    """An embedder, its model, and how its service words an answer."""

    name: str
    model: str
    answer: Callable[[Vectors], Any]
    single: bool = False


PROTOCOLS = [
    Protocol("openai", "e-1", of_openai),
    Protocol("lmstudio", "e-1", in_base_64),
    Protocol("azure_openai", "e-1", in_base_64),
    Protocol("together", "e-1", of_openai),
    Protocol("huggingface", "e-1", in_base_64),
    Protocol("ollama", "e-1", lambda vectors: {"embeddings": vectors}),
    Protocol("gemini", "e-1", lambda vectors: {"embeddings": [{"values": v} for v in vectors]}),
    Protocol("aws_bedrock", "cohere.e-1", lambda vectors: {"embeddings": vectors}),
    Protocol("aws_bedrock", "amazon.e-1", lambda vectors: {"embedding": vectors[0]}, single=True),
    Protocol(
        "vertexai",
        "e-1",
        lambda vectors: {"predictions": [{"embeddings": {"values": v}} for v in vectors]},
    ),
]


@pytest.fixture(params=PROTOCOLS, ids=lambda each: f"{each.name}-{each.model}", scope="module")
def protocol(request: pytest.FixtureRequest) -> Protocol:
    chosen: Protocol = request.param
    skip_unless_installed(chosen.name)
    return chosen


@pytest.fixture(scope="module")
def embedder(protocol: Protocol) -> Any:
    options = access(protocol.name, "http://127.0.0.1:9")
    return create_embedder(protocol.name, {**options, "model": protocol.model})


@settings(max_examples=25)
@given(vectors=rows)
def test_what_the_service_computed_is_what_is_read(
    protocol: Protocol, embedder: Any, vectors: Vectors
) -> None:
    sent = vectors[:1] if protocol.single else vectors
    answer = json.loads(json.dumps(protocol.answer(sent)))
    assert embedder.parse(answer) == sent


@settings(max_examples=25)
@given(vectors=rows, data=st.data())
def test_damage_anywhere_is_named_and_never_another_error(
    protocol: Protocol, embedder: Any, vectors: Vectors, data: st.DataObject
) -> None:
    answer = damaged(protocol.answer(vectors), data)
    try:
        found = embedder.parse(answer)
    except MissingError:
        return
    assert all(each and {type(x) for x in each} <= {int, float} for each in found)


def damaged(answer: Any, data: st.DataObject) -> Any:
    """The answer with another value at one of its places, at whatever depth."""
    if not isinstance(answer, dict | list) or not answer or data.draw(st.integers(0, 4)) == 0:
        return data.draw(anything)
    keys = list(answer) if isinstance(answer, dict) else range(len(answer))
    at = data.draw(st.sampled_from(list(keys)))
    changed = answer.copy()
    changed[at] = damaged(answer[at], data)
    return changed


@given(rows, st.randoms(use_true_random=False))
def test_the_index_tells_whose_a_vector_is(vectors: Vectors, chance: Any) -> None:
    items = of_openai(vectors)["data"]
    chance.shuffle(items)
    assert vectors_in({"data": items}) == vectors


@given(rows, st.sampled_from((None, 0)))
def test_servers_without_an_index_keep_the_order(vectors: Vectors, index: int | None) -> None:
    items: list[dict[str, Any]] = [{"embedding": each} for each in vectors]
    if index is not None:
        items = [{**item, "index": index} for item in items]
    assert vectors_in({"data": items}) == vectors


@given(st.lists(singles, min_size=1, max_size=6))
def test_base_64_loses_no_bit(numbers: list[float]) -> None:
    answer = in_base_64([numbers])
    [found] = vectors_in(answer)
    assert struct.pack(f"{len(numbers)}f", *found) == struct.pack(f"{len(numbers)}f", *numbers)


@given(st.binary(min_size=1, max_size=17).filter(lambda content: len(content) % 4))
def test_bytes_that_are_not_whole_numbers_are_not_a_vector(content: bytes) -> None:
    with pytest.raises(MissingError, match="base 64"):
        vectors_in(of_openai([b64encode(content).decode()]))  # type: ignore[list-item]


@given(anything)
def test_a_vector_is_a_list_of_numbers_or_is_refused(value: Any) -> None:
    is_one = isinstance(value, list) and bool(value)
    is_one = is_one and all(type(x) in {int, float} for x in value)
    if is_one:
        assert vector(value) is value
    else:
        with pytest.raises(MissingError, match="a vector of numbers"):
            vector(value)


@given(anything)
def test_a_score_is_a_finite_number_or_is_named(value: Any) -> None:
    if type(value) in {int, float} and abs(value) < 1e308:
        found = finite(value, "the score")
        assert (type(found), found) == (float, float(value))
    else:
        with pytest.raises(MissingError, match=r"^the score$"):
            finite(value, "the score")
