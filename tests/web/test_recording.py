"""The recorder beside a plain model of what it should keep, and how single exchanges come out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

pytest.importorskip("fastapi")

from isomem.errors import LLMError
from isomem.errors import MemoryError as IsomemError
from isomem.serve.exchanges import Exchanges, SharedExchanges
from isomem.serve.grants import Grant
from isomem.serve.kept import Kept
from isomem.serve.recording import LONGEST_TEXT, Recorder
from isomem.serve.service import Service
from isomem.testing import ScriptedLLM

Json = dict[str, Any]
USERS, AGENTS = ("ana", "bob", "ana2", "*"), (None, "bot", "ana")
GRANTS: tuple[Mapping[str, str], ...] = (
    {}, {"user_id": "ana"}, {"user_id": "ana*"}, {"agent_id": "bot"}, {"agent_id": "*"},
    {"user_id": "bob", "agent_id": "bot"}, {"run_id": "*"},
)  # fmt: skip
CONFIG: Json = {
    "vector_store": {"provider": "embedded", "config": {"path": ":memory:"}},
    "embedder": {"provider": "mock", "config": {"embedding_dims": 8}},
    "nlp": {"provider": "none"},
    "serve": {"state_path": ":memory:"},
}


def covers(grant: Mapping[str, str], ids: Mapping[str, str]) -> bool:
    """What a grant means, in other words: a pattern here has a star at its end, if any."""
    return all(
        ids.get(key, "\0").startswith(pattern[:-1]) if pattern.endswith("*")
        else ids.get(key) == pattern
        for key, pattern in grant.items()
        if key in ids or not pattern.endswith("*")
    ) and all(key in ids for key in grant)  # fmt: skip


def facts(*texts: str) -> Json:
    return {"memory": [{"text": text} for text in texts]}


def recorded(
    *adds: Json, replies: list[Any] | None = None, recorder: Recorder | None = None
) -> list[Json]:
    """What is kept of adds, newest first. An add that fails is one of them."""
    kept = recorder or Recorder()

    async def run() -> None:
        service = Service(CONFIG)
        service.memory.llm = ScriptedLLM(replies or [])
        for each in adds:
            with suppress(IsomemError, TimeoutError):
                await kept.call(service.memory, "add", {"user_id": "ana", **each})
        await service.close()

    asyncio.run(run())
    return kept.shown_to([Grant({})])


# --- What is kept, and who sees it ------------------------------------------------------------


async def step(chance: Random, holder: Kept, service: Service, kept: list[Json]) -> None:
    """One call, and what it does to the model."""
    drawn = {"user_id": chance.choice(USERS), "agent_id": chance.choice(AGENTS)}
    ids = {key: value for key, value in drawn.items() if value is not None}
    name = chance.choices(("add", "remember", "delete_all", "search", "reset"), (8, 4, 2, 2, 0.3))[
        0
    ]
    if name in ("add", "remember"):
        text = f"text {chance.random()}"
        said = {"messages": text} if name == "add" else {"said": text}
        await holder.call(service.memory, name, {**said, **ids, "infer": False})
        kept.append({"ids": ids, "text": text})
    elif name == "delete_all":
        await holder.call(service.memory, name, ids)
        kept[:] = [each for each in kept if not ids.items() <= each["ids"].items()]
    elif name == "search":
        await holder.call(service.memory, name, {"query": "text", "filters": ids})
    else:
        await holder.call(service.memory, name, {})
        kept.clear()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shared", [False, True])
def test_what_is_kept_and_shown_is_what_a_plain_model_says(
    tmp_path: Path, seed: int, shared: bool
) -> None:
    path = str(tmp_path / "recordings.sqlite")
    exchanges = SharedExchanges(path, most=12) if shared else Exchanges(most=12)

    async def run() -> None:
        chance, recorder, kept = Random(seed), Recorder(exchanges), []
        service = Service(CONFIG)
        for _ in range(60):
            await step(chance, Kept(recorder=recorder), service, kept)
            del kept[:-12]
            for grants in (chance.sample(GRANTS, 1), chance.sample(GRANTS, 2)):
                shown = recorder.shown_to([*map(Grant, grants)])
                expected = [
                    each["text"]
                    for each in reversed(kept)
                    if any(covers(grant, each["ids"]) for grant in grants)
                ]
                assert [each["stored"][0]["memory"] for each in shown] == expected
        await service.close()

    asyncio.run(run())
    exchanges.close()


def test_adds_at_the_same_time_are_not_mixed_up() -> None:
    class Slow:
        """Answers each with what it was told, the first ones last."""

        async def agenerate_response(self, messages: list[Json], **_: Any) -> str:
            number = int(messages[-1]["content"].split("number-")[1].split(".")[0])
            await asyncio.sleep((20 - number) / 1000)
            return f'{{"memory": [{{"text": "fact {number}"}}]}}'

        def generate_response(self, messages: list[Json], **_: Any) -> str:
            raise AssertionError(messages)

    async def run() -> list[Json]:
        service, recorder = Service(CONFIG), Recorder()
        service.memory.llm = Slow()  # type: ignore[assignment]
        calls = [
            recorder.call(
                service.memory, "add", {"messages": f"number-{number}.", "user_id": f"u{number}"}
            )
            for number in range(20)
        ]
        await asyncio.gather(*calls)
        await service.close()
        return recorder.shown_to([Grant({})])

    shown = asyncio.run(run())
    assert len(shown) == 20
    for each in shown:
        number = each["ids"]["user_id"][1:]
        assert f"number-{number}." in each["turns"][0]["sent"][-1]["content"]
        assert each["turns"][0]["facts"] == [f"fact {number}"]
        assert each["stored"][0]["memory"] == f"fact {number}"


# --- One exchange -----------------------------------------------------------------------------


def test_a_model_that_is_asked_twice_has_two_turns() -> None:
    """Small models are asked once more if their reply cannot be used."""

    async def run() -> Json:
        service = Service({**CONFIG, "replies": "tolerant"})
        service.memory.llm = ScriptedLLM(["no JSON at all", facts("Ana likes tea")])
        recorder = Recorder()
        await recorder.call(service.memory, "add", {"messages": "x", "user_id": "ana"})
        await service.close()
        return recorder.shown_to([Grant({})])[0]

    exchange = asyncio.run(run())
    first, second = exchange["turns"]
    assert (first["reply"], first["facts"]) == ("no JSON at all", [])
    assert second["facts"] == ["Ana likes tea"]
    assert len(second["sent"]) > len(first["sent"])
    assert exchange["outcome"] == "stored"


def test_some_facts_are_new_and_some_are_known() -> None:
    replies = [facts("Ana likes tea"), facts("Ana likes tea", "Ana likes cake")]
    latest, _ = recorded({"messages": "x"}, {"messages": "y"}, replies=replies)
    assert latest["outcome"] == "stored"
    assert latest["turns"][0]["facts"] == ["Ana likes tea", "Ana likes cake"]
    assert [each["memory"] for each in latest["stored"]] == ["Ana likes cake"]


@pytest.mark.parametrize(
    ("reply", "outcome", "error"),
    [
        (LLMError("the quota is used up"), "failed", "quota"),
        (TimeoutError("no answer"), "failed", "no answer"),
        ("I would rather not.", "unusable", "I would rather not"),
        ("", "unusable", "empty"),
        ("[]", "unusable", "not an object"),
        ('{"memory": 5}', "unusable", "not a list"),
        ('{"memory": []}', "nothing_found", None),
        ('{"memory": null}', "nothing_found", None),
    ],
)
def test_each_way_in_which_nothing_is_stored_has_its_reason(
    reply: Any, outcome: str, error: str | None
) -> None:
    (exchange,) = recorded({"messages": "hello"}, replies=[reply])
    assert exchange["outcome"] == outcome
    assert exchange["stored"] == []
    assert (exchange["error"] is None) if error is None else (error in exchange["error"])


@pytest.mark.parametrize("wrong", [{"messages": 5}, {"user_id": None}, {"metadata": [1]}])
def test_a_call_that_is_refused_is_seen_as_failed_and_the_model_was_not_asked(wrong: Json) -> None:
    (exchange,) = recorded({"messages": "hello", **wrong})
    assert exchange["outcome"] == "failed"
    assert exchange["turns"] == []
    assert exchange["error"]


def test_half_of_a_character_in_an_answer_can_be_shown() -> None:
    (exchange,) = recorded({"messages": "x"}, replies=["not JSON \ud83d"])
    exchange["turns"][0]["reply"].encode()


def test_a_very_long_text_is_cut_and_says_so() -> None:
    (exchange,) = recorded({"messages": "x"}, replies=["y" * (LONGEST_TEXT + 10)])
    reply = exchange["turns"][0]["reply"]
    assert len(reply) == LONGEST_TEXT + 1
    assert reply.endswith("…")


def test_what_a_model_changes_in_its_messages_later_is_not_recorded() -> None:
    def greedy(messages: list[Json]) -> Json:
        shown = facts("a fact")
        messages[-1]["content"] = "replaced"
        messages.append({"role": "user", "content": "added"})
        return shown

    (exchange,) = recorded({"messages": "as it was"}, replies=[greedy])
    sent = exchange["turns"][0]["sent"]
    assert "as it was" in sent[-1]["content"]


def test_content_that_is_not_text_is_shown_as_it_is() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}
    said = [{"role": "user", "content": [image]}]

    async def run() -> Json:
        service, recorder = Service(CONFIG), Recorder()
        service.memory.enable_vision = True
        service.memory.llm = ScriptedLLM(["a picture of a cat", facts("Ana has a cat")])
        await recorder.call(service.memory, "add", {"messages": said, "user_id": "ana"})
        await service.close()
        return recorder.shown_to([Grant({})])[0]

    described, extracted = asyncio.run(run())["turns"]
    assert "https://example.org/x.png" in described["sent"][-1]["content"]
    assert extracted["facts"] == ["Ana has a cat"]


def test_the_time_is_that_of_the_call_and_of_the_model() -> None:
    (exchange,) = recorded({"messages": "x"}, replies=[facts("a fact")])
    assert 0 <= exchange["turns"][0]["seconds"] <= exchange["seconds"] < 60
