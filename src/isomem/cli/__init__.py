"""The command `isomem`: reads arguments, calls the library, and prints the result.

Exit codes:

- 0: done
- 1: failed, such as a file that is locked or damaged
- 2: an argument is wrong; nothing was changed
- 3: no memory has that id, or there is no memory file
- 4: the configuration cannot work, or a package is missing
- 5: the model or the embedder failed
- 130: interrupted from the keyboard
- 141: the reader of the output closed it
"""

from __future__ import annotations

import os
import sys

from isomem.cli.failures import EXIT_INTERRUPTED, EXIT_PIPE, explain
from isomem.cli.parser import parse
from isomem.cli.screen import Screen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: without the name of the program; by default, those of the process.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    screen = Screen(as_json="--json" in words)
    try:
        return _run(words, screen)
    except BrokenPipeError:
        _silence()
        return EXIT_PIPE
    except KeyboardInterrupt:
        screen.note("\nInterrupted.")
        return EXIT_INTERRUPTED


def _run(words: list[str], screen: Screen) -> int:
    try:
        options = parse(words)
        with screen.log_shown():
            code: int = options.run(options, screen) or 0
        sys.stdout.flush()
        return code
    except (BrokenPipeError, SystemExit):
        raise
    except Exception as error:
        if os.environ.get("ISOMEM_DEBUG"):
            raise
        failure = explain(error)
        screen.fail(failure)
        return failure.exit_code


def _silence() -> None:
    """Discards all further output, including what Python flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
