"""The power fails at any moment: what was not synced may be there, be gone, be torn, in any order.

A virtual disk notes every write. From a moment of its life it makes images as a real disk could
show them after the power came back, and every image must open and hold what was acknowledged.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import apsw
import pytest

from isomem import Memory
from tests.torture.operations import SCOPE
from tests.torture.storage import open_memory, scaled

SECTORS = (512, 4096)


class Disk(apsw.VFS):
    """Notes what is done to its files: (file, "write", offset, data), (file, "sync"), ..."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        super().__init__("noting", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> File:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path and not Path(path).exists():
            self.events.append((path, "truncate", 0))
        return File(self, path, name, flags)

    def xDelete(self, name: str, sync: bool) -> None:  # noqa: N802
        self.events.append((name, "delete"))
        super().xDelete(name, sync)


class File(apsw.VFSFile):
    def __init__(self, disk: Disk, path: str, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._path = path
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.events.append((self._path, "write", offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._disk.events.append((self._path, "truncate", size))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.events.append((self._path, "sync"))
        super().xSync(flags)


class Image:
    """One file as it may be on the disk: what is certain, and what was written since."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.exists = True
        self.is_new = True
        self.unsynced: list[tuple[Any, ...]] = []

    def note(self, kind: str, *rest: Any) -> None:
        if kind != "sync":
            self.unsynced.append((kind, *rest))
            return
        for each in self.unsynced:
            self.apply(*each)
        self.unsynced.clear()

    def delete_for_good(self) -> None:
        """The folder was synced."""
        if self.unsynced[-1:] == [("delete",)]:
            self.note("sync")

    def apply(self, kind: str, *rest: Any) -> None:
        self.exists = kind != "delete"
        if kind == "write":
            offset, data = rest
            self.content.extend(bytes(max(0, offset + len(data) - len(self.content))))
            self.content[offset : offset + len(data)] = data
        else:
            size = rest[0] if rest else 0
            del self.content[size:]
            self.content.extend(bytes(size - len(self.content)))

    def after_power_loss(self, chance: random.Random) -> bytes | None:
        """What is there: some of what was not synced, some of that torn, in some order."""
        left = [each for each in self.unsynced if chance.random() < chance.choice((0.2, 0.8, 1))]
        if chance.random() < 0.5:
            chance.shuffle(left)
        for each in left:
            if each[0] == "write" and chance.random() < 0.3:
                for piece in torn(*each[1:], chance):
                    self.apply("write", *piece)
            else:
                self.apply(*each)
        return bytes(self.content) if self.exists else None


def torn(offset: int, data: bytes, chance: random.Random) -> list[tuple[int, bytes]]:
    """Some sectors of a write."""
    size = chance.choice(SECTORS)
    first = size - offset % size
    cuts = [0, *range(first, len(data), size), len(data)]
    pieces = [(offset + a, data[a:b]) for a, b in pairwise(cuts) if a < b]
    return [piece for piece in pieces if chance.random() < 0.5]


def image_at(disk: Disk, moment: int, chance: random.Random, source: Path, folder: Path) -> Path:
    """The folder of files after a power loss just before the event number `moment`."""
    images: dict[str, Image] = {}
    for path, kind, *rest in disk.events[:moment]:
        image = images.setdefault(path, Image())
        image.note(kind, *rest)
        if kind == "sync" and image.is_new:
            # SQLite syncs the folder with the first sync of a log: what is deleted is gone then.
            image.is_new = False
            for each in images.values():
                each.delete_for_good()
    for path, image in images.items():
        content = image.after_power_loss(chance)
        if content is not None:
            (folder / Path(path).name).write_bytes(content)
    return folder / source.name


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.unregister()


class Work:
    """A memory at work; `done` has the number of events and all texts after each call."""

    def __init__(self, disk: Disk, path: Path, synchronous: str) -> None:
        self.done: list[tuple[int, set[str]]] = []
        self._disk = disk
        self._memory = open_memory(path, synchronous=synchronous)
        connection = self._memory.vector_store.database.connection  # type: ignore[attr-defined]
        connection.wal_autocheckpoint(15)
        self._note()

    def _note(self) -> None:
        everything = self._memory.get_all(filters=SCOPE, top_k=10_000)["results"]
        texts = {each["memory"] for each in everything}
        self.done.append((len(self._disk.events), texts))

    def add(self, number: int, chance: random.Random) -> None:
        said = [
            {
                "role": "user",
                "content": f"number {number} part {part} " + "x" * chance.randrange(3000),
            }
            for part in range(3)
        ]
        self._memory.add(said, infer=False, **SCOPE)
        self._note()

    def delete_one(self) -> None:
        found = self._memory.get_all(filters=SCOPE)["results"]
        self._memory.delete(found[0]["id"])
        self._note()

    def close(self) -> None:
        self._memory.close()


def texts_in(path: Path) -> set[str]:
    """Everything in a file, after it was checked that nothing in it is half there."""
    memory: Memory = open_memory(path)
    with memory:
        rows = memory.vector_store.database.rows  # type: ignore[attr-defined]
        assert rows("PRAGMA integrity_check") == [("ok",)]
        points = {name: json.loads(text)["data"] for name, text in
                  rows("SELECT id, payload FROM points")}  # fmt: skip
        history = rows("SELECT memory_id, event, new_memory FROM history")
        added = {name: text for name, event, text in history if event == "ADD"}
        deleted = {name for name, event, _ in history if event == "DELETE"}
        assert {name: added[name] for name in added.keys() - deleted} == points
        memory.add("works", infer=False, **SCOPE)
    return set(points.values())


@pytest.mark.parametrize("synchronous", ["full", "normal"])
def test_every_image_opens_and_holds_what_was_acknowledged(
    tmp_path: Path, disk: Disk, synchronous: str
) -> None:
    chance = random.Random(20240115)
    source = tmp_path / "source" / "memory.db"
    work = Work(disk, source, synchronous)
    for number in range(25):
        work.add(number, chance)
        if number % 4 == 3:
            work.delete_one()
    work.close()
    disk.unregister()
    states = [texts for _, texts in work.done]
    lost = 0
    for number in range(scaled(30, 3000)):
        moment = chance.randint(work.done[0][0], len(disk.events))
        folder = tmp_path / str(number)
        folder.mkdir()
        found = texts_in(image_at(disk, moment, chance, source, folder))
        acknowledged = sum(events <= moment for events, _ in work.done)
        # The call that was under way may be there too.
        assert found in states[: acknowledged + 1], f"image {number} at event {moment}"
        lost += found not in states[acknowledged - 1 :]
    # Without a sync for each call the last ones may be gone: this disk does lose things.
    assert (lost == 0) == (synchronous == "full")
