"""Which of mem0's own tests count: those that touch nothing private, by one mechanical rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.upstream_tests import CORE, main, read, sorted_out

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
