"""Takes in a conversation from a file of JSON lines, and goes on where an earlier run stopped.

A line is a message: `{"role": "user", "content": "..."}`, with, if you like, `name`, `timestamp`
(ISO 8601) and `session`. Blank lines are skipped. The messages are added in chunks, each one
call of `Memory.add`; a chunk never spans two sessions or two days. The model is told the day of
its chunk, and the memories have its time as `created_at` and its session as metadata.

How far a conversation has been taken in is a row of the table `ingests` in the memory file,
written in the transaction that stores the chunk. So the two cannot disagree, whenever the process
dies. The row is found by what was taken in (a digest of the messages and of whose memory they
are) and not by the file's name: a file that has grown, moved or been copied goes on where it
stopped. Two processes that take in the same conversation get in each other's way at the first
chunk that both have added: one of them is refused, and nothing is stored twice.
"""

from __future__ import annotations

import hashlib
import json
import os

from isomem.clock import Clock
from isomem.contract.arguments import check_ids, check_text
from isomem.errors import DatabaseError, LLMError, ValidationError
from isomem.providers.llm.mock import ScriptedLLM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from isomem.memory import Memory
    from isomem.store.database import Database

    Message = dict[str, Any]

CHUNK_MESSAGES = 10
"""Most messages in one chunk, unless the caller says otherwise."""

_FIELDS = ("role", "content", "name")

_TABLE = """
CREATE TABLE IF NOT EXISTS ingests (
    digest        TEXT PRIMARY KEY,
    target        TEXT NOT NULL,
    source        TEXT NOT NULL,
    messages      INTEGER NOT NULL,
    total         INTEGER NOT NULL,
    first_memory  TEXT
)
"""


class Line:
    """One message of the file: its number there, when it was said, and in which session."""

    __slots__ = ("message", "number", "session", "timestamp")

    def __init__(
        self, number: int, message: Message, session: str | None, timestamp: str | None
    ) -> None:
        self.number = number
        self.message = message
        self.session = session
        self.timestamp = timestamp

    @property
    def day(self) -> str | None:
        """The date of `timestamp`."""
        return self.timestamp and self.timestamp[:10]


class Chunk:
    """Messages that are added by one call. `end` counts the messages of the file up to here."""

    __slots__ = ("end", "lines", "number")

    def __init__(self, number: int, lines: Sequence[Line], end: int) -> None:
        self.number = number
        self.lines = lines
        self.end = end

    def after(self, messages: int) -> Chunk:
        """What is left of the chunk when the first `messages` of the file are done."""
        return Chunk(self.number, self.lines[messages - self.end :], self.end)


class Step:
    """How far an ingest has come.

    Attributes:
        messages: taken in so far, those of earlier runs included.
        total: messages in the file.
        memories: added by this run.
    """

    __slots__ = ("memories", "messages", "total")

    def __init__(self, messages: int, total: int, memories: int) -> None:
        self.messages = messages
        self.total = total
        self.memories = memories


# --- Reading ---------------------------------------------------------------------------------


def read_conversation(lines: Iterable[str]) -> list[Line]:
    """The messages of a conversation file.

    Raises:
        ValidationError: INGEST_001, a line is not a message; names the line.
    """
    return [_line(number, value) for number, value in _json_lines(lines)]


def read_replies(lines: Iterable[str]) -> list[Any]:
    """The replies of a file that has one model reply a line, one line a chunk.

    A line is the reply itself, as JSON or as a JSON string, or a line that
    `isomem.testing.Recorder` wrote.

    Raises:
        ValidationError: INGEST_001, a line is not JSON; names the line.
    """
    replies = [value for _, value in _json_lines(lines)]
    return [
        reply["reply"] if isinstance(reply, dict) and "reply" in reply else reply
        for reply in replies
    ]


def _json_lines(lines: Iterable[str]) -> Iterator[tuple[int, Any]]:
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            yield number, json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _refusal(number, f"is not JSON ({error})") from None


