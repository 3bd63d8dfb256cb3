"""Programs that run in a process of their own, since there can be one `mem0` in each."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

WITH_COMPAT = "import isomem.compat\n"


def run(program: str, *arguments: str, warnings: str = "error") -> subprocess.CompletedProcess[str]:
    """Runs Python code; `warnings` is what happens to those."""
    source = textwrap.dedent(program)
    command = [sys.executable, "-W", warnings, "-c", source, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def printed(program: str, **options: str) -> str:
    """What a program prints; it must not fail."""
    done = run(program, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(program: str, **options: str) -> Any:
    """What a program prints, as JSON."""
    return json.loads(printed(program, **options))
