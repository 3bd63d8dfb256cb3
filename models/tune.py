"""The second step: the table learns which of many texts the teacher finds alike.

The linear solution comes close to the teacher's vectors, but what a search needs is their order:
which text is nearest. So the rows are changed by gradient descent until, within a batch of texts,
the similarities of the table's vectors, as a softmax, are like those of the teacher's (the
Kullback-Leibler divergence between the two is the loss), while the vectors stay near the teacher's.
Half of the texts of a batch are at random; half are close to each other, since telling those apart
is the hard part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch.nn import functional

SEED = 7
STEPS = 150
BATCH = 1024
POOL = 16_384
"""Texts among which those that are alike are looked for."""
NEAR = 64
"""Texts that are close to each other, in one group."""
RATE = 3e-3
TEMPERATURE = 0.03
"""Of both softmaxes: similarities are divided by it."""


class Texts:
    """Texts as tokens, with their labels.

    Args:
        texts: at least `POOL` of them.
        labels: the teacher's vectors, one row for each text.
        tokenizer: the teacher's.
    """

    def __init__(
        self, texts: Sequence[str], labels: npt.NDArray[np.float16], tokenizer: Tokenizer
    ) -> None:
        found = tokenizer.encode_batch(list(texts), add_special_tokens=False)
        ids = [each.ids for each in found]
        self.labels = torch.from_numpy(labels)
        self._starts = torch.tensor([0, *map(len, ids)]).cumsum(0)
        self._tokens = torch.tensor([token for each in ids for token in each])

    def bags(self, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The tokens of the chosen texts, one after the other, and where each text starts."""
        starts = self._starts[chosen]
        lengths = self._starts[chosen + 1] - starts
        offsets = lengths.cumsum(0) - lengths
        places = torch.arange(int(lengths.sum())) + torch.repeat_interleave(
            starts - offsets, lengths
        )
        return self._tokens[places], offsets

    def batches(self, count: int) -> Iterator[torch.Tensor]:
        """Numbers of texts for each batch; every call gives the same ones."""
        chance = torch.Generator().manual_seed(SEED)
        for _ in range(count):
            pool = torch.randint(len(self.labels), (POOL,), generator=chance)
            heads = pool[: BATCH // 2 // NEAR]
            alike = self.labels[heads].float() @ self.labels[pool].float().T
            near = pool[alike.topk(NEAR, dim=1).indices.flatten()]
            yield torch.cat([near, pool[-BATCH // 2 :]]).unique()


def tune(
    rows: npt.NDArray[np.float64], directions: npt.NDArray[np.float64], texts: Texts
) -> npt.NDArray[np.float64]:
    """The rows after `STEPS` batches.

    Args:
        rows: the linear solution, tokens x dimensions.
        directions: to which the teacher's vectors are projected, columns.
        texts: to learn from.
    """
    table = torch.nn.Parameter(torch.from_numpy(rows.astype(np.float32)))
    project = torch.from_numpy(directions.astype(np.float32))
    optimizer = torch.optim.Adam([table], lr=RATE, betas=(0.9, 0.98))
    for step, chosen in enumerate(texts.batches(STEPS)):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        optimizer.zero_grad()
        _loss(table, project, texts, chosen).backward()
        optimizer.step()
    return table.detach().numpy().astype(np.float64)


def _loss(
    table: torch.Tensor, project: torch.Tensor, texts: Texts, chosen: torch.Tensor
) -> torch.Tensor:
    tokens, offsets = texts.bags(chosen)
    sums = functional.embedding_bag(tokens, table, offsets, mode="sum")
    ours, wanted = functional.normalize(sums, dim=1), texts.labels[chosen].float()
    order = functional.kl_div(_softmax(ours), _softmax(wanted).exp(), reduction="batchmean")
    return order + (ours - wanted @ project).square().sum(1).mean()


def _softmax(vectors: torch.Tensor) -> torch.Tensor:
    """Logarithms of the shares that the other texts have in what is like a text."""
    alike = vectors @ vectors.T / TEMPERATURE
    own = torch.eye(len(alike), dtype=torch.bool)
    return alike.masked_fill(own, -1e4).log_softmax(1)
