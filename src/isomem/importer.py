"""Imports what mem0 wrote with its default store: a local Qdrant folder and a `history.db`.

Both are only read. Vectors, payloads, entities, history and messages are copied unchanged, so
nothing is embedded again and no model is called. What exists already stays as it is, so running an
import again adds only what is new.
"""

from __future__ import annotations

from itertools import chain

from isomem.moving.files import with_expiry
from isomem.moving.intake import import_records
from isomem.moving.sources import of_history, of_qdrant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.facade import Facade

_COUNTED = {
    "memories": "memory",
    "entities": "entity",
    "history": "history",
    "messages": "message",
}


def import_mem0(
    memory: Facade,
    *,
    qdrant: str | None = None,
    history: str | None = None,
    collection: str = "mem0",
    expiry: bool = False,
) -> dict[str, int]:
    """Copies mem0's stores into a memory.

    Args:
        memory: the target, with any store.
        qdrant: the folder that mem0's `vector_store.config.path` named.
        history: the file that mem0's `history_db_path` named.
        collection: mem0's `collection_name`.
        expiry: an `expiration_date` in a payload, as mem0 writes it since 2.0.10, hides a memory
            here, too. Otherwise it is metadata, which it is in mem0 2.0.4.

    Returns:
        How many were added: `{"memories", "entities", "history", "messages"}`.

    Raises:
        DatabaseError: a folder, collection or file does not exist or cannot be read.
        MemoryCorruptionError: a stored point cannot be read.
        ValidationError: as `moving.intake.import_records`.
        VectorStoreError: a store gives back something else than it was given.
    """
    read = with_expiry if expiry else dict
    points = of_qdrant(qdrant, collection, read=read) if qdrant is not None else ()
    rows = of_history(history) if history is not None else ()
    taken = import_records(memory, chain(points, rows))
    return {name: taken[kind]["added"] for name, kind in _COUNTED.items()}
