"""Many threads on one memory, and many processes on the same data where the engine takes them."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.stores.adapters import Adapter
from tests.stores.conftest import Open, say, texts

pytestmark = pytest.mark.filterwarnings("ignore")

THREADS = 4
CALLS = 12

CHILD = """
import sys
from pathlib import Path
from tests.stores.adapters import ADAPTERS
name, folder, user = sys.argv[1:]
adapter = next(each for each in ADAPTERS if each.name == name)
memory = adapter.open(Path(folder))
for n in range(5):
    memory.add(f"{user} note {n}", user_id=user, infer=False)
found = memory.get_all(filters={"user_id": user})["results"]
assert sorted(each["memory"] for each in found) == [f"{user} note {n}" for n in range(5)]
memory.close()
"""


def test_threads_lose_nothing_and_see_their_own_scope(memory: Any, adapter: Adapter) -> None:
    if not adapter.can.threads:
        pytest.skip("its class is not made for threads")

    def work(number: int) -> list[str]:
        user = f"user{number}"
        for n in range(CALLS):
            one = say(memory, f"{user} note {n}", user_id=user)
            found = texts(memory.search(f"note {n}", filters={"user_id": user}, threshold=0.0))
            assert all(each.startswith(user) for each in found)
            if n % 3 == 0:
                memory.update(one, f"{user} changed {n}")
            elif n % 3 == 1:
                memory.delete(one)
        return texts(memory.get_all(filters={"user_id": user}))

    with ThreadPoolExecutor(THREADS) as pool:
        left = [*pool.map(work, range(THREADS))]
    for number, found in enumerate(left):
        changed = {f"user{number} changed {n}" for n in range(0, CALLS, 3)}
        kept = {f"user{number} note {n}" for n in range(2, CALLS, 3)}
        assert {*found} == changed | kept


def test_processes_share_the_data_or_the_second_is_refused(
    open_memory: Open, adapter: Adapter, tmp_path: Path
) -> None:
    if adapter.equip is not None or adapter.name.endswith("-memory"):
        pytest.skip("the data is in one process alone")
    memory = open_memory()
    command = [sys.executable, "-W", "ignore", "-c", CHILD, adapter.name, str(tmp_path)]
    children = [
        subprocess.Popen([*command, f"user{n}"], stderr=subprocess.PIPE, text=True)
        for n in range(2)
    ]
    said = [child.communicate(timeout=120)[1] for child in children]
    if not adapter.can.processes:
        assert all("already" in each and "VectorStoreError" in each for each in said), said
        assert memory.scopes() == []
        return
    assert [child.returncode for child in children] == [0, 0], json.dumps(said)
    scopes = {each["user_id"]: each["memories"] for each in memory.scopes()}
    assert scopes == {"user0": 5, "user1": 5}
