"""The table in eight bits: a scale and whole numbers for each token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

LARGEST = 127


@dataclass(frozen=True)
class Table:
    """Rows of small whole numbers.

    Attributes:
        rows: int8, tokens x dimensions.
        scales: float32, one for each token; a row times its scale is the token's vector.
        tokens: in the order of their ids.
    """

    rows: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    tokens: list[str]

    @staticmethod
    def of(vectors: npt.NDArray[np.float64], tokenizer: Tokenizer) -> Table:
        """Rounds the vectors, so that the largest number of each becomes 127."""
        scales = (np.abs(vectors).max(1) / LARGEST).astype(np.float32)
        steps = np.where(scales > 0, scales, 1).astype(np.float64)[:, None]
        rows = np.clip(np.rint(vectors / steps), -LARGEST, LARGEST).astype(np.int8)
        tokens = [str(tokenizer.id_to_token(index)) for index in range(len(vectors))]
        return Table(rows, scales, tokens)

    def vectors(self) -> npt.NDArray[np.float32]:
        """The tokens' vectors, tokens x dimensions."""
        return self.rows * self.scales[:, None]

    def save(self, path: Path) -> None:
        """Writes the table as an ``npz`` file."""
        np.savez(path, rows=self.rows, scales=self.scales, tokens=np.array(self.tokens))


class Encoder:
    """Unit vectors of texts: the sums of their tokens' vectors, made one long.

    Args:
        vectors: of the tokens.
        tokenizer: the teacher's.
    """

    def __init__(self, vectors: npt.NDArray[np.floating], tokenizer: Tokenizer) -> None:
        self._vectors, self._tokenizer = vectors, tokenizer

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """One row for each text; zeros for a text without tokens."""
        found = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        sums = np.stack([self._vectors[each.ids].sum(0) for each in found])
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return (sums / np.maximum(lengths, 1e-12)).astype(np.float32)
