"""A store set of parts that have no transaction in common, including foreign ones.

What the calls of one process write takes turns only where it has to: steps that write the same
memory, and changes of links in scopes that may share entities. Closing waits for the steps that are
under way, and later ones for it. No model is asked meanwhile. Processes do not wait for each other.

One call writes in this order. The ids of each step are known before, so that it can be undone by
them, whatever has cut it off: an error, or an interrupt at any moment.

* an add: the memories, then history, messages, and the receipt of the call, which are one
  transaction if the ledger is ours. Until that is stored, a failure removes the memories; from then
  on the call is done. A call with a receipt notes their ids before it, so that the next try of a
  process that died in between removes what it has left.
  Links come next, since a failure there loses only links. What the new memories supersede is marked
  last: if that fails, both are shown.
* a change or a removal: its history row, then the memory. If that fails, the store is asked what it
  has: the row is removed if the memory is as before, and stays if it is not. A foreign ledger
  cannot remove a row; the log says so. Links come last.
"""

from __future__ import annotations

from contextlib import nullcontext

from isomem import log
from isomem.config import COLLECTION, ENTITIES_SUFFIX, cannot_dedup, default_path
from isomem.contract.arguments import ANY_VALUE, not_found_for_update
from isomem.contract.limits import MOST_REMOVED
from isomem.contract.payload import changed_event, listed, removed_event, restored_event
from isomem.contract.plan import mentions_of
from isomem.contract.profile import DEFAULT, profile_of
from isomem.contract.scope import scope_of
from isomem.contract.visibility import SUPERSEDED_FIELDS, is_expired
from isomem.errors import (
    ConfigurationError,
    InvalidConfigError,
    MemoryError,
    ValidationError,
    VectorStoreError,
    VectorValueError,
)
from isomem.ports.guard import Guarded, GuardedStore, PartFailure
from isomem.providers import registry
from isomem.store.collection import Collection
from isomem.store.database import Database
from isomem.store.entities import Entities
from isomem.store.ingests import Ingests
from isomem.store.ledger import Ledger
from isomem.store.receipts import Receipts
from isomem.store.schema import prepare_ledger
from isomem.stores.embedded import missing
from isomem.stores.events import Events
from isomem.stores.joining import EmbeddedLinks
from isomem.stores.linking import Asking, Links
from isomem.stores.superseding import check_superseded, supersede
from isomem.stores.turns import SetTurns
from isomem.text.tiers import load_encoder
from isomem.types import clone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    from isomem.clock import Clock
    from isomem.config import MemoryConfig
    from isomem.contract.plan import Change, Plan, Record
    from isomem.contract.profile import Profile
    from isomem.contract.ranking import Found, Question
    from isomem.contract.visibility import Visibility
    from isomem.ports.shapes import Embedder, Filters, Hit, Listing, Payload, Vector
    from isomem.stores.linking import Both

_EXCUSED = (PartFailure, VectorValueError)
_UNUSABLE = (*_EXCUSED, ValidationError)
_PAGE = 1000
_AT_ONCE = 1000


def _guarded(part: Any, kind: type[Guarded]) -> Any:
    """Our own part is used as it is: its errors are ours, and are not excused."""
    return part if isinstance(part, (Collection, Ledger)) else kind(part)


