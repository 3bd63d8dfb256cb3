"""Rerankers that a library computes in this process."""

from __future__ import annotations

from isomem.errors import RerankError
from isomem.options import SWITCH, TEXT, Option, merged, optional, whole
from isomem.providers.extras import OncePerProcess, missing, require
from isomem.providers.reranker.documents import by_score, text_of, unranked
from isomem.providers.settings import read_settings
from isomem.providers.tables import RERANKER_OPTIONS, named_model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, ClassVar

    from isomem.options import Table
    from isomem.providers.reranker.documents import Document

EXTRA = "huggingface"

_DEVICE = Option("device", None, optional(TEXT), 'such as `"cpu"` or `"cuda"`', unset="the fastest")
_BATCH = Option("batch_size", 32, whole(1, 1_000_000), "how many texts are scored at once")


class LibraryReranker:
    """A model that scores pairs of a question and a text.

    The library is imported, and its model loaded (it may be downloaded), with the first call. If
    scoring fails, the documents keep their order, and a warning says why.

    Args:
        config: options under upstream's names; see docs/providers.md.

    Attributes:
        name: in the configuration.
        module: the library.

    Raises:
        InvalidConfigError: an option is unknown.
        DependencyError: the extra isomem[huggingface] is not installed.
    """

    name: ClassVar[str]
    module: ClassVar[str]
    default_model: ClassVar[str]
    table: ClassVar[Table]

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        self.config = read_settings(config, self.table, f"reranker.config ({self.name})")
        self.config.model = self.config.model or self.default_model
        require(self.module, EXTRA, f"The reranker {self.name!r}")
        self._held = OncePerProcess(self._load)

    def load(self) -> Any:
        """The model."""
        raise NotImplementedError

    def scores(self, model: Any, query: str, texts: list[object]) -> list[float]:
        """One score per text."""
        raise NotImplementedError

    def rerank(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> list[Document]:
        """Copies of `documents` with a `rerank_score`, the most relevant first.

        Args:
            query: what was searched for.
            documents: dicts with the text under "memory", "text" or "content".
            top_k: how many to return; 0 or None means the configured number, or all.

        Raises:
            RerankError: the model cannot be loaded.
            DependencyError: the library is installed, but cannot be imported.
        """
        if not documents:
            return documents
        model = self._held.get()
        most = top_k or self.config.top_k
        try:
            texts = [text_of(document) for document in documents]
            return by_score(documents, self.scores(model, query, texts), most)
        except Exception as error:  # noqa: BLE001  (a library may raise anything; see the docstring)
            return unranked(self.name, documents, most, error)

    def _load(self) -> Any:
        try:
            return self.load()
        except ImportError as error:
            raise missing(self.module, EXTRA, self.name, str(error)) from error
        except Exception as error:  # the library may raise anything
            raise RerankError(
                f"{self.name} (model {self.config.model!r}) cannot load its model: {error}",
                details={"provider": self.name, "model": self.config.model},
            ) from error

    def close(self) -> None:
        """Releases the model; the next call loads it again."""
        self._held.forget()

    async def aclose(self) -> None:
        """As `close`."""
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.config!r}>"


class SentenceTransformerReranker(LibraryReranker):
    """A cross-encoder of sentence-transformers: a name at Hugging Face, or a folder."""

    name = "sentence_transformer"
    module = "sentence_transformers"
    default_model = "cross-encoder/ms-marco-MiniLM-L-6-v2"
    table = merged(
        RERANKER_OPTIONS,
        (
            named_model(default_model, RERANKER_OPTIONS),
            _DEVICE,
            _BATCH,
            Option("show_progress_bar", False, optional(SWITCH), "whether the library prints one"),
        ),
    )

    def load(self) -> Any:
        from sentence_transformers import CrossEncoder

        return CrossEncoder(self.config.model, device=self.config.device)

    def scores(self, model: Any, query: str, texts: list[object]) -> list[float]:
        found: list[float] = model.predict(
            [[query, text] for text in texts],
            batch_size=self.config.batch_size,
            show_progress_bar=self.config.show_progress_bar,
        ).tolist()
        return found


class HuggingFaceReranker(LibraryReranker):
    """A model for the classification of pairs: a name at Hugging Face, or a folder."""

    name = "huggingface"
    module = "transformers"
    default_model = "BAAI/bge-reranker-base"
    table = merged(
        RERANKER_OPTIONS,
        (
            named_model(default_model, RERANKER_OPTIONS),
            _DEVICE,
            _BATCH,
            Option("max_length", 512, whole(1, 1_000_000), "how many tokens of a pair are read"),
            Option("normalize", True, optional(SWITCH), "whether scores are spread from 0 to 1"),
        ),
    )

    def load(self) -> Any:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        device = self.config.device or ("cuda" if torch.cuda.is_available() else "cpu")
        tokenizer = AutoTokenizer.from_pretrained(self.config.model)
        model = AutoModelForSequenceClassification.from_pretrained(self.config.model)
        model.to(device)
        model.eval()
        return tokenizer, model, device

    def scores(self, model: Any, query: str, texts: list[object]) -> list[float]:
        size, found = self.config.batch_size, []
        for start in range(0, len(texts), size):
            found += self._logits(model, [[query, text] for text in texts[start : start + size]])
        return spread(found) if self.config.normalize else found

    def _logits(self, model: Any, pairs: list[list[object]]) -> list[float]:
        import torch

        tokenizer, classifier, device = model
        read = tokenizer(
            pairs,
            padding=True,
            truncation=True,
            max_length=self.config.max_length,
            return_tensors="pt",
        ).to(device)
        with torch.no_grad():
            logits: list[float] = classifier(**read).logits.squeeze(-1).cpu().tolist()
        return logits


def spread(scores: list[float]) -> list[float]:
    """The scores, moved and scaled so that the lowest is 0 and the highest nearly 1."""
    least = min(scores)
    width = max(scores) - least + 1e-8
    return [(score - least) / width for score in scores]
