"""MCP over stdin and stdout, for one client that has started this process.

stdout carries the protocol alone: it is taken away from everything else before anything is loaded,
and what a library prints goes to stderr. The process ends when stdin is closed, when nobody reads
stdout any more, or with SIGTERM.
"""

from __future__ import annotations

import os
import sys

from isomem.providers.extras import missing
from isomem.serve.mcp.session import check_local_scope, open_local_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from typing import Any

    from isomem.serve.mcp.server import McpServer
    from isomem.serve.mcp.session import Session
    from isomem.serve.mcp.settings import Settings

_CHUNK = 65536
_GRACE_S = 1
"""How long requests may still be answered when stdin is closed: a client waits about as long."""


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
            OSError: nobody reads any more.
        """
        data = memoryview(text.encode())
        while data:
            data = data[os.write(self._output, data) :]


class Requests:
    """How many requests have no answer yet."""

    def __init__(self) -> None:
        import asyncio

        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    def came(self, line: str) -> None:
        """Counts a line of the client, if it looks like a request."""
        if '"method"' in line and '"id"' in line:
            self._count += 1
            self._none.clear()

    def answered(self) -> None:
        """Counts an answer. Nothing else is ever sent."""
        self._count -= 1
        if self._count <= 0:
            self._none.set()

    async def all_answered(self) -> None:
        """Waits for the last answer, but not for long."""
        import anyio

        with anyio.move_on_after(_GRACE_S):
            await self._none.wait()


class Lines:
    """The lines of stdin, for `async for`, read by a thread that a cancelled wait leaves behind."""

    def __init__(self, wire: Wire, requests: Requests) -> None:
        import asyncio
        import threading

        self._requests = requests
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
            await self._requests.all_answered()
            raise StopAsyncIteration
        self._requests.came(line)
        return line


class Output:
    """stdout, written by a thread that a cancelled wait leaves behind."""

    def __init__(self, wire: Wire, requests: Requests, stop: Callable[[], object]) -> None:
        self._wire = wire
        self._requests = requests
        self._stop = stop

    async def write(self, text: str) -> None:
        """Writes all of it, or ends the server if nobody reads."""
        from anyio.to_thread import run_sync

        try:
            await run_sync(self._wire.write, text, abandon_on_cancel=True)
        except OSError:
            self._stop()
        self._requests.answered()

    async def flush(self) -> None:
        """Nothing is left to do: nothing is kept back."""


def serve(wire: Wire, config: Mapping[str, object], settings: Settings) -> None:
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
    from isomem.serve.service import with_own

    check_local_scope(settings)
    own = {name: value for name, value in config.items() if name not in (MCP, SERVICE)}
    memory = AsyncMemory(from_dict(with_own(own)))
    session = open_local_session(memory, settings)
    try:
        from isomem.serve.mcp.server import make_server
    except ImportError as error:
        raise missing("mcp", "mcp", "MCP", str(error)) from error
    import anyio

    anyio.run(_serve, wire, session, make_server(lambda _: session, session.said_scope))


async def _serve(wire: Wire, session: Session, server: McpServer) -> None:
    from typing import cast

    import anyio
    from mcp.server.stdio import stdio_server

    with anyio.CancelScope() as scope:
        _on_signals(scope.cancel)
        requests = Requests()
        lines, output = Lines(wire, requests), Output(wire, requests, scope.cancel)
        async with stdio_server(cast("Any", lines), cast("Any", output)) as (incoming, outgoing):
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
