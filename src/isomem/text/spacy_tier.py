"""The full tier: lemmas and entities as upstream takes them from spaCy.

Which entities a parsed text has is in a module for each release of upstream whose rules differ:
`spacy_v2_0_4` and `spacy_v2_2_1`.
"""

from __future__ import annotations

import os
from threading import Lock
from weakref import WeakValueDictionary

from isomem.errors import DependencyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from isomem.text.entities import Entity

    # spaCy is optional and its objects are compiled, so we have no types for them.
    Doc = Any
    Token = Any

NOT_FOR_LEMMAS = ("ner", "parser")
BATCH = 32


class Models:
    """The spaCy models of this process. Each is loaded once, and released with its last user.

    A forked child continues to use what its parent had loaded.
    """

    def __init__(self) -> None:
        self._loaded: WeakValueDictionary[str, Any] = WeakValueDictionary()
        # By process: at a fork, another thread may be holding the parent's.
        self._locks: dict[int, Lock] = {}

    def load(self, model: str) -> Any:
        """The pipeline of a model. The caller keeps a reference for as long as it needs it."""
        name = os.path.realpath(model) if os.path.isdir(model) else model
        with self._locks.setdefault(os.getpid(), Lock()):
            pipeline = self._loaded.get(name)
            if pipeline is None:
                import spacy

                self._loaded[name] = pipeline = spacy.load(model)
            return pipeline


_models = Models()


class SpacyTier:
    """Lemmas and entities from a spaCy model, which is loaded on first use and shared.

    Args:
        model: a model package or folder that spaCy can load.
        rules: the release of upstream whose entity rules apply, one of `types.PROFILES`.

    Raises:
        DependencyError: spaCy or the model is not installed; nothing is ever downloaded.
    """

    def __init__(self, model: str, rules: str) -> None:
        _require(model)
        self.model = model
        self._entities_of = _entities_by(rules)
        self._nlp: Any = None

    def lemmatize(self, text: str) -> str:
        nlp = self._loaded()
        return _lemmas(nlp(_readable(text, nlp.max_length).lower(), disable=NOT_FOR_LEMMAS))

    def entities(self, text: str) -> list[Entity]:
        nlp = self._loaded()
        return self._entities_of(nlp(_readable(text, nlp.max_length)))

    def entities_batch(self, texts: list[str]) -> list[list[Entity]]:
        """One list for each text, in order."""
        if not texts:
            return []
        nlp = self._loaded()
        readable = [_readable(text, nlp.max_length) for text in texts]
        return [self._entities_of(doc) for doc in nlp.pipe(readable, batch_size=BATCH)]

    def close(self) -> None:
        """Releases the model; the next use loads it again."""
        self._nlp = None

    def _loaded(self) -> Any:
        pipeline = self._nlp
        if pipeline is None:
            self._nlp = pipeline = _models.load(self.model)
        return pipeline


def _entities_by(rules: str) -> Callable[[Doc], list[Entity]]:
    """What finds the entities of a parsed text by the rules of a release."""
    if rules == "2.2.1":
        from isomem.text.spacy_v2_2_1 import entities_of
    else:
        from isomem.text.spacy_v2_0_4 import entities_of
    return entities_of


def _require(model: str) -> None:
    from importlib.util import find_spec

    if find_spec("spacy") is None:
        raise DependencyError(
            "The text tier 'spacy' needs spaCy. Install it with: pip install 'isomem[spacy]'",
            suggestion="pip install 'isomem[spacy]', or set nlp.provider to 'builtin'",
        )
    if not os.path.isdir(model) and (not model.isidentifier() or find_spec(model) is None):
        raise DependencyError(
            f"The spaCy model {model!r} is not installed, and isomem[spacy] does not include it. "
            f"Install it: python -m spacy download {model}, or name another in nlp.config.model",
            details={"model": model},
            suggestion=f"python -m spacy download {model}",
        )


def _readable(text: str, limit: int) -> str:
    """The part of a text that spaCy accepts: it refuses longer texts, and lone surrogates."""
    return text[:limit].encode("utf-8", "replace").decode()


# --- Lemmas -------------------------------------------------------------------------------


def _lemmas(doc: Doc) -> str:
    return " ".join(word for token in doc for word in _keywords(token))


def _keywords(token: Token) -> Iterator[str]:
    """The lemma of a content word. A form in -ing is added to it, since it may be a noun."""
    if token.is_stop or token.is_punct:
        return
    if token.lemma_.isalnum():
        yield token.lemma_
    if token.text.endswith("ing") and token.text.isalnum() and token.text != token.lemma_:
        yield token.text
