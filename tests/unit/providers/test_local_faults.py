"""The local embedder with damaged files, huge and hostile texts, threads, and foreign stores."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import math
import os
import pickle
import random
import shutil
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from isomem import AsyncMemory, Memory, pieces
from isomem.errors import DependencyError, EmbeddingError, InvalidConfigError
from isomem.providers.embedder import local, sums, table
from isomem.providers.embedder.table import Table
from isomem.providers.embedder.wordpiece import BLOCK, MOST_LETTERS, WordPiece
from isomem.providers.registry import create_embedder
from tests.unit.test_kernel import interpreted

WHOLE = Path(local._PATH).read_bytes()
HEADER = int.from_bytes(WHOLE[:8], "little")
ROWS = len(WHOLE) - 256 * 30522
MEGABYTE = 1 << 20

AS_IT_IS = interpreted("pieces")
EXAMPLES = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module")
def embedder() -> Any:
    return create_embedder("local")


@pytest.fixture(scope="module")
def english() -> Table:
    return Table(local._PATH, local._CHECKSUM)


@pytest.fixture
def reading(tmp_path: Path) -> Callable[[bytes], Any]:
    """An embedder that reads a file with other content."""

    def make(content: bytes) -> Any:
        path = tmp_path / "table"
        path.write_bytes(content)
        made: Any = create_embedder("local")
        made._path = str(path)
        return made

    return make


def is_unit(vector: list[float]) -> bool:
    return all(map(math.isfinite, vector)) and math.isclose(math.hypot(*vector), 1.0, rel_tol=1e-12)


# --- Damage ----------------------------------------------------------------------------------


def test_every_damage_before_the_rows_is_named(
    reading: Callable[[bytes], Any], tmp_path: Path
) -> None:
    """Looked up without a check, a wrong number would read beyond the file, or for ever."""
    chance = random.Random(7)
    places = [*range(8), *range(8, 8 + HEADER, 37), ROWS - 1]
    places += [chance.randrange(8 + HEADER, ROWS) for _ in range(40)]
    path = tmp_path / "table"
    damaged = reading(WHOLE)
    for place in places:
        with path.open("r+b") as file:
            file.seek(place)
            file.write(bytes([WHOLE[place] ^ 0x11]))
        with pytest.raises(DependencyError, match=r"cannot be read from .*table") as caught:
            damaged.embed("hello")
        assert "Reinstall isomem" in str(caught.value.suggestion), place
        with path.open("r+b") as file:
            file.seek(place)
            file.write(WHOLE[place : place + 1])
    assert is_unit(damaged.embed("hello"))


@pytest.mark.parametrize("part", ["slots", "offsets", "spelled", "weights", "characters", "rules"])
@pytest.mark.parametrize("filling", [b"\x00", b"\xff"])
def test_a_part_that_a_crash_left_empty_is_named(
    reading: Callable[[bytes], Any], english: Table, part: str, filling: bytes
) -> None:
    first, end = english._bounds(part)
    damaged = WHOLE[:first] + filling * (end - first) + WHOLE[end:]
    with pytest.raises(DependencyError, match="damaged or another model"):
        reading(damaged).embed("hello")


@pytest.mark.parametrize("lost", [256, 4096, 4_000_000])
def test_zeros_at_the_end_of_the_file_are_named(reading: Callable[[bytes], Any], lost: int) -> None:
    """As some file systems leave a file that was being written when the power failed."""
    with pytest.raises(DependencyError, match="its end is empty"):
        reading(WHOLE[:-lost] + bytes(lost)).embed("hello")


@pytest.mark.parametrize("size", [1, 7, 8, 9, 8 + 100, 8 + HEADER, ROWS, ROWS + 1, len(WHOLE) - 1])
def test_a_truncated_file_is_named(reading: Callable[[bytes], Any], size: int) -> None:
    with pytest.raises(DependencyError, match="cannot be read from"):
        reading(WHOLE[:size]).embed("hello")


@pytest.mark.parametrize(
    "content",
    [
        b"version https://git-lfs.github.com/spec/v1\noid sha256:264cf7cc\nsize 8704138\n",
        b"<!DOCTYPE html><html><body>Not found</body></html>",
        b"\xff" * 5000,
        (2).to_bytes(8, "little") + b"{}",
        (1 << 63).to_bytes(8, "little") + WHOLE[8 : 8 + HEADER],
        (30).to_bytes(8, "little") + b'{"format":"isomem-table-1",   ',
    ],
    ids=["a pointer to it", "a page", "noise", "no header", "endless header", "no parts"],
)
def test_another_file_is_named(reading: Callable[[bytes], Any], content: bytes) -> None:
    with pytest.raises(DependencyError, match="cannot be read from"):
        reading(content).embed("hello")


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    broken: Any = create_embedder("local")
    broken._path = str(tmp_path)
    with pytest.raises(DependencyError) as caught:
        broken.embed("hello")
    assert caught.value.details == {"path": str(tmp_path)}


def test_an_embedder_works_as_soon_as_its_file_is_whole(
    reading: Callable[[bytes], Any], embedder: Any, tmp_path: Path
) -> None:
    broken = reading(WHOLE[:5000])
    with pytest.raises(DependencyError):
        broken.embed("hello")
    (tmp_path / "table").write_bytes(WHOLE)
    assert broken.embed("hello") == embedder.embed("hello")


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a mapped file")
def test_a_file_that_is_replaced_meanwhile_is_read_to_the_end(
    embedder: Any, reading: Callable[[bytes], Any], tmp_path: Path
) -> None:
    """As pip does in an upgrade: the old file goes, and a new one comes."""
    mapped = reading(WHOLE)
    mapped.embed("hello")
    shutil.move(tmp_path / "table", tmp_path / "away")
    (tmp_path / "away").unlink()
    (tmp_path / "table").write_bytes(b"another")
    assert mapped.embed("words that were not read before") == embedder.embed(
        "words that were not read before"
    )


def test_an_add_with_a_damaged_file_fails_and_stores_nothing(tmp_path: Path) -> None:
    (tmp_path / "table").write_bytes(WHOLE[:-1])
    with Memory(path=str(tmp_path / "memory.db")) as memory:
        memory.embedding_model._path = str(tmp_path / "table")  # type: ignore[attr-defined]
        with pytest.raises(DependencyError, match="cannot be read"):
            memory.add("I moved to Lisbon.", user_id="ana", infer=False)
        assert memory.get_all(filters={"user_id": "ana"})["results"] == []
        memory.embedding_model._path = local._PATH  # type: ignore[attr-defined]
        memory.add("I moved to Lisbon.", user_id="ana", infer=False)
        assert len(memory.get_all(filters={"user_id": "ana"})["results"]) == 1


# --- Texts -----------------------------------------------------------------------------------

anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
marked = st.lists(
    st.sampled_from(
        ["[MASK]", "[CLS]", "[", "]", "[mask]", "a", "e\u0301", "東", " ", "\0", "##s"]
    ),
    max_size=60,
).map("".join)


@EXAMPLES
@given(anything | marked)
@example("\u0301" * 300)
@example("\ufdfa" * 100)
def test_every_text_has_a_unit_vector_or_zeros(embedder: Any, text: str) -> None:
    vector = embedder.embed(text)
    assert len(vector) == 256
    assert is_unit(vector) or vector == [0.0] * 256
    assert any(vector) == any(len(block) for block in embedder._model[1].split(text))


@EXAMPLES
@given(anything | marked, st.sampled_from([64, 128, 256]))
def test_every_text_has_the_same_vector_without_a_compiler(
    english: Table, text: str, dims: int
) -> None:
    blocks = [*WordPiece(english).split(text)]
    compiled = sums.compiled_vector(english, blocks, dims)
    assert sums.plain_vector(english, blocks, dims) == compiled
    for block in blocks:
        again = array("I", bytes(4 * len(block) + 400))
        states = array("I", bytes(4 * english.longest))
        words = " ".join(map(english.piece, block)).replace(" ##", "").encode()
        arguments = (english.slots, english.offsets, english.spelled, english.unknown)
        found = [
            (form.word_pieces(words, *arguments, MOST_LETTERS, states, again), [*again])
            for form in (pieces, AS_IT_IS)
        ]
        assert found[0] == found[1]


@EXAMPLES
@given(st.lists(st.text(st.characters(categories=["L"]), min_size=1, max_size=8), max_size=30))
def test_the_order_of_words_changes_no_bit(embedder: Any, words: list[str]) -> None:
    turned = " \n".join(reversed(words))
    assert embedder.embed(" ".join(words)) == embedder.embed(turned)


@EXAMPLES
@given(anything, st.integers(0, 200), st.sampled_from([*range(0xD800, 0xE000, 97)]))
def test_a_lone_surrogate_is_an_error_wherever_it_is(
    embedder: Any, text: str, at: int, code: int
) -> None:
    for broken in (text[:at] + chr(code) + text[at:], "[MASK]" + text + chr(code)):
        with pytest.raises(EmbeddingError, match="cannot read the text") as caught:
            embedder.embed(broken)
        assert "surrogates" in str(caught.value.suggestion)
        with pytest.raises(EmbeddingError):
            embedder.embed_batch(["fine", broken, "fine"])


@EXAMPLES
@given(st.text(st.sampled_from("ab [M]é東\u0301"), max_size=60), st.integers(1, 9))
def test_where_blocks_end_changes_no_piece(english: Table, text: str, block: int) -> None:
    def split(made: str) -> list[int]:
        return [piece for each in WordPiece(english).split(made) for piece in each]

    expected = split(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("isomem.providers.embedder.wordpiece.BLOCK", block)
        assert split(text) == expected


@EXAMPLES
@given(marked)
def test_special_pieces_are_found_before_anything_else(english: Table, text: str) -> None:
    names = {english.piece(number): number for number in english.specials.values()}
    words = WordPiece(english)
    expected: list[int] = []
    rest = text
    while rest:
        at, name = min(
            ((rest.find(name), name) for name in names if name in rest),
            default=(len(rest), ""),
        )
        expected += [piece for each in words._words(rest[:at]) for piece in each]
        expected += [names[name]] if name else []
        rest = rest[at + len(name) :]
    assert [piece for each in words.split(text) for piece in each] == expected


def test_many_special_pieces_are_few_blocks(english: Table) -> None:
    """A block each took six minutes for a megabyte of them, on a busy machine."""
    blocks = [*WordPiece(english).split("[MASK]" * 10 * BLOCK)]
    assert sum(map(len, blocks)) == 10 * BLOCK
    assert len(blocks) <= 11


@pytest.mark.parametrize(
    "part",
    [
        "x",
        "The fox, it runs! ",
        "\u0301",
        "東京",
        "🗼",
        "\0",
        "[",
        "[MASK",
        "[MASK]",
        "\ufdfa",
        "한",
    ],
    ids=ascii,
)
def test_a_long_text_costs_little_time_and_memory(embedder: Any, part: str) -> None:
    """Both in proportion to its length: 128 kB within a second of the processor."""
    text = (part * MEGABYTE)[: MEGABYTE // 8]
    expected = embedder.embed(text[: len(part) * BLOCK])
    vector, fastest_s = [], 1.0
    for _ in range(3):  # A busy processor is slower at moments.
        started = time.thread_time()
        vector = embedder.embed(text)
        fastest_s = min(fastest_s, time.thread_time() - started)
        if fastest_s < 1:
            break
    assert fastest_s < 1
    assert is_unit(vector) or not any(vector)
    assert vector == pytest.approx(expected, abs=0.02)
    assert len(embedder._model[0]._kept) <= table.MOST_KEPT


def test_a_word_of_a_megabyte_is_an_unknown_word(embedder: Any) -> None:
    unknown = embedder.embed("[UNK]")
    assert embedder.embed("x" * MEGABYTE) == unknown
    assert embedder.embed("\0" * 500 + "x" * (MOST_LETTERS + 1)) == unknown
    assert embedder.embed("e\u0301" * MOST_LETTERS) == embedder.embed("e" * MOST_LETTERS) != unknown
    both = embedder.embed("x" * 5000 + " alps " + "y" * 5000)
    assert both == embedder.embed("[UNK] alps [UNK]")


# --- Several at once -------------------------------------------------------------------------


def test_closing_while_others_embed_harms_nobody(embedder: Any) -> None:
    """Another thread may close it between loading and use."""
    shared: Any = create_embedder("local")
    texts = [f"number {number} of many" for number in range(100)]
    expected = embedder.embed_batch(texts)
    faults: list[object] = []
    done = threading.Event()

    def embed() -> None:
        for text, vector in zip(texts, expected, strict=True):
            try:
                if shared.embed(text) != vector:
                    faults.append(text)
            except Exception as error:
                faults.append(error)

    def close() -> None:
        while not done.is_set():
            shared.close()
            time.sleep(0)

    closer = threading.Thread(target=close)
    closer.start()
    threads = [threading.Thread(target=embed) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    closer.join()
    assert faults == []


def test_closing_in_the_middle_of_loading_harms_nobody(
    embedder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, made certain."""

    class Closed(local.LocalEmbedder):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, None if name == "_model" else value)

    assert Closed().embed("hello") == embedder.embed("hello")


