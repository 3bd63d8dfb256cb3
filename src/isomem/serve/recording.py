"""Recording: what the model was sent at the last adds, what it answered, and what came of it.

It is kept as long as the service runs, within bounds of number, length and time. What may hold
something of memories that are removed as a whole is forgotten with them.
"""

from __future__ import annotations

import asyncio
import time
import uuid

from isomem.causes import message_of
from isomem.contract.arguments import shown
from isomem.errors import UnusableReplyError
from isomem.serve.exchanges import Exchanges
from isomem.serve.grants import ids_in
from isomem.text.reply import read_facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Protocol, TypedDict, TypeVar

    from isomem.memory_async import AsyncMemory
    from isomem.serve.grants import Grant

    Json = Mapping[str, object]
    T = TypeVar("T")
    Messages = list[dict[str, object]]

    class Message(TypedDict):
        """What was said to the model."""

        role: str
        content: str

    class Added(TypedDict):
        """A memory that was stored."""

        id: str
        memory: str

    class Turn(TypedDict):
        """What the model was sent once, what it answered, and the facts in that."""

        sent: list[Message]
        reply: str | None
        error: str | None
        facts: list[str]
        seconds: float

    class _Model(Protocol):
        """A model with upstream's method, and perhaps one that can be awaited."""

        def generate_response(
            self, messages: Messages, *args: object, **options: object
        ) -> object: ...
        async def agenerate_response(
            self, messages: Messages, *args: object, **options: object
        ) -> object: ...


LONGEST_TEXT = 200_000
"""Where a text is cut."""

REPEATED = "RECEIPT_001"
"""The code of an add that was made before, and is not made again."""

ADDS = frozenset({"add", "remember"})

STORED, AS_SAID, NOTHING_FOUND, ALL_KNOWN, NOT_USED, UNUSABLE, FAILED = (
    "stored", "as_said", "nothing_found", "all_known", "not_used", "unusable", "failed",
)  # fmt: skip
"""What came of an add: memories were stored, after asking the model or without it; or none were:
the model found nothing, only what is known, or nothing else that could be used; its answer could
not be used, or the call failed."""


class Exchange:
    """One add.

    Attributes:
        ids: whose memory it was.
        turns: what the model was sent, and what it answered, in order.
        stored: the memories that were added.
        outcome: what came of it, as above; "" as long as it is not over.
        size: how long its texts are together, once it is over.
    """

    def __init__(self, call: str, arguments: Mapping[str, object]) -> None:
        self.id = uuid.uuid4().hex
        self.call = call
        self.at = time.time()
        self.seconds = 0.0
        self.ids = ids_in(arguments)
        self.infers = arguments.get("infer") is not False
        self.turns: list[Turn] = []
        self.stored: list[Added] = []
        self.error: str | None = None
        self.outcome = ""
        self.size = 0

    def end(self, result: object, error: Exception | None) -> None:
        """Notes what came of it."""
        self.seconds = time.time() - self.at
        if isinstance(result, dict):
            self.stored = [_added(each) for each in result.get("results", ())]
        self.error = None if error is None else message_of(error)
        self.outcome = self._outcome(error)
        self.size = sum(map(_size, self.turns)) + sum(len(each["memory"]) for each in self.stored)

    def _outcome(self, error: Exception | None) -> str:
        if error is not None:
            return UNUSABLE if isinstance(error, UnusableReplyError) else FAILED
        if self.stored:
            return STORED if self.turns else AS_SAID
        facts = [fact for turn in self.turns for fact in turn["facts"]]
        if not self.turns:
            return NOT_USED
        return ALL_KNOWN if facts else NOTHING_FOUND

    def shown(self) -> Json:
        """As JSON."""
        return {
            "id": self.id,
            "call": self.call,
            "at": self.at,
            "seconds": self.seconds,
            "ids": self.ids,
            "infer": self.infers,
            "outcome": self.outcome,
            "error": self.error,
            "stored": self.stored,
            "turns": self.turns,
        }


