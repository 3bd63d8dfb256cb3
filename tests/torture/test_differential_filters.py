"""Filters in SQL let the same payloads pass as filters in Python, hostile ones included."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import apsw
import pytest

from isomem.contract.filters import compile_filters, matches
from isomem.store.codec import dump_payload, load_payload
from isomem.store.sql import compile_sql
from tests.torture.storage import scaled

PAIRS = scaled(20_000, 100_000)
PAYLOADS = 25
"""Payloads that each filter is tried on."""

PLAIN_NAMES = ("a", "b", "ab", "a.b", "a b", "A", "$", "[0]", "", "%", "key", "atom", "value")
"""Names that a filter in SQL can have."""

NAMES = (
    "a", "b", "a\0", "a\0b", "ab", "a.b", "a b", "", "$", "$.a", "[0]", "a[0]", "A", "é", "\ue000",
    "a\ue000", "a\ue000b", "a\\", "a\\u0000", "a\\u0000b", "\\ue000", "a'b", "a;--", "%", "_", "-",
    "a\n", "\x7f", "\ud800", "🗼", "user_id", "key", "value", "type", "atom", "payload", "each",
)  # fmt: skip
TEXTS = (
    "", "a", "A", " a", "a ", "a\0", "a\0b", "\0", "\ue000", "a\ue000b", "\\u0000", "a\\u0000b",
    "\\ue000", "a\\ue000b", "null", "true", "1", "1.0", "NaN", "é", "e\u0301", "\ud800", "'", '"',
    "%", "*", "{}", "[]", "[1]", '{"a":1}', "2024-01-01", "🗼", "a\n", "\x7f", "x" * 300,
)  # fmt: skip
INTEGERS = (
    0, 1, -1, 2, 2**31, 2**53 - 1, 2**53, 2**53 + 1, -(2**53), -(2**53) - 1, 2**63 - 1, 2**63,
    -(2**63), -(2**63) - 1, 2**64, 10**30, 10**308, 10**309, 10**400, -(10**400),
)  # fmt: skip
FLOATS = (
    0.0, -0.0, 1.0, -1.0, 0.1, 0.1 + 0.2, 1.5, 2.0**53, 2.0**53 + 2, 1e16, 1e308, 5e-324, -1e308,
    float("nan"), float("inf"), float("-inf"),
)  # fmt: skip


class Pairs:
    """Payloads and filters, drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._pick = self._random.choice
        self._seen: list[Any] = [0]

    def payload(self) -> dict[str, Any]:
        names = (self._name() for _ in range(self._random.randrange(6)))
        return {name: self._value(3) for name in names}

    def _name(self) -> str:
        return self._pick(NAMES[:4]) if self._random.random() < 0.7 else self._pick(NAMES)

    def _value(self, depth: int) -> Any:
        kind = self._random.randrange(8 if depth else 6)
        if kind == 6:
            return [self._value(depth - 1) for _ in range(self._random.randrange(4))]
        if kind == 7:
            return {self._name(): self._value(depth - 1) for _ in range(self._random.randrange(4))}
        value = self._pick((None, True, False) if kind == 0 else self._scalars(kind))
        if isinstance(value, (str, int)):
            self._seen.append(value)
        return value

    def _scalars(self, kind: int) -> tuple[Any, ...]:
        return (TEXTS, TEXTS, INTEGERS, INTEGERS, FLOATS)[kind - 1]

    def filters(self, depth: int = 3) -> dict[str, Any]:
        made = {self._key(): self._condition() for _ in range(self._random.randrange(1, 3))}
        if depth and self._random.random() < 0.5:
            group = self._pick(("AND", "OR", "NOT", "$and", "$or", "$not"))
            made[group] = [self.filters(depth - 1) for _ in range(self._random.randrange(1, 4))]
        return made

    def _key(self) -> str:
        return ".".join(self._step() for _ in range(self._pick((1, 1, 1, 1, 1, 2, 3))))

    def _step(self) -> str:
        usual = self._pick((PLAIN_NAMES[:2], PLAIN_NAMES))
        name = self._pick(usual if self._random.random() < 0.95 else NAMES)
        plain = name.isascii() and name.isidentifier()
        suffix = self._pick(("[]", "[0]")) if self._random.random() < 0.05 else ""
        return name + suffix if plain else f'"{name}"'

    def _condition(self) -> Any:
        kind = self._random.randrange(16)
        values = self._pick((TEXTS, INTEGERS[:9], INTEGERS))
        if kind < 6:
            return self._pick(self._pick((values, self._seen, self._seen, (True, False))))
        if kind < 9:
            listed = [self._pick(values) for _ in range(self._random.randrange(4))]
            return listed if kind < 8 else {self._pick(("in", "in", "in", "nin")): listed}
        if kind == 9:
            return {self._pick(("eq", "eq", "eq", "ne")): self._pick(values)}
        bounds = self._pick(((*INTEGERS[:9], *FLOATS[:8]), (*INTEGERS[:17], *FLOATS, None)))
        operators = self._random.sample(("gt", "gte", "lt", "lte"), self._pick((1, 1, 2)))
        return {operator: self._pick(bounds) for operator in operators}


