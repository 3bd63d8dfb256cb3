"""BM25 scores of the embedded store beside those of upstream's store with fastembed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from isomem.store.cache import ScopeCache
from isomem.store.collection import Collection
from isomem.store.database import Database
from isomem.store.schema import prepare_store
from isomem.text.stopwords import ENGLISH
from isomem.text.terms import TermEncoder
from isomem_parity import tiers

pytestmark = pytest.mark.oracle

CLOSE = 1e-6
"""Relative: upstream's store rounds a score to 32 bits at the end."""
ALL = 1000
USERS = ("ann", "bob")
WORDS = (
    "run runs running ran cat cats dog bird the of and not it's don't we're caf\u00e9 Stra\u00dfe "
    "\u0437\u0430\u043c\u043e\u043a 2024 x-ray e.mail high-rise a _ supercalifragilistic"
).split()
ODD_TEXTS = ("", " ", "the and of", "...", "_", "the", "cat " * 300, "w" * 41, "\u65e5\u672c\u8a9e")


# --- Both stores --------------------------------------------------------------------------


class Ours:
    """isomem's store in a folder."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "memory.db")
        self.open()

    def open(self) -> None:
        self.database = Database(self.path, prepare_store)
        cache = ScopeCache(self.database, 10**6)
        self.store = Collection(self.database, "mem0", cache, dims=2, encoder=TermEncoder())

    def close(self) -> None:
        self.database.close()


class Theirs:
    """Upstream's store in a folder, with an encoder that downloads nothing."""

    def __init__(self, folder: Path, encoder: Any) -> None:
        self.path = str(folder / "qdrant")
        self.encoder = encoder
        self.open()

    def open(self) -> None:
        from mem0.vector_stores.qdrant import Qdrant

        self.store = Qdrant("mem0", 2, path=self.path, on_disk=True)
        self.store._bm25_encoder = self.encoder

    def close(self) -> None:
        self.store.client.close()


class Pair:
    """One of each, which are told and asked the same."""

    def __init__(self, folder: Path, encoder: Any) -> None:
        self.sides = (Ours(folder), Theirs(folder, encoder))

    def do(self, method: str, **arguments: Any) -> None:
        """Calls a method of both stores."""
        for side in self.sides:
            getattr(side.store, method)(**arguments)

    def add(self, number: int, text: str | None, user: str = "ann", key: str = "data") -> None:
        """Inserts one point; no text is a payload without any."""
        payload = {"user_id": user} if text is None else {"user_id": user, key: text}
        self.do("insert", vectors=[[1.0, 0.0]], payloads=[payload], ids=[point_id(number)])

    def reopen(self) -> None:
        """Closes both and opens them again."""
        for side in self.sides:
            side.close()
            side.open()

    def ask(
        self, query: str, top_k: int = ALL, filters: dict[str, Any] | None = None
    ) -> list[list[tuple[str, float]]]:
        """(id, score) of the hits of both."""
        return [
            [(hit.id, hit.score) for hit in side.store.keyword_search(query, top_k, filters)]
            for side in self.sides
        ]

    def check(
        self, query: str, top_k: int = ALL, filters: dict[str, Any] | None = None
    ) -> dict[str, float]:
        """Asserts that both give the same scores, and the same points up to ties at the cut."""
        ours, theirs = self.ask(query, top_k, filters)
        assert [score for _, score in ours] == pytest.approx([s for _, s in theirs], rel=CLOSE)
        everything = dict(self.ask(query, ALL, filters)[1])
        for found, score in ours:
            assert score == pytest.approx(everything[found], rel=CLOSE)
        return dict(ours)


def point_id(number: int) -> str:
    return str(UUID(int=number))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """fastembed's encoder, its stop words from a folder."""
    pytest.importorskip("mem0")
    if tiers.missing("B"):
        pytest.skip("fastembed is not installed")
    tiers.enter("B")  # an earlier test may have hidden it
    import fastembed

    folder = tmp_path_factory.mktemp("bm25")
    (folder / "english.txt").write_text("\n".join(sorted(ENGLISH)))
    (folder / "config.json").write_text("{}")
    return fastembed.SparseTextEmbedding("Qdrant/bm25", specific_model_path=str(folder))


