"""Runs the checks of `checks_of_values`, which need a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_values_of_configuration_classes_are_those_of_pydantic() -> None:
    checks = Path(__file__).with_name("checks_of_values.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(checks)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
