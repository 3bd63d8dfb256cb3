"""The doubles hear more than those of `isomem.testing`, and fail where a script says so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.testing import ConstantEmbedder
from isomem_parity.doubles import FallibleEmbedder, FallibleLLM, Faults

WORDS = st.lists(st.sampled_from("tea Tea tea. coffee the".split()), max_size=5).map(" ".join)
TEXTS = st.one_of(WORDS, st.text(st.characters(codec="utf-8"), max_size=20))


@given(TEXTS, TEXTS)
def test_two_texts_share_a_vector_only_when_they_are_the_same(one: str, other: str) -> None:
    embedder = FallibleEmbedder(16, Faults())
    assert (embedder.embed(one, "add") == embedder.embed(other, "add")) == (one == other)


@given(TEXTS)
def test_the_action_shows_and_changes_little(text: str) -> None:
    embedder = FallibleEmbedder(16, Faults())
    actions = ("add", "search", "update", None)
    vectors = [embedder.embed(text, action) for action in actions]
    assert len({tuple(vector) for vector in vectors}) == len(actions)
    assert all(
        abs(a - b) < 0.03 for vector in vectors for a, b in zip(vector, vectors[0], strict=True)
    )


def test_chosen_texts_have_chosen_vectors_and_a_constant_is_that_of_the_kit() -> None:
    faults = Faults()
    assert FallibleEmbedder(2, faults, {"tea": [1.0, 0.0]}).embed("tea") == [1.0, 0.0]
    constant = FallibleEmbedder(None, faults)
    assert constant.embed_batch(["a", "b"]) == [ConstantEmbedder().embed("")] * 2
    assert constant.dims == ConstantEmbedder().dims


def test_an_embedder_fails_or_spoils_a_vector_where_it_is_told_to() -> None:
    faults = Faults()
    embedder = FallibleEmbedder(4, faults)
    faults.arm(
        [{"on": "embed", "match": "dog", "vector": "short"}, {"on": "embed", "match": "cat"}]
    )
    assert len(embedder.embed("a dog")) == 3
    with pytest.raises(RuntimeError, match="planted fault"):
        embedder.embed("a cat")
    assert len(embedder.embed("tea")) == 4


def test_a_model_gives_the_replies_of_its_step_and_then_no_facts() -> None:
    llm = FallibleLLM(Faults())
    llm.begin(["as it is", ["Likes tea"], {"raw": ["x"]}, {"memory": []}, {"raw": None}])
    replies = [llm.generate_response([{"role": "user", "content": str(n)}]) for n in range(6)]
    facts = '{"memory": [{"text": "Likes tea"}]}'
    assert replies == ["as it is", facts, ["x"], '{"memory": []}', None, '{"memory": []}']
    assert [call["messages"][0]["content"] for call in llm.calls] == list("012345")
    llm.begin([])
    assert llm.calls == []


def test_a_model_keeps_what_it_was_asked_as_it_was_even_when_it_fails() -> None:
    faults = Faults()
    llm = FallibleLLM(faults)
    llm.begin(["reply"])
    faults.arm([{"on": "llm", "times": 1}])
    parts: list[dict[str, Any]] = [{"type": "text", "text": "tea"}]
    with pytest.raises(RuntimeError):
        llm.generate_response([{"role": "user", "content": parts}], response_format=None)
    parts[0]["text"] = "changed"
    asked = [{"role": "user", "content": [{"type": "text", "text": "tea"}]}]
    assert llm.calls == [{"messages": asked, "response_format": None}]
    assert llm.generate_response([]) == "reply"
