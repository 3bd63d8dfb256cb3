"""What a library computes in this process, beside upstream's own class with the same library.

The models are tiny, and made here: nothing is downloaded. What is not installed is skipped;
`make libraries` installs all of it.
"""

from __future__ import annotations

import importlib
import json
import os
import struct
import sys
import types
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from isomem.errors import EmbeddingError, RerankError
from isomem.providers.registry import create_embedder, create_reranker

pytest.importorskip("mem0")
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore"),  # what upstream and the libraries deprecate is theirs
]

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] i like tea my dog is called rex and he likes where".split()
TEXTS = ["I like tea.", "My dog is called Rex,\nand he likes tea", "日本", ""]
DOCUMENTS: list[dict[str, Any]] = [
    {"id": "1", "memory": "I like tea"},
    {"id": "2", "text": "my dog is called Rex"},
    {"id": "3", "content": "tea"},
    {"id": "4"},
]


def theirs(name: str, options: dict[str, Any]) -> Any:
    """Upstream's embedder."""
    from mem0.utils.factory import EmbedderFactory

    return EmbedderFactory.create(name, options, None)


def their_reranker(name: str, options: dict[str, Any]) -> Any:
    from mem0.utils.factory import RerankerFactory

    return RerankerFactory.create(name, options)


def same_vectors(mine: Any, upstream: Any) -> None:
    for text in TEXTS:
        expected = upstream.embed(text, "search")
        vector = mine.embed(text, "search")
        assert vector == [float(value) for value in expected]
        assert all(type(value) is float for value in vector)
    assert mine.embed_batch(TEXTS) == [mine.embed(text) for text in TEXTS]
    assert mine.dims == len(mine.embed("tea"))
    mine.close()
    assert mine.embed("tea") == mine.embed("tea")


# --- LangChain -------------------------------------------------------------------------------


def test_langchain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream's class asks for a base class where older releases of LangChain have it."""
    base = types.ModuleType("langchain.embeddings.base")
    vars(base)["Embeddings"] = Embeddings
    for name in ("langchain", "langchain.embeddings"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, base.__name__, base)
    monkeypatch.delitem(sys.modules, "mem0.embeddings.langchain", raising=False)
    model = Embeddings()
    mine, upstream = (make("langchain", {"model": model}) for make in (create_embedder, theirs))
    for text in TEXTS:
        assert mine.embed(text, "add") == upstream.embed(text, "add")
    assert mine.embed_batch(TEXTS) == upstream.embed_batch(TEXTS)
    assert model.asked == [each for text in TEXTS for each in (text, text)] + TEXTS + TEXTS
    model.fault = RuntimeError("quota")
    with pytest.raises(EmbeddingError, match=r"langchain/Embeddings failed: quota"):
        mine.embed("tea")


class Embeddings:
    """An embedder with LangChain's methods."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fault: Exception | None = None

    def embed_query(self, text: str) -> list[float]:
        if self.fault:
            raise self.fault
        self.asked.append(text)
        return [float(len(text)), 1.0]


# --- FastEmbed -------------------------------------------------------------------------------


def field(number: int, value: bytes | int) -> bytes:
    """A field of a message in the format of Protocol Buffers."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def onnx_model(rows: list[list[float]]) -> bytes:
    """An ONNX model that looks up a row for each token."""
    flat = struct.pack(f"<{len(rows) * len(rows[0])}f", *(x for row in rows for x in row))
    table = (
        field(1, len(rows))
        + field(1, len(rows[0]))
        + field(2, 1)
        + field(8, b"table")
        + field(9, flat)
    )
    node = (
        field(1, b"table")
        + field(1, b"input_ids")
        + field(2, b"last_hidden_state")
        + field(4, b"Gather")
    )
    inputs = [tensor(name, 7, 2) for name in (b"input_ids", b"attention_mask", b"token_type_ids")]
    graph = field(1, node) + field(2, b"g") + field(5, table)
    graph += b"".join(field(11, each) for each in inputs)
    graph += field(12, tensor(b"last_hidden_state", 1, 3))
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


def tensor(name: bytes, kind: int, axes: int) -> bytes:
    """An input or an output: its name, type and number of axes."""
    shape = b"".join(field(1, field(2, b"n%d" % axis)) for axis in range(axes))
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))


