"""Pages, walks through everything, counts and scopes: complete, in order, stable under writes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from isomem.contract.pages import MAX_PAGE_SIZE
from isomem.contract.visibility import Visibility
from isomem.errors import DatabaseError
from isomem.stores import listing as foreign_listing
from tests.facade.conftest import Face, Ticks
from tests.facade.test_replaced_parts import Store

Make = Callable[..., Face]
U: dict[str, Any] = {"user_id": "u"}
ORDERS = ("id", "oldest", "newest")
START = datetime(2024, 1, 1, tzinfo=timezone.utc)

# Times that a caller can give a memory; those of the second row are none.
TIMES = (
    "2024-01-01T00:00:00+00:00", "2024-01-01", "2024-01-01 01:00:00+01:00", "2023-12-31T23:59:59Z",
    "2024-01-01T00:00:00.5+00:00", "2024-01-01T00:00:00.000001+00:00", "0001-01-01",
    "9999-12-31T23:59:59+00:00", "2024-01-01 00:00:01+00:00",
)  # fmt: skip
NO_TIMES = (
    "soon", "", 5, None, 1.5, True, ["2024-01-01"], {"2024-01-01": 1}, "0001-01-01T00:00:00+14:00",
    "2024-W01-1T10:00:00.0+00:00", "2024-01-01T00:00:00,000001+00:00", "2024-13-01",
)  # fmt: skip

STORABLE = [each for each in NO_TIMES if not isinstance(each, (list, dict))]
"""Those that a history row can have."""


def everything(memory: Face, filters: Any = None, **options: Any) -> list[Any]:
    """What `iter_all` yields, as a list."""
    walk = memory.iter_all(filters or U, **options)
    if not memory.is_async:
        return list(walk)

    async def collect() -> list[Any]:
        return [each async for each in walk]

    return memory._loop.run_until_complete(collect())  # type: ignore[no-any-return]


def pages(memory: Face, page_size: int, **options: Any) -> Iterator[Any]:
    """The pages of a listing; a caller may write between two of them."""
    page = memory.get_all(page_size=page_size, **{"filters": U, **options})
    yield page
    same = {"filters": U, **options}
    same.pop("order", None)
    while page["next_cursor"] is not None:
        page = memory.get_all(cursor=page["next_cursor"], **same)
        yield page


def ids(memories: Any) -> list[str]:
    return [each["id"] for each in memories]


def paged(memory: Face, page_size: int, **options: Any) -> list[Any]:
    found: list[Any] = []
    for page in pages(memory, page_size, **options):
        found += page["results"]
    return found


def moment(each: Any) -> float | None:
    """The time of a memory in the plainest words, for times that Python's own parser reads."""
    times = [(each["metadata"] or {}).get("event_time"), each["created_at"]]
    for text in times:
        if text in NO_TIMES or not isinstance(text, str):
            continue
        parsed = datetime.fromisoformat(text.replace("Z", "+00:00").replace(".5+", ".500000+"))
        aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)
        return (aware - START) / timedelta(microseconds=1)
    return None


def key(order: str) -> Callable[[Any], Any]:
    def of(each: Any) -> Any:
        if order == "id":
            return each["id"]
        at = moment(each)
        if at is None:
            return 1, 0, each["id"]
        return 0, -at if order == "newest" else at, each["id"]

    return of


def raw(memory: Face, text: str, **more: Any) -> str:
    options = {**U, "infer": False, **more}
    return str(memory.add(text, **options)["results"][0]["id"])


def add_with_odd_times(memory: Face, chance: random.Random, count: int) -> None:
    for number in range(count):
        metadata: dict[str, Any] = {}
        if chance.random() < 0.7:
            metadata["created_at"] = chance.choice((*TIMES, *STORABLE))
        if chance.random() < 0.5:
            metadata["event_time"] = chance.choice((*TIMES, *NO_TIMES))
        raw(memory, f"tea {number}", metadata=metadata)


@pytest.fixture(params=["embedded", "foreign"])
def either(request: pytest.FixtureRequest, memory: Face) -> Face:
    """A memory over our store, and one over a store of someone else's."""
    if request.param == "foreign":
        memory.vector_store = Store()
    return memory


