"""The installed mem0, as a private copy that holds its providers and nothing else.

mem0's `__init__` imports its telemetry and makes `~/.mem0`; that code never runs here, and the two
modules that do it cannot be imported into the copy. The copy is in `sys.modules` only while
something is imported from it. So it is also independent of what `mem0` means to the program: mem0
itself, isomem's stand-in for it, or nothing.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from importlib.machinery import PathFinder
from threading import RLock
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec

NAME = "mem0"
LEFT_OUT = frozenset({"mem0.memory.setup", "mem0.memory.telemetry"})
"""Modules that are never imported: they write into the home folder, and report to mem0's makers."""

_MARK = os.path.join("utils", "factory.py")
_copied: dict[str, ModuleType] = {}
_lock = RLock()


def folder() -> str | None:
    """The folder of the installed mem0; None if it is not installed."""
    for finder in sys.meta_path:
        if finder.__module__.partition(".")[0] != "isomem":
            for place in _places(finder):
                if os.path.isfile(os.path.join(place, _MARK)):
                    return place
    return None


def _places(finder: object) -> Sequence[str]:
    find_spec = getattr(finder, "find_spec", None)
    spec: ModuleSpec | None = find_spec(NAME, None) if find_spec else None
    return (spec and spec.submodule_search_locations) or ()


class _Finder:
    """Finds the modules of the copy, before anything that stands in for mem0 does."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where a module of the copy is.

        Raises:
            ImportError: it is one of those that are left out.
        """
        if not name.startswith(f"{NAME}."):
            return None
        if name in LEFT_OUT:
            raise ImportError(f"{name} is left out when isomem uses a part of mem0", name=name)
        return PathFinder.find_spec(name, path, target)


@contextmanager
def imported(place: str) -> Iterator[None]:
    """A block in which `import mem0.…` imports from the copy. Others wait for its end.

    Args:
        place: the folder of the installed mem0.
    """
    with _lock:
        outside = _taken_out()
        sys.modules.update(_copied or {NAME: _hollow(place)})
        finder = _Finder()
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)
            _copied.update(_taken_out())
            sys.modules.update(outside)


def _hollow(place: str) -> ModuleType:
    """The package without what its `__init__` does."""
    package = ModuleType(NAME)
    package.__path__ = [place]
    return package


def _taken_out() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name == NAME or name.startswith(f"{NAME}.")]
    return {name: sys.modules.pop(name) for name in names}