def saved_tokenizer(folder: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    model = tokenizers.models.WordPiece(
        {word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"
    )
    made = tokenizers.Tokenizer(model)
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.save(str(folder / "tokenizer.json"))
    special = dict(
        zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), WORDS, strict=False)
    )
    files = {
        "config.json": {"pad_token_id": 0},
        "tokenizer_config.json": {"model_max_length": 32, "do_lower_case": True, **special},
        "special_tokens_map.json": special,
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")


def test_fastembed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fastembed = pytest.importorskip("fastembed")
    from fastembed.common.model_description import ModelSource, PoolingType

    saved_tokenizer(tmp_path)
    rows = [[float(n), 1.0, float(n * n % 7)] for n in range(len(WORDS))]
    (tmp_path / "model.onnx").write_bytes(onnx_model(rows))
    fastembed.TextEmbedding.add_custom_model(
        model=f"test/tiny-{os.getpid()}",
        pooling=PoolingType.MEAN,
        normalization=True,
        sources=ModelSource(hf="test/tiny"),
        dim=3,
        model_file="model.onnx",
    )
    local = partial(fastembed.TextEmbedding, specific_model_path=str(tmp_path))
    monkeypatch.setattr(fastembed, "TextEmbedding", local)
    monkeypatch.delitem(sys.modules, "mem0.embeddings.fastembed", raising=False)
    options = {"model": f"test/tiny-{os.getpid()}"}
    mine = create_embedder("fastembed", options)
    assert vars(mine)["dims"] is None
    same_vectors(mine, theirs("fastembed", dict(options)))
    with pytest.raises(EmbeddingError, match="cannot load its model"):
        create_embedder("fastembed", {"model": "no/such-model"}).embed("tea")


# --- sentence-transformers and transformers --------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders with a sentence-transformer and with a classifier of pairs, of random weights."""
    transformers = pytest.importorskip("transformers")
    sentences = pytest.importorskip("sentence_transformers")
    torch = pytest.importorskip("torch")
    torch.manual_seed(7)
    plain, pairs, whole = (tmp_path_factory.mktemp(name) for name in ("plain", "pairs", "whole"))
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    size = {"intermediate_size": 32, "vocab_size": len(WORDS), "max_position_embeddings": 64}
    for folder, kind, more in (
        (plain, transformers.BertModel, {}),
        (pairs, transformers.BertForSequenceClassification, {"num_labels": 1}),
    ):
        saved_tokenizer(folder)
        kind(transformers.BertConfig(**shape, **size, **more)).save_pretrained(str(folder))
        transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(str(folder))
    parts = importlib.import_module("sentence_transformers.models")
    reader = parts.Transformer(str(plain))
    sentences.SentenceTransformer(modules=[reader, parts.Pooling(16)]).save(str(whole))
    return {"sentences": str(whole), "pairs": str(pairs)}


def test_sentence_transformers(tiny: dict[str, str]) -> None:
    options = {"model": tiny["sentences"], "model_kwargs": {"device": "cpu"}}
    mine = create_embedder("huggingface", options)
    same_vectors(mine, theirs("huggingface", dict(options)))
    with pytest.raises(EmbeddingError, match="cannot load its model"):
        create_embedder("huggingface", {"model": "/no/such/folder"}).embed("tea")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sentence_transformer", {"device": "cpu"}),
        ("sentence_transformer", {"device": "cpu", "batch_size": 2, "top_k": 3}),
        ("huggingface", {}),
        ("huggingface", {"device": "cpu", "batch_size": 2, "max_length": 8, "normalize": False}),
    ],
)
@pytest.mark.parametrize("top_k", [None, 2])
def test_rerankers(
    name: str, options: dict[str, Any], top_k: int | None, tiny: dict[str, str]
) -> None:
    given = {"model": tiny["pairs"], **options}
    mine, upstream = create_reranker(name, given), their_reranker(name, dict(given))
    ranked = mine.rerank("Where is my dog?", [dict(each) for each in DOCUMENTS], top_k)
    assert ranked == upstream.rerank("Where is my dog?", [dict(each) for each in DOCUMENTS], top_k)
    assert len(ranked) == (top_k or options.get("top_k") or len(DOCUMENTS))
    assert len({each["rerank_score"] for each in ranked}) > 1


@pytest.mark.parametrize("name", ["sentence_transformer", "huggingface"])
def test_a_reranker_that_fails_leaves_the_order(
    name: str, tiny: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that is no text: both libraries refuse it."""
    given = {"model": tiny["pairs"], "device": "cpu", "top_k": 2}
    documents = [{"id": "1", "memory": None}, {"id": "2", "memory": 3}, {"id": "3"}]
    mine, upstream = create_reranker(name, given), their_reranker(name, dict(given))
    ranked = mine.rerank("tea", [dict(each) for each in documents])
    assert ranked == upstream.rerank("tea", [dict(each) for each in documents])
    assert [each["rerank_score"] for each in ranked] == [0.0, 0.0]
    with pytest.raises(RerankError, match="cannot load its model"):
        create_reranker(name, {"model": "/no/such/folder"}).rerank("tea", documents)
