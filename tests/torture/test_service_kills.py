"""A service that is killed under load loses nothing that was acknowledged, and does nothing twice:
neither a call that was sent again, nor a job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.torture.storage import SOURCE, scaled

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

SHORT, LONG = 5, 375
"""Rounds; on average four processes are killed in three of them."""


def test_kills_lose_no_acknowledged_call_and_no_job_and_do_none_twice(tmp_path: Path) -> None:
    rounds = scaled(SHORT, LONG)
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture.service_kills", str(tmp_path), str(rounds), "1"],
        cwd=SOURCE.parent, env={**os.environ, "PYTHONPATH": f"{SOURCE}:{SOURCE.parent}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-5000:]
    tally = json.loads(done.stdout)
    sys.stdout.write(f"\nservice kill loop: {tally}\n")
    assert tally["kills"] >= rounds
    assert tally["acknowledged"] > rounds
    assert tally["jobs"] > rounds
