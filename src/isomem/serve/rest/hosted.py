"""The dialect of mem0's hosted service: what `MemoryClient(host=...)` of mem0ai 2.0.4 speaks.

Its ids are in filters, and a project is this service. What the service has no meaning for, such as
webhooks, is answered with 501.
"""

from __future__ import annotations

import ast
import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from isomem.contract.moments import EVENT_TIME, check_timestamp
from isomem.contract.visibility import SUPERSEDED_BY
from isomem.dates import utc_text
from isomem.serve.callers import check_batch
from isomem.serve.limits import check_read
from isomem.serve.problems import BAD_INPUT, NOT_OFFERED, Problem, problem_of
from isomem.serve.rest.admin import check_administrator
from isomem.serve.rest.arguments import OBJECT, TEXT, WHOLE, Reader, of_call
from isomem.serve.rest.schemas import of_result, reference
from isomem.serve.rest.selfhosted import (
    MESSAGE,
    delete_all_of_entity,
    entities,
    found,
    operation,
)
from isomem.types import SCOPE_KEYS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from isomem.serve.callers import Caller
    from isomem.serve.rest.operations import Operation
    from isomem.serve.rest.schemas import Schema
    from isomem.serve.rest.selfhosted import Row

TAG = "mem0 hosted"
PROJECT = "isomem"
"""The organization and the project that a client is told it belongs to."""

PAGE_SIZE = 100
_LONGEST_DICT = 10_000
"""How many characters of Python are read. Those of some ids have far fewer."""

_COUNTED = ("filters", "show_expired", "show_superseded")
"""The arguments of `get_all` that `count` has, too."""

_PROJECTS = "/api/v1/orgs/organizations/{org_id}/projects/"

_IDS = dict.fromkeys((*SCOPE_KEYS, "app_id"), TEXT)
_FILTERS: dict[str, Schema] = {"filters": OBJECT, **_IDS}
_METADATA: dict[str, Schema] = {"metadata": OBJECT}
ADD = Reader(
    {**of_call("add", "prompt", *SCOPE_KEYS), **_FILTERS, "custom_instructions": TEXT},
    required=("messages",),
)
SEARCH = Reader({**of_call("search", "filters"), **_FILTERS, **_METADATA, "fields": {
    "type": "array", "items": TEXT}}, required=("query",))  # fmt: skip
LIST = Reader({**of_call("get_all", "filters", "top_k", "page_size", "cursor"), **_FILTERS,
               "start_date": TEXT, "end_date": TEXT})  # fmt: skip
PAGE = Reader({"page": WHOLE, "page_size": WHOLE})
UPDATE = Reader({"text": TEXT, **_METADATA, "timestamp": of_call("add")["timestamp"]})
DELETE = Reader({"delete_linked": {"type": "boolean"}})
DELETE_ALL = Reader({**_IDS, "filters": TEXT})
BATCH = Reader({"memories": {"type": "array", "items": OBJECT}}, required=("memories",))
EXPORT = Reader({**_FILTERS, "memory_export_id": TEXT})
INSTRUCTIONS = "custom_instructions"

_PAGED: Schema = {
    "type": "object",
    "properties": {
        "count": {"type": "integer"},
        "next": {"type": ["string", "null"]},
        "previous": {"type": ["string", "null"]},
        "results": {"type": "array", "items": OBJECT},
    },
    "required": ["count", "next", "previous", "results"],
}
_RESULTS: Schema = {
    "type": "object",
    "properties": {"results": {"type": "array", "items": OBJECT}},
    "required": ["results"],
}


def operations() -> list[Operation]:
    """What the client calls, with what is not offered at the end."""
    one, history = "/v1/memories/{memory_id}/", of_result("list[HistoryRow]")
    project = f"{_PROJECTS}{{project_id}}/"
    rows: tuple[Row, ...] = (
        ("POST", "/v3/memories/add/", add, "Add memories", reference("AddResults"), ADD.body),
        ("POST", "/v3/memories/search/", search, "Search memories", _RESULTS, SEARCH.body),
        ("POST", "/v3/memories/", get_all, "List memories, by page", _PAGED, LIST.body,
         PAGE.schemas),
        ("GET", "/v1/ping/", ping, "Check a key", OBJECT),
        ("DELETE", "/v1/memories/", delete_all, "Delete the memories of some ids", MESSAGE, None,
         DELETE_ALL.schemas),
        ("GET", one, get, "Get a memory", reference("GotMemory")),
        ("PUT", one, update, "Change a memory", reference("GotMemory"), UPDATE.body),
        ("DELETE", one, delete, "Delete a memory", MESSAGE, None, DELETE.schemas),
        ("GET", f"{one}history/", history_of, "Get the history of a memory", history),
        ("GET", "/v1/entities/", users, "List users, agents and runs", _RESULTS),
        ("DELETE", "/v2/entities/{entity_type}/{entity_id}/", delete_entity,
         "Delete the memories of a user, an agent or a run", MESSAGE),
        ("PUT", "/v1/batch/", batch_update, "Change memories", MESSAGE, BATCH.body),
        ("DELETE", "/v1/batch/", batch_delete, "Delete memories", MESSAGE, BATCH.body),
        ("POST", "/v1/exports/", create_export, "Choose memories to export", OBJECT, EXPORT.body),
        ("POST", "/v1/exports/get/", get_export, "Export memories", OBJECT, EXPORT.body),
        ("GET", project, get_project, "Get the instructions", OBJECT, None, {"fields": TEXT}),
        ("PATCH", project, update_project, "Change the instructions", MESSAGE, OBJECT),
    )  # fmt: skip
    return [*(operation(TAG, "hosted", *row) for row in rows), *_not_offered()]


