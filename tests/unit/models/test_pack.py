"""What `models/pack.py` writes is what the local embedder maps."""

from __future__ import annotations

import hashlib
import json
import zlib
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomem.pieces import word_pieces
from isomem.providers.embedder.table import Table
from isomem.providers.embedder.wordpiece import WordPiece
from models import pack

pytest.importorskip("tokenizers", exc_type=ImportError)

TOKENS = ["[PAD]", "[UNK]", "hik", "##ing", "##in", "alps", "the", "z", "##u", ".", "山"]
ROWS = bytes(number % 256 for number in range(len(TOKENS) * 4))
CHARACTERS = {
    "characters": pack.Part("U32", (1,), bytes(4)),
    "rules": pack.Part("U32", (1,), bytes(4)),
    "replaced_offsets": pack.Part("U32", (1,), bytes(4)),
    "replaced": pack.Part("U8", (0,), b""),
}
"""Every character is kept. The real rules take five seconds to find out."""
SCALES = [0.0, *[0.5 + number for number in range(len(TOKENS) - 1)]]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("table") / "small.safetensors"
    notes = {"source": "nowhere"}
    return path, pack.pack(path, name="small", tokens=TOKENS, rows=ROWS, scales=SCALES, notes=notes)


def test_a_table_is_read_as_it_was_packed(packed: tuple[Path, str]) -> None:
    table = Table(str(packed[0]))
    assert (table.name, table.width, table.unknown, table.longest) == ("small", 4, 1, 5)
    assert [table.piece(number) for number in range(len(TOKENS))] == TOKENS
    assert table.specials == {"[PAD]": 0, "[UNK]": 1}
    assert bytes(table.rows) == ROWS
    largest = max(table.weights)
    assert largest == pack.LARGEST_WEIGHT
    shares = [weight / largest for weight in table.weights]
    assert shares == pytest.approx([scale / max(SCALES) for scale in SCALES], abs=1e-6)


def test_the_digest_is_that_of_the_file(packed: tuple[Path, str]) -> None:
    path, digest = packed
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


def test_any_reader_of_safetensors_finds_the_parts(packed: tuple[Path, str]) -> None:
    content = packed[0].read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert header.pop("__metadata__")["source"] == "nowhere"
    ends = [0]
    for tensor in header.values():
        first, end = tensor["data_offsets"]
        size = {"U32": 4, "U8": 1, "I8": 1}[tensor["dtype"]]
        count = 1
        for side in tensor["shape"]:
            count *= side
        assert (first, end - first, first % size) == (ends[-1], size * count, 0)
        ends.append(end)
    assert 8 + length + ends[-1] == len(content)
    assert (8 + length) % 8 == 0


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hiking the ALPS.", [2, 3, 6, 5, 9]),
        ("hikin", [2, 4]),
        ("Zü zü\u0301 ZU", [7, 8, 7, 8, 7, 8]),
        ("hiker 山山the", [1, 10, 10, 6]),
        ("the\x00[PAD][UNK]\u200balps", [6, 0, 1, 5]),
        ("##ing", [1, 1, 1]),
        ("[", [1]),
        ("", []),
        (" \t\n", []),
    ],
)
def test_texts_are_split_into_its_pieces(
    packed: tuple[Path, str], text: str, pieces: list[int]
) -> None:
    blocks = WordPiece(Table(str(packed[0]))).split(text)
    assert [piece for block in blocks for piece in block] == pieces


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tokens": ["a", "a"]}, "different from each other"),
        ({"tokens": ["a", "b"]}, r"\[UNK\] one of them"),
        ({"scales": [1.0]}, "2 tokens need as many scales and rows, got 1 scales"),
        ({"rows": b"abc"}, "got 2 scales and 3 numbers"),
        ({"scales": [0.0, 0.0]}, "one of them more"),
        ({"scales": [-1.0, 1.0]}, "at least 0"),
        ({"scales": [1.0, float("nan")]}, "finite numbers"),
        ({"scales": [float("nan"), 1.0]}, "finite numbers"),
        ({"scales": [1.0, float("inf")]}, "finite numbers"),
        ({"name": 'a"b'}, "without quotes"),
        ({"notes": {"by": "Zoë"}}, "printable ASCII"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    arguments = {"name": "x", "tokens": ["[UNK]", "a"], "rows": b"abcd", "scales": [1.0, 1.0]}
    with pytest.raises(ValueError, match=said):
        pack.pack(tmp_path / "x", **{**arguments, **change})  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("scale", "fits"), [(0.0, True), (1.0, False)])
def test_only_a_row_without_weight_may_be_empty_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: float, fits: bool
) -> None:
    """Zeros there are what a crash can leave of a file."""
    monkeypatch.setattr(pack, "characters", lambda: CHARACTERS)
    path = tmp_path / "x"
    rows, scales = b"ab\0\0", [1.0, scale]
    pack.pack(path, name="x", tokens=["[UNK]", "a"], rows=rows, scales=scales)
    if fits:
        assert Table(str(path)).weights[1] == 0
        return
    with pytest.raises(ValueError, match="its end is empty"):
        Table(str(path))


def test_a_checksum_is_that_of_what_stands_before_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "characters", lambda: CHARACTERS)
    path = tmp_path / "x"
    pack.pack(path, name="x", tokens=["[UNK]", "a"], rows=b"abcd", scales=[1.0, 2.0])
    content = path.read_bytes()
    checksum = zlib.crc32(content[:-4])
    assert Table(str(path), checksum).piece(1) == "a"
    with pytest.raises(ValueError, match=f"'x' with checksum {checksum:#x}"):
        Table(str(path), checksum ^ 1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text("abcdef#é東", min_size=1, max_size=5), min_size=1, max_size=40, unique=True),
    st.lists(st.text("abcdefé東", min_size=1, max_size=8), max_size=8),
)
def test_any_vocabulary_is_packed_so_that_the_longest_pieces_are_found(
    names: list[str], words: list[str]
) -> None:
    """Greedy, the longest first, as the definition of WordPiece has it."""
    tokens = ["[UNK]", *names]
    parts = {name: array("I", part.data) for name, part in pack.vocabulary(tokens).items()
             if part.kind == "U32"}  # fmt: skip
    spelled = "".join(tokens).encode()
    longest = max(len(token.encode()) for token in tokens)

    def split(word: str) -> list[int]:
        found, at = [], 0
        while at < len(word):
            sign = "##" if at else ""
            ends = (end for end in range(len(word), at, -1) if sign + word[at:end] in tokens)
            end = next(ends, 0)
            if not end:
                return [0]
            found.append(tokens.index(sign + word[at:end]))
            at = end
        return found

    text = " ".join(words).encode()
    pieces = array("I", bytes(4 * len(text) + 4))
    states = array("I", bytes(4 * longest))
    count = word_pieces(
        text, parts["slots"], parts["offsets"], spelled, 0, 100, states, pieces
    )  # fmt: skip
    assert [*pieces[:count]] == [piece for word in words for piece in split(word)]
