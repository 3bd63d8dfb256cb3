"""What the tests of the benchmark share."""

from __future__ import annotations

from typing import Any

import pytest

from bench.plan import Result


class Made:
    """Results as workers would give them."""

    def __init__(self) -> None:
        self.results: list[Result] = []

    def add(
        self, number: int, system: str, *, case: str = "2,000 memories", **figures: Any
    ) -> None:
        row = {"workload": "article", "case": case, "system": system, "script": "article"}
        self.results.append({**row, "round": number, "took_s": 0.1, "figures": figures})


@pytest.fixture
def made() -> Made:
    return Made()
