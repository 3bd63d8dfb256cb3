"""Messages as text, hashes, session keys and times: the small functions that all calls share."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from hashlib import md5
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.claims.conftest import Called, Make
from tests.claims.sides import both, examples


class Ours:
    """isomem's functions, under the names that the claims use."""

    def __init__(self) -> None:
        from isomem.contract.payload import in_utc
        from isomem.contract.scope import session_key
        from isomem.text.messages import transcript

        self.transcript, self.session, self.in_utc = transcript, session_key, in_utc


class Theirs:
    """mem0's functions, under the same names."""

    def __init__(self) -> None:
        from mem0.memory import main, utils

        self.transcript, self.session = utils.parse_messages, main._build_session_scope
        self.in_utc = main._normalize_iso_timestamp_to_utc


side = both(Ours, Theirs)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


# --- A conversation as text ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([], ""),
        ([("user", "Ahoj")], "user: Ahoj\n"),
        ([("system", "Be brief"), ("user", "Ahoj"), ("assistant", "Dobrý den")],
         "system: Be brief\nuser: Ahoj\nassistant: Dobrý den\n"),
        ([("tool", "42"), ("user", "Ahoj"), ("function", "x"), ("User", "y"), ("", "z")],
         "user: Ahoj\n"),
        ([("user", "one\ntwo"), ("user", "")], "user: one\ntwo\nuser: \n"),
        ([("user", None), ("assistant", 7)], "user: None\nassistant: 7\n"),
    ],
)  # fmt: skip
def test_a_conversation_is_a_line_for_each_of_three_roles(
    side: Any, messages: list[Any], text: str
) -> None:
    assert side.transcript([{"role": role, "content": said} for role, said in messages]) == text


_spoken = st.tuples(st.sampled_from(("system", "user", "assistant")), TEXTS)


@examples(100)
@given(st.lists(_spoken, max_size=5), st.lists(_spoken, max_size=5))
def test_two_conversations_in_a_row_are_their_texts_in_a_row(
    side: Any, one: list[Any], other: list[Any]
) -> None:
    first, second = ([{"role": r, "content": t, "name": "x"} for r, t in m] for m in (one, other))
    assert side.transcript(first + second) == side.transcript(first) + side.transcript(second)
    assert side.transcript(first) == "".join(f"{role}: {text}\n" for role, text in one)


# --- Sessions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "key"),
    [
        ({"user_id": "ines"}, "user_id=ines"),
        ({"user_id": "ines", "run_id": "7", "agent_id": "bot"},
         "agent_id=bot&run_id=7&user_id=ines"),
        ({"run_id": "7", "user_id": None, "agent_id": ""}, "run_id=7"),
        ({"agent_id": "ünïcode/1:2@x", "mood": "fine"}, "agent_id=ünïcode/1:2@x"),
        ({}, ""),
    ],
)  # fmt: skip
def test_a_session_is_named_by_its_ids_in_the_order_of_the_alphabet(
    side: Any, ids: Any, key: str
) -> None:
    assert side.session(ids) == key


def test_ids_with_separators_collide_in_mem0_alone(side: Any) -> None:
    """Divergence D-06."""
    one = side.session({"run_id": "7&user_id=ines"})
    other = side.session({"run_id": "7", "user_id": "ines"})
    assert (one == other) == isinstance(side, Theirs)


# --- Times -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ("2025-05-06T12:30:00+02:00", "2025-05-06T10:30:00+00:00"),
        ("2025-05-06T12:30:00.250000-11:30", "2025-05-07T00:00:00.250000+00:00"),
        ("2025-05-06T12:30:00+00:00", "2025-05-06T12:30:00+00:00"),
        ("2025-05-06T12:30:00", "2025-05-06T12:30:00"),
        ("2025-05-06", "2025-05-06"),
        ("last week", "last week"),
        ("", ""),
        (None, None),
    ],
)
def test_a_time_with_a_zone_is_moved_to_utc_and_others_stay(
    side: Any, given_: Any, shown: Any
) -> None:
    assert side.in_utc(given_) == shown


