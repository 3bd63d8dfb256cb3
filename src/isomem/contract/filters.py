"""Metadata filters: what a caller writes, what it means, and whether a payload matches.

There are three steps, as in upstream on its default store (Qdrant, local mode):

1. `translate` rewrites a search's filters into the shape that vector stores receive;
2. `compile_filters` reads that shape into a `Group`, and refuses what the store would refuse;
3. `matches` evaluates a `Group` on a payload. The embedded store also compiles a `Group` to SQL
   where that is exact; a test compares the two.

A condition looks at every value that its key selects in the payload (`a.b`, `a[].b`, `a[0]`,
`"a.b"`; the elements of a list one by one). It holds if it holds for one of them. A missing key
selects nothing, so no condition on it holds, not even `ne` and `nin`.
"""

from __future__ import annotations

from isomem.contract.arguments import ANY_VALUE, shown
from isomem.dates import datetime, timedelta, timezone
from isomem.pattern import Pattern
from isomem.types import SCOPE_KEYS, clone

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Collection, Iterator, Mapping
    from typing import Any, TypeGuard

LOGICAL = ("AND", "OR", "NOT")
RANGE_OPERATORS = ("gt", "gte", "lt", "lte")
OPERATORS = ("eq", "ne", "in", "nin", *RANGE_OPERATORS, "contains", "icontains")

_STORE_NAMES = {"OR": "$or", "NOT": "$not"}
_LOGICAL_NAMES = {"$and": "AND", "$or": "OR", "$not": "NOT"}


# --- 1. from the caller to the vector store --------------------------------------------------


def translate(filters: dict[str, object]) -> dict[str, object]:
    """The filters of a search in the shape that vector stores receive.

    Filters without an operator pass unchanged. Otherwise `AND` is merged into the top level (of
    two equal keys the later wins, operator dicts are united), and `OR` and `NOT` become `$or` and
    `$not`. Conditions on ids are never merged away (divergence D-20): if a key already has one,
    the next goes into an `AND` of the result.

    Raises:
        ValueError: an unknown operator, or a logical operator without its list.
    """
    if not any(map(_needs_translation, filters, filters.values())):
        return filters
    translated = {
        key: value
        for key, value in filters.items()
        if key not in LOGICAL and not isinstance(value, dict)
    }
    kept: list[dict[str, object]] = []
    for key, value in filters.items():
        _translate_entry(translated, key, value, kept)
    return _conjoined(translated, kept)


def _conjoined(translated: dict[str, object], kept: list[dict[str, object]]) -> dict[str, object]:
    """The filters with the conditions that could not be merged. `$and` and `AND` are one key."""
    if kept:
        name = "$and" if "$and" in translated else "AND"
        translated[name] = [*_conditions(translated.get(name, []), "AND", may_be_empty=True), *kept]
    return translated


def _needs_translation(key: str, value: object) -> bool:
    if key in LOGICAL or (isinstance(value, str) and value == ANY_VALUE):
        return True
    return isinstance(value, dict) and any(operator in OPERATORS for operator in value)


def _translate_entry(
    target: dict[str, object], key: str, value: object, kept: list[dict[str, object]]
) -> None:
    if key == "AND":
        for condition in _conditions(value, key, may_be_empty=True):
            _merge(target, condition, kept)
    elif key in _STORE_NAMES:
        alternatives = _conditions(value, key, may_be_empty=False)
        merged = {_STORE_NAMES[key]: [_merge({}, condition, kept) for condition in alternatives]}
        _merge(target, merged, kept)
    else:
        _merge(target, {key: value}, kept)


def _conditions(value: object, operator: str, *, may_be_empty: bool) -> list[dict[str, object]]:
    if not isinstance(value, list) or not (value or may_be_empty):
        kind = "list" if may_be_empty else "non-empty list"
        raise ValueError(f"{operator} operator requires a {kind} of conditions")
    for index, condition in enumerate(value):
        _check_condition(operator, index, condition)
    return value


