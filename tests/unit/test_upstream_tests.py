"""Which of mem0's own tests count: those that touch nothing private, by one mechanical rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts import upstream_tests
from scripts.upstream_tests import (
    CORE,
    FAILED,
    PASSED,
    SKIPPED,
    _is_private,
    main,
    read,
    sorted_out,
)

TESTS = """
from unittest.mock import patch
import pytest
from mem0 import Memory
from mem0.memory.main import _hidden

@pytest.fixture
def memory():
    return Memory()

@pytest.fixture
def broken(memory):
    memory._create_memory = None
    return memory

def _helper(memory):
    return memory.get("1")

def test_public(memory):
    assert _helper(memory) is None

def test_of_itself():
    _own = 1
    assert _own

def test_by_import():
    assert _hidden()

def test_by_fixture(broken):
    assert broken

def test_by_text():
    with patch("mem0.memory.main._build"):
        pass

def test_replacing(mocker):
    mocker.patch("mem0.memory.main.SQLiteManager")

def test_dunder(memory):
    assert memory.__class__

class TestMethods:
    def setup_method(self):
        self._made = Memory()

    def test_attribute_of_its_own(self):
        assert self._made

    def test_private_method(self):
        self._made._add_to_vector_store([])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test_main.py").write_text(TESTS, "utf-8")
    return tmp_path


def test_a_test_is_left_out_for_private_names_in_what_it_uses(folder: Path) -> None:
    found = sorted_out([read(folder / "test_main.py")])
    names = {name.partition("::")[2]: why for name, why in found.left_out.items()}
    assert names == {
        "test_by_import": {"_hidden"},
        "test_by_fixture": {"_create_memory"},
        "test_by_text": {"_build"},
        "TestMethods::test_private_method": {"_add_to_vector_store"},
    }


def test_replacing_a_name_inside_mem0_is_told_apart(folder: Path) -> None:
    found = sorted_out([read(folder / "test_main.py")])
    assert [name.partition("::")[2] for name in found.replacing] == ["test_replacing"]
    assert [name.partition("::")[2] for name in found.public] == [
        "test_public",
        "test_of_itself",
        "test_dunder",
        "TestMethods::test_attribute_of_its_own",
    ]


def test_a_folder_without_such_tests_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert CORE[0] in capsys.readouterr().err


# --- One rule, seen from many sides -----------------------------------------------------------


def sorted_source(folder: Path, source: str, conftest: str = "") -> dict[str, str]:
    """Of each test: "public", "replacing", or the private names that it is left out for."""
    file = folder / "test_main.py"
    file.write_text(source, "utf-8")
    if conftest:
        (folder / "conftest.py").write_text(conftest, "utf-8")
    found = sorted_out([read(file)])
    told = {name: " ".join(sorted(why)) for name, why in found.left_out.items()}
    told |= dict.fromkeys(found.public, "public") | dict.fromkeys(found.replacing, "replacing")
    return {name.partition("::")[2]: why for name, why in told.items()}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("memory.get('_x')", "public"),
        ("memory._x", "_x"),
        ("memory.__init__()", "public"),
        ("_, x = memory", "public"),
        ("patch('mem0.memory.main._x')", "_x"),
        ("patch(target='mem0.memory.main._x')", "_x"),
        ("patch('mem0.memory.main.Memory._x.y')", "_x"),
        ("patch('mem0.memory.main.Memory')", "replacing"),
        ("patch(target='mem0.memory.main.Memory')", "replacing"),
        ("patch.object(memory, '_x')", "_x"),
        ("patch.object(memory, attribute='_x')", "_x"),
        ("patch.multiple('mem0.memory.main', _x=1)", "_x"),
        ("patch.multiple('mem0.memory.main', Memory=1)", "replacing"),
        ("mocker.spy(memory, '_x')", "_x"),
        ("mocker.spy(memory, 'add')", "public"),
        ("monkeypatch.setattr(memory, '_x', 1)", "_x"),
        ("monkeypatch.delattr(memory, '_x')", "_x"),
        ("monkeypatch.setenv('_x', 'mem0.a')", "public"),
        ("getattr(memory, '_x')", "_x"),
        ("hasattr(memory, '_x')", "_x"),
        ("print('_x', 'mem0.memory')", "public"),
        ("hidden()", "_hidden"),
        ("_shown()", "public"),
        ("deep.x()", "_deep"),
        ("_pytest()", "public"),
        ("from mem0.memory.main import _y", "_y"),
        ("constant()", "public"),
        ("of_private()", "_x"),
        ("import mem0", "public"),
    ],
)
def test_what_a_test_touches(line: str, why: str, tmp_path: Path) -> None:
    source = f"""
from mem0.memory.main import _hidden as hidden, Memory as _shown
from mem0.memory import _deep as deep
from _pytest import monkeypatch as _pytest
constant = 1
of_private = lambda: memory._x

def test_it(memory, mocker, monkeypatch, patch):
    {line}
"""
    assert sorted_source(tmp_path, source) == {"test_it": why}


