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

from isomem.types import PROFILES

FILE = Path(__file__).with_name("divergences.toml")


@dataclass(frozen=True)
class Row:
    """One divergence: what upstream does, what isomem does, and where that is allowed.

    `ops`, `classes`, `tiers` and `profiles` are where its ruling may be applied; `scenarios` are
    the ones that must show it. What scripts do not reach, such as classes that talk to a service,
    has no ruling: `where` says where it is, and `tests` show both sides.
    """

    id: str
    title: str
    upstream: str
    ours: str
    why: str
    ops: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    where: str = ""
    tests: tuple[str, ...] = ()
    fixed_in: str = ""
    classes: tuple[str, ...] = ("sync", "async")
    tiers: tuple[str, ...] = ("A", "B", "C")
    profiles: tuple[str, ...] = PROFILES

    def covers(self, op: str, kind: str, tier: str) -> bool:
        return op in self.ops and kind in self.classes and tier in self.tiers


def rows() -> dict[str, Row]:
    """The rows of the release that is installed, by their ids."""
    from isomem_parity.upstream import release

    return rows_of(release())


@cache
def rows_of(profile: str) -> dict[str, Row]:
    """The rows of one release. What a row says of it under its name replaces the rest of the row.

    Raises:
        ValueError: the table and the rulings do not have the same rows.
    """
    from isomem_parity.rulings import CALL_RULINGS, TRACE_RULINGS

    listed = tomllib.loads(FILE.read_text(encoding="utf-8"))["row"]
    names = {raw["id"] for raw in listed if "tests" not in raw}
    ruled = CALL_RULINGS.keys() | TRACE_RULINGS.keys()
    if names != ruled:
        raise ValueError(f"rows without a ruling, or rulings without a row: {names ^ ruled}")
    made = {raw["id"]: _row(raw, profile) for raw in listed}
    return {name: row for name, row in made.items() if profile in row.profiles}


def _row(raw: dict[str, Any], profile: str) -> Row:
    told = {key: value for key, value in raw.items() if key not in PROFILES}
    return Row(**{key: _frozen(value) for key, value in {**told, **raw.get(profile, {})}.items()})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


HEAD = """# Where isomem differs from mem0

<!-- Made from parity/src/isomem_parity/divergences.toml by
     `python -m isomem_parity --write-divergences docs/divergences.md`. Edit the toml. -->

isomem does what mem0ai 2.0.4 does, or mem0ai 2.2.1 with the [profile](profiles.md) of that name,
except where mem0 loses or leaks stored data, crashes on valid input, or is a security hole. These
are all the exceptions. Each is checked from both sides by the scenarios or the tests it names: that
upstream does the one, and that isomem does exactly the other.
"""


def page() -> str:
    """The divergences as Markdown."""
    listed = {name: rows_of(name) for name in PROFILES}
    names = sorted({row for made in listed.values() for row in made})
    return HEAD + "".join(
        _section([made[name] for made in listed.values() if name in made]) for name in names
    )


def _section(releases: list[Row]) -> str:
    """What a row says, of the first release that it is about and of the later one."""
    row, *later = releases
    lines = [f"\n## {row.id}: {row.title}\n", f"- **mem0 {_first(row)}** {row.upstream}"]
    if later and later[0].upstream != row.upstream:
        lines.append(f"- **mem0 {PROFILES[-1]}** {later[0].upstream}")
    lines += [f"- **isomem** {row.ours}", f"- **Why** {row.why}"]
    if PROFILES[-1] not in row.profiles:
        lines.append(f"- **In mem0 since fixed** {row.fixed_in}")
    where = row.where or ", ".join(f"`{op}`" for op in row.ops)
    if len(row.classes) == 1:
        where += f" of {'AsyncMemory' if 'async' in row.classes else 'Memory'}"
    lines += [
        f"- **Profiles** {', '.join(row.profiles)}",
        f"- **Where** {where}",
        f"- **Shown by** {', '.join(f'`{name}`' for name in row.scenarios + row.tests)}",
    ]
    return "\n".join(lines) + "\n"


def _first(row: Row) -> str:
    return row.profiles[0]
