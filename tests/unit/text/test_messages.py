"""What a caller hands to `add` is read once: who said what, and what has to be described."""

from __future__ import annotations

import logging
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.errors import ValidationError
from isomem.text.messages import Conversation
from tests.unit.store.fuzz import examples

LONE = "half a pair: \ud83d"
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/tea.png"}}


def read(messages: Any, *, sees_images: bool = False) -> Conversation:
    conversation = Conversation(messages)
    conversation.read(sees_images=sees_images)
    return conversation


def said(messages: Any) -> list[tuple[Any, Any, Any]]:
    return [(each.role, each.name, each.content) for each in read(messages).utterances]


# --- What is taken ---------------------------------------------------------------------------


def test_a_text_is_what_the_user_says() -> None:
    conversation = read("I like tea")
    assert conversation.messages == [{"role": "user", "content": "I like tea"}]
    assert said("I like tea") == [("user", None, "I like tea")]


def test_one_message_is_a_conversation() -> None:
    message = {"role": "assistant", "content": "Tea it is", "name": "ada"}
    assert said(message) == [("assistant", "ada", "Tea it is")]
    assert read(message).texts()[0] is message


@pytest.mark.parametrize(
    ("given", "kind"), [(None, "NoneType"), (5, "int"), (b"x", "bytes"), (["x"], "list"),
                        (({"role": "user", "content": "x"},), "tuple")],
)  # fmt: skip
def test_another_type_is_refused(given: Any, kind: str) -> None:
    with pytest.raises(ValidationError, match="messages must be str, dict, or list") as caught:
        Conversation(given)
    assert caught.value.error_code == "VALIDATION_003"
    assert caught.value.details["provided_type"] == kind


def test_an_empty_conversation_says_nothing() -> None:
    conversation = read([])
    assert (conversation.texts(), conversation.remembered(), conversation.transcript()) == (
        [], [], "",
    )  # fmt: skip


def test_a_procedure_is_made_of_what_came_whatever_it_is() -> None:
    messages = [{"content": "no role"}, {"role": "tool"}]
    assert Conversation(messages).messages is messages


# --- What is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ({"content": "x"}, "message 1 has no role"),
        ({"role": "", "content": "x"}, "message 1 has no role"),
        ({"role": None, "content": "x", "name": LONE}, "message 1 has no role"),
        ({"role": LONE, "content": "x"}, "the role of message 1 is not valid Unicode"),
        ({"role": ["user"], "content": "x"}, "the role of message 1 must be a string, got list"),
        ({"role": "user", "content": "x", "name": LONE}, "the name of message 1 is not valid"),
        ({"role": "user", "content": "x", "name": {}}, "the name of message 1 must be a string"),
        ({"role": "tool", "name": []}, "the name of message 1 must be a string, got list"),
        ({"role": "user", "content": LONE}, "message 1 is not valid Unicode"),
        ({"role": "user", "content": [LONE]}, "message content is not valid Unicode"),
    ],
)
@pytest.mark.parametrize("sees_images", [False, True])
def test_a_message_that_no_row_could_hold_is_refused(
    message: dict[str, Any], fault: str, sees_images: bool
) -> None:
    if sees_images and isinstance(message.get("content"), list):
        message = {**message, "role": "system"}  # What the model describes is for the model.
    first = {"role": "user", "content": "fine"}
    with pytest.raises(ValidationError, match=fault) as caught:
        read([first, message], sees_images=sees_images)
    assert caught.value.error_code == "VALIDATION_004"


def test_labels_that_a_row_can_hold_pass() -> None:
    for role in (1, 2.5, True, b"user", "Benutzer", "użytkownik"):
        assert said({"role": role, "content": "x", "name": role}) == [(role, role, "x")]
    assert said({"role": "user", "content": "x", "name": None}) == [("user", None, "x")]
    assert said({"role": "user", "content": "x", "name": ""}) == [("user", None, "x")]


# --- What is left out ------------------------------------------------------------------------


def test_a_message_without_content_is_left_out_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "isomem"):
        assert said([{"role": "tool"}, {"role": "user", "content": "x"}]) == [("user", None, "x")]
    assert caplog.messages == ["Skipping a message of role 'tool' without content"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (["a", {"type": "text", "text": "b"}], "a\nb"),
        ([IMAGE, {"type": "text", "text": "seen"}], "seen"),
        ({"type": "text", "text": "alone"}, "alone"),
        ([{"text": 5}, {"text": "five"}, "", None], "five"),
    ],
)
def test_of_parts_the_text_remains(content: Any, text: str) -> None:
    message = {"role": "user", "content": content, "name": "ada", "id": 7}
    before = deepcopy(message)
    conversation = read(message)
    assert conversation.texts() == [{**message, "content": text}]
    assert [each.content for each in conversation.utterances] == [text]
    assert message == before


@pytest.mark.parametrize("content", [[], {}, [IMAGE], IMAGE, [{"text": None}]])
def test_parts_without_text_are_left_out_and_logged(
    content: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "isomem"):
        assert said({"role": "user", "content": content}) == []
    assert caplog.messages == ["Skipping a message of role 'user' without text"]


# --- Images ----------------------------------------------------------------------------------


