"""An export replaces no file, and two at the same time are not mixed up."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isomem import ValidationError
from isomem.moving import export as module
from isomem.moving.export import export
from tests.stores.adapters import ADAPTERS
from tests.stores.conftest import say

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def ana(tmp_path: Path) -> Iterator[Any]:
    yield from opened(tmp_path / "ana", "Ana likes tea")


@pytest.fixture
def bob(tmp_path: Path) -> Iterator[Any]:
    yield from opened(tmp_path / "bob", "Bob likes coffee")


def opened(folder: Path, text: str) -> Iterator[Any]:
    folder.mkdir()
    memory = ADAPTERS[0].open(folder)
    for number in range(20):
        say(memory, f"{text} {number}")
    yield memory
    memory.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "all.jsonl"


@pytest.fixture
def part(file: Path) -> Path:
    return Path(f"{file}.part")


def whole(memory: Any, folder: Path) -> bytes:
    """What an export of a memory is that nobody disturbs."""
    other = folder / "undisturbed.jsonl"
    export(memory, str(other))
    text = other.read_bytes()
    other.unlink()
    return text


def refused(memory: Any, file: Path, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as caught:
        export(memory, str(file))
    assert caught.value.error_code == "MOVE_003"


def once_after(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, act: Any) -> None:
    """Does something after the next call of a function has returned."""
    call = getattr(where, name)

    def wrapped(*args: Any, **more: Any) -> Any:
        result = call(*args, **more)
        if getattr(where, name) is wrapped:
            monkeypatch.setattr(where, name, call)
            act()
        return result

    monkeypatch.setattr(where, name, wrapped)


def test_a_file_system_without_locks_has_exports_all_the_same(
    ana: Any, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", fail)
    export(ana, str(file))
    assert file.read_bytes() == whole(ana, tmp_path)


def test_where_an_open_file_has_to_keep_its_name_it_is_closed_before(
    ana: Any, file: Path, part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole(ana, tmp_path)
    closed, publish = list[bool](), module._publish

    def noted(unfinished: str, path: str) -> None:
        files = {each.resolve() for each in Path("/proc/self/fd").iterdir()}
        closed.append(Path(unfinished).resolve() not in files)
        publish(unfinished, path)

    monkeypatch.setattr(module, "_MAY_RENAME_OPEN", False)
    monkeypatch.setattr(module, "_publish", noted)
    export(ana, str(file))
    assert closed == [True]
    assert file.read_bytes() == expected
    assert not part.exists()


@pytest.mark.parametrize("moment", ["_so_far", "records_of"])
def test_while_an_export_is_written_another_one_is_refused(
    ana: Any, bob: Any, file: Path, part: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    expected = whole(ana, file.parent)
    part.write_bytes(expected[: len(expected) // 2])
    once_after(monkeypatch, module, moment, lambda: refused(bob, file, "another export"))
    export(ana, str(file))
    assert file.read_bytes() == expected
    assert not part.exists()


def test_an_export_that_ends_while_another_one_begins_stays_as_it_is(
    ana: Any, bob: Any, file: Path, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole(ana, file.parent)
    once_after(monkeypatch, os, "open", lambda: export(ana, str(file)))
    refused(bob, file, "another export")
    refused(bob, file, "already exists")
    assert file.read_bytes() == expected
    file.unlink()
    export(bob, str(file))
    assert file.read_bytes() == whole(bob, file.parent)
    assert not part.exists()


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_that_appears_during_an_export_is_not_replaced(
    ana: Any, file: Path, part: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    def link(*_: object) -> None:
        raise PermissionError("a file system without hard links")

    if not has_links:
        monkeypatch.setattr(os, "link", link)
    once_after(monkeypatch, module, "records_of", lambda: file.write_text("kept"))
    refused(ana, file, "already exists")
    assert file.read_text() == "kept"
    file.unlink()
    export(ana, str(file))
    assert file.read_bytes() == whole(ana, file.parent)
    assert not part.exists()


def test_an_export_whose_other_name_was_left_behind_stays_as_it_is(
    ana: Any, bob: Any, file: Path, part: Path
) -> None:
    """As after a power failure in the moment between the two names."""
    export(ana, str(file))
    expected = file.read_bytes()
    os.link(file, part)
    kept = file.rename(file.with_name("kept.jsonl"))
    export(bob, str(file))
    assert kept.read_bytes() == expected
    assert file.read_bytes() == whole(bob, file.parent)
