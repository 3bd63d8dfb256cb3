"""Grants: whose memories a key may touch, and how a call is narrowed down to them.

A key restricted to `{"user_id": "ana"}` touches memories whose user is ana. A call that names no
user gets that one; a call that names another is refused. A pattern such as `team-*` cannot be
filled in, so a call has to name an id that it matches.
"""

from __future__ import annotations

from isomem.contract.arguments import check_id, shown
from isomem.errors import PermissionDeniedError
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ANY = "*"
"""In a pattern: any characters."""


class Grant:
    """Memories that have all these ids.

    Args:
        patterns: an id, or a pattern with `*`, for some of `user_id`, `agent_id` and `run_id`; a
            memory that lacks one of them is not meant. {} means every memory.
        exact: whether a `*` is only a `*`.
    """

    __slots__ = ("_parts", "fixed", "patterns")

    def __init__(self, patterns: Mapping[str, str], *, exact: bool = False) -> None:
        self.patterns = {key: patterns[key] for key in SCOPE_KEYS if key in patterns}
        self.fixed = {
            key: value for key, value in self.patterns.items() if exact or ANY not in value
        }
        self._parts = {
            key: (value,) if exact else tuple(value.split(ANY))
            for key, value in self.patterns.items()
        }

    def covers(self, ids: Mapping[str, object]) -> bool:
        """Whether everything that has these ids is meant."""
        return all(self._admits(key, ids.get(key)) for key in self.patterns)

    def narrowed(self, ids: Mapping[str, str]) -> dict[str, str] | None:
        """The ids, and those of the grant that are missing; None if it does not cover them."""
        whole = {**self.fixed, **ids}
        return whole if self.covers(whole) else None

    def _admits(self, key: str, value: object) -> bool:
        return isinstance(value, str) and _matches(self._parts[key], value)


def ids_in(arguments: Mapping[str, object]) -> dict[str, str]:
    """The ids of a scope among the arguments of a call, without the white space around them."""
    given = {key: arguments.get(key) for key in SCOPE_KEYS}
    return {key: str(value).strip() for key, value in given.items() if value is not None}


def check_grants(grants: Sequence[Mapping[str, str]]) -> list[Grant]:
    """Grants from what someone wrote.

    Raises:
        ValueError: there is none, or one has an unknown key or something that cannot be an id.
    """
    if not grants:
        raise ValueError("A key needs at least one grant; {} grants everything.")
    for grant in grants:
        if not isinstance(grant, dict):
            raise ValueError(f"Invalid grant: {shown(grant)}. Must be a dict of ids.")
        for key, value in grant.items():
            if key not in SCOPE_KEYS:
                known = ", ".join(SCOPE_KEYS)
                raise ValueError(f"Invalid grant: {shown(key)} is not one of {known}.")
            if check_id(value, key) != value:
                raise ValueError(f"Invalid {key}: has white space around it.")
    return [Grant(grant) for grant in grants]


def is_everything(grants: Sequence[Grant]) -> bool:
    """Whether every memory is granted."""
    return any(not grant.patterns for grant in grants)


def covered(grants: Sequence[Grant], ids: Mapping[str, object]) -> bool:
    """Whether everything that has these ids is granted."""
    return any(grant.covers(ids) for grant in grants)


def narrow(grants: Sequence[Grant], ids: Mapping[str, str]) -> dict[str, str]:
    """The ids of a call, with those that its key adds.

    Args:
        ids: as the caller named them, checked.

    Raises:
        PermissionDeniedError: no grant covers them, or several do in different ways.
    """
    if is_everything(grants) or covered(grants, ids):
        return dict(ids)
    ways = [found for grant in grants if (found := grant.narrowed(ids)) is not None]
    if any(way != ways[0] for way in ways):
        raise PermissionDeniedError(
            "This key may touch several scopes: the call has to name one.",
            suggestion=f"Name {_named(grants, ids)}.",
        )
    if not ways:
        raise PermissionDeniedError(
            "This key may not touch the memories of this scope.",
            suggestion=f"Name {_named(grants, ids)} that the key is for." if not ids else None,
        )
    return ways[0]


def _named(grants: Sequence[Grant], ids: Mapping[str, str]) -> str:
    keys = [key for key in SCOPE_KEYS if any(key in grant.patterns for grant in grants)]
    missing = [key for key in keys if key not in ids] or keys
    return f"a {' and a '.join(missing)}"


def _matches(parts: Sequence[str], value: str) -> bool:
    """Whether a text has these parts in this order, from its beginning to its end.

    Each part is looked for once, so that no id can make it take long.
    """
    first, *middle = parts
    if not middle:
        return value == first
    *middle, last = middle
    at, end = len(first), len(value) - len(last)
    if at > end or not (value.startswith(first) and value.endswith(last)):
        return False
    for part in middle:
        at = value.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True
