"""Whoever asks what only the inspector asks: nothing outside the scopes of a key is shown.

The requests are mixed with those of `tests/serve/test_isolation.py`, on the same model of whose
every memory is, while the exchanges with the model are recorded.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

import pytest

pytest.importorskip("fastapi")

from isomem.serve.recording import Recorder
from isomem.types import SCOPE_KEYS
from tests.serve.test_isolation import Asked, World, native, world
from tests.torture.storage import scaled

pytestmark = pytest.mark.slow

REQUESTS = scaled(400, 20_000)
RECORDED = 50
ORDERS = ("id", "oldest", "newest", None, "size")


def inspector(world: World) -> Asked:
    """What the page asks below `/ui/api/`."""
    pick = world.random.choice
    asked: Sequence[Callable[[], Asked]] = (
        lambda: (
            "POST",
            "/ui/api/pages",
            {"filters": world.filters(), "order": pick(ORDERS), "page_size": pick((1, 5, 1000))},
        ),
        lambda: ("POST", "/ui/api/entities", {**world.ids(), "most": pick((1, 40, 200))}),
        lambda: ("GET", "/ui/api/exchanges", None),
        lambda: ("GET", "/ui/api/session", None),
        lambda: ("GET", "/ui/api/keys", None),
        lambda: ("POST", "/ui/api/keys", {"name": "x", "rights": ["read"], "grants": [{}]}),
    )
    return pick(asked)()


async def record(made: World) -> None:
    """Adds in many scopes, so that there are exchanges to show from the beginning."""
    key, _ = made.service.keys.create("all", ("read", "write"), [{}])
    for payload in [*made.stored.values()][:RECORDED]:
        ids = {name: payload[name] for name in SCOPE_KEYS if name in payload}
        body = {"messages": made.new_text(), "infer": False, **ids}
        added = await made.client.post("/api/add", json=body, headers={"X-API-Key": key})
        assert added.status_code == 200
    made.stored = await made.snapshot()
    made.note_owners()


async def ask(made: World) -> bool:
    """One request of one key, and what came of it. Whether it showed a memory to the inspector."""
    caller = made.random.choice(made.callers)
    of_page = made.random.random() < 0.6
    method, path, body = (inspector if of_page else native)(made)
    answer = await made.client.request(
        method,
        path,
        content=None if body is None else json.dumps(body),
        headers={"X-API-Key": caller.text, "Content-Type": "application/json"},
    )
    await made.check(caller, (method, path, body), answer)
    if path == "/ui/api/pages" and answer.status_code == 200:
        own = sum(caller.may_touch(payload) for payload in made.stored.values())
        assert answer.json()["total"] <= own
    if path.startswith("/ui/api/keys"):
        assert answer.status_code == 403
    await made.refill()
    return of_page and "tok" in answer.text


def test_a_key_never_sees_out_of_its_scopes_through_the_inspector() -> None:
    async def run() -> int:
        async with world(seed=11, allow_scope=False) as made:
            made.service.kept.recorder = Recorder()
            await record(made)
            return sum([await ask(made) for _ in range(REQUESTS)])

    assert asyncio.run(run()) > REQUESTS / 40
