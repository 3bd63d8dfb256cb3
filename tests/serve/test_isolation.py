"""Whoever asks, in whatever dialect: a key never shows or changes a memory outside its scopes.

Random requests of 50 keys with overlapping, odd and hostile ids, beside a model in plain Python of
whose every memory is. Every text holds a token that no other text holds, and what is stored is
looked at after every request.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from isomem.testing import HashEmbedder
from tests.torture.storage import scaled

pytest.importorskip("fastapi")

import httpx

from isomem.serve.app import make_app
from isomem.serve.service import Service

REQUESTS = scaled(600, 50_000)
MOST_MEMORIES = 150

SCOPE_KEYS = ("user_id", "agent_id", "run_id")
USERS = (
    "u1", "u10", "u", "U1", "u1*", "*", "u%", "u_", "team-a", "team-b", "team-", "xteam-a",
    "u1&run_id=r1", "null", "None", "0", "é", "e\u0301", "u1/u2", "../u1", "u1.u2", "🗼", "a1",
    "r1", "users", "u1'--", "{}", "u\\1", "u+1", "u1?x=1", "u1#x",
)  # fmt: skip
AGENTS = (None, None, None, "a1", "*", "u1", "a1&run_id=r1")
RUNS = (None, None, None, "r1", "*", "u1")
ODD_IDS = (
    {"ne": ""}, {"in": list(USERS)}, {"nin": []}, {}, list(USERS), ["u1"], True, 7, 0.5, "", " ",
    "u1 u10", None, {"eq": "u1"}, " u1", "u1\n",
)  # fmt: skip
WORDS = ("tea", "coffee", "chess", "Rome", "a violin", "Anna", "the garden", "rain")
GRANTS: tuple[Mapping[str, str], ...] = (
    {"user_id": "u1"}, {"user_id": "u10"}, {"user_id": "team-*"}, {"agent_id": "a1"},
    {"run_id": "r1"}, {"user_id": "u1", "agent_id": "a1"}, {"user_id": "*", "run_id": "r1"},
    {"user_id": "é"}, {"user_id": "*a*"}, {"user_id": "u1/u2"}, {"user_id": "u", "run_id": "r1"},
    {"agent_id": "u1"}, {"user_id": "u1*"}, {"user_id": "u1&run_id=r1"},
)  # fmt: skip
RIGHTS = (["read"], ["read", "write"], ["read", "write"], ["read", "write", "admin"], ["write"])

Ids = Mapping[str, Any]
Stored = dict[str, dict[str, Any]]


def covers(grant: Mapping[str, str], ids: Ids) -> bool:
    """What a grant means, written differently: each part of a pattern follows the one before."""
    return all(_fits(pattern, ids.get(key)) for key, pattern in grant.items())


def _fits(pattern: str, value: object) -> bool:
    if not isinstance(value, str):
        return False
    if "*" not in pattern:
        return pattern == value
    first, *middle, last = pattern.split("*")
    if len(value) < len(first) + len(last) or not value.startswith(first):
        return False
    rest = value[len(first) : len(value) - len(last)] if last else value[len(first) :]
    for part in middle:
        found = rest.find(part)
        if found < 0:
            return False
        rest = rest[found + len(part) :]
    return value.endswith(last)


class Caller:
    """A key of the service, and what the model knows of it."""

    def __init__(self, text: str, rights: Sequence[str], grants: Sequence[Ids]) -> None:
        self.text = text
        self.rights = rights
        self.grants = grants

    def may_touch(self, ids: Ids) -> bool:
        return any(covers(grant, ids) for grant in self.grants)


class World:
    """A service, and the model of it."""

    def __init__(self, service: Service, client: httpx.AsyncClient, seed: int) -> None:
        self.service = service
        self.client = client
        self.random = Random(seed)
        self.callers = [self._caller(number) for number in range(50)]
        self.stored: Stored = {}
        self.owners: dict[str, Ids] = {}
        self.known: list[str] = []
        self.made = 0
        self.answered: Counter[str] = Counter()
        self.prompts: list[str] = []
        self.jobs = 0

    def _caller(self, number: int) -> Caller:
        rights = self.random.choice(RIGHTS)
        grants = self.random.sample(GRANTS, self.random.choice((1, 1, 1, 2, 3)))
        text, _ = self.service.keys.create(f"key {number}", rights, grants)
        return Caller(text, rights, grants)

    # --- What is drawn ---

    def ids(self) -> dict[str, Any]:
        pick = self.random.choice
        drawn = dict(zip(SCOPE_KEYS, (pick(USERS), pick(AGENTS), pick(RUNS)), strict=True))
        if self.random.random() < 0.3 and self.stored:
            drawn = dict(pick(list(self.stored.values())))
        if self.random.random() < 0.1:
            drawn[pick(SCOPE_KEYS)] = pick(ODD_IDS)
        kept = {key: drawn[key] for key in SCOPE_KEYS if drawn.get(key) is not None}
        return {key: value for key, value in kept.items() if self.random.random() < 0.85}

    def text_ids(self) -> dict[str, str]:
        return {key: value for key, value in self.ids().items() if isinstance(value, str)}

    def filters(self) -> dict[str, Any]:
        pick = self.random.choice
        filters = self.ids()
        if self.random.random() < 0.4:
            members = [self.ids(), {"kind": {"ne": "x"}}, {"user_id": {"in": list(USERS)}}]
            filters[pick(("OR", "AND", "NOT", "$or", "$and", "$not"))] = members[: pick((1, 2, 3))]
        if self.random.random() < 0.2:
            filters[pick(("kind", "data", "user_id.x", "hash"))] = pick(({"ne": ""}, "*", "x"))
        return filters

    def new_text(self) -> str:
        self.made += 1
        return f"{self.random.choice(WORDS)} tok{self.made}z and {self.random.choice(WORDS)}"

    def memory_id(self) -> str:
        gone = [each for each in self.known if each not in self.stored]
        ids = gone if gone and self.random.random() < 0.3 else [*self.stored]
        return self.random.choice(ids) if ids and self.random.random() < 0.95 else "none"

    def metadata(self) -> dict[str, Any]:
        return {**({"kind": "x"} if self.random.random() < 0.5 else {}), **self.ids()}

    # --- What is checked ---

    async def refill(self) -> None:
        """Adds memories again when half of them are gone."""
        if len(self.stored) < MOST_MEMORIES // 2:
            await self.fill()

    async def fill(self) -> None:
        """Memories of everybody, so that there is something to find."""
        while len(self.stored) < MOST_MEMORIES:
            pick = self.random.choice
            drawn = dict(zip(SCOPE_KEYS, (pick(USERS), pick(AGENTS), pick(RUNS)), strict=True))
            ids = {key: value for key, value in drawn.items() if value is not None}
            await self.service.memory.add(
                self.new_text(), **ids, infer=False, metadata={"kind": pick("xyz")}
            )
            if self.made % 20 == 0 or len(self.stored) + 1 >= MOST_MEMORIES:
                self.stored = await self.snapshot()
        self.note_owners()

    async def snapshot(self) -> Stored:
        """Everything that is stored: the payloads by id."""
        ports = self.service.memory._ports
        points = await ports.store(lambda stores: stores.vectors.list(filters={}, top_k=10**6))
        return {str(point.id): dict(point.payload) for point in points[0]}  # type: ignore[index]

    def note_owners(self) -> None:
        self.known += self.stored.keys() - set(self.known)
        for payload in self.stored.values():
            for token in tokens(payload["data"]):
                self.owners[token] = {key: payload.get(key) for key in SCOPE_KEYS}

    async def check(self, caller: Caller, asked: Any, answer: httpx.Response) -> None:
        """Nothing that the caller may not touch has been shown or has changed."""
        await self.check_remembered(caller, asked)
        for shown in (answer.text, *self.prompts):
            for token in tokens(shown):
                owner = self.owners.get(token)
                assert owner is None or caller.may_touch(owner), (asked, caller.grants, owner)
        self.prompts.clear()
        if asked[1] in LISTINGS and answer.status_code == 200:
            listed = answer.json()
            self.check_listed(
                caller, asked, listed if isinstance(listed, list) else listed["results"]
            )
        after = await self.snapshot()
        for memory_id in {*self.stored, *after}:
            old, new = self.stored.get(memory_id), after.get(memory_id)
            if old != new:
                assert "write" in caller.rights, (asked, caller.rights)
                for payload in filter(None, (old, new)):
                    assert caller.may_touch(payload), (asked, caller.grants, payload)
        self.stored = after
        self.note_owners()
        assert answer.status_code < 500 or answer.status_code in (501, 502), (asked, answer.text)
        refused = answer.status_code >= 400 or '"isError":true' in answer.text
        self.answered[asked[1].split("?")[0].split("/")[1]] += not refused

    async def check_remembered(self, caller: Caller, asked: Any) -> None:
        """What is to be remembered later is the caller's."""
        while self.service._background:
            await asyncio.gather(*self.service._background)
        jobs, total = self.service.jobs._queue.page(None, None, None, 1)
        if total > self.jobs:
            self.jobs = total
            assert "write" in caller.rights, (asked, caller.rights)
            job = self.service.jobs._queue.find(jobs[0].id)
            assert job is not None
            assert caller.may_touch(job.arguments), (asked, caller.grants, job.arguments)

    def check_listed(self, caller: Caller, asked: Any, listed: Sequence[Ids]) -> None:
        """Only scopes, or ids in them, that the caller may touch are listed."""
        own = [ids for ids in self.stored.values() if caller.may_touch(ids)]
        for each in listed:
            ids = {f"{each['type']}_id": each["id"]} if "type" in each else each
            scope = {key: ids[key] for key in SCOPE_KEYS if key in ids}
            assert any(scope.items() <= one.items() for one in own), (asked, caller.grants, each)


