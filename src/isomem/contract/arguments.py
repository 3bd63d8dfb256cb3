"""Arguments: every check of what a caller passes to a memory.

A value is checked once, where it comes in. What these functions return is safe to use: ids are
trimmed strings, and no value is deeper or larger than the limits below.
"""

from __future__ import annotations

from math import isnan

from isomem import log
from isomem.dates import datetime, utc_text
from isomem.errors import MemoryNotFoundError, ValidationError
from isomem.options import nearest
from isomem.types import PROCEDURAL, RANKINGS, SCOPE_KEYS, SUPERSEDING, is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import TypeGuard

    ReadId = Callable[[object, str], str]
    """Makes an id of a value that is not a string, or raises; it gets the name of the id, too."""

MAX_DEPTH = 100
"""How many levels of dicts and lists metadata and filters may have."""

MAX_VALUES = 1_000_000
"""How many values metadata and filters may hold, over all levels."""

MAX_RESULTS = 1_000_000_000
"""A larger `top_k` means the same: no store holds more."""

ANY_VALUE = "*"
"""In a filter on metadata: every value passes. As an id, it is an ordinary id."""

_GROUPS = frozenset(("AND", "OR", "NOT", "$and", "$or", "$not"))
_IDS = frozenset(SCOPE_KEYS)
_CONTAINERS = (dict, list, tuple, set, frozenset)
_OLD_NAMES = {"limit": "top_k", "k": "top_k", "min_score": "threshold"}
"""What other releases and other libraries call arguments."""

_ONE_ID = ("eq", "ne")
_SEVERAL_IDS = ("in", "nin")


# --- Ids -------------------------------------------------------------------------------------


def refuse_id(value: object, name: str) -> str:
    """Raises ValueError: an id is a string."""
    raise ValueError(f"Invalid {name}: must be a string, got {type(value).__name__}.")


def check_id(value: object, name: str, read_id: ReadId = refuse_id) -> str:
    """`value` without the white space around it.

    Args:
        read_id: is asked about a value that is not a string.

    Raises:
        ValueError: it cannot be an id, is blank, has white space inside, or is not valid Unicode.
    """
    if not isinstance(value, str):
        value = read_id(value, name)
    trimmed = value.strip()
    if not trimmed:
        raise ValueError(
            f"Invalid {name}: cannot be empty or whitespace-only. Provide a valid identifier."
        )
    if len(trimmed.split(None, 1)) > 1:
        raise ValueError(
            f"Invalid {name}: cannot contain whitespace. Provide a valid identifier without spaces."
        )
    if not (trimmed.isascii() or is_unicode(trimmed)):
        raise ValueError(f"Invalid {name}: is not valid Unicode, it has a lone surrogate.")
    return trimmed


def check_ids(ids: Mapping[str, object], read_id: ReadId = refuse_id) -> dict[str, str]:
    """The ids that were given, checked, in the order of `SCOPE_KEYS`.

    Raises:
        ValueError: an id is not valid.
        ValidationError: VALIDATION_001, none was given.
    """
    given = {}
    for key in SCOPE_KEYS:
        value = ids.get(key)
        if value is not None:
            given[key] = check_id(value, key, read_id)
    if not given:
        raise ValidationError(
            "At least one of 'user_id', 'agent_id', or 'run_id' must be provided.",
            error_code="VALIDATION_001",
            details={"provided_ids": dict.fromkeys(SCOPE_KEYS)},
            suggestion="Please provide at least one identifier to scope the memory operation.",
        )
    return given


def check_removal_ids(
    ids: Mapping[str, object],
    read_id: ReadId = refuse_id,
    is_given: Callable[[object], bool] = bool,
) -> dict[str, str]:
    """The ids of a `delete_all`, as `check_ids` reads them.

    Args:
        read_id: as in `check_id`.
        is_given: whether a value counts as one that the caller has passed.

    Raises:
        ValueError: an id is not valid, or none was given.
    """
    if not any(map(is_given, ids.values())):
        raise ValueError(
            "At least one filter is required to delete all memories. "
            "If you want to delete all memories, use the `reset()` method."
        )
    return check_ids(ids, read_id)


