"""What counts as equal, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from isomem_parity.compare import Gaps, differences, same
from isomem_parity.trace import Names, Point, State, Trace, error_of


def trace(result: Any = None, **fields: Any) -> Trace:
    return Trace(result=result, **fields)


def gaps(one: Trace, other: Trace) -> Gaps:
    names = Names(), Names()
    for known, each in zip(names, (one, other), strict=True):
        known.learn(each)
    return differences(one, other, names, lambda query, text: float(len(text)))


def paths(one: Trace, other: Trace) -> list[str]:
    assert not same(one, other) or not gaps(one, other).found
    return sorted(gap.path for gap in gaps(one, other).found)


def hits(*pairs: tuple[str, float]) -> dict[str, Any]:
    return {"results": [{"id": name, "score": score} for name, score in pairs]}


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (1, True), (0, False), (None, ""), ("a", "A"), (1.0, 1.0 + 1e-9), ([], {})],
)
def test_values_of_another_type_or_spelling_differ(one: Any, other: Any) -> None:
    assert paths(trace({"x": one}), trace({"x": other})) == ["result.x"]


def test_the_order_of_keys_counts() -> None:
    assert paths(trace({"a": 1, "b": 2}), trace({"b": 2, "a": 1})) == ["result.(key order)"]


def test_a_missing_key_is_not_a_null() -> None:
    assert paths(trace({"a": None}), trace({})) == ["result.a"]


def test_scores_are_equal_to_a_millionth() -> None:
    assert same(trace(hits(("a", 0.5))), trace(hits(("a", 0.5000004))))
    assert paths(trace(hits(("a", 0.5))), trace(hits(("a", 0.500002)))) == [
        "result.results.0.score"
    ]


def test_ties_may_stand_in_any_order() -> None:
    one, other = hits(("a", 0.9), ("b", 0.5), ("c", 0.5)), hits(("a", 0.9), ("c", 0.5), ("b", 0.5))
    assert same(trace(one), trace(other))


def test_order_counts_without_a_tie() -> None:
    one, other = hits(("a", 0.6), ("b", 0.5)), hits(("b", 0.6), ("a", 0.5))
    assert paths(trace(one), trace(other))


def test_other_items_at_the_cut_of_a_tie_are_unproven() -> None:
    one, other = trace(hits(("a", 0.9), ("b", 0.5))), trace(hits(("a", 0.9), ("c", 0.5)))
    assert not same(one, other)
    assert [item["id"] for item in gaps(one, other).unproven] == ["c"]


def test_other_items_before_the_cut_differ() -> None:
    one = trace(hits(("a", 0.9), ("b", 0.5), ("z", 0.1)))
    other = trace(hits(("a", 0.9), ("c", 0.5), ("z", 0.1)))
    assert paths(one, other) == ["result.results.1.id"]


def test_payloads_differ_by_type_and_key_order() -> None:
    def stored(payload: str) -> Trace:
        return trace(state=State(memories={"m": Point(payload, (1.0,))}))

    assert not same(stored('{"n": 1}'), stored('{"n": 1.0}'))
    assert not same(stored('{"a": 1, "b": 2}'), stored('{"b": 2, "a": 1}'))
    assert same(stored('{"a": 1}'), stored('{"a": 1}'))


def test_prompts_are_compared_byte_for_byte() -> None:
    def asked(text: str) -> Trace:
        return trace(prompts=[{"messages": [{"role": "user", "content": text}]}])

    assert paths(asked("hello"), asked("hello ")) == ["prompts.0.messages.0.content"]


def prompt(*texts: str) -> Trace:
    import json

    memories = [{"id": str(i), "text": text} for i, text in enumerate(texts)]
    content = f"## Existing Memories\n{json.dumps(memories)}\n\n## New Messages\nx\n\n## Obs"
    return trace(prompts=[{"messages": [{"role": "user", "content": content}]}])


def test_tied_memories_in_a_prompt_may_stand_in_any_order() -> None:
    assert not gaps(prompt("ab", "cd", "e"), prompt("cd", "ab", "e")).found
    assert gaps(prompt("abc", "cd"), prompt("cd", "abc")).found


def test_a_list_that_is_written_otherwise_is_not_a_tie() -> None:
    spaced = prompt("ab", "cd")
    content = spaced.prompts[0]["messages"][0]["content"]
    dense = [{"messages": [{"role": "user", "content": content.replace(": ", ":")}]}]
    assert gaps(spaced, trace(prompts=dense)).found


def test_an_error_is_its_type_message_and_code() -> None:
    one, other = error_of(ValueError("x")), error_of(TypeError("x"))
    assert paths(trace(error=one), trace(error=other)) == ["error.type"]
    assert error_of(ValueError("{'b', 'a'} at 0x7f00")) == error_of(
        ValueError("{'a', 'b'} at 0x7f99")
    )


def test_ids_go_by_their_appearance() -> None:
    first, second = (f"{n:08x}-0000-4000-8000-000000000000" for n in (1, 2))
    assert not gaps(trace(hits((first, 1.0))), trace(hits((second, 1.0)))).found