@pytest.mark.parametrize("is_loaded", [False, True])
@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))]
)
def test_it_can_be_copied_and_sent_to_another_process(
    embedder: Any, duplicate: Callable[[Any], Any], is_loaded: bool
) -> None:
    made: Any = create_embedder("local", {"embedding_dims": 64})
    if is_loaded:
        made.embed("hello")
    other = duplicate(made)
    assert other.embed("hello") == made.embed("hello")
    assert (other.dims, other.identity, repr(other)) == (64, embedder.identity, repr(made))
    other.close()
    assert made._model is not None


def test_closing_lets_go_of_the_file(embedder: Any) -> None:
    if not Path("/proc/self/maps").exists():
        pytest.skip("reads /proc")

    def maps() -> int:
        return Path("/proc/self/maps").read_text().count("english.safetensors")

    made = [create_embedder("local") for _ in range(5)]
    before = maps()
    for each in made:
        each.embed("hello")
    assert maps() == before + 5
    for each in made:
        each.close()  # type: ignore[attr-defined]
        each.close()  # type: ignore[attr-defined]
    assert maps() == before


def test_a_loop_goes_on_while_a_long_text_is_embedded(tmp_path: Path) -> None:
    """The memory embeds in a thread, and the text gives up the lock as it goes."""

    async def run() -> tuple[int, list[str]]:
        async with AsyncMemory(path=str(tmp_path / "memory.db")) as memory:
            adding = asyncio.ensure_future(
                memory.add("Lisbon, in May! " * 20_000, user_id="ana", infer=False)
            )
            turns = 0
            while not adding.done():
                await asyncio.sleep(0.001)
                turns += 1
            found = await memory.search("Lisbon", filters={"user_id": "ana"})
            return turns, [hit["memory"][:6] for hit in found["results"]]

    turns, found = asyncio.run(run())
    assert turns >= 5
    assert found == ["Lisbon"]


