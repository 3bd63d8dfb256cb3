"""The fused ranking of a collection against its formula, written plainly, whatever was changed."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomem.contract.ranking import Question
from isomem.store.cache import CONTEXT_BYTES, Scope
from isomem.text.terms import TermEncoder
from tests.unit.store.conftest import Opened
from tests.unit.store.fuzz import examples

Open = Callable[..., Opened]

WORDS = ("tea", "teas", "green", "house", "harbour", "the")
SCOPES: list[dict[str, str]] = [
    {"user_id": "u"}, {"user_id": "u", "run_id": "r"}, {"user_id": "u", "run_id": "s"},
    {"user_id": "v"},
]  # fmt: skip
FILTERS: list[dict[str, Any]] = [
    {"user_id": "u"}, {"user_id": "u", "run_id": "r"}, {"user_id": "u", "n": {"gt": 4}},
    {"user_id": "nobody"}, {"user_id": "v"},
]  # fmt: skip
MOMENTS = ["2023-05-07T10:00:00+00:00", "2023-05-07T10:59:00", "2023-05-07T12:00:01Z",
           "2023-06-01", "2024-01-01T00:00:00+02:00", "soon", None]  # fmt: skip
QUERIES = ["green tea", "the harbour on 7 May 2023", "houses in june", "in 2025", "nothing known"]

vectors = st.lists(st.integers(-3, 3), min_size=4, max_size=4).filter(any)
payloads = st.builds(
    lambda scope, words, number, created, event: {
        **scope, "data": words, "n": number, "created_at": created,
        **({"event_time": event} if event else {}),
    },
    st.sampled_from(SCOPES),
    st.lists(st.sampled_from(WORDS), max_size=6).flatmap(
        lambda words: st.sampled_from([" ".join(words), " ".join(words * 20)])
    ),
    st.integers(0, 9),
    st.sampled_from(MOMENTS),
    st.sampled_from([None, None, *MOMENTS]),
)  # fmt: skip
points = st.tuples(st.sampled_from("abcdefgh"), vectors, payloads)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.lists(points, min_size=1, max_size=5)),
        st.tuples(st.just("redate"), points),
        st.tuples(st.just("delete"), points),
        st.tuples(st.just("search"), st.sampled_from(QUERIES), vectors, st.sampled_from(FILTERS)),
    ),
    max_size=12,
)


def unit(vector: list[int]) -> list[float]:
    length = math.sqrt(sum(number * number for number in vector))
    return [number / length for number in vector]


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def minute_of(payload: dict[str, Any]) -> float | None:
    """The time of a payload in minutes since 2000, on the wall; None if it has none."""
    for key in ("event_time", "created_at"):
        text = payload.get(key)
        if text and text[0] == "2":
            return minutes(datetime.fromisoformat(text[:19]))
    return None


def minutes(moment: datetime) -> float:
    return (moment - datetime(2000, 1, 1)) / timedelta(minutes=1)


PERIODS = {
    QUERIES[1]: (datetime(2023, 5, 6), datetime(2023, 5, 9)),
    QUERIES[2]: (datetime(2023, 6, 1), datetime(2023, 7, 1)),
    QUERIES[3]: (datetime(2025, 1, 1), datetime(2026, 1, 1)),
}


class Reference:
    """The points of a collection in insertion order, and the formula over those of a scope."""

    def __init__(self) -> None:
        self.points: dict[str, tuple[list[float], dict[str, Any], str]] = {}

    def sums(self, query: str, vector: list[int], filters: dict[str, Any]) -> dict[str, float]:
        ids = {key: value for key, value in filters.items() if key != "n"}
        scope = {
            name: point
            for name, point in self.points.items()
            if all(point[1].get(key) == value for key, value in ids.items())
        }
        allowed = {name for name, point in scope.items() if "n" not in filters or point[1]["n"] > 4}
        base = self.base(query, unit(vector), scope)
        sums = {}
        for session in sessions(scope):
            parts = {name: part(scope[name][2]) for name in session}
            inside = {
                name: _with_neighbors(base, session, at, allowed, parts[name])
                for at, name in enumerate(session)
                if name in allowed
            }
            for at, name in enumerate(session):
                around = [inside[other] for other in session[max(0, at - 6) : at + 7]
                          if other in allowed]  # fmt: skip
                if name in allowed:
                    weight = 0.5 * parts[name]
                    sums[name] = (inside[name] + weight * max(around)) / (1 + weight)
        return sums

    def base(self, query: str, vector: list[float], scope: dict[str, Any]) -> dict[str, float]:
        columns = zip(*(point[0] for point in scope.values()), strict=True)
        mean = [sum(numbers) / (len(scope) + 10) for numbers in columns]
        encoder = TermEncoder()
        weights = {name: encoder.encode(point[2]) for name, point in scope.items()}
        idf = {}
        for term in encoder.encode(query):
            having = sum(term in each for each in weights.values())
            idf[term] = math.log(1 + (len(scope) - having + 0.5) / (having + 0.5))
        base = {}
        for name, point in scope.items():
            both = vector, point[0]
            centered = [[a - b for a, b in zip(each, mean, strict=True)] for each in both]
            lengths = [math.sqrt(dot(each, each)) for each in centered]
            d = dot(*centered) / lengths[0] / lengths[1] if min(lengths) > 1e-4 else 0.0
            w = sum(idf[term] * weights[name].get(term, 0) for term in idf)
            base[name] = d + 2 * w / (2.2 * sum(idf.values()) or 1)
            base[name] += 0.5 * self.period(query, minute_of(point[1]), scope)
        return base

    def period(self, query: str, minute: float | None, scope: dict[str, Any]) -> float:
        if query not in PERIODS or minute is None:
            return 0.0
        start, end = PERIODS[query]
        latest = max(minute_of(point[1]) or 0.0 for point in scope.values())
        if query == QUERIES[2] and latest < minutes(start):
            start, end = start.replace(year=2022), end.replace(year=2022)
        if minute < minutes(start):
            return 0.0
        return math.exp(min(0.0, (minutes(end) - minute) / (10 * 24 * 60)))


def part(text: str) -> float:
    return min(1.0, 40 / max(1, len(TermEncoder().numbers(text))))


def _with_neighbors(
    base: dict[str, float], session: list[str], at: int, allowed: set[str], share: float
) -> float:
    beside = [base[name] for name in session[max(0, at - 1) : at + 2] if name in allowed]
    own = base[session[at]]
    return own + 0.3 * share * (max(beside) - own)


def sessions(scope: dict[str, Any]) -> list[list[str]]:
    """The names in each session; those of equal times in insertion order."""
    found: list[list[str]] = []
    by_scope: dict[Any, list[str]] = {}
    for name, point in scope.items():
        by_scope.setdefault(point[1].get("run_id"), []).append(name)
    for names in by_scope.values():
        before = None
        for name in sorted(names, key=lambda each: minute_of(scope[each][1]) or -1.0):
            minute = minute_of(scope[name][1])
            if before is None or minute is None or minute - before > 60:
                found.append([])
            found[-1].append(name)
            before = minute
    return found


def ranked(one: Opened, query: str, vector: list[int], filters: Any) -> dict[str, float]:
    found = one.points.ranked(Question(query, query, [float(n) for n in vector]), 10, filters)
    return {hit.id: signals.total for hit, signals in found.best}


@examples(150)
@given(steps)
def test_every_sum_is_that_of_the_formula_whatever_was_changed(steps: list[Any]) -> None:
    expected = Reference()
    with tempfile.TemporaryDirectory() as folder:
        warm, cold = Opened(Path(folder, "m.db")), Opened(Path(folder, "m.db"), cache_bytes=0)
        try:
            for step in [*steps, ("search", "green tea", [1, 2, 0, 1], {"user_id": "u"})]:
                if step[0] == "search":
                    sums = expected.sums(*step[1:])
                    for one in (warm, cold):
                        found = ranked(one, *step[1:])
                        assert found == pytest.approx(sums, abs=1e-5)
                        assert sorted(found.values(), reverse=True) == [*found.values()]
                else:
                    carry_out(warm, expected, step)
        finally:
            warm.close()
            cold.close()


def carry_out(one: Opened, expected: Reference, step: Any) -> None:
    if step[0] == "insert":
        for name, vector, payload in step[1]:
            one.points.insert([[float(n) for n in vector]], [payload], [name])
            expected.points[name] = (unit(vector), payload, payload["data"])
        return
    name, _, payload = step[1]
    if name not in expected.points:
        return
    if step[0] == "delete":
        one.points.delete(name)
        del expected.points[name]
        return
    vector, before, text = expected.points[name]
    overlay = {key: payload.get(key) for key in ("created_at", "n")}
    one.points.update(name, payload=overlay)
    expected.points[name] = vector, {**before, **overlay}, text


# --- What it takes ---------------------------------------------------------------------------


def fill(one: Opened, count: int, start: int = 0) -> None:
    numbers = range(start, start + count)
    one.points.insert(
        [[1.0, float(number), 2.0] for number in numbers],
        [{"user_id": "u", "data": f"tea {number}", "created_at": f"2023-01-{1 + number % 28:02}"}
         for number in numbers],
        [str(number) for number in numbers],
    )  # fmt: skip


def test_a_context_counts_in_the_bytes_of_the_cache(opened: Open) -> None:
    one = opened()
    fill(one, 100)
    one.points.search("", [1.0, 2.0, 3.0], filters={"user_id": "u"})
    (scope,) = one.cache._scopes.values()
    plain = scope.size_bytes
    assert one.cache._size_bytes == plain
    for size in (100, 101, 170):
        fill(one, size - len(scope.ids), len(scope.ids))
        assert len(ranked(one, "tea", [1, 2, 3], {"user_id": "u"})) == 10
        assert len(scope.context or ()) == size
        points = (plain - Scope().size_bytes) * size / 100
        assert scope.size_bytes >= points + size * CONTEXT_BYTES
        assert one.cache._size_bytes == scope.size_bytes
    one.points.delete("5")
    assert scope.context is None
    assert one.cache._size_bytes == scope.size_bytes


def test_a_scope_that_is_too_large_with_its_context_makes_no_other_go(opened: Open) -> None:
    one = opened(cache_bytes=22_000)
    one.points.insert([[1.0, 2.0, 3.0]], [{"user_id": "v", "data": "tea"}], ["other"])
    fill(one, 140)
    for user in "vu":
        one.points.search("", [1.0, 2.0, 3.0], filters={"user_id": user})
    assert [key[1] for key in one.cache._scopes] == ["v", "u"]
    assert len(ranked(one, "tea", [1, 2, 3], {"user_id": "u"})) == 10
    assert [key[1] for key in one.cache._scopes] == ["v"]
    (scope,) = one.cache._scopes.values()
    assert one.cache._size_bytes == scope.size_bytes


def test_the_times_of_known_points_are_read_once(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isomem.store import reading

    read: list[int] = []
    real = reading.read_moments

    def counting(database: Any, row_keys: Any) -> list[float]:
        read.append(len(row_keys))
        return real(database, row_keys)

    monkeypatch.setattr(reading, "read_moments", counting)
    one = opened()
    fill(one, 100)
    for _ in range(3):
        ranked(one, "tea", [1, 2, 3], {"user_id": "u"})
    fill(one, 2, 100)
    ranked(one, "tea", [1, 2, 3], {"user_id": "u"})
    assert read == [100, 2]


def test_a_damaged_payload_has_no_time(opened: Open) -> None:
    one = opened()
    fill(one, 3)
    one.database.execute("UPDATE points SET payload = '{' WHERE id = '1'", ())
    assert len(ranked(one, "tea in 2023", [1, 2, 3], {"user_id": "u"})) == 3


def test_without_keywords_only_vectors_and_dates_count(opened: Open) -> None:
    one = opened(keywords=False)
    fill(one, 5)
    found = one.points.ranked(Question("tea", "tea", [1.0, 2.0, 2.0]), 3, {"user_id": "u"})
    assert found.highest == 1.0
    assert [signals.keywords for _, signals in found.best] == [0.0] * 3


def test_several_runs_written_in_turn_keep_their_order(opened: Open) -> None:
    """New points are put into an order that is already there, whichever stored scope they are in.

    Reopened, all are sorted at once, with the same result.
    """
    one = opened()
    for number in range(30):
        payload = {"user_id": "u", "run_id": "rs"[number % 2], "data": f"tea {number}",
                   "created_at": f"2023-01-{1 + number * 7 % 28:02}T10:00:00"}  # fmt: skip
        one.points.insert([[1.0, float(number), 2.0]], [payload], [str(number)])
        live = ranked(one, "tea", [1, 2, 3], {"user_id": "u"})
    assert ranked(opened(), "tea", [1, 2, 3], {"user_id": "u"}) == pytest.approx(live, abs=1e-12)
