"""The connection to PostgreSQL is cut at chosen places: each call is stored once, or says that it
is not, or that it does not know. The worst place is behind `COMMIT`: it is stored, and nobody has
heard of it."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from isomem import Memory
from isomem.errors import DatabaseError
from isomem.testing import ScriptedLLM
from tests.stores import server
from tests.stores.wire import Proxy
from tests.torture.storage import scaled
from tests.torture.test_postgres import REST, add, check

pytestmark = pytest.mark.skipif(bool(server.missing()), reason=server.missing())

ROUNDS = (15, 500)
COMMIT = b"\0COMMIT\0"
COMMITTED = b"\x0bCOMMIT\0"
CLAIMED = b"INSERT 0 1\0"
LARGEST = 30
"""So many parts of what goes to and fro in a call are looked at for a place to cut."""


class Knife:
    """Cuts once, when it has been told to."""

    def __init__(self) -> None:
        self.is_armed = False
        self.cuts = 0

    def __call__(self, is_client: bool, data: bytes) -> int | None:
        if not self.is_armed:
            return None
        after = self.after(is_client, data)
        if after is not None:
            self.is_armed = False
            self.cuts += 1
        return after

    def after(self, is_client: bool, data: bytes) -> int | None:
        """Behind how many bytes to cut."""
        raise NotImplementedError


class BehindCommit(Knife):
    """The server gets `COMMIT`, and its answer is lost."""

    def after(self, is_client: bool, data: bytes) -> int | None:
        return len(data) if is_client and COMMIT in data else None


class BeforeCommit(Knife):
    """The server gets everything but `COMMIT`."""

    def after(self, is_client: bool, data: bytes) -> int | None:
        return data.index(COMMIT) if is_client and COMMIT in data else None


class BeforeAnswer(Knife):
    """The server has committed, however long that took it, and its answer is lost."""

    def after(self, is_client: bool, data: bytes) -> int | None:
        return data.index(COMMITTED) if not is_client and COMMITTED in data else None


class Anywhere(Knife):
    """At a random byte of a random part, in either direction."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance
        self.parts = 0

    def after(self, is_client: bool, data: bytes) -> int | None:
        self.parts -= 1
        return self.chance.randrange(len(data) + 1) if self.parts <= 0 else None


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy(server.shared().folder)
    yield made
    made.close()


def opened(proxy: Proxy, **more: Any) -> tuple[Memory, str]:
    """A memory with a schema of its own, by way of the proxy."""
    section = server.section(**more)
    section["config"]["dsn"] = proxy.dsn("tests")
    return Memory.from_config({"vector_store": section, **REST}), section["config"]["schema"]


def adds(proxy: Proxy, knife: Knife, rounds: int, **more: Any) -> Counter[str]:
    """Adds facts, and cuts during each call; how the calls ended, compared with what is stored."""
    proxy.cut = knife
    memory, schema = opened(proxy, **more)
    acknowledged = {0: add(memory, 0)}
    for number in range(1, rounds + 1):
        if isinstance(knife, Anywhere):
            knife.parts = knife.chance.randrange(LARGEST)
        knife.is_armed = True
        acknowledged[number] = add(memory, number)
        knife.is_armed = False
    memory.close()
    return check(server.shared(), schema, acknowledged)


@pytest.mark.parametrize("kind", [BehindCommit, BeforeCommit])
def test_an_add_whose_commit_is_not_answered_is_stored_once(
    proxy: Proxy, kind: type[Knife]
) -> None:
    rounds, knife = scaled(*ROUNDS), kind()
    ends = adds(proxy, knife, rounds, retry_s=30.0)
    assert knife.cuts == rounds
    assert ends == {"acknowledged": rounds + 1}


def test_a_cut_at_any_place_leaves_every_add_stored_once(proxy: Proxy) -> None:
    rounds, knife = scaled(*ROUNDS), Anywhere(random.Random(1))
    ends = adds(proxy, knife, rounds, retry_s=30.0)
    sys.stdout.write(f"\n{knife.cuts} cuts in {rounds} calls\n")
    assert knife.cuts
    assert ends == {"acknowledged": rounds + 1}


def test_without_a_retry_the_caller_is_told_that_it_is_not_known(proxy: Proxy) -> None:
    """Whether it is stored cannot be told from the error, and is as it says: whole, or nothing."""
    knife = BehindCommit()
    proxy.cut = knife
    memory, _ = opened(proxy, retry_s=0.0)
    memory.add("tea", user_id="ana", infer=False)
    knife.is_armed = True
    with pytest.raises(DatabaseError, match="as a whole or not at all"):
        memory.add("coffee", user_id="ana", infer=False)
    knife = BeforeCommit()
    memory.llm = ScriptedLLM([{"memory": [{"text": "Ana likes milk"}]}])
    proxy.cut = knife
    knife.is_armed = True
    with pytest.raises(DatabaseError):
        memory.add("milk", user_id="ana")
    left = [each["memory"] for each in memory.get_all(filters={"user_id": "ana"})["results"]]
    assert sorted(left) in (["coffee", "tea"], ["tea"])
    memory.close()


