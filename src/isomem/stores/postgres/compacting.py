"""`compact`: the server rewrites the tables, so that their files lose what was removed.

It keeps the bytes as long as an older transaction may still read them.
"""

from __future__ import annotations

import time

import psycopg

from isomem.errors import DatabaseError
from isomem.stores.postgres.turns import turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from psycopg import Connection

_COMPACTED = (
    "points", "near", "ids", "links", "scopes", "term_counts", "history", "messages", "removed",
    "ingests", "failed_chunks", "receipts",
)  # fmt: skip
"""What has rows about memories. The vectors of indexes, `near`, are only there if one was asked
for."""
_FILES = (
    "SELECT file FROM (SELECT to_regclass(%s) UNION"
    " SELECT relid FROM pg_partition_tree(to_regclass(%s))) AS parts (name),"
    " pg_relation_filenode(name) AS file WHERE file IS NOT NULL"
)

_KEPT_S, _LOOK_EVERY_S = 15.0, 0.25
"""How long to wait for older transactions, longer than a standby takes to tell of its own, and
after how long to look again."""
_LOCKED_S = 5.0
"""How long to wait for a table that others use, while whoever comes later waits, too."""
_PATIENT = "SET statement_timeout = 0; SET lock_timeout = {}"
_NOW = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
"""The number of a transaction: those that have ended have lower ones."""
_KEEPING = (
    "WITH now AS (SELECT age(%s::xid8::xid) AS age)"
    " SELECT 'session ' || pid || coalesce(' (' || nullif(application_name, '') || ')', '')"
    " FROM now, pg_stat_activity AS s WHERE pid <> pg_backend_pid() AND (age(backend_xid) > age"
    " OR age(backend_xmin) > age AND coalesce(datname = current_database(), true))"
    " AND NOT EXISTS (SELECT 1 FROM pg_stat_progress_vacuum AS v WHERE v.pid = s.pid)"
    " UNION ALL SELECT 'prepared transaction ' || gid FROM now, pg_prepared_xacts"
    " WHERE age(transaction) > age"
    " UNION ALL SELECT 'replication slot ' || slot_name FROM now, pg_replication_slots"
    " WHERE age(xmin) > age"
    " UNION ALL SELECT 'the setting vacuum_defer_cleanup_age'"
    " WHERE current_setting('vacuum_defer_cleanup_age', true)::integer > 0"
)
"""Who may see, or let others see, what was removed before a transaction: `VACUUM` leaves that. Of
those that write, those of other databases count, too: until they end, whoever begins to read
anywhere sees a state as old as theirs."""


def rewrite(connection: Connection[Any], name: str) -> None:
    """Rewrites all tables that have rows about memories, and leaves its limits of time behind.

    Args:
        connection: in no transaction.
        name: of the database, for people.

    Raises:
        DatabaseError: the server has not rewritten all of them, or an older transaction, for which
            it keeps what was removed or which uses a table, has not ended in time.
        psycopg.Error: the server did not do what it was asked.
    """
    connection.execute(_PATIENT.format(round(_LOCKED_S * 1000)).encode())
    with turn(connection):
        keeping = _wait_for_older(connection)
        left, used = _rewritten(connection)
    keeping += [f"others that use the table {table}" for table in used]
    if left:
        raise DatabaseError(
            f"{name}: the server has not rewritten the tables {', '.join(left)}: "
            "what was removed may still be in the bytes of their files",
            suggestion="Call compact as the owner of the tables or of the database, or as a "
            "superuser: the server rewrites tables for nobody else.",
        )
    if keeping:
        raise DatabaseError(
            f"{name}: what was removed may still be in the bytes of the tables' "
            f"files: it is kept for {', '.join(keeping)}",
            suggestion="Call compact again when that has ended.",
        )


def _rewritten(connection: Connection[Any]) -> tuple[list[str], list[str]]:
    """Rewrites the tables. Returns those that this user may not rewrite, and those in use."""
    left, used = [], []
    for table in _COMPACTED:
        try:
            if not _is_rewritten(connection, table):
                left.append(table)
        except psycopg.errors.LockNotAvailable:
            used.append(table)
    return left, used


def _wait_for_older(connection: Connection[Any]) -> list[str]:
    """Waits for who may see what was removed before now. Returns those who still may."""
    deadline = time.monotonic() + _KEPT_S
    now = connection.execute(_NOW).fetchone()
    while keeping := connection.execute(_KEEPING, now).fetchall():
        if time.monotonic() >= deadline:
            break
        time.sleep(_LOOK_EVERY_S)
    return [name for (name,) in keeping]


def _is_rewritten(connection: Connection[Any], table: str) -> bool:
    """Rewrites a table, if it is there, into new files. Returns whether that was done.

    A user who may not do that only gets a warning, in the language of the server.
    """
    before = _files_of(connection, table)
    if before:
        connection.execute(f"VACUUM FULL {table}".encode())
    return before.isdisjoint(_files_of(connection, table))


def _files_of(connection: Connection[Any], table: str) -> set[Any]:
    """The files of a table or of its partitions; none if it is not there."""
    return {*connection.execute(_FILES, (table, table)).fetchall()}
