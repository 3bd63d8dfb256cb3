"""The dialect of mem0-rs's server, below `/v1`, without a slash at the end of its paths.

The hosted dialect has the same prefix, but each of its paths ends in a slash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isomem.serve.rest import selfhosted
from isomem.serve.rest.arguments import OBJECT, TEXT, WHOLE, Reader
from isomem.serve.rest.schemas import of_result, reference
from isomem.serve.rest.selfhosted import ADD, LIST, MESSAGE, REMOVE, SEARCH, operation
from isomem.types import SCOPE_KEYS

if TYPE_CHECKING:
    from isomem.serve.callers import Caller
    from isomem.serve.rest.operations import Operation
    from isomem.serve.rest.selfhosted import Row

TAG = "mem0-rs"
LIMITED = Reader({"limit": WHOLE})
UPDATE = Reader({"text": TEXT, "data": TEXT, "memory": TEXT, "metadata": OBJECT})


def operations() -> list[Operation]:
    """Its calls."""
    one, listed = "/v1/memories/{memory_id}", of_result("MemoryList | MemoryPage")
    limit = LIMITED.schemas
    body = Reader({**SEARCH.schemas, **limit}, required=("query",)).body
    rows: tuple[Row, ...] = (
        ("POST", "/v1/memories", selfhosted.add, "Add memories", reference("AddResults"), ADD.body),
        ("GET", "/v1/memories", list_memories, "List memories", listed, None,
         {**LIST.schemas, **limit}),
        ("DELETE", "/v1/memories", selfhosted.delete_all, "Delete the memories of some ids",
         MESSAGE, None, REMOVE.schemas),
        ("POST", "/v1/memories/search", search, "Search memories", reference("SearchResults"),
         body),
        ("GET", one, selfhosted.get, "Get a memory", reference("GotMemory")),
        ("PUT", one, update, "Change a memory", MESSAGE, UPDATE.body),
        ("DELETE", one, selfhosted.delete, "Delete a memory", MESSAGE),
        ("GET", f"{one}/history", selfhosted.history_of, "Get the history of a memory",
         of_result("list[HistoryRow]")),
        ("POST", "/v1/reset", selfhosted.reset, "Remove everything", MESSAGE),
    )  # fmt: skip
    return [operation(TAG, "rust", *row) for row in rows]


async def list_memories(caller: Caller) -> object:
    """Lists the memories of some ids; `limit` is the most of them."""
    given = LIST.read(caller.query)
    limit = LIMITED.read(caller.query).get("limit")
    ids = {key: given.pop(key) for key in SCOPE_KEYS if key in given}
    most = {} if limit is None else {"top_k": limit}
    return await caller.call("get_all", {"filters": ids, **given, **most})


async def search(caller: Caller) -> object:
    """Searches; `limit` is the most results."""
    given = await caller.object()
    limit = LIMITED.read(given).get("limit")
    return await selfhosted.found_by(
        caller, {**given, **({} if limit is None else {"top_k": limit})}
    )


async def update(caller: Caller) -> object:
    """Changes one memory; the text may be called `text`, `data` or `memory`."""
    given = UPDATE.read(await caller.object())
    texts = [given.pop(name) for name in ("text", "data", "memory") if name in given]
    text = {"text": texts[0]} if texts else {}
    return await caller.call("update", {"memory_id": caller.path["memory_id"], **text, **given})
