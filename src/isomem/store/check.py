"""Finds damage in a memory file: what it says about its points is recomputed from the points.

Nothing is written, and no write lock is taken. `check` looks at what must hold no matter what wrote
the file. `check_history` also expects that every memory was written through `Memory`.
"""

from __future__ import annotations

from array import array
from collections import Counter
from typing import NamedTuple

import apsw

from isomem.contract.limits import KEPT_MESSAGES
from isomem.contract.payload import LINKS
from isomem.errors import DatabaseError, MemoryCorruptionError
from isomem.kernel import scale_to_unit
from isomem.store.codec import canonical_id, load_payload, load_terms, load_vector
from isomem.store.keywords import indexed_text, rules_of, term_key
from isomem.store.row_keys import SEQ_BITS, SEQ_MASK
from isomem.store.schema import APPLICATION_ID, VERSION, prepare_ledger, prepare_store
from isomem.store.snapshot import reading
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from isomem.ports.shapes import Payload
    from isomem.store.database import Database
    from isomem.store.keywords import TermEncoder

_LENGTH_TOLERANCE = 1e-4
_TINY = 1.2e-7
"""Vectors no longer than this are stored as they are."""

_ENTITIES = "_entities"
_ELSEWHERE = {"history", "messages"}
"""Tables that are in another file where `history_db_path` names one."""

_POINTS = f"""
    SELECT p.row_key, p.collection, p.id, p.payload, p.vector, p.terms,
           i.seq IS NOT NULL, s.collection, s.user_id, s.agent_id, s.run_id
    FROM points AS p
    LEFT JOIN scopes AS s ON s.number = p.row_key >> {SEQ_BITS}
    LEFT JOIN insertions AS i ON i.seq = p.row_key & {SEQ_MASK} AND i.scope > 0
"""
_WELL_TYPED = """
    typeof(p.collection) = 'integer' AND typeof(p.id) = 'text' AND typeof(p.payload) = 'text'
    AND typeof(p.vector) = 'blob' AND typeof(p.terms) IN ('blob', 'null')
"""


class Finding(NamedTuple):
    """One thing that is wrong.

    Attributes:
        kind: what part of the file it is in: "integrity", "schema", "collections", "scopes",
            "points", "order", "terms", "links", "history", "messages" or "ingests".
        subject: which row, such as the id of a memory; "" if it is not one row.
        message: what is wrong with it, for a person.
    """

    kind: str
    subject: str
    message: str


def check(source: Database | apsw.Connection, encoder: TermEncoder | None = None) -> list[Finding]:
    """Everything that is wrong with a memory file; an empty list if it is sound.

    Args:
        source: the open file.
        encoder: encodes the texts again if the file was written by its rules. Without it, stored
            terms are assumed to be correct.

    Raises:
        MemoryCorruptionError: the file is a database of another program.
        DatabaseError: the file has the schema of another version of isomem.
    """
    return _read(source, lambda connection: _findings(connection, encoder))


def check_ledger(source: Database | apsw.Connection) -> list[Finding]:
    """`check` for a file that holds only the history and the message buffers."""
    return _read(source, _ledger_findings)


def check_history(source: Database | apsw.Connection) -> list[Finding]:
    """Memories whose history does not end with what is stored now.

    The last event of a memory must be the one that wrote its text; that of a removed memory must be
    DELETE. A file with imported points, or with points that were written directly to the vector
    store, has findings here although it is sound.
    """
    return _read(source, lambda connection: [*_history_disagreements(connection)])


def _read(source: Database | apsw.Connection, find: Any) -> list[Finding]:
    found: list[Finding]
    if isinstance(source, apsw.Connection):
        with reading(source):
            found = find(source)
    else:
        with source.reading() as database:
            found = find(database.connection)
    return found


def _findings(connection: apsw.Connection, encoder: TermEncoder | None) -> list[Finding]:
    _require_current(connection)
    damaged = [*_integrity(connection)]
    wrong = [*_schema_findings(connection, {"meta", *_expected(prepare_store)})]
    if wrong:
        return damaged + wrong  # Whatever else is asked would fail.
    try:
        return [*damaged, *_contents(connection, encoder)]
    except apsw.CorruptError as error:
        return [*damaged, Finding("integrity", "", str(error))]


