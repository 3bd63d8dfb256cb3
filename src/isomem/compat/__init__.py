"""Lets programs written for mem0 run on isomem, with one line added before the others::

    import isomem.compat  # from here on, `mem0` is isomem

    from mem0 import AsyncMemory, Memory

The import registers isomem under the name `mem0`, with every module of mem0 2.0.4 and the public
names in it. Each is made when a program asks for it. A program that cannot be edited is run by
`python -m isomem.compat PROGRAM`. An installed mem0 is not touched. After `uninstall()`, `mem0`
means that one again.
"""

from __future__ import annotations

import sys

from isomem import log
from isomem.compat.modules import MARK, STAND_IN, UPSTREAM_LOGGER, forget, real_module
from isomem.providers import registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType
    from typing import Any

__all__ = ["install", "uninstall", "upstream"]

_OWN_LOGGER = log.name()


def install(*, keep_upstream: bool = False) -> ModuleType:
    """Makes `mem0` mean isomem in this process. Importing this package calls it.

    While it is installed, isomem's log lines are those of the logger `mem0.memory.main`.

    Args:
        keep_upstream: what isomem lacks is taken from an installed mem0ai: modules under their own
            names, and names in modules. `upstream` has the modules that isomem does not lack.

    Returns:
        The module that stands in for `mem0`.

    Raises:
        ImportError: the real mem0 has already been imported.
    """
    present = sys.modules.get("mem0")
    if present is not None and not hasattr(present, MARK):
        raise ImportError(
            "mem0 is already imported: put `import isomem.compat` before everything that "
            "imports mem0"
        )
    STAND_IN.keeps_upstream = keep_upstream
    if STAND_IN not in sys.meta_path:
        sys.meta_path.insert(0, STAND_IN)
        registry.RESOLVERS.append(_resolve)
        log.rename(UPSTREAM_LOGGER)
    __import__("mem0")
    return sys.modules["mem0"]


def uninstall() -> None:
    """Makes `mem0` mean what it meant before."""
    if STAND_IN in sys.meta_path:
        sys.meta_path.remove(STAND_IN)
        registry.RESOLVERS.remove(_resolve)
        log.rename(_OWN_LOGGER)
    forget()


def upstream(name: str = "mem0") -> ModuleType:
    """A module of the installed mem0ai, beside the one that stands in for it.

    Args:
        name: such as "mem0.vector_stores.qdrant".

    Raises:
        DependencyError: mem0ai is not installed.
        ImportError: it has no such module, or the module needs another package.
    """
    return real_module(name)


def _resolve(kind: registry.Kind, provider: str) -> Callable[[Mapping[str, object]], Any] | None:
    """What a live factory of `mem0.utils.factory` makes of a provider; None if it is not its."""
    from isomem.compat.factories import resolve

    return resolve(kind, provider)


install()
