"""Memories as text for a prompt, and turns of a conversation."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from typing import Any

import pytest

from isomem.contract.context import estimate_tokens
from isomem.errors import ConfigurationError, ValidationError
from isomem.results import AddOptions
from tests.facade.conftest import Face
from tests.facade.test_replaced_parts import Store

Make = Callable[..., Face]
U: dict[str, Any] = {"user_id": "u"}


def tell(memory: Face, text: str, day: str | None, **more: Any) -> None:
    memory.add(text, infer=False, timestamp=day, **{**U, **more})


def by_words(text: str) -> int:
    return len(text.split())


# --- Context ---------------------------------------------------------------------------------


def test_a_context_has_the_memories_by_day_the_earliest_first(memory: Face) -> None:
    tell(memory, "Ana has a flat with a lift", "2025-03-11T20:00:00Z")
    tell(memory, "Ana wants a flat", "2025-03-05T23:30:00-01:00")
    tell(memory, "Ana saw a flat", "2025-03-05")
    tell(memory, "Ana sold a flat", "2025-03-06T00:10:00Z")
    tell(memory, "The sea is blue", "2025-03-05", user_id="v")
    assert memory.context("Ana flat", filters=U) == (
        "2025-03-05:\n"
        "- Ana saw a flat\n"
        "2025-03-06:\n"
        "- Ana sold a flat\n"
        "- Ana wants a flat\n"
        "2025-03-11:\n"
        "- Ana has a flat with a lift"
    )


def test_a_memory_without_a_day_comes_last(memory: Face) -> None:
    memory.add("Ana has a flat", infer=False, metadata={"created_at": "soon"}, **U)
    tell(memory, "Ana saw a flat", None)
    assert memory.context("Ana flat", filters=U) == (
        "2024-05-01:\n- Ana saw a flat\nundated:\n- Ana has a flat"
    )


def test_a_memory_of_several_lines_stays_one_item(memory: Face) -> None:
    tell(memory, "Ana has a flat\n2030-01-01:\r\n- Ana has a car\n", "2025-03-11")
    assert memory.context("Ana flat", filters=U) == (
        "2025-03-11:\n- Ana has a flat\n  2030-01-01:\n  - Ana has a car"
    )


def test_nothing_found_is_an_empty_text(memory: Face) -> None:
    assert memory.context("Ana", filters=U) == ""
    tell(memory, "Ana has a flat", None)
    assert memory.context("Ana flat", filters={"user_id": "v"}) == ""
    assert memory.context("Ana flat", filters=U, threshold=1.0) == ""


def test_the_best_that_fit_are_chosen_and_none_is_cut(planted: Face) -> None:
    long = "first " * 30
    ids = planted.plant(**{long.strip(): 0.9, "second one": 0.8, "third one": 0.7, "fourth": 0.6})
    assert len(ids) == 4

    def chosen(most: int) -> list[str]:
        text = planted.context("query", filters=U, max_tokens=most, count_tokens=by_words)
        return text.split("\n")[1:]

    assert chosen(1000) == [f"- {long.strip()}", "- second one", "- third one", "- fourth"]
    assert chosen(37) == [f"- {long.strip()}", "- second one", "- fourth"]
    assert chosen(32) == [f"- {long.strip()}"]
    assert chosen(9) == ["- second one", "- third one", "- fourth"]
    assert chosen(8) == ["- second one", "- third one"]
    assert chosen(6) == ["- second one", "- fourth"]
    assert chosen(5) == ["- second one"]
    assert chosen(3) == ["- fourth"]
    assert chosen(2) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_context_never_has_more_than_it_may(memory: Face, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(30):
        tea = " ".join(["tea"] * chance.randint(1, 40))
        tell(memory, f"{tea} {number}", f"2025-03-{chance.randint(1, 9):02}")
    counters: list[Callable[[str], int]] = [by_words, len, estimate_tokens]
    for count in counters:
        most = chance.randint(10, 400)
        text = memory.context("tea", filters=U, top_k=30, max_tokens=most, count_tokens=count)
        assert count(text) <= most
        stored = {each["memory"] for each in memory.get_all(filters=U, top_k=50)["results"]}
        assert {line[2:] for line in text.split("\n") if line.startswith("- ")} <= stored


def test_the_estimate_counts_unless_another_counter_is_named(memory: Face) -> None:
    for number in range(10):
        tell(memory, f"tea {number}", "2025-03-05")
    text = memory.context("tea", filters=U, max_tokens=40)
    assert 0 < estimate_tokens(text) <= 40
    assert len(text) < len(memory.context("tea", filters=U))


def test_it_searches_as_search_does(memory: Face) -> None:
    for number in range(9):
        tell(memory, f"tea {number}", "2025-03-05")
    for options in ({"top_k": 3}, {"ranking": "fused", "top_k": 4}, {"threshold": 0.9}):
        found = memory.search("tea 5", filters=U, **options)["results"]
        text = memory.context("tea 5", filters=U, **options)
        assert sorted(text.split("\n- ")[1:]) == sorted(each["memory"] for each in found)


@pytest.mark.parametrize("most", [0, -1, 1.5, "9", None, True])
def test_a_budget_that_is_none_is_refused(memory: Face, most: Any) -> None:
    with pytest.raises(ValueError, match="Invalid max_tokens"):
        memory.context("tea", filters=U, max_tokens=most)


def test_what_a_counter_returns_must_be_a_number(memory: Face) -> None:
    tell(memory, "tea", None)
    with pytest.raises(ValueError, match=r"count_tokens must return a whole number, not \[5\]"):
        memory.context("tea", filters=U, count_tokens=lambda text: [5])
    for odd in (5, "tokens", {}, 0):
        with pytest.raises(ValueError, match=f"Invalid count_tokens: {odd!r}"):
            memory.context("tea", filters=U, count_tokens=odd)


def test_what_a_counter_raises_reaches_the_caller(memory: Face) -> None:
    tell(memory, "tea", None)

    def fail(text: str) -> int:
        raise KeyError(text)

    with pytest.raises(KeyError):
        memory.context("tea", filters=U, count_tokens=fail)


def test_bad_arguments_are_those_of_a_search(memory: Face) -> None:
    for query, options in ((" ", {}), ("tea", {"filters": {}}), ("tea", {"threshold": 2})):
        with pytest.raises(ValueError, match=r"Invalid query|filters must|Invalid threshold"):
            memory.context(query, **{"filters": U, **options})
    with pytest.raises(TypeError, match="unexpected keyword argument 'limit'"):
        memory.context("tea", filters=U, limit=5)
    memory.vector_store = Store()
    with pytest.raises(ConfigurationError):
        memory.context("tea", filters=U, ranking="fused")


def test_it_works_over_a_foreign_store(memory: Face) -> None:
    memory.vector_store = Store()
    tell(memory, "Ana has a flat", "2025-03-05")
    assert memory.context("Ana flat", filters=U) == "2025-03-05:\n- Ana has a flat"


# --- Remember --------------------------------------------------------------------------------


def test_a_turn_is_an_add_of_two_messages(memory: Face) -> None:
    llm = memory.say(("Likes tea",))
    added = memory.remember("I like tea", "Noted!", user_id="u", timestamp="2025-03-05")
    assert [each["memory"] for each in added["results"]] == ["Likes tea"]
    prompt = llm.calls[0]["messages"][1]["content"]
    assert "user: I like tea\nassistant: Noted!\n" in prompt
    assert "## Observation Date\n2025-03-05\n" in prompt
    kept = memory.db.get_last_messages("user_id=u")
    assert [(each["role"], each["content"]) for each in kept] == [
        ("user", "I like tea"),
        ("assistant", "Noted!"),
    ]


@pytest.mark.parametrize("reply", [None, "", " \n"])
def test_a_turn_may_have_no_reply(memory: Face, reply: Any) -> None:
    added = memory.remember("I like tea", reply, user_id="u", infer=False, metadata={"a": 1})
    assert [each["role"] for each in added["results"]] == ["user"]
    assert memory.get(added["results"][0]["id"])["metadata"] == {"a": 1}


@pytest.mark.parametrize(
    ("said", "reply", "error"),
    [
        (5, None, "said must be a string"),
        (None, "Noted!", "said must be a string"),
        ([{"role": "user", "content": "x"}], None, "said must be a string"),
        ("\ud800", None, "said is not valid Unicode"),
        ("tea", 5, "reply must be a string"),
        ("tea", "\ud800", "reply is not valid Unicode"),
    ],
)
def test_a_turn_is_text(memory: Face, said: Any, reply: Any, error: str) -> None:
    before = memory.state()
    with pytest.raises(ValidationError, match=error) as caught:
        memory.remember(said, reply, user_id="u", infer=False)
    assert caught.value.error_code == "VALIDATION_004"
    assert memory.state() == before


def test_a_turn_takes_the_arguments_of_add_and_no_others(memory: Face) -> None:
    taken = [*inspect.signature(memory.real.add).parameters]
    assert taken[0] == "messages"
    assert [each for each in taken[1:] if each != "llm"] == [*AddOptions.__annotations__]
    with pytest.raises(TypeError, match="unexpected keyword argument 'user'"):
        memory.remember("tea", user="u")
    with pytest.raises(ValidationError, match="At least one of"):
        memory.remember("tea")
