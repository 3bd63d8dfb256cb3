"""Time in UTC, ids that are random UUIDs."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

from isomem.clock import Clock


def test_now_is_utc_with_microseconds() -> None:
    before = datetime.now(timezone.utc)
    moment = datetime.fromisoformat(Clock().now())
    assert moment.utcoffset() == timedelta(0)
    assert timedelta(0) <= moment - before < timedelta(minutes=1)
    assert Clock().now().endswith("+00:00")


def test_today_is_the_date_in_utc() -> None:
    days = {datetime.now(timezone.utc).date().isoformat(), Clock().today()}
    days.add(datetime.now(timezone.utc).date().isoformat())
    assert Clock().today() in days


def test_ids_are_random_uuids() -> None:
    made = {make() for _ in range(500) for make in (Clock().new_id, Clock().new_row_id)}
    assert len(made) == 1000
    for text in made:
        read = uuid.UUID(text)
        assert (str(read), read.version, read.variant) == (text, 4, uuid.RFC_4122)
    assert {text[19] for text in made} == set("89ab")
