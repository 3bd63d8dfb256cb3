"""The limits and policies of mem0 2.0.4 stand in one module, and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from isomem.contract import v2_0_4
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
def test_no_limit_stands_beside_the_profile(where: Path) -> None:
    found = {(name, value) for name, value in numbers_in(PACKAGE / where) if value not in (0, 1, 2)}
    assert found == set()


def test_every_rule_is_data() -> None:
    names = [name for name in vars(v2_0_4) if not name.startswith("_") and name != "annotations"]
    assert names
    for name in names:
        assert name.isupper(), name
        assert isinstance(getattr(v2_0_4, name), (int, float, str, tuple)), name