def _line(number: int, value: Any) -> Line:
    if not isinstance(value, dict):
        raise _refusal(number, "is not a JSON object")
    for key in _FIELDS[:2]:
        if not isinstance(value.get(key), str) or not value[key].strip():
            raise _refusal(number, f"has no {key!r} that is text")
    message = {key: value[key] for key in _FIELDS if value.get(key) is not None}
    for key, text in message.items():
        check_text(text, f"line {number}: {key}")
    session = None if value.get("session") is None else str(value["session"])
    return Line(number, message, session, _moment(number, value.get("timestamp")))


def _moment(number: int, value: Any) -> str | None:
    """A time in ISO 8601; UTC where it says no zone."""
    from datetime import datetime, timezone

    if value is None:
        return None
    try:
        # Python 3.10 does not know the Z.
        moment = datetime.fromisoformat(value.strip().replace("Z", "+00:00").replace("z", "+00:00"))
    except (AttributeError, ValueError):
        shown = json.dumps(value, default=repr)
        raise _refusal(number, f"has a 'timestamp' that is not ISO 8601: {shown}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).isoformat()


def _refusal(number: int, fault: str) -> ValidationError:
    return ValidationError(
        f"line {number} {fault}",
        error_code="INGEST_001",
        details={"line": number},
        suggestion='One message a line: {"role": "user", "content": "..."}.',
    )


def chunks_of(
    conversation: Sequence[Line], most: int = CHUNK_MESSAGES, *, infer: bool = True
) -> list[Chunk]:
    """The conversation in chunks of at most `most` messages, of one session and one day each.

    Where nothing is inferred each message is a memory with a time of its own, so there a chunk
    holds messages of one time only.
    """
    chunks: list[Chunk] = []
    start = 0
    places = [(line.session, line.day if infer else line.timestamp) for line in conversation]
    for end in range(1, len(conversation) + 1):
        is_last = end == len(conversation)
        if is_last or end - start >= most or places[end] != places[start]:
            chunks.append(Chunk(len(chunks), conversation[start:end], end))
            start = end
    return chunks


# --- Progress --------------------------------------------------------------------------------


class Progress:
    """How far a conversation has been taken in, as the memory file has it.

    Args:
        memory: whose file.
        conversation: all of it.
        ids: whose memory it is.
        infer: whether a model extracts facts.
        source: where it was read from.

    Attributes:
        done: messages that are taken in.
    """

    def __init__(
        self,
        memory: Memory,
        conversation: Sequence[Line],
        *,
        ids: Mapping[str, Any],
        infer: bool,
        source: str,
    ) -> None:
        self._memory = memory
        self._database = _database_of(memory)
        target = [memory.collection_name, sorted(check_ids(ids).items()), infer]
        self._target = _sha256("", target)
        self._prefixes = list(_prefixes(self._target, conversation))
        self._source = source
        self._own: str | None = None
        self._first_memory: str | None = None
        self._pending: tuple[int, str, str | None] | None = None
        self.done = 0
        with self._database.writing() as database:
            database.execute(_TABLE)
            self._find()

    def _find(self) -> None:
        """Takes up the row that says most about this conversation, if there is one."""
        sql = "SELECT digest, messages, source, first_memory FROM ingests WHERE target = ?"
        for digest, messages, source, first_memory in self._database.rows(sql, (self._target,)):
            is_ours = messages < len(self._prefixes) and self._prefixes[messages] == digest
            if not is_ours or messages <= self.done:
                continue
            if first_memory and not self._memory.db.get_history(first_memory):
                self._forget(digest)  # A reset has emptied the memory since.
                continue
            self.done = messages
            self._first_memory = first_memory
            self._own = digest if source == self._source else None

    def changed_since(self) -> int | None:
        """How many messages an unfinished run took in from this source that are others now."""
        if self.done:
            return None
        sql = "SELECT messages FROM ingests WHERE target = ? AND source = ? AND messages < total"
        with self._database.reading() as database:
            rows = database.rows(sql, (self._target, self._source))
        return rows[0][0] if rows else None

    def restart(self) -> None:
        """Forgets what was taken in of this conversation, and from this source."""
        with self._database.writing() as database:
            database.execute(
                "DELETE FROM ingests WHERE target = ? AND source = ?", (self._target, self._source)
            )
            for digest in self._prefixes:
                self._forget(digest)
        self.done = 0
        self._own = self._first_memory = None

    def _forget(self, digest: str) -> None:
        self._database.execute("DELETE FROM ingests WHERE digest = ?", (digest,))

    def save(self, done: int, first_memory: str | None) -> None:
        """Notes in the file that `done` messages are in, inside the transaction that stores them.

        Raises:
            DatabaseError: INGEST_002, another process has taken in the same messages.
        """
        first_memory = self._first_memory or first_memory
        digest = self._prefixes[done]
        values = (digest, self._source, done, len(self._prefixes) - 1, first_memory)
        with self._database.writing() as database:
            if self._own is None:
                sql = (
                    "INSERT OR IGNORE INTO ingests"
                    " (digest, source, messages, total, first_memory, target)"
                    " VALUES (?, ?, ?, ?, ?, ?)"
                )
                database.execute(sql, (*values, self._target))
            else:
                sql = (
                    "UPDATE OR IGNORE ingests SET digest = ?, source = ?, messages = ?,"
                    " total = ?, first_memory = ? WHERE digest = ?"
                )
                database.execute(sql, (*values, self._own))
            if not database.connection.changes():
                raise _taken()
        self._pending = (done, digest, first_memory)

    def settle(self) -> bool:
        """Counts what was saved, now that it is on disk; False if nothing was."""
        if self._pending is None:
            return False
        self.done, self._own, self._first_memory = self._pending
        self._pending = None
        return True

    def drop(self) -> None:
        """Lets go of what was saved in a transaction that was undone."""
        self._pending = None


def _taken() -> DatabaseError:
    return DatabaseError(
        "another process is taking in the same conversation; nothing of this chunk was stored",
        error_code="INGEST_002",
        suggestion="Let the other one finish. To go on by yourself, stop it and run this again.",
    )


def _database_of(memory: Memory) -> Database:
    """The file with the memories; that of the history where the memories are not in a file."""
    database: Database | None = getattr(memory.vector_store, "database", None)
    return database or memory.db.database  # type: ignore[attr-defined]


def _prefixes(target: str, conversation: Sequence[Line]) -> Iterator[str]:
    """Digests of the first 0, 1, 2, ... messages."""
    digest = target
    yield digest
    for line in conversation:
        digest = _sha256(digest, [line.message, line.session, line.timestamp])
        yield digest


def _sha256(before: str, value: Any) -> str:
    text = before + json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


# --- Taking in -------------------------------------------------------------------------------


class _NotingLedger:
    """The memory's ledger, with a note made by the last write of every add.

    `add` writes everything in one transaction: the history, then (when inferred) the messages.
    What is written from in here is part of that transaction.
    """

    def __init__(self, ledger: Any, infer: bool, note: Callable[[str | None], None]) -> None:
        self._ledger = ledger
        self._infer = infer
        self._note = note
        self._first: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def batch_add_history(self, records: list[dict[str, Any]]) -> None:
        """The ledger's own, and the note of a raw add."""
        self._ledger.batch_add_history(records)
        self._first = self._first or (records[0]["memory_id"] if records else None)
        if not self._infer:
            self._note(self._first)

    def save_messages(self, messages: list[Message], session_scope: str) -> None:
        """The ledger's own, and the note of an inferred add."""
        self._ledger.save_messages(messages, session_scope)
        self._note(self._first)


class _DatedClock(Clock):
    """The memory's clock, on the day when something was said."""

    def __init__(self, clock: Clock, day: str) -> None:
        self._clock = clock
        self._day = day

    def now(self) -> str:
        """The memory's own."""
        return self._clock.now()

    def new_id(self) -> str:
        """The memory's own."""
        return self._clock.new_id()

    def new_row_id(self) -> str:
        """The memory's own."""
        return self._clock.new_row_id()

    def today(self) -> str:
        """That day, so that the model knows what "yesterday" meant."""
        return self._day


class Ingest:
    """One conversation on its way into a memory; iterate over it to take it in.

    Args:
        memory: where to; while the iteration runs, nothing else may be added through it.
        conversation: from `read_conversation`.
        ids: `user_id`, `agent_id`, `run_id`: whose memory it is; at least one.
        infer: False stores every message as it is.
        metadata: stored with each memory, beside the `session` and the time of its chunk.
        chunk: most messages in one call of `add`.
        replies: a reply for each chunk, in place of the model.
        source: where the conversation was read from, such as a path.
        restart: takes it in from the beginning, even if it is in the memory.

    Attributes:
        resumed_at: messages that earlier runs have taken in.
        total: messages in the conversation.

    Raises:
        ValidationError: INGEST_001, the replies are not one a chunk; INGEST_003, what an
            unfinished run took in from this source has been changed.
    """

    def __init__(
        self,
        memory: Memory,
        conversation: Sequence[Line],
        *,
        ids: Mapping[str, Any],
        infer: bool = True,
        metadata: Mapping[str, Any] | None = None,
        chunk: int = CHUNK_MESSAGES,
        replies: Sequence[Any] | None = None,
        source: str = "",
        restart: bool = False,
    ) -> None:
        self._memory = memory
        self._ids = dict(ids)
        self._infer = infer
        self._metadata = dict(metadata or {})
        self._replies = replies
        self._chunks = chunks_of(conversation, chunk, infer=infer)
        self.total = len(conversation)
        if replies is not None and len(replies) != len(self._chunks):
            raise _wrong_count(len(replies), len(self._chunks))
        source = os.path.realpath(source) if source else ""
        self._progress = Progress(memory, conversation, ids=ids, infer=infer, source=source)
        if restart:
            self._progress.restart()
        elif changed := self._progress.changed_since():
            raise _changed(changed)
        self.resumed_at = self._progress.done

    def __iter__(self) -> Iterator[Step]:
        """Adds chunk after chunk; each step is on disk when it is handed out.

        Raises:
            Exception: what `Memory.add` raised; this chunk is not in, those before it are.
            LLMError: the model failed and the memory's `raise_on_llm_error` is not set.
            DatabaseError: INGEST_002, another process is taking in the same conversation.
        """
        memories = 0
        for chunk in self._chunks:
            if chunk.end > self._progress.done:
                memories += self._take_in(chunk.after(self._progress.done))
                yield Step(chunk.end, self.total, memories)

    def _take_in(self, chunk: Chunk) -> int:
        """Adds a chunk; the number of its memories."""
        memory = self._memory
        parts = memory.db, memory.llm, memory.clock
        self._equip(memory, chunk)
        try:
            added = memory.add(
                [line.message for line in chunk.lines],
                **self._ids,
                metadata=self._fields(chunk),
                infer=self._infer,
            )
        except BaseException:
            self._progress.drop()
            raise
        finally:
            memory.db, memory.llm, memory.clock = parts
        if not self._progress.settle():
            self._settle_unstored(chunk)
        return len(added["results"])

    def _equip(self, memory: Memory, chunk: Chunk) -> None:
        """Gives the memory what this chunk needs."""
        ledger: Any = _NotingLedger(
            memory.db, self._infer, lambda first: self._progress.save(chunk.end, first)
        )
        memory.db = ledger
        if self._replies is not None:
            memory.llm = ScriptedLLM([self._replies[chunk.number]])
        if day := chunk.lines[-1].day:
            memory.clock = _DatedClock(memory.clock, day)

    def _fields(self, chunk: Chunk) -> dict[str, Any]:
        last = chunk.lines[-1]
        session = {} if last.session is None else {"session": last.session}
        moment = {} if last.timestamp is None else {"created_at": last.timestamp}
        return {**session, **moment, **self._metadata}

    def _settle_unstored(self, chunk: Chunk) -> None:
        if self._infer:
            first, last = chunk.lines[0].number, chunk.lines[-1].number
            raise LLMError(f"the model gave no answer for lines {first} to {last}; see the log")
        # A raw chunk of system messages only: there was nothing to store.
        self._progress.save(chunk.end, None)
        self._progress.settle()


def _wrong_count(replies: int, chunks: int) -> ValidationError:
    return ValidationError(
        f"there are {replies} replies for {chunks} chunks",
        error_code="INGEST_001",
        details={"replies": replies, "chunks": chunks},
        suggestion="Give one reply a chunk, with the chunk size that they were made for.",
    )


def _changed(messages: int) -> ValidationError:
    return ValidationError(
        f"the file is not the one whose first {messages} messages an earlier run took in",
        error_code="INGEST_003",
        details={"messages": messages},
        suggestion="Give it back the lines it had, or start again from its beginning: --restart.",
    )
