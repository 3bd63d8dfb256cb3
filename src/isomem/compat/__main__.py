"""Runs a program that was written for mem0, without editing it::

    python -m isomem.compat program.py ARGUMENTS
    python -m isomem.compat -m package.module ARGUMENTS
    python -m isomem.compat -c "from mem0 import Memory; ..." ARGUMENTS
    python -m isomem.compat command ARGUMENTS      # a console script of an installed package

Importing this package has put isomem in mem0's place by then.
"""

from __future__ import annotations

import builtins
import os
import runpy
import sys
from io import BytesIO
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType

USAGE = (
    "usage: python -m isomem.compat [--keep-upstream] "
    "(FILE | -m MODULE | -c CODE | COMMAND) [ARGUMENT ...]"
)


def main(arguments: Sequence[str]) -> object:
    """Runs a program with its own arguments.

    Returns:
        What `sys.exit` takes: 0, or what a console script returns; 2 if there is no such program.
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


def _run(rest: list[str]) -> object:
    if rest[0] == "-m":
        return _run_module(rest[1:])
    if rest[0] == "-c":
        sys.argv = ["-c", *rest[2:]]
        return _run_as_main(compile(rest[1], "<string>", "exec"))
    sys.argv = rest
    if os.path.isfile(rest[0]) or os.path.isfile(os.path.join(rest[0], "__main__.py")):
        return _run_path(rest[0])
    return _run_command(rest[0])


def _look_in(folder: str) -> None:
    """Makes a folder the first that is searched, in place of the current one."""
    if not getattr(sys.flags, "safe_path", False):  # With -P, Python puts none there.
        sys.path[0] = folder


def _run_module(rest: list[str]) -> int:
    from importlib.util import find_spec

    _look_in(os.getcwd())
    sys.argv = rest
    try:
        found = find_spec(rest[0])
    except ModuleNotFoundError as error:
        if not f"{rest[0]}.".startswith(f"{error.name}."):
            raise
        found = None
    if found is None:
        sys.stderr.write(f"{rest[0]}: there is no such module\n")
        return 2
    runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    return 0


def _run_path(path: str) -> int:
    with open(path, "rb") if os.path.isfile(path) else BytesIO(b"\0") as file:
        source = file.read()
    if b"\0" in source:  # A folder, a zip file or compiled code.
        runpy.run_path(path, run_name="__main__")
        return 0
    _look_in(os.path.dirname(os.path.abspath(path)))
    return _run_as_main(compile(source, path, "exec"), path)


def _run_as_main(code: CodeType, path: str | None = None) -> int:
    """Runs code as the module `__main__`, which it still is when its threads go on after it."""
    main = ModuleType("__main__")
    main.__dict__.update({"__builtins__": builtins, **({"__file__": path} if path else {})})
    sys.modules["__main__"] = main
    exec(code, main.__dict__)
    return 0


def _run_command(name: str) -> object:
    """Runs a console script by its entry point, in this process."""
    from importlib.metadata import entry_points

    found = next(iter(entry_points(group="console_scripts", name=name)), None)
    if found is None:
        fault = f"{name}: neither a file nor a console script of an installed package\n"
        sys.stderr.write(fault)
        return 2
    return found.load()()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))  # type: ignore[arg-type]
