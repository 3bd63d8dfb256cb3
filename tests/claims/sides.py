"""The two implementations that every claim in this folder is checked on.

A file says once how isomem and how mem0 are asked, and names the two ways `Ours` and `Theirs`;
`both` makes a fixture of them, so that one test is run on each. What is claimed stands in the
test, in absolute terms: a claim that is true of one side only fails on the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.unit.store.fuzz import examples as for_store

ON_MEM0 = [
    pytest.mark.oracle,
    # What upstream and its dependencies deprecate or leave open is theirs.
    pytest.mark.filterwarnings("ignore"),
]


def both(ours: Callable[[], Any], theirs: Callable[[], Any], *, marks: Any = ()) -> Any:
    """A fixture that is `ours()`, then `theirs()` with upstream loaded, quiet and offline.

    Args:
        marks: of the test on isomem's side, when that side needs more than isomem.
    """

    @pytest.fixture(
        params=[
            pytest.param(ours, id="isomem", marks=marks),
            pytest.param(theirs, id="mem0", marks=ON_MEM0),
        ]
    )
    def side(request: pytest.FixtureRequest) -> Any:
        if request.param is theirs:
            request.getfixturevalue("oracle")
        return request.param()

    return side


def examples(number: int) -> settings:
    """Settings of a property. The side is the same for all examples, and keeps nothing."""
    return settings(
        for_store(number),
        suppress_health_check=[*HealthCheck],
    )
