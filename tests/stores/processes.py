"""Servers of tests: each is a process with a folder of its own."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

LIMIT_S = 120


def started(
    command: Sequence[str | Path], folder: Path, answers: Callable[[], bool], **options: Any
) -> subprocess.Popen[bytes]:
    """A process that answers; what it writes goes to `log` in its folder.

    Args:
        answers: asks it.
        options: of `subprocess.Popen`.

    Raises:
        RuntimeError: it has ended, or does not answer; with the end of its log.
    """
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **options)
    try:
        deadline = time.monotonic() + LIMIT_S
        while not answers():
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError((folder / "log").read_text()[-2000:])
            time.sleep(0.02)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process


class ServerProcess:
    """A server that can be killed, and started again on the same files.

    Args:
        folder: for its files; it is removed at the end.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """Kills it: nothing of it is left but its files."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Kills it, and removes its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop_at_exit(self) -> None:
        """Stops it when this process ends, and not when a child does."""
        owner = os.getpid()
        atexit.register(lambda: self.stop() if os.getpid() == owner else None)
