"""The embedded store set: one SQLite file, one transaction for a plan."""

from __future__ import annotations

import os

from isomem import log
from isomem.config import ENTITIES_SUFFIX
from isomem.contract.arguments import not_found_for_update
from isomem.contract.payload import (
    changed_event,
    removed_event,
    restored,
    restored_event,
)
from isomem.contract.plan import REMOVED_AT_ONCE, mentions_of
from isomem.contract.profile import DEFAULT, profile_of, told_of
from isomem.contract.scope import scope_of
from isomem.contract.visibility import is_expired
from isomem.errors import MemoryError, MemoryNotFoundError, ValidationError, VectorValueError
from isomem.store.cache import ScopeCache
from isomem.store.codec import canonical_id, load_payload, salvaged
from isomem.store.collection import Collection
from isomem.store.connection import IN_MEMORY
from isomem.store.database import Database
from isomem.store.entities import Entities
from isomem.store.held import Held
from isomem.store.ingests import Ingests
from isomem.store.ledger import Ledger
from isomem.store.receipts import Receipts
from isomem.store.schema import prepare_ledger, prepare_store
from isomem.stores.joining import JoinedLinks
from isomem.stores.linking import Asking, Joined
from isomem.stores.superseding import check_superseded, supersede
from isomem.text.tiers import load_encoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Any, ParamSpec, TypeVar

    import apsw

    from isomem.clock import Clock
    from isomem.config import MemoryConfig
    from isomem.contract.plan import Change, Plan, Record, Since
    from isomem.contract.profile import Profile
    from isomem.contract.ranking import Found, Question
    from isomem.contract.visibility import Visibility
    from isomem.ports.shapes import Embedder, Filters, Hit, Listing, Payload
    from isomem.store.vectors import Made
    from isomem.store.writing import Writer

    P = ParamSpec("P")
    T = TypeVar("T")

_UNUSABLE = (VectorValueError, ValidationError)
"""Errors in what is to be stored, not of the store."""


