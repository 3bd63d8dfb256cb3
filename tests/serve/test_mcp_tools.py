"""What the tools do, and what they refuse: everything but the transports."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import apsw
import pytest

pytest.importorskip("jsonschema")

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from isomem.contract.context import estimate_tokens
from isomem.errors import DatabaseError, InvalidConfigError, ValidationError, VectorStoreError
from isomem.memory_async import AsyncMemory
from isomem.serve.access import Access
from isomem.serve.grants import Grant
from isomem.serve.keys import RIGHTS, Key
from isomem.serve.mcp.session import open_local_session, open_session
from isomem.serve.mcp.settings import Settings
from isomem.serve.mcp.shown import fitting, how_many_fit, memory_shown, most_that_fit
from isomem.serve.mcp.toolbox import Toolbox
from isomem.serve.mcp.tools import TOOLS
from isomem.serve.problems import Problem
from tests.serve.mcp_parts import NAMES, failed, open_memory, used

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def box_of(memory: AsyncMemory, **given: Any) -> Toolbox:
    if not {"user_id", "agent_id", "run_id", "allow_scope"} & set(given):
        given["user_id"] = "ana"
    return Toolbox(open_local_session(memory, Settings(given)))


# --- What there is ---------------------------------------------------------------------------


def test_the_tools_are_those_that_clients_know() -> None:
    assert list(TOOLS) == NAMES


@pytest.mark.parametrize(
    ("name", "reads", "destroys", "repeats"),
    [
        ("add_memory", False, False, False),
        ("search_memories", True, False, True),
        ("get_memories", True, False, True),
        ("get_memory", True, False, True),
        ("update_memory", False, True, True),
        ("delete_memory", False, True, True),
        ("delete_all_memories", False, True, True),
        ("memory_history", True, False, True),
    ],
)
def test_the_annotations_of_a_tool_say_what_it_may_do(
    name: str, reads: bool, destroys: bool, repeats: bool
) -> None:
    assert TOOLS[name].hints == {
        "readOnlyHint": reads,
        "destructiveHint": destroys,
        "idempotentHint": repeats,
        "openWorldHint": False,
    }


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_the_schemas_are_valid_and_name_a_scope_only_where_the_model_may(
    name: str, allowed: bool
) -> None:
    tool = TOOLS[name]
    schema = tool.schema(Settings({"allow_scope": allowed}))
    Draft202012Validator.check_schema(schema)
    Draft202012Validator.check_schema(tool.output)
    assert ("user_id" in schema["properties"]) == (allowed and tool.has_scope)
    assert set(schema["required"]) <= set(schema["properties"])
    assert schema["additionalProperties"] is False
    assert all("description" in each for each in schema["properties"].values())


def test_a_key_is_offered_the_tools_that_it_has_the_right_to() -> None:
    async def work() -> None:
        memory = open_memory()
        for rights, count in ((["read"], 4), (["write"], 4), (["read", "write"], 8)):
            key = Key("k", "k", b"", rights, (Grant({"user_id": "ana"}),))
            session = open_session(Access(memory, key), {}, Settings())
            assert len(Toolbox(session).listed()) == count
        await memory.aclose()

    run(work())


# --- What they do ----------------------------------------------------------------------------


def test_every_tool_answers_what_its_schema_says() -> None:
    async def work() -> None:
        memory = open_memory()
        box = box_of(memory)

        async def checked(name: str, **arguments: Any) -> dict[str, Any]:
            found = await used(box, name, **arguments)
            Draft202012Validator(TOOLS[name].output).validate(found)
            return found

        text, moment = "Ana trinkt grünen Tee 🍵 in 京都", "2026-05-01T12:00:00+02:00"
        added = await checked(
            "add_memory", text=text, infer=False, metadata={"n": 1}, timestamp=moment
        )
        (new,) = added["memories"]
        assert (new["memory"], new["date"]) == (text, "2026-05-01T10:00:00Z")
        assert new["metadata"] == {"n": 1}
        said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        added = await checked("add_memory", messages=said, infer=False)
        assert [each["memory"] for each in added["memories"]] == ["a", "b"]
        found = await checked("search_memories", query=text, top_k=1)
        assert [each["id"] for each in found["memories"]] == [new["id"]]
        assert 0 <= found["memories"][0]["score"] <= 1
        assert found["left_out"] == 0
        found = await checked("search_memories", query=text, filters={"n": {"gte": 2}})
        assert found["memories"] == []
        page = await checked("get_memories", page_size=2)
        assert page["total"] == 3
        rest = await checked("get_memories", cursor=page["next_cursor"])
        assert rest["next_cursor"] is None
        assert rest["memories"][-1]["id"] == new["id"], "what was said first comes last"
        assert (await checked("get_memory", memory_id=new["id"]))["memory"] == new
        changed = await checked("update_memory", memory_id=new["id"], text="Ana trinkt Kaffee")
        assert changed["memory"] == {**new, "memory": "Ana trinkt Kaffee"}
        assert (await checked("delete_memory", memory_id=new["id"]))["memory_id"] == new["id"]
        told = await checked("memory_history", memory_id=new["id"])
        assert [each["event"] for each in told["events"]] == ["ADD", "UPDATE", "DELETE"]
        assert all(each["date"] for each in told["events"])
        assert await checked("delete_all_memories")
        assert (await checked("get_memories"))["total"] == 0
        await memory.aclose()

    run(work())


def test_facts_are_extracted_where_a_model_is_configured() -> None:
    async def work() -> None:
        replies = [{"memory": [{"text": "Ana likes green tea"}]}, {"memory": []}]
        memory = open_memory(llm={"provider": "mock", "config": {"replies": replies}})
        box = box_of(memory)
        added = await used(box, "add_memory", text="Hi, I am Ana! I like green tea.")
        assert [each["memory"] for each in added["memories"]] == ["Ana likes green tea"]
        nothing = await box.use("add_memory", {"text": "Hello again."})
        assert nothing.structured == {"memories": []}
        assert nothing.text == "There was nothing new in it worth remembering."
        await memory.aclose()

    run(work())


def test_without_a_model_nothing_is_stored_and_it_says_what_to_do() -> None:
    async def work() -> None:
        memory = open_memory()
        said = await failed(box_of(memory), "add_memory", text="I like tea")
        assert "infer=false" in said
        assert "ISOMEM_MODEL" in said
        assert (await used(box_of(memory), "get_memories"))["total"] == 0
        raw = box_of(memory, user_id="ana", infer=False)
        assert len((await used(raw, "add_memory", text="Ana likes tea"))["memories"]) == 1
        await memory.aclose()

    run(work())


def test_text_shows_every_memory_with_its_day_and_id() -> None:
    memory = {"id": "m1", "memory": "Ana moved.\nTo Lisbon.", "created_at": "2026-05-02T01:00:00Z"}
    shown = memory_shown(memory, {})
    assert shown.line == "- [2026-05-02] Ana moved.\n  To Lisbon. (id: m1)"
    said = {**memory, "metadata": {"event_time": "2026-04-30T23:30:00-01:00", "a": 1}}
    assert memory_shown(said, {}).structured["date"] == "2026-05-01T00:30:00Z"
    assert memory_shown(said, {}).structured["metadata"] == {"a": 1}
    undated = memory_shown({**memory, "created_at": None}, {})
    assert undated.structured["date"] is None
    assert "[undated]" in undated.line


def test_ids_of_the_session_are_not_repeated_and_others_are_shown() -> None:
    memory = {"id": "m", "memory": "x", "created_at": None, "user_id": "ana", "run_id": "r"}
    assert memory_shown(memory, {"user_id": "ana"}).structured.keys() == {
        "id", "memory", "date", "run_id",
    }  # fmt: skip


# --- The budget ------------------------------------------------------------------------------


def test_a_thousand_memories_stay_within_the_budget_and_can_all_be_read() -> None:
    async def work() -> None:
        memory = open_memory()
        texts = [f"Ana has read book {n} and liked it" for n in range(1000)]
        said = [{"role": "user", "content": text} for text in texts]
        await memory.add(said, user_id="ana", infer=False)
        box = box_of(memory)
        outcome = await box.use("search_memories", {"query": "book", "top_k": 1000})
        assert outcome.structured is not None
        kept, left = len(outcome.structured["memories"]), outcome.structured["left_out"]
        assert kept > 10
        assert left > 0
        assert f"{left} more did not fit into 2,000 tokens" in outcome.text
        assert estimate_tokens(outcome.text) < 2100
        seen: list[str] = []
        box = box_of(memory, max_tokens=9000)
        page = await used(box, "get_memories", page_size=1000)
        assert page["total"] == 1000
        while page["next_cursor"]:
            assert estimate_tokens(str(page["memories"])) < 10_000
            seen += [each["memory"] for each in page["memories"]]
            page = await used(box, "get_memories", page_size=1000, cursor=page["next_cursor"])
        seen += [each["memory"] for each in page["memories"]]
        assert sorted(seen) == sorted(texts)
        await memory.aclose()

    run(work())


def test_a_search_says_what_a_score_is_made_of_only_if_it_is_asked() -> None:
    async def work() -> None:
        memory = open_memory()
        box = box_of(memory, max_tokens=2000)
        await used(box, "add_memory", text="Ana likes tea", infer=False)
        [plain] = (await used(box, "search_memories", query="tea"))["memories"]
        [told] = (await used(box, "search_memories", query="tea", explain=True))["memories"]
        [found] = (await memory.search("tea", filters={"user_id": "ana"}, explain=True))["results"]
        assert "score_details" not in plain
        assert told["score_details"].keys() == found["score_details"].keys()
        for name, value in found["score_details"].items():
            assert told["score_details"][name] == pytest.approx(value, abs=0.001)
        assert {**told, "score_details": None} == {**plain, "score_details": None}
        await memory.aclose()

    run(work())


def test_a_memory_larger_than_the_budget_is_left_out_of_a_search_but_not_of_a_list() -> None:
    async def work() -> None:
        memory = open_memory()
        box = box_of(memory, max_tokens=200)
        await used(box, "add_memory", text="tea " * 1000, infer=False)
        await used(box, "add_memory", text="tea", infer=False)
        found = await used(box, "search_memories", query="tea")
        assert [each["memory"] for each in found["memories"]] == ["tea"]
        assert found["left_out"] == 1
        page = await used(box, "get_memories", order="oldest")
        assert len(page["memories"]) == 1
        assert page["next_cursor"]
        await memory.aclose()

    run(work())


@given(st.lists(st.text(max_size=200), max_size=20), st.integers(0, 300))
@settings(max_examples=50)
def test_what_fits_is_whole_in_order_and_within_the_budget(texts: list[str], most: int) -> None:
    items = [memory_shown({"id": "m", "memory": text, "created_at": None}, {}) for text in texts]
    assert len(kept := fitting(items, most)) <= most_that_fit(most)

    assert sum(each.tokens for each in kept) <= most
    assert [each for each in items if each in kept] == kept
    count = how_many_fit(items, most)
    assert count == 1 or sum(each.tokens for each in items[:count]) <= most


# --- Whose memories --------------------------------------------------------------------------


def test_a_model_cannot_leave_its_scope() -> None:
    async def work() -> None:
        memory = open_memory()
        bob = (await memory.add("Bob's secret", user_id="bob", infer=False))["results"][0]["id"]
        box = box_of(memory)
        await used(box, "add_memory", text="Ana's tea", infer=False)
        for name in ("get_memory", "delete_memory", "memory_history"):
            assert "not found" in await failed(box, name, memory_id=bob)
        assert "not found" in await failed(box, "update_memory", memory_id=bob, text="x")
        said = await failed(box, "search_memories", query="secret", user_id="bob")
        assert "does not take 'user_id'" in said
        assert "user_id 'ana'" in said
        for name in ("add_memory", "delete_all_memories", "get_memories"):
            assert "does not take" in await failed(box, name, user_id="bob")
        for filters in ({"user_id": "bob"}, {"user_id": "*"}, {"agent_id": ["x"]}):
            await failed(box, "search_memories", query="secret", filters=filters)
        for group in ("OR", "$or", "NOT"):
            found = await used(
                box, "search_memories", query="secret", filters={group: [{"user_id": "bob"}]}
            )
            assert "secret" not in str(found)
        await used(box, "delete_all_memories")
        assert (await memory.get(bob) or {}).get("memory") == "Bob's secret"
        await memory.aclose()

    run(work())


def test_a_star_in_an_id_of_a_session_is_a_star() -> None:
    async def work() -> None:
        memory = open_memory()
        bob = (await memory.add("Bob's", user_id="bob", infer=False))["results"][0]["id"]
        box = box_of(memory, user_id="*")
        await failed(box, "get_memory", memory_id=bob)
        assert (await used(box, "get_memories"))["total"] == 0
        await used(box, "add_memory", text="a star's", infer=False)
        assert (await used(box, "get_memories"))["total"] == 1
        await memory.aclose()

    run(work())


def test_a_model_that_may_name_a_scope_has_the_usual_one_unless_it_does() -> None:
    async def work() -> None:
        memory = open_memory()
        box = box_of(memory, allow_scope=True, user_id="ana")
        await used(box, "add_memory", text="Ana's", infer=False)
        await used(box, "add_memory", text="Bob's", infer=False, user_id="bob", run_id="r")
        (ana,) = (await used(box, "get_memories"))["memories"]
        assert (ana["memory"], ana["user_id"]) == ("Ana's", "ana")
        (bob,) = (await used(box, "get_memories", user_id="bob"))["memories"]
        assert (bob["memory"], bob["run_id"]) == ("Bob's", "r")
        found = await used(box, "search_memories", query="Bob's", filters={"user_id": "bob"})
        assert [each["id"] for each in found["memories"]] == [bob["id"]]
        assert (await used(box, "get_memory", memory_id=bob["id"]))["memory"] == bob
        await used(box, "delete_all_memories", user_id="bob")
        assert (await used(box, "get_memories"))["total"] == 1
        await memory.aclose()

    run(work())


def test_a_model_that_may_name_a_scope_must_if_there_is_no_usual_one() -> None:
    async def work() -> None:
        memory = open_memory()
        await memory.add("Ana's", user_id="ana", infer=False)
        box = box_of(memory, allow_scope=True)
        for name in ("get_memories", "delete_all_memories"):
            assert "a user_id, an agent_id or a run_id" in await failed(box, name)
        assert (await used(box, "get_memories", user_id="ana"))["total"] == 1
        await memory.aclose()

    run(work())


def test_a_key_is_stronger_than_what_the_model_may_name() -> None:
    async def work() -> None:
        memory = open_memory()
        await memory.add("Bob's", user_id="bob", infer=False)
        grants = (Grant({"user_id": "ana"}), Grant({"user_id": "team-*"}))
        access = Access(memory, Key("k", "k", b"", RIGHTS, grants))
        box = Toolbox(open_session(access, {}, Settings({"allow_scope": True})))
        await failed(box, "get_memories", user_id="bob")
        await failed(box, "add_memory", text="x", infer=False, user_id="bob")
        await used(box, "add_memory", text="x", infer=False, user_id="team-1")
        assert (await used(box, "get_memories", user_id="team-1"))["total"] == 1
        await memory.aclose()

    run(work())


def test_a_session_without_a_scope_is_refused_and_told_what_to_set() -> None:
    memory = open_memory()
    with pytest.raises(ValidationError, match="ISOMEM_USER_ID"):
        open_local_session(memory, Settings())
    with pytest.raises(ValueError, match="whitespace"):
        open_local_session(memory, Settings({"user_id": "two words"}))
    memory.close()


# --- What goes wrong -------------------------------------------------------------------------


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("add_memory", {}, "Give either text or messages."),
    ("add_memory", {"text": "a", "messages": [{"role": "user", "content": "a"}]}, "either"),
    ("add_memory", {"messages": []}, "messages"),
    ("add_memory", {"messages": [{"role": "user"}]}, "'content' is a required property"),
    ("add_memory", {"text": 5}, "text: 5 is not of type 'string'."),
    ("add_memory", {"text": "a", "infer": "no"}, "infer"),
    ("add_memory", {"text": "a", "infer": False, "timestamp": "soon"}, "not a moment"),
    ("add_memory", {"text": "a", "infer": False, "expiration_date": "soon"}, "YYYY-MM-DD"),
    ("add_memory", {"text": "a", "metadata": []}, "metadata"),
    ("add_memory", {"txt": "a"}, "Did you mean 'text'?"),
    ("search_memories", {}, "'query' is a required property."),
    ("search_memories", {"query": ""}, "query"),
    ("search_memories", {"query": "  "}, "query"),
    ("search_memories", {"query": "a", "top_k": 0}, "top_k"),
    ("search_memories", {"query": "a", "top_k": True}, "top_k"),
    ("search_memories", {"query": "a", "filters": {"n": {"above": 3}}}, "above"),
    ("search_memories", {"query": "a\ud800"}, "surrogate"),
    ("get_memories", {"page_size": 1001}, "page_size"),
    ("get_memories", {"order": "best"}, "order"),
    ("get_memories", {"cursor": "nonsense"}, "cursor"),
    ("get_memory", {"memory_id": "none"}, "search_memories and get_memories show the ids"),
    ("get_memory", {"memory_id": 7}, "memory_id"),
    ("update_memory", {"memory_id": "none"}, "'text' is a required property"),
    ("update_memory", {"memory_id": "none", "text": ""}, "text"),
    ("update_memory", {"memory_id": "none", "text": "x"}, "not found"),
    ("delete_memory", {"memory_id": "none"}, "not found"),
    ("memory_history", {"memory_id": "none"}, "not found"),
    ("delete_all_memories", {"sure": True}, "does not take 'sure'"),
]


@pytest.mark.parametrize("allowed", [False, True])
def test_bad_arguments_are_refused_in_words_and_change_nothing(allowed: bool) -> None:
    async def work() -> None:
        memory = open_memory()
        box = box_of(memory, user_id="ana", allow_scope=allowed)
        for name, arguments, words in BAD:
            assert words in await failed(box, name, **arguments), name
        assert (await used(box, "get_memories"))["total"] == 0
        await memory.aclose()

    run(work())


def test_a_failure_of_ours_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        memory = open_memory()

        async def broken(*_: object, **__: object) -> None:
            raise KeyError("inner secret")

        memory.search = broken  # type: ignore[method-assign, assignment]
        box = box_of(memory)
        said = await failed(box, "search_memories", query="a")
        assert "secret" not in said
        assert "log" in said
        assert "inner secret" in caplog.text
        await memory.aclose()

    run(work())


def test_what_was_stored_is_not_reported_as_failed_because_it_cannot_be_read() -> None:
    async def work() -> None:
        memory = open_memory()
        key = Key("k", "k", b"", ["write"], (Grant({"user_id": "ana"}),))
        box = Toolbox(open_session(Access(memory, key), {}, Settings({"infer": False})))
        added = await used(box, "add_memory", text="Ana likes tea")
        assert [each["memory"] for each in added["memories"]] == ["Ana likes tea"]
        memory_id = added["memories"][0]["id"]
        changed = await used(box, "update_memory", memory_id=memory_id, text="Ana likes cake")
        assert changed["memory"]["memory"] == "Ana likes cake"

        async def broken(_: str) -> None:
            raise DatabaseError("the disk is gone")

        reader = box_of(memory, user_id="ana", infer=False)
        memory.get = broken  # type: ignore[method-assign, assignment]
        assert len((await used(reader, "add_memory", text="more"))["memories"]) == 1
        await memory.aclose()

    run(work())


FAULTS = [
    DatabaseError("the disk is gone"),
    ValueError("what was stored cannot be read"),
    KeyError("a fault of ours"),
    Problem(504, "TIMEOUT_001", "It took more than 120 seconds. Nothing was changed."),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: type(each).__name__)
def test_what_was_stored_is_told_whatever_fails_then(fault: Exception) -> None:
    async def work() -> None:
        memory = open_memory()
        session = open_local_session(memory, Settings({"user_id": "ana", "infer": False}))
        own, box = session.call, Toolbox(session)

        async def call(name: str, arguments: Any) -> Any:
            if name == "get":
                raise fault
            return await own(name, arguments)

        session.call = call
        (new,) = (await used(box, "add_memory", text="Ana likes tea"))["memories"]
        assert new["memory"] == "Ana likes tea"
        changed = await used(box, "update_memory", memory_id=new["id"], text="Ana likes cake")
        assert changed["memory"]["memory"] == "Ana likes cake"
        await memory.aclose()

    run(work())


IN_DOUBT = [
    apsw.BusyError("a file of the service"),
    DatabaseError("the connection broke"),
    VectorStoreError("the server did not answer"),
    KeyError("a fault of ours"),
]


@pytest.mark.parametrize("fault", IN_DOUBT, ids=lambda each: type(each).__name__)
def test_nobody_is_told_that_nothing_was_changed_where_that_is_not_known(fault: Exception) -> None:
    """It is stored here, and only the answer is lost."""

    async def work() -> None:
        memory = open_memory()
        session = open_local_session(memory, Settings({"user_id": "ana", "infer": False}))
        own, box = session.call, Toolbox(session)

        async def call(name: str, arguments: Any) -> Any:
            await own(name, arguments)
            raise fault

        session.call = call
        said = await failed(box, "add_memory", text="Ana likes tea")
        assert "Nothing was changed" not in said
        assert "not known" in said
        assert "may be stored" in said
        assert "search_memories before you add it again" in said
        (new,) = (await memory.get_all(filters={"user_id": "ana"}))["results"]
        said = await failed(box, "update_memory", memory_id=new["id"], text="Ana likes cake")
        assert "not known" in said
        assert "Doing it again does no harm" in said
        assert "not known" not in await failed(box, "get_memories")
        await memory.aclose()

    run(work())


def test_what_is_refused_before_it_is_stored_is_not_put_in_doubt() -> None:
    async def work() -> None:
        memory = open_memory()
        box = box_of(memory)
        for arguments in ({"text": ""}, {"text": "I like tea"}, {}):
            said = await failed(box, "add_memory", **arguments)
            assert "not known" not in said
            assert "may be stored" not in said
        await memory.aclose()

    run(work())


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidConfigError, match="max_tokens"):
        Settings({"max_tokens": "many"})
    with pytest.raises(InvalidConfigError, match="allow_scope"):
        Settings({"allow_scop": True})


def test_the_tools_need_neither_the_sdk_nor_a_web_framework(tmp_path: Path) -> None:
    import subprocess
    import sys

    from tests.serve.mcp_parts import environment

    code = "import sys, isomem.serve.mcp.toolbox, isomem.cli.parser; print([name for name in "
    code += "('mcp', 'pydantic', 'starlette', 'fastapi', 'jsonschema') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True, capture_output=True, text=True, env=environment(), cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
