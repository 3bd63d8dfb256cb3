"""What the tests of the service share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.serve.service import Served


@pytest.fixture
def served() -> Iterator[Served]:
    pytest.importorskip("fastapi")
    from tests.serve.service import serving

    with serving() as served:
        yield served
