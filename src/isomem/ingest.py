"""Takes in a conversation from a file of JSON lines, and goes on where an earlier run stopped.

A line is a message: `{"role": "user", "content": "..."}`, with, if you like, `name`, `timestamp`
(ISO 8601) and `session`. Blank lines are skipped. The messages are added in chunks, each one
call of `Memory.add`; a chunk never spans two sessions or two days. The prompt has the day of
its chunk, and the memories have its time as `created_at` and its session as metadata.

How far a conversation has been taken in is a row in the memory file, written in the transaction
that stores the chunk. So the two cannot disagree, whenever the process dies. The row is found by
what was taken in (a digest of the messages and of whose memory they are) and not by the file's
name: a file that has grown, moved or been copied goes on where it stopped. Two processes that take
in the same conversation get in each other's way at the first chunk that both have added: one of
them is refused, and nothing is stored twice.

A model or an embedder that cannot be reached stops the ingest, and the next run goes on at the
same chunk. A reply that cannot be used is noted in the file and the ingest goes on after it;
`retry` takes in these chunks again, and nothing else twice.
"""

from __future__ import annotations

import hashlib
import json
import os

from isomem.clock import Clock
from isomem.contract.arguments import check_ids, check_text
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

    Message = dict[str, Any]

_FIELDS = ("role", "content", "name")


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

    @property
    def numbers(self) -> tuple[int, int]:
        """The numbers of its first and last line in the file."""
        return self.lines[0].number, self.lines[-1].number

    def after(self, messages: int) -> Chunk:
        """What is left of the chunk when the first `messages` of the file are done."""
        return Chunk(self.number, self.lines[messages - self.end :], self.end)


class Step:
    """How far an ingest has come.

    Attributes:
        messages: gone through so far, those of earlier runs included.
        total: messages in the file.
        memories: added by this run.
        lines: first and last line of the chunk that was last.
        failure: why that chunk is not in; None if it is.
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
        ValidationError: INGEST_001, a line is not a message; names the line.
    """
    return [_line(number, value) for number, value in _json_lines(lines)]


def read_replies(lines: Iterable[str]) -> list[Any]:
    """The replies of a file that has one model reply per line, one line per chunk.

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
        suggestion='Write one message per line: {"role": "user", "content": "..."}.',
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


class Journal:
    """How far a conversation has been taken in, as the memory file has it.

    Args:
        memory: whose file.
        conversation: all of it.
        ids: whose memory it is.
        infer: whether a model extracts facts.
        source: where it was read from.

    Attributes:
        done: messages that are gone through.

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
        target = [memory.collection_name, sorted(check_ids(ids).items()), infer]
        self._target = _sha256("", target)
        self._prefixes = list(_prefixes(self._target, conversation))
        self._source = source
        self._own: str | None = None
        self._first_memory: str | None = None
        self.done = 0
        self._rows.prepare()
        self._find()

    def _find(self) -> None:
        """Takes up the row that says most about this conversation, if there is one."""
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
        """How many messages an unfinished run took in from this source that are others now."""
        if self.done:
            return None
        for row in self._rows.taken_in(self._target):
            if row.source == self._source and row.messages < row.total:
                return row.messages
        return None

    def restart(self) -> None:
        """Forgets what was taken in of this conversation, and from this source."""
        self._rows.forget(self._target, self._prefixes, self._source)
        self.done = 0
        self._own = self._first_memory = None

    def failed(self) -> list[tuple[int, int]]:
        """The chunks that are not in: first message and the one after the last, of each."""
        return [
            (row.start, row.messages)
            for row in self._rows.failed(self._target)
            if self._has(row.messages, row.digest)
        ]

    def progress(self, done: int, retried: int | None = None) -> Progress:
        """The row that says that `done` messages are in.

        Args:
            retried: the first message of a failed chunk that ends there, and that is now in.
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
        """Notes that a chunk is not in, and goes past it."""
        start = chunk.end - len(chunk.lines)
        self._rows.save_failed(self.progress(chunk.end), start)
        self.settle(chunk.end, None)

    def settle(self, done: int, first_memory: str | None) -> None:
        """Counts what is on disk now."""
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


# --- Taking in -------------------------------------------------------------------------------


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
        memory: where to; it may be used for other calls meanwhile.
        conversation: from `read_conversation`.
        ids: `user_id`, `agent_id`, `run_id`: whose memory it is; at least one.
        infer: False stores every message as it is.
        metadata: stored with each memory, beside the `session` and the time of its chunk.
        chunk: most messages in one call of `add`.
        replies: a reply for each chunk, in place of the model.
        source: where the conversation was read from, such as a path.
        restart: takes it in from the beginning, even if it is in the memory.
        retry: takes in again what failed in this run and in earlier ones.

    Attributes:
        resumed_at: messages that earlier runs have gone through.
        total: messages in the conversation.

    Raises:
        ValidationError: INGEST_001, the replies are not one per chunk; INGEST_003, what an
            unfinished run took in from this source has been changed.
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
        """Adds chunk after chunk; each step is on disk when it is handed out.

        Raises:
            Exception: what `Memory.add` raised; this chunk is not in, those before it are.
            DatabaseError: INGEST_002, another process is taking in the same conversation.
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
                self._journal.settle(chunk.end, added[0]["id"] if added else None)
            else:
                self._journal.skip(chunk)
            memories += len(added)
            yield Step(chunk.end, self.total, memories, chunk.numbers, failure)

    @property
    def failed(self) -> int:
        """How many chunks were skipped and are not in yet."""
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
    ) -> tuple[list[dict[str, Any]], UnusableReplyError | None]:
        """Adds a chunk: the results, and what was wrong with the reply if it was not usable."""
        try:
            return self._add(chunk, retried), None
        except UnusableReplyError as error:
            return [], error

    def _add(self, chunk: Chunk, retried: int | None) -> list[dict[str, Any]]:
        memory = self._memory.replacing(
            progress=self._journal.progress(chunk.end, retried),
            raise_on_llm_error=True,
            **self._parts(chunk),
        )
        added: list[dict[str, Any]] = memory.add(
            [line.message for line in chunk.lines],
            **self._ids,
            metadata=self._fields(chunk),
            infer=self._infer,
        )["results"]
        return added

    def _parts(self, chunk: Chunk) -> dict[str, Any]:
        """The parts that this chunk needs in place of the memory's."""
        parts: dict[str, Any] = {}
        if self._replies is not None:
            parts["llm"] = ScriptedLLM([self._replies[chunk.number]])
        if day := chunk.lines[-1].day:
            parts["clock"] = _DatedClock(self._memory.clock, day)
        return parts

    def _fields(self, chunk: Chunk) -> dict[str, Any]:
        last = chunk.lines[-1]
        session = {} if last.session is None else {"session": last.session}
        moment = {} if last.timestamp is None else {"created_at": last.timestamp}
        return {**session, **moment, **self._metadata}


def _wrong_count(replies: int, chunks: int) -> ValidationError:
    return ValidationError(
        f"there are {replies} replies for {chunks} chunks",
        error_code="INGEST_001",
        details={"replies": replies, "chunks": chunks},
        suggestion="Give one reply per chunk, with the chunk size that they were made for.",
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
