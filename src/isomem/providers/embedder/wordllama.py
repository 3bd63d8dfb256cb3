"""The embedder that was the local one before isomem had a model of its own: old stores need it.

The `wordllama` package contains one vector per token of the Llama 2 vocabulary. The vector of a
text is the mean of its tokens' vectors. Only two files of the package are read, in place: neither
it nor anything that it requires is imported, and any release of it will do.
"""

from __future__ import annotations

import os

from isomem.errors import DependencyError, EmbeddingError
from isomem.options import Option, merged, one_of, optional
from isomem.providers.embedder.byte_pairs import BytePairs
from isomem.providers.embedder.in_process import InProcessEmbedder
from isomem.providers.extras import folder_of
from isomem.providers.settings import read_settings
from isomem.providers.tables import EMBEDDER_OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from mmap import mmap

MODEL = "wordllama-l2-supercat"
_WEIGHTS = ("weights", "l2_supercat_256.safetensors")
_TOKENIZER = ("tokenizers", "l2_supercat_tokenizer_config.json")
_TENSOR = "embedding.weight"
_SPECIALS = ("<unk>", "<s>", "</s>")
_SIZES = (64, 128, 256)
_BLOCK = 64


class WordLlamaEmbedder(InProcessEmbedder):
    """The model in the `wordllama` package. It works best for English.

    Its identity is the one that stores have recorded since it was the local embedder.

    Args:
        config: options. `embedding_dims` is 256 (default), 128 or 64; shorter vectors are the
            first numbers of the full one.

    Attributes:
        identity: names the model.
        dims: length of the vectors.

    Raises:
        InvalidConfigError: an option is unknown, or another length is asked for.
        DependencyError: the extra isomem[wordllama] is not installed.
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
        self.config = read_settings(config, self.table, "embedder.config (wordllama)")
        self.config.model = MODEL
        self.dims: int = self.config.embedding_dims or _SIZES[-1]
        self.config.embedding_dims = self.dims
        self._directory = _directory()

    def embed(
        self,
        text: str,
        memory_action: str | None = None,  # noqa: ARG002  (part of the port)
    ) -> list[float]:
        """The vector of `text`; all zeros for an empty text.

        Raises:
            EmbeddingError: the text is not valid Unicode.
        """
        table, tokenizer = self._loaded()
        try:
            tokens = tokenizer.ids(text)
        except (AttributeError, TypeError, UnicodeError) as error:
            raise EmbeddingError(
                f"wordllama (model {MODEL!r}) cannot read the text: {error}",
                details={"provider": "wordllama", "model": MODEL},
                suggestion="Give it a str without lone surrogates",
            ) from error
        return table.mean(tokens, self.dims)

    def _loaded(self) -> tuple[_Table, BytePairs]:
        model: tuple[_Table, BytePairs] | None = self._model
        if model is None:
            model = self._model = _load(self._directory)
        return model


def _directory() -> str:
    folder = folder_of("wordllama")
    if folder is None:
        raise _not_installed("is not installed")
    return folder


def _not_installed(fault: str) -> DependencyError:
    return DependencyError(
        f'The local embedder\'s model {fault}: pip install "isomem[wordllama]"',
        details={"package": "wordllama", "extra": "wordllama"},
        suggestion='pip install "isomem[wordllama]"',
    )


def _load(directory: str) -> tuple[_Table, BytePairs]:
    try:
        return (
            _Table(os.path.join(directory, *_WEIGHTS)),
            _tokenizer(os.path.join(directory, *_TOKENIZER)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _not_installed(f"cannot be read from {directory} ({error})") from error


def _tokenizer(path: str) -> BytePairs:
    """The tokenizer of the vocabulary in a file; the list of merges in it is not needed."""
    from json import JSONDecoder

    with open(path, "rb") as file:
        data = file.read()
    # Only the vocabulary: the merges behind it would take more memory than everything else.
    start, end = data.index(b"{", data.index(b'"vocab"')), data.index(b'"merges"')
    vocabulary, _ = JSONDecoder().raw_decode(data[start:end].decode())
    return BytePairs(vocabulary, _SPECIALS)


class _Table:
    """The rows of a matrix of half-precision floats in a safetensors file, read in place."""

    def __init__(self, path: str) -> None:
        import json

        self._bytes = _mapped(path)
        length = int.from_bytes(self._bytes[:8], "little")
        tensor = json.loads(self._bytes[8 : 8 + length])[_TENSOR]
        if tensor["dtype"] != "F16" or tensor["shape"][1] != _SIZES[-1]:
            raise ValueError(f"{path} has another kind of table")
        self._start = 8 + length + tensor["data_offsets"][0]
        self._last = tensor["shape"][0] - 1
        self._stride = 2 * tensor["shape"][1]

    def mean(self, rows: list[int], dims: int) -> list[float]:
        """The mean of `rows`; each counts as often as it is listed."""
        sums: Iterable[float] = [0.0] * dims
        # In blocks, so that a long text takes no more memory than a short one.
        for start in range(0, len(rows), _BLOCK):
            block = [self._row(row, dims) for row in rows[start : start + _BLOCK]]
            sums = map(sum, zip(sums, *block, strict=True))
        count = len(rows) or 1
        return [value / count for value in sums]

    def _row(self, row: int, dims: int) -> tuple[float, ...]:
        from struct import unpack_from

        offset = self._start + self._stride * min(row, self._last)
        return unpack_from(f"<{dims}e", self._bytes, offset)


def _mapped(path: str) -> mmap:
    import mmap

    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