def _check_condition(operator: str, index: int, condition: object) -> None:
    if not isinstance(condition, dict):
        raise ValueError(
            f"{operator} filter list item at index {index} must be a dict, "
            f"got {type(condition).__name__}: {shown(condition)}"
        )


def _merge(
    target: dict[str, object], condition: Mapping[str, object], kept: list[dict[str, object]]
) -> dict[str, object]:
    for key, value in condition.items():
        if isinstance(value, dict):
            _check_operators(value)
            if not value:
                continue
        old = target.get(key, value)
        if old != value and (_names_id(key, old) or _names_id(key, value)):
            kept.append({key: value})
        elif isinstance(value, dict):
            target[key] = {**old, **value} if isinstance(old, dict) else dict(value)
        else:
            target[key] = value
    return target


def _check_operators(condition: dict[str, object]) -> None:
    for operator in condition:
        if operator not in OPERATORS:
            raise ValueError(f"Unsupported metadata filter operator: {operator}")


def _names_id(key: str, value: object) -> bool:
    """Whether a condition is on an id, or contains one that is."""
    if key in SCOPE_KEYS:
        return True
    if not isinstance(value, list) or _LOGICAL_NAMES.get(key, key) not in LOGICAL:
        return False
    members = (member for member in value if isinstance(member, dict))
    return any(_names_id(*entry) for member in members for entry in member.items())


# --- 2. from the vector store's shape to a Group ---------------------------------------------


class Group:
    """Conditions that all hold, alternatives of which one holds, and exclusions."""

    __slots__ = ("exclusions", "alternatives", "conditions")

    def __init__(
        self,
        conditions: list[Group | Condition],
        alternatives: list[Group],
        exclusions: list[Group],
    ) -> None:
        self.conditions = conditions
        self.alternatives = alternatives
        self.exclusions = exclusions


class Condition:
    """One test on the values that one key selects.

    `kind` names the test and `operand` is what it compares with: "any" and "except" a list of
    scalars, "words" a set of lower-case words, "range" and "dates" a dict from range operators
    to numbers and aware datetimes.
    """

    __slots__ = ("key", "kind", "operand", "path", "test")

    def __init__(self, key: str, kind: str, operand: Any) -> None:
        self.key = key
        self.kind = kind
        self.operand = operand
        self.path = parse_path(key)
        self.test: Callable[[object, Any], bool] = _TESTS[kind]


class CompiledFilters(dict[str, object]):
    """Filters that are compiled once, for the first store of a call, and reused by the others.

    To a foreign store it is an ordinary dict. Copies of it are plain dicts.
    """

    _group: Group | None = None
    _source: dict[str, object] | None = None

    @property
    def group(self) -> Group | None:
        """What `compile_filters` makes of them; compiled again if somebody has changed them."""
        if self._source is None or self._source != self:
            self._group = _compile(self)
            self._source = clone(self)
        return self._group

    def __reduce__(self) -> tuple[type[dict[str, object]], tuple[dict[str, object]]]:
        return dict, (dict(self),)


def compile_filters(filters: Mapping[str, object] | None) -> Group | None:
    """The filters as a `Group`, or None when they let everything pass.

    Raises:
        ValueError: an unknown operator, a range next to another operator, an operand that the
            operator cannot compare with, a logical operator without its list of dicts, or a
            key that is not a path.
    """
    if isinstance(filters, CompiledFilters):
        return filters.group
    return _compile(filters) if filters else None


def _compile(filters: Mapping[str, object]) -> Group | None:
    group = Group([], [], [])
    seen: dict[str, object] = {}
    for name, value in filters.items():
        key = str.__str__(name)
        operator = _LOGICAL_NAMES.get(key, key)
        if operator not in LOGICAL:
            if key in SCOPE_KEYS or not _is_any_value(value):
                group.conditions.append(_compile_condition(key, value))
        elif operator not in seen:
            seen[operator] = value
            _member_of(group, operator).extend(_compile_groups(operator, value))
        elif _names_id(key, value) or _names_id(key, seen[operator]):
            group.conditions.append(_compile_alone(operator, value))
    return group if group.conditions or group.alternatives or group.exclusions else None


