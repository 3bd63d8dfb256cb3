"""Makes all vectors of a memory file anew, with the embedder that is configured now.

A memory file has vectors of one embedder, since those of two cannot be compared. This is how a file
changes to another one: memories and entities, of all collections. Texts, ids, times, links, history
and keywords stay as they are.

The vectors are collected in a file beside the memory file (`memory.db.reembed`). Meanwhile others
go on reading and writing with the old embedder. At the end one transaction replaces all vectors. A
run that was cut off, even by `kill -9`, leaves the memory file as it was, and the next run goes on
where it stopped.

Only where others write without a pause, the vectors are replaced although some new memories do not
have theirs yet. For a moment, searches by meaning do not find these. If the run is cut off in that
moment, the next one finishes it.
"""

from __future__ import annotations

from itertools import islice
from uuid import uuid4

from isomem.config import MemoryConfig, from_dict
from isomem.errors import DatabaseError, EmbeddingError, VectorValueError
from isomem.location import path_of
from isomem.ports.guard import PartFailure, one_for_each
from isomem.store.codec import unit_vector
from isomem.store.new_vectors import NewVectors
from isomem.store.reembedding import Reembedding
from isomem.store.schema import prepare_store
from isomem.stores.embedded import facts_of, open_file
from isomem.wiring import build_embedder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from isomem.ports.shapes import Embedder, Vector
    from isomem.store.database import Database

    Progress = Callable[[int, int], None]
    Result = dict[str, Any]

TEXTS_AT_ONCE = 100
"""How many texts one call of the embedder gets. What a failing call costs is at most that many."""

PATIENCE, ROUNDS = 3, 20
"""How often it tries to have every text, new ones included, before it replaces the vectors. After
the first number of times up to `TEXTS_AT_ONCE` may be left, and are filled in afterwards."""

_ACTION = "add"
_PROBE = "memory"


def reembed(
    config: MemoryConfig | Mapping[str, object], *, progress: Progress | None = None
) -> Result:
    """Replaces all vectors of a memory file by those of the configured embedder.

    Args:
        config: names the file and the new embedder; a dict is read as by `Memory.from_config`.
        progress: called with the number of memories and entities that have a new vector so far,
            and with the number of all.

    Returns:
        `{"path", "embedder", "dims", "replaced", "embedded", "without_text"}`: how many points
        got another vector; how many texts the embedder was called for in this run; and how many
        points have no text to embed, and so have a vector that nothing is similar to. All three are
        0 if the vectors were made by this embedder already.

    Raises:
        MemoryNotFoundError: there is no memory file.
        InvalidConfigError: the memories are not in a file.
        ProviderError: the embedder failed. What it has made so far is kept for the next run.
        VectorValueError: it gave a vector of another length, or with NaN or infinity.
        DatabaseError: another process does the same, the disk is full, the file is locked or
            read-only, or others keep writing faster than their texts are embedded.
    """
    read = config if isinstance(config, MemoryConfig) else from_dict(config)
    path, options = path_of(read), read.vector_store.config
    embedder = build_embedder(read)
    database: Database | None = None
    try:
        database = open_file(options, path, prepare_store)
        dims, identity = facts_of(options, embedder)
        dims = dims or len(embedder.embed(_PROBE, _ACTION))
        # What an embedder without a name has made cannot be told from what another one has.
        with NewVectors(path, f"{identity or uuid4()} {dims}") as vectors:
            run = Reembedding(database, vectors, identity, dims)
            embedded = _Filling(run, vectors, embedder, dims, progress).replace_all()
            vectors.remove()
    finally:
        if database is not None:
            database.close()
        close = getattr(embedder, "close", None)
        if close is not None:
            close()
    counts = {"replaced": run.replaced, "embedded": embedded, "without_text": run.without_text}
    return {"path": path, "embedder": identity, "dims": dims, **counts}


class _Filling:
    """Makes what is missing until all vectors can be replaced."""

    def __init__(
        self,
        run: Reembedding,
        vectors: NewVectors,
        embedder: Embedder,
        dims: int,
        progress: Progress | None,
    ) -> None:
        self._run = run
        self._vectors = vectors
        self._embedder = embedder
        self._dims = dims
        self._progress = progress
        self._embedded = 0

    def replace_all(self) -> int:
        """Replaces all vectors. Returns how many texts were embedded for that."""
        if self._run.is_done():
            return 0
        self._run.check_writable()
        for number in range(ROUNDS):
            self._embed_missing()
            may_lack = 0 if number < PATIENCE else TEXTS_AT_ONCE
            if self._run.replace(may_lack) and not self._run.lacking:
                return self._embedded
        raise DatabaseError(
            "others wrote new memories all the time, so that the vectors could not be replaced",
            details={"rounds": ROUNDS},
            suggestion="Run it again when less is written; what was embedded so far is kept.",
        )

    def _embed_missing(self) -> None:
        done, total = 0, self._run.count()
        for page in self._run.pages():
            ids = {text: point_id for _, point_id, text in page if text is not None}
            missing = iter(self._vectors.missing(ids))
            while texts := list(islice(missing, TEXTS_AT_ONCE)):
                self._embed(texts, ids)
            done += len(page)
            if self._progress is not None and page:
                self._progress(done, max(done, total))

    def _embed(self, texts: list[str], ids: Mapping[str, str]) -> None:
        try:
            vectors = one_for_each(self._embedder.embed_batch(texts, _ACTION), texts)
            self._keep(texts, vectors)
        except (EmbeddingError, PartFailure, VectorValueError) as error:
            if len(texts) == 1:
                raise _about(ids[texts[0]], error) from None
            for text in texts:  # One by one, to find the text that it is about.
                self._embed([text], ids)

    def _keep(self, texts: Sequence[str], vectors: Sequence[Vector]) -> None:
        units = [unit_vector(vector, self._dims) for vector in vectors]
        self._vectors.put(zip(texts, units, strict=True))
        self._embedded += len(texts)


def _about(point_id: str, failure: Exception) -> EmbeddingError:
    """The error that says whose text failed; what was embedded before is kept."""
    error = failure.error if isinstance(failure, PartFailure) else failure
    return EmbeddingError(
        f"the text of {point_id} could not be embedded: {getattr(error, 'message', error)}",
        details={"id": point_id},
        suggestion=getattr(error, "suggestion", None)
        or "Change or delete it with the old embedder configured, and run this again.",
    )