def test_fixtures_count_wherever_they_are_and_are_not_tests(tmp_path: Path) -> None:
    conftest = """
import pytest
@pytest.fixture
def shared():
    return memory._x
@pytest.fixture
def unused():
    return memory._z
"""
    source = """
import pytest
from unittest import TestCase

@pytest.fixture(scope="module")
def test_data():
    return 1

@pytest.fixture(autouse=True)
def clean(quiet): pass

@pytest.fixture
def quiet(): pass

def first(): second()
def second(): first(); memory._loop

def test_with_data(test_data): pass
async def test_shared(shared): pass
def test_in_a_circle(): first()

@pytest.mark.parametrize("name", [memory._p])
def test_decorated(name): pass

@patch("mem0.memory.main.Memory")
class TestPatched:
    def test_a(self): pass

class TestSetUp(TestCase):
    def setUp(self): self._mine = memory._y
    def test_b(self): assert self._mine
"""
    assert sorted_source(tmp_path, source, conftest) == {
        "test_with_data": "public",
        "test_shared": "_x",
        "test_in_a_circle": "_loop",
        "test_decorated": "_p",
        "TestPatched::test_a": "replacing",
        "TestSetUp::test_b": "_y",
    }


def test_a_fixture_for_all_tests_leaves_all_of_them_out(tmp_path: Path) -> None:
    source = """
import pytest
@pytest.fixture(autouse=True)
def clean(): memory._x = 1
def test_a(): pass
class TestB:
    def test_c(self): pass
"""
    assert sorted_source(tmp_path, source) == {"test_a": "_x", "TestB::test_c": "_x"}


names = st.text("abx_", min_size=1, max_size=5)


@given(names)
def test_private_is_one_underscore_before_a_name(name: str) -> None:
    stripped = name.lstrip("_")
    assert _is_private(name) == (name == f"_{stripped}" and stripped != "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(names.filter(_is_private), max_size=4, unique=True),
       st.lists(names, max_size=4, unique=True))  # fmt: skip
def test_a_test_is_public_exactly_if_it_touches_nothing_private(
    tmp_path: Path, hidden: list[str], others: list[str]
) -> None:
    lines = [f"    memory.{name}" for name in [*others, *hidden]]
    source = "\n".join(["def test_it(memory):", *lines, "    pass"])
    expected = {name for name in [*hidden, *others] if _is_private(name)}
    found = sorted_source(tmp_path, source)["test_it"]
    assert found == (" ".join(sorted(expected)) or "public")


# --- The command, on tests that it can run ----------------------------------------------------

RUNNABLE = """
import pytest
from mem0 import Memory
from mem0.memory.main import Memory as Same

def test_passes():
    assert Memory is Same and Memory.__module__.startswith("isomem")

def test_fails():
    assert Memory.__module__.startswith("elsewhere")

@pytest.fixture
def broken(): raise RuntimeError

def test_error(broken): pass

@pytest.mark.skip
def test_skipped(): pass

def test_private(): Memory._x

def test_replaces(monkeypatch):
    monkeypatch.setattr("mem0.memory.main.none_such", 1)
"""


def test_public_tests_must_pass_and_others_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real run. The test that replaces a name fails, which is not held against isomem."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (tmp_path / "test_main.py").write_text(RUNNABLE, "utf-8")
    (tmp_path / "test_memory.py").write_text("import none_such\ndef test_a(): pass\n", "utf-8")
    assert main([str(tmp_path)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-3:] == [
        "left out, since they touch private names: 1; most often _x (1)",
        "replace names inside mem0, on isomem: 0 passed, 1 failed, 0 skipped",
        "public, on isomem: 1 passed, 3 failed, 1 skipped",
    ]
    failed = [line for line in said if line.startswith("failed: ")]
    assert failed == [
        "failed: test_main::test_error",
        "failed: test_main::test_fails",
        "failed: test_memory",
    ]


@pytest.mark.parametrize(
    ("public", "replacing", "status"),
    [
        ({"a": PASSED, "b": SKIPPED}, {}, 0),
        ({"a": PASSED}, {"b": FAILED}, 0),
        ({"a": PASSED, "b": FAILED}, {}, 1),
        ({}, {"b": PASSED}, 1),
    ],
)
def test_the_status_is_that_of_the_public_tests(
    public: dict[str, str],
    replacing: dict[str, str],
    status: int,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        upstream_tests,
        "run",
        lambda _folder, tests, _on: replacing if tests[0].endswith("replacing") else public,
    )
    assert main([str(folder)]) == status
