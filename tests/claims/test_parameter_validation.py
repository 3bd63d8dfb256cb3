"""Arguments that are refused, with which error; and those that only look as if they should be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.claims.conftest import Called
from tests.claims.sides import both, examples

IDS = ("user_id", "agent_id", "run_id")
NAN = float("nan")


class Ours:
    """isomem's checks, under the names that the claims use."""

    def __init__(self) -> None:
        from isomem.contract import arguments, v2_0_4

        self.threshold, self.top_k = arguments.check_threshold, arguments.check_top_k
        self.refuse_ids = arguments.refuse_top_level_ids
        self._arguments, self._profile = arguments, v2_0_4

    def trim(self, value: Any, name: str) -> Any:
        others = {"user_id": "u", "agent_id": "a"}
        return self._arguments.check_ids({**others, name: value}).get(name)

    def metadata_and_ids(self, metadata: Any, **ids: Any) -> tuple[Any, Any]:
        checked = self._arguments.check_ids(ids)
        return self._profile.stamp(metadata, checked), checked


class Theirs:
    """mem0's checks, under the same names."""

    def __init__(self) -> None:
        from mem0.memory import main

        self._main = main
        self.trim = main._validate_and_trim_entity_id
        self.refuse_ids = main._reject_top_level_entity_params

    def threshold(self, value: Any) -> None:
        self._main._validate_search_params(threshold=value)

    def top_k(self, value: Any) -> None:
        self._main._validate_search_params(top_k=value)

    def metadata_and_ids(self, metadata: Any, **ids: Any) -> tuple[Any, Any]:
        found: tuple[Any, Any] = self._main._build_filters_and_metadata(
            input_metadata=metadata, **ids
        )
        return found


side = both(Ours, Theirs)


# --- One id ----------------------------------------------------------------------------------


@examples(150)
@given(st.text(st.sampled_from("ab-@.é東\t \n\u00a0\u3000\x1f\x85"), max_size=6))
def test_an_id_is_any_text_without_space_in_it(side: Any, text: str) -> None:
    inner = text.strip()
    if inner and not any(map(str.isspace, inner)):
        assert side.trim(text, "run_id") == inner
    else:
        said = "cannot contain whitespace" if inner else "cannot be empty or whitespace-only"
        with pytest.raises(ValueError, match=f"^Invalid run_id: {said}"):
            side.trim(text, "run_id")


def test_no_id_is_no_error(side: Any) -> None:
    assert side.trim(None, "user_id") is None


# --- The ids of a call -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "kept"),
    [
        ({"user_id": "ines"}, {"user_id": "ines"}),
        ({"agent_id": " bot\n"}, {"agent_id": "bot"}),
        ({"run_id": "7", "user_id": "ines"}, {"user_id": "ines", "run_id": "7"}),
        (dict.fromkeys(IDS, "x"), dict.fromkeys(IDS, "x")),
        ({"user_id": None, "run_id": "7"}, {"run_id": "7"}),
    ],
)
def test_ids_are_stored_trimmed_beside_the_metadata(side: Any, ids: Any, kept: Any) -> None:
    metadata, scope = side.metadata_and_ids({"mood": "fine", "tags": ["a"]}, **ids)
    assert metadata == {"mood": "fine", "tags": ["a"], **kept}
    assert list(metadata) == ["mood", "tags", *kept]
    assert scope == kept


def test_the_callers_metadata_is_copied_to_its_depth(side: Any) -> None:
    given_ = {"tags": ["a"]}
    stamped, _ = side.metadata_and_ids(given_, user_id="ines")
    stamped["tags"].append("b")
    assert given_ == {"tags": ["a"]}


@pytest.mark.parametrize("metadata", [None, {}])
def test_without_metadata_the_ids_are_all(side: Any, metadata: Any) -> None:
    assert side.metadata_and_ids(metadata, agent_id="bot")[0] == {"agent_id": "bot"}


def test_an_id_in_the_metadata_never_replaces_the_one_of_the_call(side: Any) -> None:
    stamped, scope = side.metadata_and_ids({"user_id": "victim"}, user_id="ines")
    assert stamped == scope == {"user_id": "ines"}


