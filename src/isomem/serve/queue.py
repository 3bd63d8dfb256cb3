"""The queue of jobs: calls that were accepted and are made later, as rows of the state file.

Several processes share it. One that takes a job has it for a time, and says again and again that it
still works on it. If it dies, the time runs out and another one takes the job. Jobs of the same
users, agents and runs are made one after another, in the order in which they came.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid

from isomem import log
from isomem.serve.keys import BUSY_MS, open_file
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from isomem.types import Json

    Row = tuple[Any, ...]
    Values = Sequence[object] | Mapping[str, object]

WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
STATES = (WAITING, RUNNING, DONE, FAILED, CANCELLED)
"""A job waits, runs, and ends in one of the others."""

_LOG_BUSY_MS = 1000
"""How long to wait for those who read the log of the file."""

OF_JOBS = "job:"
"""What the receipts of jobs begin with that have none of an idempotency key."""

_TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE,
    key_id        TEXT NOT NULL,
    receipt       TEXT NOT NULL UNIQUE,
    digest        TEXT NOT NULL,
    call          TEXT NOT NULL,
    arguments     TEXT,
    scope         TEXT NOT NULL,
    state         TEXT NOT NULL,
    failures      INTEGER NOT NULL DEFAULT 0,
    starts        INTEGER NOT NULL DEFAULT 0,
    due_at        REAL NOT NULL,
    owner         TEXT,
    held_until    REAL,
    error         TEXT,
    submitted_at  REAL NOT NULL,
    finished_at   REAL
);
CREATE INDEX IF NOT EXISTS open_jobs ON jobs (scope, number)
    WHERE state IN ('waiting', 'running');
CREATE INDEX IF NOT EXISTS open_in_order ON jobs (number)
    WHERE state IN ('waiting', 'running');
CREATE INDEX IF NOT EXISTS jobs_of_keys ON jobs (key_id, number);
"""
_COLUMNS = (
    "number, id, key_id, receipt, digest, call, arguments, state, failures, starts, error,"
    " submitted_at, finished_at"
)
_WITHOUT_ARGUMENTS = _COLUMNS.replace(" arguments,", " NULL,")
_OPEN = "state IN ('waiting', 'running')"
_FREE = (
    "((state = 'waiting' AND due_at <= :now) OR (state = 'running' AND held_until < :now))"
    f" AND NOT EXISTS (SELECT 1 FROM jobs AS earlier WHERE earlier.{_OPEN}"
    " AND earlier.scope = jobs.scope AND earlier.number < jobs.number)"
)
# SQLite would go through all jobs in their order, and nearly all that are kept are over.
_FIRST_FREE = (
    f"SELECT number FROM jobs INDEXED BY open_in_order WHERE {_OPEN} AND {_FREE}"
    " ORDER BY number LIMIT 1"
)
_TAKE = (
    "UPDATE jobs SET state = 'running', owner = :owner, held_until = :until, starts = starts + 1"
    f" WHERE number = ({_FIRST_FREE}) RETURNING {_COLUMNS}"
)
_INSERT = (
    "INSERT INTO jobs (id, key_id, receipt, digest, call, arguments, scope, state, due_at,"
    " submitted_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'waiting', ?, ?) ON CONFLICT (receipt) DO NOTHING"
)
_MINE = "number = ? AND owner = ? AND state = 'running'"
_ALL_MINE = "owner = ? AND state = 'running' AND number IN (SELECT value FROM json_each(?))"
_OVER = "arguments = NULL, scope = '', owner = NULL, finished_at = coalesce(finished_at, ?)"
"""What is true of a job that will not be begun again: it keeps nothing of what it was to add, and
does not say whose it was."""
_EMPTY_LOG = "PRAGMA wal_checkpoint(TRUNCATE)"
_OF_SCOPE = " AND ".join(
    f"(:{key} IS NULL OR json_extract(scope, '$[{place}]') = :{key})"
    for place, key in enumerate(SCOPE_KEYS)
)


