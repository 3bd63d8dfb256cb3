"""Runs scenario files and reports; the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from isomem.types import PROFILES
from isomem_parity import tiers
from isomem_parity.lockstep import MakeSide, run_script
from isomem_parity.ours import Ours
from isomem_parity.page import write
from isomem_parity.report import Report
from isomem_parity.rows import page
from isomem_parity.script import CLASSES, SCENARIOS, TIERS, Script, ScriptError, load
from isomem_parity.upstream import ParityError, quiet_and_offline, release
from isomem_parity.upstream import load as load_upstream


def run_files(
    paths: Iterable[str | Path],
    *,
    tier: str = "A",
    classes: tuple[str, ...] = CLASSES,
    report_dir: str | Path | None = None,
) -> Report:
    """See `isomem_parity.run_files`."""
    report = run_scripts(load(paths), tiers_=(tier,), classes=classes)
    if report_dir is not None:
        write(report, report_dir)
    return report


def run_scripts(
    scripts: Iterable[Script],
    *,
    tiers_: tuple[str, ...] = ("A",),
    classes: tuple[str, ...] = CLASSES,
    make_ours: MakeSide = Ours,
) -> Report:
    """Compare on every script that is meant for the tiers and classes asked for."""
    report = Report(versions=_versions())
    scripts = list(scripts)
    profile = release()
    for tier in tiers_:
        lacking = tiers.missing(tier)
        if lacking:
            raise ParityError(
                f"tier {tier} needs packages that are not installed: {', '.join(lacking)}. "
                'Install them with: pip install "isomem-parity[tiers]"'
            )
        load_upstream()
        with quiet_and_offline():
            for script in scripts:
                for kind in classes:
                    if script.runs(kind, tier, profile):
                        report.add(run_script(script, kind, tier, make_ours=make_ours))
    return report


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in ("mem0ai", "qdrant-client", "isomem", "isomem-parity", "fastembed", "spacy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def parser() -> argparse.ArgumentParser:
    """The words of this command line."""
    made = argparse.ArgumentParser(
        prog="isomem parity",
        description="Compare isomem with the installed mem0ai, call by call.",
    )
    made.add_argument(
        "paths",
        nargs="*",
        default=[str(SCENARIOS)],
        help="scenario files, or folders of them (default: all that come with isomem-parity)",
    )
    made.add_argument("--tier", default="A", help="A, B, C, or several: A,B (default: A)")
    made.add_argument(
        "--profile",
        choices=PROFILES,
        help="which mem0ai must be installed (default: the one that is)",
    )
    made.add_argument("--class", dest="kind", choices=[*CLASSES, "both"], default="both")
    made.add_argument("--report", metavar="DIR", help="write parity.txt, .json and .html there")
    made.add_argument(
        "--all-rows",
        action="store_true",
        help="fail when a divergence is not shown by the scenarios it names",
    )
    made.add_argument("--match", default="", help="only scenarios whose area/name contains this")
    made.add_argument("--write-divergences", metavar="FILE", help="write the page for users")
    return made


def main(argv: list[str] | None = None) -> int:
    """See `isomem_parity.main`."""
    options = parser().parse_args(argv)
    if options.write_divergences:
        Path(options.write_divergences).write_text(page(), encoding="utf-8")
        return 0
    try:
        report = _run(options)
    except (ParityError, ScriptError, OSError) as error:
        sys.stderr.write(f"isomem parity: {error}\n")
        return 2
    sys.stdout.write(report.as_text())
    return 0 if report.ok else 1


def _run(options: argparse.Namespace) -> Report:
    if options.profile not in (None, release()):
        raise ParityError(
            f"mem0ai is {release()}; pip install mem0ai=={options.profile} in another environment"
        )
    wanted = tuple(options.tier.split(","))
    if set(wanted) - set(TIERS):
        raise ScriptError(f"unknown tier in {options.tier!r}: choose from {', '.join(TIERS)}")
    classes = CLASSES if options.kind == "both" else (options.kind,)
    scripts = [
        script for script in load(options.paths) if options.match in f"{script.area}/{script.title}"
    ]
    if not scripts:
        raise ScriptError("no scenario file there")
    report = run_scripts(scripts, tiers_=wanted, classes=classes)
    report.command = f"isomem parity {' '.join(options.paths)} --tier {options.tier}"
    if options.all_rows:
        report.find_stale()
    if options.report:
        write(report, options.report)
    return report