class ComposedSet(Asking):
    """Three stores that each keep their own.

    Args:
        vectors, entities, ledger: objects with upstream's methods; see `isomem.ports.shapes`.
        profile: of the memory.

    Attributes:
        parts: the three stores, as they were given.
        serial: False: steps may run at the same time.
        takes_any_id: False if a store does not say so: it may read the id "*" as every id.
    """

    serial = False

    def __init__(
        self, vectors: Any, entities: Any, ledger: Any, profile: Profile = DEFAULT
    ) -> None:
        self.parts = vectors, entities, ledger
        self._profile = profile
        self.vectors = _guarded(vectors, GuardedStore)
        self.entities = _guarded(entities, GuardedStore)
        self.ledger = _guarded(ledger, Guarded)
        self.takes_any_id = _takes_any_id(vectors) and _takes_any_id(entities)
        is_ours = isinstance(entities, Entities)
        kind = EmbeddedLinks if is_ours else Links
        atomic = entities.atomic if is_ours else nullcontext
        self.links = kind(self.vectors, self.entities, _EXCUSED, atomic, profile)
        self._turns = SetTurns(vectors, entities, ledger)

    @property
    def ingests(self) -> Ingests | None:
        """The progress of ingests, in the first file of ours; None if there is no such file."""
        file = _file_of(self.ledger) or _file_of(self.vectors)
        return None if file is None else Ingests(file)

    @property
    def receipts(self) -> Receipts | None:
        """The receipts of calls, in the same file; None if there is no such file."""
        file = _file_of(self.ledger) or _file_of(self.vectors)
        return None if file is None else Receipts(file, self._take_back)

    def reading(self, **_: Any) -> AbstractContextManager[object]:
        """An empty block: separate parts have no common state."""
        return nullcontext()

    def both(self, text: str, vector: Vector, lemmas: str, top_k: int, filters: Filters) -> Both:
        """As `Asking.both`, in one request if the store is one that saves requests."""
        if _can(self.vectors, "both"):
            both: Both = self.vectors.both(vector, lemmas, top_k, filters)
            return both
        return super().both(text, vector, lemmas, top_k, filters)

    def last_insertion(self) -> int:
        """Raises ConfigurationError: separate parts have no common insertion order."""
        raise cannot_dedup()

    def ranked(self, question: Question, top_k: int, filters: Filters) -> Found:
        """The memories that the fused ranking puts first, if they are in a collection of ours.

        Raises:
            ConfigurationError: they are not. A foreign store tells neither the mean of a scope nor
                how many of its memories have a term.
        """
        if isinstance(self.vectors, Collection):
            return self.vectors.ranked(question, top_k, filters)
        raise ConfigurationError(
            'ranking "fused" needs memories in the embedded store or postgres, and this vector '
            "store is neither",
            error_code="CONFIG_008",
            suggestion='Search with ranking="contract".',
        )

    def matching(self, lemmas: str, top_k: int, filters: Filters) -> Sequence[Any]:
        """As `ports.shapes.Stores.matching`."""
        return self.vectors.matching_in_scope(lemmas, top_k, filters) or ()

    @property
    def can_count_in_scope(self) -> bool:
        """Whether the memories are in a collection of ours."""
        return isinstance(self.vectors, Collection)

    def take_embedder(self, before: Embedder, after: Embedder, config: object) -> None:
        """Raises InvalidConfigError, CONFIG_003, if the embedder is another one.

        The length of the vectors of a foreign store is fixed, and it does not say who made them.
        """
        del config
        if _called(before) != _called(after):
            raise InvalidConfigError(
                f"the vectors in the store are those of {_called(before)}, not of {_called(after)}",
                error_code="CONFIG_003",
                suggestion="Configure the embedder that made them.",
            )

    def listing(self, visibility: Visibility) -> Listing:
        """The memories that a call shows, in an order, part by part."""
        if isinstance(self.vectors, Collection):
            return self.vectors.listing(visibility)
        from isomem.stores.listing import ForeignListing

        return ForeignListing(self.vectors, visibility)

    def when_written(self, parts: Sequence[object], close: Callable[[], object]) -> None:
        """Closes parts when nobody writes to them; see `SetTurns.when_written`."""
        self._turns.when_written(parts, close)

    # --- Applying a plan ---

    def apply(self, plan: Plan) -> Sequence[Record]:
        """Applies a plan, as a whole if the parts are able to do that.

        Returns:
            The records that are stored.

        Raises:
            PartFailure: a part failed; what was written before is undone.
            MemoryNotFoundError: the memory to change or to remove does not exist.
        """
        with self._turns.writing(_written_by(plan)):
            stored = self._add(plan)
            if plan.change is not None:
                self._change(plan.change, plan)
            if plan.remove is not None:
                self._remove_by_id(plan.remove, plan)
            if plan.restore is not None:
                self._restore(plan.restore, plan.clock.now())
        if plan.clear is not None:
            self._clear(plan, plan.clear)
        return stored

    def _add(self, plan: Plan) -> Sequence[Record]:
        noted = self._begin(plan)
        events = Events(self.ledger, [record.event for record in plan.records])
        try:
            stored = self._insert(plan) if plan.records else ()
            if len(stored) < len(plan.records):
                events = Events(self.ledger, [record.event for record in stored])
            self._tell(plan, stored, events, noted)
        except BaseException:
            if not self._is_told(plan, events):
                events.take_back()
                self._take_back(_ids(plan.records))
            raise
        if stored and plan.mentions:
            with self._turns.linking(plan.scope):
                self.links.link(mentions_of(plan.mentions, stored), plan.scope, plan.clock)
        if stored and plan.supersedes:
            supersede(plan, stored, self._payload, self._mark)
            self._amend(plan, stored)
        return stored

    def _amend(self, plan: Plan, stored: Sequence[Record]) -> None:
        """Notes in the receipt what was superseded. That is done, so a failure is only logged."""
        if not (plan.receipt and self.receipts):
            return
        try:
            self.receipts.amend(plan.receipt, stored)
        except MemoryError as error:
            log.error("A receipt does not say what was superseded: %s", error)

    def _begin(self, plan: Plan) -> Sequence[str]:
        """Notes what a call with a receipt will store, and removes what dead tries of it have.

        Returns:
            What is noted.
        """
        if not (plan.receipt and self.receipts):
            return ()
        left, new = self.receipts.begin(plan.receipt, _ids(plan.records)), _ids(plan.records)
        for memory_id in left:
            if self.vectors.get(vector_id=memory_id) is not None:
                self.vectors.delete(vector_id=memory_id)
        return [*left, *new]

    def _ledger_block(self) -> AbstractContextManager[object]:
        return self.ledger.atomic() if isinstance(self.ledger, Ledger) else nullcontext()

    def _tell(
        self, plan: Plan, stored: Sequence[Record], events: Events, noted: Sequence[str]
    ) -> None:
        """Writes what belongs to stored memories: last of all the receipt."""
        with self._ledger_block():
            events.write()
            if plan.messages:
                self.ledger.save_messages(plan.messages, plan.session)
            if plan.progress and self.ingests and not plan.failed:
                self.ingests.save(plan.progress, stored[0].id if stored else None)
            if plan.receipt and self.receipts and not plan.failed:
                self.receipts.complete(plan.receipt, noted, stored)

    def _is_told(self, plan: Plan, events: Events) -> bool:
        """Whether what `_tell` writes is stored for sure, although it was cut off."""
        try:
            if isinstance(self.ledger, Ledger):
                return events.are_stored()
            receipt, receipts = plan.receipt, self.receipts
            return bool(receipt and receipts and receipts.find(receipt.id))
        except MemoryError as error:
            log.error("A failed call may be in the history: %s", error)
            return False

    def _insert(self, plan: Plan) -> Sequence[Record]:
        records = plan.records
        try:
            self._insert_all(records)
        except _UNUSABLE as error:
            stored = [record for record in records if self._try(record)] if plan.partial else []
            if not stored:
                self._take_back(_ids(records))
                plan.fail(error)
            return stored
        return records

    def _insert_all(self, records: Sequence[Record]) -> None:
        self.vectors.insert(
            vectors=[record.vector for record in records],
            ids=[record.id for record in records],
            payloads=[record.payload for record in records],
        )

    def _try(self, record: Record) -> bool:
        try:
            self._insert_all([record])
        except _UNUSABLE as error:
            log.error("Failed to insert memory %s: %s", record.id, error)
            self._take_back([record.id])
            return False
        return True

    def _take_back(self, memory_ids: Sequence[str]) -> bool:
        """Removes memories of a call that fails; a store may have kept some of what it refused.

        Returns:
            Whether none is left.
        """
        are_gone = True
        for memory_id in memory_ids:
            try:
                if self.vectors.get(vector_id=memory_id) is not None:
                    self.vectors.delete(vector_id=memory_id)
            except (PartFailure, MemoryError) as error:
                log.error("Memory %s of a failed call may be stored: %s", memory_id, error)
                are_gone = False
        return are_gone

    # --- Superseding ---

    def _payload(self, memory_id: str, fate: str = "is not superseded") -> Payload | None:
        """The payload of a memory; None if there is none, or the store cannot say.

        Args:
            memory_id: of the memory.
            fate: what happens to it then, for the log.
        """
        try:
            point = self.vectors.get(vector_id=memory_id)
        except (PartFailure, MemoryError) as error:
            log.error("Memory %s %s: %s", memory_id, fate, error)
            return None
        return clone(point.payload or {}) if point else None

    def _mark(self, memory_id: str, payload: Payload, event: Payload) -> bool:
        """Marks a memory as superseded. The new fact is stored, so a failure is only logged."""
        try:
            self._put(memory_id, payload, event)
        except (PartFailure, MemoryError) as error:
            log.error("Memory %s is not superseded: %s", memory_id, error)
            return False
        return True

    def _put(
        self, memory_id: str, payload: Payload, event: Payload, vector: Vector | None = None
    ) -> None:
        """Stores another payload of a memory, and perhaps another vector, with its history row."""
        events = Events(self.ledger, [event])
        try:
            events.write_one()
            self.vectors.update(vector_id=memory_id, vector=vector, payload=payload)
        except BaseException:
            if not self._has(memory_id, payload):
                events.take_back()
            raise

    def _has(self, memory_id: str, payload: Payload) -> bool:
        """Whether a memory has a payload for sure, as far as the store keeps one."""
        stored = self._payload(memory_id, "may be changed") or {}
        return all(stored.get(key) == value for key, value in payload.items())

    def _restore(self, memory_id: str, now: str) -> None:
        point = self.vectors.get(vector_id=memory_id)
        if point is None:
            raise missing(memory_id)
        memory_id, payload = str(point.id), clone(point.payload or {})
        check_superseded(memory_id, payload)
        event = restored_event(memory_id, payload, now)
        # Some stores overlay a payload, so that a field can be emptied, but not removed.
        emptied = dict.fromkeys(SUPERSEDED_FIELDS)
        self._put(memory_id, {**payload, **emptied}, event)

    # --- Changing and removing ---

    def _change(self, change: Change, plan: Plan) -> None:
        point = self._find(change.memory_id)
        if point is None:
            raise not_found_for_update(change.memory_id)
        old = clone(point.payload or {})  # A store may later change what it has returned.
        change = change.over(old)
        payload = self._profile.changed(old, change, plan.clock.now())
        memory_id = str(point.id)  # The caller may have spelled it otherwise.
        event = changed_event(memory_id, old, payload)
        self._put(change.memory_id, payload, event, change.vector)
        if not change.relinks(old, self._profile.RELINKS_SAME_TEXT):
            return
        scope = scope_of(payload)
        with self._turns.linking(scope):
            self._unlink(memory_id, scope, plan)
            if self._may_link(scope):
                self.links.relink(memory_id, change.mentions_in(memory_id), scope, plan.clock)

    def _find(self, memory_id: str) -> Hit | None:
        try:
            found: Hit | None = self.vectors.get(vector_id=memory_id)
            return found
        except PartFailure as failure:
            if self._profile.SHOWS_READ_FAILURES:
                raise
            raise ValueError(
                f"Error getting memory with ID {memory_id}. Please provide a valid 'memory_id'"
            ) from failure.error

    def _remove_by_id(self, memory_id: str, plan: Plan) -> None:
        point = self.vectors.get(vector_id=memory_id)
        if point is None:
            raise missing(memory_id)
        self._remove(point, plan)

    def _remove(self, point: Hit, plan: Plan) -> None:
        memory_id, payload = str(point.id), clone(point.payload or {})
        scope = scope_of(payload)
        events = Events(self.ledger, [removed_event(memory_id, payload, plan.clock.now())])
        try:
            events.write_one()
            self.vectors.delete(vector_id=point.id)
            self._note_removed(memory_id, scope)
        except BaseException:
            if self._is_gone(point.id):
                self._note_removed(memory_id, scope)
            else:
                events.take_back()
            raise
        with self._turns.linking(scope):
            self._unlink(memory_id, scope, plan)

    def _note_removed(self, memory_id: str, scope: Payload) -> None:
        if _can(self.ledger, "note_removed"):
            self.ledger.note_removed([(memory_id, scope)])

    def _is_gone(self, memory_id: str) -> bool:
        """Whether there is no such memory for sure."""
        try:
            return self.vectors.get(vector_id=memory_id) is None
        except (PartFailure, MemoryError) as error:
            log.error("Memory %s may be removed: %s", memory_id, error)
            return False

    def _may_link(self, scope: Payload) -> bool:
        """Whether entities can be looked up by these ids: `takes_any_id` says why not."""
        return self.takes_any_id or ANY_VALUE not in scope.values()

    def _unlink(self, memory_id: str, scope: Payload, plan: Plan) -> None:
        if self._may_link(scope):
            self.links.unlink(memory_id, scope, plan.entity_vectors)
        else:
            log.warning("The entities of memory %s stay: its id could mean any", memory_id)

    def expired(self, ids: Filters, clock: Clock) -> Sequence[str]:
        """The ids of the expired memories that have all these ids; {} means every memory."""
        points = listed(self.vectors.list(filters=dict(ids) or None, top_k=MOST_REMOVED))
        return [str(point.id) for point in points if self._is_expired(point, clock)]

    def _is_expired(self, point: Hit, clock: Clock) -> bool:
        return is_expired(point.payload or {}, clock, self._profile.EXPIRATION_FIELDS)

    def remove_expired(self, memory_ids: Sequence[str], plan: Plan) -> int:
        """Removes those of these memories that are still expired, one after another."""
        removed = 0
        for memory_id in memory_ids:
            with self._turns.writing([memory_id]):
                point = self.vectors.get(vector_id=memory_id)
                if point is not None and self._is_expired(point, plan.clock):
                    self._remove(point, plan)
                    removed += 1
        return removed

    def _clear(self, plan: Plan, ids: Mapping[str, str]) -> None:
        if plan.purge_history and not _can(self.ledger, "purge"):
            raise VectorStoreError(
                "the ledger is not isomem's and cannot forget history; nothing was removed",
                suggestion="Call delete_all without purge_history, and clear that ledger yourself.",
            )
        removed: set[str] = set()
        while left := self._page(ids, removed):
            for listed_point in left:
                with self._turns.writing([str(listed_point.id)]):
                    # As it is now: others may have changed or removed it before it was our turn.
                    point = self.vectors.get(vector_id=listed_point.id)
                    if point is not None:
                        self._remove(point, plan)
                removed.add(str(listed_point.id))
        with self._turns.writing(()), self._turns.linking(ids):
            self.links.prune(ids)
        if not _can(self.ledger, "forget_sessions"):
            log.warning("The ledger is not isomem's: message buffers and history stay as they are")
            return
        self.ledger.forget_sessions(ids)
        while plan.purge_history and self.ledger.purge(ids, _AT_ONCE):
            pass

    def _page(self, ids: Mapping[str, str], removed: set[str]) -> list[Hit]:
        page = listed(self.vectors.list(filters=dict(ids), top_k=_PAGE))
        return [point for point in page if str(point.id) not in removed]

    def reset(self) -> None:
        """Removes everything: memories, entities, history, messages."""
        with self._turns.writing(None):
            for store in self._stores():
                store.reset()
            if self.ingests:
                self.ingests.clear()

    def compact(self) -> None:
        """Rewrites our own files. What other stores keep of removed data is not ours to change."""
        files = {id(each): each for each in map(_file_of, self._stores()) if each is not None}
        for file in files.values():
            file.compact()

    def _stores(self) -> tuple[Any, ...]:
        return self.vectors, self.entities, self.ledger