def _ledger_findings(connection: apsw.Connection) -> list[Finding]:
    damaged = [*_integrity(connection)]
    wrong = [*_schema_findings(connection, _ELSEWHERE)]
    return damaged + (wrong or [*_ledger(connection)])


def _contents(connection: apsw.Connection, encoder: TermEncoder | None) -> Iterator[Finding]:
    collections = _collections(connection)
    survey = _Survey(collections, encoder)
    yield from _row_types(connection)
    yield from _collection_findings(collections.values())
    yield from _scopes(connection, collections)
    yield from survey.scan(connection)
    yield from _order(connection)
    yield from _counts(connection, survey)
    yield from _links(connection, survey)
    yield from _ledger(connection)
    yield from _ingests(connection)


def _require_current(connection: apsw.Connection) -> None:
    owner = _first(connection, "PRAGMA application_id")
    if owner != APPLICATION_ID:
        raise MemoryCorruptionError(
            f"{connection.filename} is not a memory file: it is a database of another program",
            error_code="CORRUPT_001",
            details={"application_id": owner},
        )
    version = _first(connection, "SELECT max(value) FROM meta WHERE key = 'schema_version'")
    if str(version) != str(VERSION):
        raise DatabaseError(
            f"{connection.filename} has schema version {version}; "
            f"this isomem checks version {VERSION}",
            details={"file_version": version, "known_version": VERSION},
            suggestion="An older file is migrated when a memory opens it. A newer one needs the "
            "isomem that wrote it.",
        )


def _first(connection: apsw.Connection, sql: str) -> Any:
    return connection.execute(sql).fetchall()[0][0]


# --- The file and its tables ---


def _integrity(connection: apsw.Connection) -> Iterator[Finding]:
    try:
        for (line,) in connection.execute("PRAGMA integrity_check"):
            if line != "ok":
                yield Finding("integrity", "", str(line))
    except apsw.CorruptError as error:
        yield Finding("integrity", "", str(error))


def _schema_findings(connection: apsw.Connection, required: set[str]) -> Iterator[Finding]:
    """Tables, columns and indexes that are missing, and what isomem never makes."""
    expected = {**_expected(prepare_store), **_expected(prepare_ledger)}
    for table, (columns, indexes) in expected.items():
        present, known = _columns(connection, table), _indexes(connection, table)
        if not present and table not in required:
            continue
        for what, missing in (("column", columns - present), ("index", indexes - known)):
            for name in sorted(missing):
                yield Finding("schema", table, f"the {what} {name} is missing")
    sql = "SELECT type, name FROM sqlite_schema WHERE type IN ('trigger', 'view')"
    for kind, name in connection.execute(sql):
        yield Finding("schema", str(name), f"isomem did not make this {kind}")


def _expected(prepare: Any) -> dict[str, tuple[set[str], set[str]]]:
    """Columns and indexes of each table that `prepare` makes in an empty file."""
    pattern = apsw.Connection(":memory:")
    try:
        prepare(pattern)
        tables = [row[0] for row in pattern.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table'"
        )]  # fmt: skip
        return {name: (_columns(pattern, name), _indexes(pattern, name)) for name in tables}
    finally:
        pattern.close()


