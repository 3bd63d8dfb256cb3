"""The log of the service on standard error: lines for people, or JSON for programs."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import datetime, timezone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from starlette.types import Scope

    from isomem.serve.settings import Settings
    from isomem.types import Json

REQUEST_ID: ContextVar[str | None] = ContextVar("isomem_request_id", default=None)
"""The id of the request that is being answered, which every line of the log has then."""

REQUESTS = "isomem.requests"
"""The logger with a line per request."""

_LOGGER = logging.getLogger(REQUESTS)

FIELDS = "fields"
"""The attribute of a log record with what its line says in JSON beside the message: a dict."""


def log_config(settings: Settings) -> Json:
    """What `logging.config.dictConfig` takes, in this process and in those of the workers."""
    handled = {"handlers": ["stderr"], "level": settings.log_level.upper(), "propagate": False}
    form = JsonLines if settings.log_format == "json" else TextLines
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": form}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "lines",
                "stream": "ext://sys.stderr",
            }
        },
        "loggers": {"isomem": handled, "uvicorn": handled},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }


class TextLines(logging.Formatter):
    """A line for people: time, level, message, and what the record says beside it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback is on further ones."""
        fields = _fields(record)
        said = "".join(f" {key}={value}" for key, value in fields.items() if value is not None)
        message = _on_one_line(record.getMessage())
        line = f"{_moment(record)} {record.levelname.lower()}: {message}{said}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """A JSON object per line: `time`, `level`, `logger`, `message`, and the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback is its `exception`."""
        line = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _on_one_line(text: str) -> str:
    """Text with everything escaped that could begin a line or steer a terminal."""
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text)


def _fields(record: logging.LogRecord) -> Json:
    request_id = REQUEST_ID.get()
    own = {} if request_id is None else {"request_id": request_id}
    return {**own, **getattr(record, FIELDS, {})}


def note_request(scope: Scope, status: int, seconds: float) -> None:
    """A line about an answered request. What was asked for is named without its parameters."""
    if _LOGGER.isEnabledFor(logging.INFO):
        fields = {"status": status, "ms": round(1000 * seconds, 1)}
        path = scope.get("raw_path") or scope["path"].encode()
        shown = path.decode("ascii", "backslashreplace")
        _LOGGER.info("%s %s", scope["method"], shown, extra={FIELDS: fields})


def route_of(scope: Scope) -> str:
    """The pattern of the path that was asked for, so that no id becomes a label or a name."""
    known: str | None = scope["state"].get("route")
    return known or str(getattr(scope.get("route"), "path", "other"))


def _moment(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
