"""A chat is told what its key may know, and remembers where its key may write, whatever it asks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.providers.servers import Seen, Server, serving

pytest.importorskip("fastapi")

USERS = ("ana", "bob", "team-1", "team-2")
AGENTS = (None, "helper")
IDS = st.sampled_from(
    [None, "", "ana", "bob", "team-1", "team-2", "team-*", "*", "nobody", "a b", 7, ["ana"]]
)
GRANTS = (
    [{"user_id": "ana"}],
    [{"user_id": "bob", "agent_id": "helper"}],
    [{"user_id": "team-*"}],
    [{"user_id": "ana"}, {"user_id": "team-1"}],
    [{"agent_id": "helper"}],
    [{}],
)


def answer(seen: Seen) -> Any:
    message = {"role": "assistant", "content": json.dumps({"memory": []})}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def secret(user: str, agent: str | None) -> str:
    return f"secret of {user} and {agent}"


class World:
    """A service with a memory of every user and agent, and a key for each of `GRANTS`."""

    def __init__(self, served: Any, server: Server) -> None:
        self.served = served
        self.server = server
        self.keys = [served.key(*grants, rights=("read", "write")) for grants in GRANTS]
        for user in USERS:
            for agent in AGENTS:
                ids = {"user_id": user, **({"agent_id": agent} if agent else {})}
                call = served.service.memory.add(secret(user, agent), infer=False, **ids)
                served.run(call)

    def covered(self, number: int, user: str, agent: str | None) -> bool:
        ids = {"user_id": user, "agent_id": agent}
        return any(grant.covers(ids) for grant in self._grants(number))

    def _grants(self, number: int) -> Any:
        from isomem.serve.grants import check_grants

        return check_grants(GRANTS[number])


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    from tests.serve.service import serving as service

    with (
        serving(answer) as server,
        service({"serve": {"proxy_url": server.url, "proxy_memories": 100}}) as served,
    ):
        yield World(served, server)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, len(GRANTS) - 1),
    st.fixed_dictionaries({}, optional={"user": IDS}),
    st.dictionaries(
        st.sampled_from(["X-Isomem-User-Id", "X-Isomem-Agent-Id", "X-Isomem-Run-Id"]),
        IDS.filter(lambda value: isinstance(value, str)),
        max_size=2,
    ),
    st.booleans(),
)
def test_no_chat_is_told_or_remembers_what_its_key_is_not_for(
    world: World, number: int, body: dict[str, Any], headers: dict[str, str], streams: bool
) -> None:
    world.server.forget()
    asked = {"messages": [{"role": "user", "content": "secret"}], "stream": streams, **body}
    key = world.keys[number]
    reply = key.request("POST", "/v1/chat/completions", json=asked, headers=headers)
    assert reply.status_code in (200, 400, 403), reply.text
    told = str([seen.body for seen in world.server.seen])
    if reply.status_code != 200:
        assert reply.json()["error"]["message"]
        assert world.server.seen == []
        assert "secret of" not in reply.text
    for user in USERS:
        for agent in AGENTS:
            if secret(user, agent) in told:
                assert world.covered(number, user, agent)
    world.served.run(asyncio.sleep(0))
    queue = world.served.service.jobs._queue
    for latest in queue.page(None, None, None, 1)[0]:
        job: Any = queue.find(latest.id)
        ids = {name: job.arguments.get(name) for name in ("user_id", "agent_id", "run_id")}
        if job.key_id == key_id(world, number):
            assert any(grant.covers(ids) for grant in world._grants(number))


def key_id(world: World, number: int) -> str:
    """The id of a key, which its text begins with."""
    return str(world.keys[number].headers["X-API-Key"]).split("_")[1]


@pytest.mark.parametrize("number", range(len(GRANTS)))
def test_a_bound_key_names_itself_if_it_is_bound_to_one_scope(world: World, number: int) -> None:
    world.server.forget()
    asked = {"messages": [{"role": "user", "content": "secret"}]}
    reply = world.keys[number].post("/v1/chat/completions", asked)
    is_one = len(GRANTS[number]) == 1 and GRANTS[number][0] and "*" not in str(GRANTS[number])
    assert (reply.status_code == 200) == bool(is_one), reply.text
    told = str([seen.body for seen in world.server.seen])
    for user in USERS:
        for agent in AGENTS:
            is_told = bool(is_one) and world.covered(number, user, agent)
            assert (secret(user, agent) in told) == is_told