def test_a_cancelled_embedding_leaves_a_memory_that_works(tmp_path: Path) -> None:
    async def run() -> list[str]:
        async with AsyncMemory(path=str(tmp_path / "memory.db")) as memory:
            adding = asyncio.ensure_future(memory.add("東京" * 20_000, user_id="ana", infer=False))
            await asyncio.sleep(0.002)
            adding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await adding
            await memory.add("I moved to Lisbon.", user_id="bob", infer=False)
            found = await memory.search("Lisbon", filters={"user_id": "bob"})
            return [hit["memory"] for hit in found["results"]]

    assert asyncio.run(run()) == ["I moved to Lisbon."]


# --- Stores ----------------------------------------------------------------------------------


def config(path: Path, **options: object) -> dict[str, Any]:
    return {
        "embedder": {"provider": "local", "config": options},
        "vector_store": {"provider": "embedded", "config": {"path": str(path)}},
    }


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "memory.db"
    with Memory.from_config(config(path, embedding_dims=64)) as memory:
        memory.add("I moved to Lisbon.", user_id="ana", infer=False)
    return path


def test_a_store_of_short_vectors_says_what_to_do_when_opened_with_long_ones(stored: Path) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        Memory.from_config(config(stored)).search("Lisbon", filters={"user_id": "ana"})
    said = f"{caught.value} {caught.value.suggestion}"
    assert f"made by local/{local.MODEL} with 64 dimensions" in said
    assert f"the configured one is local/{local.MODEL} with 256" in said
    assert "Configure the embedder that made them" in said
    assert "isomem reembed" in said
    with Memory.from_config(config(stored, embedding_dims=64)) as memory:
        found = memory.search("Lisbon", filters={"user_id": "ana"})["results"]
        assert [hit["memory"] for hit in found] == ["I moved to Lisbon."]


@pytest.mark.parametrize("dims", [True, 256.0, "256", 0, -64, 65, 512, [256], {}])
def test_no_other_length_is_taken_for_one(dims: object) -> None:
    with pytest.raises(InvalidConfigError, match="embedding_dims"):
        create_embedder("local", {"embedding_dims": dims})


@pytest.mark.parametrize("dims", [None, 64, 128, 256])
def test_what_it_says_of_itself_is_so(dims: int | None) -> None:
    made: Any = create_embedder("local", {"embedding_dims": dims, "model": None})
    assert made.dims == made.config.embedding_dims == (dims or 256) == len(made.embed("hello"))
    assert made.config.model == local.MODEL
    assert repr(made) == f"<LocalEmbedder local/{local.MODEL} dims={made.dims}>"
