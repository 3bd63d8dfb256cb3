"""Reordering by a model's scores."""

from __future__ import annotations

import asyncio
import copy
import logging
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomem.prompts import loader
from isomem.providers.registry import create_reranker
from isomem.providers.reranker.llm import read_score, score_in, text_of
from isomem.testing import ScriptedLLM

DOCUMENTS = [{"memory": text, "id": n} for n, text in enumerate("abcd")]


@pytest.fixture(autouse=True)
def _pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "_checked", {"RERANK_SYSTEM": "Score it."})


def reranker(*replies: Any, **options: Any) -> Any:
    made: Any = create_reranker("llm_reranker", {"provider": "mock", **options})
    made.llm = ScriptedLLM(replies)
    return made


def ids(documents: list[dict[str, Any]]) -> list[Any]:
    return [document["id"] for document in documents]


def test_the_best_come_first_and_equals_keep_their_order() -> None:
    made = reranker("0.2", "0.9", "0.2", "1.0")
    ranking = made.rerank("q", DOCUMENTS)
    assert ids(ranking) == [3, 1, 0, 2]
    assert ranking[0] == {"memory": "d", "id": 3, "rerank_score": 1.0}
    assert "rerank_score" not in DOCUMENTS[0]


def test_the_asynchronous_way_gives_the_same() -> None:
    replies = ("0.2", ValueError("x"), "nothing", "1.0")
    expected = reranker(*replies).rerank("q", DOCUMENTS)
    assert asyncio.run(reranker(*replies).arerank("q", DOCUMENTS)) == expected


def test_a_model_that_cannot_be_awaited_is_asked_all_the_same() -> None:
    class Plain:
        def generate_response(self, messages: list[Any]) -> str:
            return "0.7"

    made = reranker()
    made.llm = Plain()
    assert asyncio.run(made.arerank("q", DOCUMENTS))[0]["rerank_score"] == 0.7


def test_a_failed_question_is_neutral_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    made = reranker("0.4", RuntimeError("overloaded"), "0.6", "no")
    with caplog.at_level(logging.WARNING, "isomem"):
        ranking = made.rerank("q", DOCUMENTS)
    assert ids(ranking) == [2, 1, 3, 0]
    assert "overloaded" in caplog.text


def test_how_many_are_returned() -> None:
    replies = ("0.1", "0.2", "0.3", "0.4")
    assert ids(reranker(*replies).rerank("q", DOCUMENTS, 2)) == [3, 2]
    assert ids(reranker(*replies, top_k=3).rerank("q", DOCUMENTS)) == [3, 2, 1]
    assert ids(reranker(*replies, top_k=3).rerank("q", DOCUMENTS, 1)) == [3]
    assert reranker().rerank("q", []) == []


def test_texts_are_cut_and_kept_apart_from_the_task() -> None:
    made = reranker("1")
    made.rerank("q" * 5000, [{"memory": "m" * 5000}])
    system, user = made.llm.calls[0]["messages"]
    assert system == {"role": "system", "content": "Score it."}
    assert user["content"] == f"Query: {'q' * 4000}\n\nDocument: {'m' * 4000}"


def test_ones_own_prompt_may_replace_the_pinned_one() -> None:
    made = reranker("1", scoring_prompt="Mine")
    made.rerank("q", DOCUMENTS[:1])
    assert made.llm.calls[0]["messages"][0]["content"] == "Mine"


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        # As mem0 reads them.
        *[("0.75", 0.75), ("Score: 0.5.", 0.5), ("1.7", 1.0), ("-0.3", 0.3), ("1.0", 1.0)],
        *[("0 then 1", 0.0), ("0.85.", 0.85), ("On 3 counts: 0.7", 0.7), ("Hm...0.8", 0.8)],
        *[("0.2. It is 90% noise.", 0.2), ("v1 gives 0.4", 0.4)],
        # As they are meant, where mem0 reads something else or nothing.
        *[("10", 1.0), ("8", 0.8), ("2.0", 0.2), ("7.5", 0.75), ("85", 0.85), ("100", 1.0)],
        *[("85%", 0.85), ("1%", 0.01), ("100 %", 1.0), ("87.5 percent", 0.875), ("0%", 0.0)],
        *[("8/10", 0.8), ("1/10", 0.1), ("10/10", 1.0), ("7.0 / 10", 0.7), ("3/5", 0.6)],
        *[("4 out of 5", 0.8), ("85/100", 0.85), ("0,85", 0.85), (".85", 0.85)],
        *[("Always, 24/7: 0.3", 0.3), ("2024: 0.3", 0.3)],
    ],
)
def test_a_score_is_read(answer: str, score: float) -> None:
    assert score_in(answer) == pytest.approx(score)


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("<think>0 or 1? It has 1 match.</think>0.8", 0.8),
        ("<think>\n0.1\n</think>\n\n0.8", 0.8),
        ("<think>0</think>0.8<think>1</think>", 0.8),
        ("0 or 1? Let me see.</think>0.8", 0.8),
        ("<think></think>90%", 0.9),
        ("<think>a<think>0</think>0.8", 0.8),
    ],
)
def test_what_was_thought_is_no_score(answer: str, score: float) -> None:
    assert score_in(answer) == score


