"""The dialect of mem0's self-hosted server, as of 2.0.4.

What its clients send means the same here, and what they get looks the same; docs/rest.md lists what
differs. Bodies and queries also take the other arguments of the call that is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isomem.contract.arguments import not_found_for_update
from isomem.serve.callers import BACKGROUND
from isomem.serve.problems import BAD_INPUT, Problem
from isomem.serve.rest.arguments import OBJECT, TEXT, Reader, of_call
from isomem.serve.rest.native import IN_BACKGROUND
from isomem.serve.rest.operations import Operation
from isomem.serve.rest.schemas import of_result, reference
from isomem.types import SCOPE_KEYS

if TYPE_CHECKING:
    from isomem.serve.callers import Caller
    from isomem.serve.rest.schemas import Schema

    Row = tuple[Any, ...]
    """What `operation` makes an operation from, without the dialect."""

TAG = "mem0 self-hosted"
LISTED_AT_ONCE = 1000
"""How many memories are listed if nobody's are asked for, and no page."""

FIELD_OF = {"user": "user_id", "agent": "agent_id", "run": "run_id"}
"""The types of entities, and the ids that they are."""

ADD = Reader({**of_call("add"), BACKGROUND: IN_BACKGROUND}, required=("messages",))
SEARCH = Reader({**of_call("search"), **dict.fromkeys(SCOPE_KEYS, TEXT)}, required=("query",))
UPDATE = Reader(
    {"text": TEXT, **of_call("update", "memory_id", "data", "text")}, nullable=("expiration_date",)
)
LIST = Reader({**dict.fromkeys(SCOPE_KEYS, TEXT), **of_call("get_all", "filters", "top_k")})
REMOVE = Reader(of_call("delete_all"))

MESSAGE: Schema = {
    "type": "object",
    "properties": {"message": TEXT},
    "required": ["message"],
    "additionalProperties": False,
}
_LISTED = of_result("MemoryList | MemoryPage")
_EVERYTHING: Schema = {
    "type": "object",
    "description": "Memories of everybody, with all ids, and `next_cursor` and `total` on a page.",
    "properties": {"results": {"type": "array", "items": OBJECT}},
    "required": ["results"],
    "additionalProperties": True,
}
_ENTITY: Schema = {
    "type": "object",
    "properties": {
        "id": TEXT,
        "type": {"enum": [*FIELD_OF]},
        "total_memories": {"type": "integer"},
        "created_at": {"type": ["string", "null"]},
        "updated_at": {"type": ["string", "null"]},
    },
    "required": ["id", "type", "total_memories", "created_at", "updated_at"],
    "additionalProperties": False,
}


def operations() -> list[Operation]:
    """Its calls of the memory."""
    history = of_result("list[HistoryRow]")
    rows: tuple[Row, ...] = (
        ("POST", "/memories", add, "Create memories", reference("AddResults"), ADD.body),
        ("GET", "/memories", list_memories, "Get memories",
         {"anyOf": [_LISTED, _EVERYTHING]}, None, LIST.schemas),
        ("DELETE", "/memories", delete_all, "Delete all memories of an id",
         MESSAGE, None, REMOVE.schemas),
        ("GET", "/memories/{memory_id}", get, "Get a memory", reference("GotMemory")),
        ("PUT", "/memories/{memory_id}", update, "Update a memory", MESSAGE, UPDATE.body),
        ("DELETE", "/memories/{memory_id}", delete, "Delete a memory", MESSAGE),
        ("GET", "/memories/{memory_id}/history", history_of, "Get memory history", history),
        ("POST", "/search", search, "Search memories", reference("SearchResults"), SEARCH.body),
        ("POST", "/reset", reset, "Reset all memories", MESSAGE),
        ("GET", "/entities", entities, "List users, agents and runs",
         {"type": "array", "items": _ENTITY}),
        ("DELETE", "/entities/{entity_type}/{entity_id}", delete_entity,
         "Delete the memories of a user, an agent or a run", MESSAGE),
    )  # fmt: skip
    return [operation(TAG, "selfhosted", *row) for row in rows]


def operation(
    tag: str,
    prefix: str,
    method: str,
    path: str,
    run: Any,
    summary: str,
    result: Schema,
    body: Schema | None = None,
    query: dict[str, Schema] | None = None,
) -> Operation:
    """A row of a dialect's table as an operation."""
    name = f"{prefix}_{run.__name__}"
    may_wait = body is not None and BACKGROUND in body.get("properties", ())
    return Operation(method, path, run, name, summary, tag, result, body, query, may_wait=may_wait)


async def add(caller: Caller) -> object:
    """Adds messages."""
    given = ADD.read(await caller.object())
    if caller.access.sees_everything and not any(given.get(key) for key in SCOPE_KEYS):
        raise Problem(
            BAD_INPUT, "VALIDATION_001",
            "At least one identifier (user_id, agent_id, run_id) is required.",
        )  # fmt: skip
    return await caller.call("add", given)


