"""The dialects of mem0's hosted service and of mem0-rs."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi")

from isomem.serve.problems import Problem
from isomem.serve.rest.hosted import lifted, read_filters
from tests.serve.service import Client, Served, listening, serving

ANA = {"user_id": "ana"}
TEA = {"messages": [{"role": "user", "content": "I like tea"}], "filters": ANA, "infer": False}


@pytest.fixture
def client(served: Served) -> Client:
    return served.key()


# --- The published client --------------------------------------------------------------------


@pytest.fixture(params=["MemoryClient", "AsyncMemoryClient"])
def published(request: pytest.FixtureRequest, served: Served) -> Iterator[Any]:
    """Calls a method of mem0's client, which talks to us, and waits for the result."""
    pytest.importorskip("mem0")
    from isomem_parity.upstream import load

    load()
    import mem0

    kind = getattr(mem0, request.param)
    with listening(served) as url:
        made = kind(api_key=served.key().headers["X-API-Key"], host=url)

        def call(name: str, *args: Any, **kwargs: Any) -> Any:
            target: Any = made
            for part in name.split("."):
                target = getattr(target, part)
            result = target(*args, **kwargs)
            return served.run(result) if inspect.isawaitable(result) else result

        call.kind = kind  # type: ignore[attr-defined]
        yield call
        closing = made.async_client.aclose() if request.param[0] == "A" else None
        if closing is not None:
            served.run(closing)
        else:
            made.client.close()


@pytest.mark.oracle
def test_the_published_client_does_its_whole_surface(published: Any) -> None:
    done = set()

    def call(name: str, *args: Any, **kwargs: Any) -> Any:
        done.add(name)
        return published(name, *args, **kwargs)

    _remembers(call)
    _administers(call)
    _is_refused(call)
    public = {
        name
        for name, member in inspect.getmembers(published.kind, inspect.isfunction)
        if not name.startswith("_")
    }
    assert public - done <= {"chat"}, "the client has a method that no test calls"


def _remembers(call: Callable[..., Any]) -> None:
    tea = call("add", "I like tea", filters=ANA, infer=False)["results"][0]
    options = {"infer": False, "metadata": {"topic": "food"}, "timestamp": 1_750_000_000}
    said = [{"role": "user", "content": "I eat rye bread"}]
    bread = call("add", said, user_id="ana", **options)["results"][0]
    assert tea["event"] == "ADD"
    assert call("get", tea["id"])["memory"] == "I like tea"
    assert call("get", bread["id"])["metadata"]["event_time"].startswith("2025-06-15")
    found = call("search", "tea", filters={"AND": [ANA]}, top_k=1)["results"]
    assert [each["id"] for each in found] == [tea["id"]]
    page = call("get_all", filters=ANA, page=1, page_size=1)
    assert (page["count"], len(page["results"]), page["previous"]) == (2, 1, None)
    assert page["next"].endswith("page=2&page_size=1")
    assert call("get_all", filters=ANA, page=2, page_size=1)["next"] is None
    assert call("get_all", filters=ANA, page=9, page_size=1)["results"] == []
    assert call("update", tea["id"], text="I like green tea")["memory"] == "I like green tea"
    assert [row["event"] for row in call("history", tea["id"])] == ["ADD", "UPDATE"]
    assert [each["name"] for each in call("users")["results"]] == ["ana"]
    call("batch_update", [{"memory_id": tea["id"], "metadata": {"topic": "drinks"}}])
    assert call("get", tea["id"])["metadata"] == {"topic": "drinks"}
    export = call("create_memory_export", "{}", user_id="ana")
    exported = call("get_memory_export", memory_export_id=export["id"])["memories"]
    assert {each["id"] for each in exported} == {tea["id"], bread["id"]}
    assert len(call("get_memory_export", user_id="ana")["memories"]) == 2
    assert call("delete", bread["id"])["message"]
    call("batch_delete", [{"memory_id": tea["id"]}])
    for name, arguments in (("delete_all", {"user_id": "ana"}), ("delete_all", {"filters": ANA}),
                            ("delete_users", {"user_id": "ana"}), ("reset", {})):  # fmt: skip
        call("add", "I like tea", filters=ANA, infer=False)
        call(name, **arguments)
        assert call("get_all", filters=ANA)["results"] == [], name


