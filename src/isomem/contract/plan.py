"""Plans: what one call has decided to write, complete before anything is written.

A pipeline makes a `Plan`; a store set applies it. Some things have to be read in the transaction
that writes them (an old payload, the entity that a name already has). The plan only describes
those, and the store set decides.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from isomem.clock import Clock
    from isomem.types import Message, Payload, Vector


_NOTHING: Mapping[str, object] = {}

Since = int | str
"""Which insertions a call has seen: only the store set that has said it can read it."""

REMOVED_AT_ONCE = 1000
"""How many memories are removed in one transaction, if more have to go."""


class Record:
    """A memory that is not stored yet.

    Attributes:
        event: its history row.
        supersedes: what it has superseded once it is stored: `id`, `memory` and `why` of each; None
            if nobody asks.
        told: what a caller is told of it in addition.
    """

    __slots__ = ("event", "id", "payload", "supersedes", "text", "told", "vector")

    def __init__(
        self, memory_id: str, text: str, vector: Vector, payload: Payload, event: Payload
    ) -> None:
        self.id = memory_id
        self.text = text
        self.vector = vector
        self.payload = payload
        self.event = event
        self.supersedes: Sequence[dict[str, str]] | None = None
        self.told: Mapping[str, object] = _NOTHING

    def result(self) -> Payload:
        """What a caller is told once it is stored."""
        result = {"id": self.id, "memory": self.text, "event": "ADD", **self.told}
        return result if self.supersedes is None else {**result, "supersedes": [*self.supersedes]}


class Supersession:
    """A stored memory that a new one supersedes, if it still has the text that was looked at.

    Attributes:
        hash: of that text.
        by: id of the new memory.
        why: "contradicts" or "repeats".
    """

    __slots__ = ("by", "hash", "memory_id", "why")

    def __init__(self, memory_id: str, text_hash: str | None, by: str, why: str) -> None:
        self.memory_id = memory_id
        self.hash = text_hash
        self.by = by
        self.why = why


class Mention:
    """An entity and the memories that name it. `vector` is None until it is embedded.

    In a plan it means: link these memories to the matching entity of this scope, or insert one.
    """

    __slots__ = ("kind", "memory_ids", "text", "vector")

    def __init__(
        self, kind: str, text: str, memory_ids: set[str], vector: Vector | None = None
    ) -> None:
        self.kind = kind
        self.text = text
        self.memory_ids = memory_ids
        self.vector = vector


class Change:
    """A new text for a memory, or other fields, or both.

    Attributes:
        text: None keeps the text, and with it the lemmas, the vector and the entities.
        vector: of the text; None keeps the stored one.
        metadata: overlays the memory's own.
        mentions: the entities of the new text; those of the old one are unlinked.
        keeps_text: the text is the one that the memory had when it was looked up.
    """

    __slots__ = ("keeps_text", "lemmas", "memory_id", "mentions", "metadata", "text", "vector")

    def __init__(
        self,
        memory_id: str,
        text: str | None,
        lemmas: str,
        vector: Vector | None,
        metadata: Payload,
        mentions: Sequence[Mention] = (),
        *,
        keeps_text: bool = False,
    ) -> None:
        self.memory_id = memory_id
        self.text = text
        self.lemmas = lemmas
        self.vector = vector
        self.metadata = metadata
        self.mentions = mentions
        self.keeps_text = keeps_text

    def over(self, old: Payload) -> Change:
        """This change over the payload that is stored when it is written.

        If another call has changed the text that this one keeps, the other one's text stays.
        """
        if not self.keeps_text or old.get("data") == self.text:
            return self
        return Change(self.memory_id, None, "", None, self.metadata)

    def mentions_in(self, memory_id: str) -> Sequence[Mention]:
        """The mentions, by the id as it is stored: the caller may have spelled it otherwise."""
        if memory_id == self.memory_id:
            return self.mentions
        return [Mention(each.kind, each.text, {memory_id}, each.vector) for each in self.mentions]

    def relinks(self, old: Payload, same_text: bool) -> bool:
        """Whether entities are linked anew; `same_text` says so for a text that does not change."""
        if self.text is None or self.keeps_text:
            return False
        return same_text or old.get("data") != self.text


class Progress:
    """How far a conversation has been ingested: a row that is written with the memories.

    Attributes:
        target: digest of whose memory it is.
        digest: of the messages that are stored once the plan is applied.
        replaces: digest of the row that this one replaces; None inserts a new row.
        source: the file that the messages were read from.
        messages, total: how many are stored, and how many there are.
        first_memory: id of the first memory that they led to, or None.
        retried: start of the failed chunk that the plan stores, or None.
    """

    __slots__ = (
        "digest", "first_memory", "messages", "replaces", "retried", "source", "target", "total",
    )  # fmt: skip

    def __init__(
        self,
        target: str,
        digest: str,
        *,
        replaces: str | None,
        source: str,
        messages: int,
        total: int,
        first_memory: str | None,
        retried: int | None = None,
    ) -> None:
        self.target = target
        self.digest = digest
        self.replaces = replaces
        self.source = source
        self.messages = messages
        self.total = total
        self.first_memory = first_memory
        self.retried = retried


class TakenIn:
    """How far one conversation was ingested; see `Progress` for the fields."""

    __slots__ = ("digest", "first_memory", "messages", "source", "total")

    def __init__(
        self, digest: str, messages: int, total: int, source: str, first_memory: str | None
    ) -> None:
        self.digest = digest
        self.messages = messages
        self.total = total
        self.source = source
        self.first_memory = first_memory


class FailedChunk:
    """A chunk that was skipped: the messages from `start` up to `messages`, and their digest."""

    __slots__ = ("digest", "messages", "start")

    def __init__(self, digest: str, start: int, messages: int) -> None:
        self.digest = digest
        self.start = start
        self.messages = messages


class Receipt:
    """The proof that a call was carried out: a row that is written with what the call stores.

    A plan whose receipt is there already fails as a whole.

    Attributes:
        id: of the call, as whoever makes it has chosen.
        digest: of what is asked for.
    """

    __slots__ = ("digest", "id")

    def __init__(self, receipt_id: str, digest: str) -> None:
        self.id = receipt_id
        self.digest = digest


class Outcome:
    """What a receipt says: the digest, and what the caller was told, without any text.

    Attributes:
        results: see `Record.result`; without `memory`, which the history has.
    """

    __slots__ = ("digest", "results")

    def __init__(self, digest: str, results: list[Payload]) -> None:
        self.digest = digest
        self.results = results


class Plan:
    """What one call writes, as a whole or not at all.

    Args:
        clock: gives times and the ids of new rows and entities.
        records: memories to add.
        partial: True skips records that cannot be stored, unless none can be; False makes one of
            them fail the plan.
        buffers_failed: True stores the messages even if no record can be, and does not raise.
        scope: ids of the scope of the records and the mentioned entities.
        supersedes: stored memories that the new ones supersede.
        mentions: entities to link to the new memories.
        since: which insertions the call has seen. Of the records, those that are equal to a
            later memory of the scope are left out. None stores all.
        session: key of the message buffer for `messages`.
        change: a memory to change.
        remove: id of a memory to remove.
        restore: id of a superseded memory to show again.
        clear: ids of the scopes to remove everything from.
        purge_history: also removes the history of what `clear` removes.
        entity_vectors: new vectors, by entity id, for entities that lose a memory but stay.
        progress: the row of an ingest.
        receipt: written if the plan does not fail, whatever it stores.

    Attributes:
        failed: whether no record could be stored, and only the messages were.
    """

    __slots__ = (
        "buffers_failed", "change", "clear", "clock", "entity_vectors", "failed", "mentions",
        "messages", "partial", "progress", "purge_history", "receipt", "records", "remove",
        "restore", "scope", "session", "since", "supersedes",
    )  # fmt: skip

    def __init__(
        self,
        clock: Clock,
        *,
        records: Sequence[Record] = (),
        partial: bool = False,
        buffers_failed: bool = False,
        scope: Payload | None = None,
        since: Since | None = None,
        supersedes: Sequence[Supersession] = (),
        mentions: Sequence[Mention] = (),
        session: str = "",
        messages: list[Message] | None = None,
        change: Change | None = None,
        remove: str | None = None,
        restore: str | None = None,
        clear: Mapping[str, str] | None = None,
        purge_history: bool = False,
        entity_vectors: Mapping[str, Vector] | None = None,
        progress: Progress | None = None,
        receipt: Receipt | None = None,
    ) -> None:
        self.clock = clock
        self.records = records
        self.partial = partial
        self.buffers_failed = buffers_failed
        self.failed = False
        self.scope = scope or {}
        self.since = since
        self.supersedes = supersedes
        self.mentions = mentions
        self.session = session
        self.messages = messages
        self.change = change
        self.remove = remove
        self.restore = restore
        self.clear = clear
        self.purge_history = purge_history
        self.entity_vectors = entity_vectors or {}
        self.progress = progress
        self.receipt = receipt

    def fail(self, error: Exception) -> None:
        """No record can be stored: raises `error`, unless the messages are stored all the same."""
        if not self.buffers_failed:
            raise error
        self.failed = True

    @property
    def only_adds(self) -> bool:
        """Whether it adds memories, all or none of them, and nothing else."""
        others = self.partial or self.mentions or self.messages or self.progress or self.receipt
        return bool(self.records) and not (others or self.change or self.remove)


def mentions_of(mentions: Sequence[Mention], records: Sequence[Record]) -> list[Mention]:
    """The mentions in the stored memories, without the memories that are not stored."""
    stored = {record.id for record in records}
    kept = (
        Mention(each.kind, each.text, each.memory_ids & stored, each.vector) for each in mentions
    )
    return [mention for mention in kept if mention.memory_ids]
