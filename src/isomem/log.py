"""Log lines of the package, under the logger "isomem".

`logging` is imported when the first line is written: it costs more memory than the rest of the
write path, and a run that goes well logs nothing.
"""

from __future__ import annotations


def warning(message: str, *args: object) -> None:
    """Something was left out, and the call went on."""
    import logging

    logging.getLogger("isomem").warning(message, *args)


def error(message: str, *args: object) -> None:
    """Something failed, and the call could not do what it was asked."""
    import logging

    logging.getLogger("isomem").error(message, *args)
