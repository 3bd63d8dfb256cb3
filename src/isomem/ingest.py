"""Adds a conversation from a file of JSON lines, and continues where an earlier run stopped.

A line is a message: `{"role": "user", "content": "..."}`, optionally with `name`, `timestamp`
(ISO 8601) and `session`. Blank lines are skipped. The messages are added in chunks; each chunk is
one call of `Memory.add`, and never spans two sessions or two days. The prompt has the day of the
chunk. The memories have its time as `event_time` and its session, both as metadata.

How far a conversation has been ingested is a row in the memory file. It is written in the
transaction that stores the chunk, so the two always agree, even if the process dies. The row is
found by what was ingested (a digest of the messages and of whose memory they are), not by the name
of the file. So a file that has grown, moved or been copied continues where it stopped. If two
processes ingest the same conversation, they collide at the first chunk that both have added: one of
them is refused, and nothing is stored twice.

If the model or the embedder cannot be reached, the ingest stops, and the next run continues at the
same chunk. A reply that cannot be used is recorded in the file, and the ingest continues with the
next chunk. `retry` ingests these chunks again, and nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import os

from isomem.contract.arguments import check_ids, check_text
from isomem.contract.moments import check_timestamp
from isomem.contract.plan import Progress
from isomem.errors import DatabaseError, UnusableReplyError, ValidationError
from isomem.providers.llm.mock import ScriptedLLM
from isomem.types import CHUNK_MESSAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from isomem.memory import Memory
    from isomem.ports.shapes import Ingests
    from isomem.results import AddedMemory

    Message = dict[str, Any]

_FIELDS = ("role", "content", "name")


class Line:
    """One message of the file: the number of its line, when it was said, and in which session."""

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
    """Messages that one call adds. `end` is the number of messages of the file up to its end."""

    __slots__ = ("end", "lines", "number")

    def __init__(self, number: int, lines: Sequence[Line], end: int) -> None:
        self.number = number
        self.lines = lines
        self.end = end

    @property
    def numbers(self) -> tuple[int, int]:
        """The numbers of its first and last line in the file."""
        return self.lines[0].number, self.lines[-1].number

    def after(self, messages: int) -> Chunk:
        """What is left of the chunk after the first `messages` of the file."""
        return Chunk(self.number, self.lines[messages - self.end :], self.end)


class Step:
    """How far an ingest has come.

    Attributes:
        messages: processed so far, including earlier runs.
        total: messages in the file.
        memories: added by this run.
        lines: first and last line of the latest chunk.
        failure: why that chunk was not stored; None if it was.
    """

    __slots__ = ("failure", "lines", "memories", "messages", "total")

    def __init__(
        self,
        messages: int,
        total: int,
        memories: int,
        lines: tuple[int, int],
        failure: UnusableReplyError | None = None,
    ) -> None:
        self.messages = messages
        self.total = total
        self.memories = memories
        self.lines = lines
        self.failure = failure


# --- Reading ---------------------------------------------------------------------------------


def read_conversation(lines: Iterable[str]) -> list[Line]:
    """The messages of a conversation file.

    Raises:
        ValidationError: INGEST_001, a line is not a message. The error names the line.
    """
    return [_line(number, value) for number, value in _json_lines(lines)]


def read_replies(lines: Iterable[str]) -> list[Any]:
    """The replies in a file with one model reply per line, one line per chunk.

    A line is the reply itself, as JSON or as a JSON string, or a line that
    `isomem.testing.Recorder` wrote.

    Raises:
        ValidationError: INGEST_001, a line is not JSON. The error names the line.
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
    """A time in ISO 8601; UTC if it has no zone."""
    if value is None:
        return None
    try:
        if isinstance(value, str):
            return check_timestamp(value).isoformat()
    except ValidationError:
        pass
    shown = json.dumps(value, default=repr)
    raise _refusal(number, f"has a 'timestamp' that is not ISO 8601: {shown}")


def _refusal(number: int, fault: str) -> ValidationError:
    return ValidationError(
        f"line {number} {fault}",
        error_code="INGEST_001",
        details={"line": number},
        suggestion='Write one message per line: {"role": "user", "content": "..."}.',
    )


def chunks_of(
    conversation: Sequence[Line], most: int = CHUNK_MESSAGES, *, infer: bool = True
) -> list[Chunk]:
    """The conversation in chunks of at most `most` messages, of one session and one day each.

    If nothing is inferred, each message is a memory with its own time, so a chunk then holds
    messages of one time only.
    """
    chunks: list[Chunk] = []
    start = 0
    groups = [(line.session, line.day if infer else line.timestamp) for line in conversation]
    for end in range(1, len(conversation) + 1):
        is_last = end == len(conversation)
        if is_last or end - start >= most or groups[end] != groups[start]:
            chunks.append(Chunk(len(chunks), conversation[start:end], end))
            start = end
    return chunks