LISTINGS = ("/api/scopes", "/entities", "/v1/entities/")
"""What lists scopes, and not memories."""


def tokens(text: str) -> set[str]:
    return set(re.findall(r"tok\d+z", text))


# --- The dialects ----------------------------------------------------------------------------

Asked = tuple[str, str, Any]
"""A method, a path with its query, and a body."""


def path_of(*parts: str) -> str:
    return "/" + "/".join(quote(part, safe="") for part in parts)


NATIVE = (
    "add", "search", "search", "get", "get_all", "count", "scopes", "history", "update", "delete",
    "delete_all", "context", "restore", "sweep", "remember", "reset", "purge",
)  # fmt: skip


def native(world: World) -> Asked:
    """`POST /api/NAME`."""
    pick = world.random.choice
    name = pick(NATIVE)
    bodies: dict[str, Callable[[], dict[str, Any]]] = {
        "add": lambda: {
            "messages": pick(({"role": "user", "content": world.new_text()}, world.new_text())),
            "infer": False,
            "metadata": world.metadata(),
            **world.ids(),
        },
        "remember": lambda: {"said": world.new_text(), "infer": False, **world.ids()},
        "search": lambda: {
            "query": pick(WORDS),
            "filters": world.filters(),
            "threshold": 0,
            "ranking": pick(("contract", "fused")),
            "explain": pick((True, False)),
            "top_k": pick((1, 20, 1000)),
        },
        "context": lambda: {"query": pick(WORDS), "filters": world.filters(), "threshold": 0},
        "get_all": lambda: {"filters": world.filters(), "top_k": 1000},
        "count": lambda: {"filters": world.filters()},
        "update": lambda: {
            "memory_id": world.memory_id(),
            "data": world.new_text(),
            "metadata": world.metadata(),
        },
    }
    if name in bodies:
        body = bodies[name]()
    elif name in ("scopes", "delete_all", "sweep", "purge"):
        body = world.ids()
    elif name == "reset":
        body = {}
    else:
        body = {"memory_id": world.memory_id()}
    return "POST", f"/api/{name}", body


