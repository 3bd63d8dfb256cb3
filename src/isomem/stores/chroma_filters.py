"""Filters as Chroma's: what a collection can find alone, and what has to be looked at again.

Filters have one meaning, `contract.filters.matches`. Chroma has the same one for the ids of a
scope. Of other values it is asked for more than what is wanted, never for less: the value itself, a
list that has it, and every point with a value that Chroma cannot compare. Words, dates, ranges and
what is excluded are not asked of it, nor are very many conditions. `matches` decides in any case.
"""

from __future__ import annotations

from typing import NamedTuple

from isomem.contract.filters import Condition, Group
from isomem.stores.chroma_payloads import MARK, is_plain_key
from isomem.types import LARGEST_INT, SCOPE_KEYS, is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Where = dict[str, Any]

_MOST_VALUES = 32
"""Of more values in one condition, Chroma is not asked: it looks for each of them in lists."""

_MOST_LEAVES = 500
"""How many comparisons Chroma is asked for at once: SQLite takes an expression of depth 1000."""


class Asked(NamedTuple):
    """What a collection is asked.

    Attributes:
        where: a filter of Chroma's; None finds every point.
        is_exact: whether it finds exactly the points that pass, and not others, too.
    """

    where: Where | None
    is_exact: bool


EVERYTHING = Asked(None, is_exact=False)


def asked_for(group: Group | None) -> Asked:
    """A filter that every point passes which passes the group, and perhaps others.

    Args:
        group: None lets everything pass.
    """
    if group is None:
        return Asked(None, is_exact=True)
    parts = [
        asked_for(each) if isinstance(each, Group) else _condition(each)
        for each in group.conditions
    ]
    if group.alternatives:
        parts.append(_alternatives(group.alternatives))
    if group.exclusions:
        parts.append(EVERYTHING)
    fitting = _fitting(parts)
    return Asked(
        _joined("$and", [each.where for each in fitting if each.where is not None]),
        is_exact=len(fitting) == len(parts) and all(each.is_exact for each in parts),
    )


def _fitting(parts: Sequence[Asked]) -> Sequence[Asked]:
    """Those that Chroma is asked for together; the ids of a scope come first."""
    found: list[Asked] = []
    room = _MOST_LEAVES
    for each in sorted(parts, key=lambda part: not part.is_exact):
        leaves = _leaves(each.where)
        if leaves <= room:
            found.append(each)
            room -= leaves
    return found


def _alternatives(groups: Sequence[Group]) -> Asked:
    asked = [asked_for(each) for each in groups]
    found = [each.where for each in asked if each.where is not None]
    if len(found) < len(asked):  # There is one that every point may pass.
        return EVERYTHING
    where = _joined("$or", found)
    if _leaves(where) > _MOST_LEAVES:
        return EVERYTHING
    return Asked(where, is_exact=all(each.is_exact for each in asked))


def _leaves(where: Where | None) -> int:
    """How many comparisons a filter of Chroma's has."""
    if where is None:
        return 0
    parts = where.get("$and") or where.get("$or")
    return sum(map(_leaves, parts)) if parts else 1


def _joined(operator: str, parts: list[Where]) -> Where | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    return {operator: parts}


# --- One condition ---------------------------------------------------------------------------


def _condition(condition: Condition) -> Asked:
    key, values = condition.key, condition.operand
    if condition.kind != "any" or len(condition.path) != 1 or not _is_asked(key, values):
        return EVERYTHING
    if key in SCOPE_KEYS and all(isinstance(each, str) for each in values):
        return Asked({key: _is_one_of(values)}, is_exact=True)  # Scopes are stored as texts alone.
    contained = [{key: {"$contains": each}} for each in values]
    where = _joined("$or", [{key: _is_one_of(values)}, *contained, {MARK: {"$eq": True}}])
    return Asked(where, is_exact=False)


def _is_asked(key: str, values: Sequence[Any]) -> bool:
    return (
        key.isidentifier()
        and is_plain_key(key)
        and 0 < len(values) <= _MOST_VALUES
        and all(map(_is_comparable, values))
    )


def _is_one_of(values: Sequence[Any]) -> Where:
    return {"$eq": values[0]} if len(values) == 1 else {"$in": [*values]}


def _is_comparable(value: object) -> bool:
    if isinstance(value, str):
        return is_unicode(value)
    return isinstance(value, int) and -LARGEST_INT <= value <= LARGEST_INT