async def list_memories(caller: Caller) -> object:
    """Lists the memories of some ids, or everybody's."""
    given = LIST.read(caller.query)
    ids = {key: given.pop(key) for key in SCOPE_KEYS if key in given}
    if ids or not caller.access.sees_everything:
        return await caller.call("get_all", {"filters": ids, **given})
    is_page = "page_size" in given or "cursor" in given
    paging = given if is_page else {**given, "page_size": LISTED_AT_ONCE}
    page = await caller.everything(**paging)
    shown = {"results": [whole(item) for item in page["results"]]}
    return {**page, **shown} if is_page else shown


def whole(item: dict[str, Any]) -> dict[str, Any]:
    """A memory of anybody's, with every id, and what else is stored with it as its metadata."""
    own = ("id", "memory", *SCOPE_KEYS, "hash", "metadata", "created_at", "updated_at")
    other = {key: value for key, value in item.items() if key not in own}
    return {
        **{key: item.get(key) for key in own},
        "metadata": {**(item.get("metadata") or {}), **other},
    }


async def delete_all(caller: Caller) -> object:
    """Deletes the memories of some ids."""
    given = REMOVE.read(caller.query)
    if not any(given.get(key) for key in SCOPE_KEYS):
        raise Problem(BAD_INPUT, "VALIDATION_001", "At least one identifier is required.")
    await caller.call("delete_all", given)
    return {"message": "All relevant memories deleted"}


async def get(caller: Caller) -> object:
    """One memory."""
    return await found(caller, caller.path["memory_id"])


async def found(caller: Caller, memory_id: str) -> dict[str, Any]:
    """One memory.

    Raises:
        MemoryNotFoundError: there is none that the caller may see.
    """
    memory: dict[str, Any] | None = await caller.call("get", {"memory_id": memory_id})
    if memory is None:
        raise not_found_for_update(memory_id)
    return memory


async def update(caller: Caller) -> object:
    """Changes one memory."""
    given = UPDATE.read(await caller.object())
    return await caller.call("update", {"memory_id": caller.path["memory_id"], **given})


async def delete(caller: Caller) -> object:
    """Deletes one memory."""
    await caller.call("delete", {"memory_id": caller.path["memory_id"]})
    return {"message": "Memory deleted successfully"}


async def history_of(caller: Caller) -> object:
    """What happened to one memory."""
    return await caller.call("history", {"memory_id": caller.path["memory_id"]})


async def search(caller: Caller) -> object:
    """Searches."""
    return await found_by(caller, await caller.object())


async def found_by(caller: Caller, body: dict[str, Any]) -> object:
    """What a search finds; ids beside the filters count as part of them."""
    given = SEARCH.read(body)
    ids = {key: given.pop(key) for key in SCOPE_KEYS if key in given}
    return await caller.call("search", {**given, "filters": {**given.get("filters", {}), **ids}})


async def reset(caller: Caller) -> object:
    """Removes everything."""
    await caller.call("reset", {})
    return {"message": "All memories reset"}


async def entities(caller: Caller) -> list[dict[str, Any]]:
    """The users, agents and runs that have memories, and how many."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for scope in await caller.call("scopes", {}):
        for kind, key in FIELD_OF.items():
            if key in scope:
                _count(found.setdefault((kind, scope[key]), _no_memories(kind, scope[key])), scope)
    return [found[key] for key in sorted(found)]


def _no_memories(kind: str, entity_id: str) -> dict[str, Any]:
    counted = {"total_memories": 0, "created_at": None, "updated_at": None}
    return {"id": entity_id, "type": kind, **counted}


def _count(entity: dict[str, Any], scope: dict[str, Any]) -> None:
    first, last = (_zulu(scope[key]) for key in ("first", "last"))
    entity["total_memories"] += scope["memories"]
    entity["created_at"] = min(filter(None, (entity["created_at"], first)), default=None)
    entity["updated_at"] = max(filter(None, (entity["updated_at"], last)), default=None)


def _zulu(moment: str | None) -> str | None:
    return moment and moment.replace("+00:00", "Z")


async def delete_entity(caller: Caller) -> object:
    """Deletes the memories of one user, agent or run."""
    await delete_all_of_entity(caller)
    return {"message": "Entity deleted"}


async def delete_all_of_entity(caller: Caller) -> object:
    """Makes the call that deletes the memories of the user, agent or run in the path.

    Raises:
        Problem: 400, there is no such kind of entity.
    """
    kind = caller.path["entity_type"]
    if kind not in FIELD_OF:
        known = ", ".join(FIELD_OF)
        raise Problem(BAD_INPUT, "VALIDATION_008", f"entity_type: must be one of {known}.")
    done: object = await caller.call("delete_all", {FIELD_OF[kind]: caller.path["entity_id"]})
    return done