def self_hosted(world: World) -> Asked:
    """mem0's own server."""
    pick = world.random.choice
    one = path_of("memories", world.memory_id())
    query = f"?{urlencode(world.text_ids())}"
    of_type, entity = pick(("user", "agent", "run")), pick(USERS)
    messages = [{"role": "user", "content": world.new_text()}]
    asked: Sequence[Callable[[], Asked]] = (
        lambda: ("POST", "/memories", {"messages": messages, "infer": False, **world.ids()}),
        lambda: ("GET", f"/memories{query}", None),
        lambda: ("DELETE", f"/memories{query}", None),
        lambda: ("GET", one, None),
        lambda: ("PUT", one, {"text": world.new_text(), "metadata": world.metadata()}),
        lambda: ("DELETE", one, None),
        lambda: ("GET", f"{one}/history", None),
        lambda: ("POST", "/search", {"query": pick(WORDS), "threshold": 0, **world.ids()}),
        lambda: ("POST", "/search", {"query": pick(WORDS), "filters": world.filters()}),
        lambda: ("GET", "/entities", None),
        lambda: ("DELETE", path_of("entities", of_type, entity), None),
        lambda: ("POST", "/reset", None),
        lambda: ("GET", "/configure", None),
    )
    return pick(asked)()


def hosted(world: World) -> Asked:
    """mem0's hosted service, as `MemoryClient` speaks it."""
    pick = world.random.choice
    one = f"{path_of('v1', 'memories', world.memory_id())}/"
    messages = [{"role": "user", "content": world.new_text()}]
    members = [world.ids(), {"kind": "x"}]
    filters = pick((world.filters(), {"AND": members}, {"OR": members}, {"metadata": world.ids()}))
    in_query = urlencode({**world.text_ids(), "filters": pick((json.dumps(filters), str(filters)))})
    batch = [
        {"memory_id": world.memory_id(), "text": world.new_text()} for _ in range(pick((1, 2)))
    ]
    entity = path_of("v2", "entities", pick(("user", "agent", "run")), pick(USERS))
    asked: Sequence[Callable[[], Asked]] = (
        lambda: (
            "POST", "/v3/memories/add/",
            {"messages": messages, "infer": False, "metadata": world.metadata(), **world.ids()},
        ),
        lambda: (
            "POST", "/v3/memories/search/",
            {"query": pick(WORDS), "filters": filters, "metadata": world.ids(), "threshold": 0},
        ),
        lambda: ("POST", "/v3/memories/search/", {"query": pick(WORDS), **world.ids()}),
        lambda: ("POST", "/v3/memories/?page=1&page_size=50", {"filters": filters}),
        lambda: ("DELETE", f"/v1/memories/?{in_query}", None),
        lambda: ("GET", one, None),
        lambda: ("PUT", one, {"text": world.new_text(), "metadata": world.metadata()}),
        lambda: ("DELETE", f"{one}?delete_linked=true", None),
        lambda: ("GET", f"{one}history/", None),
        lambda: ("GET", "/v1/entities/", None),
        lambda: ("DELETE", f"{entity}/", None),
        lambda: ("PUT", "/v1/batch/", {"memories": batch}),
        lambda: ("DELETE", "/v1/batch/", {"memories": batch}),
        lambda: ("POST", "/v1/exports/get/", {"filters": filters}),
        lambda: ("POST", "/v1/exports/get/", {"memory_export_id": json.dumps(filters)}),
    )  # fmt: skip
    return pick(asked)()


