"""Proof that isomem is the same memory: both implementations, run through the same scripts.

`run_files` compares isomem with an installed mem0ai 2.0.4 on scenario files; `isomem parity FILE`
and `python -m isomem_parity FILE` are its command lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isomem_parity.report import Report

__all__ = ["main", "run_files"]


def run_files(
    paths: Iterable[str | Path],
    *,
    tier: str = "A",
    classes: tuple[str, ...] = ("sync", "async"),
    report_dir: str | Path | None = None,
) -> Report:
    """Compare isomem with upstream on scenario files or folders of them.

    Args:
        paths: files, or folders to search for `*.json`.
        tier: "A" (upstream alone), "B" (with fastembed) or "C" (with fastembed and spaCy).
        classes: "sync" for `Memory`, "async" for `AsyncMemory`.
        report_dir: where to write `parity.txt`, `parity.json` and `parity.html`.

    Raises:
        ParityError: mem0ai 2.0.4, or what the tier needs, is not installed.
        ScriptError: a scenario file is not valid.
    """
    from isomem_parity.run import run_files as run

    return run(paths, tier=tier, classes=classes, report_dir=report_dir)


def main(argv: list[str] | None = None) -> int:
    """The command line; 0 if there is no difference, 1 if there is one, 2 if it cannot run."""
    from isomem_parity.run import main as run

    return run(argv)
