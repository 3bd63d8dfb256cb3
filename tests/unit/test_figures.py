"""How long, how tangled, how loosely typed the code may be, and how much of it is tests."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from scripts.figures import PACKAGE, TESTS, Figure, figures, functions_of, main, measured, quantile


# Targets that are missed. An entry goes when its target is met; none is added.
def test_the_targets_are_met() -> None:
    found = figures(measured(PACKAGE, TESTS))
    missed = {figure.name: figure.worst for figure in found if not figure.met}
    assert not missed


# --- What is measured, on an invented package ------------------------------------------------

MODULE = '''"""An invented module."""
from typing import Any, Protocol

class Shape(Protocol):
    def declared(self, value: Any) -> None: ...

def long_docstring(first: int, second: "dict[str, Any]") -> str:
    """One line,

    and three more.
    """

    return str(first)

def tangled(values):
    def inner(value: int): return value if value else 1
    for value in values:
        if value and value > 1 or value < -1:
            return [one for one in values if one]
    return inner(0)
'''


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A package of that module, and its tests."""
    package, tests = tmp_path / "package", tmp_path / "tests"
    package.mkdir()
    tests.mkdir()
    (package / "module.py").write_text(MODULE)
    (tests / "test_module.py").write_text("assert True\n\n" * 8)
    return package, tests


def by_name(folders: tuple[Path, Path]) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures(measured(*folders))}


def test_a_function_counts_without_its_docstring_and_a_stub_not_at_all() -> None:
    found = {one.where.split()[-1]: one for one in functions_of(ast.parse(MODULE), "module.py")}
    assert set(found) == {"long_docstring", "tangled", "inner"}
    assert found["long_docstring"].lines == 3
    assert found["tangled"].lines == 6
    assert found["long_docstring"].where.startswith("module.py:7 ")


def test_decisions_inside_expressions_count_and_those_of_an_inner_function_do_not() -> None:
    found = {one.where.split()[-1]: one for one in functions_of(ast.parse(MODULE), "module.py")}
    # for, if, and, or, the comprehension and its condition
    assert found["tangled"].complexity == 7
    assert found["inner"].complexity == 2
    assert found["long_docstring"].complexity == 1


def test_any_counts_wherever_it_stands_in_an_annotation(folders: tuple[Path, Path]) -> None:
    figure = by_name(folders)["annotations with Any"]
    assert figure.value == pytest.approx(100 * 2 / 6)
    assert figure.worst == ("module.py: 2",)
    assert not figure.met


def test_lines_that_are_not_blank_count_as_tests_and_as_code(folders: tuple[Path, Path]) -> None:
    filled = sum(bool(line) for line in MODULE.splitlines())
    assert by_name(folders)["lines of tests per line of code"].value == 8 / filled


def test_a_long_table_of_facts_is_not_a_long_file(folders: tuple[Path, Path]) -> None:
    facts = "FACTS = [\n" + "    1,\n" * 700 + "]\n"
    (folders[0] / "facts.py").write_text(facts)
    (folders[0] / "logic.py").write_text("print()\n" * 601)
    (folders[0] / "both.py").write_text(facts + "print()\n" * 300)
    figure = by_name(folders)["files above 600 lines, facts apart"]
    assert figure.worst == ("both.py: 1002", "logic.py: 601")


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([5, 1, 4, 2, 3], 0.5) == 3
    assert quantile(list(range(1, 11)), 0.9) == 9
    assert quantile([7], 0.9) == 7


def test_a_missed_target_fails_only_where_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folders: tuple[Path, Path]
) -> None:
    monkeypatch.setattr("scripts.figures.PACKAGE", folders[0])
    monkeypatch.setattr("scripts.figures.TESTS", folders[1])
    assert (main([]), main(["--check"])) == (0, 1)
    assert "MISSED" in capsys.readouterr().out
    main(["--worst"])
    assert "    module.py: 2\n" in capsys.readouterr().out