# --- Complete and in order -------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(3))
def test_pages_and_walks_show_what_get_all_shows_in_order(
    either: Face, order: str, seed: int
) -> None:
    chance = random.Random(seed)
    add_with_odd_times(either, chance, 40)
    raw(either, "other", user_id="v")
    expected = sorted(either.get_all(filters=U, top_k=1000)["results"], key=key(order))
    assert len(expected) == 40
    for page_size in (1, chance.randint(2, 39), 40, 41):
        assert paged(either, page_size, order=order) == expected
        assert everything(either, order=order, page_size=page_size) == expected
    assert either.get_all(filters=U, order=order, top_k=7) == {"results": expected[:7]}
    assert either.get_all(filters=U, order=order, top_k=0) == {"results": []}


def test_a_page_says_how_many_there_are_and_where_the_next_one_begins(either: Face) -> None:
    added = sorted(raw(either, f"tea {number}") for number in range(5))
    one, two, three = pages(either, 2)
    assert [ids(page["results"]) for page in (one, two, three)] == [
        added[:2],
        added[2:4],
        added[4:],
    ]
    assert [page["total"] for page in (one, two, three)] == [5, 5, 5]
    assert three["next_cursor"] is None
    assert set(one) == {"results", "next_cursor", "total"}
    assert one["next_cursor"].replace("-", "").replace("_", "").isalnum()
    [only] = pages(either, 5)
    assert (only["next_cursor"], len(only["results"])) == (None, 5)
    assert either.get_all(filters={"user_id": "v"}, page_size=3) == {
        "results": [], "next_cursor": None, "total": 0,
    }  # fmt: skip


def test_a_page_has_100_memories_unless_another_size_is_named(memory: Face) -> None:
    said = [{"role": "user", "content": f"tea {number}"} for number in range(1001)]
    memory.add(said, **U, infer=False)
    cursor = memory.get_all(filters=U, page_size=1)["next_cursor"]
    assert len(memory.get_all(filters=U, cursor=cursor)["results"]) == 1
    assert len(memory.get_all(filters=U, cursor=cursor, page_size=3)["results"]) == 3
    assert len(memory.get_all(filters=U, page_size=MAX_PAGE_SIZE)["results"]) == MAX_PAGE_SIZE
    assert len(everything(memory)) == 1001


FILTERS = (
    {"kind": "a"},
    {"kind": {"in": ["a", "b"]}},
    {"kind": {"ne": "a"}},
    {"OR": [{"kind": "a"}, {"n": {"gte": 30}}]},
    {"NOT": [{"kind": "a"}]},
    {"event_time": {"gte": datetime(2024, 1, 15)}},
    {"kind": "nothing"},
)


@pytest.mark.parametrize("more", FILTERS)
@pytest.mark.parametrize("order", ORDERS)
def test_filters_mean_the_same_as_in_get_all(
    memory: Face, order: str, more: dict[str, Any]
) -> None:
    for number in range(40):
        metadata = {"kind": "abc"[number % 3], "n": number}
        raw(memory, f"{number}", metadata=metadata, timestamp=START + timedelta(days=number))
    raw(memory, "other", user_id="v", metadata={"kind": "a", "n": 99})
    filters = {**U, **more}
    expected = sorted(memory.get_all(filters=filters, top_k=1000)["results"], key=key(order))
    assert paged(memory, 4, filters=filters, order=order) == expected
    assert everything(memory, filters, order=order, page_size=3) == expected
    assert memory.count(filters) == len(expected)
    assert memory.get_all(filters=filters, page_size=1)["total"] == len(expected)


# --- Stable under writes ---------------------------------------------------------------------


