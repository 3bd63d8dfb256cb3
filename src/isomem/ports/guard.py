"""Guards: what a foreign part raises becomes a `PartFailure`, and nothing else does.

A part is anything behind a port: a model, an embedder, a reranker, a foreign store. A pipeline that
can go on without it catches `PartFailure` and nothing broader, so a bug of ours is never mistaken
for one of theirs. At the surface the failure is unwrapped again: callers see the error that the
part raised, as they do with mem0.
"""

from __future__ import annotations

from isomem.errors import ConfigurationError, EmbeddingError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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
        PartFailure: it returned the wrong number of vectors, or something else.
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


class GuardedStore(Guarded):
    """A foreign vector store, completed by the methods of mem0's base class."""

    def keyword_search(self, **asked: Any) -> Any:
        """None if the store has no keyword search."""
        if hasattr(self.part, "keyword_search"):
            return guarded(self.part, "keyword_search")(**asked)
        return None

    def search_batch(
        self, queries: Sequence[str], vectors_list: Sequence[Any], top_k: int, filters: Any
    ) -> Any:
        """One `search` per vector if the store has no better way."""
        if hasattr(self.part, "search_batch"):
            return guarded(self.part, "search_batch")(
                queries=queries, vectors_list=vectors_list, top_k=top_k, filters=filters
            )
        search = guarded(self.part, "search")
        return [
            search(query=query, vectors=vector, top_k=top_k, filters=filters)
            for query, vector in zip(queries, vectors_list, strict=True)
        ]


class GuardedTier(Guarded):
    """A foreign language tier. What it returns must have the shape that the port names.

    A method also raises a `PartFailure` for an answer of the wrong shape.
    """

    def lemmatize(self, text: str) -> str:
        lemmas = guarded(self.part, "lemmatize")(text)
        if not isinstance(lemmas, str):
            raise _wrong_shape("lemmatize", lemmas, "a string")
        return lemmas

    def entities(self, text: str) -> list[tuple[str, str]]:
        return _pairs("entities", guarded(self.part, "entities")(text))

    def entities_batch(self, texts: list[str]) -> list[list[tuple[str, str]]]:
        found = guarded(self.part, "entities_batch")(texts)
        if not isinstance(found, (list, tuple)) or len(found) != len(texts):
            raise _wrong_shape("entities_batch", found, f"{len(texts)} lists, one for each text")
        return [_pairs("entities_batch", each) for each in found]


def _pairs(method: str, found: object) -> list[tuple[str, str]]:
    if isinstance(found, (list, tuple)) and all(_is_pair(each) for each in found):
        return [(kind, text) for kind, text in found]
    raise _wrong_shape(method, found, "a list of pairs (type, text)")


def _is_pair(entity: object) -> bool:
    if not isinstance(entity, (list, tuple)) or len(entity) != 2:
        return False
    return all(isinstance(each, str) for each in entity)


def _wrong_shape(method: str, given: object, expected: str) -> PartFailure:
    kind = type(given).__name__
    size = f" of {len(given)}" if isinstance(given, (list, tuple)) else ""
    return PartFailure(
        ConfigurationError(
            f"{method} of the language tier must give {expected}, got {kind}{size}",
            error_code="CONFIG_007",
            suggestion="Correct the object that was set as the memory's nlp.",
        )
    )


def guarded_nlp(tier: Any) -> Any:
    """A language tier; guarded, unless it is entirely our own code."""
    module = type(tier).__module__
    is_ours = module.startswith("isomem.") and not module.endswith(".spacy_tier")
    return tier if is_ours else GuardedTier(tier)
