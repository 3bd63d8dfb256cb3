"""The rows of `divergences.toml`, and the page for users that is made from them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).with_name("divergences.toml")


@dataclass(frozen=True)
class Row:
    """One divergence: what upstream does, what isomem does, and where that is allowed.

    `ops`, `classes` and `tiers` are where its ruling may be applied; `scenarios` are the ones
    that must show it.
    """

    id: str
    title: str
    upstream: str
    ours: str
    why: str
    ops: tuple[str, ...]
    scenarios: tuple[str, ...]
    fixed_in: str = ""
    classes: tuple[str, ...] = ("sync", "async")
    tiers: tuple[str, ...] = ("A", "B", "C")

    def covers(self, op: str, kind: str, tier: str) -> bool:
        return op in self.ops and kind in self.classes and tier in self.tiers


@cache
def rows() -> dict[str, Row]:
    """Every row, by its id."""
    from isomem_parity.rulings import CALL_RULINGS, TRACE_RULINGS

    listed = tomllib.loads(FILE.read_text(encoding="utf-8"))["row"]
    made = {raw["id"]: Row(**{key: _frozen(value) for key, value in raw.items()}) for raw in listed}
    ruled = CALL_RULINGS.keys() | TRACE_RULINGS.keys()
    if made.keys() != ruled:
        raise ValueError(f"rows without a ruling, or rulings without a row: {made.keys() ^ ruled}")
    return made


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


HEAD = """# Where isomem differs from mem0 2.0.4

<!-- Made from parity/src/isomem_parity/divergences.toml by
     `python -m isomem_parity --write-divergences docs/divergences.md`. Edit the toml. -->

isomem does what mem0ai 2.0.4 does, except where mem0 loses or leaks stored data, crashes on valid
input, or is a security hole. These are all the exceptions. Each is checked from both sides by the
scenarios it names: that upstream does the one, and that isomem does exactly the other.
"""


def page() -> str:
    """The divergences as Markdown."""
    return HEAD + "".join(_section(row) for row in rows().values())


def _section(row: Row) -> str:
    both = len(row.classes) == 2
    lines = [
        f"\n## {row.id}: {row.title}\n",
        f"- **mem0 2.0.4** {row.upstream}",
        f"- **isomem** {row.ours}",
        f"- **Why** {row.why}",
        f"- **In mem0 since fixed** {row.fixed_in or 'not that we know of'}",
        f"- **Where** {', '.join(f'`{op}`' for op in row.ops)}"
        + ("" if both else f" of {'AsyncMemory' if 'async' in row.classes else 'Memory'}"),
        f"- **Shown by** {', '.join(f'`{name}`' for name in row.scenarios)}",
    ]
    return "\n".join(lines) + "\n"