@pytest.fixture
def table() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE points (number INTEGER PRIMARY KEY, payload TEXT NOT NULL)")
    yield connection
    connection.close()


def fill(table: apsw.Connection, texts: list[str]) -> None:
    table.execute("DELETE FROM points")
    table.executemany("INSERT INTO points VALUES (?, ?)", enumerate(texts))


def passing(table: apsw.Connection, where: str, bindings: list[Any]) -> set[int]:
    return {row[0] for row in table.execute(f"SELECT number FROM points WHERE {where}", bindings)}


def test_sql_and_python_let_the_same_payloads_pass(table: apsw.Connection) -> None:
    """On at least `PAIRS` pairs that are decided in SQL; others are decided in Python alone."""
    compared = seed = found = 0
    while compared < PAIRS:
        pairs = Pairs(seed)
        texts = [dump_payload(pairs.payload()) for _ in range(PAYLOADS)]
        payloads = [load_payload(text) for text in texts]
        fill(table, texts)
        for _ in range(20):
            filters = pairs.filters()
            group = compile_filters(filters)
            compiled = compile_sql(group) if group else None
            if group is None or compiled is None:
                continue
            expected = {n for n, payload in enumerate(payloads) if matches(group, payload)}
            assert passing(table, *compiled) == expected, (seed, filters)
            compared += PAYLOADS
            found += 0 < len(expected) < PAYLOADS
        seed += 1
    assert found * PAYLOADS > PAIRS / 20, "too few filters that divide the payloads"
    assert seed < PAIRS / 20, "too few filters are decided in SQL"


@pytest.mark.parametrize(
    ("payload", "filters"),
    [
        ({"a\0b": 1}, {"a": 1}),
        ({"a\0": 1, "a": 2}, {"a": 2}),
        ({"a\0b": 1, "a": 2}, {"a": {"gt": 0, "lt": 2}}),
        ({"x": {"a\0": 1}}, {"x.a": 1}),
        ({"a": "\\u0000"}, {"a": "\\u0000"}),
        ({"a": "\0"}, {"a": "\ue000"}),
        ({"a": float("nan")}, {"a": {"lte": None}}),
        ({"a": float("nan")}, {"a": {"gte": None, "lt": 5}}),
        ({"a": 10**400}, {"a": {"gt": 5}}),
        ({"a": 10**400}, {"a": 10**400}),
    ],
    ids=repr,
)
def test_pairs_that_differed_once(
    table: apsw.Connection, payload: dict[str, Any], filters: dict[str, Any]
) -> None:
    group = compile_filters(filters)
    assert group is not None
    fill(table, [dump_payload(payload)])
    compiled = compile_sql(group)
    in_python = matches(group, load_payload(dump_payload(payload)))
    assert compiled is None or (passing(table, *compiled) == {0}) == in_python
