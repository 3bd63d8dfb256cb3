"""What was acknowledged survives `kill -9` at any moment; of a call that was cut off all or nothing
is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.torture.storage import SOURCE, scaled

SHORT, LONG = 100, 7000
"""Rounds; on average one and a half processes are killed in each."""


def test_kills_at_random_moments_lose_nothing_and_leave_nothing_half_done(tmp_path: Path) -> None:
    rounds = scaled(SHORT, LONG)
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture.kills", str(tmp_path), str(rounds), "1"],
        cwd=SOURCE.parent, env={"PYTHONPATH": f"{SOURCE}:{SOURCE.parent}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-5000:]
    tally = json.loads(done.stdout)
    sys.stdout.write(f"\nkill loop: {tally}\n")
    assert tally["kills"] >= rounds
    assert tally["acknowledged"] > rounds
    cut_off = {name.split(":")[0] for name in tally if ":" in name}
    assert len(cut_off) >= 4, "hardly any call was cut off: the moments are badly chosen"