def _compile_alone(operator: str, value: object) -> Group:
    """The second of `OR` and `$or`, which counts where an id is in one of the two."""
    alone = Group([], [], [])
    _member_of(alone, operator).extend(_compile_groups(operator, value))
    return alone


def _member_of(group: Group, operator: str) -> list[Group] | list[Group | Condition]:
    if operator == "AND":
        return group.conditions
    return group.alternatives if operator == "OR" else group.exclusions


def _compile_groups(operator: str, value: object) -> Iterator[Group]:
    if not isinstance(value, list):
        raise ValueError(
            f"{operator} filter value must be a list of filter dicts, got {type(value).__name__}"
        )
    for index, item in enumerate(value):
        _check_condition(operator, index, item)
    return (group for group in map(compile_filters, value) if group is not None)


def _is_any_value(value: object) -> bool:
    return isinstance(value, str) and value == ANY_VALUE


def _compile_condition(key: str, value: object) -> Condition:
    if isinstance(value, list):
        return Condition(key, "any", _scalars(key, value))
    if not isinstance(value, dict):
        return Condition(key, "any", [_scalar(key, value)])
    if any(operator in RANGE_OPERATORS for operator in value):
        return _compile_range(key, value)
    return _compile_operator(key, value)


def _compile_operator(key: str, value: dict[str, object]) -> Condition:
    """Of several operators on one key, the first in this order counts, as in upstream."""
    if "eq" in value:
        return Condition(key, "any", [_scalar(key, value["eq"])])
    if "ne" in value:
        return Condition(key, "except", _scalars(key, [value["ne"]]))
    if "in" in value:
        return Condition(key, "any", _scalars(key, value["in"]))
    if "nin" in value:
        return Condition(key, "except", _scalars(key, value["nin"]))
    if "icontains" in value:
        return Condition(key, "words", _words_of_operand(key, value["icontains"]))
    if "contains" in value:
        return Condition(key, "words", _words_of_operand(key, value["contains"]))
    raise ValueError(
        f"Unsupported filter operator(s) for field '{key}': {_as_set(value)}. "
        f"Supported operators: {_as_set(OPERATORS)}"
    )


def _as_set(names: Collection[str]) -> str:
    return "{" + ", ".join(sorted(map(repr, names))) + "}" if names else "set()"


def _scalar(key: str, value: object) -> bool | int | str:
    """A value that others can compare: a member of an enum is the text or the number that it is in
    a payload, and not the name that it shows.
    """
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return value if isinstance(value, bool) else int.__int__(value)
    raise ValueError(
        f"Invalid value in filter for field '{key}': {shown(value)}. "
        "An exact match takes a string, an integer or a boolean."
    )


def _scalars(key: str, value: object) -> list[int] | list[str]:
    if isinstance(value, (list, tuple, set, frozenset)):
        items = list(value)
        if all(isinstance(item, str) for item in items):
            return [*map(str.__str__, items)]
        if all(isinstance(item, int) and not isinstance(item, bool) for item in items):
            return [*map(int.__int__, items)]
    raise ValueError(
        f"Invalid value in filter for field '{key}': {shown(value)}. "
        "A list of only strings or only integers is needed."
    )


def _words_of_operand(key: str, value: object) -> set[str]:
    if isinstance(value, str):
        return set(words(value))
    raise ValueError(f"Invalid value in filter for field '{key}': {shown(value)} is not a string.")


