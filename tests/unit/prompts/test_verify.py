"""`verify` tells the state of every text and raises for none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from isomem.prompts.loader import DIRECTORY
from isomem.prompts.manifest import UPSTREAM, sha256_hex
from isomem.prompts.verify import verify

NAMES = [pin.name for pin in UPSTREAM.texts]


@pytest.fixture
def no_upstream(monkeypatch):
    monkeypatch.setattr("isomem.prompts.verify.distributions", lambda name: iter(()))


@pytest.fixture
def fake_upstream(monkeypatch, tmp_path):
    """A folder that passes for an installed mem0ai; returns it."""
    site = tmp_path / "site"
    (site / "mem0ai-9.9.dist-info").mkdir(parents=True)
    (site / "mem0ai-9.9.dist-info/METADATA").write_text("Name: mem0ai\nVersion: 9.9\n")
    (site / "mem0/configs").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(site))
    return site


def test_built_package_is_sound_throughout(no_upstream):
    rows = verify()
    assert [row.name for row in rows] == NAMES
    assert all(row.ok for row in rows)
    assert all(row.found_sha256 == row.sha256 for row in rows)
    assert all(row.found_length == row.length for row in rows)
    assert {(row.installed, row.installed_version) for row in rows} == {(None, None)}


def test_missing_and_changed_texts_are_told_apart(no_upstream, tmp_path):
    (tmp_path / NAMES[1]).write_bytes(b"changed")
    rows = {row.name: row for row in verify(str(tmp_path))}
    assert rows[NAMES[0]][1:] == (
        "missing",
        UPSTREAM.texts[0].length,
        UPSTREAM.texts[0].sha256,
        None,
        None,
        None,
        None,
    )
    changed = rows[NAMES[1]]
    assert not changed.ok
    assert (changed.status, changed.found_length) == ("mismatch", 7)
    assert changed.found_sha256 == sha256_hex(b"changed")


def test_installed_upstream_is_read_and_not_run(fake_upstream):
    module = fake_upstream / "mem0/configs/prompts.py"
    module.write_text("raise SystemExit('run')\nMEMORY_ANSWER_PROMPT = 'another text'\n")
    rows = {row.name: row for row in verify()}
    assert rows["MEMORY_ANSWER_PROMPT"].installed == "mismatch"
    assert rows["VISION_DESCRIPTION"].installed == "missing"
    assert rows["VISION_DESCRIPTION"].installed_version == "9.9"
    assert all(row.ok for row in rows.values())


@pytest.mark.parametrize("content", [b"def", b"\0", b"\xff"])
def test_installed_upstream_that_is_not_python_is_a_mismatch(fake_upstream, content):
    (fake_upstream / "mem0/configs/prompts.py").write_bytes(content)
    assert verify()[0].installed == "mismatch"


def test_installed_upstream_that_has_the_text_is_ok(fake_upstream):
    text = Path(DIRECTORY, "MEMORY_ANSWER_PROMPT").read_text("utf-8")
    (fake_upstream / "mem0/configs/prompts.py").write_text(f"X = {text!r}", "utf-8")
    assert {row.name: row.installed for row in verify()}["MEMORY_ANSWER_PROMPT"] == "ok"


@pytest.mark.oracle
def test_the_release_itself_agrees_in_every_text():
    pytest.importorskip("mem0.configs.prompts")
    assert {(row.installed, row.installed_version) for row in verify()} == {("ok", "2.0.4")}
