"""Log lines of the package, under the logger "isomem".

`logging` is imported when the first line is written. It costs more memory than the rest of the
write path, and a run without problems logs nothing.
"""

from __future__ import annotations


def warning(message: str, *args: object) -> None:
    """Logs that something was left out and the call went on."""
    import logging

    logging.getLogger("isomem").warning(message, *args)


def error(message: str, *args: object) -> None:
    """Logs that something failed and the call could not do what it was asked to."""
    import logging

    logging.getLogger("isomem").error(message, *args)