def _not_offered() -> list[Operation]:
    project, webhook = f"{_PROJECTS}{{project_id}}/", "/api/v1/webhooks/"
    rows = (
        ("POST", "/v1/summary/"), ("POST", "/v1/feedback/"),
        ("POST", _PROJECTS), ("DELETE", project),
        *((method, f"{project}members/") for method in ("GET", "POST", "PUT", "DELETE")),
        *((method, f"{webhook}projects/{{project_id}}/") for method in ("GET", "POST")),
        *((method, f"{webhook}{{webhook_id}}/") for method in ("PUT", "DELETE")),
    )  # fmt: skip
    made = [operation(TAG, "hosted", *row, refuse, "Not offered", OBJECT) for row in rows]
    return [each._replace(name=f"{each.name}_{number}") for number, each in enumerate(made)]


async def refuse(caller: Caller) -> object:
    """Says that mem0's hosted service has something that this one has no meaning for."""
    raise Problem(
        NOT_OFFERED, "NOT_OFFERED", f"{caller.request.url.path} is not offered here.",
        "It belongs to mem0's hosted service; docs/rest.md lists what there is.",
    )  # fmt: skip


async def ping(caller: Caller) -> object:
    """Says that the key works, and what the client is to call its project."""
    del caller
    return {"status": "ok", "org_id": PROJECT, "project_id": PROJECT, "user_email": None}


# --- Memories --------------------------------------------------------------------------------


async def add(caller: Caller) -> object:
    """Adds messages."""
    given = ADD.read(await caller.object())
    scope, metadata = _taken(given), given.pop("metadata", None) or {}
    other = {key: value for key, value in scope.items() if key not in SCOPE_KEYS}
    if INSTRUCTIONS in given:
        given["prompt"] = given.pop(INSTRUCTIONS)
    ids = {key: value for key, value in scope.items() if key in SCOPE_KEYS}
    return await caller.call("add", {**given, **ids, "metadata": {**other, **metadata} or None})


async def search(caller: Caller) -> object:
    """Searches."""
    given = SEARCH.read(await caller.object())
    fields = given.pop("fields", None)
    filters = {**_taken(given), **given.pop("metadata", {})}
    answer = await caller.call("search", {**given, "filters": filters})
    return {"results": [_chosen(each, fields) for each in answer["results"]]}


async def get_all(caller: Caller) -> object:
    """One page of memories."""
    given, paging = LIST.read(await caller.object()), PAGE.read(caller.query)
    number, size = paging.get("page", 1), paging.get("page_size", PAGE_SIZE)
    if number < 1:
        raise Problem(BAD_INPUT, "VALIDATION_008", "page: must be at least 1.")
    dates = {"gte": given.pop("start_date", None), "lte": given.pop("end_date", None)}
    created = {key: value for key, value in dates.items() if value is not None}
    filters = {**_taken(given), **({"created_at": created} if created else {})}
    page = await _page(caller, {**given, "filters": filters}, number, size)
    has_more = page["next_cursor"] is not None
    return {
        "count": page["total"],
        "next": _address(caller, number + 1, size) if has_more else None,
        "previous": _address(caller, number - 1, size) if number > 1 else None,
        "results": page["results"],
    }


async def _page(caller: Caller, asked: dict[str, Any], number: int, size: int) -> dict[str, Any]:
    """One of the pages of `get_all`; behind the last one they are empty."""
    cursor = None if number == 1 else await caller.page_start(number, size, asked)
    if number > 1 and cursor is None:
        counted = {key: asked[key] for key in _COUNTED if key in asked}
        return {"results": [], "total": await caller.call("count", counted), "next_cursor": None}
    page: dict[str, Any] = await caller.call(
        "get_all", {**asked, "page_size": size, "cursor": cursor}
    )
    return page


def _address(caller: Caller, page: int, size: int) -> str:
    return str(caller.request.url.include_query_params(page=page, page_size=size))


