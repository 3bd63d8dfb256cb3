"""Guards: what a foreign part raises becomes a `PartFailure`, and nothing else does.

A part is whatever stands behind a port: a model, an embedder, a reranker, a store of someone
else's. A pipeline that can go on without it catches `PartFailure` and nothing broader, so a mistake
of ours is never taken for one of theirs. At the surface the failure is unwrapped again: callers
see the error that the part raised, as they do with mem0.
"""

from __future__ import annotations

from isomem.errors import EmbeddingError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class PartFailure(Exception):  # noqa: N818 - it carries an error, and is never shown as one
    """A part failed; `error` is what it raised."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def guarded(part: Any, name: str) -> Callable[..., Any]:
    """A method of a part, looked up when it is called."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return getattr(part, name)(*args, **kwargs)
        except Exception as error:
            raise PartFailure(error) from error

    return call


def one_for_each(vectors: Any, texts: list[str]) -> Any:
    """The vectors of an embedder, if it gave one for each text.

    Raises:
        PartFailure: it gave another number of them, or something else.
    """
    try:
        count = len(vectors)
    except TypeError:
        count = -1
    if count == len(texts):
        return vectors
    given = type(vectors).__name__ if count < 0 else f"{count} vectors"
    raise PartFailure(EmbeddingError(f"the embedder gave {given} for {len(texts)} texts"))


class Guarded:
    """A part with every method guarded.

    Args:
        part: has upstream's method names.
    """

    def __init__(self, part: Any) -> None:
        self.part = part

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return guarded(self.part, name)


def guarded_nlp(tier: Any) -> Any:
    """A language tier; guarded, unless it is our own code all through."""
    module = type(tier).__module__
    is_ours = module.startswith("isomem.") and not module.endswith(".spacy_tier")
    return tier if is_ours else Guarded(tier)
