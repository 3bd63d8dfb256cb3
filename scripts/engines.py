"""Writes the table of engines into docs/engines.md.

`python -m scripts.engines` makes it from the rows of `tests/stores/adapters.py`, which the contract
suite holds every engine to. A test fails when the page is not what the rows say.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.stores.adapters import ADAPTERS, COLUMNS, Adapter

PAGE = Path(__file__).resolve().parent.parent / "docs" / "engines.md"
START = "<!-- engines: written by `python -m scripts.engines` -->"
END = "<!-- end -->"


def main() -> int:
    """Write the table into the page; 0."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def written(page: str) -> str:
    """The page with its table rewritten."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{table()}\n\n{END}{after}"


def table() -> str:
    """A row for each engine, a column for each ability."""
    heads = ["engine", *COLUMNS.values(), "where filters are decided"]
    lines = [heads, ["---"] * len(heads), *map(_row, ADAPTERS)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(adapter: Adapter) -> list[str]:
    marks = ["yes" if getattr(adapter.can, name) else "no" for name in COLUMNS]
    return [adapter.title, *marks, adapter.filters]


if __name__ == "__main__":
    sys.exit(main())
