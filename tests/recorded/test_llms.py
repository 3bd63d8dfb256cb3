"""Every language model against upstream's own class: requests and results."""

from __future__ import annotations

from typing import Any

import pytest

from isomem.providers.registry import create_llm
from tests.recorded.comparison import Case, Difference, compared, ours, pair
from tests.recorded.llm_cases import (
    CALLS,
    CASES,
    EXTRA,
    FAILING,
    MESSAGES,
    OLLAMA,
    REPLIES,
    WITH_EXTRA,
    azure,
)
from tests.unit.providers.servers import Answer

pytest.importorskip("mem0")
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore"),  # what upstream and its SDKs deprecate is theirs
]


def theirs(name: str, options: dict[str, Any]) -> Any:
    """Upstream's own object."""
    from mem0.utils.factory import LlmFactory

    return LlmFactory.create(name, dict(options))


@pytest.mark.parametrize("case", [*CASES, *WITH_EXTRA], ids=str)
def test_a_model_is_sent_the_same_and_says_the_same(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pair(case, monkeypatch, theirs, create_llm) as both:
        for call in case.calls or CALLS:
            compared(both, "generate_response", MESSAGES, **call)


@pytest.mark.parametrize("case", WITH_EXTRA, ids=str)
def test_further_arguments_of_a_call_are_sent_the_same(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pair(case, monkeypatch, theirs, create_llm) as both:
        for call in EXTRA:
            compared(both, "generate_response", MESSAGES, **call)


@pytest.mark.parametrize(("case", "call", "error", "difference"), FAILING, ids=str)
def test_what_upstreams_class_cannot_do(
    case: Case,
    call: dict[str, Any],
    error: str,
    difference: Difference,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pair(case, monkeypatch, theirs, create_llm) as both:
        failed = both.call_theirs("generate_response", MESSAGES, **call)
        assert type(failed.error).__name__ == error
        for made in ours(both, "generate_response", MESSAGES, **call):
            assert len(made.sent) == 1
            assert made.result


@pytest.mark.parametrize(("case", "messages", "answer", "difference"), REPLIES)
def test_messages_and_replies_that_are_read_otherwise(
    case: Case,
    messages: list[dict[str, Any]],
    answer: Any,
    difference: Difference,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pair(case.with_(difference), monkeypatch, theirs, create_llm) as both:
        both.server.always = Answer(body=answer) if answer else None
        compared(both, "generate_response", messages)


@pytest.mark.parametrize(
    "case", [OLLAMA, azure("azure_openai"), azure("azure_openai_structured")], ids=str
)
def test_only_upstreams_class_changes_the_messages(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pair(case, monkeypatch, theirs, create_llm) as both:
        for side, changes in ((both.theirs, True), (both.mine, False)):
            messages = [{"role": "user", "content": "the assistant"}]
            side.generate_response(messages, response_format={"type": "json_object"})
            assert (messages != [{"role": "user", "content": "the assistant"}]) is changes
