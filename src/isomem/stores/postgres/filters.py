"""Filters as SQL over JSONB, where PostgreSQL gives exactly the answer of `filters.matches`.

Words and dates are left to Python, and so are paths through the elements of lists and operands
that JSONB would compare differently. JSONB tells 1 from 1.0 by its text alone. A bound is compared
as the shortest decimal number that Python reads as that float: the order of floats is then that of
their decimal numbers.

Payloads in text may have what JSONB refuses: NaN and infinity, NUL characters, lone surrogates.
Python decides those.
"""

from __future__ import annotations

from isomem.contract.filters import Condition
from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from isomem.contract.filters import Group

_EXACT = 2**53
_MOST = 200
"""So many conditions; more are left to Python."""
_MOST_WORDS = 8
_LARGEST = 1_000_000
"""Bytes of a payload that the server parses."""
_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

_BACKSLASH = "chr(92)"  # A literal would depend on the server's settings.
_ODD = " OR ".join(
    [
        *(f"strpos(p.payload, {_BACKSLASH} || '{part}') > 0" for part in ("u0000", "ud")),
        *(f"strpos(p.payload, '{part}') > 0" for part in ("NaN", "Infinity")),
        f"octet_length(p.payload) > {_LARGEST}",
    ]
)
_PARSED = (
    " CROSS JOIN LATERAL"
    f" (SELECT CASE WHEN {_ODD} THEN NULL ELSE p.payload::jsonb END AS value OFFSET 0) AS x"
)
_ELEMENTS = (
    "EXISTS (SELECT 1 FROM (SELECT {column} #> ?::text[] AS value) AS v, LATERAL"
    " jsonb_array_elements(CASE jsonb_typeof(v.value) WHEN 'array' THEN v.value"
    " ELSE jsonb_build_array(v.value) END) AS e (value) WHERE v.value IS NOT NULL AND {test})"
)
"""A value, or each element of a list, as `filters.select` has it."""


class _NotExactError(Exception):
    """SQL would not give the same answer."""


class Passing:
    """What SQL says about the points that pass.

    Attributes:
        where: a condition that all of them fulfil; "true" if there is none.
        bindings: of it.
        is_exact: whether no others fulfil it.
    """

    __slots__ = ("bindings", "is_exact", "where")

    def __init__(self, where: str, bindings: Sequence[Any], *, is_exact: bool) -> None:
        self.where = where
        self.bindings = bindings
        self.is_exact = is_exact


class PassingText(Passing):
    """`Passing` for payloads that are text.

    Attributes:
        source: what follows the table `points` as `p` in `FROM`.
        undecided: an expression: the payload of a point that Python decides, or else NULL.
    """

    __slots__ = ("source", "undecided")

    def __init__(self, passing: Passing, words: Sequence[str], found: Sequence[str]) -> None:
        where, source = ["true", *words], ""
        if passing.where != "true":
            where.append(f"(x.value IS NULL OR ({passing.where}))")
            source = _PARSED
        super().__init__(
            " AND ".join(where), (*found, *passing.bindings), is_exact=passing.is_exact
        )
        self.source = source
        is_exact = passing.is_exact and source
        self.undecided = "CASE WHEN x.value IS NULL THEN p.payload END" if is_exact else "p.payload"


def compile_jsonb(group: Group, column: str) -> Passing:
    """A condition on a column of JSONB objects that is never NULL."""
    parts: list[str] = []
    bindings: list[Any] = []
    is_exact = _size(group) <= _MOST
    for compiled in _parts(group, column) if is_exact else ():
        if compiled is None:
            is_exact = False
        else:
            parts.append(compiled[0])
            bindings += compiled[1]
    return Passing(" AND ".join(parts) or "true", bindings, is_exact=is_exact)


def compile_text(group: Group) -> PassingText:
    """A condition on the column `payload` of points `p`, whose JSON is text.

    A key, and a text that a value has to be equal to, are first looked for in that text: that
    costs far less than to parse it.
    """
    words, found = [], []
    for condition in group.conditions:
        if isinstance(condition, Condition):
            for some in _texts_of(condition):
                words.append(f"({' OR '.join(['strpos(p.payload, ?) > 0'] * len(some))})")
                found += [f'"{text}"' for text in some]
    return PassingText(compile_jsonb(group, "x.value"), words, found)