@pytest.mark.parametrize(
    "answer",
    ["", "no", None, {}, 7, "<think>0.8", "<think>0.8</think>", "2024", "11/10", "v1", "1e5"],
)
def test_an_answer_without_a_score_is_neutral_and_logged(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "isomem"):
        assert score_in(answer) == 0.5
    [record] = caplog.records
    assert repr(answer) in record.getMessage()


def test_a_failed_question_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "isomem"):
        reranker(RuntimeError("overloaded")).rerank("q", [*DOCUMENTS[:1], {"memory": None}])
    assert len(caplog.records) == 1


plain_words = st.sampled_from(("", "Score: ", "It is relevant. ", "v2 ", "(", "**", "\n"))


@given(plain_words, st.floats(0, 1.99).map(lambda x: f"{x:.3f}") | st.sampled_from("01"),
       st.sampled_from(("", ".", ")", "**", " of course", "\nDone")))  # fmt: skip
def test_what_mem0_reads_rightly_is_read_alike(before: str, number: str, after: str) -> None:
    answer = before + number + after
    theirs = min(float(re.findall(r"\b([01](?:\.\d+)?)\b", answer)[0]), 1.0)
    assert score_in(answer) == theirs


@given(st.text(st.sampled_from("0123456789.,/% <>thinkou\n"), max_size=40))
def test_any_answer_has_a_score_from_0_to_1(answer: str) -> None:
    assert 0 <= score_in(answer) <= 1


def test_where_the_text_of_a_result_is() -> None:
    assert text_of({"content": "c", "text": "t", "memory": "m"}) == "m"
    assert text_of({"content": "c", "text": "t"}) == "t"
    assert text_of({"content": "c"}) == "c"
    assert text_of({"id": 1}) == "{'id': 1}"


def test_a_result_whose_text_is_none_is_neutral() -> None:
    assert reranker().rerank("q", [{"memory": None}]) == [{"memory": None, "rerank_score": 0.5}]


def test_the_model_is_configured_beside_or_inside_llm() -> None:
    flat: Any = create_reranker("llm_reranker", {"api_key": "sk-flat1234"})
    assert (flat.llm.name, flat.llm.config.model) == ("openai", "gpt-4o-mini")
    assert (flat.llm.config.temperature, flat.llm.config.max_tokens) == (0.0, 100)
    nested: Any = create_reranker(
        "llm_reranker",
        {
            "temperature": 0.3,
            "llm": {"provider": "ollama", "config": {"model": "m", "ollama_base_url": "h:1"}},
        },
    )
    assert (nested.llm.name, nested.llm.config.model) == ("ollama", "m")
    assert (nested.llm.config.temperature, nested.llm.base_url) == (0.3, "http://h:1")
    assert "flat1234" not in repr(flat)


def test_an_unknown_option_is_passed_over_as_in_mem0(caplog: pytest.LogCaptureFixture) -> None:
    reranker: Any = create_reranker("llm_reranker", {"topk": 3, "api_key": "k"})
    reranker.close()
    assert "did you mean reranker.config.top_k?" in caplog.text


