"""The command of the check; `bench/check/__init__.py` says what it does."""

from __future__ import annotations

import argparse
import compileall
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.check import __doc__ as about
from bench.check import record, trees
from bench.check.counting import OPERATIONS, CheckError, Counter, Operation
from bench.check.record import Build, Comparison, Difference
from bench.report.tables import Table, as_text
from bench.rounds import WORKERS

TOLERANCE = 0.03
PASSED, SLOWER, UNCHECKED = 0, 1, 2
"""Exit status."""


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.check", description=_first_line())
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=list(OPERATIONS),
        metavar="NAME",
        help=f"one of {', '.join(OPERATIONS)}; may be given several times",
    )
    parser.add_argument("--against", metavar="REV", help="a revision to compare with, instead")
    parser.add_argument("--record", action="store_true", help="write the counts into the record")
    parser.add_argument("--records", type=Path, default=record.RECORD, help="file of the record")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="default 0.03, 3 %%")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--jobs", type=int, default=cores, help="processes at once")
    return parser


def _first_line() -> str:
    return (about or "").splitlines()[0]


def main(arguments: list[str] | None = None) -> int:
    """0; 1 if something takes more instructions than recorded; 2 if nothing could be compared."""
    options = make_parser().parse_args(arguments)
    try:
        return check(options)
    except (CheckError, subprocess.TimeoutExpired) as error:
        print(f"bench-check: {error}", file=sys.stderr)
        return UNCHECKED


def check(options: argparse.Namespace) -> int:
    """Counts, and compares or records.

    Raises:
        CheckError: there is nothing to compare with, or something failed.
    """
    source = trees.ROOT / "src"
    operations = [OPERATIONS[name] for name in options.only or OPERATIONS]
    build = record.build_of(source)
    say(f"{build.key} ({', '.join(f'{key} {value}' for key, value in build.made_with.items())})")
    if options.record:
        counts = count(source, operations, options.jobs)
        before = record.read(options.records).get(build.key)
        show(record.compare(before.counts if before else {}, counts, options.tolerance))
        record.write(options.records, build, counts)
        say(f"\nrecorded in {options.records}")
        return PASSED
    if options.against:
        before, changed = count_revision(options.against, build, operations, options.jobs), []
    else:
        before, changed = recorded(options.records, build)
    now = count(source, operations, options.jobs)
    return verdict(record.compare(before, now, options.tolerance), changed, options.against)


def recorded(path: Path, build: Build) -> tuple[Mapping[str, float], list[str]]:
    """The recorded counts of a build, and what else has changed since.

    Raises:
        CheckError: there are none.
    """
    entries = record.read(path)
    if build.key not in entries:
        known = "; ".join(entries) or "nothing"
        raise CheckError(
            f"nothing is recorded for {build.key} (recorded: {known}). Record it with --record, "
            "or compare with a revision: --against REV."
        )
    entry = entries[build.key]
    return entry.counts, record.changed_parts(entry.made_with, build.made_with)


def count(source: Path, operations: list[Operation], jobs: int) -> dict[str, float]:
    """The counts of a source tree; its byte code is compiled first."""
    for folder in (source, WORKERS):
        compileall.compile_dir(folder, quiet=2)
    return Counter(source, jobs).count(operations)


def count_revision(
    revision: str, build: Build, operations: list[Operation], jobs: int
) -> dict[str, float]:
    """The counts of another revision, with this interpreter and these workers.

    Raises:
        CheckError: its kernel takes another form than ours, so the two cannot be compared.
    """
    with trees.tree_of(revision, is_compiled=build.is_compiled) as source:
        other = record.build_of(source)
        if other.key != build.key:
            raise CheckError(f"{revision} is {other.key}, and cannot be compared with {build.key}")
        return count(source, operations, jobs)


# --- What is told ----------------------------------------------------------------------------


def verdict(comparison: Comparison, changed: list[str], against: str | None) -> int:
    """Tells what was found. Returns the exit status."""
    show(comparison)
    if changed:
        say(f"\nNot as when it was recorded: {'; '.join(changed)}.")
    if comparison.faster:
        say(f"\nFaster: {record.names(comparison.faster)}.")
        if not against:
            say("Record it, so that it stays so: make bench-check ARGS=--record")
    if comparison.unknown:
        say(f"\nNothing to compare with: {record.names(comparison.unknown)}. Record it: --record")
    if comparison.slower:
        most = f"{comparison.tolerance:.1%}"
        say(f"\nSLOWER by more than {most}: {record.names(comparison.slower)}.")
        return SLOWER
    return UNCHECKED if comparison.unknown else PASSED


def show(comparison: Comparison) -> None:
    rows = [row(one, comparison) for one in comparison.differences]
    head = ["", "", "before", "now", "ratio", ""]
    say("\n" + as_text(Table(head, rows)))


def row(one: Difference, comparison: Comparison) -> list[str]:
    word = "SLOWER" if one in comparison.slower else "faster" if one in comparison.faster else ""
    before = "" if one.before is None else f"{one.before:,.0f}"
    ratio = "" if one.ratio is None else f"{one.ratio:.3f}"
    return [one.name, OPERATIONS[one.name].about, before, f"{one.now:,.0f}", ratio, word]


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