@pytest.fixture
def pair(tmp_path, encoder):
    with opened(tmp_path, encoder) as both:
        yield both


@contextmanager
def opened(folder: Path, encoder: Any) -> Iterator[Pair]:
    """Both stores; closed afterwards whatever happens."""
    both = Pair(folder, encoder)
    try:
        yield both
    finally:
        for side in both.sides:
            side.close()


# --- What counts --------------------------------------------------------------------------


def test_nothing_is_found_in_an_empty_collection(pair):
    assert pair.check("cat") == {}


def test_frequencies_are_those_of_the_whole_collection_whoever_asks(pair):
    pair.add(1, "cat dog")
    alone = pair.check("cat", filters={"user_id": "ann"})
    for number in range(2, 8):
        pair.add(number, "bird", user="bob")
    among_others = pair.check("cat", filters={"user_id": "ann"})
    assert among_others[point_id(1)] > alone[point_id(1)]


def test_text_of_stop_words_counts_and_no_text_does_not(pair):
    pair.add(1, "cat")
    [alone] = pair.check("cat").values()
    pair.add(2, None)
    pair.add(3, "")
    [with_none] = pair.check("cat").values()
    pair.add(4, "the and of")
    [with_stop_words] = pair.check("cat").values()
    assert alone == with_none < with_stop_words


def test_lemmas_are_indexed_rather_than_the_text(pair):
    payload = {"data": "cat", "text_lemmatized": "dog"}
    pair.do("insert", vectors=[[1.0, 0.0]], payloads=[payload], ids=[point_id(1)])
    assert pair.check("dog")
    assert not pair.check("cat")


@pytest.mark.parametrize("query", ODD_TEXTS)
def test_query_is_encoded_as_a_text_is(pair, query):
    for number, text in enumerate(("cat dog", "cat cat cat", "\u65e5\u672c\u8a9e", "w" * 41)):
        pair.add(number, text)
    pair.check(query)


def test_word_repeated_in_the_query_counts_more(pair):
    pair.add(1, "cat dog")
    [once] = pair.check("cat bird").values()
    [twice] = pair.check("cat cat bird").values()
    assert twice > once


def test_cut_takes_the_best(pair):
    for number in range(1, 9):
        pair.add(number, "cat " * number)
    found = pair.check("cat", top_k=3)
    assert set(found) == {point_id(6), point_id(7), point_id(8)}


def test_cut_comes_after_the_filter(pair):
    for number in range(1, 5):
        pair.add(number, "cat " * number, user="bob")
    pair.add(5, "cat")
    assert set(pair.check("cat", top_k=1, filters={"user_id": "ann"})) == {point_id(5)}


# --- Changes ------------------------------------------------------------------------------


def test_replaced_text_leaves_the_counts(pair):
    for number in (1, 2, 3):
        pair.add(number, "cat")
    before = pair.check("cat")
    pair.add(3, "dog")
    after = pair.check("cat")
    assert set(after) == {point_id(1), point_id(2)}
    assert after[point_id(1)] > before[point_id(1)]


def test_deleted_text_leaves_the_counts_and_may_come_back(pair):
    for number in (1, 2, 3):
        pair.add(number, "cat")
    before = pair.check("cat")
    for _ in range(2):
        pair.do("delete", vector_id=point_id(3))
        pair.check("cat")
    pair.add(3, "cat")
    assert pair.check("cat") == before


def test_new_payload_alone_keeps_the_terms_until_the_vector_comes_too(pair):
    pair.add(1, "cat")
    pair.do("update", vector_id=point_id(1), payload={"data": "dog"})
    assert pair.check("cat")
    assert not pair.check("dog")
    pair.reopen()
    assert pair.check("cat")
    pair.do("update", vector_id=point_id(1), vector=[0.0, 1.0], payload={"data": "dog"})
    assert pair.check("dog")
    assert not pair.check("cat")


