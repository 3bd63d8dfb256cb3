"""The embedder of `bench.serve`, for both servers: it takes nearly no time.

Both have the same one inside of their processes, so that neither a network nor the making of
vectors counts. A vector is that of a text's first two words, and is made once. So texts that share
one of them are similar, and the texts of the benchmark have some hundred vectors.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from isomem.ports.brief import brief
from isomem.testing import HashEmbedder

if TYPE_CHECKING:
    from collections.abc import Mapping

DIMS = 1536
NAME = "bench_serve"
"""What the configuration calls it."""

# What runs mem0's server: its own application, with this embedder and the tables it expects.
LAUNCHER = """
from bench.serve_stub import Stub
from mem0.embeddings.openai import OpenAIEmbedding

stub = Stub()
OpenAIEmbedding.embed = lambda self, text, action=None: stub.embed(text)
OpenAIEmbedding.embed_batch = lambda self, texts, action=None: stub.embed_batch(texts)

from db import Base, engine
import models
from main import app

Base.metadata.create_all(engine)
"""


class Stub(HashEmbedder):
    """The vectors of first words, as a `HashEmbedder` makes them."""

    def __init__(self) -> None:
        super().__init__(DIMS)
        self._known: dict[str, list[float]] = {}

    @brief
    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """The vector of a text."""
        key = " ".join(text.split(None, 2)[:2])
        if key not in self._known:
            # One object for all zeros: the vectors take a third of the memory.
            self._known[key] = [value or 0.0 for value in super().embed(key, memory_action)]
        return self._known[key]


def make(config: Mapping[str, object] | None = None) -> Stub:
    """The embedder, as a configuration asks for it."""
    del config
    return Stub()


def install(folder: Path) -> Path:
    """Makes a folder that, on `PYTHONPATH`, gives isomem's configuration the embedder."""
    about = folder / f"{NAME}-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1\n", "utf-8")
    entry = f"[isomem.embedders]\n{NAME} = {__name__}:make\n"
    (about / "entry_points.txt").write_text(entry, "utf-8")
    return folder
