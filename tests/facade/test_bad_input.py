"""Bad input: upstream's error where upstream has one, a clear one otherwise, and nothing stored."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest

from isomem.errors import (
    DatabaseError,
    MemoryError,
    MemoryNotFoundError,
    ValidationError,
    VectorValueError,
)
from tests.facade.conftest import Face, PlantedEmbedder

Make = Callable[..., Face]
U = {"user_id": "u"}

_deep: Any = []
for _ in range(5000):
    _deep = [_deep]


def refused(
    memory: Face, call: Callable[[], Any], kind: type[Exception], message: str
) -> BaseException:
    """The error: of that very type, and the store is as it was."""
    before = memory.state()
    with pytest.raises(kind, match=message) as caught:
        call()
    assert type(caught.value) is kind
    if isinstance(caught.value, MemoryError):
        assert caught.value.error_code
    assert memory.state() == before
    return caught.value


@pytest.fixture
def filled(memory: Face) -> Face:
    """A memory with something to lose."""
    memory.learn("We gave Ana Silva a cat")
    memory.say({"memory": [{"text": "must not be stored"}]})
    return memory


BAD_IDS: list[tuple[Any, str]] = [
    ("", "Invalid user_id: cannot be empty or whitespace-only"),
    ("  ", "Invalid user_id: cannot be empty or whitespace-only"),
    ("a b", "Invalid user_id: cannot contain whitespace"),
    ("a\tb", "Invalid user_id: cannot contain whitespace"),
    (5, "Invalid user_id: must be a string, got int"),
    (["u"], "Invalid user_id: must be a string, got list"),
]


@pytest.mark.parametrize(("given", "message"), BAD_IDS)
@pytest.mark.parametrize("infer", [True, False])
def test_a_bad_id_of_an_add(filled: Face, given: Any, message: str, infer: bool) -> None:
    refused(filled, lambda: filled.add("x", user_id=given, infer=infer), ValueError, message)
    refused(filled, lambda: filled.add("x", agent_id="a", user_id=given), ValueError, message)


@pytest.mark.parametrize(("given", "message"), BAD_IDS)
def test_a_bad_id_of_a_search_or_a_list(filled: Face, given: Any, message: str) -> None:
    filters = {"user_id": given}
    refused(filled, lambda: filled.search("x", filters=filters), ValueError, message)
    refused(filled, lambda: filled.get_all(filters=filters), ValueError, message)


def test_no_id_at_all(filled: Face) -> None:
    error = refused(filled, lambda: filled.add("x"), ValidationError, "At least one of 'user_id'")
    assert error.error_code == "VALIDATION_001"  # type: ignore[attr-defined]
    for filters in (None, {}, {"k": 1}):
        for call in (filled.get_all, lambda **options: filled.search("x", **options)):
            refused(
                filled, lambda call=call, filters=filters: call(filters=filters), ValueError,  # type: ignore[misc]
                "filters must contain at least one of",
            )  # fmt: skip
    refused(filled, filled.delete_all, ValueError, "At least one filter is required")
    refused(filled, lambda: filled.delete_all(user_id=""), ValueError, "At least one filter")


@pytest.mark.parametrize("key", ["user_id", "agent_id", "run_id"])
def test_ids_beside_the_filters(filled: Face, key: str) -> None:
    beside = {key: "u"}
    message = "Top-level entity parameters .* are not supported in "
    refused(filled, lambda: filled.search("x", filters=U, **beside), ValueError, message + "search")
    refused(filled, lambda: filled.get_all(filters=U, **beside), ValueError, message + "get_all")


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        (-0.01, "Invalid threshold: -0.01. Must be between 0 and 1"),
        (1.01, "Invalid threshold: 1.01"),
        (math.inf, "Invalid threshold: inf"),
        (math.nan, "threshold must be a valid number"),
        ("0.5", "threshold must be a valid number"),
        ([0.5], "threshold must be a valid number"),
    ],
)
def test_a_bad_threshold(filled: Face, threshold: Any, message: str) -> None:
    refused(filled, lambda: filled.search("x", filters=U, threshold=threshold), ValueError, message)


@pytest.mark.parametrize(
    ("top_k", "message"),
    [
        (-1, "Invalid top_k: -1. Must be a non-negative integer."),
        (True, "top_k must be a valid integer"),
        (1.0, "top_k must be a valid integer"),
        ("5", "top_k must be a valid integer"),
        (None, "top_k must be a valid integer"),
    ],
)
def test_a_bad_top_k(filled: Face, top_k: Any, message: str) -> None:
    refused(filled, lambda: filled.search("x", filters=U, top_k=top_k), ValueError, message)
    refused(filled, lambda: filled.get_all(filters=U, top_k=top_k), ValueError, message)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"k": {"near": 1, "gt": 1}}, "Unsupported metadata filter operator: near"),
        ({"k": {"near": 1}}, "Unsupported filter operator"),
        ({"k": {"gt": 1, "eq": 2}}, "Cannot mix range operators"),
        ({"OR": []}, "OR operator requires a non-empty list of conditions"),
        ({"NOT": []}, "NOT operator requires a non-empty list of conditions"),
        ({"AND": {"k": 1}}, "AND operator requires a list of conditions"),
        ({"OR": ["k"]}, "OR filter list item at index 0 must be a dict"),
        ({"k": {"gt": "soon"}}, "Invalid value in range filter"),
        ({"k": {"gt": "2024-02-30"}}, "Invalid datetime value"),
        ({"k": 1.5}, "string, an integer or a boolean"),
        ({"k l": 1}, "Invalid path"),
    ],
)
def test_a_bad_filter(filled: Face, filters: Any, message: str) -> None:
    refused(filled, lambda: filled.search("x", filters={**U, **filters}), ValueError, message)


def test_filters_of_a_wrong_type(filled: Face) -> None:
    for call in (filled.get_all, lambda **options: filled.search("x", **options)):
        with pytest.raises((ValueError, ValidationError), match="filters must be a dict"):
            call(filters="user_id=u")


@pytest.mark.parametrize("query", ["", "  \n", None, 5, ["x"]])
def test_a_bad_query(filled: Face, query: Any) -> None:
    refused(filled, lambda: filled.search(query, filters=U), ValueError, "Invalid query")


@pytest.mark.parametrize("infer", [True, False])
@pytest.mark.parametrize(
    ("messages", "code", "message"),
    [
        (None, "VALIDATION_003", "messages must be str, dict, or list"),
        (5, "VALIDATION_003", "messages must be str, dict, or list"),
        (("x",), "VALIDATION_003", "messages must be str, dict, or list"),
        (["x"], "VALIDATION_003", "messages must be str, dict, or list"),
        ([{"role": "user", "content": "x"}, 5], "VALIDATION_003", "messages must be"),
        ({"content": "x"}, "VALIDATION_004", "message 0 has no role"),
        ([{"role": "", "content": "x"}], "VALIDATION_004", "message 0 has no role"),
        ("bad \ud800", "VALIDATION_004", "message 0 is not valid Unicode: it has a lone surrogate"),
        ([{"role": "user", "content": "a\udfff"}], "VALIDATION_004", "message 0 is not valid"),
    ],
)
def test_bad_messages(filled: Face, messages: Any, code: str, message: str, infer: bool) -> None:
    error = refused(
        filled, lambda: filled.add(messages, **U, infer=infer), ValidationError, message
    )
    assert error.error_code == code  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", [5, {"a": 1}, ["x", 5], True])
def test_content_of_another_type_leaves_no_half_add(filled: Face, content: Any) -> None:
    before = filled.state()
    said = [{"role": "user", "content": "fine"}, {"role": "user", "content": content}]
    try:
        added = filled.add(said, **U, infer=False)["results"]
    except ValidationError as error:
        assert "must be a string" in error.message  # noqa: PT017
        assert filled.state() == before
    else:
        assert added[0]["memory"] == "fine"
        assert all(filled.get(each["id"]) for each in added)


def test_a_wrong_memory_type(filled: Face) -> None:
    for wrong in ("semantic_memory", "", 5):
        error = refused(
            filled, lambda wrong=wrong: filled.add("x", **U, memory_type=wrong),  # type: ignore[misc]
            ValidationError, "Invalid 'memory_type'",
        )  # fmt: skip
        assert error.error_code == "VALIDATION_002"  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", ["text", 5, ["a"]])
def test_metadata_that_is_no_dict(filled: Face, wrong: Any) -> None:
    (one,) = [each["id"] for each in filled.get_all(filters=U)["results"]]
    for call in (
        lambda: filled.add("x", **U, metadata=wrong),
        lambda: filled.add("x", **U, metadata=wrong, infer=False),
        lambda: filled.update(one, "y", metadata=wrong),
    ):
        error = refused(filled, call, ValidationError, "metadata must be a dict")
        assert error.error_code == "VALIDATION_005"  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", [object(), {1: {(1, 2): 3}}, b"\xff", 1j, print])
def test_metadata_that_is_not_json(filled: Face, value: Any) -> None:
    (one,) = [each["id"] for each in filled.get_all(filters=U)["results"]]
    for call in (
        lambda: filled.add("x", **U, metadata={"v": value}),
        lambda: filled.add("x", **U, metadata={"v": value}, infer=False),
        lambda: filled.update(one, "y", metadata={"v": value}),
    ):
        error = refused(filled, call, ValidationError, "cannot be stored as JSON")
        assert error.error_code == "VALIDATION_005"  # type: ignore[attr-defined]


def test_metadata_that_is_nested_beyond_measure(filled: Face) -> None:
    (one,) = [each["id"] for each in filled.get_all(filters=U)["results"]]
    for call in (
        lambda: filled.add("x", **U, metadata={"v": _deep}),
        lambda: filled.add("x", **U, metadata={"v": _deep}, infer=False),
        lambda: filled.update(one, "y", metadata={"v": _deep}),
    ):
        refused(filled, call, ValidationError, "nested|cannot be stored as JSON")


@pytest.mark.parametrize("data", [5, ["x"], "bad \ud800"])
def test_a_bad_text_of_an_update(filled: Face, data: Any) -> None:
    (one,) = [each["id"] for each in filled.get_all(filters=U)["results"]]
    error = refused(filled, lambda: filled.update(one, data), ValidationError, "data")
    assert error.error_code == "VALIDATION_004"  # type: ignore[attr-defined]


def test_an_update_of_nothing(filled: Face) -> None:
    (one,) = [each["id"] for each in filled.get_all(filters=U)["results"]]
    for call in (lambda: filled.update(one), lambda: filled.update(one, None, None)):
        refused(filled, call, ValueError, "At least one of text, metadata")


@pytest.mark.parametrize("unknown", ["missing", "", "00000000-0000-4000-8000-999999999999", "\0"])
def test_an_unknown_memory(filled: Face, unknown: Any) -> None:
    advice = r"Please provide a valid 'memory_id'"
    for call, text in (
        (lambda: filled.update(unknown, "x"), f"Memory with id {unknown} not found. {advice}"),
        (lambda: filled.delete(unknown), f"Memory with id {unknown} not found"),
    ):
        error = refused(filled, call, MemoryNotFoundError, "not found")
        assert isinstance(error, ValueError)  # which is what mem0 raises, with this very text
        assert str(error) == text
        assert error.details == {"memory_id": unknown}
    assert filled.get(unknown) is None
    assert filled.history(unknown) == []


@pytest.mark.parametrize("unknown", [None, 5.5, ["x"], {"a": 1}])
def test_a_memory_id_of_a_wrong_type_stores_nothing(filled: Face, unknown: Any) -> None:
    before = filled.state()
    for call in (
        lambda: filled.update(unknown, "x"),
        lambda: filled.delete(unknown),
        lambda: filled.get(unknown),
        lambda: filled.history(unknown),
    ):
        try:
            answer = call()
        except (ValueError, MemoryError) as error:
            assert str(error)  # noqa: PT017
        else:
            assert answer in (None, [])
    assert filled.state() == before


def test_lone_surrogates_in_a_query_or_an_id(filled: Face) -> None:
    before = filled.state()
    for call in (
        lambda: filled.search("bad \ud800", filters=U),
        lambda: filled.add("x", user_id="bad\ud800"),
        lambda: filled.add("x", user_id="bad\ud800", infer=False),
        lambda: filled.search("x", filters={"user_id": "bad\ud800"}),
    ):
        try:
            assert call() == {"results": []}
        except (ValueError, ValidationError) as error:
            assert "urrogate" in str(error)  # noqa: PT017
    assert filled.state() == before


def test_a_surrogate_in_the_metadata_is_kept(memory: Face) -> None:
    (added,) = memory.add("x", **U, infer=False, metadata={"v": "bad \ud800é"})["results"]
    assert memory.get(added["id"])["metadata"] == {"v": "bad \ud800é"}


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ([1.0, 2.0], "expected dim: 3, got 2"),
        ([1.0] * 4, "expected dim: 3, got 4"),
        ([1.0, 2.0, math.nan], "NaN"),
        ([1.0, 2.0, math.inf], "infinite"),
    ],
)
def test_a_bad_vector(planted: Face, vector: Any, message: str) -> None:
    planted.plant(good=0.9)
    planted.embedding_model = PlantedEmbedder({"bad": vector, "bad fact": vector, "query": 1.0})
    (one,) = [each["id"] for each in planted.get_all(filters=U)["results"]]
    refused(planted, lambda: planted.add("bad", **U, infer=False), VectorValueError, message)
    refused(planted, lambda: planted.search("bad", filters=U), VectorValueError, message)
    refused(planted, lambda: planted.update(one, "bad"), VectorValueError, message)
    planted.say(("bad fact",))
    refused(planted, lambda: planted.add("hello", **U), VectorValueError, message)


def test_one_bad_vector_among_good_ones_costs_that_fact_alone(
    planted: Face, caplog: pytest.LogCaptureFixture
) -> None:
    planted.embedding_model = PlantedEmbedder({"bad": [math.nan] * 3, "query": 1.0})
    planted.say(("good", "bad", "fine"))
    added = planted.add("hello", **U)["results"]
    assert [each["memory"] for each in added] == ["good", "fine"]
    assert planted.memories() == ["good", "fine"]
    assert len(planted.state()["history"]) == 2
    assert "Failed to insert memory" in caplog.text


def test_another_embedder_than_the_files(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    first = make(path)
    first.learn("Likes tea")
    before = first.state()
    with pytest.raises(ValueError, match="mock/hash with 64 dimensions") as caught:
        make(path, embedder={"provider": "mock", "config": {"embedding_dims": 32}})
    assert "with 32" in str(caught.value)
    assert str(path) in str(caught.value)
    with pytest.raises(ValueError, match="mock/constant"):
        make(path, embedder={"provider": "mock"})
    assert first.state() == before


@pytest.mark.parametrize("infer", [True, False])
@pytest.mark.slow
def test_a_disk_that_is_full_at_any_moment_leaves_an_add_whole_or_not_there(
    memory: Face, infer: bool
) -> None:
    outcomes = set()
    database = memory.vector_store.database
    for free in range(40):
        memory.say(
            {"memory": [{"text": f"We gave Ana Silva a {word * 700}"} for word in ("cat", "dog")]}
        )
        said = [{"role": "user", "content": "tea " * 500}] * 2
        before = memory.state()
        pages = database.rows("PRAGMA page_count")[0][0]
        database.execute(f"PRAGMA max_page_count = {pages + free}")
        try:
            added = memory.add(said, **U, infer=infer)["results"]
        except DatabaseError as error:
            assert "nothing of" in error.message  # noqa: PT017
            assert memory.state() == before
            outcomes.add("not there")
        else:
            after = memory.state()
            assert len(added) == 2
            assert all(memory.get(each["id"]) for each in added)
            assert len(after["history"]) == len(before["history"]) + 2
            assert bool(after["messages"]) == infer
            outcomes.add("whole")
        finally:
            database.execute("PRAGMA max_page_count = 1000000")
        memory.reset()
    assert outcomes == {"whole", "not there"}


def test_a_file_that_another_connection_holds_is_refused_and_then_works_again(
    make: Make, tmp_path: Path
) -> None:
    memory = make(store={"busy_timeout_s": 0.05})
    memory.learn("Likes tea")
    holder = apsw.Connection(str(tmp_path / "memory.db"))
    holder.execute("BEGIN IMMEDIATE")
    memory.say({"memory": [{"text": "Likes coffee"}]})
    refused(memory, lambda: memory.add("hello", **U), DatabaseError, "is locked")
    refused(memory, lambda: memory.add("raw", **U, infer=False), DatabaseError, "is locked")
    refused(memory, lambda: memory.delete_all(**U), DatabaseError, "is locked")
    assert memory.search("tea", filters=U)["results"]
    holder.close()
    memory.learn("Likes coffee")
    assert len(memory.memories()) == 2


@pytest.mark.parametrize("infer", [True, False])
@pytest.mark.parametrize("key", ["role", "name"])
@pytest.mark.parametrize("wrong", [["x"], {"a": 1}, ("x",), {1}, object(), "\ud800"], ids=repr)
def test_a_role_or_a_name_that_no_row_can_hold(
    filled: Face, key: str, wrong: Any, infer: bool
) -> None:
    messages = [{"role": "user", "content": "before"}, {"role": "user", "content": "x", key: wrong}]
    refused(
        filled, lambda: filled.add(messages, **U, infer=infer), ValidationError,
        f"the {key} (of|in) message 1 (must be a string|is not valid Unicode)",
    )  # fmt: skip


def test_what_was_stored_is_read_from_a_deep_stack(memory: Face) -> None:
    """Metadata and filters at their limits can be used where 600 frames are left of 1000."""
    inner: Any = "x"
    for _ in range(99):
        inner = [inner]
    filters: Any = {"n": 1}
    for _ in range(49):
        filters = {"OR": [filters]}
    (one,) = memory.add("deep", **U, infer=False, metadata={"k": inner, "n": 1})["results"]

    def deeper(levels: int) -> Any:
        if levels:
            return deeper(levels - 1)
        assert memory.get(one["id"])["metadata"]["k"] == inner
        assert memory.search("deep", filters={**U, **filters}, threshold=0.0)["results"]
        assert memory.get_all(filters={**U, **filters})["results"]
        memory.update(one["id"], "deeper")
        memory.delete(one["id"])
        return memory.get_all(filters=U)["results"]

    assert deeper(300) == []


def test_a_file_with_deeper_metadata_than_today_gives_one_of_our_errors(memory: Face) -> None:
    (one,) = memory.add("x", **U, infer=False)["results"]
    database = memory.vector_store.database
    with database.writing():
        text = '{"data":"x","user_id":"u","k":' + "[" * 100_000 + "]" * 100_000 + "}"
        database.execute("UPDATE points SET payload = ? WHERE id = ?", (text, one["id"]))
    with pytest.raises(MemoryError, match="a stored payload is nested too deeply") as caught:
        memory.get(one["id"])
    assert caught.value.error_code == "CORRUPT_001"


# --- Values that the history cannot hold -----------------------------------------------------

UNRECORDABLE: list[Any] = [["x"], {"x": 1}, 2**70, "\ud800", date(2024, 5, 1)]


@pytest.mark.parametrize("infer", [True, False])
@pytest.mark.parametrize("profile", ["2.0.4", "2.2.1"])
@pytest.mark.parametrize("value", UNRECORDABLE, ids=ascii)
def test_a_created_at_that_the_history_cannot_hold_is_refused(
    make: Make, profile: str, value: Any, infer: bool
) -> None:
    memory = make(profile=profile)
    memory.say(("tea",))
    add = partial(memory.add, "tea", user_id="u", infer=infer, metadata={"created_at": value})
    error = refused(memory, add, ValidationError, "created_at cannot be stored in the history")
    assert "Use text for created_at" in str(error)


@pytest.mark.parametrize("profile", ["2.0.4", "2.2.1"])
@pytest.mark.parametrize("value", UNRECORDABLE, ids=ascii)
def test_a_memory_with_any_role_can_be_changed_and_removed(
    make: Make, profile: str, value: Any
) -> None:
    """A fact is stored with it, since the history row of a fact has no role."""
    memory = make(profile=profile)
    memory.say(("tea",), ("coffee",), ("milk",))
    added = [
        memory.add("hi", user_id="u", metadata={"role": value})["results"][0]["id"]
        for _ in range(3)
    ]
    memory.update(added[0], "green tea")
    memory.delete(added[0])
    assert [each["event"] for each in memory.history(added[0])] == ["ADD", "UPDATE", "DELETE"]
    memory.update(added[1], metadata={"role": value})
    memory.delete_all(user_id="u")
    assert memory.memories() == []


@pytest.mark.parametrize("profile", ["2.0.4", "2.2.1"])
@pytest.mark.parametrize(
    ("field", "value"), [("role", 2**70), ("content", ("tea",)), ("content", object())], ids=repr
)
def test_a_message_that_the_buffer_cannot_hold_is_refused(
    make: Make, profile: str, field: str, value: Any
) -> None:
    memory = make(profile=profile)
    memory.say(("tea",))
    said = [{"role": "user", "content": "tea"}, {"role": "user", "content": "tea", field: value}]
    add = partial(memory.add, said, user_id="u")
    refused(memory, add, ValidationError, f"the {field} of a message cannot be stored")
