"""The worker of a process: takes jobs, makes their calls, and says what became of them."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import nullcontext, suppress

from isomem import log
from isomem.contract.plan import Receipt
from isomem.errors import DatabaseError, ProviderError, VectorStoreError, VectorValueError
from isomem.pipeline import receipts
from isomem.serve.keys import Key
from isomem.serve.problems import CONFLICT, TOO_SLOW, Problem, problem_of
from isomem.serve.problems import FAILED as INTERNAL
from isomem.serve.queue import DONE, FAILED, OF_JOBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractAsyncContextManager
    from typing import ParamSpec, TypeVar

    from isomem.contract.plan import Outcome
    from isomem.ports.shapes import Stores
    from isomem.serve.access import Access
    from isomem.serve.queue import Job, Queue
    from isomem.serve.settings import Settings
    from isomem.serve.trail import Trail

    P = ParamSpec("P")
    T = TypeVar("T")

OF_KEYS = "key:"
"""What the receipts of idempotency keys begin with."""

LOOKED_EVERY_S = 0.5
"""How often a process looks for jobs that another one has accepted."""

LONGEST_DELAY_S = 300.0
"""The longest wait between two tries, unless a provider asks for more."""

MOST_STARTS = 20
"""A job at which so many processes have died is not begun again."""

CALLED_OFF = "JOB_003"
"""The code of the problem of a call that was cancelled."""

_FORGOTTEN_EVERY_S = 3600
_TRANSIENT = (ProviderError, VectorStoreError, DatabaseError)


class Worker:
    """Works on the jobs of a queue, which other processes may do at the same time.

    Args:
        queue: the jobs.
        access: gives the view through which jobs are made: of everything.
        settings: of the service.
        trail: where it is noted what becomes of the jobs.
        making: the block in which the call of a job is made; by default nothing special.
    """

    def __init__(
        self,
        queue: Queue,
        access: Callable[[], Access],
        settings: Settings,
        trail: Trail,
        making: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        self._queue = queue
        self._access = access
        self._settings = settings
        self._trail = trail
        self._making = making
        self._work: dict[asyncio.Task[None], int] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._may_take = asyncio.Event()
        self._ends = False

    def wake(self) -> None:
        """Says that there may be a job."""
        self._may_take.set()

    def start(self) -> None:
        """Begins to work on jobs, in the running event loop."""
        self._may_take = asyncio.Event()
        self._ends = False
        self._loops = [asyncio.create_task(self._take_all()), asyncio.create_task(self._hold_all())]

    async def stop(self, grace_s: float = 0) -> None:
        """Takes no more jobs, and gives back those that are not finished after a time.

        Args:
            grace_s: how long those under way may go on.
        """
        self._ends = True
        self._may_take.set()
        # It ends by itself: nobody can call back a thread that takes a job, which must be known.
        await asyncio.gather(*self._loops[:1], return_exceptions=True)
        if self._work and grace_s:
            await asyncio.wait(self._work, timeout=grace_s)
        unfinished = [*self._work.values()]
        await _end([*self._work, *self._loops[1:]])
        if unfinished:
            await _patiently(self._queue.give_back, unfinished)
        self._loops = []

    async def _take_all(self) -> None:
        while not self._ends:
            self._may_take.clear()
            job = None
            if len(self._work) < self._settings.job_workers:
                job = await _patiently(self._queue.take, self._settings.job_lease_s)
            if job is None:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._may_take.wait(), LOOKED_EVERY_S)
                continue
            task = asyncio.create_task(self._carry_out(job))
            self._work[task] = job.number
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._work.pop(task, None)
        self._may_take.set()

    async def _hold_all(self) -> None:
        """Says what this process works on, and forgets what is old."""
        forgotten_at = 0.0
        while True:
            if self._work:
                numbers = [*self._work.values()]
                await _patiently(self._queue.hold, numbers, self._settings.job_lease_s)
            if time.monotonic() - forgotten_at > _FORGOTTEN_EVERY_S or not forgotten_at:
                forgotten_at = time.monotonic()
                await self.forget()
            await asyncio.sleep(self._settings.job_lease_s / 3)

    async def forget(self) -> None:
        """Removes jobs and receipts that are older than `keep_hours`."""
        before = time.time() - 3600 * self._settings.keep_hours

        def forget_receipts(stores: Stores, kept: list[str]) -> None:
            for prefix in (OF_JOBS, OF_KEYS):
                if stores.receipts is not None:
                    stores.receipts.forget(prefix, before, kept)

        try:
            ports = self._access().memory._ports
            kept = await asyncio.to_thread(self._queue.open_receipts)
            await ports.run(ports.store(forget_receipts, kept))
            await asyncio.to_thread(self._queue.forget, before)
        except Exception as error:  # noqa: BLE001 - it is tried again in an hour
            log.warning("Old jobs were not removed: %s", type(error).__name__)

    async def _carry_out(self, job: Job) -> None:
        try:
            with self._trail.call(Key.named(job.key_id), job.call, job.arguments) as noted:
                noted.job = job.id
                async with self._making():
                    noted.end(await self._make(job))
        except Exception as error:  # noqa: BLE001 - the job says what became of it
            await _patiently(self._fail, job, error)
        else:
            await _patiently(self._queue.finish, job, DONE)

    async def _make(self, job: Job) -> object:
        """What the call of a job returns; None if it was made already."""
        access = self._access()
        if await told(access, job.receipt, job.digest) is not None:
            return None
        if job.starts > MOST_STARTS:
            raise Problem(INTERNAL, "JOB_002", "Too many processes have died while at this job.")
        receipt = Receipt(job.receipt, job.digest)
        call = access.make(job.call, job.arguments, receipt)
        try:
            return await asyncio.wait_for(call, self._settings.timeout_s)
        except DatabaseError as error:
            if not was_carried_out(error):
                raise
            await told(access, job.receipt, job.digest)
            return None
        except asyncio.TimeoutError:
            raise _too_slow(self._settings.timeout_s) from None

    def _fail(self, job: Job, error: Exception) -> None:
        problem = problem_of(error)
        if problem.code == CALLED_OFF:
            self._queue.cancel(job.id)
            return
        shown = {"status": problem.status, "code": problem.code, "detail": problem.detail}
        tries = job.failures + 1
        if may_go_well(error) and tries < self._settings.job_attempts:
            delay_s = delay_after(tries, self._settings.job_backoff_s, error)
            log.warning("Job %s: %s, tried again in %.1f s", job.id, problem.code, delay_s)
            self._queue.postpone(job, delay_s, shown)
            return
        log.error("Job %s failed: %s, after %d tries", job.id, problem.code, tries)
        self._queue.finish(job, FAILED, shown)


# --- Receipts --------------------------------------------------------------------------------


async def told(access: Access, receipt: str, digest: str) -> Outcome | None:
    """What a receipt says; None if there is none.

    Raises:
        Problem: 409, it is the receipt of something else, or says that the call was called off.
    """
    found = await access.ask(receipts.outcome, receipt)
    if found is not None and found.digest == _called_off(digest):
        raise cancelled()
    if found is not None and found.digest != digest:
        raise other_body()
    return found


async def call_off(access: Access, job: Job) -> bool:
    """Makes sure that the call of a job is never carried out, unless it was.

    The receipt of a call can be written once: by whoever carries it out, in the transaction that
    stores what it stores, or here.

    Returns:
        Whether it never will be.
    """
    receipt = Receipt(job.receipt, _called_off(job.digest))
    try:
        await access.ask(receipts.settle, receipt)
    except DatabaseError as error:
        if not was_carried_out(error):
            raise
    found = await access.ask(receipts.outcome, job.receipt)
    return found is not None and found.digest == receipt.digest


def _called_off(digest: str) -> str:
    """The digest in the receipt of a call that was called off."""
    return f"cancelled:{digest}"


def cancelled() -> Problem:
    """The problem of a call that was called off."""
    return Problem(
        CONFLICT, CALLED_OFF, "This call was cancelled, and is not made.",
        "Send it with a new Idempotency-Key if it is to be made after all.",
    )  # fmt: skip


def other_body() -> Problem:
    """The problem of an idempotency key that was used for something else."""
    return Problem(
        CONFLICT, "IDEMPOTENCY_001", "This Idempotency-Key was sent with another request.",
        "Send a new key with a new request, and the same key only to repeat the same one.",
    )  # fmt: skip


def was_carried_out(error: DatabaseError) -> bool:
    """Whether a call failed because somebody else has carried it out meanwhile."""
    return error.error_code == "RECEIPT_001"


# --- Tries -----------------------------------------------------------------------------------


def may_go_well(error: Exception) -> bool:
    """Whether a call that failed may go well at the next try. A wrong vector stays wrong."""
    if isinstance(error, Problem):
        return error.status == TOO_SLOW
    return isinstance(error, _TRANSIENT) and not isinstance(error, VectorValueError)


def _too_slow(seconds: float) -> Problem:
    return Problem(TOO_SLOW, "TIMEOUT_001", f"It took more than {seconds:g} seconds.")


def delay_after(failures: int, first_s: float, error: Exception) -> float:
    """Seconds until the next try: twice as long each time, and at random up to a quarter longer.

    A provider that says how long to wait is not asked before.
    """
    asked_s = getattr(error, "retry_after", None) or 0
    delay_s = min(first_s * 2.0 ** (failures - 1), LONGEST_DELAY_S)
    return max(delay_s * random.uniform(1, 1.25), float(asked_s))


async def _patiently(step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """What a step of the queue returns; None if it fails, which the next one may not."""
    try:
        return await asyncio.to_thread(step, *args, **kwargs)
    except Exception as error:  # noqa: BLE001 - the loops have to go on
        log.warning("The queue of jobs is not available: %s", error)
        return None


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancels tasks and waits for them."""
    ended = list(tasks)
    for task in ended:
        task.cancel()
    await asyncio.gather(*ended, return_exceptions=True)
