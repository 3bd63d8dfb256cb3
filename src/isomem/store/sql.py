"""Filters as SQL, where SQL gives exactly the answer of `filters.matches`.

Conditions on words, on dates, with `ne` or `nin`, or on elements of nested lists are left to
Python. So is any operand that SQLite would compare differently.

SQLite ends a JSON key at a NUL, so that "a\\0b" would be found as "a". NULs in a payload are
therefore read as another character, which no key and no operand here has.
"""

from __future__ import annotations

from isomem.contract.filters import Condition
from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isomem.contract.filters import Group

_MOST_BINDINGS = 500
"""More would come close to SQLite's limits for one expression."""
_EXACT = 2**53
_NUL, _NOT_NUL = r"\u0000", r"\ue000"
_PAYLOAD = f"replace(payload, '{_NUL}', '{_NOT_NUL}')"
_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


class _NotExactError(Exception):
    """SQL would not give the same answer."""


def compile_sql(group: Group) -> tuple[str, list[Any]] | None:
    """A condition on the column `payload` and its bindings; None if Python must decide."""
    bindings: list[Any] = []
    try:
        return _group(group, bindings), bindings
    except _NotExactError:
        return None


def _group(group: Group, bindings: list[Any]) -> str:
    parts = [
        _condition(member, bindings)
        if isinstance(member, Condition)
        else f"({_group(member, bindings)})"
        for member in group.conditions
    ]
    parts += [f"NOT ({_group(member, bindings)})" for member in group.exclusions]
    if group.alternatives:
        any_of = " OR ".join(f"({_group(member, bindings)})" for member in group.alternatives)
        parts.append(f"({any_of})")
    return " AND ".join(parts)


def _condition(condition: Condition, bindings: list[Any]) -> str:
    path = _json_path(condition)
    bindings += [path, path]
    if len(bindings) > _MOST_BINDINGS:
        raise _NotExactError
    if condition.kind == "any":
        test = _equals(condition.operand, bindings)
    elif condition.kind == "range":
        test = _in_range(condition.operand, bindings)
    else:
        raise _NotExactError
    # json_each yields the elements of a list, or a single value. For an object it would yield the
    # members, which no condition looks at.
    return (
        f"EXISTS (SELECT 1 FROM json_each({_PAYLOAD}, ?) AS each"
        f" WHERE json_type({_PAYLOAD}, ?) <> 'object' AND {test})"
    )


def _json_path(condition: Condition) -> str:
    for step in condition.path:
        if not (isinstance(step, str) and step.isascii() and step.isprintable()):
            raise _NotExactError
        if "\\" in step:
            raise _NotExactError
    return "$" + "".join(f'."{step}"' for step in condition.path)


def _equals(operands: list[Any], bindings: list[Any]) -> str:
    if len(operands) > _MOST_BINDINGS:
        raise _NotExactError
    tests = [_equal(operand, bindings) for operand in operands]
    return f"({' OR '.join(tests)})" if tests else "0"


def _equal(operand: Any, bindings: list[Any]) -> str:
    if isinstance(operand, bool):
        return f"each.type = '{'true' if operand else 'false'}'"
    if isinstance(operand, int):
        if abs(operand) > _EXACT:
            raise _NotExactError
        bindings.append(operand)
        return "(each.type = 'integer' AND each.atom = ?)"
    if not _is_comparable(operand):
        raise _NotExactError
    bindings.append(operand)
    return "(each.type = 'text' AND each.atom = ?)"


def _is_comparable(operand: str) -> bool:
    """Whether the text has nothing that can be confused with the replacement of NULs."""
    odd = ("\0", "\ue000", _NUL, _NOT_NUL)
    return is_unicode(operand) and not any(part in operand for part in odd)


def _in_range(bounds: dict[str, float], bindings: list[Any]) -> str:
    if not bounds:
        raise _NotExactError  # NaN has no bounds to break, and is null in SQL.
    tests = ["each.type IN ('integer', 'real')"]
    for operator, bound in bounds.items():
        if not abs(bound) <= _EXACT:
            raise _NotExactError
        bindings.append(bound)
        tests.append(f"each.atom {_SIGNS[operator]} ?")
    return " AND ".join(tests)
