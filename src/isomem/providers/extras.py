"""Extras: libraries that only some providers need."""

from __future__ import annotations

import os

from isomem.errors import DependencyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def require(module: str, extra: str, provider: str) -> None:
    """Looks for a library without importing it.

    Args:
        module: the name that is imported.
        extra: the extra of isomem that brings it.
        provider: who needs it.

    Raises:
        DependencyError: it is not installed.
    """
    if not is_there(module):
        raise missing(module, extra, provider)


def is_there(module: str) -> bool:
    """Whether a module can be imported. Packages around it are imported, it is not."""
    from importlib.util import find_spec

    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package around it
        return False
    except ValueError:  # a program put a module of its own there, which lacks a spec
        return True


def folder_of(package: str) -> str | None:
    """The folder of a package, which is not imported; None if there is none."""
    from importlib.util import find_spec

    try:
        spec = find_spec(package)
    except ValueError:  # as in `is_there`
        return None
    return os.path.dirname(spec.origin) if spec and spec.origin else None


def missing(module: str, extra: str, provider: str, fault: str = "") -> DependencyError:
    """The error for a library that is not installed, or cannot be imported because of `fault`."""
    state = f"cannot be imported ({fault})" if fault else "is not installed"
    command = f'pip install "isomem[{extra}]"'
    return DependencyError(
        f"{provider} needs {module}, which {state}: {command}",
        details={"package": module, "extra": extra},
        suggestion=command,
    )


class OncePerProcess:
    """What a library has loaded, in the process that did so.

    The threads of such libraries do not live on in the child of a fork, so a child loads anew.

    Args:
        load: loads it.
    """

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._loaded: dict[int, Any] = {}

    def get(self) -> Any:
        """What is loaded, if need be now. Raises as `load`."""
        process = os.getpid()
        found = self._loaded.get(process)
        if found is None:
            found = self._load()
            self._loaded = {process: found}  # which another thread may forget at any time
        return found

    def forget(self) -> None:
        """Releases it; `get` loads it again."""
        self._loaded = {}
