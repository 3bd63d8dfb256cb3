"""Source trees of other revisions."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.check.counting import CheckError

ROOT = Path(__file__).resolve().parents[2]
PINNED = Path("src/isomem/prompts/pinned")


@contextmanager
def tree_of(revision: str, *, is_compiled: bool) -> Iterator[Path]:
    """The sources of a revision in a work tree of its own, which is removed afterwards.

    Args:
        revision: as git names one.
        is_compiled: whether its kernel is compiled.

    Raises:
        CheckError: there is no such revision, or it cannot be built.
    """
    if not (ROOT / PINNED).is_dir():
        raise CheckError("the prompts are not built here yet: `make bench-check` builds them")
    with tempfile.TemporaryDirectory(prefix="isomem-tree-") as name:
        folder = Path(name) / "tree"
        _run(["git", "worktree", "add", "--detach", str(folder), revision], ROOT)
        try:
            shutil.copytree(ROOT / PINNED, folder / PINNED, dirs_exist_ok=True)
            if is_compiled:
                _run([sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"], folder)
            yield folder / "src"
        finally:
            _run(["git", "worktree", "remove", "--force", str(folder)], ROOT)


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise CheckError(f"{command[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        words = " ".join(command)
        raise CheckError(f"{words}: {(error.stderr or error.stdout).strip()[-2000:]}") from None