@examples(150)
@given(
    st.datetimes(datetime(1900, 1, 2), datetime(2900, 1, 1)),
    st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
def test_the_moment_is_the_same_in_utc(side: Any, local: datetime, zone: timezone) -> None:
    moment = local.replace(tzinfo=zone)
    moved = datetime.fromisoformat(side.in_utc(moment.isoformat()))
    assert moved == moment
    assert moved.utcoffset() == timedelta(0)


# --- Messages that are stored as they are -----------------------------------------------------


@examples(15)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_a_hash_is_the_md5_of_the_text(memory: Called, text: str) -> None:
    user = f"u{memory.steps}"
    memory.result("add", messages=text, user_id=user, infer=False)
    [stored] = memory.result("get_all", filters={"user_id": user})["results"]
    assert stored["memory"] == text
    assert stored["hash"] == md5(text.encode(), usedforsecurity=False).hexdigest()


def test_raw_messages_are_memories_with_their_role_and_speaker(memory: Called) -> None:
    messages = [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "I row", "name": "ines"},
        {"role": "assistant", "content": "Where?", "name": ""},
        {"role": "tool", "content": "42"},
        {"role": "user", "content": None},
    ]
    added = memory.result("add", messages=messages, user_id="u", infer=False)["results"]
    told = [(m["memory"], m["role"], m["actor_id"], m["event"]) for m in added]
    assert told == [
        ("I row", "user", "ines", "ADD"),
        ("Where?", "assistant", None, "ADD"),
        ("42", "tool", None, "ADD"),
    ]
    shown = {m["memory"]: m for m in memory.result("get_all", filters={"user_id": "u"})["results"]}
    assert shown["I row"]["actor_id"] == "ines"
    assert shown["I row"]["role"] == "user"
    assert "actor_id" not in shown["Where?"]
    assert memory("peek").state.messages == ()


@pytest.mark.parametrize(
    "messages",
    ["I row", {"role": "user", "content": "I row"}, [{"role": "user", "content": "I row"}]],
)
def test_a_text_a_message_and_a_list_are_one_conversation(memory: Called, messages: Any) -> None:
    [prompt] = memory("add", messages=messages, user_id="u").prompts
    assert "user: I row\n" in prompt["messages"][-1]["content"]


# --- Images ----------------------------------------------------------------------------------

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/boat.png"}}
SEEING = {"llm": {"enable_vision": True, "vision_details": "low"}}


def test_an_image_is_stored_as_what_the_model_sees_in_it(make_memory: Make) -> None:
    memory = make_memory(**SEEING)
    messages = [{"role": "user", "content": IMAGE}, {"role": "user", "content": "My boat"}]
    trace = memory("add", "A red boat", messages=messages, user_id="u", infer=False)
    assert [m["memory"] for m in trace.result["results"]] == ["A red boat", "My boat"]
    [asked] = trace.prompts[0]["messages"]
    assert asked["role"] == "user"
    assert asked["content"][1]["image_url"] == {**IMAGE["image_url"], "detail": "low"}


def test_parts_with_an_image_go_to_the_model_as_they_are(make_memory: Make) -> None:
    memory = make_memory(**SEEING)
    parts = {"role": "user", "content": [{"type": "text", "text": "My boat"}, IMAGE]}
    trace = memory("add", "A red boat", messages=[parts], user_id="u", infer=False)
    assert trace.prompts[0]["messages"] == [parts]
    assert [m["memory"] for m in trace.result["results"]] == ["A red boat"]


def test_what_the_system_says_is_never_described(make_memory: Make) -> None:
    memory = make_memory(**SEEING)
    trace = memory(
        "add", messages=[{"role": "system", "content": "Look"}], user_id="u", infer=False
    )
    assert trace.error is None
    assert trace.prompts == []


def test_the_texts_of_parts_are_kept_without_vision_where_mem0_breaks(memory: Called) -> None:
    """Divergence D-10."""
    parts = [{"type": "text", "text": "I row"}, IMAGE]
    trace = memory("add", messages=[{"role": "user", "content": parts}], user_id="u", infer=False)
    if memory.is_isomem:
        assert [m["memory"] for m in trace.result["results"]] == ["I row"]
    else:
        assert (trace.error or {})["type"] == "AttributeError"


def test_a_message_without_content_is_left_out_where_mem0_breaks(memory: Called) -> None:
    """Divergence D-10."""
    messages = [{"role": "assistant", "tool_calls": []}, {"role": "user", "content": "I row"}]
    trace = memory("add", messages=messages, user_id="u", infer=False)
    if memory.is_isomem:
        assert [m["memory"] for m in trace.result["results"]] == ["I row"]
    else:
        assert (trace.error or {})["type"] == "KeyError"
