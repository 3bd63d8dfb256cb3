"""Where the memories of a configuration are, for what reads the file without opening a memory."""

from __future__ import annotations

import os

from isomem.errors import InvalidConfigError, MemoryNotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.config import MemoryConfig


def path_of(config: MemoryConfig) -> str:
    """The file that a configuration names.

    Raises:
        MemoryNotFoundError: it is not there.
        InvalidConfigError: the memories are not in a file.
    """
    store = config.vector_store
    if store.provider != "embedded":
        raise InvalidConfigError(
            f"The memories are in {store.provider!r}, not in a file", error_code="CONFIG_005"
        )
    path: str = store.config["path"]
    if path == ":memory:":
        raise InvalidConfigError(
            "The memories are in one process alone, not in a file", error_code="CONFIG_005"
        )
    if not os.path.isfile(path):
        raise MemoryNotFoundError(
            f"There is no memory file {path} yet.",
            suggestion="`isomem add` creates it; --path or ISOMEM_DIR names another one.",
        )
    return path
