"""A conversation is taken in once: however often it is run, wherever it was stopped."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem import Memory
from isomem.errors import DatabaseError, EmbeddingError, LLMError, ValidationError
from isomem.ingest import Ingest, Line, Step, chunks_of, read_conversation, read_replies
from isomem.testing import Recorder, ScriptedLLM
from tests.unit.store.fuzz import examples

ROOT = Path(__file__).resolve().parents[2]
ANA = {"user_id": "ana"}


def messages(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": f"message {i}", **fields} for i in range(count)]


def lines(values: list[dict[str, Any]]) -> list[Line]:
    return read_conversation(map(json.dumps, values))


def facts(number: int) -> dict[str, Any]:
    return {"memory": [{"id": "0", "text": f"fact {number}", "attributed_to": "user"}]}


def open_memory(path: Any, **options: Any) -> Memory:
    return Memory.from_config(
        {
            "embedder": {"provider": "mock", "config": {"embedding_dims": 32}},
            "llm": {"provider": "mock"},
            "nlp": {"provider": "none"},
            "vector_store": {"provider": "embedded", "config": {"path": str(path)}},
            "raise_on_llm_error": True,
            **options,
        }
    )


@pytest.fixture
def memory() -> Iterator[Memory]:
    with open_memory(":memory:") as memory:
        yield memory


def run(memory: Memory, values: list[dict[str, Any]], **options: Any) -> list[Step]:
    options = {"ids": ANA, "chunk": 2, "source": "talk.jsonl", **options}
    return list(Ingest(memory, lines(values), **options))


def raw(memory: Memory, values: list[dict[str, Any]], **options: Any) -> list[Step]:
    return run(memory, values, infer=False, **options)


def texts(memory: Memory, user: str = "ana") -> list[str]:
    found = memory.get_all(filters={"user_id": user}, top_k=1000)["results"]
    return sorted(each["memory"] for each in found)


# --- Reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "is not a JSON object"),
        ('{"content": "x"}', "has no 'role'"),
        ('{"role": 1, "content": "x"}', "has no 'role'"),
        ('{"role": "user"}', "has no 'content'"),
        ('{"role": "user", "content": " "}', "has no 'content'"),
        ('{"role": "user", "content": ["x"]}', "has no 'content'"),
        ('{"role": "user", "content": "x", "timestamp": "yesterday"}', "not ISO 8601"),
        ('{"role": "user", "content": "x", "timestamp": 5}', "not ISO 8601"),
        ('{"role": "user", "content": "\\ud800"}', "not valid Unicode"),
    ],
)
def test_a_line_that_is_no_message_is_refused_by_its_number(bad: str, fault: str) -> None:
    with pytest.raises(ValidationError, match=f"line 3.*{fault}"):
        read_conversation(['{"role": "user", "content": "good"}', "\n", bad])


def test_times_are_read_with_and_without_a_zone() -> None:
    given = ["2025-03-05T20:10:00Z", "2025-03-05 20:10", "2025-03-05T20:10:00+02:00"]
    found = lines([{"role": "user", "content": "x", "timestamp": each} for each in given])
    assert [line.timestamp for line in found] == [
        "2025-03-05T20:10:00+00:00",
        "2025-03-05T20:10:00+00:00",
        "2025-03-05T20:10:00+02:00",
    ]


def test_replies_are_read_as_objects_as_text_and_as_recorded(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    question = [{"role": "user", "content": "?"}]
    Recorder(ScriptedLLM(["recorded"]), path).generate_response(question)
    path.write_text(path.read_text() + json.dumps(facts(1)) + '\n"plain"\n')
    assert read_replies(path.read_text().splitlines()) == ["recorded", facts(1), "plain"]


# --- Chunks ----------------------------------------------------------------------------------


def ends(values: list[dict[str, Any]], most: int, infer: bool = True) -> list[int]:
    return [chunk.end for chunk in chunks_of(lines(values), most, infer=infer)]


def test_a_chunk_has_at_most_so_many_messages() -> None:
    assert ends(messages(5), 2) == [2, 4, 5]
    assert ends(messages(4), 2) == [2, 4]
    assert ends([], 2) == []


def test_a_chunk_ends_with_its_session_and_with_its_day() -> None:
    by_session = messages(3, session="a") + messages(2, session="b")
    assert ends(by_session, 10) == [3, 5]
    by_day = messages(3, timestamp="2025-03-05T23:00Z") + messages(1, timestamp="2025-03-06T01:00Z")
    assert ends(by_day, 10) == [3, 4]


def test_raw_messages_of_another_time_are_another_chunk() -> None:
    values = messages(2, timestamp="2025-03-05T10:00Z") + messages(1, timestamp="2025-03-05T11:00Z")
    assert ends(values, 10, infer=False) == [2, 3]
    assert ends(values, 10) == [3]


# --- Taking in -------------------------------------------------------------------------------


def test_each_chunk_is_one_call_of_the_model(memory: Memory) -> None:
    memory.llm = llm = ScriptedLLM([facts(0), facts(1), facts(2)])
    steps = run(memory, messages(5))
    assert [(step.messages, step.total, step.memories) for step in steps] == [
        (2, 5, 1),
        (4, 5, 2),
        (5, 5, 3),
    ]
    assert len(llm.calls) == 3
    assert "user: message 2\nuser: message 3\n" in llm.calls[1]["messages"][1]["content"]
    assert texts(memory) == ["fact 0", "fact 1", "fact 2"]


def test_the_model_is_told_the_day_and_the_memory_has_the_time(memory: Memory) -> None:
    memory.llm = llm = ScriptedLLM([facts(0)])
    run(memory, messages(2, timestamp="2023-05-08T13:56:00Z", session="s1"), metadata={"from": "x"})
    assert "## Observation Date\n2023-05-08" in llm.calls[0]["messages"][1]["content"]
    [found] = memory.get_all(filters=ANA)["results"]
    time = "2023-05-08T13:56:00+00:00"
    assert found["metadata"] == {"session": "s1", "from": "x", "event_time": time}
    assert found["created_at"] > "2026"


def test_raw_messages_are_stored_as_they_are(memory: Memory) -> None:
    said = {"role": "user", "content": "hello", "name": "Ana"}
    raw(memory, [said, {"role": "assistant", "content": "hi"}])
    found = memory.get_all(filters=ANA)["results"]
    assert sorted((each["role"], each["memory"], each.get("actor_id")) for each in found) == [
        ("assistant", "hi", None),
        ("user", "hello", "Ana"),
    ]


def test_prepared_replies_stand_in_for_the_model(memory: Memory) -> None:
    run(memory, messages(4), replies=[facts(0), facts(1)])
    assert texts(memory) == ["fact 0", "fact 1"]


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_replies_than_chunks_is_refused(memory: Memory, count: int) -> None:
    with pytest.raises(ValidationError, match=f"{count} replies for 2 chunks"):
        run(memory, messages(4), replies=[facts(0)] * count)
    assert texts(memory) == []


def test_the_memory_has_its_own_parts_back(memory: Memory) -> None:
    parts = memory.db, memory.llm, memory.clock
    stamp = "2025-03-05T10:00Z"
    with pytest.raises(LLMError):
        run(memory, messages(4, timestamp=stamp), replies=[facts(0), LLMError("down")])
    assert (memory.db, memory.llm, memory.clock) == parts


# --- Going on --------------------------------------------------------------------------------


def test_a_second_run_adds_nothing(memory: Memory) -> None:
    raw(memory, messages(5))
    assert raw(memory, messages(5)) == []
    assert len(texts(memory)) == 5


def test_a_chunk_without_facts_is_not_asked_about_again(memory: Memory) -> None:
    run(memory, messages(4), replies=[{"memory": []}, {"memory": []}])
    assert run(memory, messages(4)) == []


def test_a_file_that_has_grown_goes_on_with_the_new_messages(memory: Memory) -> None:
    raw(memory, messages(5))
    [step] = raw(memory, messages(6))
    assert (step.messages, step.memories) == (6, 1)
    assert texts(memory) == [f"message {i}" for i in range(6)]


def test_another_chunk_size_goes_on_in_the_middle_of_a_chunk(memory: Memory) -> None:
    raw(memory, messages(4))
    raw(memory, messages(9), chunk=3)
    assert texts(memory) == [f"message {i}" for i in range(9)]


def test_a_failed_call_keeps_what_was_before_and_the_next_run_goes_on(memory: Memory) -> None:
    with pytest.raises(LLMError, match="down"):
        run(memory, messages(6), replies=[facts(0), LLMError("down"), facts(2)])
    assert texts(memory) == ["fact 0"]
    again = Ingest(
        memory, lines(messages(6)), ids=ANA, chunk=2, replies=[facts(i) for i in (7, 1, 2)]
    )
    assert again.resumed_at == 2
    assert [step.messages for step in again] == [4, 6]
    assert texts(memory) == ["fact 0", "fact 1", "fact 2"]


def test_the_same_run_can_be_gone_on_with(memory: Memory) -> None:
    memory.llm = llm = ScriptedLLM([facts(0), LLMError("down"), facts(1)])
    ingest = Ingest(memory, lines(messages(4)), ids=ANA, chunk=2)
    with pytest.raises(LLMError):
        list(ingest)
    assert [step.messages for step in ingest] == [4]
    assert (texts(memory), llm.remaining) == (["fact 0", "fact 1"], 0)


def test_a_failed_commit_does_not_count(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest = Ingest(memory, lines(messages(2)), ids=ANA, infer=False)
    database: Any = memory.vector_store.database  # type: ignore[attr-defined]

    execute = database.execute

    def full(sql: str, *bindings: Any) -> object:
        if sql == "COMMIT":
            raise apsw.FullError
        return execute(sql, *bindings)

    with monkeypatch.context() as patched:
        patched.setattr(database, "execute", full)
        with pytest.raises(DatabaseError, match="disk is full"):
            list(ingest)
    assert [step.messages for step in ingest] == [2]
    assert len(texts(memory)) == 2


def test_a_failure_of_the_model_is_an_error_whatever_the_memory_says() -> None:
    with open_memory(":memory:", raise_on_llm_error=False) as memory:
        with pytest.raises(LLMError, match="down"):
            run(memory, messages(3), replies=[LLMError("down"), facts(1)])
        run(memory, messages(3), replies=[facts(0), facts(1)])
        assert texts(memory) == ["fact 0", "fact 1"]


# --- Chunks that fail ------------------------------------------------------------------------

UNUSABLE = ("", "{", "Sorry, no.", "[]", '{"facts": ["x"]}', '{"memory": [{"txt": "x"}]}')


@pytest.mark.parametrize("reply", UNUSABLE)
def test_a_chunk_whose_reply_cannot_be_used_is_not_in_and_the_next_one_is(
    memory: Memory, reply: str
) -> None:
    steps = run(memory, messages(6), replies=[facts(0), reply, facts(2)])
    assert [(step.messages, step.failure is None) for step in steps] == [
        (2, True), (4, False), (6, True),
    ]  # fmt: skip
    assert "cannot be used" in str(steps[1].failure)
    assert texts(memory) == ["fact 0", "fact 2"]
    buffer = [each["content"] for each in memory.db.get_last_messages("user_id=ana")]
    assert buffer == [f"message {i}" for i in (0, 1, 4, 5)]
    assert run(memory, messages(6), replies=[facts(i) for i in range(3)]) == []


def test_a_retry_takes_in_what_failed_and_nothing_twice(memory: Memory) -> None:
    run(memory, messages(6), replies=["", facts(1), "{"])
    replies = [facts(0), facts(1), "{"]
    steps = run(memory, messages(6), replies=replies, retry=True)
    assert [(step.messages, step.memories, step.failure is None) for step in steps] == [
        (6, 1, True), (6, 1, False),
    ]  # fmt: skip
    assert texts(memory) == ["fact 0", "fact 1"]
    ingest = Ingest(memory, lines(messages(6)), ids=ANA, chunk=2, replies=[*replies[:2], facts(2)],
                    retry=True)  # fmt: skip
    assert ingest.failed == 1
    assert [step.memories for step in ingest] == [1]
    assert ingest.failed == 0
    assert texts(memory) == ["fact 0", "fact 1", "fact 2"]
    assert run(memory, messages(6), replies=replies, retry=True) == []


def test_a_failed_chunk_is_retried_once_by_two_at_once(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with open_memory(path) as one, open_memory(path) as two:
        run(one, messages(2), replies=["{"])
        both = [
            iter(Ingest(each, lines(messages(2)), ids=ANA, chunk=2, replies=[facts(0)], retry=True))
            for each in (one, two)
        ]
        next(both[0])
        assert list(both[1]) == []
        assert texts(one) == ["fact 0"]


def test_failed_chunks_are_forgotten_with_a_restart_and_after_a_reset(memory: Memory) -> None:
    good = [facts(0)]
    for forget in (lambda: None, memory.reset):
        run(memory, messages(2), replies=["{"])
        forget()
        assert len(run(memory, messages(2), replies=good, restart=True)) == 1
        assert Ingest(memory, lines(messages(2)), ids=ANA).failed == 0
        memory.reset()


def test_retried_chunks_must_be_those_of_the_replies(memory: Memory) -> None:
    run(memory, messages(6), replies=["{", facts(1), facts(2)])
    with pytest.raises(ValidationError, match="of another size"):
        run(memory, messages(6), replies=[facts(0)] * 2, chunk=3, retry=True)


def test_an_embedder_that_fails_for_every_fact_stops_the_ingest(memory: Memory) -> None:
    embedder = memory.embedding_model

    class Failing:
        def embed(self, text: str, memory_action: str | None = None) -> Any:
            if "fact" in text:
                raise ConnectionError("no route")
            return embedder.embed(text)

        def embed_batch(self, texts: list[str], memory_action: str | None = "add") -> Any:
            return [self.embed(text) for text in texts]

    memory.embedding_model = Failing()
    with pytest.raises(EmbeddingError, match="none of 1 facts could be embedded: no route"):
        run(memory, messages(2), replies=[facts(0)])
    memory.embedding_model = embedder
    assert len(run(memory, messages(2), replies=[facts(0)])) == 1
    assert texts(memory) == ["fact 0"]


def test_the_memory_can_be_used_while_a_conversation_is_taken_in(memory: Memory) -> None:
    """An add of somebody else's carries no progress, and the ingest's model is not theirs."""
    own = memory.llm = ScriptedLLM([facts(8), facts(9)])
    ingest = iter(Ingest(memory, lines(messages(4)), ids=ANA, chunk=2, replies=[facts(0), "{"]))
    next(ingest)
    memory.add("in between", user_id="ben")
    memory.add("in between", user_id="ben")
    assert next(ingest).failure
    assert (memory.llm, own.remaining) == (own, 0)
    assert run(memory, messages(4), replies=["{", facts(1)], retry=True)[-1].memories == 1
    assert texts(memory) == ["fact 0", "fact 1"]
    assert texts(memory, "ben") == ["fact 8", "fact 9"]


def test_raw_adds_of_other_threads_carry_no_progress(tmp_path: Path) -> None:
    with open_memory(tmp_path / "m.db") as memory:
        stop = threading.Event()

        def add() -> None:
            while not stop.is_set():
                memory.add("another thread's", user_id="ben", infer=False)

        thread = threading.Thread(target=add)
        thread.start()
        try:
            steps = raw(memory, messages(60), chunk=1)
        finally:
            stop.set()
            thread.join()
        assert [step.memories for step in steps] == list(range(1, 61))
        assert texts(memory) == sorted(f"message {i}" for i in range(60))
        assert raw(memory, messages(60), chunk=1) == []


def test_a_memory_without_a_file_of_ours_is_refused(memory: Memory) -> None:
    memory.vector_store = memory.db = object()  # type: ignore[assignment]
    with pytest.raises(DatabaseError, match="progress in a file"):
        Ingest(memory, lines(messages(1)), ids=ANA)


def test_raw_system_messages_are_passed_over(memory: Memory) -> None:
    values = [{"role": "system", "content": "be kind"}, *messages(1)]
    assert [step.messages for step in raw(memory, values, chunk=1)] == [1, 2]
    assert raw(memory, values, chunk=1) == []


def test_a_changed_file_is_refused_while_its_ingest_is_unfinished(memory: Memory) -> None:
    with pytest.raises(LLMError):
        run(memory, messages(4), replies=[facts(0), LLMError("down")])
    changed = [{"role": "user", "content": "edited"}, *messages(4)[1:]]
    with pytest.raises(ValidationError, match="first 2 messages"):
        run(memory, changed, replies=[facts(7), facts(8)])
    run(memory, changed, replies=[facts(7), facts(8)], restart=True)
    assert texts(memory) == ["fact 0", "fact 7", "fact 8"]


def test_another_conversation_may_follow_in_a_file_of_the_same_name(memory: Memory) -> None:
    raw(memory, messages(2))
    raw(memory, [{"role": "user", "content": "another"}])
    assert texts(memory) == ["another", "message 0", "message 1"]
    assert raw(memory, messages(2)) == []


def test_a_copy_of_the_file_is_known_too(memory: Memory) -> None:
    raw(memory, messages(2))
    assert raw(memory, messages(2), source="copy.jsonl") == []
    raw(memory, messages(3), source="copy.jsonl")
    assert raw(memory, messages(2)) == []
    assert len(texts(memory)) == 3


def test_restart_takes_it_in_again(memory: Memory) -> None:
    raw(memory, messages(2))
    assert len(raw(memory, messages(2), restart=True)) == 1
    assert len(texts(memory)) == 4


def test_after_a_reset_it_is_taken_in_again(memory: Memory) -> None:
    raw(memory, messages(2))
    memory.reset()
    assert len(raw(memory, messages(2))) == 1
    assert len(texts(memory)) == 2


def test_after_a_deletion_it_is_not_taken_in_again(memory: Memory) -> None:
    raw(memory, messages(2))
    memory.delete_all(user_id="ana")
    assert raw(memory, messages(2)) == []


def test_it_is_known_by_scope_and_kind(memory: Memory) -> None:
    raw(memory, messages(2))
    assert len(raw(memory, messages(2), ids={"user_id": "ben"})) == 1
    assert len(raw(memory, messages(2), ids={**ANA, "run_id": "r"})) == 1
    assert len(run(memory, messages(2), replies=[facts(0)])) == 1
    assert texts(memory, "ben") == ["message 0", "message 1"]


def test_a_separate_history_file_works_too(tmp_path: Path) -> None:
    for expected in (2, 0):
        with open_memory(tmp_path / "m.db", history_db_path=str(tmp_path / "h.db")) as memory:
            assert len(raw(memory, messages(4))) == expected
            assert len(texts(memory)) == 4


def test_two_at_once_store_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with open_memory(path) as one, open_memory(path) as two:
        first = iter(Ingest(one, lines(messages(6)), ids=ANA, infer=False, chunk=2))
        next(first)
        second = iter(Ingest(two, lines(messages(6)), ids=ANA, infer=False, chunk=2))
        next(second)
        with pytest.raises(DatabaseError, match="another process"):
            next(first)
        assert [step.messages for step in second] == [6]
        assert texts(one) == [f"message {i}" for i in range(6)]


def test_what_is_known_of_a_conversation_is_found_by_later_versions(memory: Memory) -> None:
    """The digests are in files: whoever changes them takes everything in twice."""

    def digest(before: str, value: Any) -> str:
        text = before + json.dumps(value, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    said = {"timestamp": "2025-03-05T10:00Z", "session": 7, "name": "Ana"}
    raw(memory, messages(1, **said), ids={"user_id": "ana", "run_id": "r"})
    target = digest("", ["mem0", [["run_id", "r"], ["user_id", "ana"]], False])
    message = {"role": "user", "content": "message 0", "name": "Ana"}
    whole = digest(target, [message, "7", "2025-03-05T10:00:00+00:00"])
    database: Any = memory.vector_store.database  # type: ignore[attr-defined]
    with database.reading():
        rows = database.rows("SELECT target, digest, source, messages, total FROM ingests")
    assert rows == [(target, whole, os.path.realpath("talk.jsonl"), 1, 1)]


# --- Any sequence of runs --------------------------------------------------------------------


class Taken:
    """What is known of a conversation: up to where it was gone through, and from which source.

    A run goes on after the longest beginning that is known. It takes over what is known from its
    own source, and leaves the rest beside it. A restart forgets the beginnings of what it is given
    and all that came from its source.
    """

    def __init__(self) -> None:
        self.known: dict[int, str] = {}

    def run(self, source: str, count: int, *, restart: bool) -> range:
        """The messages that a run takes in."""
        if restart:
            kept = {end: of for end, of in self.known.items() if end > count and of != source}
            self.known = kept
        done = max((end for end in self.known if end <= count), default=0)
        if done < count:
            if self.known.get(done) == source:
                del self.known[done]
            self.known[count] = source
        return range(done, count)


_runs = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.integers(1, 3), st.booleans()),
    min_size=2,
    max_size=8,
)


@examples(60)
@given(_runs)
def test_any_sequence_of_runs_takes_in_what_is_not_in_yet(runs: list[Any]) -> None:
    taken, expected = Taken(), []
    with open_memory(":memory:") as memory:
        for source, count, chunk, restart in runs:
            new = taken.run(source, count, restart=restart)
            options = {"source": source, "chunk": chunk, "restart": restart}
            steps = raw(memory, messages(count), **options)
            assert [step.messages for step in steps][-1:] == ([count] if new else [])
            expected += [f"message {number}" for number in new]
            assert texts(memory) == sorted(expected)


# --- Killed ----------------------------------------------------------------------------------

_VICTIM = """
import json, os, sys
from isomem import ingest
from isomem.store.ingests import Ingests
from tests.unit.test_ingest import lines, messages, open_memory, facts, ANA

