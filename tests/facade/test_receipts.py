"""A call with a receipt is carried out once, whatever it stores, and can be told again."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isomem import AsyncMemory
from isomem.contract.plan import Outcome, Receipt
from isomem.errors import DatabaseError, LLMError
from isomem.pipeline import receipts
from tests.facade.conftest import Face, configuration
from tests.facade.test_replaced_parts import Store

Make = Callable[..., Face]
U = {"user_id": "u"}


def done(face: Face, result: Any) -> Any:
    """The result of a call of either class."""
    return face._loop.run_until_complete(result) if inspect.isawaitable(result) else result


def once(face: Face, name: str, *said: Any, **options: Any) -> Any:
    """An `add` with a receipt of that name."""
    memory = face.real.replacing(receipt=Receipt(name, f"digest of {name}"))
    return done(face, memory.add(*said, **{**U, **options}))["results"]


def told(face: Face, name: str) -> Outcome | None:
    ports = face.real._ports
    found: Outcome | None = done(face, ports.run(receipts.outcome(ports, name)))
    return found


def check_told(face: Face, name: str, results: list[Any]) -> None:
    found = told(face, name)
    assert found is not None
    assert found.digest == f"digest of {name}"
    assert found.results == results


def check_refused(face: Face, name: str, *said: Any, **options: Any) -> None:
    before = face.state()
    with pytest.raises(DatabaseError) as caught:
        once(face, name, *said, **options)
    assert caught.value.error_code == "RECEIPT_001"
    assert face.state() == before


def test_what_was_stored_is_told_again_and_nothing_is_stored_twice(memory: Face) -> None:
    assert told(memory, "none") is None
    said = {"role": "user", "content": "Ana likes tea", "name": "Ana"}
    raw = once(memory, "raw", [said, {"role": "assistant", "content": "Noted"}], infer=False)
    assert [each["memory"] for each in raw] == ["Ana likes tea", "Noted"]
    memory.say(("Ana likes tea a lot", "Ana has a cat"))
    inferred = once(memory, "inferred", "what Ana likes")
    assert len(inferred) == 2
    memory.say("a summary")
    procedural = once(memory, "procedural", "steps", agent_id="a", memory_type="procedural_memory")
    check_told(memory, "raw", raw)
    check_told(memory, "inferred", inferred)
    check_told(memory, "procedural", procedural)
    check_refused(memory, "raw", "something else", infer=False)
    memory.say(("Ana has a dog",))
    check_refused(memory, "inferred", "what Ana likes")


def test_the_results_are_those_of_a_call_without_a_receipt(make: Make, tmp_path: Path) -> None:
    """Down to the order of their keys."""
    plain, receipted = make(tmp_path / "1.db"), make(tmp_path / "2.db")
    said = [{"role": "user", "content": "Ana likes tea", "name": "Ana"}]
    results = []
    for face in (plain, receipted):
        face.say(("A", "B"))
        options: dict[str, Any] = {**U, "supersede": "similar"}
        if face is plain:
            results.append(face.add(said, infer=False, **U)["results"])
            results.append(face.add(said, **options)["results"])
        else:
            results.append(once(face, "raw", said, infer=False))
            results.append(once(face, "inferred", said, supersede="similar"))

    def shape(result: Any) -> list[list[tuple[str, Any]]]:
        return [[item for item in each.items() if item[0] != "id"] for each in result]

    assert shape(results[0]) == shape(results[2])
    assert shape(results[1]) == shape(results[3])


def test_a_call_that_stores_nothing_is_carried_out_all_the_same(memory: Face) -> None:
    memory.say(())
    assert once(memory, "nothing said", "hello") == []
    assert (
        once(memory, "only a rule", [{"role": "system", "content": "Be kind"}], infer=False) == []
    )
    for name in ("nothing said", "only a rule"):
        check_told(memory, name, [])
    memory.say(("Ana has a dog",))
    check_refused(memory, "nothing said", "hello")


def test_a_call_that_fails_leaves_no_receipt(memory: Face) -> None:
    memory.raise_on_llm_error = True
    memory.llm = object()  # type: ignore[assignment]
    with pytest.raises(LLMError):
        once(memory, "r", "hello")
    assert told(memory, "r") is None
    memory.say(("Ana has a dog",))
    assert [each["memory"] for each in once(memory, "r", "hello")] == ["Ana has a dog"]


def test_what_a_memory_superseded_is_told_too(memory: Face) -> None:
    fact = "Ana's favourite place in the old garden by the lake is room {}"
    memory.say((fact.format(1),))
    memory.add("first", **U)
    memory.say((fact.format(2),))
    results = once(memory, "second", "again", supersede="similar")
    assert [each["memory"] for each in results[0]["supersedes"]] == [fact.format(1)]
    check_told(memory, "second", results)


def test_a_receipt_has_no_text_so_what_is_removed_is_gone(memory: Face) -> None:
    results = once(memory, "r", "Ana likes tea", infer=False)
    store: Any = memory.vector_store
    with store.database.reading() as database:
        [(row,)] = database.rows("SELECT results FROM receipts")
    assert "tea" not in row
    memory.delete(results[0]["id"])
    check_told(memory, "r", results)  # The history has it still.
    memory.purge(**U)
    check_told(memory, "r", [])


def test_a_reset_keeps_receipts_so_that_no_call_is_repeated_after_it(memory: Face) -> None:
    once(memory, "r", "Ana likes tea", infer=False)
    memory.reset()
    check_told(memory, "r", [])
    check_refused(memory, "r", "Ana likes tea", infer=False)


@pytest.mark.parametrize("where", ["memory", "history apart"])
def test_other_files_keep_receipts_too(make: Make, tmp_path: Path, where: str) -> None:
    more = {"history_db_path": str(tmp_path / "history.db")} if where == "history apart" else {}
    face = make(":memory:" if where == "memory" else tmp_path / "memory.db", **more)
    results = once(face, "r", "Ana likes tea", infer=False)
    check_told(face, "r", results)
    with pytest.raises(DatabaseError, match="carried out already"):
        once(face, "r", "Ana likes tea", infer=False)
    assert face.memories() == ["Ana likes tea"]


def test_a_foreign_store_has_its_receipts_in_our_ledger(memory: Face) -> None:
    memory.vector_store, memory.entity_store = Store(), Store()  # type: ignore[assignment]
    results = once(memory, "r", "Ana likes tea", infer=False)
    check_told(memory, "r", results)
    with pytest.raises(DatabaseError, match="carried out already"):
        once(memory, "r", "Ana likes tea", infer=False)
    assert len(memory.vector_store.points) == 1


def test_what_a_dead_try_has_put_into_a_foreign_store_is_removed_by_the_next(memory: Face) -> None:
    store = Store()
    memory.vector_store, memory.entity_store = store, Store()  # type: ignore[assignment]
    rows: Any = memory.stores.receipts
    receipt = Receipt("r", "digest of r")
    assert rows.begin(receipt, ["dead", "never stored"]) == []
    store.insert([[1.0] * 64], [{"data": "Ana likes tea", **U}], ["dead"])  # And here it dies.
    results = once(memory, "r", "Ana likes tea", infer=False)
    assert [*store.points] == [results[0]["id"]]
    check_told(memory, "r", results)
    assert rows.begin(Receipt("s", ""), []) == []


def test_what_several_dead_tries_have_left_is_removed(memory: Face) -> None:
    store = Store()
    memory.vector_store, memory.entity_store = store, Store()  # type: ignore[assignment]
    rows: Any = memory.stores.receipts
    receipt = Receipt("r", "digest of r")
    assert rows.begin(receipt, ["first"]) == []
    assert rows.begin(receipt, ["second"]) == ["first"]  # It dies before it has removed that.
    for name in ("first", "second"):
        store.insert([[1.0] * 64], [{"data": "Ana likes tea", **U}], [name])
    results = once(memory, "r", "Ana likes tea", infer=False)
    assert [*store.points] == [results[0]["id"]]
    check_told(memory, "r", results)


def test_what_a_dead_try_has_left_and_cannot_be_removed_fails_the_next(memory: Face) -> None:
    store = Store()
    memory.vector_store, memory.entity_store = store, Store()  # type: ignore[assignment]
    rows: Any = memory.stores.receipts
    rows.begin(Receipt("r", "digest of r"), ["dead"])
    store.insert([[1.0] * 64], [{"data": "Ana likes tea", **U}], ["dead"])
    delete = store.delete

    def failing(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("down")

    store.delete = failing  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        once(memory, "r", "Ana likes tea", infer=False)
    assert [*store.points] == ["dead"]
    store.delete = delete  # type: ignore[method-assign]
    results = once(memory, "r", "Ana likes tea", infer=False)
    assert [*store.points] == [results[0]["id"]]


def test_what_a_call_has_left_that_nobody_tries_again_is_removed_in_the_end(memory: Face) -> None:
    store = Store()
    memory.vector_store, memory.entity_store = store, Store()  # type: ignore[assignment]
    rows: Any = memory.stores.receipts
    rows.begin(Receipt("job:1", ""), ["dead", "never stored"])
    store.insert([[1.0] * 64], [{"data": "Ana likes tea", **U}], ["dead"])
    delete = store.delete

    def failing(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("down")

    store.delete = failing  # type: ignore[method-assign]
    rows.forget("job:", 1e12)
    assert [*store.points] == ["dead"]
    store.delete = delete  # type: ignore[method-assign]
    rows.forget("job:", 1e12)
    assert not store.points
    assert rows.begin(Receipt("job:1", ""), []) == []


def test_a_try_that_was_only_slow_takes_back_what_it_has_stored(memory: Face) -> None:
    store = Store()
    memory.vector_store, memory.entity_store = store, Store()  # type: ignore[assignment]
    rows: Any = memory.stores.receipts
    insert = store.insert

    def slow(*args: Any, **kwargs: Any) -> None:
        insert(*args, **kwargs)
        rows.begin(Receipt("r", "digest of r"), ["of another process"])

    store.insert = slow  # type: ignore[method-assign]
    with pytest.raises(DatabaseError) as caught:
        once(memory, "r", "Ana likes tea", infer=False)
    assert caught.value.error_code == "RECEIPT_003"
    assert not store.points
    assert told(memory, "r") is None
    assert not memory.db.database.rows("SELECT 1 FROM history")  # type: ignore[attr-defined]


def test_old_receipts_can_be_forgotten(memory: Face) -> None:
    rows = memory.stores.receipts
    assert rows is not None
    assert rows.forget("job:", 1e12) == 0
    for name in ("job:1", "job:2", "key:1", "joa:9"):
        once(memory, name, "x", infer=False)
    assert rows.forget("job:", 0) == 0
    assert rows.forget("job:", 1e12, ["job:2"]) == 1
    assert [rows.find(name) is None for name in ("job:1", "job:2", "key:1", "joa:9")] == [
        True, False, False, False,
    ]  # fmt: skip


def test_of_calls_at_once_with_one_receipt_one_is_carried_out(tmp_path: Path) -> None:
    """Also when their plans are applied together."""

    async def main() -> tuple[list[Any], list[str]]:
        config = configuration(tmp_path / "memory.db")
        async with AsyncMemory.from_config(config) as memory:
            await memory.add("first", infer=False, **U)
            calls = [
                memory.replacing(receipt=Receipt(name, "")).add(name, infer=False, **U)
                for name in ["a", "b"] * 20
            ]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            found = await memory.get_all(filters=U, top_k=1000)
            return outcomes, sorted(each["memory"] for each in found["results"])

    outcomes, texts = asyncio.run(main())
    assert texts == ["a", "b", "first"]
    failed = [each for each in outcomes if isinstance(each, DatabaseError)]
    assert len(failed) == len(outcomes) - 2


# --- Not carried out any more ----------------------------------------------------------------


def call_off(face: Face, name: str) -> None:
    ports = face.real._ports
    done(face, ports.run(receipts.settle(ports, Receipt(name, "called off"))))


@pytest.mark.parametrize("is_foreign", [False, True])
def test_a_call_whose_receipt_was_written_for_nothing_stores_nothing(
    memory: Face, *, is_foreign: bool
) -> None:
    store = Store()
    if is_foreign:
        memory.vector_store, memory.entity_store = store, Store()  # type: ignore[assignment]
    call_off(memory, "off")
    found = told(memory, "off")
    assert found is not None
    assert (found.digest, found.results) == ("called off", [])
    with pytest.raises(DatabaseError) as caught:
        once(memory, "off", "Ana likes tea", infer=False)
    assert caught.value.error_code == "RECEIPT_001"
    assert memory.get_all(filters=U)["results"] == []
    once(memory, "made", "Ana likes tea", infer=False)
    with pytest.raises(DatabaseError) as caught:
        call_off(memory, "made")
    assert caught.value.error_code == "RECEIPT_001"
    with pytest.raises(DatabaseError):
        call_off(memory, "off")