class Recorder:
    """Records adds.

    Args:
        exchanges: where they are kept; by default in the memory of this process.

    Attributes:
        is_shared: whether other processes know the same.
    """

    def __init__(self, exchanges: Exchanges | None = None) -> None:
        self._exchanges = exchanges or Exchanges()
        self.is_shared = self._exchanges.are_shared

    async def call(self, memory: AsyncMemory, name: str, arguments: Json) -> object:
        """Makes one call of a memory. An add is recorded.

        Returns, Raises:
            As the call.
        """
        if name not in ADDS:
            return await getattr(memory, name)(**arguments)
        exchange = Exchange(name, arguments)
        heard = memory.replacing(llm=_listener(memory.llm, exchange))
        try:
            await self._do(self._exchanges.begin, exchange)
            result = await getattr(heard, name)(**arguments)
        except Exception as error:
            if getattr(error, "error_code", None) != REPEATED:
                await self._keep(exchange, None, error)
            raise
        else:
            await self._keep(exchange, result, None)
        finally:
            await self._do(self._exchanges.drop, exchange)
        return result

    def shown_to(self, grants: Sequence[Grant]) -> list[Json]:
        """The adds to scopes that are granted, newest first."""
        return self._exchanges.shown_to(grants)

    def forget(self, ids: Json) -> None:
        """Forgets what may hold something of the scopes that have these ids; {} means everything.

        An add that is under way is not kept once it is over.
        """
        self._exchanges.forget(ids)

    def close(self) -> None:
        """Forgets what this process alone has."""
        self._exchanges.close()

    async def _keep(self, exchange: Exchange, result: object, error: Exception | None) -> None:
        exchange.end(result, error)
        await self._do(self._exchanges.keep, exchange)

    async def _do(self, step: Callable[[T], None], given: T) -> None:
        """One step, off the event loop if it may wait."""
        if self.is_shared:
            await asyncio.to_thread(step, given)
        else:
            step(given)


# --- Listening to the model -------------------------------------------------------------------


class _Listener:
    """A model that notes what it is sent and what it answers."""

    def __init__(self, model: _Model, exchange: Exchange) -> None:
        self._model = model
        self._exchange = exchange

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def generate_response(self, messages: Messages, *args: object, **options: object) -> object:
        """As the model's."""
        note = self._begun(messages)
        try:
            reply = self._model.generate_response(messages, *args, **options)
        except Exception as error:
            note(None, error)
            raise
        note(reply, None)
        return reply

    def _begun(self, messages: Messages) -> Callable[[object, Exception | None], None]:
        """Keeps what is sent. Returns what notes how it ended."""
        started, sent = time.time(), [*map(_said, messages)]

        def note(reply: object, error: Exception | None) -> None:
            turn: Turn = {
                "sent": sent,
                "reply": None if reply is None else _text(reply),
                "error": None if error is None else message_of(error),
                "facts": _facts(reply),
                "seconds": time.time() - started,
            }
            self._exchange.turns.append(turn)

        return note


class _AsyncListener(_Listener):
    """Likewise, for a model that can be awaited."""

    async def agenerate_response(
        self, messages: Messages, *args: object, **options: object
    ) -> object:
        """As the model's."""
        note = self._begun(messages)
        try:
            reply = await self._model.agenerate_response(messages, *args, **options)
        except Exception as error:
            note(None, error)
            raise
        note(reply, None)
        return reply


def _listener(model: object, exchange: Exchange) -> _Listener:
    kind = _AsyncListener if hasattr(model, "agenerate_response") else _Listener
    return kind(model, exchange)  # type: ignore[arg-type]  # anything with upstream's method


def _said(message: Json) -> Message:
    return {"role": str(message.get("role", "")), "content": _text(message.get("content", ""))}


def _size(turn: Turn) -> int:
    return sum(len(message["content"]) for message in turn["sent"]) + len(turn["reply"] or "")


def _facts(reply: object) -> list[str]:
    """What a reply says to remember; nothing if it cannot be read."""
    try:
        return [_text(fact["text"]) for fact in read_facts(reply)]
    except UnusableReplyError:
        return []


def _text(value: object) -> str:
    text = value if isinstance(value, str) else shown(value)
    text = text.encode("utf-8", "replace").decode()  # A model may answer half of a character.
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def _added(each: Json) -> Added:
    return {"id": str(each.get("id", "")), "memory": _text(each.get("memory", ""))}
