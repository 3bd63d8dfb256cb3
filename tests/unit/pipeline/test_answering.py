"""What a model gets that should answer with what is remembered."""

from __future__ import annotations

import copy
import sys
import types
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.pipeline import answering
from isomem.prompts import MEMORY_ANSWER_PROMPT

ROLES = st.sampled_from(["system", "user", "assistant", "tool", "developer"])
PARTS = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=8)}),
    st.fixed_dictionaries({"type": st.just("image_url"), "image_url": st.just({"url": "u"})}),
    st.text(max_size=3),
)
CONTENT = st.one_of(st.text(max_size=12), st.none(), st.lists(PARTS, max_size=3))
MESSAGES = st.lists(st.fixed_dictionaries({"role": ROLES, "content": CONTENT}), max_size=9)
SPOKEN = st.lists(
    st.fixed_dictionaries({"role": ROLES, "content": st.text(max_size=12)}), min_size=1, max_size=9
)
FACTS = st.lists(st.text(max_size=12), max_size=4)


@pytest.fixture(scope="module")
def completions() -> Any:
    """mem0's own, without LiteLLM, which these methods do not use."""
    pytest.importorskip("mem0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "litellm", types.ModuleType("litellm"))
        patch.delitem(sys.modules, "mem0.proxy.main", raising=False)
        from mem0 import Memory
        from mem0.proxy.main import Completions

        yield Completions(Memory.__new__(Memory))
        sys.modules.pop("mem0.proxy.main", None)


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@given(SPOKEN, FACTS)
def test_the_prompt_the_query_and_the_form_are_mem0s(
    completions: Any, messages: list[dict[str, Any]], facts: list[str]
) -> None:
    asked: dict[str, Any] = {}
    completions.mem0_client.search = lambda **options: asked.update(options)
    completions._fetch_relevant_memories(messages, "u", None, None, None, 10)
    assert answering.query_of(messages) == asked["query"]
    found = {"results": [{"memory": fact} for fact in facts]}
    meant = completions._format_query_with_memories(messages, found)
    assert answering.question_with(facts, messages[-1]["content"]) == meant
    if messages[0]["role"] != "developer":  # A role that came later, and means the same.
        assert answering.with_prompt(messages) == completions._prepare_messages(messages)


@given(MESSAGES, FACTS)
def test_what_a_caller_passes_is_not_changed(
    messages: list[dict[str, Any]], facts: list[str]
) -> None:
    before = copy.deepcopy(messages)
    answering.with_prompt(messages)
    for message in messages:
        answering.told(message, facts)
        answering.said_in(message)
    assert messages == before


@given(MESSAGES)
def test_the_last_message_of_the_user_is_found(messages: list[dict[str, Any]]) -> None:
    index = answering.last_of_user(messages)
    of_user = [i for i, message in enumerate(messages) if message["role"] == "user"]
    assert index == (of_user[-1] if of_user else None)


@given(CONTENT, FACTS)
def test_everything_but_the_text_of_a_message_stays(content: Any, facts: list[str]) -> None:
    message = {"role": "user", "name": "ana", "content": content}
    told = answering.told(message, facts)
    said = answering.said_in(message)
    assert {**told, "content": None} == {**message, "content": None}
    assert answering.said_in(told) == answering.question_with(facts, said)
    if isinstance(content, list):
        others = [each for each in content if not isinstance(each, dict) or "text" not in each]
        assert told["content"][1:] == others


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Hello", "Hello"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        ([{"type": "image_url", "image_url": {}}], ""),
        ([{"type": "text", "text": None}], ""),
        (["x"], ""),
        (None, ""),
        ({"text": "x"}, ""),
    ],
)
def test_the_text_of_a_message(content: Any, said: str) -> None:
    assert answering.said_in({"role": "user", "content": content}) == said


def test_a_prompt_of_ones_own_stays() -> None:
    for role in ("system", "developer"):
        own = [{"role": role, "content": "Be brief."}]
        assert answering.with_prompt(own) == own
    first = answering.with_prompt([])
    assert first == [{"role": "system", "content": MEMORY_ANSWER_PROMPT}]
