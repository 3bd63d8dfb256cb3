"""Measures isomem and mem0 side by side.

    python -m bench [--only NAME ...] [--quick] [--rounds 3] [--out bench/results]
    python -m bench --again [--out FOLDER]          # the report once more, nothing measured
    python -m bench --write-docs docs/benchmarks.md [--out FOLDER]
    python -m bench --named-alone --write-docs docs/scaling.md [--out FOLDER]

Needs isomem[bench] and isomem-parity, which `make bench` installs. Prints tables, and writes
results.json, plots and index.html. `docs/benchmarks.md` says what is measured, and how.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.plan import QUICK, WORKLOADS, Sizes, chosen
from bench.report import files
from bench.report.figures import failures
from bench.rounds import measure

RESULTS = Path(__file__).parent / "results"


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=list(WORKLOADS),
        metavar="NAME",
        help=f"one of {', '.join(WORKLOADS)}; may be given several times",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (default 3)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the report")
    parser.add_argument("--again", action="store_true", help="write the report again, no measuring")
    parser.add_argument("--write-docs", type=Path, metavar="FILE", help="put the tables there")
    parser.add_argument(
        "--named-alone",
        action="store_true",
        help="with --write-docs: only the tables of what runs by name only",
    )
    return parser


def main() -> int:
    """0, or 1 if a process gave no figures."""
    options = make_parser().parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.again or options.write_docs:
        about, results = files.read(options.out)
    else:
        about = files.about(options.rounds, quick=options.quick)
        sizes = QUICK if options.quick else Sizes()
        results = measure(chosen(options.only), sizes, options.rounds, options.out.resolve(), say)
    if options.write_docs:
        if options.named_alone:
            sections, mark = files.named_alone(about, results), files.NAMED_ALONE
        else:
            sections, mark = files.as_markdown(about, results), files.MARK
        files.write_docs(options.write_docs, sections, mark)
        return 0
    files.write(options.out, about, results)
    say(files.as_text(results))
    say(f"\n{options.out / 'index.html'}")
    return 1 if failures(results) else 0


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
