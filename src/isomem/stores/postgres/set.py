"""The store set `postgres`: memories, entities, history and messages in one PostgreSQL database.

A plan is one transaction. Its rules are those of the embedded set, which it shares the steps with;
what differs is where they read and write.
"""

from __future__ import annotations

from contextlib import suppress

from isomem import log
from isomem.config import ENTITIES_SUFFIX
from isomem.contract.limits import BOOST_SIMILARITY, ENTITY_MATCHES, RECENT_MESSAGES
from isomem.contract.profile import profile_of
from isomem.contract.scope import scope_of
from isomem.contract.scoring import entity_boost
from isomem.errors import DatabaseError, InvalidConfigError, VectorValueError
from isomem.stores.embedded import EmbeddedSet, facts_of
from isomem.stores.joining import JoinedLinks
from isomem.stores.linking import Joined, highest
from isomem.stores.postgres.collection import PostgresCollection, PostgresEntities
from isomem.stores.postgres.connections import Connections
from isomem.stores.postgres.database import Database
from isomem.stores.postgres.ingests import PostgresIngests
from isomem.stores.postgres.ledger import PostgresLedger
from isomem.stores.postgres.near import MOST_DIMENSIONS
from isomem.stores.postgres.receipts import PostgresReceipts
from isomem.stores.postgres.schema import prepare
from isomem.stores.postgres.scopes import ScopeCache
from isomem.stores.postgres.target import Target, check_pool
from isomem.text.tiers import load_encoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from typing import Any, ParamSpec, TypeVar

    from isomem.clock import Clock
    from isomem.config import MemoryConfig
    from isomem.contract.plan import Mention, Plan, Record, Since
    from isomem.contract.profile import Profile
    from isomem.ports.shapes import Embedder, Filters, Payload

    P = ParamSpec("P")
    T = TypeVar("T")


_TIDY = "DELETE FROM commits WHERE at < now() - interval '1 day'"
"""Removes the tokens that dead processes have left: each process does it once."""


