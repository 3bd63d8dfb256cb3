"""The dialect of mem0's self-hosted server: its recorded answers, and what else it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from tests.serve import model
from tests.serve.selfhosted_requests import Step, steps
from tests.serve.selfhosted_rules import NLP, RULES, STORE, Ids, Seen, differences
from tests.serve.service import Client, Served, serving

RECORDED = Path(__file__).parent / "recorded/selfhosted.json"
TEA = {"messages": [{"role": "user", "content": "I like tea"}], "user_id": "ana", "infer": False}


def recorded() -> list[tuple[Step, Seen]]:
    """Each step with what mem0's server answered."""
    rows = json.loads(RECORDED.read_text("utf-8"))
    found = []
    for step, (name, status, body) in zip(steps(), rows, strict=True):
        assert step.name == name, "record again: `make server-parity`"
        found.append((step, Seen(status, body)))
    return found


def answered() -> Iterator[tuple[Step, Seen, Seen]]:
    """Each step, with what mem0's server answered, and what ours does."""
    store = {"provider": "embedded", "config": {**STORE, "path": ":memory:"}}
    ids = Ids()
    with model.serving() as url:
        part = {"provider": "openai", "config": {"api_key": "sk-none", "openai_base_url": url}}
        config = {"vector_store": store, "nlp": NLP, "llm": part, "embedder": part}
        with serving(config, scripted=False) as served:
            client = served.key()
            for step, theirs in recorded():
                yield step, theirs, seen_of(step, client, ids)


def seen_of(step: Step, client: Client, ids: Ids) -> Seen:
    """What ours answers to a step."""
    content = step.content if step.json is None else ids.filled(json.dumps(step.json)).encode()
    answer = client.request(step.method, ids.filled(step.path), content=content)
    body = answer.json()
    if answer.status_code == 200:
        ids.save(step, body)
    return Seen(answer.status_code, ids.plain(body))


def test_it_answers_as_mem0s_server_but_for_the_named_divergences() -> None:
    assert len(steps()) >= 200
    counts, unexplained = differences(answered())
    assert not unexplained, "\n".join(unexplained)
    assert all(counts.values()), f"these no longer occur: {counts}"
    assert set(counts) == set(RULES)


# --- What else it takes ----------------------------------------------------------------------


@pytest.fixture
def client(served: Served) -> Client:
    return served.key()


def test_bodies_take_the_other_arguments_of_the_calls(client: Client) -> None:
    client.post("/memories", {**TEA, "timestamp": "2026-05-07", "expiration_date": "2026-05-08"})
    asked = {"query": "tea", "filters": {"user_id": "ana"}}
    assert client.post("/search", asked).json()["results"] == []
    asked = {**asked, "show_expired": True, "explain": True, "ranking": "fused"}
    (hit,) = client.post("/search", asked).json()["results"]
    assert hit["metadata"]["event_time"].startswith("2026-05-07")
    assert hit["expiration_date"] == "2026-05-08"
    assert "score_details" in hit
    client.put(f"/memories/{hit['id']}", {"expiration_date": None})
    assert len(client.get("/memories", params={"user_id": "ana"}).json()["results"]) == 1


def test_lists_have_pages_with_a_total(client: Client) -> None:
    for number in range(5):
        message = {"role": "user", "content": f"note {number}"}
        client.post("/memories", {**TEA, "messages": [message], "user_id": f"u{number % 2}"})
    for ids, total in (({}, 5), ({"user_id": "u0"}, 3)):
        found, asked = [], {**ids, "page_size": "2", "order": "oldest"}
        while True:
            page = client.get("/memories", params=asked).json()
            assert page["total"] == total
            found += [each["memory"] for each in page["results"]]
            if page["next_cursor"] is None:
                break
            asked = {**ids, "cursor": page["next_cursor"]}
        assert found == [f"note {number}" for number in range(5) if not ids or number % 2 == 0]


@pytest.mark.parametrize("query", ["page_size=0", "page_size=x", "cursor=x", "order=random"])
def test_a_wrong_page_is_refused(client: Client, query: str) -> None:
    assert client.get(f"/memories?{query}").status_code == 400
    assert client.get(f"/memories?user_id=ana&{query}").status_code == 400


# --- Keys ------------------------------------------------------------------------------------


def test_a_key_for_one_user_sees_and_changes_only_that_one(served: Served) -> None:
    everything, ana = served.key(), served.key({"user_id": "ana"})
    for user in ("ana", "bob"):
        everything.post("/memories", {**TEA, "user_id": user})
    listed = everything.get("/memories").json()["results"]
    own, other = (
        next(each["id"] for each in listed if each["user_id"] == user) for user in ("ana", "bob")
    )
    assert [each["user_id"] for each in ana.get("/memories").json()["results"]] == ["ana"]
    assert [each["id"] for each in ana.get("/entities").json()] == ["ana"]
    requests: list[tuple[str, str, Any]] = [
        ("GET", f"/memories/{other}", None), ("GET", f"/memories/{other}/history", None),
        ("PUT", f"/memories/{other}", {"text": "mine"}), ("DELETE", f"/memories/{other}", None),
    ]  # fmt: skip
    for method, path, body in requests:
        assert ana.request(method, path, json=body).status_code == 404
        assert ana.request(method, path.replace(other, own), json=body).status_code == 200
    refused: list[tuple[str, str, Any]] = [
        ("GET", "/memories?user_id=bob", None), ("DELETE", "/memories?user_id=bob", None),
        ("DELETE", "/entities/user/bob", None), ("POST", "/memories", {**TEA, "user_id": "bob"}),
        ("POST", "/search", {"query": "tea", "user_id": "bob"}), ("POST", "/reset", None),
    ]  # fmt: skip
    for method, path, body in refused:
        assert ana.request(method, path, json=body).status_code == 403, path
    assert len(everything.get("/memories", params={"user_id": "bob"}).json()["results"]) == 1


def test_a_key_for_one_user_needs_no_ids(served: Served) -> None:
    ana = served.key({"user_id": "ana"})
    assert ana.post("/memories", {**TEA, "user_id": None}).status_code == 200
    assert len(ana.post("/search", {"query": "tea"}).json()["results"]) == 1
