"""The recipe's rules, on texts small enough to check by hand.

What needs a package that only the recipe has is run by `make model-test`.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
tokenizers = pytest.importorskip("tokenizers")

from models import evaluate, sources, table, wordnet  # noqa: E402

VOCABULARY = {"[UNK]": 0, "ann": 1, "likes": 2, "tea": 3, "bob": 4, "coffee": 5}


@pytest.fixture
def words() -> Any:
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    return tokenizer


# --- Sources ---------------------------------------------------------------------------------


def source(path: Path, content: bytes) -> sources.Source:
    digest = hashlib.sha256(content).hexdigest()
    return sources.Source("name", "1", "pypi", path.name, digest, "MIT", "nothing")


def test_a_file_that_is_there_is_not_downloaded_again(tmp_path: Path) -> None:
    path = tmp_path / "name.whl"
    path.write_bytes(b"content")
    assert sources.fetch(source(path, b"content"), tmp_path) == path


def test_another_content_than_the_recorded_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "name.whl"
    path.write_bytes(b"other")
    with pytest.raises(SystemExit, match="delete it"):
        sources.fetch(source(path, b"content"), tmp_path)


def test_a_client_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(subprocess.CalledProcessError):
        sources.fetch(source(tmp_path / "name.whl", b""), tmp_path)


def test_members_of_a_wheel_and_of_an_npm_package_are_found_by_how_they_start(
    tmp_path: Path,
) -> None:
    (tmp_path / "package" / "dict").mkdir(parents=True)
    (tmp_path / "package" / "dict" / "data.noun").write_text("nouns")
    (tmp_path / "package" / "README").write_text("no")
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        archive.add(tmp_path / "package", "package")
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("dict/data.noun", "nouns")
        wheel.writestr("README", "no")
    for name in ("a.tgz", "a.whl"):
        assert sources.members(tmp_path / name, "dict/") == {"dict/data.noun": b"nouns"}


def test_every_source_is_pinned_and_has_a_licence() -> None:
    for each in sources.SOURCES:
        assert len(bytes.fromhex(each.sha256)) == 32
        assert each.licence
        assert each.version in each.file


# --- WordNet ---------------------------------------------------------------------------------

NOUNS = """  1 This software and database is being provided to you
00021445 13 n 02 food 0 Big_Apple(p) 0 002 @ 00020743 n 0000 ~ 00020744 n 0000 | \
what is eaten; "food and drink"; "fine food"
08542298 15 n 01 Paris 0 001 @i 08542299 n 0000 | the capital of France
"""


def test_synsets_have_words_gloss_and_examples(tmp_path: Path) -> None:
    folder = tmp_path / "package" / "dict"
    folder.mkdir(parents=True)
    for part in ("noun", "verb", "adj", "adv"):
        (folder / f"data.{part}").write_text(NOUNS if part == "noun" else "  1 licence\n")
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        archive.add(tmp_path / "package", "package")
    food, paris = wordnet.synsets(tmp_path / "a.tgz")
    assert food == wordnet.Synset(
        ("food", "Big Apple"), "what is eaten", ("food and drink", "fine food"), False
    )
    assert paris == wordnet.Synset(("Paris",), "the capital of France", (), True)


# --- The table -------------------------------------------------------------------------------


def test_eight_bits_are_off_by_half_a_step_at_most(words: Any) -> None:
    vectors = np.random.default_rng(1).normal(size=(6, 16)) * np.arange(6)[:, None]
    small = table.Table.of(vectors, words)
    assert small.rows.dtype == np.int8
    assert (np.abs(small.rows[1:]).max(1) == 127).all()
    assert (np.abs(small.vectors() - vectors) <= small.scales[:, None] * 0.501).all()
    assert small.tokens == list(VOCABULARY)


def test_a_token_without_a_vector_keeps_none(words: Any) -> None:
    small = table.Table.of(np.zeros((6, 4)), words)
    assert not small.rows.any()
    assert not small.scales.any()


def test_a_text_is_the_sum_of_its_tokens_made_one_long(words: Any) -> None:
    vectors = np.eye(6)
    encode = table.Encoder(vectors, words)
    one, two, none = encode(["Ann likes tea", "tea likes Ann tea", ""])
    assert one == pytest.approx(np.array([0, 1, 1, 1, 0, 0]) / 3**0.5)
    assert two == pytest.approx(np.array([0, 1, 1, 2, 0, 0]) / 6**0.5)
    assert not none.any()


# --- Recall ----------------------------------------------------------------------------------


def conversation(folder: Path) -> None:
    turns = [
        {"speaker": "Ann", "dia_id": "D1:1", "text": "likes tea"},
        {"speaker": "Bob", "dia_id": "D1:2", "text": "likes coffee"},
    ]
    facts = {"Ann": [["Ann likes tea", "D1:1"]], "Bob": [["Bob likes coffee", ["D1:2"]]]}
    qa = [
        {"question": "tea", "evidence": ["D1:1"], "category": 4},
        {"question": "coffee", "evidence": ["D1:1"], "category": 1},
        {"question": "without evidence", "evidence": [], "category": 1},
        {"question": "without an answer", "evidence": ["D1:1"], "category": 5},
    ]
    sessions = [{"session": 1, "turns": turns, "facts": facts}]
    (folder / "one.json").write_text(json.dumps({"sessions": sessions, "qa": qa}))


@pytest.mark.parametrize("memories", evaluate.MEMORIES)
def test_recall_counts_the_questions_whose_evidence_comes_first(
    memories: str, words: Any, tmp_path: Path
) -> None:
    conversation(tmp_path)
    found = evaluate.recall(tmp_path, memories, table.Encoder(np.eye(6), words))
    assert found == {"one": [0.5, 1.0, 1.0], "all": [0.5, 1.0, 1.0]}


def test_a_folder_without_conversations_is_an_error(words: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds no conversations"):
        evaluate.recall(tmp_path, "facts", table.Encoder(np.eye(6), words))


# --- What needs the recipe's own packages ----------------------------------------------------


def test_the_linear_solution_is_that_of_the_normal_equations(words: Any) -> None:
    pytest.importorskip("scipy")
    from models import solve

    chance = np.random.default_rng(2)
    texts = ["Ann likes tea", "Bob likes coffee", "Ann likes coffee", "tea tea", "coffee Bob"]
    labels = chance.normal(size=(5, 8)).astype(np.float16)
    prior = chance.normal(size=(6, 8))
    shares = solve.counts(texts, words)
    assert shares.toarray().sum(1) == pytest.approx(np.ones(5))
    halves = [solve.Normal.of(shares[part], labels[part]) for part in (slice(2), slice(2, 5))]
    normal = halves[0] + halves[1]
    directions = normal.directions(3)
    assert directions.T @ directions == pytest.approx(np.eye(3))
    found = normal.solve(prior, directions, 0.1)

    dense, wanted = shares.toarray(), labels.astype(np.float64) @ directions
    start = prior @ directions
    start *= ((dense @ start) * wanted).sum() / ((dense @ start) ** 2).sum()
    left = dense.T @ dense + 0.1 * np.eye(6)
    right = dense.T @ (wanted - dense @ start)
    assert found == pytest.approx(start + np.linalg.solve(left, right), abs=1e-6)


def test_tuning_brings_the_order_of_similarities_closer(
    words: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from models import tune

    monkeypatch.setattr(tune, "RATE", 0.05)
    monkeypatch.setattr(tune, "BATCH", 16)
    monkeypatch.setattr(tune, "NEAR", 4)
    monkeypatch.setattr(tune, "POOL", 64)
    chance = np.random.default_rng(3)
    names = list(VOCABULARY)[1:]
    texts = [" ".join(chance.choice(names, 3)) for _ in range(64)]
    wanted = table.Encoder(chance.normal(size=(6, 8)), words)
    labels = wanted(texts)
    rows = chance.normal(size=(6, 8))
    known = tune.Texts(texts, labels.astype(np.float16), words)
    tuned = tune.tune(rows, np.eye(8), known)
    again = tune.tune(rows, np.eye(8), known)

    def distance(vectors: Any) -> float:
        ours = table.Encoder(vectors, words)(texts)
        return float(np.abs(ours @ ours.T - labels @ labels.T).mean())

    assert distance(tuned) < 0.7 * distance(rows)
    assert (tuned == again).all()


def test_the_sentences_of_a_part_are_each_once_and_in_an_order_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models import corpus

    texts = ["two  words", "two words", "single", "x" * 500 + " y", "three small words", "no , one"]
    for order in (texts, texts[::-1]):
        part = corpus.Part(lambda _, order=order: order, 2)
        monkeypatch.setitem(corpus.PARTS, "made", part)
        first = corpus.sentences("made", tmp_path)
        assert len(first) == 2
        assert set(first) <= {"two words", "three small words", "no , one"}
    assert first == corpus.sentences("made", tmp_path)
