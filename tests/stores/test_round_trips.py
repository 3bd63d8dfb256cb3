"""How often a call reaches the server: a number that must not creep up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from bench.workers import kit
from isomem import Memory
from isomem.config import store_table
from isomem.options import defaults_of
from isomem.testing import ScriptedLLM
from tests.stores import server
from tests.stores.wire import Proxy, turns_of

pytestmark = [
    pytest.mark.skipif(bool(server.without_pgvector()), reason=server.without_pgvector()),
    pytest.mark.filterwarnings("ignore"),
]

ANA = {"user_id": "ana"}
REST = {
    "embedder": {"provider": "mock", "config": {"embedding_dims": 32}},
    "llm": {"provider": "mock"},
}
WARM = 6
FACTS = [f"Ana Silva met Tom Berg in town {number}" for number in range(10)]

MOST = {
    "postgres": {
        "raw add": 1, "raw add again": 1, "add of 10 facts": 3, "the same facts again": 3,
        "search": 2, "search without entities": 1, "search with a filter": 2,
        "search in a new scope": 2, "get": 1, "get_all": 1, "history": 1, "update": 4, "delete": 3,
    },
    "postgres with hnsw": {
        "raw add": 1, "raw add again": 1, "add of 10 facts": 3, "the same facts again": 3,
        "search": 2, "search without entities": 1, "search with a filter": 2,
        "search in a new scope": 3, "get": 1, "get_all": 1, "history": 1, "update": 4, "delete": 3,
    },
    "pgvector": {
        "raw add": 1, "raw add again": 1, "add of 10 facts": 4, "the same facts again": 4,
        "search": 2, "search without entities": 1, "search with a filter": 2,
        "search in a new scope": 2, "get": 1, "get_all": 1, "history": 0, "update": 7, "delete": 4,
    },
}  # fmt: skip
"""The round trips of each call, when its connection and what it knows of the scope are warm."""


@pytest.fixture(autouse=True)
def without_folding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which write folds the counts of keywords is left to chance."""
    from isomem.stores.postgres import keywords

    monkeypatch.setattr(keywords, "FOLDED_EVERY", 1 << 60)


@pytest.fixture(params=[*MOST])
def counted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Memory, Proxy]]:
    """An engine, a memory over it, and what counts."""
    proxy = Proxy(server.shared().folder)
    section = server.section()
    section["config"]["dsn"] = proxy.dsn("tests")
    section["config"]["hnsw"] = request.param == "postgres with hnsw"
    more: dict[str, Any] = {}
    if request.param == "pgvector":
        store = {
            "connection_string": proxy.dsn("tests"), "collection_name": "round_trips",
            "scores": "similarity",
        }  # fmt: skip
        section = {"provider": "pgvector", "config": store}
        more["history_db_path"] = str(tmp_path / "history.db")
    memory = Memory.from_config({"vector_store": section, **more, **REST})
    if more:
        memory.reset()
    yield request.param, memory, proxy
    memory.close()
    proxy.close()


def say(memory: Any, number: int) -> str:
    """A raw add; the id of its memory."""
    added = memory.add(f"note {number}", **ANA, infer=False, metadata={"n": number})
    return str(added["results"][0]["id"])


def learn(memory: Any, number: int) -> None:
    """An add of ten facts."""
    facts = [{"text": f"{text}, note {number}"} for text in FACTS]
    memory.llm = ScriptedLLM([{"memory": facts}])
    memory.add("said", **ANA)


def test_no_call_makes_more_round_trips_than_it_has_to(
    counted: tuple[str, Memory, Proxy],
) -> None:
    engine, memory, proxy = counted

    def find(user: str = "ana", **more: Any) -> None:
        memory.search("Did Ana Silva meet Tom Berg?", filters={"user_id": user, **more})

    def calls(number: int) -> dict[str, Callable[[], object]]:
        one = say(memory, number)
        return {
            "raw add": lambda: say(memory, 1),
            "raw add again": lambda: say(memory, 2),
            "add of 10 facts": lambda: learn(memory, number),
            "the same facts again": lambda: learn(memory, number),
            "search": find,
            "search without entities": lambda: memory.search("a note", filters=ANA),
            "search with a filter": lambda: find(n=1),
            "get": lambda: memory.get(one),
            "get_all": lambda: memory.get_all(filters=ANA),
            "history": lambda: memory.history(one),
            "update": lambda: memory.update(one, "Ana Silva moved to Porto"),
            "delete": lambda: memory.delete(one),
            "search in a new scope": lambda: find(f"bob{number}"),
        }

    for number in range(WARM):  # Until everything that is sent often has been prepared.
        seen = {name: turns_of(proxy, call) for name, call in calls(number).items()}
    limits = MOST[engine]
    assert {name: count for name, count in seen.items() if count > limits[name]} == {}
    assert seen.keys() == limits.keys()


