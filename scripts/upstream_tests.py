"""Runs mem0's own tests of the memory core against `isomem.compat`.

`python -m scripts.upstream_tests FOLDER [--on mem0]` takes the folder `tests` of mem0's repository
at v2.0.4. The files are not ours to carry, so you bring them. Tests that touch private names are
left out; `Source.private` has the rule. Tests that replace names inside mem0 depend on which of
its modules looks up what: they run, and are counted, but need not pass. All others must.

It needs pytest, pytest-mock and pytest-asyncio.
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

SRC = Path(__file__).resolve().parent.parent / "src"
CORE = (
    "test_main.py", "test_memory.py", "test_memory_integration.py", "test_chatty_llm_parsing.py",
    "memory/test_*.py", "utils/test_*.py", "configs/test_*.py", "rerankers/test_*.py",
)  # fmt: skip
"""Files of the memory core, as patterns under FOLDER."""

PATCHES = frozenset(
    ("delattr", "getattr", "hasattr", "multiple", "object", "patch", "setattr", "spy")
)
"""Calls whose text arguments are names; those of `multiple` have names as keywords, too."""

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Source:
    """One file of tests, with the fixtures of the `conftest.py` beside it."""

    path: Path
    functions: dict[str, ast.AST] = field(default_factory=dict)
    tests: dict[str, list[ast.AST]] = field(default_factory=dict)
    always: list[ast.AST] = field(default_factory=list)
    own: set[str] = field(default_factory=set)

    def private(self, test: str) -> set[str]:
        """Names that a test touches although they are mem0's own business.

        They start with one underscore, and the file does not define them. A test touches what is
        named in it, or in the fixtures and functions of the file that it uses; texts given to
        `patch` and the like count as names.
        """
        return {name for name in self._touched(test) if _is_private(name)} - self.own

    def replaced(self, test: str) -> set[str]:
        """Names inside mem0 that a test replaces: `patch("mem0.memory.main.SQLiteManager")`."""
        return {name for name in self._touched(test) if name.startswith("mem0.")}

    def _touched(self, test: str) -> set[str]:
        reached = self._reached([*self.tests[test], *self.always])
        return {name for node in reached for name in _names(node)}

    def _reached(self, start: Iterable[ast.AST]) -> Iterator[ast.AST]:
        waiting, seen = list(start), set[str]()
        while waiting:
            node = waiting.pop()
            yield node
            used = {name for name in _used(node) if name in self.functions} - seen
            seen |= used
            waiting += [self.functions[name] for name in used]


def read(path: Path) -> Source:
    """A file of tests, taken apart."""
    source = Source(path)
    beside = path.parent / "conftest.py"
    for file in (beside, path) if beside.exists() else (path,):
        tree = ast.parse(file.read_text("utf-8"))
        source.own |= set(_defined(tree))
        _gather(source, tree.body, "", [])
    return source


def _gather(source: Source, body: list[ast.stmt], prefix: str, around: list[ast.AST]) -> None:
    """Sorts what a module or a class defines into tests and what tests use."""
    setup = [node for node in body if isinstance(node, Function) and _is_setup(node)]
    for node in body:
        if isinstance(node, ast.ClassDef):
            source.functions[node.name] = node
            _gather(source, node.body, f"{prefix}{node.name}::", [*around, *node.decorator_list])
        elif isinstance(node, Function) and node.name.startswith("test") and not _is_fixture(node):
            source.tests[prefix + node.name] = [node, *around, *setup]
        elif isinstance(node, Function):
            source.functions[node.name] = node
            if not prefix and _is_setup(node):
                source.always.append(node)
        elif isinstance(node, ast.Assign):
            source.functions |= {
                each.id: node for each in node.targets if isinstance(each, ast.Name)
            }
        elif isinstance(node, ast.Import | ast.ImportFrom):
            source.functions |= _imported(node)


def _imported(node: ast.Import | ast.ImportFrom) -> dict[str, ast.AST]:
    """What a file imports from mem0, by the names that it gives to it."""
    module = f"{node.module or ''}." if isinstance(node, ast.ImportFrom) else ""
    return {
        each.asname or each.name.partition(".")[0]: ast.alias(module + each.name)
        for each in node.names
        if (module + each.name).startswith("mem0.")
    }


def _is_fixture(node: Function) -> bool:
    return any("fixture" in ast.dump(each) for each in node.decorator_list)


def _is_setup(node: Function) -> bool:
    """Whether it runs although no test names it."""
    named = node.name in ("setup_method", "setUp", "teardown_method", "tearDown")
    return named or any("autouse" in ast.dump(each) for each in node.decorator_list)


def _defined(tree: ast.Module) -> Iterator[str]:
    """Names that a file gives to things of its own."""
    for node in ast.walk(tree):
        if isinstance(node, Function | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and _is_set_on_self(node):
            yield node.attr


def _is_set_on_self(node: ast.Attribute) -> bool:
    of_self = isinstance(node.value, ast.Name) and node.value.id == "self"
    return of_self and isinstance(node.ctx, ast.Store)


def _used(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.arg):
            yield each.arg


def _names(node: ast.AST) -> Iterator[str]:
    """Names in a piece of code, and those that texts of `patch` and the like contain."""
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.Attribute):
            yield each.attr
        elif isinstance(each, ast.alias):
            yield from each.name.split(".")
        elif isinstance(each, ast.Call) and _called(each) in PATCHES:
            yield from _named(each)


def _called(call: ast.Call) -> str:
    func = call.func
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def _named(call: ast.Call) -> Iterator[str]:
    """The names in the text arguments of a call, whole and in parts, and those of its keywords."""
    for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield from (argument.value, *argument.value.split("."))
    if _called(call) == "multiple":
        yield from (keyword.arg for keyword in call.keywords if keyword.arg)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name.strip("_") != ""


# --- Running ---------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Run the tests; 0 if all pass that must."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="`tests` of mem0's repository at v2.0.4")
    parser.add_argument("--on", choices=("isomem", "mem0"), default="isomem")
    given = parser.parse_args(arguments)
    files = sorted({path for pattern in CORE for path in given.folder.glob(pattern)})
    if not files:
        parser.error(f"{given.folder} holds none of {', '.join(CORE)}")
    sorted_tests = sorted_out(map(read, files))
    public = run(given.folder, sorted_tests.public, given.on)
    replacing = run(given.folder, sorted_tests.replacing, given.on)
    for name, how in sorted(public.items()):
        if how == FAILED:
            print(f"failed: {name}")
    print(f"left out, since they touch private names: {_said(sorted_tests.left_out)}")
    print(f"replace names inside mem0, on {given.on}: {_counted(replacing)}")
    print(f"public, on {given.on}: {_counted(public)}")
    return 0 if public and FAILED not in public.values() else 1


class Sorted(NamedTuple):
    """Tests by what they touch; those left out with the names that are the reason."""

    public: list[str]
    replacing: list[str]
    left_out: dict[str, set[str]]


def sorted_out(sources: Iterable[Source]) -> Sorted:
    """Which tests must pass, which need not, and which do not run."""
    result = Sorted([], [], {})
    for source in sources:
        for test in source.tests:
            name = f"{source.path}::{test}"
            if private := source.private(test):
                result.left_out[name] = private
            else:
                (result.replacing if source.replaced(test) else result.public).append(name)
    return result


def _said(tests: dict[str, set[str]]) -> str:
    names = Counter(name for each in tests.values() for name in each)
    often = ", ".join(f"{name} ({count})" for name, count in names.most_common(5))
    return f"{len(tests)}; most often {often}" if tests else "none"


def _counted(results: dict[str, str]) -> str:
    counts = Counter(results.values())
    return ", ".join(f"{counts[how]} {how}" for how in (PASSED, FAILED, SKIPPED))


def run(folder: Path, tests: list[str], on: str) -> dict[str, str]:
    """How each case of the tests went: passed, failed or skipped.

    Each file runs by itself: pytest runs nothing at all if one file cannot be imported.
    """
    results: dict[str, str] = {}
    for file, chosen in groupby(tests, key=lambda test: test.partition("::")[0]):
        results |= _run(folder, list(chosen), on) or {Path(file).name: FAILED}
    return results


def _run(folder: Path, tests: list[str], on: str) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as place:
        report = Path(place, "report.xml")
        plugin = ("-p", "isomem.compat") if on == "isomem" else ()
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin),
            *("--rootdir", str(folder), "-c", os.devnull, "-o", "asyncio_mode=auto"),
            *("--import-mode=importlib", f"--junitxml={report}", "--tb=short", *tests),
        ]
        found = os.pathsep.join([str(SRC), *filter(None, [os.environ.get("PYTHONPATH")])])
        variables = {"PYTHONPATH": found, "HOME": place, "MEM0_DIR": f"{place}/.mem0"}
        environment = {**os.environ, **variables, "MEM0_TELEMETRY": "False"}
        subprocess.run(command, check=False, cwd=place, env=environment)
        return dict(_cases(report))


def _cases(report: Path) -> Iterator[tuple[str, str]]:
    if not report.exists():
        return
    for case in ET.parse(report).getroot().iter("testcase"):
        bad = case.find("failure") is not None or case.find("error") is not None
        how = FAILED if bad else PASSED if case.find("skipped") is None else SKIPPED
        # A file that cannot be imported is a case without a class.
        yield f"{case.get('classname')}::{case.get('name')}".lstrip(":"), how


if __name__ == "__main__":
    sys.exit(main())
