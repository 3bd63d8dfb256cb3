"""`postgres` when calls of several processes overlap: keyword counts, and equal facts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import Any

import pytest

from isomem import Memory
from isomem.store.codec import load_terms
from isomem.testing import ScriptedLLM
from tests.facade.conftest import facts
from tests.stores import server
from tests.stores.conftest import learn, say, texts
from tests.stores.test_postgres import REST

pytestmark = pytest.mark.skipif(bool(server.missing()), reason=server.missing())

if not server.missing():
    import psycopg

    from isomem.stores.postgres import keywords
    from isomem.stores.postgres.keywords import TEXTS, PostgresKeywords

USER = {"user_id": "u"}
Beside = Callable[[Callable[[], object]], Future[object]]
_WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = 'tests'"


@pytest.fixture
def memory(section: dict[str, Any]) -> Iterator[Memory]:
    with Memory.from_config({"vector_store": section, **REST}) as made:
        yield made


@pytest.fixture
def other(section: dict[str, Any], memory: Memory) -> Iterator[Memory]:
    """As another process has it."""
    with Memory.from_config({"vector_store": section, **REST}) as made:
        yield made


@pytest.fixture
def beside() -> Iterator[Beside]:
    """Begins a call in another thread, and returns when it is done or waits for a lock."""
    with ThreadPoolExecutor(4) as threads:

        def begin(call: Callable[[], object]) -> Future[object]:
            waiting = len(server.shared().do(_WAITING))
            begun = threads.submit(call)
            while not begun.done() and len(server.shared().do(_WAITING)) == waiting:
                time.sleep(0.01)
            return begun

        yield begin


def counted(section: dict[str, Any]) -> dict[int, int]:
    """How many texts have each term, as it was counted."""
    sql = "SELECT number, sum(documents)::bigint FROM {}.term_counts GROUP BY 1"
    found = server.shared().do(sql.format(section["config"]["schema"]), "tests")
    return {number: documents for number, documents in found if documents}


def recounted(section: dict[str, Any]) -> dict[int, int]:
    """The same, by the texts."""
    sql = "SELECT terms FROM {}.points WHERE terms IS NOT NULL"
    found = server.shared().do(sql.format(section["config"]["schema"]), "tests")
    terms = [set(load_terms(packed)) for (packed,) in found]
    return {**Counter(chain.from_iterable(terms)), **({TEXTS: len(terms)} if terms else {})}


def rows_of_texts(section: dict[str, Any]) -> int:
    """How many rows count the texts."""
    sql = f"SELECT count(*) FROM {section['config']['schema']}.term_counts WHERE number = {TEXTS}"
    return int(server.shared().do(sql, "tests")[0][0])


def make_stale(section: dict[str, Any]) -> None:
    """Has every text indexed by rules that nobody has any more: each has the term 7."""
    schema = section["config"]["schema"]
    for sql in (
        f"UPDATE {schema}.collections SET keywords = 'older rules' WHERE name = 'mem0'",
        f"UPDATE {schema}.points SET terms = '\\x07000000' WHERE terms IS NOT NULL",
        f"DELETE FROM {schema}.term_counts",
        (
            f"INSERT INTO {schema}.term_counts SELECT collection, number, count(*)"
            f" FROM {schema}.points, unnest(ARRAY[7, {TEXTS}]) AS number WHERE terms IS NOT NULL"
            " GROUP BY 1, 2"
        ),
    ):
        server.shared().do(sql, "tests")
    assert counted(section) == recounted(section)


# --- Keywords beside a reset -----------------------------------------------------------------


def test_a_reset_beside_a_fold_leaves_no_counts(
    section: dict[str, Any], memory: Memory, other: Memory, beside: Beside
) -> None:
    for number in range(12):
        say(memory, f"green tea {number}", **USER)
    rows: Any = memory.stores._rows  # type: ignore[attr-defined]
    with rows.writing():
        memory.vector_store.keywords.fold()
        rows.rows("SELECT 1")  # It is done.
        reset = beside(other.reset)
        assert not reset.done()
    reset.result(30)
    assert counted(section) == {}


def test_a_change_and_a_reset_do_not_wait_for_each_other(
    section: dict[str, Any], beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `retry_s`, it takes a second until the server ends one, which is then done again."""
    section["config"]["retry_s"] = 0
    with (
        Memory.from_config({"vector_store": section, **REST}) as memory,
        Memory.from_config({"vector_store": section, **REST}) as other,
    ):
        changed = say(memory, "green tea", **USER)
        writer: Any = memory.stores._writer  # type: ignore[attr-defined]
        replace, resets = writer._replace, list[Future[object]]()

        def replace_beside(*point: Any) -> None:
            resets.append(beside(other.reset))
            replace(*point)

        monkeypatch.setattr(writer, "_replace", replace_beside)
        memory.update(changed, "black tea")
        resets[0].result(30)
        assert memory.get(changed) is None


