"""The embedder of the base install: a model for English whose file comes with isomem.

It has one vector for each of 30,522 pieces of words. The vector of a text is the sum of those of
its pieces, scaled to length 1. `docs/model.md` says where it is from and what it is bad at.
"""

from __future__ import annotations

import os
from time import monotonic, sleep

from isomem.errors import DependencyError, EmbeddingError
from isomem.options import Option, merged, one_of, optional
from isomem.ports.brief import brief
from isomem.providers.embedder.in_process import InProcessEmbedder
from isomem.providers.settings import read_settings
from isomem.providers.tables import EMBEDDER_OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator, Mapping

    from isomem.providers.embedder.table import Table
    from isomem.providers.embedder.wordpiece import WordPiece

MODEL = "isomem-english-1"
_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "english.safetensors")
_SIZES = (64, 128, 256)
_CHECKSUM = 0xB7BD7D4E
"""Of the file, see `Table`. Another file that `make model` made needs another one."""
_TURN_S = 0.001
"""After so long, other threads have a chance."""


class LocalEmbedder(InProcessEmbedder):
    """The model that comes with isomem. It is for English, needs no key and no network.

    Any number of threads may use it at the same time, and so may the child of a fork.

    Args:
        config: options. `embedding_dims` is 256 (default), 128 or 64; shorter vectors point where
            the first numbers of the full one do.

    Attributes:
        identity: names the model.
        dims: length of the vectors.

    Raises:
        InvalidConfigError: an option is unknown, or another length is asked for.
    """

    identity = f"local/{MODEL}"
    table = merged(
        EMBEDDER_OPTIONS,
        (
            Option(
                "model", None, optional(one_of(MODEL)), "there is only this one", unset=f"`{MODEL}`"
            ),
            Option(
                "embedding_dims",
                None,
                optional(one_of(*_SIZES)),
                "the length of the vectors",
                unset=str(_SIZES[-1]),
            ),
        ),
    )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        self.config = read_settings(config, self.table, "embedder.config (local)")
        self.config.model = MODEL
        self.dims: int = self.config.embedding_dims or _SIZES[-1]
        self.config.embedding_dims = self.dims
        self._path = _PATH

    @brief
    def embed(
        self,
        text: str,
        memory_action: str | None = None,  # noqa: ARG002  (part of the port)
    ) -> list[float]:
        """The vector of `text`, of length 1; all zeros for a text without any word.

        Raises:
            EmbeddingError: the text is not valid Unicode.
            DependencyError: the file of the model is missing or damaged.
        """
        return self._embedded(text, _Pace())

    def _embedded(self, text: str, pace: _Pace) -> list[float]:
        from isomem.providers.embedder.sums import vector

        model: tuple[Table, WordPiece] = self._model or self._loaded()
        table, words = model
        try:
            return vector(table, pace.each(words.split(text)), self.dims)
        except (AttributeError, TypeError, UnicodeError) as error:
            raise EmbeddingError(
                f"local (model {MODEL!r}) cannot read the text: {error}",
                details={"provider": "local", "model": MODEL},
                suggestion="Give it a str without lone surrogates",
            ) from error

    def _loaded(self) -> tuple[Table, WordPiece]:
        # If two threads load it at the same time, one of the two stays; both are right. Another
        # one may close it meanwhile, so what was loaded is returned, not what is there now.
        self._model = loaded = _load(self._path)
        return loaded

    @brief
    def embed_batch(
        self,
        texts: list[str],
        memory_action: str | None = "add",  # noqa: ARG002  (part of the port)
    ) -> list[list[float]]:
        """One vector per text, in their order. Raises as `embed`."""
        pace = _Pace()
        return [self._embedded(text, pace) for text in texts]

    def __getstate__(self) -> dict[str, object]:
        # A copy, in this process or another one, loads the model itself: a map has no copies.
        return {**self.__dict__, "_model": None}


class _Pace:
    """Gives other threads a chance between blocks, once per turn.

    Without it, an event loop would wait for the interpreter's lock for 5 ms at a time. After every
    block would be too often: on a busy machine, each time can cost a turn of the processor.
    """

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = monotonic()

    def each(self, blocks: Iterator[array[int]]) -> Iterator[array[int]]:
        """The blocks of a text."""
        for block in blocks:
            if monotonic() - self._since > _TURN_S:
                sleep(0)
                self._since = monotonic()
            yield block


def _load(path: str) -> tuple[Table, WordPiece]:
    from isomem.providers.embedder.table import Table
    from isomem.providers.embedder.wordpiece import WordPiece

    try:
        table = Table(path, _CHECKSUM)
    except (OSError, ValueError) as error:
        raise DependencyError(
            f"The local embedder's model cannot be read from {path} ({error})",
            details={"path": path},
            suggestion="Reinstall isomem: the file is part of it",
        ) from error
    return table, WordPiece(table)
