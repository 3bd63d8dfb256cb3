"""What the model card, the notice and the recipe say about the table is so."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from isomem.providers.embedder import local
from isomem.providers.embedder.table import Table
from isomem.providers.registry import create_embedder
from models.sources import CHITCHAT, SOURCES, STDLIB

ROOT = Path(__file__).parents[3]
CARD = (ROOT / "docs/model.md").read_text("utf-8")
NOTICE = (ROOT / "NOTICE").read_text("utf-8")
RECORDED = json.loads((ROOT / "models/recorded.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def english() -> Table:
    return Table(local._PATH, local._CHECKSUM)


@pytest.fixture(scope="module")
def embedder() -> Any:
    return create_embedder("local")


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


# --- The file --------------------------------------------------------------------------------


def test_the_file_that_is_shipped_is_the_one_that_the_recipe_recorded() -> None:
    content = Path(local._PATH).read_bytes()
    assert hashlib.sha256(content).hexdigest() == RECORDED["sha256"]
    assert f"{len(content) / 1e6:.1f} MB" in CARD


def test_the_card_has_name_and_size_of_the_table(english: Table) -> None:
    facts = dict(re.findall(r"^\| (\w+) \| (.+) \|$", CARD, re.MULTILINE))
    assert facts["name"] == f"`{english.name}`" == f"`{local.MODEL}`"
    assert facts["vectors"].startswith(f"{english.width} numbers")
    assert f"{len(english.weights):,} pieces of words" in CARD
    assert local._PATH.replace("\\", "/").endswith(facts["file"].split("`")[1])


def test_the_largest_number_of_each_row_is_127(english: Table) -> None:
    rows = english.rows.tobytes()
    for first in range(0, len(rows), english.width):
        row = rows[first : first + english.width]
        assert b"\x7f" in row or b"\x81" in row, first
    assert b"\x80" not in rows


def test_every_piece_has_a_weight_that_keeps_the_sums_exact(english: Table) -> None:
    assert min(english.weights) > 0
    assert max(english.weights) == 1 << 20


def test_every_piece_is_found_by_its_own_text(english: Table) -> None:
    """All 30,522 in the hash table, those that continue a word included."""
    from array import array

    from isomem.pieces import word_pieces

    states, found = array("I", bytes(4 * english.longest)), array("I", bytes(4 * 100))
    parts = (english.slots, english.offsets, english.spelled, english.unknown, 100)
    for number in range(len(english.weights)):
        text = english.piece(number)
        if not text.startswith("##") or text == "##":
            assert word_pieces(text.encode(), *parts, states, found) == 1, text
            assert found[0] == number
    continued = [
        number
        for number in range(len(english.weights))
        if english.piece(number).startswith("##") and number % 5 == 0
    ]
    for number in continued:
        # Only this piece, or a longer one that begins a word, can come after such a beginning.
        word = f"\u4e0a{english.piece(number)[2:]}".encode()
        count = word_pieces(word, *parts, states, found)
        assert [*found[1:count]] == [number], english.piece(number)


# --- The figures -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "width"),
    [("**the table**", 256), ("its first 128 numbers", 128), ("its first 64 numbers", 64)],
)
def test_the_recall_in_the_card_is_the_recorded_one(row: str, width: int) -> None:
    line = next(line for line in CARD.splitlines() if line.startswith(f"| {row} |"))
    said = [float(cell) for cell in line.split("|")[2:-1]]
    recall = RECORDED["recall"]
    assert said == [
        *recall[f"facts, {width} dimensions"],
        *recall[f"turns, {width} dimensions"],
    ]


def test_the_sentences_add_up_to_their_number() -> None:
    numbers = re.findall(r"^\| \w[^|]* \| ([\d,]+) \| ", CARD, re.MULTILINE)
    total = re.search(r"([\d,]+) sentences", CARD)
    assert total
    assert sum(int(each.replace(",", "")) for each in numbers) == int(total[1].replace(",", ""))


# --- Where it is from ------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES, ids=lambda each: each.name)
def test_the_card_names_every_source_with_its_version(source: Any) -> None:
    assert f"`{source.name}` {source.version}" in CARD


def test_the_notice_names_what_the_table_is_from_and_the_licences() -> None:
    said = " ".join(NOTICE.split())
    assert "isomem/providers/embedder/english.safetensors" in said
    assert "sentence-transformers/all-MiniLM-L6-v2" in said
    assert "BERT (bert-base-uncased)" in said
    assert "WordNet 3.1, Copyright 2011 by Princeton University" in said
    for source in (CHITCHAT, STDLIB):
        assert f"{source.name} {source.version}" in said
    assert said.count("Apache License, Version 2.0") >= 4
    assert "MIT licence" in said
    assert "PDDL-1.0" in said


def test_the_licence_that_the_notice_refers_to_is_whole() -> None:
    """The vocabulary is passed on under the same licence as isomem, so one copy does."""
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in text
    assert "END OF TERMS AND CONDITIONS" in text


# --- What it is bad at -----------------------------------------------------------------------


def test_the_order_of_the_words_does_not_matter(embedder: Any) -> None:
    assert '"Ann paid Bob" and "Bob paid Ann" have the same vector' in CARD
    assert embedder.embed("Ann paid Bob") == embedder.embed("Bob paid Ann")


def test_accents_are_dropped(embedder: Any) -> None:
    assert "Accents are dropped" in CARD
    assert embedder.embed("Málaga, Zürich") == embedder.embed("malaga, zurich")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("She likes tea.", "She does not like tea."),
        ("The room is 30 pounds.", "The room is 50 pounds."),
    ],
)
def test_negation_and_numbers_are_close(embedder: Any, one: str, other: str) -> None:
    unrelated = embedder.embed("The quarterly report is due.")
    near = cosine(embedder.embed(one), embedder.embed(other))
    assert near > 0.6
    assert near > 2 * cosine(embedder.embed(one), unrelated)


def test_a_detail_in_a_page_is_drowned(embedder: Any) -> None:
    detail, page = "Her cat is called Momo.", "The council discussed the new budget for roads. "
    query = embedder.embed("What is the name of her cat?")
    alone = cosine(query, embedder.embed(detail))
    drowned = cosine(query, embedder.embed(page * 20 + detail))
    assert drowned < alone / 2
    assert embedder.embed(page * 20 + detail) != embedder.embed(page * 20)  # Nothing is cut off.


def test_shorter_vectors_are_the_beginning_of_the_long_one(embedder: Any) -> None:
    full = embedder.embed("I moved to Lisbon in May.")
    for dims in (128, 64):
        short: Any = create_embedder("local", {"embedding_dims": dims})
        vector = short.embed("I moved to Lisbon in May.")
        assert cosine(full[:dims], vector) == pytest.approx(cosine(full[:dims], full[:dims]) ** 0.5)
