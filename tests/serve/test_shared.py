"""The folder of the workers: each service has its own, and those of dead services are removed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from isomem.serve import shared
from isomem.serve.shared import COUNTS, hold, remove_leftovers, shared_folder
from tests.serve.services import Running, environment

pytest.importorskip("fcntl")

LONGEST_S = 30
HOLDER = """
import sys
from isomem.serve.shared import shared_folder
with shared_folder(sys.argv[1]) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""
"""A service, as far as its folder goes."""


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "service.db")


@pytest.fixture(autouse=True)
def _no_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(COUNTS, raising=False)


def folders(state: str) -> set[str]:
    return {str(each) for each in Path(state).parent.glob("service.db-workers-*")}


class Holder:
    """A process that has a folder."""

    def __init__(self, state: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, state], env=environment(Path(state).parent),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.folder = self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate("", timeout=LONGEST_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=LONGEST_S)


@pytest.fixture
def holder(state: str) -> Iterator[Holder]:
    holder = Holder(state)
    yield holder
    if holder.process.poll() is None:
        holder.end()


def test_only_its_owner_can_look_into_it_and_it_is_gone_at_the_end(state: str) -> None:
    with shared_folder(state) as folder:
        assert os.environ[COUNTS] == folder
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
        assert folders(state) == {folder}
    assert COUNTS not in os.environ
    assert folders(state) == set()


def test_processes_with_the_same_number_do_not_meet(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two containers on one volume, each of which has a process 7."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    with shared_folder(state) as one, shared_folder(state) as other:
        assert one != other
        assert folders(state) == {one, other}


def test_a_folder_in_use_is_left_alone_whoever_has_the_number_of_its_process(
    state: str, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To this container, no process of the other one is there."""

    def nobody(pid: int, number: int) -> None:
        raise ProcessLookupError(pid, number)

    monkeypatch.setattr(os, "kill", nobody)
    with shared_folder(state) as own:
        assert folders(state) == {own, holder.folder}


def test_what_a_killed_service_leaves_is_removed_by_the_next(state: str, holder: Holder) -> None:
    Path(holder.folder, "limits.sqlite").write_text("tokens")
    holder.kill()
    assert folders(state) == {holder.folder}
    with shared_folder(state) as own:
        assert folders(state) == {own}


def test_a_worker_that_outlives_its_service_keeps_the_folder(state: str, holder: Holder) -> None:
    lock = hold(holder.folder)
    holder.kill()
    remove_leftovers(state)
    assert folders(state) == {holder.folder}
    os.close(lock)
    remove_leftovers(state)
    assert folders(state) == set()


def test_what_was_made_but_not_begun_is_removed(state: str) -> None:
    """Somebody died right after making the folder."""
    Path(f"{state}-workers-abc").mkdir()
    remove_leftovers(state)
    assert folders(state) == set()


def test_a_new_folder_that_another_service_takes_for_a_leftover_is_made_again(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, real = [], shared.mkdtemp

    def interrupted(*args: str, **named: str) -> str:
        folder = real(*args, **named)
        made.append(folder)
        if len(made) == 1:
            remove_leftovers(state)
        return folder

    monkeypatch.setattr(shared, "mkdtemp", interrupted)
    with shared_folder(state) as folder:
        assert made[1:] == [folder]
        assert folders(state) == {folder}


def test_many_services_that_start_at_once_all_get_one(state: str) -> None:
    starting, failed = threading.Barrier(8), []

    def start() -> None:
        starting.wait()
        for _ in range(20):
            folder, lock = shared._made(state)
            remove_leftovers(state)
            if not Path(folder).exists():
                failed.append(folder)
            os.close(lock)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failed
    remove_leftovers(state)
    assert folders(state) == set()


@pytest.mark.slow
def test_two_services_on_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    state = str(tmp_path / "memory" / "service.db")
    with (
        Running(tmp_path, "--workers", "2") as first,
        Running(tmp_path, "--workers", "2", key=first.key) as second,
    ):
        assert len(folders(state)) == 2
        for number, each in enumerate((first, second)):
            assert each.call("add", messages=f"m{number}", user_id="a", infer=False).is_success
        first.kill()
        assert second.texts(user_id="a") == ["m0", "m1"]
        remove_leftovers(state)
        assert len(folders(state)) == 1, "that of the killed one was left"
        assert second.texts(user_id="a") == ["m0", "m1"]
    assert folders(state) == set()
