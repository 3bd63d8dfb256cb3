"""A memory that is closed holds nothing: no file, no connection to a server, no thread.

Each time it is a process of its own that looks at what it holds. In this one, what other tests have
left is closed at any moment.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from isomem import AsyncMemory, Memory
from tests.facade.conftest import facts
from tests.unit.providers.servers import Seen, clean_environment, openai, serving

DESCRIPTORS = Path("/proc/self/fd")
pytestmark = pytest.mark.skipif(not DESCRIPTORS.exists(), reason="needs /proc")
U = {"user_id": "u"}


def answer(seen: Seen) -> Any:
    """Vectors, and to every other request one fact; its number is a score to a reranker."""
    reply = openai(seen)
    if "choices" in reply:
        reply["choices"][0]["message"]["content"] = json.dumps(facts("Likes tea, 7 cups"))
    return reply


def configuration(folder: Path, url: str, *, apart: bool) -> dict[str, Any]:
    """Every part that holds something; the history in a file of its own or not."""
    model = {"provider": "openai", "config": {"api_key": "k", "openai_base_url": url}}
    return {
        "vector_store": {
            "provider": "embedded",
            "config": {"path": str(folder / "memory.db"), "embedding_model_dims": 3},
        },
        "llm": model,
        "embedder": {"provider": "openai", "config": {**model["config"], "embedding_dims": 3}},
        "reranker": {"provider": "llm_reranker", "config": {"llm": model}},
        "nlp": {"provider": "none"},
        **({"history_db_path": str(folder / "history.db")} if apart else {}),
    }


def held() -> list[str]:
    """The files and connections that this process has open."""
    names = []
    for each in DESCRIPTORS.iterdir():
        try:
            names.append(str(each.readlink()))
        except FileNotFoundError:
            continue  # that of the listing itself
    return sorted(name for name in names if not name.startswith("/proc/"))


def use(memory: Memory) -> None:
    memory.add("I like tea", **U)
    assert memory.search("tea", filters=U, rerank=True)["results"]


async def use_async(memory: AsyncMemory) -> None:
    await memory.add("I like tea", **U)
    assert (await memory.search("tea", filters=U, rerank=True))["results"]


def check_open(before: list[str], *, apart: bool) -> None:
    """What a memory in use holds: its files, and connections to the server."""
    new = held()
    for each in before:
        new.remove(each)
    files = {Path(name).name for name in new}
    assert {"memory.db", "history.db"} & files == {"memory.db", *(["history.db"] if apart else [])}
    assert any(name.startswith("socket:") for name in new)


def running() -> set[threading.Thread]:
    """The threads of this process, but for those of the event loop, which end with it."""
    return {each for each in threading.enumerate() if not each.name.startswith("asyncio_")}


def check_closed(before: list[str], threads: set[threading.Thread]) -> None:
    give_up = time.monotonic() + 30  # The server notices in its own time that nobody is there.
    while (held(), running()) != (before, threads) and time.monotonic() < give_up:
        time.sleep(0.01)
    assert held() == before, f"held {held()}, before {before}"
    assert running() == threads, f"running {running()}, before {threads}"


def blocking(config: dict[str, Any], *, apart: bool) -> None:
    before, threads = held(), running()
    memory = Memory.from_config(config)
    use(memory)
    check_open(before, apart=apart)
    memory.close()
    memory.close()
    check_closed(before, threads)


def awaited(config: dict[str, Any], *, apart: bool) -> None:
    async def main() -> None:
        before, threads = held(), running()
        memory = AsyncMemory.from_config(config)
        await use_async(memory)
        check_open(before, apart=apart)
        await memory.aclose()
        await memory.aclose()
        check_closed(before, threads)

    asyncio.run(main())


def awaited_and_left(config: dict[str, Any], *, apart: bool) -> None:
    """Whoever closes after the loop has ended cannot await; the loop took the connections."""

    async def main() -> AsyncMemory:
        memory = AsyncMemory.from_config(config)
        await use_async(memory)
        check_open(before, apart=apart)
        return memory

    before, threads = held(), running()
    memory = asyncio.run(main())
    memory.close()
    check_closed(before, threads)


def in_a_process(folder: Path, way: Callable[..., None], apart: bool) -> None:
    with pytest.MonkeyPatch.context() as patch, serving(answer) as server:
        clean_environment(patch)
        way(configuration(folder, server.url, apart=apart), apart=apart)


@pytest.mark.parametrize("apart", [False, True], ids=["one file", "two files"])
@pytest.mark.parametrize("way", [blocking, awaited, awaited_and_left])
def test_what_a_memory_opened_is_closed_with_it(
    tmp_path: Path, way: Callable[..., None], apart: bool
) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        processes.submit(in_a_process, tmp_path, way, apart).result()