def _administers(call: Callable[..., Any]) -> None:
    call("project.update", custom_instructions="Only food.")
    assert call("project.get")["custom_instructions"] == "Only food."
    call("update_project", custom_instructions="Only drinks.")
    assert call("get_project", fields=["custom_instructions"]) == {
        "custom_instructions": "Only drinks."
    }


def _is_refused(call: Callable[..., Any]) -> None:
    """What the service has no meaning for is an error that says so."""
    refused: list[tuple[Any, ...]] = [
        ("get_summary",), ("feedback", "x"), ("get_webhooks", "isomem"),
        ("create_webhook", "http://x", "x", "isomem", []), ("update_webhook", 1, "x"),
        ("delete_webhook", 1), ("project.create", "x"), ("project.delete",),
        ("project.get_members",), ("project.add_member", "a@b.c"),
        ("project.update_member", "a@b.c", "READER"), ("project.remove_member", "a@b.c"),
        ("update_project", None, None, ["x"]),
    ]  # fmt: skip
    for name, *arguments in refused:
        with pytest.raises(Exception, match=r"not offered|501 Not Implemented"):
            call(name, *arguments)


@pytest.mark.oracle
def test_the_published_client_gets_mem0s_errors(published: Any) -> None:
    """Its asynchronous client leaves the errors of httpx as they are."""
    from httpx import HTTPStatusError
    from mem0.exceptions import MemoryNotFoundError, ValidationError

    if published.kind.__name__ == "AsyncMemoryClient":
        with pytest.raises(HTTPStatusError, match="404 Not Found"):
            published("get", "nothing")
        return
    with pytest.raises(MemoryNotFoundError):
        published("get", "nothing")
    with pytest.raises(ValidationError):
        published("search", "tea", filters={})


# --- Over HTTP -------------------------------------------------------------------------------


def test_a_wrong_key_is_refused_by_ping(served: Served) -> None:
    assert served.anyone.get("/v1/ping/").status_code == 401
    headers = {"Authorization": "Token iso_x_y"}
    assert served.anyone.get("/v1/ping/", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ({"AND": [{"user_id": "a"}]}, {"user_id": "a"}),
        ({"AND": [{"user_id": "a"}, {"topic": "x"}]}, {"user_id": "a", "AND": [{"topic": "x"}]}),
        (
            {"AND": [{"user_id": "a"}, {"user_id": "b"}]},
            {"user_id": "a", "AND": [{"user_id": "b"}]},
        ),
        ({"AND": [{"user_id": {"in": ["a"]}}]}, {"AND": [{"user_id": {"in": ["a"]}}]}),
        ({"OR": [{"user_id": "a"}]}, {"OR": [{"user_id": "a"}]}),
        ({"AND": "x"}, {"AND": "x"}),
        ({"user_id": "a", "metadata": {"topic": "x"}}, {"user_id": "a", "topic": "x"}),
        ({"AND": [{"user_id": "a"}, {"metadata": {"b": 1}}]}, {"user_id": "a", "AND": [{"b": 1}]}),
    ],
)
def test_ids_are_lifted_out_of_and_without_changing_the_meaning(
    given: dict[str, Any], same: dict[str, Any]
) -> None:
    assert lifted(given) == same


@pytest.mark.parametrize("text", ["{'user_id': 'ana'}", '{"user_id": "ana"}'])
def test_filters_in_a_query_are_json_or_a_dict_of_python(text: str) -> None:
    assert read_filters(text) == ANA


