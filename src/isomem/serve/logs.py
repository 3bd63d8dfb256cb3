"""The log of the service on standard error: lines for people, or JSON for programs."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isomem.serve.settings import Settings

FIELDS = "fields"
"""The attribute of a log record with what its line says in JSON beside the message: a dict."""


def log_config(settings: Settings) -> dict[str, Any]:
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
        fields = getattr(record, FIELDS, {})
        said = "".join(f" {key}={value}" for key, value in fields.items() if value is not None)
        line = f"{_moment(record)} {record.levelname.lower()}: {record.getMessage()}{said}"
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
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _moment(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
