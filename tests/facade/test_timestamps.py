"""When something was said: in every form, in the prompt, in the memory, in filters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from isomem.errors import ValidationError
from tests.facade.conftest import Face

Make = Callable[..., Face]
U: dict[str, Any] = {"user_id": "u"}
HALF_PAST_ONE = "2023-05-08T13:30:00+00:00"
TOKYO = timezone(timedelta(hours=9))


def times(memory: Face, **conditions: Any) -> list[str]:
    found = memory.get_all(filters={**U, **conditions}, top_k=50)["results"]
    return sorted(each["metadata"]["event_time"] for each in found)


@pytest.mark.parametrize(
    "given",
    [
        datetime(2023, 5, 8, 13, 30, tzinfo=timezone.utc),
        datetime(2023, 5, 8, 13, 30),
        datetime(2023, 5, 8, 22, 30, tzinfo=TOKYO),
        1683552600,
        1683552600.0,
        "2023-05-08T13:30:00Z",
        "2023-05-08 13:30",
        "2023-05-08T22:30:00+09:00",
        " 2023-05-08T13:30:00.0z ",
    ],
)
def test_a_moment_may_have_many_forms_and_is_stored_in_one(memory: Face, given: Any) -> None:
    memory.add("I like tea", infer=False, timestamp=given, **U)
    [found] = memory.get_all(filters=U)["results"]
    assert found["metadata"] == {"event_time": HALF_PAST_ONE}
    assert found["created_at"] > "2024"


def test_a_date_is_its_midnight(memory: Face) -> None:
    for given in (date(2023, 5, 8), "2023-05-08"):
        memory.add("I like tea", infer=False, timestamp=given, **U)
    assert times(memory) == ["2023-05-08T00:00:00+00:00"] * 2


@pytest.mark.parametrize(
    "given",
    [
        "yesterday", "", " ", "13:30", "2023-13-01", True, float("nan"), float("inf"), 1e300,
        1683552600000, b"2023-05-08", [], {}, object(), timedelta(days=1), datetime.max.replace(
            tzinfo=timezone(timedelta(hours=-1))),
    ],
)  # fmt: skip
def test_what_is_not_a_moment_is_refused_before_anything_happens(memory: Face, given: Any) -> None:
    llm = memory.say(("Likes tea",))
    before = memory.state()
    with pytest.raises(ValidationError, match="timestamp") as caught:
        memory.add("I like tea", timestamp=given, **U)
    assert caught.value.error_code == "VALIDATION_006"
    assert memory.state() == before
    assert not llm.calls


def test_the_model_is_told_the_day_where_it_was_said(memory: Face) -> None:
    llm = memory.say(("Likes tea",))
    early = datetime(2023, 5, 9, 1, 0, tzinfo=TOKYO)
    [added] = memory.add("I like tea", timestamp=early, metadata={"mood": "calm"}, **U)["results"]
    prompt = llm.calls[0]["messages"][1]["content"]
    assert "## Observation Date\n2023-05-09\n" in prompt
    assert "## Current Date\n2023-05-09\n" in prompt
    found = memory.get(added["id"])
    assert found["metadata"] == {"mood": "calm", "event_time": "2023-05-08T16:00:00+00:00"}


def test_a_procedural_memory_has_it_too(memory: Face) -> None:
    memory.say("First the kettle, then the leaves.")
    memory.add("make tea", agent_id="a", memory_type="procedural_memory", timestamp=HALF_PAST_ONE)
    [found] = memory.get_all(filters={"agent_id": "a"})["results"]
    assert found["metadata"]["event_time"] == HALF_PAST_ONE


def test_an_update_keeps_it(memory: Face) -> None:
    [added] = memory.add("I like tea", infer=False, timestamp=HALF_PAST_ONE, **U)["results"]
    memory.update(added["id"], "I like coffee")
    assert times(memory) == [HALF_PAST_ONE]


def test_metadata_of_that_name_gives_way_to_the_argument(memory: Face) -> None:
    own = {"event_time": "long ago"}
    memory.add("tea", infer=False, metadata=own, timestamp=HALF_PAST_ONE, **U)
    memory.add("milk", infer=False, metadata=own, **U)
    assert times(memory) == [HALF_PAST_ONE, "long ago"]
    assert own == {"event_time": "long ago"}


def test_filters_take_datetimes_and_dates(memory: Face) -> None:
    days = [datetime(2023, 5, day, 12, tzinfo=timezone.utc) for day in (1, 2, 3)]
    for day in days:
        memory.add(f"tea on {day}", infer=False, timestamp=day, **U)
    first, second, third = (day.isoformat() for day in days)
    in_tokyo = days[1].astimezone(TOKYO)
    assert times(memory, event_time={"gte": in_tokyo}) == [second, third]
    assert times(memory, event_time={"gt": days[0], "lt": days[2].replace(tzinfo=None)}) == [second]
    assert times(memory, event_time={"lt": date(2023, 5, 2)}) == [first]
    assert times(memory, event_time=in_tokyo) == [second]
    assert times(memory, event_time={"in": [days[0], days[2]]}) == [first, third]
    assert times(memory, OR=[{"event_time": days[0]}, {"event_time": {"gt": days[1]}}]) == [
        first,
        third,
    ]
    asked = {"event_time": {"gte": in_tokyo}}
    found = memory.search("tea", filters={**U, **asked})["results"]
    assert len(found) == 2
    assert asked == {"event_time": {"gte": in_tokyo}}
