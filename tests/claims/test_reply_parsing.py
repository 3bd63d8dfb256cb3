"""What a model answered, and the facts in it, however it dressed them up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.claims.conftest import Called
from tests.claims.sides import both, examples


class Ours:
    """isomem's functions, under the names that the claims use."""

    def __init__(self) -> None:
        from isomem.text import reply

        self.unwrap, self.find_json = reply.strip_wrapping, reply.find_json


class Theirs:
    """mem0's functions, under the same names."""

    def __init__(self) -> None:
        from mem0.memory import utils

        self.unwrap, self.find_json = utils.remove_code_blocks, utils.extract_json


side = both(Ours, Theirs)

PLAIN = st.text(st.characters(exclude_characters="`<{}", exclude_categories=["Cs"]), max_size=30)
TAGS = st.sampled_from(("", "json", "JSON", "json5", "py3", "x"))


# --- Wrapping --------------------------------------------------------------------------------


@examples(100)
@given(PLAIN)
def test_a_text_without_wrapping_only_loses_the_space_around_it(side: Any, text: str) -> None:
    assert side.unwrap(text) == text.strip()


@examples(100)
@given(PLAIN, TAGS, st.sampled_from(("", " ", "\n\n")))
def test_a_fence_around_everything_goes_with_its_language(
    side: Any, text: str, tag: str, around: str
) -> None:
    assert side.unwrap(f"{around}```{tag}\n{text}\n```{around}") == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "```json\n{}",
        "{}\n```",
        "```json {} ```",
        "```\n{}```",
        "```c++\n{}\n```",
        "```two words\n{}\n```",
        "So:\n```\n{}\n```",
        "```\n{}\n```\nThat is all.",
        "``````",
        "~~~\n{}\n~~~",
    ],
)
def test_what_is_no_fence_around_everything_stays(side: Any, text: str) -> None:
    assert side.unwrap(text) == text


@examples(100)
@given(PLAIN, PLAIN, PLAIN)
def test_what_was_thought_goes_and_the_rest_closes_up(
    side: Any, before: str, thought: str, after: str
) -> None:
    assert side.unwrap(f"{before}<think>{thought}</think>{after}") == (before + after).strip()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<think>a</think>1<think>b\nc</think>2", "12"),
        ("<think>{}</think>\n\n{}", "{}"),
        ("<think></think>", ""),
        ("<think>without an end {}", "<think>without an end {}"),
        ("without a start</think>{}", "without a start</think>{}"),
        ("<think>a<think>b</think>c</think>", "c</think>"),
        ("<THINK>a</THINK>b", "<THINK>a</THINK>b"),
        ("```json\n<think>a</think>{}\n```", "{}"),
        ("<think>a</think>```json\n{}\n```", "```json\n{}\n```"),
    ],
)
def test_thoughts_end_at_the_first_end_tag_and_fences_go_first(
    side: Any, text: str, left: str
) -> None:
    assert side.unwrap(text) == left


# --- Finding JSON in prose -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('Sure! {"a": {"b": 1}} Anything else?', '{"a": {"b": 1}}'),
        ("one {1} two {2} three", "{1} two {2}"),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('Here:\n```\n{"a": 1}\n```\nor {"b": 2}', '{"a": 1}'),
        ("```json{1}```", "{1}"),
        ("```{1}``` ```{2}```", "{1}"),
        ("```json\n{1}", "{1}"),
        ("``` ```", ""),
        ("} before {", "} before {"),
        ("only { opened", "only { opened"),
        ("  no JSON at all \n", "no JSON at all"),
        ("", ""),
    ],
)
def test_json_is_in_the_first_fence_or_else_from_first_to_last_brace(
    side: Any, text: str, found: str
) -> None:
    assert side.find_json(text) == found


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=6,
)


@examples(100)
@given(PLAIN, st.dictionaries(PLAIN, _json, max_size=3), PLAIN)
def test_an_object_is_found_between_any_words(
    side: Any, before: str, value: dict[str, Any], after: str
) -> None:
    written = json.dumps(value)
    assert side.find_json(before + written + after) == written


# --- Any text at all -------------------------------------------------------------------------

_pieces = st.sampled_from(
    ("```", "```json", "```py\n", "\n```", "\n", " ", "{", "}", "<think>", "</think>", "json", "x")
)


@pytest.mark.oracle
@pytest.mark.usefixtures("oracle")
@pytest.mark.filterwarnings("ignore")
@examples(600)
@given(st.lists(_pieces, max_size=14).map("".join) | st.text(max_size=20))
def test_on_any_text_both_find_the_same(text: str) -> None:
    ours, theirs = Ours(), Theirs()
    assert ours.unwrap(text) == theirs.unwrap(text)
    assert ours.find_json(text) == theirs.find_json(text)


