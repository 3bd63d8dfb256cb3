"""Extras: libraries that only some providers need."""

from __future__ import annotations

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
    from importlib.util import find_spec

    try:
        found = find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package around it
        found = False
    if not found:
        raise missing(module, extra, provider)


def missing(module: str, extra: str, provider: str, fault: str = "") -> DependencyError:
    """The error for a library that is not installed, or cannot be imported because of `fault`."""
    state = f"cannot be imported ({fault})" if fault else "is not installed"
    command = f'pip install "isomem[{extra}]"'
    return DependencyError(
        f"{provider} needs {module}, which {state}: {command}",
        details={"package": module, "extra": extra},
        suggestion=command,
    )
