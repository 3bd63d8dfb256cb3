"""Queries of RediSearch: which points it looks at, in which order, and what it tells of them.

Filters have one meaning, `contract.filters.matches`. An index of mem0's knows the ids of a scope
alone, and not exactly: it ignores case, divides an id at commas and trims spaces. So a query only
narrows down to points whose ids are alike; it finds more than what is wanted, never less, and
`matches` decides.
"""

from __future__ import annotations

from typing import NamedTuple

from isomem.contract.filters import Condition
from isomem.stores.redis_fields import ID, IDS, READ, VECTOR
from isomem.text.stopwords import ENGLISH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    from isomem.contract.filters import Group
    from isomem.stores.redis_calls import Command
    from isomem.stores.redis_fields import Fields

    Row: TypeAlias = tuple[bytes, Fields]
    """The key of a point that was found, and its fields."""

DISTANCE = "vector_distance"
"""What mem0 calls the distance of a point from the vector that is searched."""

MOST_FOUND = 1_000_000
"""No query asks for more points: servers do not give more unless their settings say so."""

SURELY_FOUND = 10_000
"""As many points are found by a server that does not say how many: Redis Stack sets this limit."""

_EVERYTHING = "*"
_SPACES = dict.fromkeys(map(ord, "|`\0"), " ")
"""What divides the words of a query, beside spaces."""

_LITERAL = {ord(each): f"\\{each}" for each in "*?[\\"}
"""What a pattern of keys would read as more than itself."""

_TRIMMED = " \t\n\v\f\r"
_LONGEST = 1024
"""Longer tags are cut by an index, at a length that depends on its version."""


class Narrowed(NamedTuple):
    """Which points an index is asked for.

    Attributes:
        text: of a query.
        parameters: the values that it names.
        is_scope: whether nothing is wanted but points with certain ids.
    """

    text: str
    parameters: dict[str, bytes]
    is_scope: bool


def narrowed(group: Group | None) -> Narrowed:
    """The narrowest query that finds every point that passes a group; None lets all pass."""
    if group is None:
        return Narrowed(_EVERYTHING, {}, is_scope=True)
    terms: list[str] = []
    parameters: dict[str, bytes] = {}
    conditions = [each for each in group.conditions if isinstance(each, Condition)]
    on_ids = [each for each in conditions if _is_on_an_id(each)]
    for condition in on_ids:
        for part in _parts(condition.operand[0]):
            name = f"p{len(parameters)}"
            parameters[name] = part
            terms.append(f"@{condition.key}:{{${name}}}")
    is_scope = len(on_ids) == len(group.conditions) and not group.alternatives
    is_scope = is_scope and not group.exclusions
    return Narrowed(" ".join(terms) or _EVERYTHING, parameters, is_scope)


def _is_on_an_id(condition: Condition) -> bool:
    if condition.key not in IDS or condition.kind != "any" or len(condition.operand) != 1:
        return False
    return isinstance(condition.operand[0], str)


def _parts(value: str) -> list[bytes]:
    """Tags that an index makes of an id, and that a query can ask for.

    It has none of an empty one. A query may drop a backslash, even in a parameter.
    """
    parts = [_utf8(part.strip(_TRIMMED)) for part in _cut(value).split(",")]
    return [part for part in parts if 0 < len(part) <= _LONGEST and b"\\" not in part]


def _cut(value: str) -> str:
    """What an index sees of a text: it ends at a NUL."""
    return value.partition("\0")[0]


# --- Commands --------------------------------------------------------------------------------


def creation(index: str, prefix: str, dims: int) -> Command:
    """Makes an index as mem0 does."""
    tags = (ID, "hash", *IDS)
    return [
        "FT.CREATE", index, "ON", "HASH", "PREFIX", 1, f"{prefix}:", "SCORE", "1.0", "SCHEMA",
        *(word for name in tags for word in (name, "TAG", "SEPARATOR", ",")),
        "memory", "TEXT", "WEIGHT", 1, "metadata", "TEXT", "WEIGHT", 1,
        "created_at", "NUMERIC", "updated_at", "NUMERIC",
        VECTOR, "VECTOR", "FLAT", 6,
        "TYPE", "FLOAT32", "DIM", dims, "DISTANCE_METRIC", "COSINE",
    ]  # fmt: skip


def nearest(index: str, asked: Narrowed, vector: bytes, limit: int) -> Command:
    """Finds the points nearest to a vector, nearest first, with their distances."""
    text = f"({asked.text})=>[KNN {limit} @{VECTOR} $vector AS {DISTANCE}]"
    found = _search(index, text, {**asked.parameters, "vector": vector}, limit, [*READ, DISTANCE])
    return [*found, "SORTBY", DISTANCE, "ASC"]


