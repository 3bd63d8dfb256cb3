"""The table as the solution of one linear problem.

A text's vector is the mean of its tokens' rows. The rows sought are those whose means come closest,
in the sum of squares, to the teacher's vectors of the texts, projected to the strongest directions.
How much a token counts is the length of its row, and so is learned, too. A token is drawn towards
what the teacher makes of it alone: the more so, the less the texts say about it. This is ridge
regression around a prior; its normal equations are solved by conjugate gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from tokenizers import Tokenizer

Matrix = npt.NDArray[np.float64]
Half = npt.NDArray[np.float16]

STEPS = 15
"""Of the conjugate gradients; ten more change no figure."""


def counts(texts: Sequence[str], tokenizer: Tokenizer) -> sparse.csr_array:
    """One row for each text, one column for each token: its share of the text's tokens."""
    ids = [each.ids for each in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
    starts = np.cumsum([0, *map(len, ids)])
    columns = np.fromiter((token for each in ids for token in each), np.int32, int(starts[-1]))
    shares = np.repeat(1 / np.maximum(np.diff(starts), 1), np.diff(starts))
    shape = (len(texts), tokenizer.get_vocab_size())
    result = sparse.csr_array((shares, columns, starts), shape=shape)
    result.sum_duplicates()
    return result


@dataclass
class Normal:
    """The normal equations, summed up over parts of the corpus.

    Attributes:
        gram: products of the tokens' columns, tokens x tokens.
        target: products of the tokens' columns with the labels, tokens x the teacher's width.
        spread: products of the labels, for their principal directions.
        texts: how many there were.
    """

    gram: sparse.csr_array
    target: Matrix
    spread: Matrix
    texts: int

    @staticmethod
    def of(shares: sparse.csr_array, labels: Half) -> Normal:
        """Those of some texts."""
        exact = labels.astype(np.float64)
        gram = sparse.csr_array(shares.T @ shares)
        return Normal(gram, shares.T @ exact, exact.T @ exact, len(labels))

    def __add__(self, other: Normal) -> Normal:
        return Normal(
            sparse.csr_array(self.gram + other.gram),
            self.target + other.target,
            self.spread + other.spread,
            self.texts + other.texts,
        )

    def directions(self, width: int) -> Matrix:
        """The ``width`` strongest directions of the labels as columns, strongest first.

        Of the two signs of a direction, the one is taken that makes its largest number positive.
        """
        _, vectors = np.linalg.eigh(self.spread / self.texts)
        found = vectors[:, ::-1][:, :width]
        signs = np.sign(found[np.abs(found).argmax(0), np.arange(width)])
        return np.asarray(found * signs)

    def solve(self, prior: Matrix, directions: Matrix, ridge: float) -> Matrix:
        """The tokens' rows.

        Args:
            prior: the teacher's vectors of the tokens alone.
            directions: to which labels and prior are projected.
            ridge: how many texts of one token each the prior is worth.
        """
        # The prior is first multiplied by the number that brings it closest to the labels.
        start, target = prior @ directions, self.target @ directions
        image = self.gram @ start
        scale = (start * target).sum() / (start * image).sum()
        return scale * start + _descend(self.gram, ridge, target - scale * image)


def _descend(gram: sparse.csr_array, ridge: float, target: Matrix) -> Matrix:
    """Solves ``(gram + ridge) x = target`` for all columns, with Jacobi's preconditioner."""
    scale = 1 / (gram.diagonal() + ridge)[:, None]
    found, rest = np.zeros_like(target), target.copy()
    ready = scale * rest
    direction, size = ready.copy(), (rest * ready).sum(0)
    for _ in range(STEPS):
        image = gram @ direction + ridge * direction
        step = size / np.maximum((direction * image).sum(0), 1e-300)
        found += step * direction
        rest -= step * image
        ready = scale * rest
        size, before = (rest * ready).sum(0), size
        direction = ready + size / np.maximum(before, 1e-300) * direction
    return found
