"""Texts are split as BERT's own tokenizer splits them.

`make wordpiece` compares 200,000 texts and every character.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from isomem import pieces
from isomem.providers.embedder import local, wordpiece
from isomem.providers.embedder.table import Table
from isomem.providers.embedder.wordpiece import BLOCK, Characters, WordPiece
from tests.unit.providers.scripts import texts
from tests.unit.test_kernel import interpreted
from tests.unit.text.growth import check_linear

TEXTS = int(os.environ.get("TEXTS", "4000"))
EVERYTHING = "TEXTS" in os.environ
Split = Callable[[str], list[int]]


@pytest.fixture(scope="module")
def table() -> Table:
    return Table(local._PATH)


@pytest.fixture(scope="module")
def split(table: Table) -> Split:
    words = WordPiece(table)
    return lambda text: [piece for block in words.split(text) for piece in block]


@pytest.fixture(scope="module")
def reference(table: Table, tmp_path_factory: pytest.TempPathFactory) -> Split:
    tokenizers = pytest.importorskip("tokenizers", exc_type=ImportError)
    path = tmp_path_factory.mktemp("reference") / "vocab.txt"
    names = [table.piece(number) for number in range(len(table.weights))]
    path.write_text("\n".join(names), encoding="utf-8")
    made: Any = tokenizers.BertWordPieceTokenizer(str(path))
    return lambda text: made.encode(text, add_special_tokens=False).ids  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def vocabulary(table: Table) -> list[str]:
    names = [table.piece(number) for number in range(1000, len(table.weights), 7)]
    return [name.removeprefix("##") for name in names]


def test_texts_are_split_as_the_reference_splits_them(
    split: Split, reference: Split, vocabulary: list[str]
) -> None:
    for text in texts(TEXTS, vocabulary):
        assert split(text) == reference(text), ascii(text)


def test_every_character_is_what_it_is_for_the_reference(split: Split, reference: Split) -> None:
    step = 1 if EVERYTHING else 97
    for code in (*range(0x3000), *range(0x3000, 0xD800, step), *range(0xE000, 0x110000, step)):
        text = f"a{chr(code)}b"
        assert split(text) == reference(text), hex(code)


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
@pytest.mark.parametrize("part", ["a", "word ", "\u00e9\u4e2d", "[MASK]x", "\x00", "e\u0301 ", "["])
def test_long_texts_are_split_as_short_ones(
    split: Split, reference: Split, part: str, size: int
) -> None:
    text = (part * size)[:size]
    for made in (text, f"{text} the end", f"{'b' * 99} {text}"):
        assert split(made) == reference(made)


@pytest.mark.parametrize("kept", [0, 5])
def test_what_is_not_kept_is_looked_up_again(
    table: Table, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(wordpiece, "_MOST_KEPT", kept)
    characters = Characters(table)
    for _ in range(2):
        assert "Zürich, 東京\tÅ\x00".translate(characters) == "zurich ,   東  京  a"
    assert len(characters) == kept


@pytest.mark.parametrize("form", [pieces, interpreted("pieces")], ids=["installed", "as it is"])
def test_both_forms_split_alike(
    table: Table, split: Split, vocabulary: list[str], form: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    some = [*texts(300, vocabulary), "x" * 5000, "", " "]
    expected = [*map(split, some)]
    monkeypatch.setattr(wordpiece, "word_pieces", form.word_pieces)
    assert [*map(split, some)] == expected


@pytest.mark.slow
@pytest.mark.parametrize("part", ["x", "hello, world ", "中", "[MASK]", "qzx" * 33 + " "])
def test_it_takes_time_in_proportion_to_the_length(split: Split, part: str) -> None:
    check_linear(split, lambda length: (part * (length // len(part) + 1))[:length])


def test_lone_surrogates_are_errors_and_NUL_is_nothing(split: Split) -> None:  # noqa: N802
    assert split("a\x00b") == split("ab")
    for text in ("\ud800", "a" * 2 * BLOCK + " \udfff"):
        with pytest.raises(UnicodeError):
            split(text)


def test_the_packages_vocabulary_is_read_from_the_map(table: Table) -> None:
    assert Path(local._PATH).stat().st_size < 9_000_000
    assert table.specials == {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}
