"""The log of the service: one line per record, for people or as JSON, with the request's id."""

from __future__ import annotations

import json
import logging
import logging.config
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.serve.logs import FIELDS, REQUEST_ID, JsonLines, TextLines, log_config, note_request
from isomem.serve.settings import Settings


def record(message: str, *arguments: object, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("isomem", logging.WARNING, "", 0, message, arguments, None)
    made.created = 1_800_000_000.25
    if fields:
        setattr(made, FIELDS, fields)
    return made


def test_a_line_for_people_has_time_level_message_and_what_is_beside_it() -> None:
    line = TextLines().format(record("tea for %d", 2, status=200, none=None))
    assert line == "2027-01-15T08:00:00.250Z warning: tea for 2 status=200"


def test_a_json_line_has_the_same_as_fields() -> None:
    line = json.loads(JsonLines().format(record("tea for %d", 2, status=200)))
    assert line == {
        "time": "2027-01-15T08:00:00.250Z", "level": "warning", "logger": "isomem",
        "message": "tea for 2", "status": 200,
    }  # fmt: skip


@pytest.mark.parametrize("form", [TextLines, JsonLines])
def test_a_line_about_a_request_has_its_id(form: type[logging.Formatter]) -> None:
    before = REQUEST_ID.set("r-1")
    try:
        assert "r-1" in form().format(record("x"))
    finally:
        REQUEST_ID.reset(before)
    assert "request_id" not in form().format(record("x"))


@given(st.text())
def test_a_message_is_one_line_whatever_it_is(message: str) -> None:
    made = record("%s", message)
    assert len(TextLines().format(made).splitlines()) == 1
    assert len(JsonLines().format(made).splitlines()) == 1
    assert json.loads(JsonLines().format(made))["message"] == message
    assert all(mark.isprintable() for mark in TextLines().format(made))


def test_a_traceback_is_below_the_line_or_in_it() -> None:
    made = record("it failed")
    try:
        raise ValueError("why")
    except ValueError:
        made.exc_info = sys.exc_info()
    first, *rest = TextLines().format(made).splitlines()
    assert first.endswith("warning: it failed")
    assert rest[-1] == "ValueError: why"
    assert "ValueError: why" in json.loads(JsonLines().format(made))["exception"]


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_the_configuration_is_one_that_logging_takes(
    form: str, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    loggers = [logging.getLogger(name) for name in ("isomem", "uvicorn", "")]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    try:
        logging.config.dictConfig(log_config(Settings({"log_format": form, "log_level": level})))
        logging.getLogger("isomem.requests").info("GET /")
        logging.getLogger("uvicorn.error").error("bad")
        said = capsys.readouterr().err.splitlines()
    finally:
        for logger, (handlers, own_level, propagates) in zip(loggers, before, strict=True):
            logger.handlers[:] = handlers
            logger.setLevel(own_level)
            logger.propagate = propagates
    assert len(said) == (2 if level in ("debug", "info") else 1)
    assert all(json.loads(line)["message"] for line in said) if form == "json" else said


def test_a_request_is_named_without_its_parameters_and_on_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scope = {
        "method": "GET", "path": "/entities/user/a\nb", "query_string": b"key=secret",
        "raw_path": b"/entities/user/a%0Ab",
    }  # fmt: skip
    with caplog.at_level(logging.INFO, "isomem.requests"):
        note_request(scope, 200, 0.0123)
        note_request({"method": "GET", "path": "/é"}, 404, 1)
    first, second = caplog.records
    assert first.getMessage() == "GET /entities/user/a%0Ab"
    assert getattr(first, FIELDS) == {"status": 200, "ms": 12.3}
    assert second.getMessage().isascii()
    caplog.clear()
    with caplog.at_level(logging.WARNING, "isomem.requests"):
        note_request(scope, 200, 0.01)
    assert not caplog.records
