from __future__ import annotations

import pytest

from tests.unit.providers.servers import clean_environment


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(monkeypatch)
