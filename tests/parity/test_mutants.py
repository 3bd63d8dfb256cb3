"""Random faults are small, repeatable and real; what no test notices is a survivor."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from isomem_parity.mutants import File, Mutant, draw, mutated
from isomem_parity.mutate import FAULTS, Fault, main
from isomem_parity.survivors import (
    APART,
    EQUIVALENT,
    NEIGHBOURS,
    Verdict,
    Workshop,
    failures,
    key,
    known_equivalent,
    near,
    share_caught,
    summary,
)

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "isomem"


def mutants_of(text: str) -> list[Mutant]:
    made = (mutated("module.py", text, change) for change in File(text).changes())
    return [mutant for mutant in made if mutant]


def new_lines(text: str) -> set[str]:
    return {mutant.new for mutant in mutants_of(text)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a < b", {"a <= b"}),
        ("a is not b", {"a is b"}),
        ("a in b", {"a not in b"}),
        ("a == b != c", {"a != b != c", "a == b == c"}),
        ("a and b", {"a or b"}),
        ("x = not a", {"x = a"}),
        ("x = True", {"x = False"}),
        ("x = 7", {"x = 8", "x = 6"}),
        ("x = 'a'", {"x = 'aX'"}),
        ("f(a, b, c)", {"f(b, a, c)", "f(a, c, b)"}),
        ("if a: b", {"if not a: b"}),
        ("x = a if b else c", {"x = a if not b else c"}),
        ("def f(a=None): return", {"def f(a=1): return"}),
        ("def f(b=True): return", {"def f(b=False): return"}),
        ("def f(a): return a", {"def f(a): return None"}),
        ("def f(a): a.b = c", {"def f(a): pass"}),
        ("def f(a): g()", {"def f(a): pass"}),
    ],
)
def test_a_line_changes_in_these_ways(text: str, expected: set[str]) -> None:
    assert new_lines(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        '"""A docstring."""',
        "from a import b",
        "x: Literal['a'] | None",
        "def f(a: 'int') -> 'str': ...",
        "def f(a=None, b=5): ...",
        "if TYPE_CHECKING:\n    x = 1",
        "f'{a} of 3'",
        "x = cast('int', y)",
        "def f(): x = y",
        "isinstance(a, b)",
        "def f(): return None",
    ],
)
def test_what_cannot_matter_stays(text: str) -> None:
    assert not new_lines(text)


def test_every_line_of_a_table_of_words_loses_words() -> None:
    text = 'WORDS = (\n    "ä word and "\n    # a comment here\n    "another one "\n)'
    found = {(mutant.line, mutant.new) for mutant in mutants_of(text)}
    assert {(2, '"word and "'), (2, '"ä word "'), (4, '"one "'), (4, '"another "')} <= found
    assert 3 not in {line for line, _ in found}


def test_the_text_of_a_raised_message_is_known_as_such() -> None:
    found = mutants_of("def f():\n    raise ValueError('no', 3)\n")
    assert {mutant.new for mutant in found if mutant.is_message} == {"raise ValueError('noX', 3)"}
    assert len(found) == 5


def test_a_seed_draws_the_same_faults_of_different_lines_every_time() -> None:
    drawn = draw(PACKAGE, 60, 7, APART)
    assert drawn == draw(PACKAGE, 60, 7, APART)
    assert drawn != draw(PACKAGE, 60, 8, APART)
    assert len({(mutant.file, mutant.line) for mutant in drawn}) == 60
    for mutant in drawn:
        right = (PACKAGE / mutant.file).read_text(encoding="utf-8")
        assert ast.dump(ast.parse(mutant.text)) != ast.dump(ast.parse(right))
        assert not mutant.file.startswith(("cli/", "demo.py"))
    only = draw(PACKAGE, 30, 7, set(), ("text/", "contract/filters"))
    assert {mutant.file.partition("/")[0] for mutant in only} == {"text", "contract"}
    assert all(mutant.file.startswith(("text/", "contract/filters")) for mutant in only)


# --- Trying them out -------------------------------------------------------------------------


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A tree of one module and its test, one more test that fails anyhow."""
    tree = tmp_path / "tree"
    for folder in ("src/isomem", "tests/unit"):
        (tree / folder).mkdir(parents=True)
    (tree / "pyproject.toml").write_text("[tool.pytest.ini_options]\npythonpath = ['src']\n")
    (tree / "src/isomem/__init__.py").touch()
    (tree / "src/isomem/module.py").write_text("LIMIT = 3\nNAME = 'a'\n")
    (tree / "tests/unit/test_module.py").write_text(
        "from isomem.module import LIMIT\n"
        "def test_limit(): assert LIMIT == 3\n"
        "def test_fails_anyhow(): assert False\n"
    )
    return Workshop([tree], sys.executable)