# --- Progress --------------------------------------------------------------------------------


class Journal:
    """How far a conversation has been ingested, according to the memory file.

    Args:
        memory: whose file.
        conversation: all of it.
        ids: whose memory it is.
        infer: whether a model extracts facts.
        source: where it was read from.

    Attributes:
        done: the number of processed messages.

    Raises:
        DatabaseError: INGEST_004, no store of the memory is a file of isomem's.
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
        self._rows = _rows_of(memory)
        target = [
            memory.collection_name,
            sorted(check_ids(ids, memory.profile.read_id).items()),
            infer,
        ]
        self._target = _sha256("", target)
        self._prefixes = list(_prefixes(self._target, conversation))
        self._source = source
        self._own: str | None = None
        self._first_memory: str | None = None
        self.done = 0
        self._rows.prepare()
        self._find()

    def _find(self) -> None:
        """Continues from the row with the most messages of this conversation, if there is one."""
        for row in self._rows.taken_in(self._target):
            if row.messages <= self.done or not self._has(row.messages, row.digest):
                continue
            if row.first_memory and not self._memory.history(row.first_memory):
                self._rows.forget(self._target, self._prefixes)  # A reset has emptied the memory.
                self.done, self._own, self._first_memory = 0, None, None
                return
            self.done = row.messages
            self._first_memory = row.first_memory
            self._own = row.digest if row.source == self._source else None

    def _has(self, messages: int, digest: str) -> bool:
        """Whether the conversation begins with these messages."""
        return messages < len(self._prefixes) and self._prefixes[messages] == digest

    def changed_since(self) -> int | None:
        """How many messages an unfinished run ingested from this source, if they have changed."""
        if self.done:
            return None
        for row in self._rows.taken_in(self._target):
            if row.source == self._source and row.messages < row.total:
                return row.messages
        return None

    def restart(self) -> None:
        """Forgets what was ingested of this conversation, and from this source."""
        self._rows.forget(self._target, self._prefixes, self._source)
        self.done = 0
        self._own = self._first_memory = None

    def failed(self) -> list[tuple[int, int]]:
        """The chunks that are not stored: of each, the first message and the one after the last."""
        return [
            (row.start, row.messages)
            for row in self._rows.failed(self._target)
            if self._has(row.messages, row.digest)
        ]

    def progress(self, done: int, retried: int | None = None) -> Progress:
        """The row for `done` ingested messages.

        Args:
            done: the number of messages.
            retried: the first message of a failed chunk that ends there and is now stored.
        """
        return Progress(
            self._target,
            self._prefixes[done],
            replaces=self._own,
            source=self._source,
            messages=done,
            total=len(self._prefixes) - 1,
            first_memory=self._first_memory,
            retried=retried,
        )

    def skip(self, chunk: Chunk) -> None:
        """Records that a chunk failed, and moves past it."""
        start = chunk.end - len(chunk.lines)
        self._rows.save_failed(self.progress(chunk.end), start)
        self.advance(chunk.end, None)

    def advance(self, done: int, first_memory: str | None) -> None:
        """Moves on to `done` messages, which are on disk now."""
        self.done = done
        self._own = self._prefixes[done]
        self._first_memory = self._first_memory or first_memory


def _rows_of(memory: Memory) -> Ingests:
    rows = memory.stores.ingests
    if rows is None:
        raise DatabaseError(
            "an ingest keeps its progress in a file of isomem's, and this memory has none",
            error_code="INGEST_004",
            suggestion="Use the embedded store, or isomem's history file.",
        )
    return rows


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


# --- Ingesting -------------------------------------------------------------------------------


class Ingest:
    """One conversation that is added to a memory; iterate over it to run the ingest.

    Args:
        memory: the target; it may be used for other calls meanwhile.
        conversation: from `read_conversation`.
        ids: `user_id`, `agent_id`, `run_id`: whose memory it is; at least one.
        infer: False stores every message as it is.
        metadata: stored with each memory, in addition to the `session` and the time of its chunk.
        chunk: the maximum number of messages per call of `add`.
        replies: one reply per chunk, instead of a model's.
        source: where the conversation was read from, such as a path.
        restart: ingests it from the beginning, even if it was ingested before.
        retry: first ingests the chunks that failed in earlier runs.

    Attributes:
        resumed_at: messages that earlier runs have processed.
        total: messages in the conversation.

    Raises:
        ValidationError: INGEST_001, there is not one reply per chunk; INGEST_003, what an
            unfinished run ingested from this source has changed.
        DatabaseError: INGEST_004, no store of the memory is a file of isomem's.
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
        retry: bool = False,
    ) -> None:
        self._memory = memory
        self._conversation = conversation
        self._ids = dict(ids)
        self._infer = infer
        self._metadata = dict(metadata or {})
        self._replies = replies
        self._chunks = chunks_of(conversation, chunk, infer=infer)
        self.total = len(conversation)
        if replies is not None and len(replies) != len(self._chunks):
            raise _wrong_count(len(replies), len(self._chunks))
        source = os.path.realpath(source) if source else ""
        self._retry = retry
        self._journal = Journal(memory, conversation, ids=ids, infer=infer, source=source)
        if restart:
            self._journal.restart()
        elif changed := self._journal.changed_since():
            raise _changed(changed)
        self.resumed_at = self._journal.done

    def __iter__(self) -> Iterator[Step]:
        """Adds one chunk after another; each step is on disk when it is yielded.

        Raises:
            Exception: what `Memory.add` raised. This chunk is not stored; the earlier ones are.
            DatabaseError: INGEST_002, another process is ingesting the same conversation.
        """
        memories = 0
        for chunk in self._failed_chunks() if self._retry else ():
            added, failure = self._attempt(chunk, retried=chunk.end - len(chunk.lines))
            memories += len(added)
            yield Step(self._journal.done, self.total, memories, chunk.numbers, failure)
        for whole in self._chunks:
            if whole.end <= self._journal.done:
                continue
            chunk = whole.after(self._journal.done)
            added, failure = self._attempt(chunk)
            if failure is None:
                self._journal.advance(chunk.end, added[0]["id"] if added else None)
            else:
                self._journal.skip(chunk)
            memories += len(added)
            yield Step(chunk.end, self.total, memories, chunk.numbers, failure)

    @property
    def failed(self) -> int:
        """How many failed chunks are still not stored."""
        return len(self._journal.failed())

    def _failed_chunks(self) -> list[Chunk]:
        numbers = {chunk.end: chunk.number for chunk in self._chunks}
        failed = self._journal.failed()
        if self._replies is not None and not numbers.keys() >= {end for _, end in failed}:
            raise _other_chunks()
        return [
            Chunk(numbers.get(end, -1), self._conversation[start:end], end) for start, end in failed
        ]

    def _attempt(
        self, chunk: Chunk, retried: int | None = None
    ) -> tuple[list[AddedMemory], UnusableReplyError | None]:
        """Adds a chunk. Returns the results, and the error if the reply could not be used."""
        try:
            return self._add(chunk, retried), None
        except UnusableReplyError as error:
            return [], error

    def _add(self, chunk: Chunk, retried: int | None) -> list[AddedMemory]:
        memory = self._memory.replacing(
            progress=self._journal.progress(chunk.end, retried),
            raise_on_llm_error=True,
            **self._parts(chunk),
        )
        added: list[AddedMemory] = memory.add(
            [line.message for line in chunk.lines],
            **self._ids,
            metadata=self._fields(chunk),
            infer=self._infer,
            timestamp=chunk.lines[-1].timestamp,
        )["results"]
        return added

    def _parts(self, chunk: Chunk) -> dict[str, Any]:
        """The parts that replace the memory's for this chunk."""
        parts: dict[str, Any] = {}
        if self._replies is not None:
            parts["llm"] = ScriptedLLM([self._replies[chunk.number]])
        return parts

    def _fields(self, chunk: Chunk) -> dict[str, Any]:
        last = chunk.lines[-1]
        session = {} if last.session is None else {"session": last.session}
        return {**session, **self._metadata}


def _wrong_count(replies: int, chunks: int) -> ValidationError:
    return ValidationError(
        f"there are {replies} replies for {chunks} chunks",
        error_code="INGEST_001",
        details={"replies": replies, "chunks": chunks},
        suggestion="Give one reply per chunk, and the chunk size that the replies were made for.",
    )


def _changed(messages: int) -> ValidationError:
    return ValidationError(
        f"the file is not the one whose first {messages} messages an earlier run took in",
        error_code="INGEST_003",
        details={"messages": messages},
        suggestion="Give it back the lines it had, or start again from its beginning: --restart.",
    )


def _other_chunks() -> ValidationError:
    return ValidationError(
        "the chunks that failed are of another size than those that the replies are for",
        error_code="INGEST_001",
        suggestion="Give the chunk size of the run in which they failed.",
    )
