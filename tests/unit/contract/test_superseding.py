"""Which memories a new fact may make stale, and what a model sees of them."""

from __future__ import annotations

from typing import Any

import pytest

from isomem.contract.superseding import as_shown, may_be_stale

NEW = {"data": "Ana lives in Lisbon", "created_at": "2025-03-05T10:00:00+00:00"}


def stored(**fields: Any) -> dict[str, Any]:
    return {"data": "Ana lives in Berlin", "created_at": "2025-03-01T10:00:00+00:00", **fields}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"created_at": "2025-03-05T10:00:00+00:00"}, True),
        ({"created_at": "2025-03-05T10:00:01+00:00"}, False),
        ({"event_time": "2025-04-01T00:00:00+00:00"}, False),
        ({"event_time": "soon"}, True),  # As everywhere: then the time of storage counts.
        ({"event_time": "soon", "created_at": "later"}, False),
        ({"created_at": "2025-03-05T12:00:00+03:00"}, True),
        ({"role": "user"}, False),
        ({"memory_type": "procedural_memory"}, False),
        ({"data": 5}, False),
    ],
)
def test_a_fact_that_was_known_before_may_be_stale(fields: dict[str, Any], expected: bool) -> None:
    assert may_be_stale(stored(**fields), NEW) is expected


@pytest.mark.parametrize(
    ("fields", "day"),
    [
        ({}, "2025-03-01"),
        ({"event_time": "2024-12-31T23:30:00+00:00"}, "2024-12-31"),
        ({"event_time": "soon"}, "2025-03-01"),
        ({"created_at": "2025-03-01T01:00:00+03:00"}, "2025-02-28"),
        ({"created_at": None}, ""),
    ],
)
def test_a_model_sees_the_day_of_a_fact(fields: dict[str, Any], day: str) -> None:
    assert as_shown(stored(**fields)) == (day, "Ana lives in Berlin")
