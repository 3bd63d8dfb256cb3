"""Writes a table of vectors as the file that the local embedder maps.

The layout is explained in `isomem.providers.embedder.table`. What becomes of a character is asked
from the reference: the `BertNormalizer` and the `BertPreTokenizer` of the package `tokenizers`. It
is written into the file, so that a text has the same pieces on every version of Python.
"""

from __future__ import annotations

import hashlib
import json
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from math import inf
from pathlib import Path
from typing import NamedTuple

from isomem.pieces import piece_hash
from isomem.providers.embedder.table import ALONE, DROP, FORMAT, KEEP, REPLACE, SPACE

LARGEST_WEIGHT = 1 << 20
"""Sums of rows times weights are exact in a float up to 2**26 pieces."""
UNKNOWN = "[UNK]"
SPECIALS = ("[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]")
SURROGATES = range(0xD800, 0xE000)
ALIGNMENT = 8


class Part(NamedTuple):
    """A part of the file: its type in the terms of safetensors, its shape, its bytes."""

    kind: str
    shape: Sequence[int]
    data: bytes


def pack(
    path: Path,
    *,
    name: str,
    tokens: Sequence[str],
    rows: bytes,
    scales: Sequence[float],
    notes: Mapping[str, str] | None = None,
) -> str:
    """Writes the file.

    Args:
        path: where to.
        name: of the model; it is part of the embedder's identity.
        tokens: V different pieces, as in BERT's `vocab.txt`, one of them "[UNK]".
        rows: V rows of 8-bit numbers, one after the other; anything with the buffer protocol.
        scales: V numbers of at least 0. A row stands for its numbers times its scale; only their
            proportions count, since the vector of a text is scaled to length 1.
        notes: more metadata, such as where the model is from.

    Returns:
        The SHA-256 of the file.

    Raises:
        ValueError: the arguments do not fit together.
    """
    rows = bytes(memoryview(rows).cast("B"))
    _check(name, tokens, rows, scales, notes or {})
    step = max(scales) / LARGEST_WEIGHT
    parts = {
        "weights": _numbers([round(scale / step) for scale in scales]),
        **vocabulary(tokens),
        **characters(),
        "rows": Part("I8", (len(tokens), len(rows) // len(tokens)), rows),
    }
    metadata = {
        "format": FORMAT,
        "name": name,
        "longest": str(max(len(token.encode()) for token in tokens)),
        "unknown": str(tokens.index(UNKNOWN)),
        "specials": " ".join(str(tokens.index(each)) for each in SPECIALS if each in tokens),
        "step": repr(step),
        **(notes or {}),
    }
    content = _safetensors(parts, metadata)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _check(
    name: str,
    tokens: Sequence[str],
    rows: bytes,
    scales: Sequence[float],
    notes: Mapping[str, str],
) -> None:
    if len(set(tokens)) != len(tokens) or UNKNOWN not in tokens:
        raise ValueError(f"tokens must be different from each other, and {UNKNOWN} one of them")
    if len(scales) != len(tokens) or not rows or len(rows) % len(tokens):
        raise ValueError(
            f"{len(tokens)} tokens need as many scales and rows, got {len(scales)} scales and "
            f"{len(rows)} numbers"
        )
    if not all(0 <= scale < inf for scale in scales) or not any(scales):
        raise ValueError("scales must be finite numbers of at least 0, one of them more")
    for text in (name, *notes, *notes.values()):
        if not text.isascii() or not text.isprintable() or {'"', "\\"} & set(text):
            raise ValueError(f"metadata must be printable ASCII without quotes: {text!r}")


def vocabulary(tokens: Sequence[str]) -> dict[str, Part]:
    """The pieces, and the hash table by which they are found, at most half full."""
    slots = [0] * (1 << (2 * len(tokens) - 1).bit_length())
    for number, token in enumerate(tokens, 1):
        slot = piece_hash(token.encode()) % len(slots)
        while slots[slot]:
            slot = (slot + 1) % len(slots)
        slots[slot] = number
    return {"slots": _numbers(slots), **_texts(tokens, "offsets", "spelled")}


def characters() -> dict[str, Part]:
    """What becomes of every character, as the reference has it."""
    firsts, rules, replaced = array("I"), array("I"), list[str]()
    for code, becomes in enumerate(_becomes()):
        rule = _rule(chr(code), becomes)
        # Replacements are numbered in order, so those of neighbours are one range.
        if not rules or rule != min(rules[-1], REPLACE):
            firsts.append(code)
            rules.append(rule + len(replaced) if rule == REPLACE else rule)
        if rule == REPLACE:
            replaced.append(becomes)
    return {
        "characters": _numbers(firsts),
        "rules": _numbers(rules),
        **_texts(replaced, "replaced_offsets", "replaced"),
    }


def _becomes() -> Iterator[str]:
    """For every code point, what it becomes, with spaces around what is a word of its own."""
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    normalize = BertNormalizer().normalize_str
    split = BertPreTokenizer().pre_tokenize_str
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if code in SURROGATES:
            yield character
            continue
        yield "".join(
            f" {each} " if len(split(f"a{each}b")) == 3 else each for each in normalize(character)
        )


def _rule(character: str, becomes: str) -> int:
    fixed = {character: KEEP, "": DROP, " ": SPACE, f" {character} ": ALONE}
    return fixed.get(becomes, REPLACE)


def _texts(texts: Sequence[str], offsets: str, spelled: str) -> dict[str, Part]:
    """Texts, one after the other, and where each begins."""
    encoded = [text.encode() for text in texts]
    data = b"".join(encoded)
    return {
        offsets: _numbers([*accumulate(map(len, encoded), initial=0)]),
        spelled: Part("U8", (len(data),), data),
    }


def _numbers(numbers: Sequence[int]) -> Part:
    packed = array("I", numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return Part("U32", (len(packed),), packed.tobytes())


def _safetensors(parts: Mapping[str, Part], metadata: Mapping[str, str]) -> bytes:
    """The content of the file: no gaps, and whatever takes four bytes stands first."""
    ordered = sorted(parts.items(), key=lambda item: item[1].kind != "U32")
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name, part in ordered:
        header[name] = {
            "dtype": part.kind,
            "shape": list(part.shape),
            "data_offsets": [end, end + len(part.data)],
        }
        end += len(part.data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text + b"".join(part.data for _, part in ordered)