async def get(caller: Caller) -> object:
    """One memory."""
    return await found(caller, caller.path["memory_id"])


async def update(caller: Caller) -> object:
    """Changes one memory, and shows it."""
    caller.access.check_right("read")
    changed = _changed(caller.path["memory_id"], UPDATE.read(await caller.object()))
    await caller.call("update", changed)
    try:
        return await found(caller, caller.path["memory_id"])
    except Exception as error:
        problem = problem_of(error)
        raise Problem(
            problem.status, problem.code, "The memory was changed, but cannot be shown.",
            "Get it once more.", problem.headers,
        ) from error  # fmt: skip


def _changed(memory_id: str, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an update.

    Raises:
        ValidationError: VALIDATION_006, the timestamp is not a moment.
        Problem: 400, there is nothing to change, or no text in place of a text.
    """
    metadata = given.get("metadata", {})
    if "timestamp" in given:
        metadata = {**metadata, EVENT_TIME: utc_text(check_timestamp(given["timestamp"]))}
    changed = {"metadata": metadata} if metadata else {}
    text = {"text": given["text"]} if "text" in given else {}
    if not (changed or text):
        raise Problem(BAD_INPUT, "VALIDATION_008", f"There is nothing to change in {memory_id!r}.")
    return {"memory_id": memory_id, **text, **changed}


async def delete(caller: Caller) -> object:
    """Deletes one memory, and those that it has superseded if that is asked for."""
    memory_id = caller.path["memory_id"]
    linked: list[str] = []
    if DELETE.read(caller.query).get("delete_linked"):
        linked = await _superseded(caller, await found(caller, memory_id))
    for each in (memory_id, *linked):
        await caller.call("delete", {"memory_id": each})
    return {"message": "Memory deleted successfully!"}


async def _superseded(caller: Caller, memory: dict[str, Any]) -> list[str]:
    """The ids of what a memory has superseded, directly or not."""
    ids = {key: memory[key] for key in SCOPE_KEYS if key in memory}
    found, latest = {memory["id"]: None}, [memory["id"]]
    while latest:
        filters = {**ids, SUPERSEDED_BY: {"in": latest}}
        older = [
            each["id"] async for each in _all(caller, {"filters": filters, "show_superseded": True})
        ]
        latest = [each for each in older if each not in found]
        found |= dict.fromkeys(latest)
    return [*found][1:]


async def _all(caller: Caller, asked: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """All memories that pass.

    Raises:
        Problem: 413, there are more than one call may read.
    """
    page = await caller.call("get_all", {**asked, "page_size": 1000})
    check_read(page["total"], caller.service.settings.max_memories)
    while True:
        for each in page["results"]:
            yield each
        if page["next_cursor"] is None:
            return
        page = await caller.call("get_all", {**asked, "cursor": page["next_cursor"]})


async def delete_all(caller: Caller) -> object:
    """Deletes the memories of some ids."""
    caller.access.check_right("write")
    given = DELETE_ALL.read(caller.query)
    ids = _taken({**given, "filters": read_filters(given.get("filters"))})
    if not ids or any(key not in SCOPE_KEYS for key in ids):
        raise Problem(
            BAD_INPUT, "VALIDATION_001", f"Name some of {', '.join(SCOPE_KEYS)}, and nothing else."
        )
    return await caller.call("delete_all", ids)


async def history_of(caller: Caller) -> object:
    """What happened to one memory."""
    return await caller.call("history", {"memory_id": caller.path["memory_id"]})


# --- Filters ---------------------------------------------------------------------------------


def _taken(given: dict[str, Any]) -> dict[str, Any]:
    """Takes the ids and the filters out of some arguments. The result is filters."""
    ids = {key: given.pop(key) for key in _IDS if key in given}
    return {**lifted(given.pop("filters", None) or {}), **ids}


def lifted(filters: dict[str, Any]) -> dict[str, Any]:
    """The same filters with ids at the top level, where the hosted service has them inside of AND.

    Conditions on `metadata` are ones on its keys, as everywhere here.
    """
    members = filters.get("AND")
    if not isinstance(members, list) or not all(isinstance(each, dict) for each in members):
        return _with_metadata(filters)
    ids, others = dict(filters), []
    del ids["AND"]
    for member in map(_with_metadata, members):
        is_plain = all(isinstance(member.get(key, ""), str) for key in SCOPE_KEYS)
        moved = {key: member[key] for key in SCOPE_KEYS if key in member} if is_plain else {}
        moved = {key: value for key, value in moved.items() if ids.get(key, value) == value}
        ids |= moved
        others.append({key: value for key, value in member.items() if key not in moved})
    kept = [each for each in others if each]
    return _with_metadata({**ids, "AND": kept} if kept else ids)


def _with_metadata(filters: dict[str, Any]) -> dict[str, Any]:
    inner = filters.get("metadata")
    if not isinstance(inner, dict):
        return filters
    return {**{key: value for key, value in filters.items() if key != "metadata"}, **inner}


def read_filters(text: str | None) -> dict[str, Any]:
    """Filters in a query: as JSON, or as Python writes a dict, which the client sends.

    Raises:
        Problem: 400, they are neither, or longer than ids can be.
    """
    if text is None:
        return {}
    value = _read_json(text)
    if value is None and len(text) <= _LONGEST_DICT:
        # What it takes to read Python grows beyond all measure with the length of the text.
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            value = ast.literal_eval(text)
    return _as_filters(value, "filters")


def _read_json(text: str) -> Any:
    """What a text says as JSON; None if it is something else."""
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    return None


def _as_filters(value: Any, name: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise Problem(BAD_INPUT, "VALIDATION_008", f"{name}: must be a JSON object.")


def _chosen(item: dict[str, Any], fields: list[str] | None) -> dict[str, Any]:
    return item if fields is None else {key: item[key] for key in fields if key in item}


# --- Users, batches, exports -----------------------------------------------------------------


async def users(caller: Caller) -> object:
    """The users, agents and runs that have memories."""
    listed = await entities(caller)
    return {"count": len(listed), "results": [{**each, "name": each["id"]} for each in listed]}


async def delete_entity(caller: Caller) -> object:
    """Deletes the memories of one user, agent or run."""
    return await delete_all_of_entity(caller)


async def batch_update(caller: Caller) -> object:
    """Changes several memories; nothing if one of them is not there."""
    changes = await _batch(caller)
    read = [_changed(memory_id, UPDATE.read(each)) for memory_id, each in changes]
    for changed in read:
        await caller.call("update", changed)
    return {"message": f"Successfully updated {len(read)} memories"}


async def batch_delete(caller: Caller) -> object:
    """Deletes several memories; nothing if one of them is not there."""
    removed = dict(await _batch(caller))
    for memory_id in removed:
        await caller.call("delete", {"memory_id": memory_id})
    return {"message": f"Successfully deleted {len(removed)} memories"}


async def _batch(caller: Caller) -> list[tuple[str, dict[str, Any]]]:
    """The memories of a batch, all of which are there, by id."""
    listed = BATCH.read(await caller.object())["memories"]
    check_batch(listed, caller.service.settings.max_messages)
    for each in listed:
        if not isinstance(each, dict) or not isinstance(each.get("memory_id"), str):
            raise Problem(BAD_INPUT, "VALIDATION_008", "memories: each needs a memory_id.")
        await found(caller, each["memory_id"])
    caller.charge(len(listed) - 1)
    return [(each["memory_id"], each) for each in listed]


async def create_export(caller: Caller) -> object:
    """Says what to ask for; the memories are exported when they are fetched."""
    filters = _taken(EXPORT.read(await caller.object()))
    await caller.call("count", {"filters": filters})  # Whether they are valid.
    said = "Memory export request received. The export will be ready when it is fetched."
    return {"message": said, "id": json.dumps(filters)}


async def get_export(caller: Caller) -> object:
    """All memories that pass the filters, or those of an export by its id."""
    caller.access.check_right("read")
    given = EXPORT.read(await caller.object())
    export = given.pop("memory_export_id", None)
    if export is None:
        filters = _taken(given)
    else:
        filters = _as_filters(_read_json(export), "memory_export_id")
    return {"memories": [each async for each in _all(caller, {"filters": filters})]}


# --- The project -----------------------------------------------------------------------------


async def get_project(caller: Caller) -> object:
    """The instructions of this service, as those of a project."""
    caller.access.check_right("read")
    caller.access.check_everything()
    named = caller.request.query_params.getlist("fields")
    shown = {INSTRUCTIONS: caller.access.memory.custom_instructions, "name": PROJECT}
    return {key: shown.get(key) for key in named} if named else shown


async def update_project(caller: Caller) -> object:
    """Changes the instructions of this service."""
    check_administrator(caller)
    given = await caller.object()
    own = ("org_id", "project_id")
    changed = {key: value for key, value in given.items() if value is not None and key not in own}
    other = [key for key in changed if key != INSTRUCTIONS]
    if other or not isinstance(changed.get(INSTRUCTIONS), str):
        said = f"{other[0]!r} is not offered here." if other else "There is nothing to change."
        raise Problem(NOT_OFFERED if other else BAD_INPUT, "NOT_OFFERED", said,
                      f"Only {INSTRUCTIONS!r} can be changed.")  # fmt: skip
    await asyncio.to_thread(caller.service.configure, {INSTRUCTIONS: changed[INSTRUCTIONS]})
    return {"message": "Updated custom instructions"}
