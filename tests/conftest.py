"""Nothing a test does touches the real home folder, and nothing is reported to anyone.

This runs before anything imports upstream, which reads these variables when imported.
"""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import isomem  # noqa: F401  whole, before build_support puts a hollow one in its place
from tests.unit.store.fuzz import examples

settings.register_profile("isomem", parent=examples(100))
settings.load_profile("isomem")

_REAL_HOME = os.environ.get("HOME", "")
_HOME = tempfile.mkdtemp(prefix="isomem-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

# A developer's own settings and keys must not change what a test sees or whom it calls.
# How long a test goes on is not among them.
_OWN = [name for name in os.environ if name.startswith("ISOMEM_") and name != "ISOMEM_TORTURE"]
for _name in [*_OWN, "OPENAI_API_KEY"]:
    os.environ.pop(_name, None)
os.environ.update(HOME=_HOME, MEM0_DIR=str(Path(_HOME, ".mem0")), MEM0_TELEMETRY="False")


def pytest_collection() -> None:
    """Nearly all that collection makes stays, and looking for garbage in it took a third of it."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Some tests collect garbage: they need not look at thousands of other tests each time."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def few_objects() -> None:
    """For a module whose tests collect garbage: what is there before them is not looked at.

    Tests import large packages, and going through all that takes a tenth of a second each time.
    """
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What tortures the store is slow, whatever else it is."""
    for item in items:
        if "torture" in item.path.parts:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def real_home() -> str:
    """For child processes that need the person's own settings, such as pip's."""
    return _REAL_HOME


@pytest.fixture
def oracle() -> Iterator[None]:
    """Upstream, loaded; no log lines of expected failures, no network."""
    from isomem_parity import tiers

    lacking = tiers.missing("A")
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    from isomem_parity.upstream import load, quiet_and_offline

    load()
    with quiet_and_offline():
        yield
