"""Labelling: the teacher's vectors of all sentences, in blocks that survive an interruption."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models.teacher import Teacher

BLOCK = 8192
"""Sentences in a block."""

_teacher: Teacher | None = None


def label(texts: Sequence[str], folder: Path, downloads: Path, half: bool, jobs: int) -> None:
    """Writes the vectors of the texts, float16, as one file per block; existing files are kept.

    Args:
        texts: to be labelled.
        folder: for the blocks; it is for these texts, and another one for other texts.
        downloads: the folder of the packages.
        half: the teacher computes in bfloat16.
        jobs: processes, each with one thread.
    """
    folder.mkdir(parents=True, exist_ok=True)
    todo = []
    for number, at in enumerate(range(0, len(texts), BLOCK)):
        block = list(texts[at : at + BLOCK])
        path = folder / f"{number:04d}-{_digest(block)}.npy"
        if not path.exists():
            todo.append((block, path))
    with ProcessPoolExecutor(jobs, get_context("spawn"), _start, (downloads, half)) as pool:
        for _ in pool.map(_label, *zip(*todo, strict=True)) if todo else ():
            pass


def read(texts: Sequence[str], folder: Path) -> npt.NDArray[np.float16]:
    """The vectors of the texts that were labelled; all of them, or the first ones."""
    blocks = []
    for number, at in enumerate(range(0, len(texts), BLOCK)):
        path = folder / f"{number:04d}-{_digest(texts[at : at + BLOCK])}.npy"
        if not path.exists():
            break
        blocks.append(np.load(path))
    return np.concatenate(blocks)


def _start(downloads: Path, half: bool) -> None:
    global _teacher
    torch.set_num_threads(1)
    _teacher = Teacher(downloads, half)


def _label(texts: list[str], path: Path) -> None:
    assert _teacher is not None
    vectors = _teacher.encode(texts).astype(np.float16)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.save(file, vectors)
    part.replace(path)


def _digest(texts: Sequence[str]) -> str:
    return hashlib.blake2b("\n".join(texts).encode("utf-8"), digest_size=6).hexdigest()
