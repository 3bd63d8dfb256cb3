"""A memory as people have one: several users, agents and runs, changes, and what is hidden."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from isomem import AsyncMemory, demo
from isomem.clock import Clock
from isomem.config import from_dict
from isomem.errors import UnusableReplyError
from isomem.serve.service import Service, with_own

Json = dict[str, Any]

NOTES: tuple[Json, ...] = tuple(
    json.loads(line)
    for line in Path(__file__).with_name("notes.jsonl").read_text("utf-8").splitlines()
)


class DemoClock(Clock):
    """A clock that stands where it was set, and goes on with every look; its ids are fixed."""

    def __init__(self) -> None:
        self._chance = Random(20)
        self.moment = datetime.fromisoformat("2025-03-03T19:00:00+00:00")

    def set(self, moment: str) -> None:
        self.moment = datetime.fromisoformat(moment)

    def now(self) -> str:
        self.moment += timedelta(seconds=1)
        return self.moment.isoformat()

    def today(self) -> str:
        return self.moment.date().isoformat()

    def new_id(self) -> str:
        return str(UUID(int=self._chance.getrandbits(128), version=4))


TODAY = "2026-11-27T10:00:00+00:00"


def config(path: str = ":memory:", **serve: Any) -> Json:
    """A service with the embedder that comes with isomem, and a model with prepared replies."""
    return {
        "vector_store": {"provider": "embedded", "config": {"path": path}},
        "embedder": {"provider": "local"},
        "llm": {"provider": "mock", "config": {"replies": [*demo.replies(), *LATER_REPLIES]}},
        "serve": {"port": 0, **serve},
    }


LATER: tuple[tuple[str, Json], ...] = (
    ("I paid for the bookbinding course today, the Monday one.", {"supersede": "similar"}),
    ("Thanks, that was all for now!", {}),
    ("As I said, I'm vegetarian.", {}),
    ("Could you write me a poem about trams?", {}),
)
LATER_REPLIES: tuple[Json | str, ...] = (
    {"memory": [{"text": "User paid 85 pounds for the Monday bookbinding course"}]},
    {"memory": []},
    {"memory": [{"text": "User is vegetarian"}]},
    "Of course! Here is a poem about trams: they hum along the river, line by line.",
)


async def fill(service: Service, clock: DemoClock) -> None:
    """Puts everything into the memory of a service, through the calls that everybody makes."""
    access = service.access(service.keys.create("demo", ["read", "write"], [{}])[0])
    days: dict[str, list[Any]] = {}
    for line in demo.conversation():
        days.setdefault(str(line.session), []).append(line)
    for session, lines in days.items():
        clock.set(f"{session}T19:30:00+00:00")
        said = [line.message for line in lines]
        await access.call(
            "add",
            {"messages": said, "user_id": demo.USER, "timestamp": f"{session}T19:00:00+00:00"},
        )
    for note in NOTES:
        clock.set(note["at"])
        said = {"messages": note["text"], "metadata": note["metadata"], "infer": False}
        await access.call("add", {**said, **note["ids"]})
    await _change(access, clock)
    clock.set(TODAY)
    for text, options in LATER:
        with suppress(UnusableReplyError):
            await access.call("add", {"messages": text, "user_id": demo.USER, **options})


async def _change(access: Any, clock: DemoClock) -> None:
    clock.set("2025-03-21T18:05:00+00:00")
    found = await access.call(
        "search", {"query": demo.CORRECTED, "filters": {"user_id": demo.USER}, "top_k": 1}
    )
    course = found["results"][0]["id"]
    await access.call("update", {"memory_id": course, "data": demo.CORRECTION})
    clock.set("2025-04-02T07:45:00+00:00")
    await access.call(
        "update", {"memory_id": course, "data": demo.CORRECTION.replace("85 pounds", "80 pounds")}
    )
    await access.call(
        "add",
        {
            "messages": "The library is closed for stocktaking this week.", "user_id": demo.USER,
            "infer": False, "expiration_date": "2026-01-31", "metadata": {"topic": "work"},
        },
    )  # fmt: skip


def filled(path: str = ":memory:", **serve: Any) -> Service:
    """A service with everything in it."""
    clock, given = DemoClock(), config(path, **serve)
    own = {"serve": given.pop("serve")}
    memory = AsyncMemory(from_dict(with_own(given)), clock=clock)
    service = Service(own, memory=memory)
    asyncio.run(fill(service, clock))
    return service