def test_an_id_in_the_metadata_alone_is_left_out_where_mem0_takes_it(memory: Called) -> None:
    """Divergence D-05."""
    memory.result(
        "add", messages="x", infer=False, agent_id="bot", metadata={"user_id": "victim", "n": 1}
    )
    assert memory.texts("victim") == ([] if memory.is_isomem else ["x"])
    [stored] = memory.result("get_all", filters={"agent_id": "bot"})["results"]
    assert stored["metadata"] == {"n": 1}


@pytest.mark.parametrize("ids", [{}, dict.fromkeys(IDS)])
def test_one_id_is_needed(side: Any, ids: Any) -> None:
    with pytest.raises(Exception, match="At least one of 'user_id', 'agent_id', or 'run_id'") as e:
        side.metadata_and_ids({"user_id": "only here"}, **ids)
    assert type(e.value).__name__ == "ValidationError"
    assert e.value.error_code == "VALIDATION_001"
    assert e.value.details == {"provided_ids": dict.fromkeys(IDS)}


@pytest.mark.parametrize("name", IDS)
def test_ids_belong_into_the_filters(side: Any, name: str) -> None:
    side.refuse_ids({"limit": 3, "org_id": "x"}, "search")
    for value in ("ines", None):
        with pytest.raises(ValueError, match=rf"{name}.* are not supported in get_all\(\)"):
            side.refuse_ids({name: value, "limit": 3}, "get_all")


# --- threshold and top_k ---------------------------------------------------------------------


def accepts(check: Any, value: Any) -> bool:
    try:
        check(value)
    except ValueError:
        return False
    return True


@examples(200)
@given(st.floats(allow_nan=False) | st.integers() | st.sampled_from((0, 1, 0.0, 1.0, True, False)))
def test_a_threshold_is_from_0_to_1_both_included(side: Any, value: Any) -> None:
    assert accepts(side.threshold, value) == (0 <= value <= 1)