class Scattered(Ticks):
    """A clock whose ids are in no order, as the real ones."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    def new_id(self) -> str:
        return f"00000000-0000-4000-8000-{self._chance.randrange(10**12):012}"


def disturb(memory: Face, chance: random.Random, movable: list[str]) -> None:
    """Adds, removes and changes memories, but only those that are `movable`."""
    for _ in range(chance.randint(0, 3)):
        what = chance.random()
        if what < 0.4 or not movable:
            day = START + timedelta(days=chance.randint(-9, 9))
            movable.append(raw(memory, "new", timestamp=chance.choice((None, day))))
        elif what < 0.8:
            memory.delete(movable.pop(chance.randrange(len(movable))))
        else:
            at = chance.choice((*TIMES, *NO_TIMES[:4]))
            memory.update(chance.choice(movable), "changed", metadata={"event_time": at})


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("is_foreign", [False, True], ids=["embedded", "foreign"])
def test_what_does_not_change_is_shown_exactly_once_whatever_else_is_written(
    make: Make, order: str, seed: int, *, is_foreign: bool
) -> None:
    chance, memory, writer = random.Random(seed), make(), make()
    memory.clock = writer.clock = Scattered(chance)
    if is_foreign:
        memory.vector_store = writer.vector_store = Store()
    steady, movable = set(), []
    for _ in range(30):
        day = START + timedelta(days=chance.randint(-9, 9))
        steady.add(raw(memory, "steady", timestamp=day))
        movable.append(raw(memory, "movable", timestamp=day))
    shown: list[str] = []
    for page in pages(memory, chance.randint(1, 9), order=order):
        shown += ids(page["results"])
        disturb(writer, chance, movable)
    assert sorted(each for each in shown if each in steady) == sorted(steady)
    assert memory.count(U) == len(steady) + len(movable)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(3))
def test_so_it_is_in_a_walk_that_looks_ahead(
    make: Make, order: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isomem.store.listing import Listing

    chance, memory, writer = random.Random(seed), make(), make()
    monkeypatch.setattr(Listing, "at_once", chance.randint(1, 20))
    memory.clock = writer.clock = Scattered(chance)
    steady, movable = set(), []
    for _ in range(30):
        day = START + timedelta(days=chance.randint(-9, 9))
        steady.add(raw(memory, "steady", timestamp=day))
        movable.append(raw(memory, "movable", timestamp=day))
    shown = []
    walk = memory.iter_all(U, order=order, page_size=chance.randint(1, 9))
    while (each := following(memory, walk)) is not None:
        shown.append(each["id"])
        disturb(writer, chance, movable)
        if each["id"] in movable and chance.random() < 0.5:
            writer.delete(each["id"])
            movable.remove(each["id"])
    assert sorted(each for each in shown if each in steady) == sorted(steady)


def following(memory: Face, walk: Any) -> Any:
    """The next memory of a walk; None at its end."""
    if not memory.is_async:
        return next(walk, None)
    try:
        return memory._loop.run_until_complete(walk.__anext__())
    except StopAsyncIteration:
        return None


@pytest.mark.parametrize("state", ["open", {"ne": "done"}], ids=["in SQL", "in Python"])
def test_a_walk_leaves_out_what_is_gone_or_does_not_pass_any_more(make: Make, state: Any) -> None:
    memory, writer = make(), make()
    added = [raw(memory, f"tea {number}", metadata={"state": "open"}) for number in range(6)]
    walk = memory.iter_all({**U, "state": state}, page_size=2)
    assert [following(memory, walk)["id"] for _ in range(2)] == added[:2]
    writer.delete(added[2])
    writer.delete(added[3])
    writer.update(added[4], "tea", metadata={"state": "done"})
    assert following(memory, walk)["id"] == added[5]
    assert following(memory, walk) is None
    assert memory.get_all(filters=U, page_size=9)["total"] == 4


def test_a_walk_shows_nothing_of_a_user_who_was_removed_meanwhile(make: Make) -> None:
    memory, writer = make(), make()
    for number in range(4):
        raw(memory, f"tea {number}")
    walk = memory.iter_all(U, page_size=1)
    assert following(memory, walk)
    writer.delete_all(**U)
    raw(writer, "new")
    assert following(memory, walk) is None


def test_a_walk_may_end_early(memory: Face) -> None:
    for number in range(4):
        raw(memory, f"tea {number}")
    walk = memory.iter_all(U, page_size=2)
    assert following(memory, walk)["memory"] == "tea 0"
    if memory.is_async:
        memory._loop.run_until_complete(walk.aclose())
    else:
        walk.close()
    assert following(memory, walk) is None
    raw(memory, "and it can be written")
    assert memory.count(U) == 5


def test_a_walk_of_a_closed_memory_says_so(memory: Face) -> None:
    walk = memory.iter_all(U)
    memory.close()
    with pytest.raises(DatabaseError, match="closed"):
        following(memory, walk)


def test_a_foreign_store_is_asked_once_for_a_page_and_once_for_a_walk(memory: Face) -> None:
    store = memory.vector_store = Store()
    for number in range(9):
        raw(memory, f"tea {number}")
    asked = []
    real = store.list
    store.list = lambda **options: asked.append(options) or real(**options)  # type: ignore[method-assign]
    assert memory.get_all(filters=U, page_size=2)["total"] == 9
    assert len(asked) == 1
    assert len(everything(memory, page_size=2)) == 9
    assert len(asked) == 2
    memory.scopes()
    assert len(asked) == 3


def test_a_foreign_store_with_more_than_is_listed_is_not_passed_over_in_silence(
    memory: Face, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(foreign_listing, "MOST_LISTED", 3)
    memory.vector_store = Store()
    for number in range(4):
        raw(memory, f"tea {number}")
    assert memory.count(U) == 3
    assert "Only the first 3 memories are listed" in caplog.text


# --- Which way to a page ---------------------------------------------------------------------


@pytest.mark.parametrize("has_many", [False, True])
@pytest.mark.parametrize("more", FILTERS)
def test_both_ways_to_a_page_in_the_order_of_ids_lead_to_the_same(
    memory: Face, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], *, has_many: bool
) -> None:
    from isomem.store.listing import Listing

    for number in range(30):
        metadata = {"kind": "abc"[number % 3], "n": number}
        for user in ("u", "v"):
            raw(memory, "x", user_id=user, metadata=metadata, timestamp=START)
        raw(memory, "x", agent_id="a", metadata=metadata)
        memory.learn(f"We gave Ana Silva {number} cats", user_id="w")
    memory.delete_all(user_id="v")
    filters = {**U, **more}
    expected = memory.get_all(filters=filters, top_k=1000)["results"]
    monkeypatch.setattr(Listing, "_has_many", lambda *_: has_many)
    assert paged(memory, 4, filters=filters) == expected
    assert everything(memory, filters) == expected


def steps(memory: Face, call: Callable[[], object]) -> int:
    """How many hundred instructions SQLite runs for a call."""
    count = 0

    def tick() -> bool:
        nonlocal count
        count += 1
        return False

    database = memory.real.vector_store.database
    with database.reading():
        database.connection.set_progress_handler(tick, 100)
    call()
    with database.reading():
        database.connection.set_progress_handler(None)
    return count


def test_a_page_in_the_order_of_ids_does_not_cost_what_its_scope_costs(make: Make) -> None:
    cost = {}
    for count in (500, 8_000):
        memory = make(":memory:")
        said = [{"role": "user", "content": "x"}] * 500
        for _ in range(count // 500):
            memory.add(said, **U, infer=False)
        listing = memory.real.vector_store.listing(Visibility(memory.clock))
        cost[count] = steps(memory, lambda found=listing: found.find(U, "id", None, 11))
    assert cost[8_000] < 6 * cost[500]


# --- Counts and scopes -----------------------------------------------------------------------


def test_count_counts_what_passes(either: Face) -> None:
    assert either.count(U) == 0
    for number in range(25):
        raw(either, f"tea {number}", metadata={"odd": number % 2})
    raw(either, "other", user_id="v")
    raw(either, "both", agent_id="a")
    assert either.count(U) == 26
    assert either.count({**U, "odd": 1}) == 12
    assert either.count({"agent_id": "a"}) == 1


def test_scopes_lists_everybody_with_counts_and_dates(either: Face) -> None:
    assert either.scopes() == []
    raw(either, "one", user_id="v", metadata={"created_at": "2024-05-01T12:00:00+02:00"})
    raw(either, "two", user_id="v", metadata={"created_at": "2024-05-01T11:00:00Z"})
    raw(either, "three", user_id="v", metadata={"created_at": "soon"})
    raw(either, "four", agent_id="a", run_id="r", metadata={"created_at": "soon"})
    raw(either, "five", user_id=None, agent_id="a", timestamp=START)
    found = either.scopes()
    five = next(each for each in everything(either, {"agent_id": "a"}) if each["memory"] == "five")
    assert found == [
        {"agent_id": "a", "memories": 1, "first": five["created_at"], "last": five["created_at"]},
        {
            "user_id": "u", "agent_id": "a", "run_id": "r", "memories": 1, "first": None,
            "last": None,
        },
        {
            "user_id": "v", "memories": 3, "first": "2024-05-01T10:00:00+00:00",
            "last": "2024-05-01T11:00:00+00:00",
        },
    ]  # fmt: skip
    assert either.scopes("v") == found[2:]
    assert either.scopes(agent_id=" a ") == found[:2]
    assert either.scopes(user_id="u", agent_id="a", run_id="r") == found[1:2]
    assert either.scopes("w") == []


def test_a_scope_that_is_being_removed_is_not_shown(memory: Face) -> None:
    raw(memory, "mine")
    raw(memory, "theirs", user_id="v")
    memory.real.vector_store.detach({"user_id": "u"})
    assert [each["user_id"] for each in memory.scopes()] == ["v"]
    assert memory.count(U) == 0
    assert paged(memory, 1) == everything(memory) == []


def test_so_it_is_if_a_walk_has_begun(make: Make) -> None:
    memory, writer = make(), make()
    for number in range(3):
        raw(memory, f"tea {number}")
    walk = memory.iter_all(U, page_size=1)
    assert following(memory, walk)
    writer.real.vector_store.detach({"user_id": "u"})
    assert following(memory, walk) is None


def test_entities_are_not_counted(memory: Face) -> None:
    memory.learn("We gave Ana Silva a cat")
    assert memory.entities()
    assert [each["memories"] for each in memory.scopes()] == [1]
    assert memory.count(U) == 1


# --- Expired memories ------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(3))
def test_expired_memories_are_neither_shown_nor_counted(
    either: Face, order: str, seed: int
) -> None:
    chance = random.Random(seed)
    either.clock = Scattered(chance)
    for number in range(40):
        expires = chance.choice((None, "2024-04-30", "2024-05-01", "2023-01-01"))
        day = START + timedelta(days=chance.randint(-9, 9))
        metadata = {"odd": number % 2, "about": chance.choice(("x", "isomem_expiration_date"))}
        raw(either, "tea", expiration_date=expires, timestamp=day, metadata=metadata)
    raw(either, "tea", user_id="v", expiration_date="2023-01-01")
    for filters in (U, {**U, "odd": 1}, {**U, "odd": {"ne": 1}}):
        for show_expired in (False, True):
            options = {"filters": filters, "show_expired": show_expired}
            expected = sorted(either.get_all(top_k=1000, **options)["results"], key=key(order))
            assert paged(either, chance.randint(1, 9), order=order, **options) == expected
            assert everything(either, filters, show_expired=show_expired, order=order) == expected
            assert either.get_all(order=order, top_k=5, **options)["results"] == expected[:5]
            assert either.count(filters, show_expired=show_expired) == len(expected)
            assert either.get_all(page_size=3, **options)["total"] == len(expected)
    shown = len(either.get_all(filters=U, top_k=1000)["results"])
    assert 0 < shown < 40
    assert [(each["user_id"], each["memories"]) for each in either.scopes()] == [("u", shown)]
    counts = [each["memories"] for each in either.scopes(show_expired=True)]
    assert counts == [40, 1]


@pytest.mark.parametrize("order", ORDERS)
def test_superseded_memories_are_neither_shown_nor_counted(either: Face, order: str) -> None:
    added = [raw(either, f"tea {number}") for number in range(12)]
    for memory_id in added[::3]:
        payload = either.real.vector_store.get(memory_id).payload
        either.real.vector_store.update(
            memory_id, payload={**payload, "isomem_superseded_by": added[1]}
        )
    for show in (False, True):
        expected = [each for each in added if show or each not in added[::3]]
        options = {"show_superseded": show, "order": order}
        assert sorted(ids(paged(either, 3, **options))) == expected
        assert sorted(ids(everything(either, **options))) == expected
        assert either.count(U, show_superseded=show) == len(expected)
        assert [each["memories"] for each in either.scopes(show_superseded=show)] == [len(expected)]


@pytest.mark.parametrize("what", ["show_expired", "show_superseded"])
def test_a_cursor_is_for_what_it_was_made_to_show(memory: Face, what: str) -> None:
    for _ in range(3):
        raw(memory, "tea")
    cursor = memory.get_all(filters=U, page_size=1)["next_cursor"]
    with pytest.raises(ValueError, match="other filters, or another show_expired"):
        memory.get_all(filters=U, cursor=cursor, **{what: True})


def test_a_context_has_no_expired_memories(memory: Face) -> None:
    raw(memory, "green tea", expiration_date="2024-04-30")
    raw(memory, "black tea")
    assert memory.context("tea", filters=U) == "2024-05-01:\n- black tea"


def test_numbers_that_json_does_not_have_do_not_cost_a_memory_its_time(memory: Face) -> None:
    for day, number in ((2, float("nan")), (1, float("-inf")), (3, 1.0)):
        raw(memory, f"{day}", timestamp=f"2024-01-0{day}", metadata={"n": number})
    assert [each["memory"] for each in everything(memory, order="newest")] == ["3", "2", "1"]


@pytest.mark.parametrize("time", ["\ud800", "2024-01-01\udfff"], ids=ascii)
def test_a_time_that_is_not_valid_unicode_is_none(memory: Face, time: str) -> None:
    raw(memory, "broken", metadata={"event_time": time})
    raw(memory, "elsewhere", metadata={"event_time": "1999-01-01", "note": "\ud800"})
    raw(memory, "whole", metadata={"event_time": "1998-01-01"})
    listed = [each["memory"] for each in everything(memory, order="oldest")]
    assert listed == ["whole", "elsewhere", "broken"]
    assert memory.search("whole", filters=U, ranking="fused", threshold=0.0)["results"]
    assert "1999-01-01:" in memory.context("elsewhere", filters=U, threshold=0.0)


# --- Bad input -------------------------------------------------------------------------------

CALLS = ("get_all", "iter_all", "count")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("filters", "said"),
    [
        (None, "filters must contain at least one of"),
        ({}, "filters must contain at least one of"),
        ({"kind": "a"}, "filters must contain at least one of"),
        ("u", "filters must be a dict"),
        ({"user_id": " "}, "Invalid user_id"),
        ({"user_id": "u", "n": {"near": 1}}, "Unsupported filter operator"),
    ],
)
def test_filters_that_cannot_be_used_are_refused_at_once(
    memory: Face, call: str, filters: Any, said: str
) -> None:
    options = {"page_size": 5} if call == "get_all" else {}
    with pytest.raises(ValueError, match=said):
        walk = getattr(memory, call)(filters=filters, **options)
        if "operator" in said:
            following(memory, walk)  # What an operator means is looked at when the store is asked.


@pytest.mark.parametrize("page_size", [0, -1, 1001, 10**30, 1.0, "5", True, []])
def test_a_page_size_out_of_range_is_refused(memory: Face, page_size: Any) -> None:
    for call in (memory.get_all, memory.iter_all):
        with pytest.raises(ValueError, match=r"Invalid page_size.*from 1 to 1000"):
            call(filters=U, page_size=page_size)
    with pytest.raises(ValueError, match="Invalid page_size"):
        memory.iter_all(U, page_size=None)


@pytest.mark.parametrize("order", ["", "ids", "Newest", "-time", 1, ["id"]])
def test_an_order_that_is_not_known_is_refused(memory: Face, order: Any) -> None:
    for call in (memory.get_all, memory.iter_all):
        with pytest.raises(ValueError, match=r"Invalid order.*id, oldest, newest"):
            call(filters=U, order=order)


def test_a_cursor_is_for_its_filters_and_its_order_alone(memory: Face) -> None:
    for number in range(4):
        raw(memory, f"tea {number}", metadata={"a": 1, "b": 2})
    filters = {"user_id": "u", "a": 1, "b": {"in": [1, 2]}}
    cursor = memory.get_all(filters=filters, page_size=2, order="newest")["next_cursor"]
    same = {"b": {"in": [1, 2]}, "a": 1, "user_id": " u "}
    assert len(memory.get_all(filters=same, cursor=cursor, order="newest")["results"]) == 2
    others = (
        U, {**filters, "a": 2}, {**filters, "a": True}, {**filters, "b": {"in": [2, 1]}},
        {**filters, "user_id": "v"}, {**filters, "c": 1}, {**filters, "a": 10**5000},
    )  # fmt: skip
    for other in others:
        with pytest.raises(ValueError, match="The cursor is for other filters"):
            memory.get_all(filters=other, cursor=cursor)
    with pytest.raises(ValueError, match="The cursor is for the order 'newest', not 'id'"):
        memory.get_all(filters=filters, cursor=cursor, order="id")


def test_what_is_not_a_cursor_is_refused_by_name(memory: Face) -> None:
    from base64 import urlsafe_b64encode

    for number in range(4):
        raw(memory, f"tea {number}")
    good = memory.get_all(filters=U, page_size=2)["next_cursor"]
    made = [
        urlsafe_b64encode(text.encode()).decode()
        for text in (
            "[]", "5", "{", "null", "[1,2,3,4,5]", '["id",2,"x",0,5]', '["id",2,"x",0.5,"a"]',
            '["id",2,"x",true,"a"]', '["id",2,"x",NaN,"a"]', '["id",0,"x",0,"a"]',
            '["near",2,"x",0,"a"]', '[null,2,"x",0,"a"]', '["id",2,"x",0,"\\ud800"]',
            f'["id",2,"x",{10**30},"a"]', "[" * 100_000, '{"a":1,"b":2,"c":3,"d":4,"e":5}',
        )
    ]  # fmt: skip
    for cursor in ["", " ", "x", "ü", "🗼", good[:-3], 5, b"", [], 10**5000, *made]:
        with pytest.raises(ValueError, match=r"Invalid cursor|other filters") as caught:
            memory.get_all(filters=U, cursor=cursor)
        assert len(str(caught.value)) < 300


def test_top_k_does_not_cut_pages(memory: Face) -> None:
    with pytest.raises(ValueError, match="either top_k, or page_size"):
        memory.get_all(filters=U, top_k=5, page_size=5)


def test_ids_that_mean_any_id_to_foreign_stores_are_refused(memory: Face) -> None:
    raw(memory, "mine", user_id="*")
    assert memory.count({"user_id": "*"}) == 1
    assert memory.scopes("*")[0]["memories"] == 1
    memory.vector_store = Store()
    for call in (
        lambda: memory.count({"user_id": "*"}),
        lambda: memory.iter_all({"user_id": "*"}),
        lambda: memory.get_all(filters={"user_id": "*"}, page_size=1),
        lambda: memory.scopes("*"),
    ):
        with pytest.raises(ValueError, match="means every user_id"):
            call()


@pytest.mark.parametrize("user_id", ["", " ", "a b", 5, "\ud800"])
def test_scopes_refuses_what_is_not_an_id(memory: Face, user_id: Any) -> None:
    with pytest.raises(ValueError, match="Invalid user_id"):
        memory.scopes(user_id)


def test_a_store_that_fails_fails_the_listing(memory: Face) -> None:
    store = memory.vector_store = Store()
    store.failing["list"] = ConnectionError("gone")
    for call in (
        lambda: memory.count(U),
        lambda: memory.get_all(filters=U, page_size=1),
        lambda: everything(memory),
        memory.scopes,
    ):
        with pytest.raises(ConnectionError, match="gone"):
            call()
