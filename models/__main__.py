"""Makes the table from nothing: downloads, labels, solves, tunes, rounds, packs and measures.

Usage::

    python -m models                       # everything; what is labelled already is kept
    python -m models --locomo DATA_DIR     # measures recall, too
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from models import evaluate
from models.corpus import PARTS, sentences
from models.labels import label, read
from models.names import SHARE, first_names
from models.pack import pack
from models.solve import Normal, counts
from models.sources import SOURCES, fetch
from models.table import Encoder, Table
from models.teacher import Teacher, tokenizer
from models.tune import Texts, tune

HERE = Path(__file__).parent
NAME = "isomem-english-1"
WIDTH = 256
RIDGE = 0.1
NOTES = {
    "source": "distilled from sentence-transformers/all-MiniLM-L6-v2",
    "license": "Apache-2.0",
    "dimensions": "ordered, strongest first",
}

Vectors = npt.NDArray[np.float64]


class Recipe:
    """The steps, each on what the ones before it left in the folder.

    Args:
        folder: for downloads, labels and the result.
        half: the teacher computes in bfloat16.
        jobs: processes that label.
    """

    def __init__(self, folder: Path, half: bool, jobs: int) -> None:
        self._folder, self._downloads = folder, folder / "downloads"
        self._half, self._jobs = half, jobs
        self._started = time.monotonic()

    def run(self) -> tuple[Table, Tokenizer]:
        """All steps up to the rounded table."""
        for source in SOURCES:
            fetch(source, self._downloads)
        words = tokenizer(self._downloads)
        torch.set_num_threads(1)  # more of them add up in another order
        parts = {part: self._labelled(part) for part in PARTS}
        self._say("labelled", sum(len(texts) for texts, _ in parts.values()))
        normal = sum_up(Normal.of(counts(texts, words), labels) for texts, labels in parts.values())
        directions = normal.directions(WIDTH)
        rows = normal.solve(self._alone(words), directions, RIDGE)
        self._say("solved")
        texts = [text for some, _ in parts.values() for text in some]
        labels = np.concatenate([some for _, some in parts.values()])
        rows = tune(rows, directions, Texts(texts, labels, words))
        rows[first_names(self._downloads, words)] *= SHARE
        self._say("tuned")
        return Table.of(rows, words), words

    def _labelled(self, part: str) -> tuple[list[str], npt.NDArray[np.float16]]:
        path = self._folder / f"{part}.json"
        if not path.exists():
            path.write_text(json.dumps(sentences(part, self._downloads)), "utf-8")
        texts: list[str] = json.loads(path.read_text("utf-8"))
        folder = self._folder / "labels" / part
        label(texts, folder, self._downloads, self._half, self._jobs)
        self._say(part, len(texts))
        return texts, read(texts, folder)

    def _alone(self, words: Tokenizer) -> Vectors:
        """The teacher's vectors of the tokens alone."""
        teacher = Teacher(self._downloads, self._half)
        return teacher.encode_tokens(range(words.get_vocab_size())).astype(np.float64)

    def _say(self, *words: object) -> None:
        print(f"{time.monotonic() - self._started:7.0f} s", *words, flush=True)


def sum_up(parts: Iterator[Normal]) -> Normal:
    """The normal equations of all parts together."""
    total = next(parts)
    for part in parts:
        total = total + part
    return total


def figures(folder: Path, table: Table, words: Tokenizer) -> dict[str, list[float]]:
    """Recall at 1, 5 and 10 by vectors alone, of the whole vectors and of their first numbers."""
    result = {}
    for width in (WIDTH, 128, 64):
        encode = Encoder(table.vectors()[:, :width], words)
        for memories in evaluate.MEMORIES:
            found = evaluate.recall(folder, memories, encode)["all"]
            result[f"{memories}, {width} dimensions"] = [round(share, 3) for share in found]
    return result


def main() -> None:
    """Runs the recipe and says whether it gave what is recorded."""
    options = _options()
    recipe = Recipe(options.folder, options.precision == "bfloat16", options.jobs)
    table, words = recipe.run()
    table.save(options.folder / "table.npz")
    path = options.folder / f"{NAME}.safetensors"
    rows, scales = table.rows.tobytes(), table.scales.tolist()
    digest = pack(path, name=NAME, tokens=table.tokens, rows=rows, scales=scales, notes=NOTES)
    print(f"{path}: {path.stat().st_size} bytes, SHA-256 {digest}")
    recorded = json.loads((HERE / "recorded.json").read_text("utf-8"))
    print("as recorded" if digest == recorded["sha256"] else f"recorded: {recorded['sha256']}")
    if options.locomo:
        found = figures(options.locomo, table, words)
        print(json.dumps(found, indent=2))
        _compare(found, recorded["recall"], recorded["bound"])


def _compare(found: dict[str, list[float]], recorded: dict[str, list[float]], bound: float) -> None:
    """Fails if a figure is further from the recorded one than the bound."""
    far = {
        name: row
        for name, row in found.items()
        if any(abs(a - b) > bound for a, b in zip(row, recorded[name], strict=True))
    }
    if far:
        raise SystemExit(f"further than {bound} from what is recorded: {far}")
    print(f"figures are within {bound} of those recorded")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models", description="Makes the table.")
    parser.add_argument("--folder", type=Path, default=HERE / "build")
    parser.add_argument("--locomo", type=Path, metavar="DATA_DIR")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default="bfloat16")
    return parser.parse_args()


if __name__ == "__main__":
    main()
