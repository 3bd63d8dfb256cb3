"""Extras: libraries that only some providers need."""

from __future__ import annotations

import os

from isomem.errors import DependencyError


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
