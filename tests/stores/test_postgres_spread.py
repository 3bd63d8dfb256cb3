"""The tables of `postgres`, spread by scope: the number of a scope alone decides where a row is.

No cluster can be had here. PostgreSQL's own partitions by a hash ask for the same of the tables
(every unique key has the column), and each statement shows which of them it touches.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest

from isomem import Memory
from tests.facade.conftest import Ticks
from tests.stores import server
from tests.stores.test_postgres import REST, operate

pytestmark = pytest.mark.skipif(bool(server.missing()), reason=server.missing())

SPREAD = ("points", "links")
PARTS = 4
TOUCHES = re.compile(r"\b(FROM|JOIN|UPDATE|USING) (points|links)\b")
BY_SCOPE = re.compile(
    r"\bscope = (%s|\w\.number|\w\.scope)|\bUSING \(scope, seq\)|\(scope, seq\) IN"
    r"|\w\.scope = \w\.scope"
)
"""How a statement says of which scopes the rows are."""
FOR_ALL = {
    "what empties a collection": ("abs(collection) = ", "p.collection = %s"),
    "what indexes its keywords anew": ("payload FROM points WHERE collection = ",),
}
"""Statements that go to every part. The look for the entities of a memory does, too, although it
joins by scope."""


@pytest.fixture
def spread() -> dict[str, Any]:
    """A schema whose large tables are partitioned by scope."""
    section = server.section()
    Memory.from_config({"vector_store": section, **REST}).close()
    schema = section["config"]["schema"]
    for table in SPREAD:
        name = f"{schema}.{table}"
        server.shared().do(
            f"ALTER TABLE {name} RENAME TO whole_{table};"
            f"CREATE TABLE {name} (LIKE {schema}.whole_{table} INCLUDING DEFAULTS"
            " INCLUDING CONSTRAINTS INCLUDING INDEXES) PARTITION BY HASH (scope);"
            + "".join(
                f"CREATE TABLE {name}_{part} PARTITION OF {name}"
                f" FOR VALUES WITH (MODULUS {PARTS}, REMAINDER {part});"
                for part in range(PARTS)
            ),
            "tests",
        )
    return section


def test_every_unique_key_of_what_is_spread_has_the_scope() -> None:
    section = server.section()
    Memory.from_config({"vector_store": section, **REST}).close()
    schema = section["config"]["schema"]
    sql = (
        "SELECT indexdef FROM pg_indexes WHERE indexdef LIKE 'CREATE UNIQUE%'"
        f" AND schemaname = '{schema}' AND tablename IN {SPREAD}"
    )
    keys = [row[0] for row in server.shared().do(sql, "tests")]
    assert len(keys) == len(SPREAD)
    assert all("(scope, " in key for key in keys)
    sql = (
        "SELECT count(*) FROM pg_constraint"
        f" WHERE contype = 'f' AND connamespace = '{schema}'::regnamespace"
    )
    assert server.shared().do(sql, "tests") == [(0,)]


def test_spread_by_scope_it_gives_the_results_of_the_embedded_store(
    spread: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isomem.stores.postgres.transactions import Transaction

    statements: set[str] = set()
    for name in ("rows", "send", "expect"):
        real = getattr(Transaction, name)

        def record(self: Any, sql: str, bindings: Any, real: Any = real) -> Any:
            statements.add(sql)
            return real(self, sql, bindings)

        monkeypatch.setattr(Transaction, name, record)
    embedded = {"provider": "embedded", "config": {"path": str(tmp_path / "memory.db")}}
    ours = Memory.from_config({"vector_store": embedded, **REST}, clock=Ticks())
    theirs = Memory.from_config({"vector_store": spread, **REST}, clock=Ticks())
    for one, other in zip(
        operate(ours, random.Random(11)), operate(theirs, random.Random(11)), strict=True
    ):
        assert other == one
    theirs.close()
    without = {**spread, "config": {**spread["config"], "keyword_search": False}}
    Memory.from_config({"vector_store": without, **REST}).close()
    theirs = Memory.from_config({"vector_store": spread, **REST})  # The keywords are indexed anew.
    touching = [each for each in statements if TOUCHES.search(each)]
    unsaid = [each for each in touching if not BY_SCOPE.search(each)]
    assert len(touching) > 10
    parts = [part for parts in FOR_ALL.values() for part in parts]
    assert [each for each in unsaid if not any(part in each for part in parts)] == []
    schema = spread["config"]["schema"]
    counts = [
        server.shared().do(f"SELECT count(*) FROM {schema}.points_{part}", "tests")[0][0]
        for part in range(PARTS)
    ]
    assert sum(1 for count in counts if count) > 1
    theirs.reset()
    unsaid = [each for each in statements if TOUCHES.search(each) and not BY_SCOPE.search(each)]
    for what, parts in FOR_ALL.items():
        assert any(part in each for each in unsaid for part in parts), what
    ours.close()
    theirs.close()


def test_every_part_is_rewritten(spread: dict[str, Any]) -> None:
    schema = spread["config"]["schema"]
    parts = (
        "SELECT relname, relfilenode FROM pg_class WHERE relkind = 'r' AND relispartition"
        f" AND relnamespace = '{schema}'::regnamespace"
    )
    before = dict(server.shared().do(parts, "tests"))
    memory = Memory.from_config({"vector_store": spread, **REST})
    memory.compact()
    memory.close()
    after = dict(server.shared().do(parts, "tests"))
    assert len(before) == len(SPREAD) * PARTS
    assert all(after[name] != number for name, number in before.items())
