"""Lists of scopes: page by page, and never more than is listed at once."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest

pytest.importorskip("fastapi")

from isomem.serve import scopes
from tests.serve.service import Client, Served


def fill(client: Client, *users: str, **ids: str) -> None:
    for user in users:
        body = {"messages": f"{user} likes tea", "user_id": user, "infer": False, **ids}
        assert client.post("/api/add", body).status_code == 200


def pages(client: Client, **asked: Any) -> list[Any]:
    found, cursor = [], None
    while True:
        answer = client.post("/api/scopes", {**asked, "cursor": cursor})
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        cursor = found[-1]["next_cursor"]
        if cursor is None:
            return found


def users(page: Any) -> list[str]:
    return [each["user_id"] for each in page["results"]]


def test_scopes_come_page_by_page_with_a_total(served: Served) -> None:
    client = served.key()
    fill(client, *"abcde")
    found = pages(client, page_size=2)
    assert [users(page) for page in found] == [["a", "b"], ["c", "d"], ["e"]]
    assert {page["total"] for page in found} == {5}
    listed = [scope for page in found for scope in page["results"]]
    assert listed == client.post("/api/scopes").json()
    assert [users(page) for page in pages(client, page_size=1, user_id="c")] == [["c"]]


@pytest.mark.parametrize(
    "body",
    [{"page_size": 0}, {"page_size": 1001}, {"page_size": "2"}, {"cursor": "x"}, {"page_siz": 2}],
)
def test_what_is_not_a_page_is_refused(served: Served, body: Any) -> None:
    refused = served.key().post("/api/scopes", body)
    assert refused.status_code == 400, refused.text


def test_a_key_pages_through_its_own_and_learns_nothing_of_others(served: Served) -> None:
    fill(served.key(), *"abcdefg")
    fill(served.key(), "a", agent_id="coach")
    some = served.key({"user_id": "b"}, {"user_id": "f"}, {"agent_id": "coach"}, {"user_id": "x*"})
    found = pages(some, page_size=1)
    assert [users(page) for page in found] == [["a"], ["b"], ["f"]]
    assert {page["total"] for page in found} == {3}
    for page in found[:-1]:
        told = json.loads(urlsafe_b64decode(f"{page['next_cursor']}=="))[2:]
        assert told[0] == users(page)[0]
    one = served.key({"user_id": "c"})
    assert [users(page) for page in pages(one, page_size=5)] == [["c"]]
    assert pages(one, page_size=5)[0]["total"] == 1


def test_a_pattern_sees_what_it_matches(served: Served) -> None:
    fill(served.key(), "other", "team-1", "team-2", "teams")
    key = served.key({"user_id": "team-*"}, {"user_id": "nobody"})
    assert [users(page) for page in pages(key, page_size=1)] == [["team-1"], ["team-2"]]


LISTS = {
    "native": lambda client: client.post("/api/scopes"),
    "self-hosted": lambda client: client.get("/entities"),
    "hosted": lambda client: client.get("/v1/entities/"),
}


@pytest.mark.parametrize("dialect", LISTS)
def test_more_than_are_listed_at_once_are_refused_with_advice(
    served: Served, monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    monkeypatch.setattr(scopes, "LISTED_AT_ONCE", 3)
    client = served.key()
    fill(client, *"abc")
    assert LISTS[dialect](client).status_code == 200
    fill(client, "d")
    refused = LISTS[dialect](client)
    assert (refused.status_code, refused.json()["code"]) == (413, "LIMIT_004"), refused.text
    assert "page_size" in refused.json()["suggestion"]
    assert len(pages(client, page_size=2)) == 2
    assert client.post("/api/scopes", {"user_id": "d"}).status_code == 200
    restricted = served.key({"user_id": "a"}, {"user_id": "d"})
    assert LISTS[dialect](restricted).status_code == 200, "others do not count"


def test_hidden_memories_are_counted_if_that_is_asked_for(served: Served) -> None:
    client = served.key()
    fill(client, "a")
    body = {"messages": "x", "user_id": "b", "infer": False, "expiration_date": "2001-01-01"}
    assert client.post("/api/add", body).status_code == 200
    assert [users(page) for page in pages(client, page_size=5)] == [["a"]]
    assert [users(page) for page in pages(client, page_size=5, show_expired=True)] == [["a", "b"]]


def test_counting_many_memories_counts_as_further_calls(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As reading them does: a tenth of it."""
    charged: list[int] = []
    monkeypatch.setattr(served.app.state.limits, "charge", lambda _, calls: charged.append(calls))
    client = served.key()
    fill(client, "a", "b")
    assert client.post("/api/scopes", {"page_size": 2}).status_code == 200
    assert charged == []
    monkeypatch.setattr(scopes, "PASSED_PER_READ", 0.001)
    assert client.post("/api/scopes", {"page_size": 2}).status_code == 200
    assert charged == [2]


def test_pages_need_not_be_as_small_as_what_one_call_may_read() -> None:
    from tests.serve.service import serving

    with serving({"serve": {"max_memories": 1}}) as served:
        client = served.key()
        fill(client, "a", "b", "c")
        assert users(pages(client, page_size=5)[0]) == ["a", "b", "c"]