class BehindClaim(Knife):
    """The server has said that a write is not stored yet, and hears nothing more."""

    def after(self, is_client: bool, data: bytes) -> int | None:
        return len(data) if not is_client and CLAIMED in data else None


def test_an_add_that_arrives_after_it_was_tried_again_is_stored_once(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first try is still under way when the second one is lost."""
    from isomem.stores.postgres.transactions import Transaction

    memory, _ = opened(proxy, retry_s=30.0, pool_max=1)
    memory.add("tea", user_id="ana", infer=False)
    claims, answers = Transaction.claims, list[bool]()

    def claimed(transaction: Transaction) -> bool:
        answers.append(claims(transaction))
        time.sleep(0.3)  # The connection is lost before anything more is sent.
        if len(answers) == 1:
            proxy.deliver()
            time.sleep(0.3)
        return answers[-1]

    monkeypatch.setattr(Transaction, "claims", claimed)
    knife = proxy.cut = BehindClaim()
    proxy.holds = knife.is_armed = True
    (added,) = memory.add("coffee", user_id="ana", infer=False)["results"]
    assert (len(proxy.held), knife.cuts, answers) == (1, 1, [True, False])
    stored = {
        each["id"]: each["memory"]
        for each in memory.get_all(filters={"user_id": "ana"})["results"]
        if each["memory"] != "tea"
    }
    assert stored == {added["id"]: "coffee"}
    memory.close()


@contextmanager
def late(schema: str, until: Callable[[], object]) -> Iterator[None]:
    """Writes to a scope wait in this block for `until`, which runs in a thread beside them."""
    import psycopg

    def end() -> None:
        until()
        lock.commit()

    thread = threading.Thread(target=end)
    with psycopg.connect(server.shared().dsn("tests")) as lock:
        lock.execute(f"SELECT number FROM {schema}.scopes FOR UPDATE".encode())
        thread.start()
        yield
        thread.join()


def lose_waiting(schema: str) -> None:
    """Ends the connection of a write that waits for a lock on a scope, as soon as there is one."""
    sql = (
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE NOT granted AND application_name = 'isomem' AND pid IN (SELECT pid FROM pg_locks"
        f" WHERE relation = '{schema}.scopes'::regclass)"
    )
    deadline = time.monotonic() + 30
    while not server.shared().do(sql, "tests"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("is_in_doubt", [True, False])
def test_a_call_whose_connection_is_lost_late_still_has_the_time_to_try_again(
    proxy: Proxy, is_in_doubt: bool
) -> None:
    """What it has waited for before does not count."""
    proxy.cut = knife = BeforeAnswer()
    memory, schema = opened(proxy, retry_s=0.5)
    memory.add("tea", user_id="ana", infer=False)

    def until() -> None:
        time.sleep(1)
        if is_in_doubt:
            knife.is_armed = True
        else:
            lose_waiting(schema)

    with late(schema, until):
        memory.add("coffee", user_id="ana", infer=False)
    assert knife.cuts == is_in_doubt
    left = [each["memory"] for each in memory.get_all(filters={"user_id": "ana"})["results"]]
    assert sorted(left) == ["coffee", "tea"]
    memory.close()


@pytest.mark.parametrize("is_reachable", [True, False])
def test_a_call_that_is_in_doubt_asks_at_least_once(proxy: Proxy, is_reachable: bool) -> None:
    """A doubt that comes when there is no time left, after an earlier loss, is settled, too."""
    proxy.cut = knife = BeforeAnswer()
    memory, schema = opened(proxy, retry_s=0.5, connect_timeout_s=0.5, pool_max=1)
    memory.add("tea", user_id="ana", infer=False)

    def until() -> None:
        lose_waiting(schema)
        time.sleep(1)
        if not is_reachable:
            proxy.close()
        knife.is_armed = True

    outcome = "stored"
    with late(schema, until):
        try:
            memory.add("coffee", user_id="ana", infer=False)
        except DatabaseError as error:
            outcome = error.message
    assert knife.cuts == 1
    assert ("as a whole or not at all" in outcome) == (not is_reachable)
    with Memory.from_config({"vector_store": server.section(schema), **REST}) as other:
        left = [each["memory"] for each in other.get_all(filters={"user_id": "ana"})["results"]]
    assert sorted(left) == ["coffee", "tea"]
    memory.close()


def test_a_call_is_not_tried_forever_if_every_commit_is_lost(proxy: Proxy) -> None:
    memory, _ = opened(proxy, retry_s=0.5)
    memory.add("tea", user_id="ana", infer=False)
    knife = BeforeCommit()
    proxy.cut = knife.after
    with pytest.raises(DatabaseError, match="as a whole or not at all"):
        memory.add("coffee", user_id="ana", infer=False)
    proxy.cut = None
    left = [each["memory"] for each in memory.get_all(filters={"user_id": "ana"})["results"]]
    assert left == ["tea"]
    memory.close()


def test_a_cut_while_it_is_changed_or_removed_does_it_once(proxy: Proxy) -> None:
    knife = BehindCommit()
    proxy.cut = knife
    memory, schema = opened(proxy, retry_s=30.0)
    ids = [
        memory.add(f"note {n}", user_id="ana", infer=False)["results"][0]["id"] for n in range(4)
    ]
    for number, one in enumerate(ids):
        knife.is_armed = True
        memory.update(one, f"changed {number}")
        assert [each["event"] for each in memory.history(one)] == ["ADD", "UPDATE"]
        knife.is_armed = True
        memory.delete(one)
        assert [each["event"] for each in memory.history(one)] == ["ADD", "UPDATE", "DELETE"]
    assert knife.cuts == 2 * len(ids)
    assert memory.get_all(filters={"user_id": "ana"})["results"] == []
    rows = server.shared().do(f"SELECT count(*) FROM {schema}.commits", "tests")[0][0]
    assert rows <= 1 + 2 * len(ids)
    memory.close()


def test_tokens_do_not_pile_up(proxy: Proxy) -> None:
    """The next write removes those of the writes that are done."""
    memory, schema = opened(proxy, keyword_search=False)
    for number in range(20):
        memory.add(f"note {number}", user_id="ana", infer=False)
    assert server.shared().do(f"SELECT count(*) FROM {schema}.commits", "tests") == [(1,)]
    memory.close()


def test_tokens_do_not_pile_up_if_writes_fail(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that fails gives back those that it was to remove."""
    memory, schema = opened(proxy, keyword_search=False)

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    for number in range(5):
        memory.add(f"note {number}", user_id="ana", infer=False)
        with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
            patch.setattr(memory.db, "put", broken)
            memory.add("broken", user_id="ana", infer=False)
    memory.add("the last note", user_id="ana", infer=False)
    assert server.shared().do(f"SELECT count(*) FROM {schema}.commits", "tests") == [(1,)]
    memory.close()


@pytest.mark.parametrize("kind", [BehindCommit, BeforeCommit])
@pytest.mark.parametrize("retry_s", [30.0, 0.0])
def test_tokens_do_not_pile_up_if_commits_are_not_answered(
    proxy: Proxy, kind: type[Knife], retry_s: float
) -> None:
    proxy.cut = knife = kind()
    memory, schema = opened(proxy, keyword_search=False, retry_s=retry_s)
    sql = f"SELECT count(*) FROM {schema}.commits"
    for number in range(5):
        memory.add(f"note {number}", user_id="ana", infer=False)
        knife.is_armed = True
        with nullcontext() if retry_s else pytest.raises(DatabaseError, match="not at all"):
            memory.add(f"cut {number}", user_id="ana", infer=False)
        time.sleep(0.1)  # The server may still be at what it was told last.
    memory.add("the last note", user_id="ana", infer=False)
    assert server.shared().do(sql, "tests") == [(1,)]
    memory.close()


def test_the_tokens_of_dead_processes_are_removed_after_a_day(proxy: Proxy) -> None:
    memory, schema = opened(proxy)
    memory.close()
    server.shared().do(
        f"INSERT INTO {schema}.commits SELECT gen_random_uuid(), now() - make_interval(hours => n)"
        " FROM unnest(ARRAY[1, 23, 25, 1000]) AS n",
        "tests",
    )
    section = server.section(schema)
    again = Memory.from_config({"vector_store": section, **REST})
    again.add("tea", user_id="ana", infer=False)
    again.close()
    sql = f"SELECT date_part('day', now() - at) >= 1, count(*) FROM {schema}.commits GROUP BY 1"
    [(is_old, left)] = server.shared().do(sql, "tests")
    assert not is_old
    assert left >= 2


def test_read_calls_go_on_after_a_cut(proxy: Proxy) -> None:
    knife = Anywhere(random.Random(2))
    proxy.cut = knife
    memory, _ = opened(proxy, retry_s=30.0)
    for text in ("green tea", "black tea"):
        memory.add(text, user_id="ana", infer=False)
    for _ in range(scaled(20, 300)):
        knife.parts, knife.is_armed = knife.chance.randrange(6), True
        found = memory.search("tea", filters={"user_id": "ana"}, threshold=0.0)["results"]
        assert {each["memory"] for each in found} == {"green tea", "black tea"}
        listed = memory.get_all(filters={"user_id": "ana"})["results"]
        assert len(listed) == 2
    assert knife.cuts
    memory.close()