def rust(world: World) -> Asked:
    """mem0-rs's server."""
    pick = world.random.choice
    one = path_of("v1", "memories", world.memory_id())
    query = f"?{urlencode(world.text_ids())}"
    messages = [{"role": "user", "content": world.new_text()}]
    asked: Sequence[Callable[[], Asked]] = (
        lambda: ("POST", "/v1/memories", {"messages": messages, "infer": False, **world.ids()}),
        lambda: ("GET", f"/v1/memories{query}", None),
        lambda: ("DELETE", f"/v1/memories{query}", None),
        lambda: ("POST", "/v1/memories/search", {"query": pick(WORDS), **world.ids()}),
        lambda: ("GET", one, None),
        lambda: ("PUT", one, {"data": world.new_text(), "metadata": world.metadata()}),
        lambda: ("DELETE", one, None),
        lambda: ("GET", f"{one}/history", None),
        lambda: ("POST", "/v1/reset", None),
    )
    return pick(asked)()


def tools(world: World) -> Asked:
    """A model's call of a tool, which may name a scope, at an address that may name one, too."""
    pick = world.random.choice
    arguments: Mapping[str, Callable[[], dict[str, Any]]] = {
        "add_memory": lambda: {
            "text": world.new_text(), "infer": False, "metadata": world.metadata(), **world.ids(),
        },
        "search_memories": lambda: {
            "query": pick(WORDS), "filters": world.filters(), "top_k": pick((1, 1000)),
            **pick(({}, world.ids())),
        },
        "get_memories": lambda: {"filters": world.filters(), **pick(({}, world.ids()))},
        "get_memory": lambda: {"memory_id": world.memory_id()},
        "update_memory": lambda: {"memory_id": world.memory_id(), "text": world.new_text()},
        "delete_memory": lambda: {"memory_id": world.memory_id()},
        "delete_all_memories": world.ids,
        "memory_history": lambda: {"memory_id": world.memory_id()},
    }  # fmt: skip
    name = pick(list(arguments))
    params = {"name": name, "arguments": arguments[name]()}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return (
        "POST",
        pick((path_of("mcp", pick(USERS)), "/mcp", f"/mcp?{urlencode(world.text_ids())}")),
        body,
    )