@pytest.mark.slow
def test_a_fault_is_caught_by_a_test_that_passes_without_it(
    workshop: Workshop, tmp_path: Path
) -> None:
    module = tmp_path / "tree/src/isomem/module.py"
    right = module.read_text()
    by_line = {mutant.line: mutant for mutant in mutants_of(right)}
    assert workshop.try_out(by_line[1]).by == "tests/unit/test_module.py::test_limit"
    assert workshop.try_out(by_line[2]) == Verdict(by_line[2], "")
    assert module.read_text() == right


@pytest.mark.slow
def test_a_fault_that_ends_the_process_is_caught(workshop: Workshop) -> None:
    fatal = Mutant("module.py", 1, "", "", is_message=False, text="import os; os._exit(9)\n")
    assert workshop.try_out(fatal).by == "exit status 9"


def test_the_tests_near_a_file_mirror_it_and_exist() -> None:
    assert near("text/lemma.py", ROOT)[0] == "tests/unit/text/test_lemma.py"
    assert near("clock.py", ROOT)[0] == "tests/unit/test_clock.py"
    listed = {each for row in NEIGHBOURS.values() for each in row}
    assert not [each for each in listed if not (ROOT / "tests" / each).exists()]
    for path in PACKAGE.rglob("*.py"):
        found = near(path.relative_to(PACKAGE).as_posix(), ROOT)
        assert found
        assert all((ROOT / each).exists() for each in found)


def test_the_tests_are_asked_in_a_checkout_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--random", "1", "--checkout", str(tmp_path)]) == 2
    assert f"{tmp_path} is not a checkout of isomem" in capsys.readouterr().err


def test_failures_are_read_from_the_short_summary() -> None:
    output = "FAILED tests/a.py::test_b[x - y] - assert 1\nERROR tests/c.py::test_d\nFAILED no\n"
    assert list(failures(output))[1:] == ["tests/c.py::test_d"]


def test_equivalent_changes_are_known_by_file_and_both_lines() -> None:
    rows = '[[equivalent]]\nfile = "module.py"\nold = "x = 7"\nnew = "x = 8"\nwhy = "no matter"\n'
    known = known_equivalent(rows)
    assert sum(key(mutant) in known for mutant in mutants_of("x = 7")) == 1


def test_the_lines_of_the_listed_equivalent_changes_are_still_there() -> None:
    for file, old, _ in known_equivalent(EQUIVALENT.read_text(encoding="utf-8")):
        lines = (PACKAGE / file).read_text(encoding="utf-8").splitlines()
        assert old in [line.strip() for line in lines], f"{file}: {old}"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.file} {fault.old[:30]!r}")
def test_the_text_of_every_planted_fault_is_still_there(fault: Fault) -> None:
    assert fault.old in (PACKAGE / fault.file).read_text(encoding="utf-8")


def test_the_share_counts_messages_apart() -> None:
    first, second, *_ = mutants_of("x = 7\ny = 'a'")
    message = Mutant("m.py", 2, "old", "new", is_message=True, text="")
    verdicts = [Verdict(first, "test"), Verdict(second, "test"), Verdict(message, "")]
    assert share_caught([]) == 100
    assert share_caught(verdicts[:1]) == 100
    lines = summary(verdicts, 2)
    assert "m.py:2 old -> new" in lines
    assert lines[-1] == (
        "3 faults planted, 2 caught: 66.7 %; without those in messages 100.0 % (2 equivalent)"
    )
