"""The trail: what is kept of each call, for whoever runs the service. No text of a memory is in it.

The audit log is a file beside the file of keys, with a JSON object per line: who made which call,
when, in which scope, on how many memories, and how it ended. It can be moved away at any time, as
logrotate does. Spans of OpenTelemetry are made and sent only if an address for them is configured.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timezone
from threading import Lock

from isomem import log
from isomem.serve.logs import REQUEST_ID, note_request, route_of
from isomem.serve.noted import Noted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.types import Scope

    from isomem.serve.keys import Key
    from isomem.serve.settings import Settings
    from isomem.serve.tracing import Tracing

AUDIT_LOG = "audit.log"

CALLER: ContextVar[Key | None] = ContextVar("isomem_caller", default=None)
"""The key of who sent it, once it is known."""

REQUEST: ContextVar[Noted | None] = ContextVar("isomem_noted_request", default=None)
"""The request that is being answered."""

NAMES = {
    "GET /configure": "configuration",
    "POST /configure": "configure",
    "GET /configure/providers": "providers",
    "POST /generate-instructions": "generate_instructions",
    "GET /api/v1/orgs/organizations/{org_id}/projects/{project_id}/": "configuration",
    "PATCH /api/v1/orgs/organizations/{org_id}/projects/{project_id}/": "configure",
    "GET /v1/ping/": "ping",
    "GET /metrics": "metrics",
    "GET /ui/api/session": "session",
    "GET /ui/api/exchanges": "exchanges",
    "GET /ui/api/keys": "keys.list",
    "POST /ui/api/keys": "keys.create",
    "POST /ui/api/keys/{key_id}/rotate": "keys.rotate",
    "POST /ui/api/keys/{key_id}/revoke": "keys.revoke",
    "GET /api/jobs": "jobs.list",
    "GET /api/jobs/{job_id}": "jobs.get",
    "DELETE /api/jobs/{job_id}": "jobs.cancel",
    "POST /api/jobs/{job_id}/retry": "jobs.retry",
    "POST /v1/chat/completions": "chat",
    "GET /v1/models": "models",
    "POST /mcp": "mcp",
}
"""What the audit log calls a request that makes no call, or fails before. Any other has the name of
its route, so that none is left out."""

BY_COMMAND = "command line"
"""Who changes keys without a request."""


class Trail:
    """Where calls are noted.

    Args:
        path: of the audit log; None if there is none.
        tracing: where spans go; None if nowhere.
    """

    def __init__(self, path: str | None = None, tracing: Tracing | None = None) -> None:
        self._file = None if path is None else _File(path)
        self.tracing = tracing

    @contextmanager
    def call(self, key: Key, name: str, arguments: Mapping[str, object]) -> Iterator[Noted]:
        """A block in which a call is made; it is noted at the end, also if it fails."""
        noted = Noted(name, arguments)
        try:
            if self.tracing is None:
                yield noted
            else:
                with self.tracing.call(noted):
                    yield noted
        except BaseException as error:
            noted.fail(error)
            raise
        finally:
            self.note(key, noted)

    @contextmanager
    def request(self, scope: Scope, request_id: str) -> Iterator[Noted]:
        """A block that answers a request over HTTP. A line of the log says how it went.

        Whoever shows a key leaves a line in the audit log: that of a call, or of the request
        itself if it made none. This is the one rule of what is audited.
        """
        noted = Noted(scope["path"], {})
        before = REQUEST_ID.set(request_id), REQUEST.set(noted), CALLER.set(None)
        started = time.perf_counter()
        try:
            if self.tracing is None:
                yield noted
            else:
                with self.tracing.request(scope, noted):
                    yield noted
        finally:
            if not noted.lines and CALLER.get() is not None:
                noted.call = name_of_route(scope["method"], route_of(scope))
                self.note(CALLER.get(), noted)
            note_request(scope, noted.status, time.perf_counter() - started)
            REQUEST_ID.reset(before[0])
            REQUEST.reset(before[1])
            CALLER.reset(before[2])

    def note(self, key: Key | None, noted: Noted) -> None:
        """Writes one line.

        Args:
            key: who called; None for someone without a key, or for the command line.
        """
        if self._file is None:
            return
        request_id, request = REQUEST_ID.get(), REQUEST.get()
        if request is not None:
            request.lines += 1
        line = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "request_id": request_id,
            "key_id": None if key is None else key.id,
            "key": _name_of(key, request_id),
            "call": noted.call,
            **noted.scope,
            "memories": noted.memories,
            "status": noted.status,
            "code": noted.code,
            "job": noted.job,
            "about": noted.about,
        }
        text = json.dumps({name: value for name, value in line.items() if value is not None})
        try:
            self._file.append(text)
        except OSError as error:  # What was done is done, and its caller has to be told so.
            log.error("A line of the audit log is lost: %s", error)

    def key_changed(self, change: str, key: Key) -> None:
        """Notes that a key was made, got a new secret, or has ended."""
        noted = Noted(f"keys.{change}", {})
        noted.about = key.id
        self.note(CALLER.get(), noted)

    def close(self) -> None:
        """Closes the file, and sends the last spans."""
        if self._file is not None:
            self._file.close()
        if self.tracing is not None:
            self.tracing.close()


def name_of_route(method: str, path: str) -> str:
    """What the audit log calls a request that leaves no line of a call."""
    route = f"{'GET' if method == 'HEAD' else method} {path}"
    return NAMES.get(route, route)


def _name_of(key: Key | None, request_id: str | None) -> str | None:
    if key is None and request_id is None:
        return BY_COMMAND
    return key.name or None if key else None


class _File:
    """Lines in a file that only its owner can read, opened again once it was moved away.

    Args:
        path: of the file; it is made with the first line.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = Lock()
        self._file = -1
        self._opened: os.stat_result | None = None

    def append(self, text: str) -> None:
        """Writes one line, as a whole if several processes do so at once.

        Raises:
            OSError: it cannot be written.
        """
        line = f"{text}\n".encode()
        with self._lock:
            if not self._is_there():
                self._close()
                self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                self._opened = os.fstat(self._file)
            os.write(self._file, line)

    def _is_there(self) -> bool:
        """Whether the open file is still the one at the path."""
        if self._opened is None:
            return False
        try:
            return os.path.samestat(os.stat(self._path), self._opened)
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Closes the file; another line opens it again."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file, self._opened = -1, None


def audit_path(settings: Settings, state_path: str) -> str | None:
    """The audit log of a service; None if it has none, or keeps nothing on disk."""
    if not settings.audit or state_path == ":memory:":
        return None
    return os.path.join(os.path.dirname(os.path.abspath(state_path)), AUDIT_LOG)


def trail_of(settings: Settings, state_path: str) -> Trail:
    """The trail of a service.

    Raises:
        DependencyError: spans are configured, and a package of the extra `otel` is missing.
    """
    tracing = None
    if settings.otel_endpoint is not None:
        from isomem.serve.tracing import Tracing

        tracing = Tracing(settings.otel_endpoint)
    return Trail(audit_path(settings, state_path), tracing)
