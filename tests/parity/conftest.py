"""What the parity tests share: whether the oracle is here, and a quiet, offline run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from isomem.parity import tiers


@pytest.fixture
def oracle() -> Iterator[None]:
    """Upstream, loaded; no log lines of expected failures, no network."""
    lacking = tiers.missing("A")
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    from isomem.parity.upstream import load, quiet_and_offline

    load()
    with quiet_and_offline():
        yield