def _texts_of(condition: Condition) -> Iterator[Sequence[str]]:
    """Texts of which one has to be in the JSON of a payload, in quotes."""
    step = condition.path[-1]
    if isinstance(step, str) and _is_plain(step):
        yield [step]
    operand = condition.operand
    if condition.kind == "any" and 0 < len(operand) <= _MOST_WORDS:
        texts = [each for each in operand if isinstance(each, str) and _is_plain(each)]
        if len(texts) == len(operand):
            yield texts


def _is_plain(text: str) -> bool:
    """Whether JSON spells a text as it is."""
    return text.isascii() and text.isprintable() and not {'"', "\\"}.intersection(text)


def _size(group: Group) -> int:
    members = [*group.conditions, *group.exclusions, *group.alternatives]
    return 1 + sum(1 if isinstance(each, Condition) else _size(each) for each in members)


def _parts(group: Group, column: str) -> Iterator[tuple[str, list[Any]] | None]:
    """The parts of a group that all hold, each with its bindings; None for what is not exact."""
    for member in group.conditions:
        yield _compiled([member], column, "{}")
    for member in group.exclusions:
        yield _compiled([member], column, "NOT {}")
    if group.alternatives:
        yield _compiled(group.alternatives, column, "{}")


def _compiled(
    members: Sequence[Group | Condition], column: str, form: str
) -> tuple[str, list[Any]] | None:
    """That one of some members holds, or does not hold."""
    bindings: list[Any] = []
    try:
        tests = [_member(member, column, bindings) for member in members]
    except _NotExactError:
        return None
    return form.format(f"({' OR '.join(tests)})"), bindings


def _member(member: Group | Condition, column: str, bindings: list[Any]) -> str:
    if isinstance(member, Condition):
        return _condition(member, column, bindings)
    found = []
    for part in _parts(member, column):
        if part is None:
            raise _NotExactError
        found.append(part[0])
        bindings += part[1]
    return f"({' AND '.join(found) or 'true'})"


def _condition(condition: Condition, column: str, bindings: list[Any]) -> str:
    bindings.append([_step(step) for step in condition.path])
    if condition.kind == "any":
        test = _is_any(condition.operand, bindings)
    elif condition.kind == "except":
        test = f"jsonb_typeof(e.value) <> 'null' AND NOT {_is_any(condition.operand, bindings)}"
    elif condition.kind == "range":
        test = _in_range(condition.operand, bindings)
    else:
        raise _NotExactError
    return _ELEMENTS.format(column=column, test=test)


def _step(step: object) -> str:
    """A step into an object. The server would take a number for a place in a list."""
    if isinstance(step, str) and _is_storable(step) and not step.lstrip("+- ").isdigit():
        return step
    raise _NotExactError


def _is_storable(text: str) -> bool:
    return "\0" not in text and is_unicode(text)


def _is_any(operands: Sequence[Any], bindings: list[Any]) -> str:
    if len(operands) == 1 and isinstance(operands[0], bool):
        return f"(e.value = '{'true' if operands[0] else 'false'}'::jsonb)"
    if all(isinstance(each, str) for each in operands):
        if not all(map(_is_storable, operands)):
            raise _NotExactError
        bindings.append([*operands])
        return "(jsonb_typeof(e.value) = 'string' AND e.value #>> '{}' = ANY(?::text[]))"
    if not all(abs(each) <= _EXACT for each in operands):
        raise _NotExactError
    bindings.append([*map(str, operands)])
    return "(jsonb_typeof(e.value) = 'number' AND e.value::text = ANY(?::text[]))"


def _in_range(bounds: dict[str, float], bindings: list[Any]) -> str:
    tests = []
    for operator, bound in bounds.items():
        if not abs(bound) < _EXACT:
            raise _NotExactError
        bindings.append(repr(float(bound)))
        tests.append(f"e.value::numeric {_SIGNS[operator]} ?::numeric")
    within = " AND ".join(tests) or "true"
    return f"CASE WHEN jsonb_typeof(e.value) = 'number' THEN {within} ELSE false END"
