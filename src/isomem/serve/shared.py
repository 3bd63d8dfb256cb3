"""What the processes of a service share beside its files: a folder, as long as they run.

It is beside the file of keys, with the tokens of the rate limits and the counts for Prometheus.
"""

from __future__ import annotations

import glob
import os
import shutil
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

COUNTS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that tells `prometheus_client`, when it is imported, where processes have counts."""

LIMITS = "limits.sqlite"
"""The file of the tokens. `prometheus_client` takes each `.db` in the folder for its own."""

_NAMED = "-workers-"


@contextmanager
def shared_folder(state_path: str) -> Iterator[str]:
    """A block with a folder that new processes have in common. Those of dead services are removed.

    Args:
        state_path: the file of keys, which it is beside.
    """
    for each in glob.glob(f"{glob.escape(state_path)}{_NAMED}*"):
        pid = each.rpartition("-")[2]
        if not pid.isdigit() or int(pid) == os.getpid() or not is_alive(int(pid)):
            shutil.rmtree(each, ignore_errors=True)
    folder = f"{os.path.abspath(state_path)}{_NAMED}{os.getpid()}"
    os.mkdir(folder, mode=0o700)
    os.environ[COUNTS] = folder
    try:
        yield folder
    finally:
        del os.environ[COUNTS]
        shutil.rmtree(folder, ignore_errors=True)


def is_alive(pid: int) -> bool:
    """Whether there is a process with that number."""
    if os.name == "nt":  # There, a signal is never only a question.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