def _ids(records: Sequence[Record]) -> list[str]:
    return [record.id for record in records]


def _written_by(plan: Plan) -> list[str]:
    """The ids of the memories that a plan writes, but for those that it clears."""
    changed = None if plan.change is None else plan.change.memory_id
    superseded = [each.memory_id for each in plan.supersedes]
    named = [each for each in (changed, plan.remove, plan.restore) if each is not None]
    return [*_ids(plan.records), *superseded, *named]


def _can(store: Any, method: str) -> bool:
    """Whether a store has one of our methods that upstream's stores do not have."""
    return hasattr(getattr(store, "part", store), method)


def _called(embedder: Embedder) -> str:
    """An embedder, as far as it is known: its identity, or else its class, and its dimensions."""
    named = getattr(embedder, "identity", None) or type(embedder).__name__
    dims = getattr(embedder, "dims", None)
    return f"{named} with {dims} dimensions" if dims else str(named)


def _takes_any_id(store: Any) -> bool:
    return isinstance(store, Collection) or getattr(store, "takes_any_id", False) is True


def _file_of(store: Any) -> Database | None:
    return store.database if isinstance(store, (Collection, Ledger)) else None


def open_set(config: MemoryConfig, embedder: Embedder, clock: Clock) -> ComposedSet:
    """A vector store, twice, over a ledger of ours.

    Raises:
        InvalidConfigError: the options of the store cannot work.
        DependencyError: a package that the store needs is not installed.
        VectorStoreError: the store cannot be opened.
        DatabaseError: the file of the ledger cannot be opened.
    """
    path = config.history_db_path or f"{default_path()}-history"
    memories, entities = _open_stores(config, embedder)
    try:
        ledger = Ledger(Database(path, prepare_ledger), clock)
    except BaseException:
        _close(entities)
        _close(memories)
        raise
    return ComposedSet(memories, entities, ledger, profile_of(config.profile))


def _open_stores(config: MemoryConfig, embedder: Embedder) -> tuple[Any, Any]:
    """The collections of the memories and of their entities."""
    store = config.vector_store
    options = store.config.model_dump()
    if not registry.is_bridged(registry.VECTOR_STORES, store.provider):
        options.setdefault(COLLECTION.name, COLLECTION.default)
    dims = getattr(embedder, "dims", None)
    encoder = load_encoder(config.nlp.provider, config.nlp.config.model_dump())
    memories: Any = registry.create_vector_store(store.provider, options, dims, encoder)
    try:
        if hasattr(memories, "beside"):
            return memories, memories.beside(f"{memories.collection_name}{ENTITIES_SUFFIX}")
        named = {COLLECTION.name: f"{options[COLLECTION.name]}{ENTITIES_SUFFIX}"}
        return memories, registry.create_vector_store(store.provider, {**options, **named})
    except BaseException:
        _close(memories)
        raise


def _close(store: Any) -> None:
    if hasattr(store, "close"):
        store.close()
