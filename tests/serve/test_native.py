"""Our own calls over REST: they answer what the OpenAPI document says, and refuse what is wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("fastapi")

from hypothesis import given, settings
from hypothesis import strategies as st

from isomem.serve.calls import CALLS
from tests.serve.service import Client, Served, serving

ANA = {"user_id": "ana"}
ADD = {"messages": "I like tea", "infer": False, **ANA}
ASKED = {"query": "tea", "filters": ANA}
WITHOUT_IDS = {"query": "tea", "filters": {}}


@pytest.fixture
def client(served: Served) -> Client:
    return served.key()


def stored(client: Client, **options: Any) -> str:
    """The id of a new memory."""
    made: str = client.post("/api/add", {**ADD, **options}).json()["results"][0]["id"]
    return made


def checked(document: dict[str, Any], path: str, answer: Any) -> Any:
    """The body of an answer, which the document describes."""
    jsonschema = pytest.importorskip("jsonschema")
    responses = document["paths"][path]["post"]["responses"]
    (content,) = responses[str(answer.status_code)]["content"].values()
    body = answer.json()
    jsonschema.validate(body, {**content["schema"], "components": document["components"]})
    return body


def test_every_call_answers_what_the_document_says(served: Served, client: Client) -> None:
    document = served.anyone.get("/openapi.json").json()
    first, second = stored(client), stored(client, metadata={"topic": "x"}, timestamp="2026-05-07")
    served.llm.reply({"memory": [{"text": "Likes rye bread"}]})
    bodies: dict[str, list[dict[str, Any]]] = {
        "add": [{"messages": "I eat rye bread", **ANA}, {**ADD, "agent_id": "guide"}],
        "remember": [{"said": "I run", "reply": "Good.", **ANA, "infer": False}],
        "search": [ASKED, {**ASKED, "explain": True, "ranking": "fused"}],
        "context": [ASKED],
        "get": [{"memory_id": first}, {"memory_id": second}],
        "get_all": [{"filters": ANA}, {"filters": ANA, "page_size": 1}],
        "count": [{"filters": ANA}],
        "scopes": [{}, ANA],
        "update": [{"memory_id": first, "text": "I like coffee"}],
        "history": [{"memory_id": first}],
        "restore": [{"memory_id": first}],
        "delete": [{"memory_id": second}],
        "sweep": [{}],
        "compact": [{}],
        "delete_all": [ANA],
        "purge": [ANA],
        "reset": [{}],
    }
    assert bodies.keys() == CALLS.keys()
    for name, some in bodies.items():
        for body in some:
            answer = client.post(f"/api/{name}", body)
            checked(document, f"/api/{name}", answer)
            assert answer.status_code == 200 or name == "restore", (name, answer.text)


TEXT = st.text(max_size=5)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "assistant", "system", "tool"]) | ANYTHING,
        "content": TEXT | ANYTHING,
        "name": TEXT | ANYTHING,
        "tool_calls": ANYTHING,
    },
)


def test_messages_that_are_taken_are_as_the_document_says(served: Served, client: Client) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    document = served.anyone.get("/openapi.json").json()
    (content,) = document["paths"]["/api/add"]["post"]["requestBody"]["content"].values()

    @settings(max_examples=400, deadline=None)
    @given(st.lists(MESSAGE, min_size=1, max_size=2), st.booleans())
    def check(messages: list[dict[str, Any]], infer: bool) -> None:
        body = {"messages": messages, "infer": infer, **ANA}
        answer = client.post("/api/add", body)
        assert answer.status_code in {200, 400}
        if answer.status_code == 200:
            jsonschema.validate(body, content["schema"])

    check()


@pytest.mark.parametrize(
    ("call", "body", "status"),
    [
        ("add", {}, 400),
        ("add", {"messages": "tea"}, 400),
        ("add", {**ADD, "user_id": " "}, 400),
        ("add", {**ADD, "user_id": 5}, 400),
        ("add", {**ADD, "infer": "yes"}, 400),
        ("add", {**ADD, "infer": 0}, 400),
        ("add", {**ADD, "metadata": ["a"]}, 400),
        ("add", {**ADD, "timestamp": "yesterday"}, 400),
        ("add", {**ADD, "expiration_date": "soon"}, 400),
        ("add", {**ADD, "supersede": "always"}, 400),
        ("add", {**ADD, "memory_type": "other"}, 400),
        ("add", {**ADD, "self": 1}, 400),
        ("add", {**ADD, "llm": "x"}, 400),
        ("remember", {"said": None, **ANA}, 400),
        ("remember", {"said": "a", "reply": 5, **ANA}, 400),
        ("search", {"query": " ", "filters": ANA}, 400),
        ("search", WITHOUT_IDS, 400),
        ("search", {**ASKED, "filters": "ana"}, 400),
        ("search", {**ASKED, "filters": {"user_id": {"in": ["ana"]}}}, 400),
        ("search", {**ASKED, "filters": {**ANA, "topic": {"near": 1}}}, 400),
        ("search", {**ASKED, "top_k": -1}, 400),
        ("search", {**ASKED, "top_k": "5"}, 400),
        ("search", {**ASKED, "threshold": 2}, 400),
        ("search", {**ASKED, "ranking": "best"}, 400),
        ("search", {**ASKED, "explain": 1}, 400),
        ("search", {**ASKED, "user_id": "ana"}, 400),
        ("context", {**ASKED, "max_tokens": -1}, 400),
        ("context", {**ASKED, "count_tokens": "len"}, 400),
        ("get", {}, 400),
        ("get", {"memory_id": ["a"]}, 400),
        ("get_all", {"filters": ANA, "page_size": 0}, 400),
        ("get_all", {"filters": ANA, "page_size": 1001}, 400),
        ("get_all", {"filters": ANA, "cursor": "x"}, 400),
        ("get_all", {"filters": ANA, "page_size": 1, "top_k": 5}, 400),
        ("get_all", {"filters": ANA, "order": "random"}, 400),
        ("update", {"memory_id": "x", "text": "a"}, 404),
        ("update", {"memory_id": "x"}, 400),
        ("delete", {"memory_id": "x"}, 404),
        ("restore", {"memory_id": "x"}, 404),
        ("delete_all", {}, 400),
        ("purge", {}, 400),
        ("purge", {"user_id": "a b"}, 400),
        ("reset", {"sure": True}, 400),
        ("unknown", {}, 404),
        ("close", {}, 404),
        ("__init__", {}, 404),
    ],
)
def test_what_is_wrong_is_refused_as_the_document_says(
    served: Served, call: str, body: dict[str, Any], status: int
) -> None:
    client = served.key()
    answer = client.post(f"/api/{call}", body)
    assert answer.status_code == status, answer.text
    if call in CALLS:
        checked(served.anyone.get("/openapi.json").json(), f"/api/{call}", answer)


@pytest.mark.parametrize(
    ("rights", "may"),
    [
        (["read"], {"search", "get_all"}),
        (["write"], {"add", "delete_all"}),
        (["admin"], {"reset", "compact"}),
    ],
)
def test_a_right_is_for_its_calls_only(served: Served, rights: list[str], may: set[str]) -> None:
    client = served.key(rights=rights)
    bodies: dict[str, Any] = {
        "search": ASKED, "get_all": {"filters": ANA}, "add": ADD, "delete_all": ANA, "reset": {},
        "compact": {},
    }  # fmt: skip
    for call, body in bodies.items():
        answer = client.post(f"/api/{call}", body)
        assert answer.status_code == (200 if call in may else 403), call


def test_a_revoked_an_expired_and_a_rotated_key_end_at_once(served: Served) -> None:
    keys = served.service.keys
    for end in ("revoke", "rotate"):
        text, key = keys.create(end, ["read"], [{}])
        client = Client(served, text)
        assert client.post("/api/search", ASKED).status_code == 200
        getattr(keys, end)(key.id)
        assert client.post("/api/search", ASKED).status_code == 401
    text, _ = keys.create("old", ["read"], [{}], expires_at=1.0)
    assert Client(served, text).post("/api/search", ASKED).status_code == 401


def test_the_path_and_the_method_are_found_before_the_key_is_asked_for(served: Served) -> None:
    assert served.anyone.get("/api/search").status_code == 405
    assert served.anyone.post("/api/nothing").status_code == 404
    assert served.anyone.request("TRACE", "/memories").status_code == 405


def test_calls_at_the_same_time_do_not_mix(served: Served) -> None:
    """Keys, request ids and answers belong to their requests."""
    clients = {user: served.key({"user_id": user}) for user in ("ana", "bob", "eve")}
    for user, client in clients.items():
        client.post("/api/add", {**ADD, "user_id": user, "messages": f"I am {user}"})

    async def one(user: str, number: int) -> tuple[str, str, str]:
        headers = {**clients[user].headers, "X-Request-ID": f"{user}-{number}"}
        body = {"query": "who am I", "filters": {}, "threshold": 0}
        answer = await served.http.post("/api/search", json=body, headers=headers)
        (hit,) = answer.json()["results"]
        return answer.headers["x-request-id"], f"{user}-{number}", hit["user_id"]

    async def all_of_them() -> list[tuple[str, str, str]]:
        return await asyncio.gather(*(one(user, n) for n in range(8) for user in clients))

    for request_id, sent, user in served.run(all_of_them()):
        assert request_id == sent
        assert sent.startswith(user)


# --- Pages -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library() -> Any:
    """A client of a service with seven memories of ana's and two of bob's."""
    with serving() as served:
        client = served.key()
        for number in range(9):
            user = "ana" if number < 7 else "bob"
            stored(client, messages=f"note {number}", user_id=user)
        yield client


@given(size=st.integers(1, 10), order=st.sampled_from(["id", "oldest", "newest"]))
@settings(max_examples=12, deadline=None)
def test_every_memory_is_on_one_page_in_every_dialect(
    library: Client, size: int, order: str
) -> None:
    notes = {f"note {number}" for number in range(7)}
    cursor: str | None = None
    found: list[str] = []
    while True:
        at = {"page_size": size, "order": order} if cursor is None else {"cursor": cursor}
        page = library.post("/api/get_all", {"filters": ANA, **at}).json()
        assert page["total"] == 7
        found += [each["memory"] for each in page["results"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(found) == 7
    assert set(found) == notes
    by_number = []
    for number in range(1, 7 // size + 3):
        page = library.post(
            f"/v3/memories/?page={number}&page_size={size}", {"filters": ANA, "order": order}
        ).json()
        assert page["count"] == 7
        assert (page["next"] is None) == (number * size >= 7)
        assert (page["previous"] is None) == (number == 1)
        by_number += [each["memory"] for each in page["results"]]
    assert by_number == found


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "page=1&page_size=0"])
def test_a_page_that_cannot_be_is_refused(library: Client, query: str) -> None:
    assert library.post(f"/v3/memories/?{query}", {"filters": ANA}).status_code == 400


def test_everybodys_memories_are_for_keys_of_everything(library: Client) -> None:
    served = library.served
    assert len(library.get("/memories").json()["results"]) == 9
    assert len(served.key(ANA).get("/memories").json()["results"]) == 7
    several = served.key(ANA, {"user_id": "bob"})
    assert several.get("/memories").status_code == 403
    assert len(several.get("/memories?user_id=bob").json()["results"]) == 2


def test_entities_are_counted(library: Client) -> None:
    listed = library.get("/entities").json()
    assert [(each["type"], each["id"], each["total_memories"]) for each in listed] == [
        ("user", "ana", 7), ("user", "bob", 2),
    ]  # fmt: skip
    for each in listed:
        assert each["created_at"] <= each["updated_at"]