def test_text_taken_away_is_no_text(pair):
    pair.add(1, "cat")
    pair.add(2, "cat dog")
    pair.do("update", vector_id=point_id(2), vector=[0.0, 1.0], payload={"user_id": "ann"})
    assert set(pair.check("cat")) == {point_id(1)}
    pair.reopen()
    pair.check("cat")


@pytest.mark.parametrize("seed", range(25))
def test_any_history_of_changes_gives_the_same_scores(tmp_path, encoder, seed):
    random_ = random.Random(seed)
    with opened(tmp_path, encoder) as pair:
        for _ in range(40):
            change(pair, random_)
            query, top_k = text_of(random_), random_.choice((1, 3, 7, ALL))
            pair.check(query, top_k, random_.choice((None, {"user_id": random_.choice(USERS)})))
        pair.reopen()
        for word in WORDS:
            pair.check(word)


def change(pair: Pair, random_: random.Random) -> None:
    """One random change, the same in both stores."""
    number = random_.randrange(12)
    kind = random_.choice(("add", "add", "add", "replace", "payload", "vector", "delete", "reopen"))
    is_there = pair.sides[0].store.get(point_id(number)) is not None
    payload = {"user_id": random_.choice(USERS), "data": text_of(random_)}
    if kind == "add":
        pair.add(number, random_.choice((text_of(random_), None)), random_.choice(USERS))
    elif kind == "replace":
        pair.do("update", vector_id=point_id(number), vector=[0.6, 0.8], payload=payload)
    elif kind == "payload" and is_there:
        pair.do("update", vector_id=point_id(number), payload=payload)
    elif kind == "vector" and is_there:
        pair.do("update", vector_id=point_id(number), vector=[0.8, 0.6])
    elif kind == "delete":
        pair.do("delete", vector_id=point_id(number))
    elif kind == "reopen":
        pair.reopen()


def text_of(random_: random.Random) -> str:
    if random_.random() < 0.2:
        return random_.choice(ODD_TEXTS)
    return " ".join(random_.choices(WORDS, k=random_.randint(1, 12)))


# --- Two processes ------------------------------------------------------------------------

WRITER = """
import json, sys
from isomem.store.database import Database
from isomem.store.collection import Collection
from isomem.store.schema import prepare_store
from isomem.store.cache import ScopeCache
from isomem.text.terms import TermEncoder

database = Database(sys.argv[1], prepare_store)
points = Collection(database, "mem0", ScopeCache(database, 10**6), dims=2, encoder=TermEncoder())
for method, arguments in json.loads(sys.argv[2]):
    getattr(points, method)(**arguments)
database.close()
"""


def test_changes_by_another_process_count_at_once(pair):
    pair.add(1, "cat")
    pair.add(2, "cat dog")
    pair.check("cat dog")
    changes: list[tuple[str, dict[str, Any]]] = [
        (
            "insert",
            {
                "vectors": [[1.0, 0.0]] * 2,
                "payloads": [{"data": "cat bird"}, {"data": "the"}],
                "ids": [point_id(3), point_id(4)],
            },
        ),
        ("update", {"vector_id": point_id(1), "vector": [0, 1], "payload": {"data": "dog"}}),
        ("delete", {"vector_id": point_id(2)}),
    ]
    ours, theirs = pair.sides
    command = [sys.executable, "-c", WRITER, ours.path, json.dumps(changes)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    for method, arguments in changes:
        getattr(theirs.store, method)(**arguments)
    assert set(pair.check("cat dog bird")) == {point_id(1), point_id(3)}
    pair.add(5, "bird bird")
    pair.check("cat dog bird")


def test_two_open_stores_take_turns(tmp_path, encoder):
    random_ = random.Random(7)
    with opened(tmp_path, encoder) as pair:
        ours, theirs = pair.sides
        other = Ours(tmp_path)
        for _ in range(60):
            pair.sides = (random_.choice((ours, other)), theirs)
            change(pair, random_)
            pair.sides = (random_.choice((ours, other)), theirs)
            pair.check(text_of(random_), random_.choice((2, ALL)))
        pair.sides = (ours, theirs)
        other.close()