class PostgresSet(EmbeddedSet):
    """The three stores of one memory, in one database.

    Attributes:
        serial: False: steps run at the same time, each on a connection of its own.
    """

    serial = False
    vectors: PostgresCollection
    entities: PostgresEntities
    ledger: PostgresLedger

    def __init__(
        self,
        database: Any,
        vectors: PostgresCollection,
        entities: PostgresEntities,
        ledger: PostgresLedger,
        profile: Profile,
    ) -> None:
        self.parts = vectors, entities, ledger
        self.vectors = vectors
        self.entities = entities
        self.ledger = ledger
        self._writer = vectors.writer
        self._database = database
        self._rows: Database = database
        self._profile = profile
        self.links = PostgresLinks(vectors, entities, (VectorValueError,), Joined, profile)
        self.ingests = PostgresIngests(database)
        self.receipts = PostgresReceipts(database)
        self._has_one_file = True
        self._held = None
        self._detached = object()
        self._swept = None
        self._is_tidy = False
        self._keywords = vectors.keywords

    def reading(
        self,
        *,
        filters: Filters | None = None,
        lemmas: str = "",
        probes: Sequence[Mention] = (),
        session: str | None = None,
        **_: object,
    ) -> AbstractContextManager[object]:
        """As `EmbeddedSet.reading`. All that the block will ask for is asked at once."""
        if filters is None:
            return self._rows.reading()
        return self._rows.reading(lambda: self._expect(filters, lemmas, probes, session))

    def _expect(
        self, filters: Filters, lemmas: str, probes: Sequence[Mention], session: str | None
    ) -> None:
        with suppress(ValueError):  # Whoever asks gets to know what is wrong with filters.
            self.vectors.reader.expect(filters)
        if lemmas and self._keywords is not None:
            self._keywords.expect(lemmas)
        if probes:
            self.entities.reader.expect(scope_of(filters))
        if session is not None:
            self.ledger.expect(session, RECENT_MESSAGES)

    def _write(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` in one transaction, once."""
        written = self._rows.write(work, *args, **kwargs)
        try:
            self._tidy()
        except DatabaseError as error:  # What the call has written is stored.
            log.warning("Tidying up after a write failed; a later one tries again: %s", error)
        return written

    def _unknown(self, plan: Plan, since: Since) -> Sequence[Record]:
        """As `EmbeddedSet._unknown`. Others who look there wait until these are stored."""
        self.vectors.hold(plan.scope)
        return super()._unknown(plan, since)

    def _tidy(self) -> None:
        if self._keywords is not None and self._keywords.is_due:
            self._rows.write(self._keywords.fold)
        if not self._is_tidy:
            self._rows.repeat(lambda: self._rows.execute(_TIDY))
            self._is_tidy = True

    def compact(self) -> None:
        """As `EmbeddedSet.compact`. Indexes of scopes that are gone are removed, too."""
        if self._keywords is not None:
            self._rows.write(self._keywords.fold)
        if self.vectors.near is not None:
            self.vectors.near.builder.tidy()
        super().compact()

    def shares(self, plan: Plan) -> bool:
        """False: each plan has a transaction of its own."""
        del plan
        return False

    def close(self) -> None:
        """Closes the connections, and evicts what was cached."""
        self.vectors.close()


class PostgresLinks(JoinedLinks):
    """`JoinedLinks` that asks once for the links of all entities that a query is about."""

    _entities: PostgresEntities

    def may_boost(self, scope: Payload) -> bool:
        """As `Links.may_boost`. True may be what was so a moment ago: then there is no boost."""
        return self._entities.reader.may_have_points(scope)

    def boosts(self, probes: Sequence[Mention], scope: dict[str, Any]) -> dict[str, float]:
        """As `Links.boosts`."""
        if not probes:
            return {}
        near = [hit for probe in probes for hit in self._near(probe, scope)]
        linked = self._entities.links.of_all({hit.row_key for hit in near}) if near else {}
        return highest(
            [
                (entity_boost(hit.score, len(memories)), memories)
                for hit in near
                for memories in [linked.get(hit.row_key, [])]
            ]
        )

    def _near(self, probe: Mention, scope: dict[str, Any]) -> list[Any]:
        hits = self._search(probe, scope, ENTITY_MATCHES)
        return [hit for hit in hits if hit.score >= BOOST_SIMILARITY]


def open_set(config: MemoryConfig, embedder: Embedder, clock: Clock) -> PostgresSet:
    """The set that `vector_store.config` describes; see `isomem.stores.registry`.

    Raises:
        InvalidConfigError: `history_db_path` is set, or the collection has vectors of another
            embedder.
        DatabaseError: the server cannot be reached or refuses.
    """
    options = config.vector_store.config
    if config.history_db_path is not None:
        raise InvalidConfigError(
            "history_db_path names a file, but the history is in the database with the memories",
            error_code="CONFIG_003",
            details={"key": "history_db_path"},
            suggestion="Leave out history_db_path.",
        )
    check_pool(options.model_dump(), "pool_min", "pool_max")
    target = Target(options.model_dump())
    prepare(target)
    connections = Connections(
        target,
        pool_min=options["pool_min"],
        pool_max=options["pool_max"],
        connect_timeout_s=options["connect_timeout_s"],
        retry_s=options["retry_s"],
    )
    database: Any = Database(connections)
    try:
        return _open(config, embedder, clock, database)
    except BaseException:
        database.close()
        raise


def _open(config: MemoryConfig, embedder: Embedder, clock: Clock, database: Any) -> PostgresSet:
    options = config.vector_store.config
    cache = ScopeCache(database, int(options["cache_mb"] * 1_000_000))
    database.release = cache.release
    database.connections.at_fork(cache.restart)
    dims, identity = facts_of(options, embedder)
    facts: dict[str, Any] = {"dims": dims, "embedder": identity}
    encoder = None
    if options["keyword_search"]:
        encoder = load_encoder(config.nlp.provider, config.nlp.config.model_dump())
    name = options["collection_name"]
    return PostgresSet(
        database,
        PostgresCollection(
            database, name, cache, encoder=encoder, hnsw_from=_hnsw_from(options, dims), **facts
        ),
        PostgresEntities(database, f"{name}{ENTITIES_SUFFIX}", cache, **facts),
        PostgresLedger(database, clock),
        profile_of(config.profile),
    )


def _hnsw_from(options: Any, dims: int | None) -> int | None:
    """From how many memories on a scope gets an index; None if none does."""
    if not options["hnsw"]:
        return None
    if dims is not None and dims > MOST_DIMENSIONS:
        raise InvalidConfigError(
            f"hnsw: pgvector indexes vectors of at most {MOST_DIMENSIONS} dimensions, these have "
            f"{dims}",
            error_code="CONFIG_003",
            details={"key": "hnsw"},
            suggestion="Leave out hnsw, or choose an embedder with fewer dimensions.",
        )
    return int(options["hnsw_from"])
