"""Time in UTC, ids that are random UUIDs."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from isomem.clock import Clock


def test_now_is_utc_with_microseconds() -> None:
    before = datetime.now(timezone.utc)
    moment = datetime.fromisoformat(Clock().now())
    assert moment.utcoffset() == timedelta(0)
    assert timedelta(0) <= moment - before < timedelta(minutes=1)
    assert Clock().now().endswith("+00:00")


def test_today_is_the_date_in_utc() -> None:
    days = {datetime.now(timezone.utc).date().isoformat(), Clock().today()}
    days.add(datetime.now(timezone.utc).date().isoformat())
    assert Clock().today() in days


@pytest.mark.parametrize(("make", "version"), [(Clock().new_id, 4), (Clock().new_row_id, 7)])
def test_ids_are_random_uuids(make: Callable[[], str], version: int) -> None:
    made = {make() for _ in range(1000)}
    assert len(made) == 1000
    for text in made:
        read = uuid.UUID(text)
        assert (str(read), read.version, read.variant) == (text, version, uuid.RFC_4122)
    assert {text[19] for text in made} == set("89ab")


def test_ids_of_rows_begin_with_the_time() -> None:
    clock = Clock()
    before = time.time_ns()
    made = []
    for _ in range(20):
        made.append(clock.new_row_id())
        time.sleep(0.0005)
    assert made == sorted(made)
    milliseconds = uuid.UUID(made[0]).int >> 80
    assert 0 <= milliseconds - before // 1_000_000 < 60_000


def test_a_whole_second_is_written_without_a_fraction(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [1_700_000_000_000_000_000, 1_700_000_000_000_001_999, 1_700_000_001_999_999_999]
    instants = iter(moments)
    monkeypatch.setattr("isomem.clock.time_ns", lambda: next(instants))
    clock = Clock()
    for moment in moments:
        expected = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(
            microseconds=moment // 1000
        )
        assert clock.now() == expected.isoformat()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_gives_out_other_ids_than_its_parent() -> None:
    clock = Clock()
    clock.new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, clock.new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100).decode() != clock.new_id()
    os.close(reading)
    os.close(writing)


def test_threads_are_given_different_ids() -> None:
    clock = Clock()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: clock.new_id(), range(4000)))
    assert len(set(made)) == 4000
