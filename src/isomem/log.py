"""Log lines of the package, under the logger "isomem", or that of mem0 if `isomem.compat` says so.

`logging` is imported when the first line is written. It costs more memory than the rest of the
write path, and a run without problems logs nothing.
"""

from __future__ import annotations

_name = "isomem"


def name() -> str:
    """The name of the logger."""
    return _name


def rename(other: str) -> None:
    """From now on, the lines are those of another logger."""
    global _name
    _name = other


def warning(message: str, *args: object) -> None:
    """Logs that something was left out and the call went on."""
    import logging

    logging.getLogger(_name).warning(message, *args)


def error(message: str, *args: object) -> None:
    """Logs that something failed and the call could not do what it was asked to."""
    import logging

    logging.getLogger(_name).error(message, *args)
