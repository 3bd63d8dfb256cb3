"""The script that finds a browser: what it says, and when it may install one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import browser


def program(folder: Path, name: str) -> str:
    """A file that can be run, on a path of its own."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path with nothing on it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.mark.parametrize("name", ["chromium", "chromium-browser"])
def test_a_browser_is_found_with_its_driver(bare: Path, name: str) -> None:
    chromium, driver = program(bare, name), program(bare, "chromedriver")
    assert browser.find() == browser.Browser(chromium, driver)


@pytest.mark.parametrize("only", ["chromium", "chromedriver", None])
def test_half_of_it_is_none(bare: Path, only: str | None) -> None:
    if only is not None:
        program(bare, only)
    assert browser.find() is None


def commands(monkeypatch: pytest.MonkeyPatch, status: int = 0) -> list[list[str]]:
    """Keeps what would be run, instead of changing this machine."""
    ran: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(browser.subprocess, "run", run)
    return ran


def test_what_is_there_is_not_installed_again(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = commands(monkeypatch)
    program(bare, "chromium"), program(bare, "chromedriver"), program(bare, "apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert browser.install() is not None
    assert ran == []


def test_nothing_is_installed_without_being_root(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = commands(monkeypatch)
    program(bare, "apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert browser.install() is None
    assert ran == []


def test_nothing_is_installed_where_there_is_no_debian(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = commands(monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert browser.install() is None
    assert ran == []


def test_a_missing_browser_is_installed_with_its_driver(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = commands(monkeypatch)
    program(bare, "apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    browser.install()
    assert [command[2] for command in ran] == ["update", "install"]
    assert set(browser.PACKAGES) < set(ran[1])


def test_a_failure_to_install_is_none(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = commands(monkeypatch, status=100)
    program(bare, "apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert browser.install() is None
    assert len(ran) == 1


def test_the_command_says_what_there_is_or_what_is_missing(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["browser"])
    assert browser.main() == 1
    assert "chromium-driver" in capsys.readouterr().out
    chromium, driver = program(bare, "chromium"), program(bare, "chromedriver")
    assert browser.main() == 0
    assert capsys.readouterr().out.split() == [chromium, driver]