def refuse_top_level_ids(arguments: Mapping[str, object], method: str) -> None:
    """Raises ValueError if an id was passed as an argument instead of in `filters`."""
    misplaced = frozenset(key for key in SCOPE_KEYS if key in arguments)
    if misplaced:
        raise ValueError(
            f"Top-level entity parameters {misplaced} are not supported in {method}(). "
            f"Use filters={{'user_id': '...'}} instead."
        )


def check_other(
    arguments: Mapping[str, object],
    method: str,
    known: Sequence[str],
    refused: Mapping[str, str] = {},
) -> None:
    """Checks the arguments that a method does not know; mem0 ignores them, and so they only warn.

    Args:
        refused: what is said about those that are an error, by name.

    Raises:
        ValueError: such an argument, or an id, which belongs in `filters`.
    """
    for name, fault in refused.items():
        if arguments.get(name) is not None:
            raise ValueError(fault)
    refuse_top_level_ids(arguments, method)
    for name in arguments:
        meant = _OLD_NAMES.get(name) or nearest(name, known)
        hint = f"did you mean {meant}=?" if meant else f"it takes {', '.join(known)}."
        log.warning("%s() does nothing with %s=, as mem0 does; %s", method, name, hint)


def refuse_wildcard_ids(filters: Mapping[str, object]) -> None:
    """Raises ValueError if an id of a scope or in filters is "*".

    For foreign vector stores: they may read it as "any id".
    """
    for key, value in filters.items():
        if key in SCOPE_KEYS and value == ANY_VALUE:
            raise ValueError(
                f"Invalid {key}: {ANY_VALUE!r} means every {key} to some vector stores. "
                "Only the embedded store takes it as an id."
            )
        if key in _GROUPS and isinstance(value, list):
            for member in value:
                if isinstance(member, dict):
                    refuse_wildcard_ids(member)


def check_memory_id(memory_id: object) -> str:
    """`memory_id` as text: a string, or an object whose text is the id, such as a UUID.

    Raises:
        ValueError: it is neither.
    """
    if memory_id is None or isinstance(memory_id, (bool, float, bytes, list, tuple, dict)):
        raise ValueError(f"Invalid memory_id: {shown(memory_id)}. Must be a string.")
    try:
        text = str(memory_id)
    except ValueError:  # Python refuses to write an int of more than 4,300 digits.
        raise ValueError(f"Invalid memory_id: {shown(memory_id)}. Must be a string.") from None
    if not is_unicode(text):
        raise ValueError("Invalid memory_id: is not valid Unicode, it has a lone surrogate.")
    return text


def not_found_for_update(memory_id: str) -> MemoryNotFoundError:
    """The error for a memory that should be changed but does not exist."""
    message = f"Memory with id {memory_id} not found. Please provide a valid 'memory_id'"
    return MemoryNotFoundError(message, details={"memory_id": memory_id})


def check_history_id(memory_id: object) -> str | float | bytes | None:
    """`memory_id` as `check_memory_id` reads it.

    As in 2.0.4, a value without a history, such as None, a bool, a float or bytes, is not an error.

    Raises:
        ValueError: a value of another type that cannot be an id.
    """
    if memory_id is None or isinstance(memory_id, (bool, float, bytes)):
        return memory_id
    return check_memory_id(memory_id)


# --- Filters ---------------------------------------------------------------------------------


def check_filters(filters: object, read_id: ReadId = refuse_id) -> dict[str, object]:
    """A copy of `filters` with its ids checked, at the top level and in groups.

    At the top level an id is one string. In a group it may also be a list or have an operator;
    every id in it is checked in the same way. Datetimes become ISO 8601 in UTC; one without a
    zone is in UTC.

    Raises:
        ValueError: it is not a dict, an id is not valid, there is no id at the top level, a key
            is not a string, or there are more than `MAX_DEPTH` levels or `MAX_VALUES` values.
    """
    if filters is None:
        filters = {}
    if not _is_dict(filters):
        raise ValueError(f"filters must be a dict, got {type(filters).__name__}.")
    if _IDS.isdisjoint(filters):
        raise ValueError(
            "filters must contain at least one of: user_id, agent_id, run_id. "
            "Example: filters={'user_id': 'u1'}"
        )
    is_flat = len(filters) <= MAX_VALUES and not any(
        isinstance(value, _CONTAINERS) for value in filters.values()
    )
    fault = None if is_flat else size_fault(filters)
    if fault:
        raise ValueError(f"filters cannot be used: {fault}.")
    checked = _with_checked_groups(filters, read_id)
    for key in SCOPE_KEYS:
        if key in checked:
            checked[key] = check_id(checked[key], key, read_id)
    return checked