class EmbeddedSet(Asking):
    """The three stores of one memory, all ours.

    A history file of its own is a second transaction. It is committed first: if the process dies
    between the two, the history names memories that are not there, and none is without a history.

    Attributes:
        parts: the three stores.
        serial: steps follow each other, so an asynchronous memory runs them on one thread.
        takes_any_id: an id is compared as it is, "*" included.
        can_count_in_scope: words can be counted in one scope alone.
    """

    serial = True
    takes_any_id = True
    can_count_in_scope = True

    def __init__(
        self,
        vectors: Collection,
        entities: Entities,
        ledger: Ledger,
        profile: Profile = DEFAULT,
    ) -> None:
        self.parts = vectors, entities, ledger
        self.vectors: Collection = vectors
        self.entities = entities
        self.ledger = ledger
        self._database: Database = vectors.database
        self._writer: Writer = vectors.writer
        self._profile = profile
        self.links = JoinedLinks(vectors, entities, (VectorValueError,), Joined, profile)
        self.ingests = Ingests(self._database)
        self.receipts = Receipts(self._database)
        self._has_one_file = ledger.database is self._database
        self._held = None
        if self._has_one_file and self._database.path == IN_MEMORY:
            self._held = Held(self._database, self._writer, ledger)
        self._detached: object = object()  # Another one after each call that detaches.
        self._swept: object = None  # That of the last time when nothing detached was left.

    def reading(self, **_: Any) -> AbstractContextManager[object]:
        """A block that sees one state of the file."""
        return self._database.reading()

    def with_payloads(self, hits: Sequence[Hit]) -> Sequence[Hit]:
        """Hits of a search, whose payloads are read together and not one by one, as they are used.

        Those of damaged points are not.
        """
        points: Sequence[Any] = hits
        self.vectors.reader.read_payloads(points)
        return hits

    def last_insertion(self) -> Since:
        """The insertion order of the latest memory or entity in the file."""
        return self.vectors.last_insertion()

    def ranked(self, question: Question, top_k: int, filters: Filters) -> Found:
        """The `top_k` memories that the fused ranking puts first."""
        return self.vectors.ranked(question, top_k, filters)

    def matching(self, lemmas: str, top_k: int, filters: Filters) -> Sequence[Hit]:
        """As `ports.shapes.Stores.matching`."""
        return self.vectors.matching_in_scope(lemmas, top_k, filters) or ()

    def listing(self, visibility: Visibility) -> Listing:
        """The memories that a call shows, in an order, part by part."""
        return self.vectors.listing(visibility)

    def _write(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` in one transaction on each file."""
        if self._has_one_file:
            return self._database.write(work, *args, **kwargs)
        # Not shared: what is committed in the history could not be done again.
        with self._database.writing(), self.ledger.database.writing():
            return work(*args, **kwargs)

    def take_embedder(self, before: Embedder, after: Embedder, config: MemoryConfig) -> None:
        """As `ports.shapes.Stores.take_embedder`."""
        del before  # The collections know.
        made = facts_of(config.vector_store.config, after)
        known = self.vectors.made_by, self.entities.made_by
        if known == (made, made):
            return
        try:
            self._write(self._take_embedder, made)
        except BaseException:
            self.vectors.expect_embedder(known[0])
            self.entities.expect_embedder(known[1])
            raise

    def _take_embedder(self, made: Made) -> None:
        for each in (self.vectors, self.entities):
            each.expect_embedder(made)
            each.claim_embedder()

    # --- Applying a plan ---

    def apply(self, plan: Plan) -> Sequence[Record]:
        """Applies a plan, as a whole or not at all.

        Returns:
            The records that are stored.

        Raises:
            MemoryNotFoundError: the memory to change or to remove does not exist.
            VectorValueError, ValidationError: a record cannot be stored.
            DatabaseError: nothing was stored.
        """
        if self._swept is not self._detached:
            self._sweep_all(plan)
        if plan.clear is not None:
            self._clear(plan, plan.clear)
            return ()
        if self._held is not None and plan.only_adds and self._held.accepts(plan.records):
            self._held.add(plan.records)
            return plan.records
        return self._write(self._apply, plan)

    def shares(self, plan: Plan) -> bool:
        """Whether a plan can be applied together with others: in one transaction on one file."""
        is_swept = self._swept is self._detached
        return self._has_one_file and is_swept and plan.clear is None

    def apply_all(self, plans: Sequence[Plan]) -> Sequence[Sequence[Record] | Exception]:
        """Applies the plans of several callers, each as a whole or not at all.

        Returns:
            For each what `apply` returns, or the error that it raises.

        Raises:
            Exception: nothing was stored. Each plan has to be applied alone.
        """
        return self._write(self._apply_each, plans)

    def _apply_each(self, plans: Sequence[Plan]) -> Sequence[Sequence[Record] | Exception]:
        outcomes: list[Sequence[Record] | Exception] = []
        for plan in plans:
            try:
                with self._database.atomic():
                    outcomes.append(self._apply(plan))
            except MemoryError as error:
                outcomes.append(error)
        return outcomes

    def _apply(self, plan: Plan) -> Sequence[Record]:
        stored = plan.records if plan.since is None else self._unknown(plan, plan.since)
        if stored:
            if plan.partial:
                stored = self._insert_some(plan, stored)
            else:
                self._writer.insert(stored)
            self.ledger.put([record.event for record in stored])
            if plan.mentions:
                mentions = mentions_of(plan.mentions, stored)
                self.links.link(mentions, plan.scope, plan.clock)
            if plan.supersedes:
                supersede(plan, stored, self._payload, self._mark)
        if plan.change is not None:
            self._change(plan.change, plan)
        if plan.remove is not None:
            self._remove(plan.remove, plan)
        if plan.restore is not None:
            self._restore(plan.restore, plan.clock.now())
        self._note(plan, stored)
        return stored

    def _note(self, plan: Plan, stored: Sequence[Record]) -> None:
        """Writes what a plan has beside memories."""
        if plan.messages:
            self.ledger.save_messages(plan.messages, plan.session)
        if plan.progress and not plan.failed:
            self.ingests.save(plan.progress, stored[0].id if stored else None)
        if plan.receipt and not plan.failed:
            self.receipts.save(plan.receipt, stored)

    def _unknown(self, plan: Plan, since: Since) -> Sequence[Record]:
        """The records without those that another call has stored meanwhile."""
        hides = told_of(self._profile, plan.clock).hides
        later = self.vectors.reader.later(plan.scope, since)
        known = {payload.get("hash") for payload in later if not hides(payload)}
        return [record for record in plan.records if record.payload["hash"] not in known]

    def _insert_some(self, plan: Plan, records: Sequence[Record]) -> Sequence[Record]:
        """Stores all records, or else those that can be stored. Returns the stored ones."""
        plan.failed = False  # It may have been tried before, in a transaction that was undone.
        try:
            with self._database.atomic():
                self._writer.insert(records)
        except _UNUSABLE as error:
            stored = [record for record in records if self._try(record)]
            if not stored:
                plan.fail(error)
            return stored
        return records

    def _try(self, record: Record) -> bool:
        try:
            with self._database.atomic():
                self._writer.insert([record])
        except _UNUSABLE as error:
            log.error("Failed to insert memory %s: %s", record.id, error)
            return False
        return True

    def _change(self, change: Change, plan: Plan) -> None:
        stored = self._writer.find(canonical_id(change.memory_id))
        if stored is None:
            raise not_found_for_update(change.memory_id)
        memory_id, before = stored[1], load_payload(stored[3])
        change = change.over(before)
        payload = self._profile.changed(before, change, plan.clock.now())
        if change.vector is None:
            self._writer.replace_payload(stored, payload)
        else:
            self._writer.replace(stored, change.vector, payload)
        self.ledger.put([changed_event(memory_id, before, payload)])
        if change.relinks(before, self._profile.RELINKS_SAME_TEXT):
            self.entities.unlink_all([memory_id], plan.entity_vectors)
            mentions = change.mentions_in(memory_id)
            self.links.relink(memory_id, mentions, scope_of(payload), plan.clock)

    def _remove(self, memory_id: str, plan: Plan) -> None:
        stored = self._writer.find(canonical_id(memory_id))
        if stored is None:
            raise missing(memory_id)
        self._writer.remove(stored)
        self._forget({stored[1]: salvaged(stored[3])}, plan)

    def _forget(self, removed: Mapping[str, Payload], plan: Plan) -> None:
        """What follows when memories, payloads by id, are gone: history rows, and no links."""
        now = plan.clock.now()
        self.ledger.put([removed_event(*each, now) for each in removed.items()])
        self.ledger.note_removed(
            [(memory_id, scope_of(payload)) for memory_id, payload in removed.items()]
        )
        self.entities.unlink_all(removed, plan.entity_vectors)

    # --- Removing what has expired ---

    def expired(self, ids: Filters, clock: Clock) -> Sequence[str]:
        """The ids of the expired memories that have all these ids; {} means every memory."""
        with self.reading():
            fields = self._profile.EXPIRATION_FIELDS
            found = self.vectors.reader.having(fields, ids)
            return [memory_id for memory_id, payload in found if is_expired(payload, clock, fields)]

    def remove_expired(self, memory_ids: Sequence[str], plan: Plan) -> int:
        """Removes those of these memories that are still expired. Returns how many they were."""
        removed = self._write(self._remove_expired, memory_ids, plan)
        self._database.give_way()
        return removed

    def _remove_expired(self, memory_ids: Sequence[str], plan: Plan) -> int:
        found = {memory_id: self._writer.find(memory_id) for memory_id in memory_ids}
        fields, removed = self._profile.EXPIRATION_FIELDS, {}
        expired = []
        for stored in filter(None, found.values()):
            payload = salvaged(stored[3])
            if is_expired(payload, plan.clock, fields):
                expired.append(stored)
                removed[stored[1]] = payload
        self._writer.remove(*expired)
        self._forget(removed, plan)
        return len(removed)

    # --- Superseding ---

    def _payload(self, memory_id: str) -> Payload | None:
        stored = self._writer.find(memory_id)
        return load_payload(stored[3]) if stored else None

    def _mark(self, memory_id: str, payload: Payload, event: Payload) -> bool:
        """Stores a payload that differs only in its marks, and a history row."""
        stored = self._writer.find(memory_id)
        if stored is not None:
            self._writer.replace_payload(stored, payload)
            self.ledger.put([event])
        return stored is not None

    def _restore(self, memory_id: str, now: str) -> None:
        memory_id = canonical_id(memory_id)
        stored = self._writer.find(memory_id)
        if stored is None:
            raise missing(memory_id)
        payload = load_payload(stored[3])
        check_superseded(memory_id, payload)
        self._writer.replace_payload(stored, restored(payload))
        self.ledger.put([restored_event(memory_id, payload, now)])

    # --- Clearing scopes ---

    def _clear(self, plan: Plan, ids: Mapping[str, str]) -> None:
        """Removes all memories of some scopes, however many there are, and their message buffers.

        The first transaction hides all of them, and removes as many as one transaction may. Many
        short ones remove the rest, so that no other process waits long. If this process dies in
        between, the next one that opens the file and writes to it continues.
        """
        was_swept = self._swept is self._detached
        try:
            swept = self._write(self._detach, plan, ids)
        finally:  # It may be stored in any case.
            self._detached = object()
        if was_swept and self.serial and swept < REMOVED_AT_ONCE:
            self._swept = self._detached  # That was all.
        else:
            self._sweep_all(plan)
        while plan.purge_history and self._write(self.ledger.purge, ids, REMOVED_AT_ONCE):
            self._database.give_way()

    def _detach(self, plan: Plan, ids: Mapping[str, str]) -> int:
        self.vectors.detach(ids)
        self.ledger.forget_sessions(ids)
        return self._sweep(plan)

    def _sweep_all(self, plan: Plan) -> None:
        """Removes all detached points but those that others are removing: the next write looks."""
        while True:
            detached = self._detached
            if not self.vectors.has_detached():
                self._swept = detached
                return
            if not self._write(self._sweep, plan):
                return
            self._database.give_way()

    def _sweep(self, plan: Plan) -> int:
        """Removes some detached points. Returns how many."""
        swept = self._writer.sweep(REMOVED_AT_ONCE)
        if swept:
            self._forget({memory_id: salvaged(text) for _, memory_id, text, _ in swept}, plan)
        return len(swept)

    def reset(self) -> None:
        """Removes everything: memories, entities, history, messages."""
        self._write(self._reset)

    def _reset(self) -> None:
        self.vectors.reset()
        self.entities.reset()
        self.ledger.reset()
        self.ingests.clear()

    def compact(self) -> None:
        """Rewrites the files, so that nothing that was removed is left in their bytes."""
        self._database.compact()
        if not self._has_one_file:
            self.ledger.database.compact()

    def close(self) -> None:
        """Closes the files, and evicts what was cached of them."""
        self.vectors.close()
        self.ledger.close()


# --- Opening ---


def _stated(embedder: Embedder, name: str, kind: type) -> Any:
    """What an embedder says of itself; None if it says nothing, or something else."""
    said = getattr(embedder, name, None)
    return said if isinstance(said, kind) else None


def open_set(config: MemoryConfig, embedder: Embedder, clock: Clock) -> EmbeddedSet:
    """The set that `vector_store.config` describes; see `isomem.stores.registry`."""
    options = config.vector_store.config
    has_own_ledger = not _in_one_file(config.history_db_path, options["path"])
    database = open_file(
        options, options["path"], prepare_store if has_own_ledger else _prepare_both
    )
    try:
        cache = ScopeCache(database, int(options["cache_mb"] * 1_000_000))
        dims, identity = facts_of(options, embedder)
        facts: dict[str, Any] = {"dims": dims, "embedder": identity}
        encoder = None
        if options["keyword_search"]:
            encoder = load_encoder(config.nlp.provider, config.nlp.config.model_dump())
        name = options["collection_name"]
        vectors = Collection(database, name, cache, encoder=encoder, **facts)
        entities = Entities(database, f"{name}{ENTITIES_SUFFIX}", cache, **facts)
        history = database
        if has_own_ledger:
            history = open_file(options, config.history_db_path, prepare_ledger)
        ledger = Ledger(history, clock)
    except BaseException:
        database.close()
        raise
    return EmbeddedSet(vectors, entities, ledger, profile_of(config.profile))


def facts_of(options: Any, embedder: Embedder) -> tuple[int | None, str | None]:
    """The length of an embedder's vectors and its identity; None for what is not known."""
    dims = options["embedding_model_dims"] or _stated(embedder, "dims", int)
    return dims, _stated(embedder, "identity", str)


def _in_one_file(history: str | None, path: str) -> bool:
    """Whether the history is in the memory file, even if the two paths are spelled differently."""
    if history is None or history == path:
        return True
    if os.path.exists(history) and os.path.exists(path):
        return os.path.samefile(history, path)
    return os.path.realpath(history) == os.path.realpath(path)


def open_file(options: Any, path: Any, prepare: Callable[[apsw.Connection], None]) -> Database:
    """A file, opened as `vector_store.config` says."""
    return Database(
        path,
        prepare,
        synchronous=options["synchronous"],
        busy_timeout_s=options["busy_timeout_s"],
    )


def _prepare_both(connection: apsw.Connection) -> None:
    prepare_store(connection)
    prepare_ledger(connection)


def missing(memory_id: str) -> MemoryNotFoundError:
    """The error for a memory that should be removed but does not exist."""
    message = f"Memory with id {memory_id} not found"
    return MemoryNotFoundError(message, details={"memory_id": memory_id})
