"""What a page that shows a memory asks: entities, and where pages begin. On stores of any kind."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from isomem.errors import ValidationError
from isomem.pipeline import overview
from tests.facade.conftest import Face
from tests.facade.test_listing import ids, pages
from tests.facade.test_replaced_parts import Store

Make = Callable[..., Face]
ORDERS = ("id", "oldest", "newest")


def asked(memory: Face, question: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What a step says, on either class."""
    ports = memory.real._ports
    answer = ports.run(question(ports, *args, **options))
    return memory._loop.run_until_complete(answer) if memory.is_async else answer


@pytest.fixture(params=["embedded", "foreign"])
def either(request: pytest.FixtureRequest, make: Make) -> Face:
    """A memory over the embedded store, or over stores that only have upstream's methods."""
    memory = make()
    if request.param == "foreign":
        memory.vector_store, memory.entity_store = Store(), Store()
    return memory


# --- Entities ---------------------------------------------------------------------------------


def entities(memory: Face, most: int = 100, **scope: str) -> Any:
    return asked(memory, overview.entities, scope or {"user_id": "u"}, most)


def test_an_entity_comes_with_the_memories_that_it_is_in(either: Face) -> None:
    lisbon, porto = either.learn("Ana lives in Lisbon", "Ana goes to Porto")
    found = {each["text"]: each for each in entities(either)["entities"]}
    assert found["Lisbon"]["memories"] == [lisbon]
    assert found["Porto"]["memories"] == [porto]
    assert found["Lisbon"]["links"] == 1
    assert found["Lisbon"]["type"]


def test_the_memories_are_those_that_get_shows(either: Face) -> None:
    either.learn("Ana lives in Lisbon", "Ana goes to Porto")
    shown = entities(either)["memories"]
    assert len(shown) == 2
    for memory_id, memory in shown.items():
        got = either.get(memory_id)
        del got["score"]
        assert memory == got


def test_the_most_linked_come_first_and_equal_ones_by_their_text(memory: Face) -> None:
    for number in range(3):
        memory.learn(f"Ana saw Lisbon on page {number}", said=f"page {number}")
    memory.learn("Ana saw Zagreb once", "Ana saw Athens once", said="far")
    found = entities(memory)["entities"]
    assert (found[0]["text"], found[0]["links"]) == ("Lisbon", 3)
    once = [each["text"] for each in found if each["links"] == 1]
    assert once == sorted(once)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_more_entities_than_asked_for_but_the_number_of_all(memory: Face, most: int) -> None:
    memory.learn("Ana saw Lisbon", "Ana saw Porto", "Ana saw Faro", "Ana saw Evora")
    found = entities(memory, most)
    assert len(found["entities"]) == most
    assert found["total"] == len(memory.entities()) > 3
    linked = {each for entity in found["entities"] for each in entity["memories"]}
    assert found["memories"].keys() == linked


def test_an_entity_in_very_many_memories_shows_the_first_of_them(
    memory: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "LINKED_SHOWN", 2)
    for number in range(5):
        memory.learn(f"Ana saw Lisbon on page {number}", said=f"page {number}")
    lisbon = entities(memory)["entities"][0]
    assert lisbon["links"] == 5
    assert len(lisbon["memories"]) == 2


def test_only_the_scope_that_was_asked_for_is_shown(either: Face) -> None:
    either.learn("Ana lives in Lisbon", user_id="ana")
    either.learn("Bob lives in Porto", user_id="bob")
    either.learn("Ana asks the bot about Faro", user_id="ana", agent_id="bot")
    texts = [memory["memory"] for memory in entities(either, user_id="ana")["memories"].values()]
    assert sorted(texts) == ["Ana asks the bot about Faro", "Ana lives in Lisbon"]
    (only,) = entities(either, user_id="ana", agent_id="bot")["memories"].values()
    assert only["memory"] == "Ana asks the bot about Faro"
    assert entities(either, user_id="nobody") == {"entities": [], "memories": {}, "total": 0}


def test_what_is_deleted_is_no_longer_linked(either: Face) -> None:
    lisbon, _ = either.learn("Ana lives in Lisbon", "Ana goes to Porto")
    either.delete(lisbon)
    found = entities(either)
    assert lisbon not in found["memories"]
    assert "Lisbon" not in {each["text"] for each in found["entities"]}


def test_raw_memories_have_no_entities(either: Face) -> None:
    either.add("Ana lives in Lisbon", user_id="u", infer=False)
    assert entities(either)["entities"] == []


@pytest.mark.parametrize("scope", [{}, {"user_id": None}])
def test_entities_need_somebody_whose_they_are(memory: Face, scope: Any) -> None:
    with pytest.raises(ValidationError, match="user_id"):
        asked(memory, overview.entities, scope, 5)


@pytest.mark.parametrize("user", [" ", "a b", 5, ["u"], {"ne": "u"}])
def test_an_id_that_cannot_be_is_refused(memory: Face, user: object) -> None:
    with pytest.raises(ValueError, match="user_id"):
        asked(memory, overview.entities, {"user_id": user}, 5)


