"""PostgreSQL is killed in the middle of calls: of each all or nothing is stored, and what was
acknowledged is there once. Many processes on one database lose nothing and see no other scope."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from isomem import Memory
from isomem.errors import DatabaseError
from isomem.testing import ScriptedLLM
from tests.stores import server
from tests.torture.storage import SOURCE, scaled

pytestmark = pytest.mark.skipif(bool(server.missing()), reason=server.missing())

BACKENDS, SERVERS = (40, 900), (4, 1000)
"""How often the connections are ended, and how often the server or one of its processes is killed:
in the short form and the long."""
WHOLE = 0.25
"""How many of the kills are of the server with all its processes."""

FACTS = 3
LONGEST_S = 0.03
REST = {
    "embedder": {"provider": "mock", "config": {"embedding_dims": 32}},
    "llm": {"provider": "mock"},
}
KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'isomem'"

SOUND = {
    "a memory without an id": "SELECT count(*) FROM {0}.points AS p WHERE NOT EXISTS (SELECT 1"
    " FROM {0}.ids AS i WHERE (i.scope, i.seq, i.id) = (p.scope, p.seq, p.id))",
    "an id without a memory": "SELECT count(*) FROM {0}.ids AS i WHERE NOT EXISTS (SELECT 1"
    " FROM {0}.points AS p WHERE (i.scope, i.seq, i.id) = (p.scope, p.seq, p.id))",
    "a link without an entity": "SELECT count(*) FROM {0}.links AS l WHERE NOT EXISTS (SELECT 1"
    " FROM {0}.points AS p WHERE (l.scope, l.seq) = (p.scope, p.seq))",
    "a link without a memory": "SELECT count(*) FROM {0}.links AS l WHERE NOT EXISTS (SELECT 1"
    " FROM {0}.ids AS i WHERE i.id = l.memory_id)",
    "a scope without memories": "SELECT count(*) FROM {0}.scopes AS s WHERE NOT EXISTS (SELECT 1"
    " FROM {0}.points AS p WHERE p.scope = s.number)",
    "texts that are not counted": "SELECT (SELECT count(*) FROM {0}.points WHERE terms IS NOT NULL)"
    " - (SELECT coalesce(sum(documents), 0) FROM {0}.term_counts WHERE number = -1)",
}
"""What no database may have, each with how many of it there are."""


@pytest.fixture
def killed() -> Iterator[server.Server]:
    """A server that the test may kill."""
    made = server.Server()
    made.make("tests")
    yield made
    made.stop()


def opened(one: server.Server, **more: Any) -> Memory:
    config = {"dsn": one.dsn("tests"), "pool_max": 4, **more}
    return Memory.from_config({"vector_store": {"provider": "postgres", "config": config}, **REST})


def add(memory: Memory, number: int) -> bool:
    """Adds facts of its own by way of the model; whether that was acknowledged."""
    facts = [f"Ana Silva keeps note{number}x{fact} at home" for fact in range(FACTS)]
    memory.llm = ScriptedLLM([{"memory": [{"text": fact} for fact in facts]}])
    try:
        added = memory.add(f"said{number}", user_id="ana")["results"]
    except DatabaseError:
        return False
    assert len(added) == FACTS
    return True


def check(one: server.Server, schema: str, acknowledged: dict[int, bool]) -> Counter[str]:
    """Compares what is stored with what was acknowledged; how many calls ended in which way."""
    for what, sql in SOUND.items():
        assert one.do(sql.format(schema), "tests") == [(0,)], what
    sql = f"SELECT substring(new_memory from 'note([0-9]+)x'), count(*) FROM {schema}.history"
    events = dict(one.do(f"{sql} WHERE event = 'ADD' GROUP BY 1", "tests"))
    sql = f"SELECT substring(payload from 'note([0-9]+)x'), count(*) FROM {schema}.points"
    stored = dict(one.do(f"{sql} WHERE payload LIKE '%note%x%' GROUP BY 1", "tests"))
    ends = Counter[str]()
    for number, is_acknowledged in acknowledged.items():
        count = stored.get(str(number), 0)
        assert count == events.get(str(number), 0)
        assert count in ({FACTS} if is_acknowledged else {0, FACTS}), number
        ends["acknowledged" if is_acknowledged else "whole" if count else "nothing"] += 1
    assert sum(stored.values()) == FACTS * (ends["acknowledged"] + ends["whole"])
    return ends


@pytest.mark.parametrize("retry_s", [30.0, 0.0], ids=["retried", "reported"])
def test_a_lost_connection_leaves_a_whole_add_or_none(
    killed: server.Server, retry_s: float
) -> None:
    """Where it is retried, every add is acknowledged, once; where not, the caller is told."""
    import psycopg

    rounds, chance = scaled(*BACKENDS) // 2, random.Random(int(retry_s))
    memory = opened(killed, retry_s=retry_s)
    acknowledged: dict[int, bool] = {}
    with psycopg.connect(killed.dsn("postgres"), autocommit=True) as admin:
        for number in range(rounds):
            delay = chance.random() * LONGEST_S
            timer = threading.Timer(delay, lambda: admin.execute(KILL))
            timer.start()
            acknowledged[number] = add(memory, number)
            timer.join()
    ends = check(killed, "isomem", acknowledged)
    sys.stdout.write(f"\nkilled connections, retry_s={retry_s}: {dict(ends)}\n")
    if retry_s:
        assert ends == {"acknowledged": rounds}
    memory.close()


def test_a_killed_server_leaves_a_whole_add_or_none(killed: server.Server) -> None:
    """It starts again, and the call that was under way is done, once.

    Either everything is killed, or the process of one connection: the server then ends all others.
    """
    chance = random.Random(3)
    memory = opened(killed, retry_s=60.0)
    acknowledged: dict[int, bool] = {}
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            number = len(acknowledged)
            acknowledged[number] = add(memory, number)

    worker = threading.Thread(target=work)
    worker.start()
    kills = Counter[str]()
    rounds, began = scaled(*SERVERS), 0
    while kills.total() < rounds:
        while len(acknowledged) == began and worker.is_alive():  # It is up again.
            time.sleep(0.001)
        time.sleep(chance.random() * LONGEST_S)
        began = len(acknowledged)
        if not kills or chance.random() < WHOLE:
            killed.kill()
            killed.start()
            kills["servers"] += 1
        elif killed.kill_backend(chance):
            kills["backends"] += 1
    stop.set()
    worker.join(120)
    assert not worker.is_alive()
    ends = check(killed, "isomem", acknowledged)
    sys.stdout.write(f"\nkilled: {dict(kills)}; calls: {dict(ends)}\n")
    assert ends == {"acknowledged": len(acknowledged)}
    memory.close()


CHILD = """
import json, sys, time
from isomem import Memory
from isomem.testing import ScriptedLLM
config, user, until = json.loads(sys.argv[1]), sys.argv[2], time.monotonic() + float(sys.argv[3])
memory = Memory.from_config(config)
kept, n = set(), 0
while time.monotonic() < until:
    texts = [f"{user} likes thing{n}x{i} and Ana Silva" for i in range(2)]
    memory.llm = ScriptedLLM([{"memory": [{"text": each} for each in texts]}])
    added = memory.add(f"{user} said {n}", user_id=user)["results"]
    kept |= set(texts)
    if n % 3 == 0:
        memory.delete(added[0]["id"]); kept.remove(texts[0])
    elif n % 3 == 1:
        memory.update(added[0]["id"], f"{user} changed {n}")
        kept.remove(texts[0]); kept.add(f"{user} changed {n}")
    found = memory.search("likes Ana Silva", filters={"user_id": user}, threshold=0.0, top_k=50)
    assert all(each["memory"].startswith(user) for each in found["results"]), found
    memory.add(f"shared {user} {n}", user_id="shared", agent_id=user, infer=False)
    n += 1
listed = memory.get_all(filters={"user_id": user}, top_k=1_000_000)["results"]
assert {each["memory"] for each in listed} == kept, (len(listed), len(kept))
assert len(listed) == len(kept)
print(n)
"""


def test_eight_processes_lose_nothing_and_see_no_other_scope() -> None:
    """Each has a scope of its own, and all write to one scope that they share."""
    section = server.section()
    config = json.dumps({"vector_store": section, **REST})
    seconds = str(scaled(2, 60))
    children = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", CHILD, config, f"user{number}", seconds],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=SOURCE.parent,
            env={"PYTHONPATH": ":".join(sys.path)},
        )
        for number in range(8)
    ]  # fmt: skip
    said = [child.communicate(timeout=600) for child in children]
    assert [child.returncode for child in children] == [0] * 8, said
    schema = section["config"]["schema"]
    for what, sql in SOUND.items():
        assert server.shared().do(sql.format(schema), "tests") == [(0,)], what
    memory = Memory.from_config(json.loads(config))
    shared = memory.get_all(filters={"user_id": "shared"}, top_k=1_000_000)["results"]
    assert len(shared) == sum(int(out) for out, _ in said)
    assert len({each["memory"] for each in shared}) == len(shared)
    memory.close()
