"""Jobs: calls that are acknowledged at once and made later, and calls that may be repeated.

Each is made once. Its receipt is written in the transaction that stores what the call stores
(`contract.plan.Receipt`), so it is there exactly if the call was carried out, however often a
process died on the way, and however many processes tried.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import contextmanager, nullcontext
from datetime import datetime, timezone
from weakref import WeakValueDictionary

from isomem.contract.arguments import shown
from isomem.contract.plan import Receipt
from isomem.errors import ConfigurationError, DatabaseError, MemoryNotFoundError
from isomem.facade import turn
from isomem.pipeline import add as adding
from isomem.serve.calls import CALLS
from isomem.serve.grants import ids_in
from isomem.serve.problems import BAD_INPUT, CONFLICT, Problem
from isomem.serve.queue import CANCELLED, DONE, FAILED, STATES, Queue
from isomem.serve.worker import (
    OF_KEYS,
    Worker,
    call_off,
    cancelled,
    other_body,
    told,
    was_carried_out,
)
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from isomem.contract.plan import Outcome
    from isomem.serve.access import Access
    from isomem.serve.queue import Job
    from isomem.serve.settings import Settings
    from isomem.serve.trail import Trail

    Json = dict[str, Any]

ACCEPTED = 202
MOST_PER_PAGE = 1000
_LONGEST_KEY = 255


class Jobs:
    """The jobs of a service, in this process and in others that have the same state file.

    Args:
        path: the state file.
        access: gives the view through which jobs are made: of everything.
        settings: of the service.
        trail: where it is noted what became of them.
        making: the block in which the call of a job is made; by default nothing special.
    """

    def __init__(
        self,
        path: str,
        access: Callable[[], Access],
        settings: Settings,
        trail: Trail,
        making: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        self._queue = Queue(path)
        self._access = access
        self._worker = Worker(self._queue, access, settings, trail, making)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # --- What callers do ---

    async def submit(
        self,
        access: Access,
        name: str,
        arguments: Mapping[str, object],
        idempotency_key: str | None = None,
    ) -> Json:
        """Accepts a call, and returns its job. Once it returns, the call will be made.

        Args:
            access: of the caller, whose rights and scopes are checked now.
            name: of a call that is not repeatable, such as "add".
            arguments: by name.
            idempotency_key: of a second call with the same, no second job is made.

        Raises:
            Problem: 409, the same key was sent with something else, or its call was cancelled.
            Exception: as `Access.call` for what can be known before.
        """
        with access.noted(name, arguments) as noted:
            noted.arguments, job = await self._added(access, name, arguments, idempotency_key)
            noted.job = job.id
            job = await self._again(job)
            noted.status = ACCEPTED
        self._worker.wake()
        return await self._shown(access, job)

    async def _added(
        self,
        access: Access,
        name: str,
        arguments: Mapping[str, object],
        idempotency_key: str | None,
    ) -> tuple[Mapping[str, object], Job]:
        """The arguments as they are narrowed, and the job."""
        _check_call(access, name)
        prepared = await access.prepare(name, arguments)
        await asyncio.to_thread(_check_arguments, access, prepared)
        digest = digest_of(name, arguments)
        receipt = receipt_of(access, idempotency_key)
        if receipt is not None:
            await self._told(receipt, digest)
        ids = ids_in(prepared)
        scope = json.dumps([ids.get(key) for key in SCOPE_KEYS])
        add = self._queue.add
        job = await asyncio.to_thread(add, access.key.id, receipt, digest, name, prepared, scope)
        if job.digest != digest:
            raise other_body()
        return prepared, job

    async def _again(self, job: Job) -> Job:
        """A job for which the same request has come once more: one that failed waits again.

        Raises:
            Problem: 409, it was cancelled.
        """
        if job.state == CANCELLED:
            raise cancelled()
        if job.state != FAILED:
            return job
        await asyncio.to_thread(self._queue.retry, job.id)
        return await asyncio.to_thread(self._queue.find, job.id) or job

    async def once(
        self, access: Access, name: str, arguments: Mapping[str, object], idempotency_key: str
    ) -> object:
        """Makes a call now, or says once more what it came to when it was made before.

        Raises:
            Problem: 409, the same key was sent with something else, or its call was cancelled.
            Exception: as `Access.call`.
        """
        with access.noted(name, arguments) as noted:
            _check_call(access, name)
            noted.arguments = await access.prepare(name, arguments)
            receipt_id = receipt_of(access, idempotency_key) or ""
            receipt = Receipt(receipt_id, digest_of(name, arguments))
            async with self._turns.setdefault(receipt_id, asyncio.Lock()):
                return noted.end(await self._made_once(access, name, noted.arguments, receipt))

    async def _made_once(
        self, access: Access, name: str, prepared: Mapping[str, object], receipt: Receipt
    ) -> object:
        job = await asyncio.to_thread(self._queue.with_receipt, receipt.id)
        if job is not None and job.digest != receipt.digest:
            raise other_body()
        if job is not None and job.state == CANCELLED:
            raise cancelled()
        found = await self._told(receipt.id, receipt.digest)
        if found is None:
            try:
                result = await access.make(name, prepared, receipt)
            except DatabaseError as error:
                if not was_carried_out(error):
                    raise
            else:
                await self._settle(job)
                return result
            found = await self._told(receipt.id, receipt.digest)
        return access.seen({"results": [] if found is None else found.results})

    async def _settle(self, job: Job | None) -> None:
        """Says of a job, if there is one, that its call was made. Nobody need begin it any more."""
        if job is not None:
            await asyncio.to_thread(self._queue.settle, job.id)

    async def get(self, access: Access, job_id: str) -> Json:
        """One job, with what it came to.

        Raises:
            MemoryNotFoundError: the key has no such job.
        """
        with _noted(access, "jobs.get", job_id):
            return await self._shown(access, await self._own(access, job_id))

    async def page(
        self,
        access: Access,
        *,
        status: str | None = None,
        page_size: int = 50,
        cursor: str | None = None,
    ) -> Json:
        """The key's jobs, the newest first; those of all keys for one that administers everything.

        Returns:
            `results`, without what they came to; `total` on all pages; `next_cursor`, or None.

        Raises:
            ValueError: an argument is wrong.
        """
        with _noted(access, "jobs.list"):
            _check_page(status, page_size)
            key_id = None if _sees_all(access) else access.key.id
            before = None if cursor is None else await self._number(access, cursor)
            page = self._queue.page
            jobs, total = await asyncio.to_thread(page, key_id, status, before, page_size + 1)
            some = jobs[:page_size]
            next_cursor = some[-1].id if len(jobs) > page_size else None
            return {"results": [*map(described, some)], "total": total, "next_cursor": next_cursor}

    async def _number(self, access: Access, cursor: str) -> int:
        """The number of the job that a page begins behind.

        A cursor is the id of a job, which its caller knows anyway: a number would say how many jobs
        others have.

        Raises:
            ValueError: it is not one of the key's jobs, or is not kept any more.
        """
        try:
            job = await self._own(access, cursor)
        except MemoryNotFoundError:
            raise ValueError(f"Invalid cursor: {shown(cursor)}.") from None
        number: int = job.number
        return number

    async def cancel(self, access: Access, job_id: str) -> Json:
        """Cancels a job, so that it is never carried out.

        Once this returns, nothing of it is stored, and nothing ever will be, whoever works on it at
        the moment; a request with the same idempotency key is refused.

        Raises:
            MemoryNotFoundError: the key has no such job.
            Problem: 409, it is over.
        """
        with _noted(access, "jobs.cancel", job_id):
            access.check_right("write")
            job = await self._own(access, job_id)
            is_open = job.state not in (DONE, CANCELLED)
            if not (is_open and await self._cancelled(job)):
                now = await self._own(access, job_id)
                said = f"Only a job that is not over can be cancelled; this one is {now.state}."
                raise Problem(CONFLICT, "JOB_001", said)
            return await self._shown(access, await self._own(access, job_id))

    async def _cancelled(self, job: Job) -> bool:
        """Calls off a job, and ends it either way. Returns whether it was not carried out before.

        If this process dies between the two steps, whoever takes the job then ends it.
        """
        is_off = await call_off(self._access(), job)
        end = self._queue.cancel if is_off else self._queue.settle
        await asyncio.to_thread(end, job.id)
        return is_off

    async def forget(self, ids: Mapping[str, str]) -> None:
        """Cancels the jobs of the scopes that have all these ids, whoever asked for them.

        Nothing of what they were to add is left, also of those that failed. {} means all scopes.
        """
        jobs = await asyncio.to_thread(self._queue.of_scope, ids)
        for job in jobs:
            if job.state not in (DONE, CANCELLED):
                await self._cancelled(job)
        await asyncio.to_thread(self._queue.erase, jobs)

    async def retry(self, access: Access, job_id: str) -> Json:
        """Lets a job that failed wait again.

        Raises:
            MemoryNotFoundError: the key has no such job.
            Problem: 409, it has not failed.
        """
        with _noted(access, "jobs.retry", job_id):
            access.check_right("write")
            await self._own(access, job_id)
            has_failed = await asyncio.to_thread(self._queue.retry, job_id)
            job = await self._own(access, job_id)
            if not has_failed:
                said = f"Only a failed job can be retried; this one is {job.state}."
                raise Problem(CONFLICT, "JOB_001", said)
            seen = await self._shown(access, job)
            self._worker.wake()
            return seen

    async def _own(self, access: Access, job_id: str) -> Job:
        job = await asyncio.to_thread(self._queue.find, job_id)
        if job is None or not (job.key_id == access.key.id or _sees_all(access)):
            raise MemoryNotFoundError(
                f"There is no job {job_id!r}.", suggestion="Finished jobs are kept for some time."
            )
        return job

    async def _shown(self, access: Access, job: Job) -> Json:
        seen = described(job)
        if job.state == DONE:
            found = await self._told(job.receipt, job.digest)
            seen["result"] = access.seen({"results": [] if found is None else found.results})
        return seen

    async def _told(self, receipt: str, digest: str) -> Outcome | None:
        return await told(self._access(), receipt, digest)

    # --- Working on them ---

    def start(self) -> None:
        """Begins to work on jobs, in the running event loop."""
        self._worker.start()

    async def stop(self, grace_s: float = 0) -> None:
        """Takes no more jobs; those under way may go on for a time, and are given back then."""
        await self._worker.stop(grace_s)

    def close(self) -> None:
        """Closes the file."""
        self._queue.close()


@contextmanager
def _noted(access: Access, name: str, job_id: str | None = None) -> Iterator[None]:
    """A block in which somebody looks at a job or changes it; it is noted however it ends."""
    with access.noted(name, {}) as noted:
        noted.job = job_id
        yield


def described(job: Job) -> Json:
    """A job as its caller sees it, without what it came to."""
    return {
        "id": job.id,
        "status": job.state,
        "call": job.call,
        "submitted_at": _moment(job.submitted_at),
        "finished_at": _moment(job.finished_at),
        "failures": job.failures,
        "error": job.error,
    }


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")


def digest_of(name: str, arguments: Mapping[str, object]) -> str:
    """A digest of what is asked for: equal for equal calls."""
    text = json.dumps([name, arguments], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def receipt_of(access: Access, idempotency_key: str | None) -> str | None:
    """The id of the receipt for an idempotency key, which only means something to one API key.

    Raises:
        Problem: 400, it is empty or too long.
    """
    if idempotency_key is None:
        return None
    if not 0 < len(idempotency_key) <= _LONGEST_KEY:
        raise Problem(
            BAD_INPUT, "VALIDATION_008",
            f"Idempotency-Key must have 1 to {_LONGEST_KEY} characters.",
        )  # fmt: skip
    own = hashlib.sha256(idempotency_key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{OF_KEYS}{access.key.id}:{own}"


def _sees_all(access: Access) -> bool:
    return access.sees_everything and "admin" in access.key.rights


def _check_arguments(access: Access, prepared: Mapping[str, Any]) -> None:
    """Raises what the call would raise of its arguments, which its caller could not be told then.

    Args:
        prepared: those of `add`, or those of `remember`, which has the two texts of a turn.
    """
    given = {key: value for key, value in prepared.items() if key not in SCOPE_KEYS}
    if "messages" not in given:
        given["messages"] = turn(given.pop("said", None), given.pop("reply", None))
    ids = {key: prepared.get(key) for key in SCOPE_KEYS}
    adding.check(access.memory._ports, given.pop("messages"), ids=ids, **given)


def _check_call(access: Access, name: str) -> None:
    if access.memory.stores.receipts is None:
        raise ConfigurationError(
            "a call is made later, or only once, by a receipt in a file of isomem's, and this "
            "memory has none",
            error_code="RECEIPT_002",
            suggestion="Use the embedded store, or isomem's history file.",
        )
    if name in CALLS and CALLS[name].is_repeatable:
        raise Problem(
            BAD_INPUT, "VALIDATION_008", f"{name!r} is not made in the background.",
            "Only what adds memories is; anything else can be repeated without harm.",
        )  # fmt: skip


def _check_page(status: str | None, page_size: int) -> None:
    if status is not None and status not in STATES:
        raise ValueError(f"Invalid status: {shown(status)}. Must be one of {', '.join(STATES)}.")
    if not 1 <= page_size <= MOST_PER_PAGE:
        raise ValueError(f"page_size must be from 1 to {MOST_PER_PAGE}.")
