"""Jobs over REST: what became of the calls that were accepted to be made later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isomem.serve.callers import NOTHING_CHANGED
from isomem.serve.problems import BAD_INPUT, Problem
from isomem.serve.queue import STATES
from isomem.serve.rest.operations import Operation
from isomem.serve.rest.schemas import reference

if TYPE_CHECKING:
    from isomem.serve.callers import Caller
    from isomem.serve.rest.schemas import Schema

TAG = "jobs"
PATH = "/api/jobs"
_MAY_BE_DONE = "It may have been done. Get the job to see."
_QUERY: dict[str, Schema] = {
    "status": {"enum": [*STATES]},
    "page_size": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 50},
    "cursor": {"type": "string"},
}
_PAGE: Schema = {
    "type": "object",
    "properties": {
        "results": {"type": "array", "items": reference("Job")},
        "total": {"type": "integer"},
        "next_cursor": {"type": ["string", "null"]},
    },
    "required": ["results", "total", "next_cursor"],
    "additionalProperties": False,
}


def operations() -> list[Operation]:
    """A key sees its own jobs; one that administers everything sees all."""
    job, path = reference("Job"), PATH + "/{job_id}"
    return [
        Operation("GET", PATH, list_jobs, "list_jobs", "List jobs, the newest first", TAG, _PAGE,
                  query=_QUERY),
        Operation("GET", path, get_job, "get_job", "Get a job, and what it came to", TAG, job),
        Operation("DELETE", path, cancel_job, "cancel_job", "Cancel a job that is not done", TAG,
                  job),
        Operation("POST", f"{path}/retry", retry_job, "retry_job", "Retry a failed job", TAG, job),
    ]  # fmt: skip


async def list_jobs(caller: Caller) -> object:
    """A page of jobs."""
    given: dict[str, Any] = {key: value for key, value in caller.query.items() if key in _QUERY}
    if "page_size" in given:
        text = given["page_size"]
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise Problem(BAD_INPUT, "VALIDATION_008", "page_size: must be a whole number.")
        given["page_size"] = int(text)
    page = caller.service.jobs.page(caller.access, **given)
    return await caller.in_time(page, NOTHING_CHANGED)


async def get_job(caller: Caller) -> object:
    """One job."""
    job = caller.service.jobs.get(caller.access, caller.path["job_id"])
    return await caller.in_time(job, NOTHING_CHANGED)


async def cancel_job(caller: Caller) -> object:
    """Cancels a job."""
    job = caller.service.jobs.cancel(caller.access, caller.path["job_id"])
    return await caller.in_time(job, _MAY_BE_DONE)


async def retry_job(caller: Caller) -> object:
    """Lets a job wait again."""
    job = caller.service.jobs.retry(caller.access, caller.path["job_id"])
    return await caller.in_time(job, _MAY_BE_DONE)