def test_a_model_is_to_describe_images_and_lists_of_parts() -> None:
    messages = [
        {"role": "user", "content": "first"},
        {"role": "user", "content": IMAGE, "name": "ada"},
        {"role": "user", "content": ["any", "parts"]},
        {"role": "system", "content": ["rules", IMAGE]},
        {"role": "user", "content": {"text": "no image"}},
    ]
    conversation = read(messages, sees_images=True)
    assert [each.content for each in conversation.images] == [IMAGE, ["any", "parts"]]
    for number, each in enumerate(conversation.images):
        each.describe(f"described {number}")
    assert conversation.texts() == [
        {"role": "user", "content": "first"},
        {"role": "user", "content": "described 0"},
        {"role": "user", "content": "described 1"},
        {"role": "system", "content": "rules"},
        {"role": "user", "content": "no image"},
    ]
    remembered = [(each.name, each.content) for each in conversation.remembered()]
    contents = ["first", "described 0", "described 1", "no image"]
    assert remembered == [(None, content) for content in contents]


def test_where_no_model_looks_nothing_is_to_be_described() -> None:
    assert read([{"role": "user", "content": [IMAGE, "x"]}]).images == []
    assert read("text alone", sees_images=True).images == []


# --- What it becomes -------------------------------------------------------------------------


def test_the_system_says_nothing_to_remember_and_none_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    messages = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": None},
        {"role": "tool", "content": "22 degrees"},
    ]
    conversation = read(messages)
    with caplog.at_level(logging.WARNING, "isomem"):
        assert [each.content for each in conversation.remembered()] == ["22 degrees"]
    assert caplog.messages == ["Skipping a message of role 'user' without content"]
    assert conversation.transcript() == "system: be kind\nuser: None\n"


@pytest.mark.parametrize("content", [5, ("a",), b"x", True])
def test_what_is_not_text_is_not_remembered(content: Any) -> None:
    conversation = read([{"role": "user", "content": "x"}, {"role": "user", "content": content}])
    kind = type(content).__name__
    with pytest.raises(ValidationError, match=f"message content must be a string, got {kind}"):
        conversation.remembered()


def test_a_description_that_is_not_valid_unicode_is_not_remembered() -> None:
    conversation = read({"role": "user", "content": IMAGE}, sees_images=True)
    conversation.images[0].describe(LONE)
    with pytest.raises(ValidationError, match="message content is not valid Unicode"):
        conversation.remembered()


_messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "tool"])},
        optional={
            "content": st.one_of(st.text("aé ", max_size=4), st.none()),
            "name": st.one_of(st.sampled_from(["ada", "", "Zoë"]), st.none()),
        },
    ),
    max_size=6,
)


@examples(200)
@given(_messages, st.booleans())
def test_of_text_everything_is_kept_as_it_came(messages: Any, sees_images: bool) -> None:
    conversation = read(messages, sees_images=sees_images)
    kept = [message for message in messages if "content" in message]
    assert all(map(lambda one, other: one is other, conversation.texts(), kept))
    assert len(conversation.texts()) == len(kept)
    assert not conversation.images
    remembered = [(each.role, each.content) for each in conversation.remembered()]
    assert remembered == [
        (message["role"], message["content"])
        for message in kept
        if message["role"] != "system" and message["content"] is not None
    ]


# --- What is refused, wherever it stands -----------------------------------------------------

GOOD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
BAD = st.tuples(GOOD, st.characters(categories=["Cs"]), GOOD).map("".join)
GOOD_MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(("user", "assistant", "system", "tool", "größe"))},
        optional={"content": GOOD, "name": GOOD},
    ),
    max_size=3,
)


@given(GOOD_MESSAGES, st.integers(0, 3), BAD)
@pytest.mark.parametrize("key", ["role", "name", "content"])
def test_text_that_is_not_unicode_is_refused_and_the_error_says_where(
    key: str, messages: list[dict[str, Any]], at: int, bad: str
) -> None:
    at = min(at, len(messages))
    messages.insert(at, {"role": "user", "content": "x", key: bad})
    with pytest.raises(ValidationError, match=f"message {at} is not valid Unicode") as caught:
        read(messages)
    assert caught.value.error_code == "VALIDATION_004"


@given(GOOD_MESSAGES, st.sampled_from((None, "", 0, [], {})))
def test_a_message_needs_a_role(messages: list[dict[str, Any]], role: Any) -> None:
    lacking = {"content": "x"} if role is None else {"content": "x", "role": role}
    with pytest.raises(ValidationError, match=f"message {len(messages)} has no role"):
        read([*messages, lacking])


@given(BAD)
def test_a_part_that_is_not_unicode_is_refused(bad: str) -> None:
    with pytest.raises(ValidationError, match="message content is not valid Unicode"):
        read({"role": "user", "content": ["good", {"text": bad}]})


# --- What a model is not shown ---------------------------------------------------------------


def test_the_log_names_roles_that_a_model_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    messages = [{"role": role, "content": "tea"} for role in ("user", "tool", "tool", "narrator")]
    with caplog.at_level(logging.WARNING):
        assert read(messages).transcript() == "user: tea\n"
    assert sorted(record.getMessage() for record in caplog.records) == [
        "The model is not shown messages of role 'narrator', as in mem0",
        "The model is not shown messages of role 'tool', as in mem0",
    ]


@pytest.mark.parametrize("messages", [[], "", [{"role": "user", "content": ""}]])
def test_the_log_says_when_nothing_was_said(
    messages: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        read(messages).transcript()
    assert [record.getMessage() for record in caplog.records] == [
        "The messages have no text, so there is nothing to remember"
    ]


def test_the_log_is_silent_about_an_ordinary_conversation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        read([{"role": "system", "content": ""}, {"role": "user", "content": "tea"}]).transcript()
    assert not caplog.records
