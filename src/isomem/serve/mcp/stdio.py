"""MCP over stdin and stdout, for one client that has started this process.

stdout carries the protocol alone: it is taken away from everything else before anything is loaded,
and what a library prints goes to stderr. The process ends when stdin is closed, or with SIGTERM.
"""

from __future__ import annotations

import os
import sys

from isomem.providers.extras import missing
from isomem.serve.mcp.session import open_local_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from typing import Any

    from mcp.server.lowlevel import Server

    from isomem.serve.mcp.session import Session
    from isomem.serve.mcp.settings import Settings

_CHUNK = 65536


class Wire:
    """The stdin and stdout of this process, which from now on nothing else has."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._input = os.dup(0)
        self._output = os.dup(1)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        try:
            os.dup2(2, 1)
        except OSError:  # There is no stderr.
            os.dup2(nothing, 1)
        os.close(nothing)

    def read(self, deliver: Callable[[str | None], object]) -> None:
        """Delivers every line, and None at the end. It blocks."""
        rest = b""
        while chunk := os.read(self._input, _CHUNK):
            *lines, rest = (rest + chunk).split(b"\n") if b"\n" in chunk else (rest + chunk,)
            for line in lines:
                deliver(line.decode("utf-8", "replace"))
        deliver(None)

    def write(self, text: str) -> None:
        """Writes all of it. It blocks while the client does not read.

        Raises:
            BrokenPipeError: there is no client any more.
        """
        data = memoryview(text.encode())
        while data:
            data = data[os.write(self._output, data) :]


class Lines:
    """The lines of stdin, for `async for`, read by a thread that a cancelled wait leaves behind."""

    def __init__(self, wire: Wire) -> None:
        import asyncio
        import threading

        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=wire.read, args=(self._deliver,), daemon=True).start()

    def _deliver(self, line: str | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._waiting.put_nowait, line)
        except RuntimeError:  # The loop has ended.
            sys.exit()

    def __aiter__(self) -> Lines:
        return self

    async def __anext__(self) -> str:
        line = await self._waiting.get()
        if line is None:
            raise StopAsyncIteration
        return line


class Output:
    """stdout, written by a thread that a cancelled wait leaves behind."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def write(self, text: str) -> None:
        """Writes all of it."""
        from anyio.to_thread import run_sync

        await run_sync(self._wire.write, text, abandon_on_cancel=True)

    async def flush(self) -> None:
        """Nothing is left to do: nothing is kept back."""


def serve(wire: Wire, config: Mapping[str, Any], settings: Settings) -> None:
    """Serves until stdin is closed, or SIGTERM or SIGINT comes.

    Args:
        config: of the memory, as `Memory.from_config` takes it.

    Raises:
        ValidationError: VALIDATION_001, nothing says whose memories these are.
        DependencyError: the SDK is not installed.
        ConfigurationError: the configuration cannot work.
    """
    from isomem.config import MCP, SERVICE, from_dict
    from isomem.memory_async import AsyncMemory
    from isomem.serve.service import OWN

    own = {name: value for name, value in config.items() if name not in (MCP, SERVICE)}
    memory = AsyncMemory(from_dict({**OWN, **own}))
    session = open_local_session(memory, settings)
    try:
        from isomem.serve.mcp.server import make_server
    except ImportError as error:
        raise missing("mcp", "mcp", "MCP", str(error)) from error
    import anyio

    anyio.run(_serve, wire, session, make_server(lambda _: session, session.said_scope))


async def _serve(wire: Wire, session: Session, server: Server[Any]) -> None:
    from typing import cast

    import anyio
    from mcp.server.stdio import stdio_server

    with anyio.CancelScope() as scope:
        _on_signals(scope.cancel)
        lines, output = cast("Any", Lines(wire)), cast("Any", Output(wire))
        async with stdio_server(lines, output) as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())
            scope.cancel()
    with anyio.CancelScope(shield=True):
        await session.access.memory.aclose()


def _on_signals(stop: Callable[[], object]) -> None:
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(name, stop)
        except NotImplementedError:  # Windows
            signal.signal(name, lambda *_: loop.call_soon_threadsafe(stop))
