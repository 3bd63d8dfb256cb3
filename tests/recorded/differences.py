"""Writes the deliberate differences from upstream's own classes into docs/providers.md.

`python -m tests.recorded.differences` writes the tables between the markers; a test fails when the
page is not what the cases say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.recorded import embedder_cases, llm_cases
from tests.recorded.comparison import Difference
from tests.recorded.failures import FAULTS, Outcome

PAGE = Path(__file__).resolve().parents[2] / "docs" / "providers.md"
MARKERS = {
    "differences": "<!-- differences, written by `python -m tests.recorded.differences` -->",
    "failures": "<!-- failures, written by `python -m tests.recorded.differences` -->",
}
END = "<!-- end -->"


def main() -> int:
    """Write the tables into the page; 0."""
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
    return 0


def written(page: str) -> str:
    """The page with its tables rewritten."""
    tables = {"differences": differences(), "failures": failures()}
    for name, marker in MARKERS.items():
        before, _, rest = page.partition(marker)
        _, _, after = rest.partition(END)
        page = f"{before}{marker}\n\n{tables[name]}\n\n{END}{after}"
    return page


def differences() -> str:
    """One row for each difference that a case names, in the order of the cases."""
    defined = [*vars(llm_cases).values(), *vars(embedder_cases).values()]
    named = [each for each in defined if isinstance(each, Difference)]
    rows = {(each.providers, each.mem0, each.isomem): None for each in named}
    return _table(("provider", "mem0's class", "isomem"), rows)


def failures() -> str:
    """What comes of each fault in upstream's classes, and in ours."""
    groups: dict[str, list[str]] = {}
    for name, outcomes in llm_cases.UPSTREAMS_FAILURES.items():
        groups.setdefault(str(outcomes), []).append(name)
    columns = [llm_cases.UPSTREAMS_FAILURES[names[0]] for names in groups.values()]
    titles = [", ".join(f"`{name}`" for name in sorted(names)) for names in groups.values()]
    longest = max(titles, key=len)
    titles = ["the others" if title == longest else title for title in titles]
    rows = [
        [fault, f"`{kind.__name__}`", *(_cell(column[fault]) for column in columns)]
        for fault, (_, kind) in FAULTS.items()
    ]
    return _table(("the server's fault", "isomem, everywhere", *titles), rows)


def _cell(outcome: Outcome) -> str:
    what, times = outcome
    shown = what if what.startswith("returns") else f"`{what}`"
    return f"{shown}, sent {times} times" if times > 1 else shown


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