@pytest.mark.parametrize("text", ["", "[]", "ana", "__import__('os')", "{" * 500, "{1: open('x')}"])
def test_other_filters_in_a_query_are_refused(client: Client, text: str) -> None:
    assert client.delete("/v1/memories/", params={"filters": text}).status_code == 400


def test_python_in_a_query_is_read_only_if_it_is_as_short_as_ids_are() -> None:
    """Python takes seconds, and hundreds of megabytes, for a text of one megabyte."""
    name = "a" * 10_000
    assert read_filters(json.dumps({"user_id": name})) == {"user_id": name}
    with pytest.raises(Problem):
        read_filters(str({"user_id": name}))


def test_an_export_is_fetched_by_the_id_that_was_given_and_no_other_text(client: Client) -> None:
    client.post("/v3/memories/add/", TEA)
    made = client.post("/v1/exports/", {"filters": ANA}).json()["id"]
    found = client.post("/v1/exports/get/", {"memory_export_id": made}).json()["memories"]
    assert [each["memory"] for each in found] == ["I like tea"]
    for other in ("{'user_id': 'ana'}", "[" * 100_000, "[]", "x", ""):
        refused = client.post("/v1/exports/get/", {"memory_export_id": other})
        assert refused.status_code == 400, other
        assert "memory_export_id" in refused.json()["detail"]


def test_what_a_key_may_not_do_is_refused_before_its_text_is_read(served: Served) -> None:
    writer, reader = served.key(ANA, rights=["write"]), served.key(ANA, rights=["read"])
    refused = writer.post("/v1/exports/get/", {"memory_export_id": "{1:" + "1," * 500_000})
    assert refused.status_code == 403
    assert reader.delete("/v1/memories/", params={"filters": "{1:"}).status_code == 403


def test_a_change_is_not_denied_because_it_cannot_be_shown() -> None:
    with serving({"serve": {"timeout_s": 0.3}}) as served:
        client, memory = served.key(), served.service.memory
        made = client.post("/v3/memories/add/", TEA).json()["results"][0]["id"]

        async def slow(**_: Any) -> None:
            await asyncio.sleep(60)

        own, memory.get = memory.get, slow  # type: ignore[method-assign, assignment]
        told = client.put(f"/v1/memories/{made}/", {"text": "I like cake"})
        memory.get = own  # type: ignore[method-assign]
        assert told.status_code == 504
        assert told.json()["detail"] == "The memory was changed, but cannot be shown."
        assert client.get(f"/v1/memories/{made}/").json()["memory"] == "I like cake"


def test_deleting_with_what_it_superseded_leaves_nothing_to_resurface(served: Served) -> None:
    client = served.key()
    first = {**TEA, "supersede": "similar"}
    ids = []
    for text in ("I live in Porto", "I live in Porto", "I live in Porto"):
        message = [{"role": "user", "content": text}]
        served.llm.reply({"memory": [{"text": text}]})
        made = client.post("/v3/memories/add/", {**first, "infer": True, "messages": message})
        ids += [each["id"] for each in made.json()["results"]]
    if len(ids) > 1:
        client.delete(f"/v1/memories/{ids[-1]}/", params={"delete_linked": "true"})
    else:
        client.delete(f"/v1/memories/{ids[0]}/")
    shown = client.get("/memories", params={**ANA, "show_superseded": "true"}).json()
    assert shown["results"] == []


@pytest.mark.parametrize(
    "memories", [None, "x", [None], [{}], [{"memory_id": 5}], [{"memory_id": "nothing"}]]
)
def test_a_batch_with_something_wrong_changes_nothing(client: Client, memories: Any) -> None:
    made = client.post("/v3/memories/add/", TEA).json()["results"][0]
    good = {"memory_id": made["id"], "text": "changed"}
    listed = [good, *memories] if isinstance(memories, list) else memories
    for method in ("PUT", "DELETE"):
        answer = client.request(method, "/v1/batch/", json={"memories": listed})
        assert answer.status_code in (400, 404)
    assert client.get(f"/memories/{made['id']}").json()["memory"] == "I like tea"