path, point, chunk_number = sys.argv[1], sys.argv[2], int(sys.argv[3])
memory = open_memory(path)
database = memory.vector_store.database
count = 0

def die_at(name, where):
    global count
    if name == point:
        count += 1
        if count > chunk_number:
            os._exit(9)

save, advance = Ingests.save, ingest.Journal.advance

def noted(self, *arguments):
    die_at("before the note", self)
    save(self, *arguments)
    die_at("after the note", self)

def advanced(self, *arguments):
    die_at("after the commit", self)
    return advance(self, *arguments)

Ingests.save, ingest.Journal.advance = noted, advanced
run = ingest.Ingest(memory, lines(messages(6)), ids=ANA, chunk=2, infer=sys.argv[4] == "inferred",
                    replies=[facts(i) for i in range(3)])
list(run)
"""


@pytest.mark.parametrize("way", ["inferred", "raw"])
@pytest.mark.parametrize("chunk", [0, 1, 2])
@pytest.mark.parametrize("point", ["before the note", "after the note", "after the commit"])
def test_killed_at_any_point_it_goes_on_and_adds_nothing_twice(
    tmp_path: Path, point: str, chunk: int, way: str
) -> None:
    path = tmp_path / "memory.db"
    died = subprocess.run(
        [sys.executable, "-c", _VICTIM, str(path), point, str(chunk), way],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
        check=False,
    )
    assert died.returncode == 9
    done = chunk + (point == "after the commit")
    with open_memory(path) as memory:
        assert len(texts(memory)) == done * (1 if way == "inferred" else 2)
        replies = [facts(i) for i in range(3)]
        steps = run(memory, messages(6), infer=way == "inferred", replies=replies)
        assert len(steps) == 3 - done
        inferred, spoken = [f"fact {i}" for i in range(3)], [f"message {i}" for i in range(6)]
        assert texts(memory) == (inferred if way == "inferred" else spoken)
        buffer = memory.db.get_last_messages("user_id=ana")
        assert len(buffer) == (6 if way == "inferred" else 0)
