"""The local embedder: real vectors, from a file that comes with isomem."""

from __future__ import annotations

import itertools
import math
import os
import random
import subprocess
import sys
import threading
from array import array
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomem import pieces
from isomem.errors import DependencyError, EmbeddingError, InvalidConfigError
from isomem.providers.embedder import local, sums, table
from isomem.providers.embedder.table import Table
from isomem.providers.embedder.wordpiece import BLOCK
from isomem.providers.registry import create_embedder
from tests.unit.providers.scripts import HOSTILE, texts
from tests.unit.test_kernel import interpreted

ROOT = Path(__file__).parents[3]
TEXTS = [
    "I love hiking in the Alps, and my dog is called Rex.",
    "",
    "東京 🗼 Zürich\n\n\ttabs",
    "word " * 1000,
    "x",
    "\x00",
    "[MASK] [CLS]",
]
EXAMPLES = settings(max_examples=100, deadline=None)


@pytest.fixture(scope="module")
def embedder() -> Any:
    return create_embedder("local", {})


@pytest.fixture(scope="module")
def english() -> Table:
    return Table(local._PATH)


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_a_vector_is_the_sum_of_the_weighted_rows_of_its_length(
    embedder: Any, english: Table
) -> None:
    from isomem.providers.embedder.wordpiece import WordPiece

    for text in TEXTS:
        totals = [0] * 256
        for block in WordPiece(english).split(text):
            for piece in block:
                row = english.rows[256 * piece : 256 * (piece + 1)]
                totals = [
                    total + english.weights[piece] * number
                    for total, number in zip(totals, row, strict=True)
                ]
        length = math.sqrt(sum(total * total for total in totals)) or 1.0
        expected = [total / length for total in totals]
        assert embedder.embed(text) == pytest.approx(expected, rel=1e-14, abs=1e-15)


def test_a_vector_has_length_one_or_is_zero(embedder: Any) -> None:
    for text in ("hello", "zebra crossing " * 300):
        vector = embedder.embed(text)
        assert len(vector) == 256
        assert {type(number) for number in vector} == {float}
        assert math.hypot(*vector) == pytest.approx(1.0)
    for text in ("", " \n\t", "\x00\u200b"):
        assert embedder.embed(text) == [0.0] * 256


def test_what_means_the_same_is_nearer(embedder: Any) -> None:
    query = embedder.embed("What is the name of my pet?")
    near = cosine(query, embedder.embed("User has a dog called Rex"))
    far = cosine(query, embedder.embed("The quarterly report is due on Friday"))
    assert near > far


@pytest.mark.parametrize("dims", [64, 128, 256])
def test_a_shorter_vector_points_where_the_beginning_of_the_full_one_does(
    embedder: Any, dims: int
) -> None:
    short: Any = create_embedder("local", {"embedding_dims": dims})
    assert short.dims == dims
    full = embedder.embed(TEXTS[0])[:dims]
    length = math.hypot(*full)
    assert short.embed(TEXTS[0]) == pytest.approx([number / length for number in full])


def test_other_lengths_and_models_are_refused() -> None:
    with pytest.raises(InvalidConfigError, match="64, 128, 256"):
        create_embedder("local", {"embedding_dims": 300})
    with pytest.raises(InvalidConfigError, match="isomem-english-1"):
        create_embedder("local", {"model": "bge"})


@pytest.mark.parametrize("text", [None, 7, b"bytes", ["a"], "\ud800"])
def test_what_is_not_text_is_an_embedding_error(embedder: Any, text: Any) -> None:
    with pytest.raises(EmbeddingError, match="cannot read the text"):
        embedder.embed(text)


# --- Both ways to add ------------------------------------------------------------------------

AS_IT_IS = interpreted("pieces")
blocks = st.lists(st.lists(st.integers(0, 30521), max_size=30), max_size=4)


@EXAMPLES
@given(blocks, st.sampled_from([64, 256]))
def test_all_ways_to_add_give_the_same_to_the_last_bit(numbers: list[list[int]], dims: int) -> None:
    english = Table(local._PATH)
    given = [array("I", block) for block in numbers]
    expected = sums.compiled_vector(english, given, dims)
    assert sums.plain_vector(english, given, dims) == expected
    totals = array("d", bytes(8 * dims))
    for block in given:
        rows = memoryview(b"".join(english.gather(block))).cast("b")
        AS_IT_IS.add_rows(rows, 256, english.weights, block, totals)
    AS_IT_IS.divide_by_length(totals)
    assert totals.tolist() == expected