def test_any_id_is_refused_where_a_store_could_read_it_as_everybody(make: Make) -> None:
    memory = make()
    memory.vector_store, memory.entity_store = Store(), Store()
    with pytest.raises(ValueError, match=r"\*"):
        asked(memory, overview.entities, {"user_id": "*"}, 5)


def test_an_entity_whose_payload_somebody_else_wrote_does_not_break_the_page(make: Make) -> None:
    memory = make()
    memory.entity_store.insert(
        [[1.0] + [0.0] * 63 for _ in range(3)],
        [
            {"user_id": "u", "data": 7, "linked_memory_ids": []},
            {"user_id": "u"},
            {"user_id": "u", "data": "Lisbon", "linked_memory_ids": ["gone"]},
        ],
        ["one", "two", "three"],
    )
    found = entities(memory)
    assert found["total"] == 3
    assert found["entities"][0] == {
        "id": "three", "text": "Lisbon", "type": "", "links": 1, "memories": ["gone"],
    }  # fmt: skip
    assert found["memories"] == {}


# --- Where pages begin ------------------------------------------------------------------------


def starts(memory: Face, page_size: int, **options: Any) -> Any:
    given = {"filters": {"user_id": "u"}, "order": None, **options}
    return asked(memory, overview.page_starts, page_size=page_size, **given)


def fill(memory: Face, number: int, seed: int = 1) -> None:
    chance = random.Random(seed)
    for index in range(number):
        memory.add(
            f"note {index}", user_id="u", infer=False,
            timestamp=f"2024-01-{chance.randint(1, 9):02}",
            metadata={"even": index % 2 == 0},
            expiration_date="2020-01-01" if chance.random() < 0.2 else None,
        )  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("page_size", [2, 7, 1000])
def test_pages_that_are_asked_for_directly_are_those_that_come_one_after_another(
    either: Face, order: str, page_size: int
) -> None:
    fill(either, 21)
    known = [*pages(either, page_size, order=order)]
    found = starts(either, page_size, order=order)
    assert found["total"] == known[0]["total"]
    assert found["cursors"] == [None, *(page["next_cursor"] for page in known[:-1])]
    places = list(range(len(known)))
    random.Random(page_size).shuffle(places)
    for place in places:  # In any order, as somebody scrolls.
        page = either.get_all(
            filters={"user_id": "u"}, order=order, page_size=page_size,
            cursor=found["cursors"][place],
        )  # fmt: skip
        assert ids(page["results"]) == ids(known[place]["results"])


@pytest.mark.parametrize(
    "options",
    [
        {"filters": {"user_id": "u", "even": True}},
        {"filters": {"user_id": "u", "OR": [{"even": True}, {"even": False}]}},
        {"show_expired": True},
        {"show_superseded": True},
        {"filters": {"user_id": "nobody"}},
    ],
)
def test_filters_and_what_is_hidden_count_as_in_a_listing(
    either: Face, options: dict[str, Any]
) -> None:
    fill(either, 17)
    known = [*pages(either, 4, order="newest", **options)]
    found = starts(either, 4, order="newest", **options)
    assert found["total"] == known[0]["total"]
    assert found["cursors"] == [None, *(page["next_cursor"] for page in known[:-1])]


@pytest.mark.parametrize("number", [0, 1, 4, 5, 8])
def test_a_last_page_is_never_empty(memory: Face, number: int) -> None:
    for index in range(number):
        memory.add(f"note {index}", user_id="u", infer=False)
    cursors = starts(memory, 4)["cursors"]
    assert len(cursors) == max(1, -(-number // 4))
    if number:
        page = memory.get_all(filters={"user_id": "u"}, page_size=4, cursor=cursors[-1])
        assert page["results"]


def test_a_start_stays_one_while_others_write(memory: Face) -> None:
    fill(memory, 12)
    found = starts(memory, 4, order="id")
    second = memory.get_all(filters={"user_id": "u"}, cursor=found["cursors"][1])["results"]
    memory.delete(second[-1]["id"])
    memory.add("a new one", user_id="u", infer=False)
    again = memory.get_all(filters={"user_id": "u"}, cursor=found["cursors"][1])["results"]
    assert ids(again)[: len(second) - 1] == ids(second)[:-1]


def test_no_more_pages_than_are_looked_for(memory: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "MOST_PLACED", 6)
    fill(memory, 20)
    assert len(starts(memory, 2, order="id")["cursors"]) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"page_size": 0}, {"page_size": 1001}, {"page_size": "5"}, {"page_size": True},
        {"order": "best"}, {"order": 5}, {"filters": {}}, {"filters": None},
        {"filters": {"user_id": ["u"]}}, {"filters": {"user_id": "u", "x": {"like": "y"}}},
    ],
)  # fmt: skip
def test_what_a_listing_refuses_is_refused(memory: Face, options: dict[str, Any]) -> None:
    given = {"filters": {"user_id": "u"}, "order": "id", "page_size": 5, **options}
    with pytest.raises(ValueError, match=r".") as listed:
        memory.get_all(**given)
    with pytest.raises(ValueError, match=re.escape(str(listed.value))):
        asked(memory, overview.page_starts, **given)
