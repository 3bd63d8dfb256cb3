"""What the tests of the service share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from isomem.serve.trail import CALLER

if TYPE_CHECKING:
    from tests.serve.service import Served


@pytest.fixture(autouse=True)
def _nobody_calls() -> None:
    """A test that asks for the view of a key itself leaves it behind as the caller."""
    CALLER.set(None)


@pytest.fixture
def served() -> Iterator[Served]:
    pytest.importorskip("fastapi")
    from tests.serve.service import serving

    with serving() as served:
        yield served