# --- Keywords that are indexed anew ----------------------------------------------------------


def test_processes_that_start_together_index_keywords_anew_once(
    section: dict[str, Any], memory: Memory, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(memory, "green tea", **USER)
    make_stale(section)
    reindex, done = PostgresKeywords.reindex, list[object]()

    def reindex_noted(self: PostgresKeywords) -> None:
        reindex(self)
        done.append(self)

    monkeypatch.setattr(PostgresKeywords, "reindex", reindex_noted)
    with psycopg.connect(server.shared().dsn("tests")) as session:
        table = f"{section['config']['schema']}.collections"
        session.execute(f"SELECT 1 FROM {table} WHERE name = 'mem0' FOR UPDATE".encode())
        starts = [
            beside(lambda: Memory.from_config({"vector_store": section, **REST}).close())
            for _ in range(3)
        ]
    for start in starts:
        start.result(30)
    assert len(done) == 1
    assert counted(section) == recounted(section)
    assert 7 not in counted(section)


@pytest.mark.parametrize("call", ["add", "update", "delete", "delete_all"])
def test_what_is_written_while_keywords_are_indexed_anew_is_counted_once(
    section: dict[str, Any],
    memory: Memory,
    beside: Beside,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
) -> None:
    """A call that comes after the texts were read, and before their terms are stored."""
    ids = [say(memory, f"green tea {number}", **USER) for number in range(3)]
    make_stale(section)
    load, written = keywords.load_payload, list[Future[object]]()

    def load_beside(text: str) -> Any:
        if not written:
            written.append(beside(calls(memory, ids[1])[call]))
        return load(text)

    monkeypatch.setattr(keywords, "load_payload", load_beside)
    Memory.from_config({"vector_store": section, **REST}).close()
    written[0].result(30)
    assert counted(section) == recounted(section)
    assert 7 not in counted(section)


def calls(memory: Memory, memory_id: str) -> dict[str, Callable[[], object]]:
    """Calls that change what is counted."""
    return {
        "add": lambda: say(memory, "black coffee", **USER),
        "update": lambda: memory.update(memory_id, "black coffee"),
        "delete": lambda: memory.delete(memory_id),
        "delete_all": lambda: memory.delete_all(**USER),
    }


@pytest.mark.parametrize(
    ("call", "step"), [("update", "_replace"), ("delete", "_remove"), ("delete_all", "next")]
)
def test_keywords_that_are_indexed_anew_while_a_call_writes_are_counted_once(
    section: dict[str, Any],
    memory: Memory,
    beside: Beside,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    step: str,
) -> None:
    """A process that starts after the call has read what it is about to take out of the counts."""
    ids = [say(memory, f"green tea {number}", **USER) for number in range(3)]
    make_stale(section)
    writer: Any = memory.stores._writer  # type: ignore[attr-defined]
    part = writer if hasattr(writer, step) else writer._detached
    before, starts = getattr(part, step), list[Future[object]]()

    def step_beside(*args: Any) -> Any:
        found = before(*args) if step == "next" else None
        if not starts:
            starts.append(
                beside(lambda: Memory.from_config({"vector_store": section, **REST}).close())
            )
        return found if step == "next" else before(*args)

    monkeypatch.setattr(part, step, step_beside)
    calls(memory, ids[1])[call]()
    starts[0].result(30)
    assert counted(section) == recounted(section)
    assert 7 not in counted(section)


# --- Folding ---------------------------------------------------------------------------------


def test_processes_that_write_once_fold_the_counts_too(
    section: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keywords, "FOLDED_EVERY", 2)  # Not so in one of 60,000 runs.
    for number in range(40):
        with Memory.from_config({"vector_store": section, **REST}) as memory:
            say(memory, f"green tea {number}", **USER)
    assert rows_of_texts(section) < 25
    assert counted(section)[TEXTS] == 40


def test_compact_folds_the_counts(section: dict[str, Any], memory: Memory) -> None:
    for number in range(12):
        say(memory, f"green tea {number}", **USER)
    assert rows_of_texts(section) == 12
    memory.compact()
    assert rows_of_texts(section) == 1
    assert counted(section) == recounted(section)


# --- Equal facts -----------------------------------------------------------------------------


def later(memory: Any, since: object) -> list[str]:
    """The texts that were stored after a look at the memories."""
    with memory.vector_store.database.reading():
        return [each["data"] for each in memory.vector_store.reader.later(USER, since)]


def test_what_a_call_has_seen_is_not_later_because_a_stranger_writes(memory: Memory) -> None:
    """In any database of the server, from before it was stored."""
    with psycopg.connect(server.shared().dsn("postgres")) as stranger:
        stranger.execute("SELECT pg_current_xact_id()")
        say(memory, "green tea", **USER)
        since = memory.vector_store.last_insertion()
        assert later(memory, since) == []
        say(memory, "black tea", **USER)
        assert later(memory, since) == ["black tea"]


def test_what_was_being_stored_when_a_call_looked_is_later(memory: Memory, other: Memory) -> None:
    rows: Any = memory.stores._rows  # type: ignore[attr-defined]
    with rows.writing():
        say(memory, "green tea", **USER)
        rows.rows("SELECT 1")  # It is done.
        say(other, "black tea", user_id="v")
        since = other.vector_store.last_insertion()
        assert later(other, since) == []
    say(other, "white tea", **USER)
    assert sorted(later(other, since)) == ["green tea", "white tea"]


def test_a_fact_that_the_call_saw_but_did_not_recall_is_stored_beside_a_stranger(
    section: dict[str, Any],
) -> None:
    """As on a quiet server, and in the embedded store."""
    config = {"vector_store": section, **REST, "dedup_concurrent": True}
    with (
        psycopg.connect(server.shared().dsn("postgres")) as stranger,
        Memory.from_config(config) as memory,
    ):
        stranger.execute("SELECT pg_current_xact_id()")
        for number in range(25):
            say(memory, f"tea {number}", **USER)
        memory.llm = ScriptedLLM([facts("tea 3")])
        memory.add("Something else", **USER)
        listed = texts(memory.get_all(filters=USER, top_k=100))
        assert listed.count("tea 3") == 2


# --- Scopes in memory ------------------------------------------------------------------------


@pytest.mark.parametrize(("cache_mb", "most"), [(0, 0), (0.02, 20)])
def test_scopes_without_points_are_evicted_too(
    section: dict[str, Any], cache_mb: float, most: int
) -> None:
    section["config"]["cache_mb"] = cache_mb
    with Memory.from_config({"vector_store": section, **REST}) as memory:
        for number in range(50):
            found = memory.search("tea", filters={"user_id": f"unknown{number}"})
            assert texts(found) == []
        cached = memory.vector_store._scope_cache._cached
        assert bool(cached) == bool(most)
        assert len(cached) <= most


# --- Entities --------------------------------------------------------------------------------


@pytest.mark.parametrize("agent", [{}, {"agent_id": "a"}], ids=["same scope", "wider scope"])
@pytest.mark.parametrize("change", ["add", "update"])
def test_entities_that_are_removed_meanwhile_are_made_anew(
    memory: Any, other: Any, beside: Beside, section: dict[str, Any], agent: Any, change: str
) -> None:
    """An entity goes with its last memory, also if it was found from a wider scope."""
    old = learn(memory, "Ana Silva moved to Berlin", **USER, **agent)[0]
    new = say(other, "It rains", **USER)
    with memory.stores._rows.writing():
        memory.delete(old)
        memory.stores._rows.rows("SELECT 1")
        if change == "add":
            begun = beside(lambda: learn(other, "Ana Silva left Berlin", **USER))
        else:
            begun = beside(lambda: other.update(new, "Ana Silva left Berlin"))
        assert not begun.done()
    changed = begun.result()
    memory_id = changed[0] if change == "add" else new
    sql = "SELECT count(*) FROM {}.links WHERE memory_id = '{}'"
    named = sql.format(section["config"]["schema"], memory_id)
    assert server.shared().do(named, "tests") == [(2,)]
