"""A reply says what to remember, or it says why it cannot be used."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.errors import LLMError, UnusableReplyError
from isomem.providers.answers import Reply
from isomem.text.reply import read_facts, read_items, read_text

RIDES, BAKES = {"text": "Rides a tandem"}, {"text": "Bakes rye bread"}
TWO = json.dumps({"memory": [RIDES, BAKES]})


@pytest.mark.parametrize(
    "reply", [TWO, f"```json\n{TWO}\n```", f"<think>hm</think>{TWO}", f"Here: {TWO} Bye."]
)
def test_facts_are_read_out_of_any_wrapping(reply: str) -> None:
    assert read_facts(reply) == [RIDES, BAKES]


@pytest.mark.parametrize("value", ["[]", "null", "{}", '""', "false", "0"])
def test_an_empty_value_under_memory_is_nothing_to_remember(value: str) -> None:
    assert read_facts(f'{{"memory": {value}}}') == []


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (None, "it is empty"),
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("<think>only thoughts</think>", "nothing but wrapping"),
        ("I see nothing worth keeping.", "prose"),
        ("null", "its JSON is null"),
        ("[]", "its JSON is a list"),
        (json.dumps([RIDES]), "its JSON is a list"),
        ("7", "its JSON is a number"),
        ("true", "its JSON is a boolean"),
        ('"memory"', "its JSON is a string"),
        ("{}", "an empty object"),
        ('{"facts": ["Rides"]}', "only 'facts'"),
        ('{"Memory": [{"text": "Rides"}]}', "only 'Memory'"),
        ('{"name": "add", "arguments": {"text": "Rides"}}', "it is a tool call"),
        ({"content": None, "tool_calls": [{"name": "add"}]}, "it is a tool call"),
        ({"memory": [RIDES]}, "a value of type dict"),
        (b"{}", "a value of type bytes"),
        ('{"memory": "Rides"}', '"memory" in it is a string'),
        ('{"memory": {"text": "Rides"}}', '"memory" in it is an object'),
        (TWO[:-4], "its JSON is cut off"),
        (TWO[:-1], "its JSON is cut off"),
        (TWO[:20], "its JSON is cut off"),
        (TWO[:1], "its JSON is cut off"),
        (TWO.replace('"', "'"), "its JSON is not valid"),
        (TWO + TWO, "its JSON is not valid: Extra data"),
        ("{" * 100_000, "its JSON"),
        ('{"memory": ' + "[" * 200_000 + "]" * 200_000 + "}", "its JSON cannot be read"),
        ('{"memory": ["Rides", {}, null, {"text": ""}, {"text": 7}]}', "none of its items"),
    ],
)
def test_what_does_not_say_what_to_remember_is_named(reply: Any, fault: str) -> None:
    with pytest.raises(UnusableReplyError, match="the model's reply cannot be used") as caught:
        read_facts(reply)
    assert fault in caught.value.message
    assert fault in caught.value.details["fault"]


def test_an_unusable_reply_is_a_failure_of_the_model() -> None:
    assert issubclass(UnusableReplyError, LLMError)
    assert UnusableReplyError("x").error_code == "LLM_002"


@pytest.mark.parametrize("tail", ["", "x" * 5000])
def test_the_error_shows_the_beginning_of_the_reply(tail: str) -> None:
    with pytest.raises(UnusableReplyError) as caught:
        read_facts("I am sorry" + tail)
    assert "It begins: 'I am sorry" in str(caught.value)
    assert len(caught.value.details["excerpt"]) <= 200
    assert len(str(caught.value)) < 400


def test_it_is_said_when_the_model_was_cut_off() -> None:
    with pytest.raises(UnusableReplyError, match=r"finish_reason 'length'.*max_tokens") as caught:
        read_facts(Reply(TWO[:30], "length"))
    assert caught.value.details["finish_reason"] == "length"


def test_it_is_said_what_the_server_says() -> None:
    with pytest.raises(UnusableReplyError, match=r"it is empty.*I cannot help with that"):
        read_facts(Reply("", None, "I cannot help with that"))


def test_a_usable_reply_counts_however_it_ended() -> None:
    assert read_facts(Reply(TWO, "length")) == [RIDES, BAKES]


def test_an_item_without_a_text_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    items = [RIDES, "Swims", {"txt": "Sings"}, None, {"text": ""}, BAKES]
    with caplog.at_level(logging.WARNING, "isomem"):
        assert read_facts(json.dumps({"memory": items})) == [RIDES, BAKES]
    assert len(caplog.records) == 4
    assert "Swims" in caplog.text
    assert "Sings" in caplog.text


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("memory", "text", "facts")), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(anything | anything.map(json.dumps) | st.text(max_size=30))
def test_any_reply_has_facts_or_is_unusable(reply: Any) -> None:
    try:
        facts = read_facts(reply)
    except UnusableReplyError:
        return
    assert facts == [item for item in json.loads(reply)["memory"] or () if is_fact(item)]


@given(st.lists(st.fixed_dictionaries({"text": anything}) | anything, min_size=1, max_size=5))
def test_any_list_of_items_gives_those_with_a_text(items: list[Any]) -> None:
    expected = [item for item in items if is_fact(item)]
    reply = json.dumps({"memory": items})
    if expected:
        assert read_facts(reply) == expected
    else:
        with pytest.raises(UnusableReplyError, match="none of its items has a text"):
            read_facts(reply)


def is_fact(item: Any) -> bool:
    text = item.get("text") if isinstance(item, dict) else None
    return isinstance(text, str) and text != ""


@pytest.mark.parametrize("cut", range(1, len(TWO) - 1))
def test_a_reply_that_is_cut_anywhere_is_unusable(cut: int) -> None:
    with pytest.raises(UnusableReplyError, match="cut off"):
        read_facts(TWO[:cut])


# --- Text as a whole -------------------------------------------------------------------------


def test_a_text_loses_its_wrapping() -> None:
    assert read_text("```\nsteps\n```") == "steps"
    assert read_text("") == ""


@pytest.mark.parametrize("reply", [None, 7, {"content": None}, Reply("", "length")])
def test_what_is_no_text_is_unusable(reply: Any) -> None:
    with pytest.raises(UnusableReplyError, match="it has no text"):
        read_text(reply)


# --- Lists under other keys ------------------------------------------------------------------


def test_a_list_is_read_under_any_key() -> None:
    assert read_items('```json\n{"stale": [1, {"a": 2}]}\n```', "stale") == [1, {"a": 2}]
    assert read_items('{"stale": null}', "stale") == []


@pytest.mark.parametrize("reply", ['{"memory": []}', '{"stale": 5}', "[]", "prose", "", None, 5])
def test_a_reply_without_that_list_says_what_it_lacks(reply: object) -> None:
    with pytest.raises(UnusableReplyError) as raised:
        read_items(reply, "stale")
    if reply == '{"memory": []}':
        assert raised.value.details["fault"] == """it has no "stale", only 'memory'"""
