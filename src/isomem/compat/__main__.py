"""Runs a program that was written for mem0, without editing it::

    python -m isomem.compat program.py ARGUMENTS
    python -m isomem.compat -m package.module ARGUMENTS
    python -m isomem.compat -c "from mem0 import Memory; ..." ARGUMENTS
    python -m isomem.compat command ARGUMENTS      # a console script of an installed package

Importing this package has put isomem in mem0's place by then.
"""

from __future__ import annotations

import os
import runpy
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = (
    "usage: python -m isomem.compat [--keep-upstream] "
    "(FILE | -m MODULE | -c CODE | COMMAND) [ARGUMENT ...]"
)


def main(arguments: Sequence[str]) -> int:
    """Runs a program with its own arguments.

    Returns:
        0, or what a console script returns; 2 if there is no such program.
    """
    rest = [*arguments]
    if rest[:1] == ["--keep-upstream"]:
        import isomem.compat

        isomem.compat.install(keep_upstream=True)
        del rest[0]
    if not rest or rest[0] in ("-h", "--help") or (rest[0] in ("-m", "-c") and len(rest) < 2):
        asked = rest[:1] in (["-h"], ["--help"])
        (sys.stdout if asked else sys.stderr).write(f"{USAGE}\n")
        return 0 if asked else 2
    return _run(rest)


def _run(rest: list[str]) -> int:
    if rest[0] == "-m":
        sys.argv = rest[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(rest[1], run_name="__main__", alter_sys=True)
        return 0
    if rest[0] == "-c":
        sys.argv = ["-c", *rest[2:]]
        exec(compile(rest[1], "<string>", "exec"), {"__name__": "__main__"})
        return 0
    sys.argv = rest
    if os.path.exists(rest[0]):
        sys.path[0] = os.path.dirname(os.path.abspath(rest[0]))
        runpy.run_path(rest[0], run_name="__main__")
        return 0
    return _run_command(rest[0])


def _run_command(name: str) -> int:
    """Runs a console script by its entry point, in this process."""
    from importlib.metadata import entry_points

    found = next(iter(entry_points(group="console_scripts", name=name)), None)
    if found is None:
        fault = f"{name}: neither a file nor a console script of an installed package\n"
        sys.stderr.write(fault)
        return 2
    result = found.load()()
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
