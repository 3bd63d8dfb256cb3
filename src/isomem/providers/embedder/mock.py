"""Embedders that need no model: a constant one, and one that counts words."""

from __future__ import annotations

from isomem.options import Option, merged
from isomem.ports.brief import brief
from isomem.providers.settings import Settings, default_settings, read_settings, takes
from isomem.providers.tables import DIMS, EMBEDDER_OPTIONS, MODEL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class _Offline:
    """What both have: batches, and nothing to close."""

    config: Settings
    identity: str
    dims: int
    ignores_action = True
    embeds_alike_in_batch = True

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """The vector of `text`, `dims` long."""
        raise NotImplementedError

    @brief
    def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> list[list[float]]:
        """One vector per text, in their order."""
        return [self.embed(each, memory_action) for each in texts]

    def close(self) -> None:
        """Nothing to close."""

    async def aclose(self) -> None:
        """Nothing to close."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identity} dims={self.dims}>"


class ConstantEmbedder(_Offline):
    """Upstream's mock: every text has the same vector of ten values."""

    def __init__(self) -> None:
        self.config = default_settings(EMBEDDER_OPTIONS)
        self.identity = "mock/constant"
        self.dims = 10

    @brief
    def embed(self, text: str, memory_action: str | None = None) -> list[float]:  # noqa: ARG002
        return [number / 10 for number in range(1, self.dims + 1)]


class HashEmbedder(_Offline):
    """Vectors from the words of a text: texts that share words are similar.

    Every word, pair of neighbouring words and run of letters adds to one coordinate. A checksum
    chooses the coordinate and the sign. English function words add little. The same text has the
    same vector in every process and on every platform. Meaning plays no part; for that, use a
    model.

    Args:
        dims: length of the vectors, at least 1. In short vectors, unrelated texts collide more
            often.

    Attributes:
        identity: "mock/hash".
        dims: as given.
    """

    def __init__(self, dims: int = 256) -> None:
        if type(dims) is not int or dims < 1:
            raise ValueError(f"dims must be a whole number, at least 1, got {dims!r}")
        self.config = default_settings(EMBEDDER_OPTIONS, model="hash", embedding_dims=dims)
        self.identity = "mock/hash"
        self.dims = dims

    @brief
    def embed(self, text: str, memory_action: str | None = None) -> list[float]:  # noqa: ARG002
        """The vector of `text`: `dims` numbers, of length one."""
        from zlib import crc32

        sums = [0.0] * self.dims
        for feature, weight in _features(text):
            # Lone surrogates are text too.
            spread = _mixed(crc32(feature.encode("utf-8", "surrogatepass")))
            sums[spread % self.dims] += weight if spread & 0x80000000 else -weight
        return _of_length_one(sums)


_COMMON = frozenset(
    "a an and are at be but by did do does for from had has have he her his how i in is it its "
    "me my of on or our she so that the their them they this to was we were what when where "
    "which who why will with you your".split()
)


def _features(text: str) -> Iterator[tuple[str, float]]:
    from itertools import pairwise

    words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    # A text of punctuation only, or an empty one, gets a feature, too.
    for word in words or [f" {text}"]:
        yield word, 0.2 if word in _COMMON else 1.0
        # Runs match other forms of a word, and words in scripts without spaces.
        length, weight = (3, 0.25) if word.isascii() else (2, 0.5)
        for start in range(len(word) - length + 1):
            yield f"~{word[start : start + length]}", weight
    for pair in pairwise(words):
        yield " ".join(pair), 0.25


def _mixed(checksum: int) -> int:
    """Spreads a checksum over all 32 bits: those of short texts differ in only a few."""
    mixed = (checksum ^ checksum >> 16) * 0x45D9F3B & 0xFFFFFFFF
    mixed = (mixed ^ mixed >> 16) * 0x45D9F3B & 0xFFFFFFFF
    return mixed ^ mixed >> 16


def _of_length_one(sums: list[float]) -> list[float]:
    # These two round the same way everywhere; `sum` and `**` do not.
    from math import fsum, sqrt

    length = sqrt(fsum(value * value for value in sums))
    if length == 0.0:  # signs cancelled each other out
        return [1.0, *[0.0] * (len(sums) - 1)]
    return [value / length for value in sums]


OPTIONS = merged(
    EMBEDDER_OPTIONS,
    (
        Option("model", None, MODEL, "does nothing here", idle=True),
        Option(
            "embedding_dims",
            None,
            DIMS,
            "the length of the vectors; without it they are all the same",
            unset="10",
        ),
    ),
)


@takes(OPTIONS)
def mock_embedder(config: Mapping[str, object] | None = None) -> ConstantEmbedder | HashEmbedder:
    """Upstream's constant embedder; with `embedding_dims`, a `HashEmbedder` of that length.

    Raises:
        InvalidConfigError: an option is unknown.
    """
    settings = read_settings(config, OPTIONS, "embedder.config (mock)")
    dims = settings.embedding_dims
    return ConstantEmbedder() if dims is None else HashEmbedder(dims)
