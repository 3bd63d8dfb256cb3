"""What a type checker says about programs that use isomem. mypy reads this file; a test runs it.

A comment that ignores an error is a claim: mypy complains if the error is not there.
"""

from __future__ import annotations

from isomem import AsyncClient, AsyncMemory, Client, Memory
from isomem.results import (
    AddedMemory,
    AddResults,
    Hit,
    MemoryItem,
    MemoryList,
    MemoryPage,
    Scope,
    SearchResults,
)


def results_are_typed(memory: Memory) -> None:
    added: AddResults = memory.add("I like tea", user_id="ana", infer=False)
    new: AddedMemory = added["results"][0]
    found: SearchResults = memory.search("tea", filters={"user_id": "ana"})
    hit: Hit = found["results"][0]
    score: float = hit["score"]
    metadata: dict[str, object] | None = hit["metadata"]
    user: str | None = hit.get("user_id")
    assert (score > 0, metadata, user) == (True, None, "ana")
    got = memory.get(new["id"])
    assert got is not None
    text: str = got["memory"]
    assert text == hit["memory"] == "I like tea"
    assert memory.history(new["id"])[0]["event"] == "ADD"
    assert memory.update(new["id"], "I like coffee")["message"]


def keys_that_do_not_exist_are_errors(memory: Memory) -> None:
    found = memory.search("tea", filters={"user_id": "ana"})
    assert "hits" not in found
    for hit in found["results"]:
        hit["text"]  # type: ignore[typeddict-item]
    for each in memory.get_all(filters={"user_id": "ana"})["results"]:
        each["score"]  # type: ignore[typeddict-item]


def arguments_that_do_nothing_are_errors(memory: Memory) -> None:
    memory.search("tea", filters={"user_id": "ana"}, limit=5)  # type: ignore[arg-type]
    memory.get_all(filters={"user_id": "ana"}, limit=5)  # type: ignore[call-overload]
    memory.remember("tea", user="ana")  # type: ignore[call-arg]


def a_page_and_a_list_are_told_apart(memory: Memory) -> None:
    filters = {"user_id": "ana"}
    short: MemoryList = memory.get_all(filters=filters, top_k=5, order="newest")
    page: MemoryPage = memory.get_all(filters=filters, page_size=2)
    shown = page["results"]
    while page["next_cursor"] is not None:
        page = memory.get_all(filters=filters, cursor=page["next_cursor"])
        shown += page["results"]
    cursor: str | None = None
    again: MemoryPage = memory.get_all(filters=filters, page_size=2, cursor=cursor)
    assert (len(shown), again["total"], len(short["results"])) == (1, 1, 1)


def everything_and_everybody(memory: Memory) -> None:
    items: list[MemoryItem] = list(memory.iter_all({"user_id": "ana"}, order="oldest"))
    scopes: list[Scope] = memory.scopes()
    count: int = memory.count({"user_id": "ana"})
    assert count == len(items) == scopes[0]["memories"]
    text: str = memory.context("coffee", filters={"user_id": "ana"}, count_tokens=len)
    assert text


async def the_same_for_coroutines(memory: AsyncMemory) -> None:
    filters = {"user_id": "bo"}
    added: AddResults = await memory.remember("I like tea", "So do I", user_id="bo", infer=False)
    page: MemoryPage = await memory.get_all(filters=filters, page_size=1)
    items: list[MemoryItem] = [each async for each in memory.iter_all(filters)]
    found: SearchResults = await memory.search("tea", filters=filters)
    scopes: list[Scope] = await memory.scopes("bo")
    count: int = await memory.count(filters)
    text: str = await memory.context("tea", filters=filters)
    assert count == len(items) == len(added["results"]) == page["total"] == scopes[0]["memories"]
    assert found["results"][0]["memory"] == "I like tea"
    assert "- I like tea" in text


def a_client_is_typed_like_a_memory(client: Client) -> None:
    filters = {"user_id": "ana"}
    added: AddResults = client.remember("I like tea", "So do I", user_id="ana", infer=False)
    found: SearchResults = client.search("tea", filters=filters)
    page: MemoryPage = client.get_all(filters=filters, page_size=1)
    items: list[MemoryItem] = list(client.iter_all(filters))
    text: str = client.context("tea", filters=filters, count_tokens=len)
    assert (len(added["results"]), len(items), page["total"]) == (2, 2, 2)
    assert found["results"][0]["memory"] in text


def what_a_memory_does_not_take_a_client_does_not_take(client: Client) -> None:
    client.search("tea", filters={"user_id": "ana"}, limit=5)  # type: ignore[arg-type]
    client.get_all(filters={"user_id": "ana"}, limit=5)  # type: ignore[call-overload]
    client.search("tea", filters={"user_id": "ana"}, top_k=None)  # type: ignore[arg-type]


async def coroutines_of_a_client_are_typed_like_a_memorys(client: AsyncClient) -> None:
    filters = {"user_id": "ana"}
    page: MemoryPage = await client.get_all(filters=filters, page_size=1)
    items: list[MemoryItem] = [each async for each in client.iter_all(filters)]
    assert len(items) == page["total"]
