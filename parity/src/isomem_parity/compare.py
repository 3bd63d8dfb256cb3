"""Where two traces of one step differ. Everything counts, with two exceptions:

- scores, and components of vectors, are equal if they are within 1e-6;
- items with equal scores may be in any order among themselves, in results and in the list of
  existing memories in a prompt. At the cut of a top-k, the tied items may also be others of the
  same tie: they are `unproven` until the caller has found them by searching without the cut.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from isomem_parity.trace import Names, Point, State, Trace, readable

TOLERANCE = 1e-6
SCORES = ("score", "rerank_score")

_EXISTING = re.compile(r"## Existing Memories\n(.*)\n\n## New Messages\n(.*?)\n\n## Obs", re.DOTALL)

Similarity = Callable[[str, str], float]


@dataclass(frozen=True)
class Gap:
    """One place where the two sides differ."""

    path: str
    upstream: Any
    ours: Any


@dataclass
class Gaps:
    """The differences found so far.

    `unproven` are our results at the cut where upstream has others of equal score.
    """

    found: list[Gap] = field(default_factory=list)
    unproven: list[Any] = field(default_factory=list)

    def add(self, path: str, upstream: Any, ours: Any) -> None:
        self.found.append(Gap(path, upstream, ours))


def same(upstream: Trace, ours: Trace) -> bool:
    """Whether two traces are equal by their raw ids. This is the usual case, and fast."""
    return (
        upstream.error == ours.error
        and upstream.prompts == ours.prompts
        and same_state(upstream.state, ours.state)
        and _same_results(upstream.result, ours.result)
    )


def _same_results(one: Any, other: Any) -> bool:
    gaps = Gaps()
    _walk(one, other, "result", gaps)
    return not gaps.found and not gaps.unproven


def same_state(one: State, other: State) -> bool:
    """Whether the same is stored on both sides."""
    return (
        one.history == other.history
        and one.messages == other.messages
        and _same_points(one.memories, other.memories)
        and _same_points(one.entities, other.entities)
    )


def _same_points(one: dict[str, Point], other: dict[str, Point]) -> bool:
    return one.keys() == other.keys() and all(
        point.payload == other[given].payload and _close(point.vector, other[given].vector)
        for given, point in one.items()
    )


def _close(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one == other or (len(one) == len(other) and all(map(_near, one, other)))


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= TOLERANCE or one == other or (math.isnan(one) and math.isnan(other))


def differences(
    upstream: Trace, ours: Trace, names: tuple[Names, Names], similarity: Similarity
) -> Gaps:
    """Every place where two traces differ, ids by their names."""
    one, other = readable(upstream, names[0]), readable(ours, names[1])
    gaps = Gaps()
    if len(one["prompts"]) == len(other["prompts"]):
        for mine, theirs in zip(one["prompts"], other["prompts"], strict=True):
            _untie_prompt(mine, theirs, similarity)
    _walk(one, other, "", gaps)
    return gaps


def _walk(one: Any, other: Any, path: str, gaps: Gaps) -> None:
    if type(one) is not type(other):
        gaps.add(path, one, other)
    elif isinstance(one, tuple):  # a vector
        if not _close(one, other):
            gaps.add(path, list(one), list(other))
    elif isinstance(one, dict):
        _walk_dict(one, other, path, gaps)
    elif isinstance(one, list):
        _walk_list(one, other, path, gaps)
    elif isinstance(one, float):
        if not (_near(one, other) if _is_measured(path) else _equal_floats(one, other)):
            gaps.add(path, one, other)
    elif one != other:
        gaps.add(path, one, other)


def _is_measured(path: str) -> bool:
    return path.endswith(SCORES) or ".score_details." in path


def _equal_floats(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _walk_dict(one: dict[str, Any], other: dict[str, Any], path: str, gaps: Gaps) -> None:
    prefix = f"{path}." if path else ""
    for key in one.keys() - other.keys():
        gaps.add(prefix + key, one[key], "(absent)")
    for key in other.keys() - one.keys():
        gaps.add(prefix + key, "(absent)", other[key])
    if one.keys() == other.keys() and list(one) != list(other):
        gaps.add(prefix + "(key order)", list(one), list(other))
    for key in one.keys() & other.keys():
        _walk(one[key], other[key], prefix + key, gaps)


def _walk_list(one: list[Any], other: list[Any], path: str, gaps: Gaps) -> None:
    if _is_ranked(one) and _is_ranked(other) and len(one) == len(other):
        other = _untied(one, other, gaps)
    for i, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        _walk(mine, theirs, f"{path}.{i}", gaps)
    for i in range(len(other), len(one)):
        gaps.add(f"{path}.{i}", one[i], "(absent)")
    for i in range(len(one), len(other)):
        gaps.add(f"{path}.{i}", "(absent)", other[i])


def _is_ranked(items: list[Any]) -> bool:
    return bool(items) and all(
        isinstance(item, dict) and isinstance(item.get("score"), float) for item in items
    )


def _untied(one: list[Any], other: list[Any], gaps: Gaps) -> list[Any]:
    """`other` with the items of each tie in the order that `one` has them."""
    ordered: list[Any] = []
    start = 0
    while start < len(one):
        end = start + 1
        while end < len(one) and _near(one[end]["score"], one[end - 1]["score"]):
            end += 1
        ordered += _ordered_like(one[start:end], other[start:end], end == len(one), gaps)
        start = end
    return ordered


def _ordered_like(mine: list[Any], theirs: list[Any], last: bool, gaps: Gaps) -> list[Any]:
    if not all(_near(a["score"], b["score"]) for a, b in zip(mine, theirs, strict=False)):
        return theirs
    by_id = {item.get("id"): item for item in theirs}
    if last and by_id.keys() != {item.get("id") for item in mine}:
        gaps.unproven += theirs
        return mine
    if len(by_id) != len(theirs):
        return theirs
    rest = [item for item in theirs if item.get("id") not in {one.get("id") for one in mine}]
    return [by_id.pop(item.get("id"), None) or rest.pop(0) for item in mine]


def _untie_prompt(one: dict[str, Any], other: dict[str, Any], similarity: Similarity) -> None:
    """Give two prompts the same text if only tied existing memories are in another order.

    The similarity of each memory to the new messages is computed here, from the embedder: that
    two are tied is not taken from either side.
    """
    for mine, theirs in zip(one["messages"], other["messages"], strict=False):
        left, right = mine.get("content"), theirs.get("content")
        if isinstance(left, str) and isinstance(right, str) and left != right:
            found = _EXISTING.search(left), _EXISTING.search(right)
            if found[0] and found[1] and _tied_lists(found[0], found[1], similarity):
                theirs["content"] = left if _frame(left) == _frame(right) else right


def _frame(prompt: str) -> str:
    return _EXISTING.sub(lambda found: f"[…]{found.group(2)}", prompt)


def _tied_lists(one: re.Match[str], other: re.Match[str], similarity: Similarity) -> bool:
    lists = [_texts_in(found.group(1)) for found in (one, other)]
    if lists[0] is None or lists[1] is None or len(lists[0]) != len(lists[1]):
        return False
    query = one.group(2)
    scores = [[similarity(query, text) for text in texts or ()] for texts in lists]
    cut = len(lists[0]) == 10
    return (cut or sorted(lists[0]) == sorted(lists[1])) and all(map(_near, *scores))


def _texts_in(listed: str) -> list[str] | None:
    """The texts of a list of existing memories; None unless it is written to the byte as such."""
    try:
        texts = [item["text"] for item in json.loads(listed)]
    except (ValueError, KeyError, TypeError):
        return None
    written = [{"id": str(number), "text": text} for number, text in enumerate(texts)]
    return texts if json.dumps(written, ensure_ascii=False) == listed else None