class Job:
    """One row.

    Attributes:
        number: jobs are numbered in the order in which they came.
        id: what callers know it by.
        key_id: of the key that asked for it.
        receipt: the id of its receipt.
        digest: of what was asked for.
        call, arguments: what is called; {} once it is done or cancelled, or was not asked for.
        state: one of `STATES`.
        failures, starts: how often it has failed so far, and been begun.
        error: the last failure, as a problem has it, or None.
        submitted_at, finished_at: seconds since 1970, or None.
    """

    __slots__ = (
        "arguments", "call", "digest", "error", "failures", "finished_at", "id", "key_id", "number",
        "receipt", "starts", "state", "submitted_at",
    )  # fmt: skip

    def __init__(self, row: Row) -> None:
        (
            self.number, self.id, self.key_id, self.receipt, self.digest, self.call, arguments,
            self.state, self.failures, self.starts, error, self.submitted_at, self.finished_at,
        ) = row  # fmt: skip
        self.arguments: Json = json.loads(arguments) if arguments else {}
        self.error: Json | None = json.loads(error) if error else None


class Queue:
    """The jobs in one file, which several processes and threads may use at once.

    Args:
        path: the file, which only its owner can read; ":memory:" works.

    Raises:
        DatabaseError: the file cannot be opened, or is something else.

    Attributes:
        path: the file.
        owner: what this process takes jobs as.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.owner = f"{os.getpid()}-{uuid.uuid4().hex}"
        self._lock = threading.Lock()
        self._connection = open_file(path)
        self._connection.pragma("secure_delete", 1)  # What is done leaves no text behind.
        self._connection.execute(_TABLE)

    def _rows(self, sql: str, values: Values = ()) -> list[Row]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def _change(self, sql: str, values: Values = ()) -> int:
        """Executes one statement. Returns how many rows it changed."""
        with self._lock:
            self._connection.execute(sql, values)
            return self._connection.changes()

    # --- What callers do ---

    def add(
        self, key_id: str, receipt: str | None, digest: str, call: str,
        arguments: Mapping[str, object], scope: str,
    ) -> Job:  # fmt: skip
        """Adds a job, or finds the one that has the same receipt. It is on disk then.

        Args:
            receipt: None makes one of its own.
            scope: of two jobs with the same, the second waits for the first.
        """
        job_id, now = uuid.uuid4().hex, time.time()
        receipt = receipt or f"{OF_JOBS}{job_id}"
        text = json.dumps(arguments)
        self._change(_INSERT, (job_id, key_id, receipt, digest, call, text, scope, now, now))
        found = self.with_receipt(receipt)
        if found is None:  # Another process has removed it in between.
            return self.add(key_id, receipt, digest, call, arguments, scope)
        return found

    def find(self, job_id: str) -> Job | None:
        """One job; None if there is none, or none any more."""
        return self._one("id", job_id)

    def with_receipt(self, receipt: str) -> Job | None:
        """The job that has a receipt; None if there is none."""
        return self._one("receipt", receipt)

    def _one(self, column: str, value: str) -> Job | None:
        rows = self._rows(f"SELECT {_COLUMNS} FROM jobs WHERE {column} = ?", (value,))
        return Job(rows[0]) if rows else None

    def page(
        self, key_id: str | None, state: str | None, before: int | None, limit: int
    ) -> tuple[list[Job], int]:
        """Jobs without their arguments, the newest first, and how many there are on all pages.

        Args:
            key_id: only those of this key; None means those of all.
            state: only those in this state.
            before: only those with a smaller number.
        """
        of_key = "TRUE" if key_id is None else "key_id = :key"
        where = f"{of_key} AND (:state IS NULL OR state = :state)"
        values = {"key": key_id, "state": state, "before": before, "limit": limit}
        sql = (
            f"SELECT {_WITHOUT_ARGUMENTS} FROM jobs WHERE {where}"
            " AND (:before IS NULL OR number < :before) ORDER BY number DESC LIMIT :limit"
        )
        rows = self._rows(sql, values)
        [(total,)] = self._rows(f"SELECT count(*) FROM jobs WHERE {where}", values)
        return [Job(row) for row in rows], total

    def cancel(self, job_id: str) -> bool:
        """Ends a job that was called off, so that nobody can carry it out. Whether it was open."""
        sql = (
            f"UPDATE jobs SET state = 'cancelled', {_OVER}"
            " WHERE id = ? AND state NOT IN ('done', 'cancelled')"
        )
        return self._change(sql, (time.time(), job_id)) > 0

    def settle(self, job_id: str) -> bool:
        """Ends a job that was carried out by somebody who did not have it. Whether it was open."""
        sql = (
            f"UPDATE jobs SET state = 'done', error = NULL, {_OVER}"
            " WHERE id = ? AND state NOT IN ('done', 'cancelled')"
        )
        return self._change(sql, (time.time(), job_id)) > 0

    def retry(self, job_id: str) -> bool:
        """Lets a job that failed wait again. Returns whether it did."""
        sql = (
            "UPDATE jobs SET state = 'waiting', failures = 0, starts = 0, due_at = ?,"
            " finished_at = NULL WHERE id = ? AND state = 'failed'"
        )
        return self._change(sql, (time.time(), job_id)) > 0

    # --- What the processes do that work on them ---

    def take(self, hold_s: float) -> Job | None:
        """The first job that is due and that nobody has; this process has it then, for a time."""
        now = time.time()
        if not self._rows(_FIRST_FREE, {"now": now}):
            return None  # Found without a lock.
        rows = self._rows(_TAKE, {"now": now, "owner": self.owner, "until": now + hold_s})
        return Job(rows[0]) if rows else None

    def hold(self, numbers: Iterable[int], hold_s: float) -> None:
        """Says that this process still works on these jobs."""
        sql = f"UPDATE jobs SET held_until = ? WHERE {_ALL_MINE}"
        self._change(sql, (time.time() + hold_s, self.owner, json.dumps([*numbers])))

    def finish(self, job: Job, state: str, error: Mapping[str, object] | None = None) -> None:
        """Ends a job, if this process still has it. What is done keeps no arguments."""
        sql = (
            "UPDATE jobs SET state = :state, error = :error, finished_at = :now, owner = NULL,"
            " failures = failures + :failed, arguments = iif(:failed, arguments, NULL),"
            " scope = iif(:failed, scope, '')"
            " WHERE number = :number AND owner = :owner AND state = 'running'"
        )
        text = None if error is None else json.dumps(error)
        mine = {"number": job.number, "owner": self.owner, "now": time.time()}
        self._change(sql, {**mine, "state": state, "error": text, "failed": state == FAILED})

    def postpone(self, job: Job, delay_s: float, error: Mapping[str, object]) -> None:
        """Lets a job that has failed wait, if this process still has it."""
        sql = (
            "UPDATE jobs SET state = 'waiting', error = ?, due_at = ?, owner = NULL,"
            f" failures = failures + 1 WHERE {_MINE}"
        )
        self._change(sql, (json.dumps(error), time.time() + delay_s, job.number, self.owner))

    def give_back(self, numbers: Iterable[int]) -> None:
        """Lets another process take jobs that this one does not finish."""
        sql = (
            "UPDATE jobs SET state = 'waiting', owner = NULL, starts = starts - 1"
            f" WHERE {_ALL_MINE}"
        )
        self._change(sql, (self.owner, json.dumps([*numbers])))

    def open_receipts(self) -> list[str]:
        """The receipts of the jobs that are not finished."""
        return [row[0] for row in self._rows(f"SELECT receipt FROM jobs WHERE {_OPEN}")]

    # --- What is removed with the memories of a scope ---

    def of_scope(self, ids: Mapping[str, str]) -> list[Job]:
        """The jobs, without arguments, that are or were to add to scopes with all these ids.

        {} means all jobs. Those that are over are not found, unless they are of an older version.
        """
        values = {key: ids.get(key) for key in SCOPE_KEYS}
        where = f"CASE WHEN scope <> '' THEN {_OF_SCOPE} END"
        rows = self._rows(f"SELECT {_WITHOUT_ARGUMENTS} FROM jobs WHERE {where}", values)
        return [Job(row) for row in rows]

    def erase(self, jobs: Iterable[Job]) -> None:
        """Leaves nothing of what jobs were to add, and of whose they were; those left open end.

        The log of the file is emptied, too, since it may still have those that are over: unless
        another process keeps it from that, and then it is emptied later.
        """
        sql = (
            "UPDATE jobs SET state = iif(state = 'done', state, 'cancelled'), error = NULL,"
            f" {_OVER} WHERE number IN (SELECT value FROM json_each(?))"
        )
        self._change(sql, (time.time(), json.dumps([job.number for job in jobs])))
        self.empty_log()

    def empty_log(self) -> None:
        """Removes from the log of the file what was there before."""
        with self._lock:
            self._connection.set_busy_timeout(_LOG_BUSY_MS)
            try:
                rows: list[Row] = self._connection.execute(_EMPTY_LOG).fetchall()
            finally:
                self._connection.set_busy_timeout(BUSY_MS)
        if rows[0][0]:
            log.warning("The log of %s is in use, and is emptied later.", self.path)

    def forget(self, before: float) -> int:
        """Removes what was finished before a time. Returns how many jobs that were."""
        forgotten = self._change("DELETE FROM jobs WHERE finished_at < ?", (before,))
        self.empty_log()
        return forgotten

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()