def _compile_range(key: str, value: dict[str, object]) -> Condition:
    others = [operator for operator in value if operator not in RANGE_OPERATORS]
    bounds = {operator: value[operator] for operator in RANGE_OPERATORS if operator in value}
    if others:
        raise ValueError(
            f"Cannot mix range operators ({_as_set(bounds)}) with "
            f"non-range operators ({_as_set(others)}) for field '{key}'. "
            f"Use AND to combine them as separate conditions."
        )
    dates = {op: bound for op, bound in bounds.items() if _is_date(bound)}
    if len(dates) == len(bounds):
        return Condition(key, "dates", {op: _date(key, text) for op, text in dates.items()})
    numbers = {op: _number(key, bound) for op, bound in bounds.items() if bound is not None}
    return Condition(key, "range", numbers)


def _is_date(bound: object) -> TypeGuard[str]:
    return isinstance(bound, str) and _DATE_OPERAND.match(bound) is not None


def _number(key: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise _not_a_number(key, value) from None
    if isinstance(value, str) and not value.strip().isascii():
        raise _not_a_number(key, value)  # Digits of other scripts, which `float` accepts.
    return number


def _not_a_number(key: str, value: object) -> ValueError:
    return ValueError(
        f"Invalid value in range filter for field '{key}': {shown(value)}. "
        "A number or an ISO 8601 date is needed."
    )


def _date(key: str, text: str) -> datetime:
    found = _DATE.match(text) if text.isascii() else None
    parsed = _moment(found) if found else None
    if parsed is None:
        raise ValueError(f"Invalid datetime value in range filter for field '{key}': {text!r}")
    return parsed


# --- 3. from a Group and a payload to yes or no ----------------------------------------------


def matches(group: Group, payload: object) -> bool:
    """Whether the payload passes."""
    return (
        all(_holds(condition, payload) for condition in group.conditions)
        and not any(matches(excluded, payload) for excluded in group.exclusions)
        and (not group.alternatives or any(matches(one, payload) for one in group.alternatives))
    )


def _holds(condition: Group | Condition, payload: object) -> bool:
    if isinstance(condition, Group):
        return matches(condition, payload)
    return any(condition.test(v, condition.operand) for v in select(payload, condition.path))


def _equal(value: object, operand: object) -> bool:
    """Equality of payload and operand, in which true is not 1 and 1.0 is not 1."""
    if isinstance(value, float) or isinstance(value, bool) != isinstance(operand, bool):
        return False
    return bool(value == operand)


def _is_any(value: object, operands: list[object]) -> bool:
    return any(_equal(value, operand) for operand in operands)


def _is_none_of(value: object, operands: list[object]) -> bool:
    return value is not None and not _is_any(value, operands)


def _has_words(value: object, wanted: set[str]) -> bool:
    return isinstance(value, str) and bool(wanted) and wanted.issubset(words(value))


def _in_range(value: object, bounds: dict[str, float]) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return _within(value, bounds)


def _in_dates(value: object, bounds: dict[str, datetime]) -> bool:
    moment = parse_datetime(value) if isinstance(value, str) else None
    return moment is not None and _within(moment, bounds)


def _within(value: Any, bounds: Mapping[str, Any]) -> bool:
    return all(_COMPARISONS[operator](value, bound) for operator, bound in bounds.items())


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}

_TESTS: dict[str, Callable[[object, Any], bool]] = {
    "any": _is_any,
    "except": _is_none_of,
    "words": _has_words,
    "range": _in_range,
    "dates": _in_dates,
}