@pytest.mark.parametrize("value", ["0.5", "", [], {}, [0.5], 1j, object()])
def test_a_threshold_is_a_number(side: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^threshold must be a valid number$"):
        side.threshold(value)


def test_a_threshold_may_be_left_open(side: Any) -> None:
    assert accepts(side.threshold, None)


def test_nan_is_no_threshold_where_mem0_takes_it(side: Any) -> None:
    """Divergence D-16."""
    assert accepts(side.threshold, NAN) == isinstance(side, Theirs)


@examples(150)
@given(st.integers() | st.integers(-3, 3))
def test_top_k_is_from_0_on(side: Any, value: int) -> None:
    assert accepts(side.top_k, value) == (value >= 0)


@pytest.mark.parametrize("value", [True, False, 2.0, "2", [], NAN, object()])
def test_top_k_is_an_integer(side: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^top_k must be a valid integer$"):
        side.top_k(value)


# --- Whole calls -----------------------------------------------------------------------------

ADD = {"messages": "Sings in a choir", "infer": False}
ASK = {"query": "choir"}
MINE = {"user_id": "u"}

REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("add", {**ADD, "user_id": ""}, "ValueError", "Invalid user_id: cannot be empty"),
    ("add", {**ADD, "user_id": "u", "run_id": "a b"}, "ValueError", "Invalid run_id: cannot"),
    ("add", ADD, "ValidationError", "At least one of"),
    ("add", {"messages": 7, **MINE}, "ValidationError", "messages must be str, dict, or list"),
    ("add", {"messages": None, **MINE}, "ValidationError", "messages must be str, dict, or list"),
    ("add", {"messages": ("a",), **MINE}, "ValidationError", "messages must be str, dict, or list"),
    ("search", {**ASK, "filters": {}}, "ValueError", "filters must contain at least one of"),
    ("search", {**ASK, "filters": None}, "ValueError", "filters must contain at least one of"),
    ("search", {**ASK, "filters": {"n": 1}}, "ValueError", "filters must contain at least one of"),
    ("search", {**ASK, "filters": {"AND": [MINE]}}, "ValueError", "filters must contain at least"),
    ("search", {**ASK, "filters": {"agent_id": "\t"}}, "ValueError", "Invalid agent_id: cannot be"),
    ("search", {**ASK, "filters": MINE, "user_id": "u"}, "ValueError", "Top-level entity"),
    ("search", {**ASK, "filters": MINE, "threshold": 1.01}, "ValueError", "threshold: 1.01. Must"),
    ("search", {**ASK, "filters": MINE, "threshold": "1"}, "ValueError", "threshold must be"),
    ("search", {**ASK, "filters": MINE, "top_k": -2}, "ValueError", "Invalid top_k: -2"),
    ("search", {**ASK, "filters": MINE, "top_k": True}, "ValueError", "top_k must be a valid"),
    ("get_all", {}, "ValueError", "filters must contain at least one of"),
    ("get_all", {"filters": {"user_id": "a b"}}, "ValueError", "Invalid user_id: cannot contain"),
    ("get_all", {"filters": MINE, "run_id": None}, "ValueError", "Top-level entity"),
    ("get_all", {"filters": MINE, "top_k": 1.5}, "ValueError", "top_k must be a valid"),
    ("get_all", {"filters": MINE, "top_k": -1}, "ValueError", "Invalid top_k: -1"),
    ("get_all", {"filters": MINE, "top_k": 0}, "ValueError", "limit value 0 is invalid"),
    ("update", {"memory_id": "no-such-id", "data": "x"}, "ValueError", "no-such-id"),
    ("delete", {"memory_id": "no-such-id"}, "ValueError", "no-such-id"),
    ("delete_all", {}, "ValueError", "At least one filter is required"),
    ("delete_all", {"user_id": None}, "ValueError", "At least one filter is required"),
    ("delete_all", {"user_id": "", "run_id": ""}, "ValueError", "At least one filter is required"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "arguments", "kind", "message"), REFUSED)
def test_a_refused_call_says_why_and_changes_nothing(
    memory: Called, method: str, arguments: Any, kind: str, message: str
) -> None:
    before = memory("add", user_id="u", **ADD).state
    trace = memory(method, **arguments)
    assert trace.error is not None
    assert trace.error["type"] == kind
    assert message in trace.error["message"]
    assert trace.state == before
    assert trace.prompts == []


TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("add", {"messages": [], **MINE}),
    ("add", {"messages": {"role": "user", "content": "Sings"}, **MINE}),
    ("add", {"messages": "", **MINE, "infer": False}),
    ("add", {**ADD, **MINE, "metadata": {}, "memory_type": None}),
    ("search", {**ASK, "filters": {"user_id": " u "}, "threshold": 0, "top_k": 0}),
    ("search", {**ASK, "filters": MINE, "threshold": None}),
    ("search", {**ASK, "filters": MINE, "limit": "unknown", "version": 2}),
    ("search", {**ASK, "filters": {"user_id": "nobody"}}),
    ("get_all", {"filters": {"run_id": "none"}, "top_k": 1}),
    ("get_all", {"filters": {**MINE, "AND": [{"n": 1}]}}),
    ("delete_all", {"user_id": "nobody"}),
    ("history", {"memory_id": "no-such-id"}),
]


@pytest.mark.parametrize(("method", "arguments"), TAKEN)
def test_what_looks_odd_is_taken(memory: Called, method: str, arguments: Any) -> None:
    memory.result(method, **arguments)


def test_the_code_of_messages_of_a_wrong_type(memory: Called) -> None:
    error = memory("add", messages=7, user_id="u").error
    assert error is not None
    assert error["code"] == "VALIDATION_003"
    assert error["details"]["provided_type"] == "int"


def test_a_memory_type_is_the_one_there_is(memory: Called) -> None:
    """Divergence D-12: mem0's asynchronous class raises another error."""
    error = memory("add", **ADD, user_id="u", memory_type="semantic_memory").error
    assert error is not None
    if memory.is_isomem or memory.kind == "sync":
        assert error["type"] == "ValidationError"
        assert error["code"] == "VALIDATION_002"
        assert error["details"]["valid_type"] == "procedural_memory"
    else:
        assert error["type"] == "ValueError"
    assert "procedural_memory" in error["message"]


@pytest.mark.parametrize("query", ["", " \n"])
def test_a_blank_query_is_refused_where_mem0_searches(memory: Called, query: str) -> None:
    """Divergence D-11."""
    trace = memory("search", query=query, filters=MINE)
    assert (trace.error or {}).get("type") == ("ValueError" if memory.is_isomem else None)
