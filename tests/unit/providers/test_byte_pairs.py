"""The tokenizer of older stores: the same pieces as the package `tokenizers`, in linear time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from isomem.providers.embedder import wordllama as module
from isomem.providers.embedder.byte_pairs import BLANK, BytePairs
from tests.unit.providers.byte_pair_texts import Tokenizer, ours, texts, theirs
from tests.unit.text.growth import check_linear

pytest.importorskip("wordllama", exc_type=ImportError)


@pytest.fixture(scope="module")
def mine() -> Tokenizer:
    return ours()


@pytest.fixture(scope="module")
def model() -> dict[str, dict[str, int]]:
    path = Path(module._directory()).joinpath(*module._TOKENIZER)
    read: dict[str, dict[str, int]] = json.loads(path.read_text(encoding="utf-8"))["model"]
    return read


def test_the_pieces_are_those_of_the_package_tokenizers(mine: Tokenizer) -> None:
    pytest.importorskip("tokenizers")
    reference = theirs()
    for text in texts(1500, seed=14):
        assert mine(text) == reference(text), text


def test_the_merges_in_the_file_are_those_that_follow_from_its_pieces(
    model: dict[str, dict[str, int]],
) -> None:
    """Every pair in the file, and no other, and in the order that the tokenizer goes by."""
    vocabulary = model["vocab"]
    pairs = sorted(_pairs(vocabulary))
    assert [" ".join(pair[-2:]) for pair in pairs] == [
        each if isinstance(each, str) else " ".join(each) for each in model["merges"]
    ]


def _pairs(vocabulary: dict[str, int]) -> Iterator[tuple[bool, int, int, str, str]]:
    for piece, number in vocabulary.items():
        for at in range(1, len(piece)):
            left, right = piece[:at], piece[at:]
            if left in vocabulary and right in vocabulary:
                yield not piece.strip(BLANK), number, vocabulary[left], left, right


def test_no_piece_reaches_from_one_word_into_the_next(model: dict[str, dict[str, int]]) -> None:
    assert not [piece for piece in model["vocab"] if BLANK in piece.lstrip(BLANK)]


def small(*pieces: str) -> BytePairs:
    spelled = ["<s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    return BytePairs({piece: number for number, piece in enumerate(spelled)}, ("<s>",))


def spelled(tokenizer: BytePairs, text: str, *pieces: str) -> list[str]:
    names = ["<s>", *(f"{byte:02X}" for byte in range(256)), *pieces]
    return [names[number] for number in tokenizer.ids(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a", [BLANK, "a"]),
        ("aaa", [BLANK, "aa", "a"]),  # Of two places, the left one.
        ("abc", [BLANK, "a", "bc"]),  # "bc" comes before "ab".
        ("aaab", [BLANK, "aa", "ab"]),
        ("é", [BLANK, "C3", "A9"]),
        ("\0a", [BLANK, "00", "a"]),
        ("<s>a<s><s>", ["<s>", BLANK, "a", "<s>", "<s>"]),
        ("<sa>", [BLANK, "3C", "73", "a", "3E"]),
        ("  ", [BLANK, BLANK, BLANK]),
        ("a  a", [BLANK, "a", BLANK, BLANK, "a"]),
    ],
)
def test_pieces_are_merged_in_the_order_of_the_vocabulary(text: str, expected: list[str]) -> None:
    pieces = (BLANK, "a", "b", "c", "bc", "aa", "ab")
    assert spelled(small(*pieces), text, *pieces) == expected


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(UnicodeError):
        small("a").ids("a\ud800")


def test_a_vocabulary_with_gaps_is_refused() -> None:
    with pytest.raises(ValueError, match="without gaps"):
        BytePairs({"a": 0, "b": 2})
    with pytest.raises(KeyError):
        BytePairs({"a": 0})


def test_words_that_were_met_are_not_kept_without_bound(mine: Tokenizer) -> None:
    tokenizer = small("a")
    tokenizer.ids(" ".join(map(str, range(10_000))))
    assert len(tokenizer._words) <= 4096


@pytest.mark.parametrize("text", ["The dog of Ann. ", "ab", "<s>", "🗼é"], ids=ascii)
def test_a_text_takes_linear_time(mine: Tokenizer, text: str) -> None:
    check_linear(mine, lambda length: (text * length)[: length // 8])