def _columns(connection: apsw.Connection, table: str) -> set[str]:
    return {str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")}


def _indexes(connection: apsw.Connection, table: str) -> set[str]:
    return {str(row[1]) for row in connection.execute(f"PRAGMA index_list({table})")}


# --- Collections and scopes ---


class _Collection:
    """A row of `collections`, and its partner: of entities the memories, or None."""

    __slots__ = ("dims", "documents", "keywords", "memories", "name", "number")

    def __init__(self, number: int, name: str, dims: Any, keywords: str, documents: int) -> None:
        self.number = number
        self.name = name
        self.dims = dims
        self.keywords = keywords
        self.documents = documents
        self.memories: int | None = None


def _collections(connection: apsw.Connection) -> dict[int, _Collection]:
    sql = "SELECT number, name, dims, keywords, documents FROM collections"
    rows: list[Any] = connection.execute(sql).fetchall()
    every = [_Collection(*row) for row in rows]
    by_name = {each.name: each for each in every}
    for each in every:
        base = by_name.get(str(each.name).removesuffix(_ENTITIES), each)
        each.memories = None if base is each else base.number
    return {each.number: each for each in every}


def _collection_findings(collections: Iterable[_Collection]) -> Iterator[Finding]:
    for each in collections:
        if not (each.dims is None or (isinstance(each.dims, int) and each.dims > 0)):
            yield Finding("collections", each.name, f"dims is {each.dims!r}")


def _row_types(connection: apsw.Connection) -> Iterator[Finding]:
    sql = f"SELECT p.id, p.row_key FROM points AS p WHERE NOT ({_WELL_TYPED})"
    for point_id, row_key in connection.execute(sql):
        yield Finding("points", str(point_id), f"row {row_key} holds values of wrong types")


def _scopes(connection: apsw.Connection, collections: dict[int, _Collection]) -> Iterator[Finding]:
    seen: set[tuple[Any, ...]] = set()
    sql = f"SELECT number, collection, {', '.join(SCOPE_KEYS)} FROM scopes"
    for number, *ids in connection.execute(sql):
        name = f"scope {number}"
        if abs(ids[0]) not in collections:
            yield Finding("scopes", name, f"there is no collection {ids[0]}")
        if not all(value is None or isinstance(value, str) for value in ids[1:]):
            yield Finding("scopes", name, "an id is not text")
        if ids[0] > 0 and tuple(ids) in seen:
            yield Finding("scopes", name, "another scope has the same ids")
        seen.add(tuple(ids))
    sql = (
        "SELECT number FROM scopes WHERE NOT EXISTS (SELECT 1 FROM points WHERE row_key"
        f" BETWEEN number << {SEQ_BITS} AND number << {SEQ_BITS} | {SEQ_MASK})"
    )
    for (number,) in connection.execute(sql):
        yield Finding("scopes", f"scope {number}", "no point is in it")


# --- Points ---


class _Point:
    """A row of `points`, with what other tables say about it."""

    __slots__ = ("collection", "id", "ids", "is_recent", "payload", "row_key", "scoped", "terms",
                 "vector")  # fmt: skip

    def __init__(self, row: tuple[Any, ...]) -> None:
        (self.row_key, self.collection, self.id, text, self.vector, self.terms, self.is_recent,
         self.scoped, *self.ids) = row  # fmt: skip
        self.payload = _payload(text)

    @property
    def gave_up_id(self) -> bool:
        """Whether it is detached, and another point has its id: nothing is counted of it."""
        return (self.scoped or 0) < 0 and self.collection == -self.row_key


def _payload(text: str) -> Payload | None:
    try:
        payload = load_payload(text)
    except (MemoryCorruptionError, ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None  # type: ignore[redundant-expr]


class _Entity:
    """An entity: its id, the collection with its memories, and the list of links in its payload,
    which is empty in a sound file; None if there is no list."""

    __slots__ = ("id", "listed", "memories")

    def __init__(self, point: _Point, memories: int) -> None:
        self.id = point.id
        self.memories = memories
        listed = (point.payload or {}).get(LINKS)
        self.listed: list[Any] | None = listed if isinstance(listed, list) else None

    def listed_apart(self, row_key: int, stored: set[tuple[str, int]]) -> list[str]:
        """The memories that are in the list, but not in a row."""
        listed = map(str, self.listed or ())
        return [memory_id for memory_id in listed if (memory_id, row_key) not in stored]


class _Survey:
    """What the points say, counted while they are checked one by one.

    Attributes:
        ids: of the points, by collection.
        texts: how many points have terms that are counted in the file, by collection.
        terms: how many of these have each term, by its key.
        entities: those that links may lead to, by row key.
    """

    def __init__(self, collections: dict[int, _Collection], encoder: TermEncoder | None) -> None:
        self.collections = collections
        self.ids: dict[int, set[str]] = {number: set() for number in collections}
        self.texts = Counter[int]()
        self.terms = Counter[int]()
        self.entities: dict[int, _Entity] = {}
        self._encoder = encoder
        self._rules = rules_of(encoder) if encoder else None

    def scan(self, connection: apsw.Connection) -> Iterator[Finding]:
        """Checks every point."""
        for row in connection.execute(f"{_POINTS} WHERE {_WELL_TYPED}"):
            point = _Point(row)
            if point.gave_up_id:
                continue
            collection = self.collections.get(point.collection)
            if collection is None:
                yield Finding("points", point.id, f"there is no collection {point.collection}")
            else:
                for fault in self._faults(point, collection):
                    yield Finding("points", point.id, fault)
                for fault in self._text(point, collection):
                    yield Finding("terms", point.id, fault)
                self._count(point, collection)

    def _faults(self, point: _Point, collection: _Collection) -> Iterator[str]:
        if point.scoped is None:
            yield f"there is no scope {point.row_key >> SEQ_BITS}"
        elif abs(point.scoped) != point.collection:
            yield f"its scope {point.row_key >> SEQ_BITS} belongs to another collection"
        if canonical_id(point.id) != point.id:
            yield "its id is not in its canonical form"
        yield from _vector_faults(point.vector, collection.dims)
        if point.payload is None:
            yield "its payload is not a JSON object"
        elif point.scoped is not None and [*map(point.payload.get, SCOPE_KEYS)] != point.ids:
            yield "the ids in its payload are not those of its scope"

    def _text(self, point: _Point, collection: _Collection) -> Iterator[str]:
        if not collection.keywords:
            return
        if len(point.terms or b"") % 4:
            yield "its terms are cut off"
        elif point.payload is not None and self._encoder and self._rules == collection.keywords:
            text = indexed_text(point.payload)
            if point.terms != (None if text is None else self._encoder.packed(text)):
                yield "its terms are not those of its text"

    def _count(self, point: _Point, collection: _Collection) -> None:
        self.ids[collection.number].add(point.id)
        if collection.keywords and point.terms is not None and not point.is_recent:
            self.texts[collection.number] += 1
            whole = point.terms[: len(point.terms) // 4 * 4]
            self.terms.update(term_key(collection.number, term) for term in set(load_terms(whole)))
        if collection.memories is not None:
            self.entities[point.row_key] = _Entity(point, collection.memories)


def _vector_faults(data: bytes, dims: Any) -> Iterator[str]:
    if len(data) % 4 or len(data) // 4 != dims:
        yield f"its vector has {len(data)} bytes, its collection has {dims} dimensions"
        return
    length = scale_to_unit(array("f", load_vector(data)), _TINY)
    if not (abs(length - 1.0) <= _LENGTH_TOLERANCE or length <= _TINY):
        yield f"its vector has the length {length:g}, which is not 1"


def _order(connection: apsw.Connection) -> Iterator[Finding]:
    """Checks that the insertion order is unique and is never assigned twice."""
    sql = f"SELECT row_key & {SEQ_MASK} AS seq FROM points GROUP BY seq HAVING count(*) > 1"
    for (seq,) in connection.execute(sql):
        yield Finding("order", str(seq), "several points have this insertion order")
    sql = (
        "SELECT seq FROM insertions WHERE scope > 0 AND NOT EXISTS"
        f" (SELECT 1 FROM points WHERE row_key = (scope << {SEQ_BITS} | seq))"
    )
    for (seq,) in connection.execute(sql):
        yield Finding("order", str(seq), "no point has this insertion order any more")
    last = _first(connection, f"SELECT max(row_key & {SEQ_MASK}) FROM points")
    given = _first(connection, "SELECT max(seq) FROM insertions")
    if last is not None and (given is None or given < last):
        yield Finding("order", str(last), "this insertion order would be given out again")


# --- Keywords and links ---


def _counts(connection: apsw.Connection, survey: _Survey) -> Iterator[Finding]:
    for each in survey.collections.values():
        texts = survey.texts[each.number]
        if each.keywords and each.documents != texts:
            yield Finding("terms", each.name, f"{each.documents} texts are counted, not {texts}")
    rows: list[Any] = connection.execute("SELECT number, documents FROM terms").fetchall()
    stored: dict[int, int] = dict(rows)
    for key in sorted({*stored, *survey.terms}):
        collection = survey.collections.get(key >> 32)
        if collection is None:
            yield Finding("terms", str(key), "its collection does not exist")
        elif collection.keywords and stored.get(key, 0) != survey.terms[key]:
            counts = f"it is counted in {stored.get(key, 0)} texts, not in {survey.terms[key]}"
            yield Finding("terms", str(key), counts)


def _links(connection: apsw.Connection, survey: _Survey) -> Iterator[Finding]:
    """Checks both ends of every link, and that only rows say what an entity is linked to."""
    rows: list[Any] = connection.execute("SELECT memory_id, entity FROM linked_memories").fetchall()
    stored: set[tuple[str, int]] = set(rows)
    for memory_id, row_key in sorted(stored, key=str):
        entity = survey.entities.get(row_key)
        if entity is None:
            yield Finding("links", str(row_key), "the entity is linked and is not there")
        elif canonical_id(memory_id) not in survey.ids.get(entity.memories, ()):
            fault = f"the entity is linked to memory {memory_id}, which does not exist"
            yield Finding("links", entity.id, fault)
    linked = {row_key for _, row_key in stored}
    for row_key, entity in sorted(survey.entities.items()):
        if entity.listed == [] and row_key not in linked:
            yield Finding("links", entity.id, "the entity is linked to no memory")
        for memory_id in entity.listed_apart(row_key, stored):
            fault = f"the entity lists memory {memory_id} and is not linked to it"
            yield Finding("links", entity.id, fault)


# --- History, messages, ingests ---


def _ledger(connection: apsw.Connection) -> Iterator[Finding]:
    if _columns(connection, "history"):
        sql = "SELECT id FROM history WHERE id IS NULL OR memory_id IS NULL OR event IS NULL"
        for (row_id,) in connection.execute(sql):
            yield Finding("history", str(row_id), "the row does not name a memory or an event")
    if _columns(connection, "messages"):
        sql = "SELECT session_scope, count(*) FROM messages GROUP BY 1 HAVING count(*) > ?"
        for session, count in connection.execute(sql, (KEPT_MESSAGES,)):
            fault = f"{count} messages are kept, {KEPT_MESSAGES} at most should be"
            yield Finding("messages", str(session), fault)


def _ingests(connection: apsw.Connection) -> Iterator[Finding]:
    if not {"digest", "messages", "total"} <= _columns(connection, "ingests"):
        return
    sql = (
        "SELECT digest, messages, total FROM ingests WHERE typeof(messages) <> 'integer'"
        " OR typeof(total) <> 'integer' OR NOT messages BETWEEN 0 AND total"
    )
    for digest, messages, total in connection.execute(sql):
        fault = f"{messages} of {total} messages are recorded as ingested"
        yield Finding("ingests", str(digest), fault)


def _history_disagreements(connection: apsw.Connection) -> Iterator[Finding]:
    # SQLite adds rows of this table in the order of their rowids.
    sql = "SELECT memory_id, event, new_memory FROM history ORDER BY rowid"
    last = {memory_id: (event, text) for memory_id, event, text in connection.execute(sql)}
    stored = _texts(connection)
    for memory_id in sorted(stored.keys() | last.keys()):
        event, text = last.get(memory_id, (None, None))
        if memory_id not in stored and event != "DELETE":
            yield Finding("history", memory_id, f"ends with {event}, but the memory does not exist")
        elif memory_id in stored and event not in {"ADD", "UPDATE"}:
            yield Finding("history", memory_id, f"ends with {event}, but the memory exists")
        elif memory_id in stored and text != stored[memory_id]:
            yield Finding("history", memory_id, "ends with a text that is not the memory's")


def _texts(connection: apsw.Connection) -> dict[str, Any]:
    """The text of every memory, by id."""
    memories = [each.number for each in _collections(connection).values() if each.memories is None]
    texts = {}
    for number in memories:
        sql = "SELECT id, payload FROM points WHERE collection = ?"
        for point_id, text in connection.execute(sql, (number,)):
            texts[str(point_id)] = (_payload(str(text)) or {}).get("data")
    return texts
