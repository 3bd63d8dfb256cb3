"""The command; the package's docstring says what it does."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bench.engines
from bench.engines import tables
from bench.engines.rows import BY_NAME, Place
from bench.engines.systems import SETTINGS, groups
from bench.engines.turns import Plan, measure
from bench.report import files
from bench.report.tables import Table, as_markdown, as_text
from bench.rounds import compile_everything

RESULTS = Path(__file__).parent.parent / "results"
AT = "to the server and back, ms"
AWAY = {name for name, engine in BY_NAME.items() if engine.peer == "pgvector"}
"""The engines that can be put at a distance."""

MARK = "<!-- {}: python -m bench.engines --write-docs docs/scaling.md -->"


def make_parser() -> argparse.ArgumentParser:
    about = (bench.engines.__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m bench.engines", description=about)
    add = parser.add_argument
    add("--sizes", type=_numbers, default=[2_000], help="memories, such as 2000,100000,1000000")
    add("--engines", type=_names(BY_NAME), default=[*BY_NAME], help=f"of {', '.join(BY_NAME)}")
    add(
        "--settings",
        type=_names(SETTINGS),
        default=["isomem", "plain", "mem0"],
        help=f"of {', '.join(SETTINGS)} (default: all but extras)",
    )
    add("--rounds", type=int, default=3, help="turns of each system (default 3)")
    add("--seconds", type=float, default=10, help="for one kind of call in a turn (default 10)")
    add("--out", type=Path, default=RESULTS, help="folder of the results; stores are made there")
    add(
        "--rtt-ms",
        type=float,
        default=0,
        help="puts PostgreSQL so far away, for postgres and pgvector; written to away.json",
    )
    add("--keep", action="store_true", help="keep the results of other sizes and engines")
    add("--again", action="store_true", help="print the tables once more, nothing measured")
    add("--write-docs", type=Path, metavar="FILE", help="put the tables there")
    return parser


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _names(known: Any) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
        return names

    return read


def main(arguments: list[str] | None = None) -> int:
    """0, or 1 if a system failed."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    if given.rtt_ms and not AWAY.issuperset(given.engines):
        parser.error(f"--rtt-ms needs --engines of {', '.join(sorted(AWAY))}")
    given.out.mkdir(parents=True, exist_ok=True)
    if given.write_docs:
        write_docs(given)
        return 0
    path = given.out / ("away.json" if given.rtt_ms else "engines.json")
    if given.again:
        content = json.loads(path.read_text(encoding="utf-8"))
    else:
        content = {"about": files.about(given.rounds, quick=False), "rows": kept(given, path)}
        if given.rtt_ms:
            content["about"][AT] = given.rtt_ms
        run(given, content, path)
    turns = tables.Turns(content["rows"])
    say(report(turns, as_text, "\n{}\n"))
    return 1 if any("error" in row for row in turns.rows) else 0


def write_docs(given: argparse.Namespace) -> None:
    """Puts the tables of all results that are there into a file."""
    texts = {}
    for path in (given.out / f"{name}.json" for name in ("engines", "away")):
        if path.exists():
            content = json.loads(path.read_text(encoding="utf-8"))
            facts = ", ".join(f"{name} {value}" for name, value in content["about"].items())
            text = report(tables.Turns(content["rows"]), as_markdown, "### {}")
            texts[path.stem] = f"{facts}.\n\n{text}"
    files.write_docs(given.write_docs, texts, MARK)


def kept(given: argparse.Namespace, path: Path) -> list[dict[str, Any]]:
    """The rows of an earlier run that this one does not measure again."""
    if not (given.keep and path.exists()):
        return []
    again = {(at, BY_NAME[name].peer) for at in given.sizes for name in given.engines}
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("about", {}).get(AT) != (given.rtt_ms or None):
        return []  # They are of a server at another distance.
    rows: list[dict[str, Any]] = content["rows"]
    return [row for row in rows if (row["memories"], BY_NAME[row["engine"]].peer) not in again]


def run(given: argparse.Namespace, content: dict[str, Any], path: Path) -> None:
    """Measures, and keeps what has been measured so far. Whoever ends it ends its servers, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    compile_everything()
    plan = Plan(given.rounds, given.seconds)
    for memories in given.sizes:
        for group in groups(given.engines, given.settings):
            say(f"\n{memories:,} memories: {', '.join(system.title for system in group)}")
            with tempfile.TemporaryDirectory(dir=given.out.resolve(), prefix="work-") as folder:
                place = Place(Path(folder), memories, given.rtt_ms)
                try:
                    for row in measure(group, place, plan, say):
                        content["rows"].append(row)
                        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
                finally:
                    place.close()


def report(turns: tables.Turns, write: Callable[[Table], str], heading: str) -> str:
    """All tables."""
    parts = []
    for memories in turns.sizes:
        for scope in turns.scopes(memories):
            parts.append(heading.format(f"{memories:,} memories, in scopes of {scope:,}"))
            parts.append(write(tables.of_figures(turns, memories, scope)))
            ratios = tables.of_ratios(turns, memories, scope)
            if ratios.rows:
                parts += ["How many times better than mem0:", write(ratios)]
    slower = [f"- {line}" for line in tables.slower(turns)]
    parts.append("Slower than mem0 that does the same on the same engine:")
    parts.append("\n".join(slower) if slower else "none.")
    return "\n\n".join(parts)


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