# --- Facts -----------------------------------------------------------------------------------

RIDES, BAKES = {"text": "Rides a tandem"}, {"text": "Bakes rye bread"}
TWO = json.dumps({"memory": [RIDES, BAKES]})


@pytest.mark.parametrize(
    "reply",
    [
        TWO,
        f"\n\n  {TWO}\t",
        f"```json\n{TWO}\n```",
        f"```\n{TWO}\n```",
        f"I found these:\n```json\n{TWO}\n```\nNothing else.",
        f"I found these: {TWO} and nothing else.",
        f"<think>Is {{this}} new?</think>{TWO}",
        f"```json\n<think>hm</think>\n{TWO}\n```",
        f"<think>no end in sight {TWO}",
        TWO.replace(", ", ",\n\n  "),
        json.dumps({"note": 1, "memory": [{"id": "0", **RIDES}, {"mood": "", **BAKES}], "done": 2}),
        json.dumps({"memory": [RIDES, {"text": ""}, {"text": None}, {"id": "3"}, BAKES, {}]}),
        json.dumps({"memory": [RIDES, RIDES, BAKES, RIDES]}),
    ],
)
def test_facts_are_taken_in_order_and_once(memory: Called, reply: str) -> None:
    added = memory.result("add", reply, messages="As always", user_id="u")
    assert [fact["memory"] for fact in added["results"]] == ["Rides a tandem", "Bakes rye bread"]
    assert {fact["event"] for fact in added["results"]} == {"ADD"}


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "   ",
        "I see nothing worth keeping.",
        "null",
        "[]",
        "7",
        '"memory"',
        "{}",
        '{"memory": []}',
        '{"memory": null}',
        '{"memory": {}}',
        '{"memory": ""}',
        '{"memory": false}',
        '{"facts": ["Rides a tandem"]}',
        '{"Memory": [{"text": "Rides a tandem"}]}',
        TWO[:-4],
        TWO.replace('"', "'"),
        TWO[:-1] + ",}",
        TWO + TWO,
        "``````",
        "<think>only thoughts</think>",
        '[{"text": "Rides a tandem"}]',
    ],
)
def test_a_reply_without_readable_facts_adds_nothing_and_fails_nothing(
    memory: Called, reply: str
) -> None:
    trace = memory("add", reply, messages="As always", user_id="u")
    assert trace.error is None
    assert trace.result == {"results": []}
    assert trace.state.memories == {}
    assert len(trace.state.messages) == 1


@pytest.mark.parametrize("character", ["\n", "\t", "\r", "\x00", "\x1f"])
def test_control_characters_may_stand_in_a_fact(memory: Called, character: str) -> None:
    reply = f'{{"memory": [{{"text": "one{character}two"}}]}}'
    added = memory.result("add", reply, messages="As always", user_id="u")
    assert [fact["memory"] for fact in added["results"]] == [f"one{character}two"]


@pytest.mark.parametrize(
    ("items", "kept"),
    [
        ('"Rides a tandem"', []),
        ('"Rides a tandem", {"text": "Bakes"}', ["Bakes"]),
        ('{"text": "Bakes"}, null', ["Bakes"]),
        ('{"text": ["Rides"]}, {"text": "Bakes"}', ["Bakes"]),
        ('["Rides"], {"text": "Bakes"}', ["Bakes"]),
    ],
)
def test_an_item_that_is_no_fact_is_left_out_where_mem0_breaks(
    memory: Called, items: str, kept: list[str]
) -> None:
    """Divergence D-13."""
    trace = memory("add", f'{{"memory": [{items}]}}', messages="As always", user_id="u")
    if memory.is_isomem:
        assert [fact["memory"] for fact in trace.result["results"]] == kept
    else:
        assert trace.error is not None
        assert trace.error["type"] in {"AttributeError", "TypeError"}
        assert trace.state.memories == {}


_fact_texts = st.lists(
    st.text(st.characters(exclude_characters="`<", exclude_categories=["Cs"]), min_size=1),
    max_size=4,
    unique=True,
)
_dressings = st.sampled_from(
    ("{}", "```json\n{}\n```", "```\n{}\n```", "<think>so\nso</think>\n{}", "Here: {} Bye.")
)


@examples(20)
@given(_fact_texts, _dressings, st.booleans())
def test_any_facts_come_through_any_dressing(
    memory: Called, texts: list[str], dressing: str, escaped: bool
) -> None:
    told = json.dumps({"memory": [{"text": text} for text in texts]}, ensure_ascii=escaped)
    user = f"u{memory.steps}"
    reply = dressing.replace("{}", told)
    added = memory.result("add", reply, messages="As always", user_id=user)
    assert [fact["memory"] for fact in added["results"]] == texts
    assert sorted(memory.texts(user)) == sorted(texts)