class Closable:
    """A model that says how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_closing_it_closes_its_model() -> None:
    made = reranker()
    made.llm = Closable()
    made.close()
    asyncio.run(made.aclose())
    assert made.llm.closed == 2


def test_a_model_that_cannot_be_closed_is_no_failure() -> None:
    made = reranker()
    made.llm = object()
    made.close()
    asyncio.run(made.aclose())


# --- Long answers, and odd numbers -----------------------------------------------------------


def test_a_long_answer_is_read_in_time_that_grows_with_its_length() -> None:
    """Of the square of its length, this would take minutes."""
    for answer in ("hm " * 70_000, "<think>" * 30_000, "</think>" * 30_000, "1" * 200_000 + "x"):
        begun = time.process_time()
        assert read_score(answer) is None
        assert time.process_time() - begun < 2
    assert read_score("<think>" + "0.1 " * 50_000 + "</think>0.8") == 0.8


pieces = st.lists(st.sampled_from(("<think>", "</think>", "0.1", "0.9", " ", "\n", "<", "x")))


@given(pieces.map("".join))
def test_thoughts_are_those_between_their_marks(answer: str) -> None:
    """Complete thoughts go first, then one without a beginning, then one without an end."""
    left = re.sub(r"<think>.*?</think>", " ", answer, flags=re.DOTALL)
    left = re.sub(r".*</think>|<think>.*", " ", left, flags=re.DOTALL)
    assert read_score(answer) == read_score(left)


@pytest.mark.parametrize("huge", ["9" * 400, "9" * 5000, "٩" * 400])
def test_a_number_of_hundreds_of_digits_is_not_a_score(huge: str) -> None:
    for answer in (huge, f"{huge}/{huge}", f"{huge}%", f"{huge} out of {huge}"):
        assert read_score(answer) is None
        assert read_score(f"{answer} or 0.3") == 0.3


answers = st.one_of(
    st.floats(0, 1).map(lambda x: f"{x:.2f}"),
    st.sampled_from(["no", "Score: 0.5", "1", "0", RuntimeError("x"), {"a": 1}, None]),
)
texts_under = st.dictionaries(
    st.sampled_from(("memory", "text", "content", "id")), st.text(max_size=5) | st.none(),
    max_size=3,
)  # fmt: skip


@pytest.mark.oracle
@settings(max_examples=60)
@given(st.lists(st.tuples(texts_under, answers), max_size=6), st.none() | st.integers(0, 7),
       st.none() | st.integers(0, 7))  # fmt: skip
def test_the_ranking_is_mem0s(
    given: list[tuple[dict[str, Any], Any]], top_k: int | None, configured: int | None
) -> None:
    """For answers that mem0 reads rightly, of which it asks in the same words."""
    pytest.importorskip("mem0")
    from mem0.configs.rerankers.llm import LLMRerankerConfig
    from mem0.reranker.llm_reranker import LLMReranker

    documents = [document for document, _ in given]
    asked = [
        answer
        for document, answer in given
        if isinstance(text_of(document), str)  # others are not sent
    ]
    mine = reranker(*asked, top_k=configured, scoring_prompt="Score it.")
    theirs = LLMReranker.__new__(LLMReranker)
    theirs.config = LLMRerankerConfig(top_k=configured)
    theirs.llm, theirs._system_prompt = ScriptedLLM(asked), "Score it."
    expected = theirs.rerank("q" * 4001, copy.deepcopy(documents), top_k)
    assert mine.rerank("q" * 4001, documents, top_k) == expected
    sent = [[call["messages"] for call in each.llm.calls] for each in (mine, theirs)]
    assert sent[0] == sent[1]


def test_cancelling_a_ranking_ends_it_at_the_document_it_is_at() -> None:
    class Slow:
        asked = 0
        waits = asyncio.Event()

        async def agenerate_response(self, messages: list[Any]) -> str:
            self.asked += 1
            if self.asked == 2:
                self.waits.set()
                await asyncio.Event().wait()
            return "0.5"

    async def cancelled(model: Slow) -> None:
        made = reranker()
        made.llm = model
        task = asyncio.create_task(made.arerank("q", DOCUMENTS))
        await model.waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    model = Slow()
    asyncio.run(cancelled(model))
    assert model.asked == 2