def check_filters_for(filters: object, read_id: ReadId, *, takes_any_id: bool) -> dict[str, object]:
    """`check_filters` for stores that do or do not take the id "*" as an ordinary id.

    Raises:
        ValueError: as `check_filters`; or an id is "*", and the stores may read it as "any id".
    """
    checked = check_filters(filters, read_id)
    if not takes_any_id:
        refuse_wildcard_ids(checked)
    return checked


def _is_dict(value: object) -> TypeGuard[Mapping[str, object]]:
    """Whether a value can be read like a dict. Its keys may still be of any type."""
    return hasattr(value, "items")


def _with_checked_groups(filters: Mapping[str, object], read_id: ReadId) -> dict[str, object]:
    checked = dict(filters)
    for key, value in filters.items():
        if not isinstance(key, str):
            raise ValueError(f"filters must have strings as keys, got {type(key).__name__}.")
        if key in _GROUPS and isinstance(value, list):
            checked[key] = [_checked_member(member, read_id) for member in value]
        elif key not in _IDS:
            checked[key] = _with_moments(value)
    return checked


def _with_moments(condition: object) -> object:
    """A condition with its datetimes and dates in the form in which memories have them."""
    if isinstance(condition, dict):
        return {operator: _with_moments(operand) for operator, operand in condition.items()}
    if isinstance(condition, list):
        return [_with_moments(operand) for operand in condition]
    if isinstance(condition, datetime):
        return utc_text(condition)
    return condition.isoformat() if hasattr(condition, "isoformat") else condition


def _checked_member(member: object, read_id: ReadId) -> object:
    """One condition of a group. A member that is not a dict is refused later, in `filters`."""
    if not isinstance(member, dict):
        return member
    checked = _with_checked_groups(member, read_id)
    for key in SCOPE_KEYS:
        if key in checked:
            checked[key] = _checked_condition(checked[key], key, read_id)
    return checked


def _checked_condition(value: object, name: str, read_id: ReadId) -> object:
    if isinstance(value, list):
        return [check_id(each, name, read_id) for each in value]
    if isinstance(value, dict):
        return {key: _checked_operand(key, each, name, read_id) for key, each in value.items()}
    return check_id(value, name, read_id)


def _checked_operand(operator: object, operand: object, name: str, read_id: ReadId) -> object:
    if operator in _ONE_ID:
        return check_id(operand, name, read_id)
    if operator in _SEVERAL_IDS and isinstance(operand, (list, tuple, set, frozenset)):
        return [check_id(each, name, read_id) for each in operand]
    return operand


def size_fault(value: Collection[object]) -> str | None:
    """Why a value of dicts and lists is too large; None if it is not."""
    level: list[Collection[object]] = [value]
    count = 0
    for _ in range(MAX_DEPTH):
        count += sum(map(len, level))
        if count > MAX_VALUES:
            return f"more than {MAX_VALUES:,} values"
        parts = (part for whole in level for part in _parts_of(whole))
        level = [part for part in parts if isinstance(part, _CONTAINERS)]
        if not level:
            return None
    return f"nested more than {MAX_DEPTH} levels deep"


def _parts_of(value: Collection[object]) -> Iterable[object]:
    if hasattr(value, "values"):
        values: Iterable[object] = value.values()
        return values
    return value


# --- The other arguments ---------------------------------------------------------------------


def check_threshold(threshold: object) -> None:
    """Raises ValueError unless it is None or a number in 0..1."""
    if threshold is None:
        return
    if not isinstance(threshold, (int, float)) or (
        isinstance(threshold, float) and isnan(threshold)
    ):
        raise ValueError("threshold must be a valid number")
    if not 0 <= threshold <= 1:
        raise ValueError(
            f"Invalid threshold: {shown(threshold)}. Must be between 0 and 1 (inclusive)."
        )


