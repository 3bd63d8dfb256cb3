"""The screen: results on stdout, everything else on stderr; text for people or JSON."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TextIO

    from isomem.cli.failures import Failure

    View = Callable[[Any, "Screen"], Iterable[str]]

_BAR_CELLS = 24
_STEP = 0.1
"""Without a terminal, progress is shown in steps of this share."""


class Screen:
    """Where a command writes.

    Args:
        as_json: one JSON document on stdout instead of text, errors as JSON on stderr.

    Attributes:
        colours: whether stdout is shown in colours.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.colours = not as_json and _takes_colours(sys.stdout)
        self._drawn = False
        self._last_share = -_STEP
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")

    def show(self, result: Any, view: View) -> None:
        """Writes a result: as JSON, or the lines that `view` makes of it."""
        if self.as_json:
            is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
            sys.stdout.write(json.dumps(result, ensure_ascii=not is_utf8, indent=2) + "\n")
            return
        for line in view(result, self):
            self.say(line)

    def say(self, line: str = "") -> None:
        """One line on stdout; nothing when the output is for machines."""
        if not self.as_json:
            sys.stdout.write(line + "\n")

    def note(self, text: str) -> None:
        """A remark on stderr; nothing when the output is for machines."""
        if not self.as_json:
            self.clear_progress()
            sys.stderr.write(text + "\n")

    def fail(self, failure: Failure) -> None:
        """An error, on stderr."""
        self.clear_progress()
        if self.as_json:
            error = {key: getattr(failure, key) for key in ("code", "message", "suggestion")}
            sys.stderr.write(json.dumps({"error": error}) + "\n")
            return
        if failure.usage:
            sys.stderr.write(failure.usage)
        sys.stderr.write(f"isomem: {printable(failure.message)}\n")
        if failure.suggestion and failure.suggestion not in failure.message:
            sys.stderr.write(f"  {printable(failure.suggestion)}\n")

    @contextmanager
    def log_shown(self) -> Iterator[None]:
        """A block in which the library's warnings and errors go to stderr."""
        import logging

        handler = logging.Handler(logging.WARNING)
        handler.emit = self._log  # type: ignore[method-assign]
        logger = logging.getLogger("isomem")
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)

    def _log(self, record: logging.LogRecord) -> None:
        self.clear_progress()
        level, message = record.levelname.lower(), record.getMessage()
        if self.as_json:
            sys.stderr.write(json.dumps({"log": {"level": level, "message": message}}) + "\n")
        else:
            sys.stderr.write(f"isomem: {level}: {printable(message)}\n")

    def confirm(self, question: str) -> bool:
        """Asks on stderr; only the word "yes" counts as a yes."""
        sys.stderr.write(f"{question} Type yes to go on: ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() == "yes"

    # --- Progress ---

    def progress(self, done: int, total: int, text: str) -> None:
        """On a terminal, a bar that replaces the last one; otherwise a line now and then."""
        if self.as_json:
            return
        share = done / total if total else 1.0
        if not sys.stderr.isatty():
            if share == 1 or share - self._last_share >= _STEP:
                self._last_share = share
                sys.stderr.write(f"{share:4.0%}  {text}\n")
            return
        cells = "#" * round(share * _BAR_CELLS)
        sys.stderr.write(f"\r\x1b[K[{cells:.<{_BAR_CELLS}}] {share:4.0%}  {text}")
        sys.stderr.flush()
        self._drawn = True

    def clear_progress(self) -> None:
        """Removes the bar."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            self._drawn = False

    # --- Styles ---

    def bold(self, text: str) -> str:
        """Text that stands out."""
        return self._style("1", text)

    def dim(self, text: str) -> str:
        """Text that recedes."""
        return self._style("2", text)

    def good(self, text: str) -> str:
        """Text in green."""
        return self._style("32", text)

    def bad(self, text: str) -> str:
        """Text in red."""
        return self._style("31", text)

    def _style(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours else text


def _takes_colours(stream: TextIO) -> bool:
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and stream.isatty()


def printable(text: str) -> str:
    """Text on one line, with everything that could control a terminal escaped."""
    lines = " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
    if lines.isprintable():
        return lines
    return "".join(mark if mark.isprintable() else _escaped(mark) for mark in lines)


def _escaped(mark: str) -> str:
    return " " if mark == "\t" else ascii(mark)[1:-1]
