"""The scenarios once more, with mem0 over its own class for pgvector, and isomem over its own store
for it, on one real server.

`make engines` runs all of them in every tier; here are those of a few areas.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from isomem_parity.lockstep import Difference
from isomem_parity.script import Script
from tests.parity.engines import check, run, scenarios
from tests.stores import server
from tests.stores.pgvector_sides import OverPgvector, TheirsOverPgvector

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(bool(server.without_pgvector()), reason=server.without_pgvector()),
]

AREAS = ("dedup",)
OWN = ("filters", "errors")
"""Areas in which isomem does on every store what mem0 does on its default one. mem0's class for
pgvector reads filters in its own way, checks fewer arguments, and raises as its driver does."""
FILTERS = ("ids_in_groups", "star_is_an_id", "fifty_steps", "expiration_date_in_metadata")
ARGUMENTS = ("top_k_zero", "order_of_get_all", "unknown_id")
"""Scenarios of other areas with such filters, and with such arguments."""
ORDERS = (
    "delete_all_beyond_a_hundred", "delete_all_of_exactly_a_hundred",
    "ties_across_scopes", "ties_after_reopening",
)  # fmt: skip
"""Scenarios whose outcome depends on an order that SQL leaves open: which of many memories are
listed first, and which of several entities with the same vector is the nearest."""
ODD = ("odd_characters", "json_and_non_ascii", "types_of_roles_and_names", "unicode_and_long_text")
"""Scenarios with characters that JSONB cannot hold: isomem says so before it stores anything."""
NAN = ("zero_vector",)
"""The server has no distance from a vector of zeros; mem0 shows such memories, scored NaN."""
_ROW = re.compile(r"history\.\d+\.\w+")
EXPECTED = {*FILTERS, *ARGUMENTS, *ORDERS, *ODD, *NAN}


def is_expected(found: Difference) -> bool:
    """JSONB has an order of keys of its own, which the rulings on scripts do not know."""
    is_listed = found.area in OWN or found.title in EXPECTED
    return is_listed or found.path.endswith("(key order)")


def reordered(differences: Sequence[Difference]) -> list[Difference]:
    """Those that only say that a `delete_all` wrote its history rows in another order.

    mem0 removes memories in the order in which the server lists them, which SQL leaves open, and in
    the class `AsyncMemory` in several threads at once.
    """
    calls: dict[int, list[Difference]] = {}
    for each in differences:
        if each.op == "delete_all" and _ROW.fullmatch(each.path):
            calls.setdefault(each.step, []).append(each)
    return [each for some in calls.values() if _are_the_same_rows(some) for each in some]


def _are_the_same_rows(some: Sequence[Difference]) -> bool:
    theirs, ours = _by_memory(some, "upstream"), _by_memory(some, "ours")
    return theirs.keys() == ours.keys() and all(
        row[field] == ours[memory][field]
        for memory, row in theirs.items()
        for field in row.keys() & ours[memory].keys()
    )


def _by_memory(some: Sequence[Difference], side: str) -> dict[Any, dict[str, Any]]:
    """What is known of one side's rows, by the ids of their memories."""
    rows: dict[str, dict[str, Any]] = {}
    for each in some:
        _, number, field = each.path.split(".")
        rows.setdefault(number, {})[field] = getattr(each, side)
    return {row.get("memory_id"): row for row in rows.values()}


@pytest.mark.usefixtures("oracle")
@scenarios(AREAS)
def test_over_pgvector_it_is_the_same_memory(script: Script, kind: str, tier: str) -> None:
    sides = {"make_ours": OverPgvector, "make_theirs": TheirsOverPgvector}
    outcome = run(script, kind, tier, **sides)
    others = reordered(outcome.differences)
    check(outcome, lambda found: found in others or is_expected(found))


def test_rows_in_another_order_are_told_from_other_rows() -> None:
    def differences(*rows: tuple[int, str, Any, Any]) -> list[Difference]:
        where = ("delete", "some", "sync", "A", 4, "delete_all")
        return [Difference(*where, f"history.{n}.{field}", *both) for n, field, *both in rows]

    ids = [(5, "memory_id", "$m1", "$m2"), (6, "memory_id", "$m2", "$m1")]
    same = differences(*ids, (5, "role", "user", None), (6, "role", None, "user"))
    assert reordered(same) == same
    assert reordered(differences(*ids, (5, "role", "user", None), (6, "role", None, "bot"))) == []
    assert reordered(differences(*ids[:1])) == []
    assert reordered(differences((5, "role", "user", None), (6, "role", None, "user"))) == []