@pytest.mark.parametrize("wrong", [{}, {"timestamp": "soon"}, {"text": 7}, {"metadata": {}}])
def test_a_batch_with_a_change_that_cannot_be_made_changes_nothing(
    client: Client, wrong: dict[str, Any]
) -> None:
    ids = [client.post("/v3/memories/add/", TEA).json()["results"][0]["id"] for _ in range(2)]
    listed = [{"memory_id": ids[0], "text": "changed"}, {"memory_id": ids[1], **wrong}]
    assert client.put("/v1/batch/", {"memories": listed}).status_code == 400
    assert client.get(f"/memories/{ids[0]}").json()["memory"] == "I like tea"


def test_who_may_not_read_changes_nothing_that_would_be_shown(served: Served) -> None:
    everything, writer = served.key(), served.key(ANA, rights=["write"])
    made = everything.post("/v3/memories/add/", TEA).json()["results"][0]
    assert writer.put(f"/v1/memories/{made['id']}/", {"text": "changed"}).status_code == 403
    assert everything.get(f"/memories/{made['id']}").json()["memory"] == "I like tea"


def test_a_key_for_one_user_stays_there_in_every_dialect(served: Served) -> None:
    everything, ana = served.key(), served.key(ANA)
    bob = everything.post("/v3/memories/add/", {**TEA, "filters": {"user_id": "bob"}}).json()
    other = bob["results"][0]["id"]
    assert ana.post("/v3/memories/add/", {**TEA, "filters": {}}).status_code == 200
    for path in (
        f"/v1/memories/{other}/",
        f"/v1/memories/{other}",
        f"/v1/memories/{other}/history",
    ):
        assert ana.get(path).status_code == 404
    for body in ({"filters": {"user_id": "bob"}}, {"filters": {"AND": [{"user_id": "bob"}]}}):
        assert ana.post("/v3/memories/", body).status_code == 403
        assert ana.post("/v3/memories/search/", {"query": "tea", **body}).status_code == 403
        assert ana.post("/v1/exports/get/", body).status_code == 403
    assert ana.get("/v1/memories?user_id=bob").status_code == 403
    assert ana.delete("/v2/entities/user/bob/").status_code == 403
    assert ana.post("/v1/reset").status_code == 403
    assert (
        ana.request("DELETE", "/v1/batch/", json={"memories": [{"memory_id": other}]}).status_code
        == 404
    )
    assert [each["name"] for each in ana.get("/v1/entities/").json()["results"]] == ["ana"]
    assert (
        ana.request("PATCH", "/api/v1/orgs/organizations/o/projects/p/", json={}).status_code == 403
    )


# --- mem0-rs ---------------------------------------------------------------------------------


def test_a_client_of_mem0_rs_adds_finds_changes_and_removes(client: Client) -> None:
    body = {"messages": TEA["messages"], "user_id": "ana", "infer": False}
    made = client.post("/v1/memories", body).json()["results"][0]
    client.post("/v1/memories", {**body, "messages": [{"role": "user", "content": "Tea is hot"}]})
    found = client.post("/v1/memories/search", {"query": "tea", **ANA, "limit": 1}).json()
    assert len(found["results"]) == 1
    assert len(client.get("/v1/memories", params=ANA).json()["results"]) == 2
    one = f"/v1/memories/{made['id']}"
    assert client.put(one, {"memory": "I like coffee"}).status_code == 200
    assert client.get(one).json()["memory"] == "I like coffee"
    assert len(client.get(f"{one}/history").json()) == 2
    assert client.delete(one).status_code == 200
    assert client.get(one).status_code == 404
    assert client.delete("/v1/memories", params=ANA).status_code == 200
    assert client.post("/v1/reset").status_code == 200
