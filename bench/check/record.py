"""The recorded counts, and how new ones compare with them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.check.counting import CheckError, fixed_environment

RECORD = Path(__file__).parent / "instructions.json"

BUILD = """
import json, platform, sys
import apsw, simsimd
from isomem import kernel
form = "interpreted" if kernel.__file__.endswith(".py") else "compiled"
name = f"{platform.python_implementation()} {sys.version_info.major}.{sys.version_info.minor}"
print(json.dumps({
    "key": f"{name}, {platform.machine()}, {form} kernel",
    "source": kernel.__file__,
    "made_with": {
        "Python": platform.python_version(),
        "compiler": platform.python_compiler(),
        "SQLite": apsw.sqlite_lib_version(),
        "apsw": apsw.apsw_version(),
        "simsimd": simsimd.__version__,
    },
}))
"""


class Build(NamedTuple):
    """What a source tree runs with.

    Attributes:
        key: under which its counts are recorded: Python, processor, and whether the kernel is
            compiled. Counts of different keys cannot be compared.
        made_with: versions that change counts a little.
    """

    key: str
    made_with: dict[str, str]

    @property
    def is_compiled(self) -> bool:
        return self.key.endswith("compiled kernel")


def build_of(source: Path) -> Build:
    """The build of a source tree, as this interpreter runs it.

    Raises:
        CheckError: it does not run, or another tree than that one was imported.
    """
    done = subprocess.run(
        [sys.executable, "-c", BUILD],
        env=fixed_environment(source, source),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CheckError(f"{source} does not run: {done.stderr.strip()[-2000:]}")
    told = json.loads(done.stdout)
    if not Path(told["source"]).is_relative_to(source):
        raise CheckError(f"{told['source']} was imported, and not what is in {source}")
    return Build(told["key"], told["made_with"])


# --- The file --------------------------------------------------------------------------------


class Entry(NamedTuple):
    """The record of one key."""

    made_with: dict[str, str]
    counts: dict[str, float]


def read(path: Path) -> dict[str, Entry]:
    """The entries of a record; none if there is no such file.

    Raises:
        CheckError: it is not a record.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {key: _entry(each) for key, each in content.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckError(f"{path} is not a record of instructions: {error!r}") from error


def _entry(content: Mapping[str, Any]) -> Entry:
    counts = {name: float(value) for name, value in content["instructions"].items()}
    if not all(value > 0 for value in counts.values()):
        raise ValueError("a count is not positive")
    return Entry(dict(content["made_with"]), counts)


def write(path: Path, build: Build, counts: Mapping[str, float]) -> None:
    """Puts counts into a record; operations and keys that were not counted stay as they are."""
    entries = read(path)
    before = entries.get(build.key, Entry({}, {}))
    entries[build.key] = Entry(build.made_with, {**before.counts, **counts})
    content = {
        key: {
            "made_with": entry.made_with,
            "instructions": {name: round(value) for name, value in entry.counts.items()},
        }
        for key, entry in sorted(entries.items())
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


# --- Comparing -------------------------------------------------------------------------------


class Difference(NamedTuple):
    """One operation, before and now; `before` is None if there is nothing to compare with."""

    name: str
    before: float | None
    now: float

    @property
    def ratio(self) -> float | None:
        return None if self.before is None else self.now / self.before


class Comparison(NamedTuple):
    """The operations, and which of them are outside of the tolerance."""

    differences: list[Difference]
    tolerance: float

    @property
    def slower(self) -> list[Difference]:
        return [one for one in self.differences if one.ratio and one.ratio > 1 + self.tolerance]

    @property
    def faster(self) -> list[Difference]:
        return [one for one in self.differences if one.ratio and one.ratio < 1 - self.tolerance]

    @property
    def unknown(self) -> list[Difference]:
        return [one for one in self.differences if one.ratio is None]


def compare(before: Mapping[str, float], now: Mapping[str, float], tolerance: float) -> Comparison:
    """Every operation of `now` beside that of `before`."""
    found = [Difference(name, before.get(name), count) for name, count in now.items()]
    return Comparison(found, tolerance)


def changed_parts(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What else has changed, in words, such as the version of SQLite."""
    return [
        f"{name} {before.get(name, 'unknown')}, now {value}"
        for name, value in now.items()
        if before.get(name) != value
    ]


def names(differences: Iterable[Difference]) -> str:
    return ", ".join(one.name for one in differences)
