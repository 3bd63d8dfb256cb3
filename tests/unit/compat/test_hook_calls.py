"""Private methods get the arguments that mem0 2.0.4 gives them, after the same checks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


def noted(*arguments: str) -> Any:
    command = [sys.executable, "-W", "ignore", "-m", "tests.unit.compat.hooked", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.oracle
def test_each_hook_gets_the_arguments_that_mem0_gives_it() -> None:
    theirs, ours = noted(), noted("isomem")
    assert {each[0] for each in theirs} >= {"refused", "_create_procedural_memory"}
    assert sum(each[0] == "refused" for each in theirs) > 12
    assert ours == theirs
