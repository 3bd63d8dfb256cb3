"""Functions and classes behave as mem0's on generated values; see `differential` for each."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.oracle
def test_functions_and_configuration_classes_behave_as_mem0s() -> None:
    command = [sys.executable, "-m", "tests.unit.compat.differential"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wrong = json.loads(done.stdout.splitlines()[-1])
    assert len(wrong) > 20
    assert {name: fault for name, fault in wrong.items() if fault} == {}
