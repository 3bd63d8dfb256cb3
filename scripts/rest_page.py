"""Writes the tables of docs/rest.md: every route, and what differs from mem0's self-hosted server.

`python -m scripts.rest_page`; it needs isomem[serve]. A test fails when the page is not up to date.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from isomem.serve.app import operations
from tests.serve.selfhosted_rules import RULES

PAGE = Path(__file__).resolve().parent.parent / "docs/rest.md"
END = "<!-- end -->"


def main() -> int:
    """Writes the tables; 0."""
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
    return 0


def written(page: str) -> str:
    """The page with tables that are up to date."""
    for name, table in (("routes", routes()), ("differences", differences())):
        start = f"<!-- {name}, written by `python -m scripts.rest_page` -->"
        before, _, rest = page.partition(start)
        page = f"{before}{start}\n\n{table}\n\n{END}{rest.partition(END)[2]}"
    return page


def routes() -> str:
    """The routes of every dialect."""
    parts = []
    for tag, some in groupby(operations(), key=lambda each: each.tag):
        rows = [f"| `{each.method} {each.path}` | {each.summary} |" for each in some]
        parts.append(
            "\n".join([f"### {tag}", "", "| route | what it does |", "| --- | --- |", *rows])
        )
    return "\n\n".join(parts)


def differences() -> str:
    """What differs from mem0's server."""
    rows = [f"| {rule.theirs} | {rule.ours} | {rule.why} |" for rule in RULES.values()]
    return "\n".join(["| mem0's server | isomem | why |", "| --- | --- | --- |", *rows])


if __name__ == "__main__":
    sys.exit(main())