def test_a_connection_is_ready_after_one_round_trip() -> None:
    from isomem.stores.postgres.connections import connected
    from isomem.stores.postgres.target import Target

    proxy = Proxy(server.shared().folder)
    options = defaults_of(store_table("postgres"))
    target = Target({**options, "dsn": proxy.dsn("tests")})
    assert turns_of(proxy, lambda: connected(target).close()) == 1
    proxy.close()


def test_a_search_by_an_index_makes_no_more_round_trips_than_it_has_to() -> None:
    proxy = Proxy(server.shared().folder)
    section = server.section(hnsw=True, hnsw_from=50)
    section["config"]["dsn"] = proxy.dsn("tests")
    memory = Memory.from_config({"vector_store": section, "nlp": {"provider": "none"}, **REST})
    notes = [{"role": "user", "content": f"note {number}"} for number in range(60)]
    memory.add(notes, **ANA, infer=False)
    memory.vector_store.build_indexes()
    for _ in range(WARM):
        seen = turns_of(proxy, lambda: memory.search("note 7", filters=ANA))
    # How far the index is; what it finds, and what is not in it yet; payloads.
    assert seen == 3
    memory.close()
    proxy.close()


def test_removing_many_makes_no_more_round_trips_than_removing_few() -> None:
    proxy = Proxy(server.shared().folder)
    section = server.section()
    section["config"]["dsn"] = proxy.dsn("tests")
    memory = Memory.from_config({"vector_store": section, **REST})
    seen = []
    for count in (2, 2, 200):
        facts = [{"text": f"Ana Silva met Tom Berg in town {number}"} for number in range(count)]
        memory.llm = ScriptedLLM([{"memory": facts}])
        memory.add("said", **ANA)
        seen.append(turns_of(proxy, lambda: memory.delete_all(**ANA)))
        assert memory.entity_store.list(filters=ANA)[0] == []
    assert seen[2] <= seen[1]
    memory.close()
    proxy.close()


# --- mem0 ------------------------------------------------------------------------------------

MEM0 = {
    "raw add": 2, "add of 10 facts": 10, "search": 8, "search without entities": 4, "get": 2,
    "get_all": 2, "history": 0, "update": 15, "delete": 11,
}  # fmt: skip
"""Those of mem0 on pgvector with its extras, which finds entities: usually at least so many."""


@pytest.mark.oracle
def test_mem0_makes_more(tmp_path: Path) -> None:
    mem0 = pytest.importorskip("mem0")
    tiers = pytest.importorskip("isomem_parity.tiers")
    if tiers.missing("C"):
        pytest.skip(f"not installed: {', '.join(tiers.missing('C'))}")
    tiers.enter("C")
    proxy = Proxy(server.shared().folder)
    store = {
        "connection_string": proxy.dsn("tests"), "collection_name": "trips_of_mem0",
        "embedding_model_dims": 32,
    }  # fmt: skip
    unused = {"provider": "openai", "config": {"api_key": "unused"}}
    history = str(tmp_path / "history.db")
    memory = mem0.Memory.from_config(
        {
            "vector_store": {"provider": "pgvector", "config": store},
            "history_db_path": history, "embedder": unused, "llm": unused,
        }
    )  # fmt: skip
    memory.embedding_model = kit.Paired(32)

    def calls(number: int) -> dict[str, Callable[[], object]]:
        one = say(memory, number)
        return {
            "raw add": lambda: say(memory, 1),
            "add of 10 facts": lambda: learn(memory, number),
            "search": lambda: memory.search("Did Ana Silva meet Tom Berg?", filters=ANA),
            "search without entities": lambda: memory.search("a note", filters=ANA),
            "get": lambda: memory.get(one),
            "get_all": lambda: memory.get_all(filters=ANA),
            "history": lambda: memory.history(one),
            "update": lambda: memory.update(one, "Ana Silva moved to Porto"),
            "delete": lambda: memory.delete(one),
        }

    seen: dict[str, list[int]] = {name: [] for name in MEM0}
    for number in range(WARM):
        for name, call in calls(number).items():
            seen[name].append(turns_of(proxy, call))
    proxy.close()
    usual = {name: median(counts) for name, counts in seen.items()}
    assert {name: count for name, count in usual.items() if count < MEM0[name]} == {}
