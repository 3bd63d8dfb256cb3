"""The user prompt is upstream's, to the byte."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.prompts import build_user_prompt, text

DATES = {"current_date": "2026-02-03", "timestamp": "2026-01-31"}

words = st.text(max_size=20)
nothing = st.none()
# Around the length at which an excerpt is cut, and beyond.
long_words = st.builds(lambda word, times: word * times, words, st.integers(0, 40))
contents = nothing | words | long_words | st.text("aé漢🙂\n", min_size=295, max_size=310)
json_values = st.recursive(
    nothing | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
messages = st.fixed_dictionaries(
    {}, optional={"role": nothing | words, "content": contents, "message": contents, "name": words}
)
arguments = st.fixed_dictionaries(
    {"current_date": words},
    optional={
        "summary": nothing | words | st.dictionaries(st.just("summary") | words, json_values),
        "recently_extracted_memories": nothing | st.lists(json_values, max_size=4),
        "existing_memories": nothing | st.lists(json_values, max_size=4),
        "new_messages": nothing | words | st.lists(messages, max_size=4),
        "last_k_messages": nothing | st.lists(messages, max_size=6),
        "timestamp": nothing | words,
        "custom_instructions": nothing | words,
        "use_input_language": st.booleans(),
    },
)


@pytest.mark.oracle
@given(arguments)
def test_same_arguments_give_upstreams_bytes(given_arguments):
    upstream = pytest.importorskip("mem0.configs.prompts")
    expected = upstream.generate_additive_extraction_prompt(**given_arguments)
    assert build_user_prompt(**given_arguments) == expected


@pytest.mark.oracle
@pytest.mark.parametrize("content", [["part"] * 300, {"type": "image"}, ("a",), ["part"] * 301, 5])
def test_content_that_is_not_text_is_shown_or_refused_as_upstream_does(content):
    upstream = pytest.importorskip("mem0.configs.prompts")
    given_arguments = {"last_k_messages": [{"role": "user", "content": content}], **DATES}
    assert _result(build_user_prompt, given_arguments) == _result(
        upstream.generate_additive_extraction_prompt, given_arguments
    )


@pytest.mark.oracle
def test_signature_is_upstreams():
    from inspect import signature

    upstream = pytest.importorskip("mem0.configs.prompts")
    theirs = signature(upstream.generate_additive_extraction_prompt).parameters.values()
    ours = signature(build_user_prompt).parameters.values()
    assert [(p.name, p.kind, p.default) for p in ours] == [
        (p.name, p.kind, p.default) for p in theirs
    ]


def test_sections_come_in_a_fixed_order():
    prompt = build_user_prompt(
        "so far",
        [{"id": "1", "text": "naïve"}],
        [{"id": "0", "text": "漢字"}],
        [{"role": "user", "content": "hi"}],
        last_k_messages=[{"role": "user", "content": "before"}],
        custom_instructions="be brief",
        **DATES,
    )
    assert prompt == (
        "## Summary\nso far\n\n"
        "## Last k Messages\nuser: before\n\n\n"
        '## Recently Extracted Memories\n[{"id": "1", "text": "naïve"}]\n\n'
        '## Existing Memories\n[{"id": "0", "text": "漢字"}]\n\n'
        '## New Messages\n[{"role": "user", "content": "hi"}]\n\n'
        "## Observation Date\n2026-01-31\n\n"
        "## Current Date\n2026-02-03\n\n"
        "## Custom Instructions\nbe brief\n\n"
        "# Output:"
    )


def test_nothing_given_still_shows_every_section():
    headings = re.findall(r"^##? .*$", build_user_prompt(), re.MULTILINE)
    assert headings == [
        "## Summary",
        "## Last k Messages",
        "## Recently Extracted Memories",
        "## Existing Memories",
        "## New Messages",
        "## Observation Date",
        "## Current Date",
        "# Output:",
    ]


@pytest.mark.parametrize(("length", "shown"), [(299, 299), (300, 300), (301, 303), (5000, 303)])
def test_earlier_messages_are_cut_at_300_characters(length, shown):
    history = [{"role": "user", "content": "é" * length}]
    prompt = build_user_prompt(last_k_messages=history, **DATES)
    excerpt = prompt.split("user: ")[1].split("\n")[0]
    assert len(excerpt) == shown
    assert excerpt.endswith("...") == (length > 300)


def test_new_messages_are_never_cut():
    assert "x" * 5000 in build_user_prompt(new_messages=[{"role": "user", "content": "x" * 5000}])


def test_date_defaults_to_today_in_utc_for_both_dates():
    before = datetime.now(timezone.utc).date().isoformat()
    dates = re.findall(r"Date\n(\S+)", build_user_prompt())
    after = datetime.now(timezone.utc).date().isoformat()
    assert len(dates) == 2
    assert set(dates) <= {before, after}


def test_conversation_date_defaults_to_the_current_date():
    assert build_user_prompt(current_date="2020-02-29").count("2020-02-29") == 2


def test_language_demand_is_the_pinned_text_and_stands_before_the_end():
    plain = build_user_prompt(**DATES)
    demanding = build_user_prompt(use_input_language=True, **DATES)
    assert demanding == plain.replace("# Output:", text("LANGUAGE_REQUIREMENT") + "\n\n# Output:")


def test_memory_that_is_not_json_is_refused():
    with pytest.raises(TypeError):
        build_user_prompt(existing_memories=[object()])


def _result(build, given_arguments):
    try:
        return build(**given_arguments)
    except Exception as error:
        return type(error)