def newest(index: str, asked: Narrowed, limit: int) -> Command:
    """Lists points, newest first."""
    found = _search(index, asked.text, asked.parameters, limit, READ)
    return [*found, "SORTBY", "created_at", "DESC"]


def ranked(index: str, asked: Narrowed, words: Sequence[str], limit: int) -> Command:
    """Finds points with one of some words, by mem0's rank, best first."""
    named = {f"w{number}": _utf8(word) for number, word in enumerate(words)}
    text = f"@memory:({' | '.join(f'${name}' for name in named)}) {asked.text}"
    parameters = {**asked.parameters, **named}
    found = _search(index, text.removesuffix(_EVERYTHING), parameters, limit, READ)
    return [*found, "SCORER", "BM25STD"]


def words_of(query: str) -> list[str]:
    """The words of a query that mem0 asks for: none that are stop words."""
    words = [_word(word) for word in query.translate(_SPACES).split()]
    return [word for word in words if word and word not in ENGLISH]


def _word(word: str) -> str:
    return word.strip(",").replace("\u201c", "").replace("\u201d", "").lower()


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _search(
    index: str, text: str, parameters: dict[str, bytes], limit: int, fields: Sequence[str]
) -> list[bytes | str | int]:
    named = [word for pair in parameters.items() for word in pair]
    return [
        "FT.SEARCH", index, text, "RETURN", len(fields), *fields, "LIMIT", 0, limit,
        *(["PARAMS", len(named), *named] if named else ()),
        # By default, a query that takes long ends with what it has found so far.
        "DIALECT", 2, "TIMEOUT", 0,
    ]  # fmt: skip


def among(command: Command, keys: Sequence[bytes]) -> Command:
    """A search that looks only at the points with these keys."""
    return [*command, "INKEYS", len(keys), *keys]


LIMITS: Sequence[Command] = (
    ["FT.CONFIG", "GET", "MAXSEARCHRESULTS"],
    ["CONFIG", "GET", "search-max-search-results"],
)
"""What asks how many points a query may find. The second one is of Redis 8."""


def about(index: str) -> Command:
    """Asks what an index is, and how far it is."""
    return ["FT.INFO", index]


def next_keys(prefix: str, cursor: int, at_once: int) -> Command:
    """Lists the next hashes with a prefix; 0 begins."""
    pattern = f"{prefix.translate(_LITERAL)}:*"
    return ["SCAN", cursor, "MATCH", pattern, "COUNT", at_once, "TYPE", "hash"]


# --- Answers ---------------------------------------------------------------------------------


def rows_of(answer: Sequence[Any]) -> list[Row]:
    """The rows of a search. A point that was removed meanwhile has no fields."""
    pairs = zip(answer[1::2], answer[2::2], strict=True)
    return [(key, _by_name(words)) for key, words in pairs if words]


def count_of(answer: Sequence[Any]) -> int:
    """How many points a search has found, those included that were removed meanwhile."""
    return len(answer) // 2


def order_of(row: Row) -> tuple[float, float]:
    """What sorts rows: the nearest first, and then the newest."""
    _, fields = row
    return float(fields.get(DISTANCE) or 0), -float(fields.get("created_at") or 0)


def named(names: Sequence[str], values: Sequence[bytes | None]) -> Fields:
    """Values by their names, without those that are not there."""
    pairs = zip(names, values, strict=True)
    return {name: value for name, value in pairs if value is not None}


def _by_name(words: Sequence[bytes]) -> Fields:
    pairs = zip(words[::2], words[1::2], strict=True)
    return {_NAMES.get(name) or name.decode(): value for name, value in pairs}


_NAMES = {name.encode(): name for name in (*READ, DISTANCE)}


def described(answer: Any) -> dict[str, Any]:
    """What is said about an index, by name."""
    return {
        _plain(name): _plain(value) for name, value in zip(answer[::2], answer[1::2], strict=False)
    }


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return [*map(_plain, value)] if isinstance(value, (list, tuple)) else value


def is_filling(answer: Sequence[Any]) -> bool:
    """Whether an index has not seen every hash yet."""
    return str(answer[answer.index(b"indexing") + 1]).strip("b'") not in {"0", "0.0"}


def dims_of(answer: Sequence[Any]) -> int | None:
    """The length of the vectors of an index; None if the server does not say."""
    for field in answer[answer.index(b"attributes") + 1]:
        words = dict(zip(field[::2], field[1::2], strict=False))
        if words.get(b"identifier") == VECTOR.encode():
            return int(words[b"dim"]) if b"dim" in words else None
    return None


def limit_of(answer: Sequence[Any]) -> int | None:
    """How many points a query may find; None if the server does not say."""
    words = answer[0] if answer and isinstance(answer[0], list) else answer
    if not words:
        return None
    limit = words[-1]  # Or that there is none.
    return min(int(limit), MOST_FOUND) if limit.isdigit() else MOST_FOUND
