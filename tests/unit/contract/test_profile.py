"""Limits stand in one module; what releases decide differently, in one for each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from isomem.contract import limits, v2_0_4, v2_2_1
from isomem.contract.profile import DEFAULT, profile_of
from isomem.types import PROFILES
from scripts.imports import SOURCE, modules

PACKAGE = SOURCE / "isomem"

# What reads the rules. A number here that is not 0, 1 or 2 is a limit, a weight or a threshold.
READERS = sorted(
    path.relative_to(PACKAGE)
    for path in modules()
    if path.relative_to(PACKAGE).parts[0] == "pipeline"
    or str(path.relative_to(PACKAGE)) in ("contract/scoring.py", "contract/payload.py",
                                          "contract/scope.py", "text/messages.py")
)  # fmt: skip


def numbers_in(path: Path) -> Iterator[tuple[str | None, float]]:
    """The numbers of a module, with the name of the constant that each is given to."""
    for statement in ast.parse(path.read_text("utf-8")).body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        name = target.id if isinstance(target, ast.Name) else None
        for node in ast.walk(statement):
            if isinstance(node, ast.Constant) and type(node.value) in (int, float):
                yield name, node.value


@pytest.mark.parametrize("where", READERS, ids=str)
def test_no_limit_stands_beside_the_others(where: Path) -> None:
    found = {(name, value) for name, value in numbers_in(PACKAGE / where) if value not in (0, 1, 2)}
    assert found == set()


def test_every_rule_is_data() -> None:
    names = [name for name in vars(limits) if not name.startswith("_") and name != "annotations"]
    assert names
    for name in names:
        assert name.isupper(), name
        assert isinstance(getattr(limits, name), (int, float, str, tuple)), name


def test_every_profile_decides_everything() -> None:
    """What the pipeline and the stores read from a profile is in all of them, or in none."""
    read = {
        node.attr
        for path in modules()
        if "profile." in (text := path.read_text("utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value).split(".")[-1] in ("profile", "_profile")
    }
    decided = {name for name in read if hasattr(v2_0_4, name)}
    assert len(decided) > 15
    assert decided == {name for name in read if hasattr(v2_2_1, name)}


def test_a_profile_is_found_by_its_name() -> None:
    assert [profile_of(name).NAME for name in PROFILES] == [*PROFILES]
    assert profile_of(PROFILES[0]) is DEFAULT


@pytest.mark.parametrize("part", ["pipeline", "stores"])
def test_nobody_asks_which_profile_it_is(part: str) -> None:
    for path in (PACKAGE / part).rglob("*.py"):
        text = path.read_text("utf-8")
        assert "profile.NAME" not in text, path
        assert "2.2.1" not in text, path
