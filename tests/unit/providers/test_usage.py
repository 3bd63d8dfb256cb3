"""Usage is counted, whoever reports it and however many threads ask."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from isomem.providers.registry import create_llm
from isomem.providers.usage import Usage
from tests.unit.providers.servers import Seen, openai, serving

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    "answer",
    [
        {"usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}},
        {"usage": {"input_tokens": 7, "output_tokens": 2}},
        {"usage": {"inputTokens": 7, "outputTokens": 2}},
        {"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 2}},
        {"prompt_eval_count": 7, "eval_count": 2},
    ],
)
def test_every_servers_report_is_read(answer: Any) -> None:
    usage = Usage()
    usage.add(answer)
    usage.add(answer)
    assert repr(usage) == "Usage(calls=2, prompt_tokens=14, completion_tokens=4)"


@pytest.mark.parametrize(
    "answer", [{}, None, [], "text", {"usage": None}, {"usage": {"prompt_tokens": "7"}}]
)
def test_an_answer_without_a_report_is_a_call(answer: Any) -> None:
    usage = Usage()
    usage.add(answer)
    assert (usage.calls, usage.prompt_tokens, usage.completion_tokens) == (1, 0, 0)


def test_threads_lose_no_count() -> None:
    usage = Usage()
    answer = {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}

    def often() -> None:
        for _ in range(2000):
            usage.add(answer)

    threads = [threading.Thread(target=often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (usage.calls, usage.prompt_tokens, usage.completion_tokens) == (16000, 16000, 32000)


def test_a_model_counts_its_calls_both_ways() -> None:
    def reporting(seen: Seen) -> Any:
        return {**openai(seen), "usage": {"prompt_tokens": 11, "completion_tokens": 3}}

    with serving(reporting) as server:
        llm: Any = create_llm("openai", {"openai_base_url": server.url})
        llm.generate_response(MESSAGES)
        asyncio.run(llm.agenerate_response(MESSAGES))
        llm.close()
    assert (llm.usage.calls, llm.usage.prompt_tokens, llm.usage.completion_tokens) == (2, 22, 6)