def check_ranking(ranking: object, configured: str) -> str:
    """The name of the ranking that is asked for; None asks for the configured one.

    Raises:
        ValueError: there is no ranking of that name.
    """
    if ranking is None:
        return configured
    if isinstance(ranking, str) and ranking in RANKINGS:
        return ranking
    raise ValueError(f"Invalid ranking: {shown(ranking)}. Must be one of {', '.join(RANKINGS)}.")


def check_supersede(mode: object) -> str:
    """How stale facts are found: one of `SUPERSEDING`.

    Raises:
        ValueError: there is no such way.
    """
    if isinstance(mode, str) and mode in SUPERSEDING:
        return mode
    raise ValueError(f"Invalid supersede: {shown(mode)}. Must be one of {', '.join(SUPERSEDING)}.")


def check_top_k(top_k: object) -> int:
    """`top_k`, or `MAX_RESULTS` if that is less.

    Raises:
        ValueError: it is not an int, or below 0.
    """
    if isinstance(top_k, bool) or not isinstance(top_k, int):
        raise ValueError("top_k must be a valid integer")
    if top_k < 0:
        raise ValueError(f"Invalid top_k: {shown(top_k)}. Must be a non-negative integer.")
    return min(top_k, MAX_RESULTS)


def shown(value: object) -> str:
    """`value` for the text of an error, or its type if it is too large to show."""
    try:
        return repr(value)
    except (ValueError, RecursionError):
        return f"a very large {type(value).__name__}"


def check_query(query: object) -> str:
    """`query`, if it is a string that is not blank.

    Raises:
        ValueError: it has another type, or is blank.
        ValidationError: VALIDATION_004, it has a lone surrogate.
    """
    if not isinstance(query, str) or not query.strip():
        raise ValueError(f"Invalid query: {shown(query)}. Must be a string that is not blank.")
    return check_text(query, "query")


def check_text(text: object, what: str) -> str:
    """`text`, if it is a string that UTF-8 can encode.

    Raises:
        ValidationError: VALIDATION_004, it has another type or a lone surrogate. The error
            names `what`.
    """
    if not isinstance(text, str):
        raise ValidationError(
            f"{what} must be a string, got {type(text).__name__}",
            error_code="VALIDATION_004",
            details={"provided_type": type(text).__name__},
        )
    if not is_unicode(text):
        raise not_unicode(what)
    return text


def not_unicode(what: str) -> ValidationError:
    """The error for text with half of a surrogate pair."""
    return ValidationError(
        f"{what} is not valid Unicode: it has a lone surrogate",
        error_code="VALIDATION_004",
        suggestion="Decode the text properly, or replace the character, before storing it.",
    )


def check_memory_type(memory_type: object) -> None:
    """Raises ValidationError VALIDATION_002 unless it is None or "procedural_memory"."""
    if memory_type is not None and memory_type != PROCEDURAL:
        raise ValidationError(
            f"Invalid 'memory_type'. Please pass {PROCEDURAL} to create procedural memories.",
            error_code="VALIDATION_002",
            details={"provided_type": memory_type, "valid_type": PROCEDURAL},
            suggestion=f"Use '{PROCEDURAL}' to create procedural memories.",
        )


def check_metadata(metadata: object) -> Mapping[str, object]:
    """`metadata`, a dict that is within the limits of depth and size; {} for None.

    Raises:
        ValidationError: VALIDATION_005.
    """
    if not metadata:
        return {}
    if not _is_dict(metadata):
        raise ValidationError(
            f"metadata must be a dict, got {type(metadata).__name__}",
            error_code="VALIDATION_005",
            details={"provided_type": type(metadata).__name__},
        )
    fault = size_fault(metadata)
    if fault:
        raise ValidationError(
            f"metadata cannot be stored: {fault}",
            error_code="VALIDATION_005",
            suggestion="Store large data elsewhere, and its address in the metadata.",
        )
    return metadata