def chat(world: World) -> Asked:
    """A chat through the proxy: the model is told what is recalled, and the turn is remembered."""
    messages = [{"role": "user", "content": f"{world.random.choice(WORDS)} and {world.new_text()}"}]
    user = world.random.choice(({}, {"user": world.random.choice((*USERS, *ODD_IDS))}))
    return "POST", CHAT, {"model": "m", "messages": messages, **user}


CHAT = "/v1/chat/completions"
DIALECTS: Sequence[Callable[[World], Asked]] = (native, self_hosted, hosted, rust, tools, chat)

ANSWERED = ("api", "memories", "search", "entities", "v1", "v2", "v3", "mcp")
"""How the paths begin, some of which must have been answered."""


class Model:
    """A model server; it keeps what it is told."""

    def __init__(self, prompts: list[str]) -> None:
        self._prompts = prompts

    async def aopen(self, body: dict[str, Any]) -> httpx.Response:
        self._prompts.append(json.dumps(body))
        reply = {"role": "assistant", "content": "Fine."}
        return httpx.Response(200, json={"choices": [{"index": 0, "message": reply}]})

    async def amodels(self) -> httpx.Response:
        return httpx.Response(200, json={"data": []})

    def without_secrets(self, content: bytes) -> bytes:
        return content

    async def aclose(self) -> None:
        pass


# --- The test --------------------------------------------------------------------------------


@asynccontextmanager
async def world(seed: int, *, allow_scope: bool) -> AsyncIterator[World]:
    """A service with everybody's memories, and 50 keys. A model may name a scope, or may not."""
    store = {"provider": "embedded", "config": {"path": ":memory:"}}
    tools = {"allow_scope": allow_scope, "max_tokens": 1_000_000}
    serve = {"rate_per_minute": 100_000_000, "proxy_url": "http://127.0.0.1:9/v1"}
    service = Service({"vector_store": store, "serve": serve, "mcp": tools})
    service.memory.embedding_model = HashEmbedder()
    transport = httpx.ASGITransport(make_app(service), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://isomem") as client:
        made = World(service, client, seed)
        service.model_server = Model(made.prompts)  # type: ignore[assignment]
        await made.fill()
        yield made
    await service.close()


async def ask(world: World) -> None:
    """One request of one key, and what came of it."""
    caller = world.random.choice(world.callers)
    method, path, body = world.random.choice(DIALECTS)(world)
    content = None if body is None else json.dumps(body)
    headers = {
        "X-API-Key": caller.text,
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2025-06-18",
    }
    answer = await world.client.request(method, path, content=content, headers=headers)
    await world.check(caller, (method, path, body), answer)
    await world.refill()


@pytest.mark.slow
@pytest.mark.parametrize("allow_scope", [True, False])
def test_a_key_never_gets_out_of_its_scopes(allow_scope: bool) -> None:
    async def run() -> None:
        async with world(seed=7, allow_scope=allow_scope) as made:
            for _ in range(REQUESTS):
                await ask(made)
            assert made.answered.total() > REQUESTS / 10
            assert made.jobs > REQUESTS / 100
            if REQUESTS > 10_000:
                assert min(made.answered[name] for name in ANSWERED) > REQUESTS / 10_000

    asyncio.run(run())
