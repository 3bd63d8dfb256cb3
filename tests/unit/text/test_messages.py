"""Messages are taken as they are or refused whole, and never half understood."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.errors import ValidationError
from isomem.text.messages import as_messages, text_of, transcript, with_content

GOOD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
BAD = st.tuples(GOOD, st.characters(categories=["Cs"]), GOOD).map("".join)
ROLES = st.sampled_from(("user", "assistant", "system", "tool", "größe"))


def message(text: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"role": ROLES}, optional={"content": text, "name": GOOD})


@given(st.lists(message(GOOD | st.none() | st.lists(GOOD)), max_size=5))
def test_what_has_content_is_kept_as_it_is_and_in_order(messages: list[dict[str, Any]]) -> None:
    kept = with_content(messages)
    assert kept == [each for each in messages if "content" in each]
    assert all(any(one is each for each in messages) for one in kept)


@given(st.lists(message(GOOD), max_size=3), st.integers(0, 3), BAD)
@pytest.mark.parametrize("key", ["role", "name", "content"])
def test_text_that_is_not_unicode_is_refused_wherever_it_stands(
    key: str, messages: list[dict[str, Any]], at: int, bad: str
) -> None:
    """And the error says in which message."""
    at = min(at, len(messages))
    messages.insert(at, {"role": "user", "content": "x", key: bad})
    with pytest.raises(ValidationError, match=f"message {at} is not valid Unicode") as caught:
        with_content(messages)
    assert caught.value.error_code == "VALIDATION_004"


@given(st.lists(message(GOOD), max_size=3), st.sampled_from((None, "", 0, [], {})))
def test_a_message_needs_a_role(messages: list[dict[str, Any]], role: Any) -> None:
    lacking = {"content": "x"} if role is None else {"content": "x", "role": role}
    with pytest.raises(ValidationError, match=f"message {len(messages)} has no role"):
        with_content([*messages, lacking])


@given(st.lists(message(GOOD), max_size=3), GOOD)
def test_a_text_and_a_message_are_a_list_of_one(messages: list[dict[str, Any]], text: str) -> None:
    assert as_messages(text) == [{"role": "user", "content": text}]
    assert as_messages(messages) is messages
    assert [as_messages(each) for each in messages] == [[each] for each in messages]


@pytest.mark.parametrize("wrong", [None, 5, ("x",), ["x"], [{"role": "user"}, None]], ids=repr)
def test_another_type_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        as_messages(wrong)
    assert caught.value.error_code == "VALIDATION_003"
    assert caught.value.details["provided_type"] == type(wrong).__name__


PART = st.one_of(
    GOOD,
    st.builds(lambda text: {"type": "text", "text": text}, GOOD),
    st.sampled_from(({"type": "image_url"}, {"text": 5}, {}, "", None)),
)


def said(part: Any) -> list[str]:
    """The text that a part says, if any."""
    text = part.get("text") if isinstance(part, dict) else part
    return [text] if isinstance(text, str) and part else []


@given(PART | st.lists(PART, max_size=4))
def test_of_parts_the_text_remains(content: Any) -> None:
    given_ = {"role": "user", "name": "ann", "content": content}
    if not isinstance(content, (list, dict)):
        assert text_of(given_) is given_
        return
    texts = [text for part in (content if isinstance(content, list) else [content])
             for text in said(part)]  # fmt: skip
    expected = {**given_, "content": "\n".join(texts)} if texts else None
    assert text_of(given_) == expected
    assert given_["content"] is content


@given(BAD)
def test_a_part_that_is_not_unicode_is_refused(bad: str) -> None:
    with pytest.raises(ValidationError, match="message content is not valid Unicode"):
        text_of({"role": "user", "content": ["good", {"text": bad}]})


@given(st.lists(st.tuples(ROLES, GOOD), max_size=5))
def test_a_transcript_has_a_line_for_each_message_of_the_three_roles(
    said_: list[tuple[str, str]],
) -> None:
    lines = [f"{role}: {text}\n" for role, text in said_ if role in {"user", "assistant", "system"}]
    messages = [{"role": role, "content": text} for role, text in said_]
    assert transcript(messages) == "".join(lines)
