"""What is salvaged of an unusable reply is in it, word for word."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.text.salvage import salvage_facts
from tests.unit.store.fuzz import examples
from tests.unit.text.growth import check_linear

TEA, BREAD = {"text": "Likes tea"}, {"text": "Bakes bread", "attributed_to": "user"}
BOTH = [TEA, BREAD]
LIST, OBJECT = json.dumps(BOTH), json.dumps({"memory": BOTH})


@pytest.mark.parametrize(
    "reply",
    [
        OBJECT,
        LIST,
        json.dumps({"facts": BOTH}),
        json.dumps({"memories": BOTH, "note": ["not a fact"]}),
        {"memory": BOTH},
        [{"type": "text", "text": OBJECT[:20]}, {"type": "text", "text": OBJECT[20:]}],
        {"content": [{"text": LIST}]},
        f"Here are [2] facts: {LIST} Bye {{}}.",
        f"```json\n{LIST}\n```",
        OBJECT.replace("}]", "},]").replace('"user"', '"user",'),
        f"<thinking>no: {json.dumps([{'text': 'x'}])}</thinking>{LIST}",
        f"<thought>no: {json.dumps([{'text': 'x'}])}</thought>{LIST}",
        f"no: {json.dumps([{'text': 'x'}])}</thought>{LIST}",
        f'<think>a<think>{{"text": "x"}}</think>{LIST}',
        f'I first thought {{"text": "x"}}</think>\n{LIST}',
        OBJECT[:-2],
        OBJECT[:-1],
        LIST[:-1] + ', {"text": "Lives in Por',
        OBJECT[:-2] + ', {"text": "x", "linked": ["1", "2"], "attri',
    ],
)
def test_facts_in_other_forms_are_found(reply: Any) -> None:
    assert salvage_facts(reply) == BOTH


def test_facts_may_be_strings_in_a_complete_list() -> None:
    assert salvage_facts('{"facts": ["Likes tea", 7, ""]}') == [TEA]
    assert salvage_facts('["Likes tea"]') == [TEA]
    assert salvage_facts('{"facts": ["Likes tea", "Lives in') is None


@pytest.mark.parametrize("reply", ["[]", '{"facts": []}', '{"facts": null}', "Nothing: []."])
def test_an_empty_list_is_nothing_to_remember(reply: str) -> None:
    assert salvage_facts(reply) == []


@pytest.mark.parametrize(
    "reply",
    [
        None, "", 7, b"[]", {}, [], {"content": None}, "I cannot do that.", "{}", "null", '"tea"',
        '{"text": ""}', '[{"text": " "}]', '[{"fact": "tea"}]', "[1, 2]", '{"memory": "tea"}',
        '<think>{"text": "tea"}', '<thinking>["tea"]</thinking>', '{"text": "\\ud800"}',
        '{"text": "Likes te',
    ],
)  # fmt: skip
def test_a_reply_without_facts_has_none(reply: Any) -> None:
    assert salvage_facts(reply) is None


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(
    ["</think>", "<think>", ", ]", '"}', "{", "\\", '\\"', '{"text": "inner"}']
)
items = st.builds(lambda text: {"text": text}, texts) | texts | st.integers() | st.none()
values = st.lists(items, max_size=4).flatmap(
    lambda each: st.sampled_from([each, {"memory": each}, {"facts": each}, {"other": each}])
)


def spoken(reply: str) -> str:
    """Everything in a reply that can be a text: as it is, and with the escapes of JSON undone."""
    texts = [reply]
    decoder = json.JSONDecoder(strict=False)
    for at in range(len(reply)):
        if reply[at] == '"':
            try:
                texts.append(decoder.raw_decode(reply, at)[0])
            except ValueError:
                continue
    return "\0".join(texts)


def test_a_thought_that_ends_inside_an_escape_leaves_what_is_behind_it() -> None:
    """A fact may be in the reply as it is, and not as a string of JSON."""
    reply = '["tea", "<think>", "\\</think>u001f"]'
    facts = [fact["text"] for fact in salvage_facts(reply) or []]
    assert facts == ["tea", "u001f"]
    assert all(fact in spoken(reply) for fact in facts)


@examples(300)
@given(value=values, data=st.data())
def test_whatever_happens_to_a_reply_no_fact_is_invented(value: Any, data: st.DataObject) -> None:
    whole = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
    start = data.draw(st.integers(0, len(whole)))
    reply = whole[:start] + data.draw(st.sampled_from(["", ",", "</think>", '"', "}", "\n"]))
    reply += data.draw(st.sampled_from(["", whole[start:], whole]))
    for fact in salvage_facts(reply) or []:
        assert isinstance(fact["text"], str)
        assert fact["text"] in spoken(reply)


@examples(200)
@given(reply=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(
        ["memory", "facts", "text", "content", "x"]), inner),
))  # fmt: skip
def test_no_reply_is_an_error(reply: Any) -> None:
    salvage_facts(reply)


@pytest.mark.parametrize(
    "unit",
    [
        "{",
        "[",
        '{"a":',
        '"',
        '\\"',
        ",",
        ", ",
        "<think>",
        "</think>",
        '{"text": "a"},',
        "{ ",
        "{}",
        "[1],",
        "<think></think>",
    ],
)
def test_hostile_replies_take_linear_time(unit: str) -> None:
    check_linear(salvage_facts, lambda length: '"' + unit * (length // len(unit)) + "\\")
