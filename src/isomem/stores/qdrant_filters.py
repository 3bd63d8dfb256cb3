"""Filters as Qdrant's: what a collection can decide alone, and what has to be looked at again.

Filters have one meaning, `contract.filters.matches`. Qdrant's local mode has the same one. A server
does not have it everywhere: how it compares words depends on its version, an index leaves out
values of other types, and fewer texts are dates to it. Such conditions are left out of what it is
asked. It then finds more than what is wanted, never less, and `matches` decides.
"""

from __future__ import annotations

from typing import NamedTuple

from isomem.contract.filters import Condition, Group, words
from isomem.types import LARGEST_INT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any, TypeAlias

    Model: TypeAlias = Any
    """An object of `qdrant_client.models`, which is not installed everywhere."""

    Decides: TypeAlias = Callable[[Condition], bool]
    """Whether the engine decides a condition as `matches` does."""

_LARGEST_EXACT = 2**53 - 1
"""A server compares numbers as doubles. Beyond this, two whole numbers can be the same double."""


class Asked(NamedTuple):
    """What a collection is asked.

    Attributes:
        filter: a `models.Filter`; None finds every point.
        is_exact: whether it finds exactly the points that pass, and not others, too.
    """

    filter: Model
    is_exact: bool


def asked_for(group: Group | None, decides: Decides) -> Asked:
    """A filter that every point passes which passes the group, and perhaps others.

    Args:
        group: None lets everything pass.
        decides: `decides_locally`, or what `decides_on_server` returns.
    """
    from qdrant_client import models

    if group is None:
        return Asked(None, is_exact=True)
    must = [_must(each, decides) for each in group.conditions]
    should = [asked_for(each, decides) for each in group.alternatives]
    must_not = [each for each in group.exclusions if _is_decided(each, decides)]
    if any(each.filter is None for each in should):  # An alternative that every point passes.
        should = [Asked(None, is_exact=False)]
    parts = {
        "must": _filters(must),
        "should": _filters(should),
        "must_not": [asked_for(each, decides).filter for each in must_not] or None,
    }
    is_exact = all(each.is_exact for each in (*must, *should))
    return Asked(
        models.Filter(**parts) if any(parts.values()) else None,
        is_exact and len(must_not) == len(group.exclusions),
    )


def _must(each: Group | Condition, decides: Decides) -> Asked:
    if isinstance(each, Group):
        return asked_for(each, decides)
    return Asked(_field(each), is_exact=True) if decides(each) else Asked(None, is_exact=False)


def _filters(asked: list[Asked]) -> list[Model] | None:
    return [each.filter for each in asked if each.filter is not None] or None


def _is_decided(group: Group, decides: Decides) -> bool:
    """Whether the engine decides a whole group: what is excluded must not be more than wanted."""
    return all(
        _is_decided(each, decides) if isinstance(each, Group) else decides(each)
        for each in (*group.conditions, *group.alternatives, *group.exclusions)
    )


# --- One condition ---------------------------------------------------------------------------


def _field(condition: Condition) -> Model:
    from qdrant_client import models

    field = models.FieldCondition
    kind, key, operand = condition.kind, condition.key, condition.operand
    if kind == "range":
        return field(key=key, range=models.Range(**operand))
    if kind == "dates":
        return field(key=key, range=models.DatetimeRange(**operand))
    return field(key=key, match=_match(kind, operand))


def _match(kind: str, operand: Any) -> Model:
    from qdrant_client import models

    if kind == "words":
        return models.MatchText(text=" ".join(operand))
    if kind == "except":
        return models.MatchExcept(**{"except": operand})
    return (
        models.MatchValue(value=operand[0]) if len(operand) == 1 else models.MatchAny(any=operand)
    )


def decides_locally(condition: Condition) -> bool:
    """Whether local mode decides a condition as `matches` does.

    It divides the words of an operand once more. In lower case, a few letters fall apart.
    """
    return condition.kind != "words" or {*words(" ".join(condition.operand))} == condition.operand


def decides_on_server(indexed: Collection[str]) -> Decides:
    """What says whether a server decides a condition as `matches` does.

    Args:
        indexed: the keys that have an index, which has values of one type.
    """

    def decides(condition: Condition) -> bool:
        key, operand = condition.key, condition.operand
        if not (key.isascii() and key.isidentifier()):
            return False
        if condition.kind == "any":
            return bool(operand) and all(map(_is_stored, operand))
        return condition.kind == "range" and key not in indexed and _are_bounds(operand)

    return decides


def _is_stored(operand: object) -> bool:
    """Whether a server stores such a value as it is."""
    if isinstance(operand, str):
        return "\0" not in operand
    return isinstance(operand, int) and -LARGEST_INT <= operand <= LARGEST_INT


def _are_bounds(bounds: Mapping[str, float]) -> bool:
    """Whether there are bounds, and a server compares any number with them as `matches` does."""
    return bool(bounds) and all(
        -_LARGEST_EXACT <= bound <= _LARGEST_EXACT for bound in bounds.values()
    )