_WORD = Pattern(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The words of `text` in lower case: runs of letters and digits."""
    return [word.lower() for word in _WORD.findall(text)]


# --- Keys ------------------------------------------------------------------------------------

_EVERY = object()
_STEP = Pattern(r'"(?P<quoted>[^"]*)"|[\w-]+')
_BRACKETS = Pattern(r"\[([0-9]*)\]")
_LARGEST_INDEX = 2**64 - 1


def parse_path(key: str) -> tuple[object, ...]:
    """The steps of a key: a str enters a dict, an int a list, `_EVERY` all elements of a list.

    Raises:
        ValueError: the key is not a path (empty, a dot too many, a character that needs quotes).
    """
    if key.isascii() and key.isidentifier():
        return (key,)
    steps: list[object] = []
    rest = key
    while rest:
        found = _STEP.match(rest)
        if found is None:
            raise _bad_path(key)
        quoted = found["quoted"]
        steps.append(found[0] if quoted is None else quoted)
        rest = rest[found.end() :]
        while bracket := _BRACKETS.match(rest):
            steps.append(_index(key, bracket[1]) if bracket[1] else _EVERY)
            rest = rest[bracket.end() :]
        if not rest:
            return tuple(steps)
        if not rest.startswith(".") or rest == ".":
            raise _bad_path(key)
        rest = rest[1:]
    raise _bad_path(key)


def _index(key: str, digits: str) -> int:
    if len(digits) > 1000 or int(digits) > _LARGEST_INDEX:
        raise _bad_path(key)
    return int(digits)


def _bad_path(key: str) -> ValueError:
    return ValueError(
        f"Invalid path: {key!r} cannot be a filter key. Put double quotes around a name with "
        "characters other than letters, digits, '_' and '-'."
    )


def select(payload: object, path: tuple[object, ...]) -> list[object]:
    """The values that a path selects; a list at its end counts as its elements."""
    values = [payload]
    for step in path:
        values = [found for value in values for found in _enter(value, step)]
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _enter(value: object, step: object) -> list[object]:
    if step is _EVERY:
        return value if isinstance(value, list) else []
    if isinstance(step, int):
        return [value[step]] if isinstance(value, list) and step < len(value) else []
    return [value[step]] if isinstance(value, dict) and step in value else []


# --- Dates -----------------------------------------------------------------------------------

# What counts as a date in a range: ISO 8601, with an optional time and zone.
_DATE_OPERAND = Pattern(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?(\.\d+)?(Z|[+-]\d{2}:?\d{2})?)?\Z"
)

# A date in a payload may be written more freely, and with the odd digits that `strptime` accepts.
_DATE = Pattern(
    r"\s*(?P<year>\d{4})-(?P<month>1[0-2]|0?[1-9])-(?P<day>3[01]|[12]\d|[0 ]?[1-9])"
    r"(?:(?:[Tt]|\s+)(?P<hour>2[0-3]|[01]?\d):(?P<minute>[0-5]?\d)"
    r"(?::(?P<second>[0-5]?\d)(?P<fraction>\.(?:[0-9]{6}\d*|[0-9]{1,5}))?)?"
    r"(?P<zone>\s*(?:[Zz]|[+-]\d{2}(?:(?P<colon>:?)[0-5]\d(?:(?P=colon)[0-5]\d)?)?|\ UTC))?)?\Z"
)


def parse_datetime(text: str) -> datetime | None:
    """The moment that a payload's `text` names, in UTC if it does not name a zone.

    None if it is not a date. A zone needs seconds before it.
    """
    found = _DATE.match(text)
    if found is None or (found["zone"] and not found["second"]):
        return None
    return _moment(found)


def _moment(found: re.Match[str]) -> datetime | None:
    numbers = [int(found[name] or 0) for name in ("year", "month", "day", "hour", "minute")]
    numbers.append(int(found["second"] or 0))
    # Digits beyond microseconds are cut off, since datetime has no more.
    numbers.append(int((found["fraction"] or ".")[1:7].ljust(6, "0")))
    try:
        return datetime(*numbers, tzinfo=_zone((found["zone"] or "").strip()))  # type: ignore[misc,arg-type]
    except ValueError:
        return None


def _zone(text: str) -> timezone:
    if not text.startswith(("+", "-")):
        return timezone.utc
    digits = text[1:].replace(":", "")
    hours, minutes, seconds = (int(digits[at : at + 2] or 0) for at in (0, 2, 4))
    offset = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return timezone(-offset if text[0] == "-" else offset)
