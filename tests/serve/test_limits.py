"""What one call may read, what it counts as, and that a limit holds over all processes."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi")
from isomem.contract.visibility import SUPERSEDED_AT, SUPERSEDED_BY
from isomem.serve.grants import Grant
from isomem.serve.keys import Key, open_file
from isomem.serve.limits import Buckets, RateLimits, SharedBuckets
from isomem.serve.problems import Problem
from tests.serve.service import Client, Served, serving

MOST = 30


def key(most: int) -> Key:
    return Key("k", "", b"", (), (Grant({}),), rate_per_minute=most)


def is_let(limits: RateLimits, caller: Key) -> bool:
    try:
        limits.take(caller)
    except Problem:
        return False
    return True


# --- How often -------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(st.integers(1, 50), st.lists(st.tuples(st.floats(0, 20), st.integers(0, 9)), max_size=60))
def test_processes_together_let_through_what_one_would(
    tmp_path: Path, most: int, steps: list[tuple[float, int]]
) -> None:
    """Calls and charges, with pauses, that come to one process or another."""
    now = [1000.0]
    path = tmp_path / "limits"
    path.unlink(missing_ok=True)
    alone = RateLimits(1, lambda: now[0], Buckets())
    shared = [RateLimits(1, lambda: now[0], SharedBuckets(str(path))) for _ in range(2)]
    caller = key(most)
    try:
        for pause, drawn in steps:
            now[0] += pause
            one = shared[drawn % 2]
            if drawn > 7:
                alone.charge(caller, drawn)
                one.charge(caller, drawn)
            else:
                assert is_let(one, caller) == is_let(alone, caller)
    finally:
        for one in shared:
            one.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(
    st.integers(600, 100_000),
    st.lists(st.tuples(st.floats(0, 3), st.integers(0, 2), st.integers(1, 3)), max_size=12),
)
def test_processes_with_tokens_in_advance_let_through_about_what_one_would(
    tmp_path: Path, most: int, steps: list[tuple[float, int, int]]
) -> None:
    """Pauses, and runs of calls that come to one of three processes."""
    now, path = [1000.0], tmp_path / "limits"
    path.unlink(missing_ok=True)
    alone = RateLimits(1, lambda: now[0], Buckets())
    shared = [RateLimits(1, lambda: now[0], SharedBuckets(str(path))) for _ in range(3)]
    caller, lease = key(most), most // 600
    let = {"alone": most - 10 * lease, "shared": most - 10 * lease}
    alone.charge(caller, most - 10 * lease)
    shared[0].charge(caller, most - 10 * lease)
    try:
        for pause, number, leases in steps:
            now[0] += pause
            for _ in range(leases * lease):
                let["alone"] += is_let(alone, caller)
                let["shared"] += is_let(shared[number], caller)
            assert let["shared"] <= let["alone"] + 3 * lease
            # Each may hold a lease, and lose one in each pause.
            assert let["shared"] >= let["alone"] - 3 * lease * (1 + len(steps)) - 1
    finally:
        for one in shared:
            one.close()


def test_a_process_seldom_needs_a_turn(tmp_path: Path) -> None:
    now, most = [0.0], 60_000
    buckets = SharedBuckets(str(tmp_path / "limits"))
    other = RateLimits(1, lambda: now[0], SharedBuckets(str(tmp_path / "limits")))
    turns: list[str] = []
    buckets._file.exec_trace = lambda _, sql, __: sql != "BEGIN IMMEDIATE" or not turns.append(sql)
    limits, caller = RateLimits(1, lambda: now[0], buckets), key(most)
    assert all(is_let(limits, caller) for _ in range(1000))
    assert len(turns) == 10
    assert sum(is_let(other, caller) for _ in range(most)) == most - 1000
    assert not is_let(limits, caller)
    now[0] += 60
    assert is_let(limits, caller)
    now[0] += 2
    turns.clear()
    assert is_let(limits, caller)
    assert turns  # The rest of the lease was given up.
    limits.close()
    other.close()


def test_a_process_that_is_refused_asks_again_when_there_can_be_a_token(tmp_path: Path) -> None:
    now = [0.0]
    buckets = SharedBuckets(str(tmp_path / "limits"))
    limits, caller = RateLimits(1, lambda: now[0], buckets), key(60)
    assert sum(is_let(limits, caller) for _ in range(100)) == 60
    turns: list[str] = []
    buckets._file.exec_trace = lambda _, sql, __: not turns.append(sql)
    for now[0] in (0.1, 0.5, 0.9):
        assert not is_let(limits, caller)
    assert not turns
    now[0] = 1.1
    assert is_let(limits, caller)
    assert not is_let(limits, caller)
    limits.close()


def test_calls_that_passed_without_a_turn_are_counted_at_the_next(tmp_path: Path) -> None:
    import apsw

    now, path = [0.0], str(tmp_path / "limits")
    limits, caller = RateLimits(1, lambda: now[0], SharedBuckets(path)), key(10)
    other = apsw.Connection(path)
    other.execute("BEGIN IMMEDIATE")
    assert all(is_let(limits, caller) for _ in range(4))
    limits.charge(caller, 5)
    other.execute("ROLLBACK")
    assert is_let(limits, caller)
    other.execute("BEGIN IMMEDIATE")
    assert is_let(limits, caller)  # Nothing is known yet: that was the last token.
    other.execute("ROLLBACK")
    assert not is_let(limits, caller)
    other.execute("BEGIN IMMEDIATE")
    assert not is_let(limits, caller)
    other.close()
    limits.close()


@pytest.mark.parametrize("opened", [SharedBuckets, open_file])
def test_a_file_that_another_process_is_making_is_waited_for(
    tmp_path: Path, opened: Callable[[str], Any]
) -> None:
    path = str(tmp_path / "file")
    other = apsw.Connection(path)
    other.execute("BEGIN IMMEDIATE; CREATE TABLE made (at)")  # Not by way of a log yet.
    done = threading.Timer(0.2, other.execute, ["COMMIT"])
    done.start()
    opened(path).close()
    done.join()
    other.close()


def hammer(path: str, barrier: Any, let: Any) -> None:
    barrier.wait(60)
    limits, caller = RateLimits(1, buckets=SharedBuckets(path)), key(600)
    let.put(sum(is_let(limits, caller) for _ in range(20_000)))
    limits.close()


def test_processes_that_start_at_once_and_are_flooded_keep_to_the_limit(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, let = context.Barrier(7), context.Queue()
    processes = [
        context.Process(target=hammer, args=(str(tmp_path / "limits"), barrier, let))
        for _ in range(6)
    ]
    for each in processes:
        each.start()
    barrier.wait(60)
    started = time.monotonic()
    passed = sum(let.get(timeout=120) for _ in processes)
    took_s = time.monotonic() - started
    for each in processes:
        each.join()
        assert each.exitcode == 0
    # One that does not get its turn lets calls pass as long as it knows nothing.
    assert 600 <= passed <= 700 + took_s * 10


@pytest.mark.parametrize("shared", [False, True])
def test_what_was_charged_is_waited_for(tmp_path: Path, *, shared: bool) -> None:
    now = [0.0]
    buckets = SharedBuckets(str(tmp_path / "limits")) if shared else Buckets()
    limits, caller = RateLimits(60, lambda: now[0], buckets), key(60)
    assert is_let(limits, caller)
    limits.charge(caller, 100)
    with pytest.raises(Problem) as refused:
        limits.take(caller)
    assert refused.value.headers["Retry-After"] == "43"
    now[0] += 43
    assert is_let(limits, caller)
    limits.close()


def test_a_charge_takes_what_was_taken_in_advance(tmp_path: Path) -> None:
    limits, caller = (
        RateLimits(1, lambda: 0.0, SharedBuckets(str(tmp_path / "limits"))),
        key(60_000),
    )
    assert is_let(limits, caller)
    limits.charge(caller, 59_998)
    assert is_let(limits, caller)
    assert not is_let(limits, caller)
    limits.close()


def test_who_does_not_get_a_turn_passes(tmp_path: Path) -> None:
    import apsw

    path = str(tmp_path / "limits")
    limits = RateLimits(1, buckets=SharedBuckets(path))
    other = apsw.Connection(path)
    other.execute("BEGIN IMMEDIATE")
    assert all(is_let(limits, key(1)) for _ in range(3))
    other.execute("ROLLBACK")
    assert not is_let(limits, key(1))
    other.close()
    limits.close()


def test_what_was_done_is_not_denied_because_it_cannot_be_counted(tmp_path: Path) -> None:
    """It is counted as soon as it can be."""
    path = str(tmp_path / "limits.sqlite")
    buckets, other = SharedBuckets(path), apsw.Connection(path)
    [(made,)] = other.execute("SELECT sql FROM sqlite_master WHERE name = 'buckets'")
    other.execute("DROP TABLE buckets")
    buckets.charge("k", 60, 0.0, 20)
    other.execute(made)
    buckets.charge("k", 60, 0.0, 10)
    assert buckets._get("k") == (30.0, 0.0)
    buckets.close()
    other.close()


# --- How much --------------------------------------------------------------------------------


@pytest.fixture
def served() -> Iterator[Served]:
    with serving({"serve": {"max_memories": MOST}}) as served:
        yield served


def fill(served: Served, memories: int) -> None:
    async def add() -> None:
        for number in range(memories):
            await served.service.memory.add(f"tea {number}", user_id="ana", infer=False)

    served.run(add())


def charged(served: Served, client: Client) -> float:
    """How many calls a key has used of those that it may make."""
    buckets: Any = served.app.state.limits._buckets
    key_id = client.headers["X-API-Key"].split("_")[1]
    most = served.service.settings.rate_per_minute
    return most - float(buckets._filled[key_id][0])


ANA = {"filters": {"user_id": "ana"}}
READS: dict[str, tuple[str, Any]] = {
    "get_all": ("/api/get_all", {**ANA, "top_k": 1_000_000}),
    "search": ("/api/search", {**ANA, "query": "tea", "threshold": 0, "top_k": 1_000_000}),
    "search of mem0": ("/search", {"query": "tea", "threshold": 0, "top_k": 99, "user_id": "ana"}),
    "export": ("/v1/exports/get/", ANA),
    "a page": ("/v3/memories/?page=4&page_size=10", ANA),
    "a far page": ("/v3/memories/?page=1000000000&page_size=1", ANA),
}


@pytest.mark.parametrize("name", READS)
def test_more_than_one_call_may_read_is_refused_and_said(served: Served, name: str) -> None:
    client, (path, body) = served.key(), READS[name]
    fill(served, MOST + 1)
    refused = client.post(path, body)
    assert (refused.status_code, refused.json()["code"]) == (413, "LIMIT_003"), refused.text
    assert f"{MOST} memories" in refused.json()["detail"]
    assert "next_cursor" in refused.json()["suggestion"]
    if name != "a far page":
        served.run(served.service.memory.delete_all(user_id="ana"))
        fill(served, MOST)
        assert client.post(path, body).status_code == (413 if name == "a page" else 200)


def test_what_is_added_is_not_limited_by_what_may_be_read(served: Served) -> None:
    """It would be reported as failed, although it is stored."""
    messages = [{"role": "user", "content": f"tea {number}"} for number in range(MOST + 1)]
    body = {"messages": messages, "user_id": "ana", "infer": False}
    added = served.key().post("/api/add", body)
    assert added.status_code == 200, added.text
    assert len(added.json()["results"]) == MOST + 1


def test_pages_with_cursors_lead_through_everything(served: Served) -> None:
    client = served.key()
    fill(served, 2 * MOST)
    found: list[str] = []
    page: Any = {"next_cursor": None}
    while not found or page["next_cursor"]:
        body = {**ANA, "page_size": 20, "cursor": page["next_cursor"]}
        page = client.post("/api/get_all", body).json()
        found += [each["memory"] for each in page["results"]]
    assert len({*found}) == len(found) == 2 * MOST


@pytest.mark.parametrize("size", [1, 7, 10, 30])
def test_pages_with_numbers_have_every_memory_once(served: Served, size: int) -> None:
    client, found = served.key(), []
    fill(served, 29)
    for number in range(1, 30 // size + 1):
        page = client.post(f"/v3/memories/?page={number}&page_size={size}", ANA).json()
        assert page["count"] == 29
        assert (page["next"] is None) == (number * size >= 29)
        found += [each["memory"] for each in page["results"]]
    behind = client.post(f"/v3/memories/?page={30 // size}&page_size={size}&x=1", ANA).json()
    assert behind["count"] == 29
    assert len({*found}) == len(found) == min(29, 30 // size * size)


def test_what_is_read_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    from isomem.serve import callers

    monkeypatch.setattr(callers, "READ_PER_CALL", 10)
    # No time passes, so that nothing is filled up.
    with serving({"serve": {"rate_per_minute": 1000}}) as served:
        served.app.state.limits._now = lambda: 1.0
        fill(served, 45)
        costs = []
        batch = {"memories": [{"memory_id": "x"}] * 1}
        for path, body in (
            ("/api/count", ANA),
            ("/api/get_all", {**ANA, "top_k": 10}),
            ("/api/get_all", {**ANA, "top_k": 11}),
            ("/api/get_all", {**ANA, "top_k": 45}),
            ("/v1/exports/get/", ANA),
            ("/v3/memories/?page=1&page_size=10", ANA),
            ("/v3/memories/?page=4&page_size=10", ANA),
        ):
            client = served.key()
            assert client.post(path, body).status_code == 200, path
            costs.append(charged(served, client))
        assert costs == [1, 1, 2, 5, 5, 1, 2]
        client = served.key()
        assert client.request("DELETE", "/v1/batch/", json=batch).status_code == 404
        assert charged(served, client) == 1
        ids = [each["id"] for each in client.post("/api/get_all", ANA).json()["results"]]
        batch = {"memories": [{"memory_id": each} for each in ids[:7]]}
        client = served.key()
        assert client.request("DELETE", "/v1/batch/", json=batch).status_code == 200
        assert charged(served, client) == 7


def test_what_a_memory_has_superseded_is_deleted_without_reading_the_scope() -> None:
    with serving({"serve": {"max_memories": 5}}) as served:
        client = served.key()
        fill(served, 20)
        everything = served.run(served.service.memory.get_all(filters={"user_id": "ana"}))
        newest, middle, oldest, *rest = (each["id"] for each in everything["results"])

        async def supersede() -> None:
            for old, new in ((oldest, middle), (middle, newest)):
                point = served.service.memory.vector_store.get(vector_id=old)
                assert point is not None
                marks = {SUPERSEDED_BY: new, SUPERSEDED_AT: "2026-05-07T00:00:00+00:00"}
                payload = {**(point.payload or {}), **marks}
                served.service.memory.vector_store.update(vector_id=old, payload=payload)

        served.run(supersede())
        done = client.delete(f"/v1/memories/{newest}/?delete_linked=true")
        assert done.status_code == 200, done.text
        left = served.run(served.service.memory.get_all(filters={"user_id": "ana"}, top_k=99))
        assert {each["id"] for each in left["results"]} == {*rest}
