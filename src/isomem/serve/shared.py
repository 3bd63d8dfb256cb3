"""What the processes of a service share beside its files: a folder, as long as they run.

It is beside the file of keys, with the tokens of the rate limits and the counts for Prometheus.
Several services may have one each beside the same file, also from containers that share a volume:
there, the number of a process says nothing. A folder is in use as long as somebody has locked the
file `LOCK` in it; the kernel ends the lock with the process, however that ends.
"""

from __future__ import annotations

import glob
import os
import shutil
import sys
from contextlib import contextmanager
from tempfile import mkdtemp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

COUNTS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that tells `prometheus_client`, when it is imported, where processes have counts."""

LIMITS = "limits.sqlite"
"""The file of the tokens. `prometheus_client` takes each `.db` in the folder for its own."""

LOCK = "lock"
"""The file whose lock says that a folder is in use."""

_NAMED = "-workers-"


@contextmanager
def shared_folder(state_path: str) -> Iterator[str]:
    """A block with a folder that new processes have in common. Those of dead services are removed.

    Args:
        state_path: the file of keys, which it is beside.
    """
    remove_leftovers(state_path)
    folder, lock = _made(state_path)
    os.environ[COUNTS] = folder
    try:
        yield folder
    finally:
        os.environ.pop(COUNTS, None)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def folders_of(state_path: str) -> list[str]:
    """The folders beside a file of keys, of services that run or ran."""
    return glob.glob(f"{glob.escape(os.path.abspath(state_path))}{_NAMED}*")


def remove_leftovers(state_path: str) -> None:
    """Removes the folders beside a file of keys that nobody has locked.

    Without locks, as on Windows, nobody knows which these are, and all stay.
    """
    for folder in folders_of(state_path):
        try:
            lock = os.open(os.path.join(folder, LOCK), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:  # It is gone already, or belongs to somebody else.
            continue
        try:
            if _locked_alone(lock):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _made(state_path: str) -> tuple[str, int]:
    """A new folder, which only its owner can look into, and its lock."""
    where, name = os.path.split(os.path.abspath(state_path))
    while True:
        folder = mkdtemp(prefix=f"{name}{_NAMED}", dir=where)
        try:
            return folder, hold(folder)
        except FileNotFoundError:  # A service that starts now took it for a leftover.
            continue


def hold(folder: str) -> int:
    """Keeps a folder as long as this process runs, or until what is returned is closed.

    Raises:
        FileNotFoundError: it is gone.
    """
    path = os.path.join(folder, LOCK)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(lock)
        if not os.path.samestat(os.fstat(lock), os.stat(path)):
            raise FileNotFoundError(path)
    except BaseException:
        os.close(lock)
        raise
    return lock


if sys.platform == "win32":

    def _lock(file: int) -> None:
        """Locks nothing."""
        del file

    def _locked_alone(file: int) -> bool:
        """Nobody knows who else has it."""
        del file
        return False

else:
    import fcntl

    def _lock(file: int) -> None:
        """Locks a file, beside others who do the same."""
        fcntl.flock(file, fcntl.LOCK_SH)

    def _locked_alone(file: int) -> bool:
        """Locks a file if nobody else has. Whether nobody had."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


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
