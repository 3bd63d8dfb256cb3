"""Store sets by the name of a `vector_store` provider.

A set is one line in the table here; its module is imported when it is asked for. Any other name is
a vector store that an installed package offers (see `isomem.providers.registry`), and is one of
the parts of a composed set.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.clock import Clock
    from isomem.config import MemoryConfig
    from isomem.ports.shapes import Embedder, Stores

SETS = {
    "embedded": "isomem.stores.embedded",
    "postgres": "isomem.stores.postgres.set",
}
_COMPOSED = "isomem.stores.composed"


def open_set(config: MemoryConfig, embedder: Embedder, clock: Clock) -> Stores:
    """The store set that a configuration asks for.

    Args:
        config: whose `vector_store` and `history_db_path` say where.
        embedder: whose identity and vector length the store is compared with.
        clock: for the ledger.

    Raises:
        InvalidConfigError: the provider is not known, or the store holds vectors of another
            embedder.
        DependencyError: a package that the store needs is not installed.
        DatabaseError, VectorStoreError: a file cannot be opened, or a server not be reached.
    """
    name = SETS.get(config.vector_store.provider, _COMPOSED)
    __import__(name)
    opened: Stores = sys.modules[name].open_set(config, embedder, clock)
    return opened