def test_where_nothing_is_compiled_the_vectors_are_the_same(
    embedder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = [*TEXTS, *texts(50, ["hello", "world"])]
    expected = embedder.embed_batch(some)
    for name in ("COMPILED", "word_pieces", "add_rows", "divide_by_length"):
        monkeypatch.setattr(pieces, name, getattr(AS_IT_IS, name))
    monkeypatch.setattr("isomem.providers.embedder.wordpiece.word_pieces", AS_IT_IS.word_pieces)
    assert not pieces.COMPILED
    assert create_embedder("local").embed_batch(some) == expected


@given(st.binary(max_size=40))
def test_both_forms_hash_a_piece_alike(piece: bytes) -> None:
    assert pieces.piece_hash(piece) == AS_IT_IS.piece_hash(piece)


def test_the_hash_is_fnv_1a() -> None:
    # From the published test vectors.
    assert [pieces.piece_hash(each) for each in (b"", b"a", b"foobar")] == [
        0x811C9DC5, 0xE40C292C, 0xBF9CF968
    ]  # fmt: skip


def test_rows_that_are_not_kept_are_read_again(
    english: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)
    numbers = [array("I", (chance.randrange(30522) for _ in range(40))) for _ in range(20)]
    expected = [english.gather(block) for block in numbers]
    monkeypatch.setattr(table, "MOST_KEPT", 50)
    few = Table(local._PATH)
    for block, rows in zip(numbers, expected, strict=True):
        assert few.gather(block) == rows
        assert few.gather(block[:10]) == rows[:10]
        assert len(few._kept) <= 50
    assert few.gather(array("I")) == []


def test_big_endian_numbers_are_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = memoryview(array("I", [1, 0x01020304]).tobytes())
    assert [*table.native(packed)] == [1, 0x01020304]
    monkeypatch.setattr("sys.byteorder", "big")
    assert [*table.native(packed)] == [0x01000000, 0x04030201]


# --- What it costs ---------------------------------------------------------------------------


def run(script: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout.strip()


def test_it_asks_no_network_and_loads_no_other_package() -> None:
    script = """
import socket, sys
def refuse(*_, **__): raise OSError("the network is off")
socket.socket = socket.create_connection = socket.getaddrinfo = refuse
before = set(sys.modules)
from isomem.providers.registry import create_embedder
assert len(create_embedder("local").embed("Zürich, hello")) == 256
new = {name.partition(".")[0] for name in set(sys.modules) - before}
new -= {"cython_runtime"}
print(sorted(new - sys.stdlib_module_names), "json" in new, "unicodedata" in new)
"""
    assert run(script) == "['isomem'] False False"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_it_takes_at_most_five_megabytes() -> None:
    script = """
import glob, isomem
isomem.Memory
def kilobytes(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))
before = kilobytes("VmRSS")
from isomem.providers.registry import create_embedder
embedder = create_embedder("local")
for name in glob.glob("docs/*.md"):
    with open(name, encoding="utf-8") as file:
        for line in file:
            embedder.embed(line)
print(kilobytes("VmHWM") - before)
"""
    script = f"import os; os.chdir({str(ROOT)!r})\n{script}"
    assert int(run(script)) < 5 * 1024


def test_many_threads_get_the_right_vectors() -> None:
    some = [*texts(300, ["hello", "world", "alps"])]
    expected = create_embedder("local").embed_batch(some)
    shared, wrong = create_embedder("local"), []

    def check(seed: int) -> None:
        order = random.Random(seed).sample(range(len(some)), len(some))
        wrong.extend(at for at in order if shared.embed(some[at]) != expected[at])

    threads = [threading.Thread(target=check, args=[seed]) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_child_of_a_fork_goes_on() -> None:
    script = """
import os
from isomem.providers.registry import create_embedder
embedder = create_embedder("local")
before = embedder.embed("hello")
child = os.fork()
both = [maker.embed("new words") for maker in (embedder, create_embedder("local"))]
same = embedder.embed("hello") == before and both[0] == both[1]
if not child:
    os._exit(not same)
print(same, os.waitpid(child, 0)[1])
"""
    assert run(script) == "True 0"


def test_others_have_a_chance_once_per_turn_in_a_long_text_and_in_a_long_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A block of a text takes 0.3 ms by this clock."""
    pauses: list[float] = []
    clock = itertools.count(step=0.0003)
    monkeypatch.setattr(local, "monotonic", lambda: next(clock))
    monkeypatch.setattr(local, "sleep", pauses.append)
    embedder: Any = create_embedder("local")
    embedder.embed("a word, " * 10)
    assert pauses == []
    embedder.embed("a word, " * 8 * BLOCK)
    assert 64 / 5 - 1 <= len(pauses) <= 64 / 3
    assert set(pauses) == {0}
    del pauses[:]
    embedder.embed_batch(["a word, " * 10] * 100)
    assert 100 / 5 - 1 <= len(pauses) <= 100 / 3


def test_a_text_that_is_fast_does_not_give_its_turns_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, each time can cost more than the whole text."""
    monkeypatch.setattr(local, "monotonic", lambda: 7.0)
    monkeypatch.setattr(local, "sleep", lambda _: pytest.fail("it gave its turn away"))
    create_embedder("local").embed("[MASK] a word, " * 1000)


# --- The file --------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["missing", "empty", "header", "cut off", "kind", "parts"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "table"
    whole = Path(local._PATH).read_bytes()
    contents = {
        "empty": b"",
        "header": (9).to_bytes(8, "little") + b"{}",
        "cut off": whole[:-1],
        "kind": whole.replace(b'"isomem-table-1"', b'"isomem-table-0"', 1),
        "parts": whole.replace(b'"slots":{', b'"slits":{', 1),
    }
    if damage != "missing":
        path.write_bytes(contents[damage])
    embedder = local.LocalEmbedder()
    embedder._path = str(path)
    with pytest.raises(DependencyError, match=r"cannot be read from .*table"):
        embedder.embed("x")


def test_another_model_in_the_file_is_refused(tmp_path: Path) -> None:
    whole = Path(local._PATH).read_bytes()
    name = b'"name":"isomem-english-1"'
    assert whole.count(name) == 1
    (tmp_path / "table").write_bytes(whole.replace(name, b'"name":"isomem-germanic1"'))
    embedder = local.LocalEmbedder()
    embedder._path = str(tmp_path / "table")
    with pytest.raises(DependencyError, match="isomem-germanic1"):
        embedder.embed("x")


def test_it_can_be_let_go_of(embedder: Any) -> None:
    before = embedder.embed("x")
    embedder.close()
    assert embedder._model is None
    assert embedder.embed("x") == before


def test_hostile_texts_have_vectors(embedder: Any) -> None:
    for text in HOSTILE:
        assert len(embedder.embed(text)) == 256
