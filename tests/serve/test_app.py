"""The layers of the application: every request goes through the guard, whoever answers it."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("fastapi")

from isomem.memory_async import AsyncMemory
from isomem.serve.guard import HEADERS
from tests.serve.service import Served, serving

ANY_PATHS = (
    ("GET", "/health", 200),
    ("POST", "/search", 200),
    ("GET", "/memories/nobody", 404),
    ("GET", "/search", 405),
    ("GET", "/", None),
    ("GET", "/docs", 200),
    ("POST", "/ui/api/keys/nobody/revoke", 404),
    ("POST", "/ui/api/keys", 400),
    ("GET", "/nothing", 404),
    ("PUT", "/memories/a/b/c", 404),
    ("BREW", "/health", 405),
)
"""Paths of the shortcut, of the router, of FastAPI, and of nobody."""

ASKED = {"query": "tea", "filters": {"user_id": "ana"}}
TOO_LONG = {"json": {"query": "x" * 2000}}


@pytest.fixture(params=[[], ["https://pages.example"]], ids=["plain", "with CORS"])
def served(request: pytest.FixtureRequest) -> Any:
    with serving({"serve": {"max_body_mb": 0.001, "cors_origins": request.param}}) as made:
        yield made


def went_through(answer: Any) -> bool:
    """Whether the guard has seen an answer on its way."""
    has = {name.decode() for name in HEADERS} | {"x-request-id"}
    return has <= answer.headers.keys() and answer.headers["x-request-id"] == "mine"


@pytest.mark.parametrize(("method", "path", "status"), ANY_PATHS)
def test_every_answer_comes_through_the_guard(
    served: Served, method: str, path: str, status: int | None
) -> None:
    key = served.key()
    mine = {"X-Request-ID": "mine"}
    answer = key.request(method, path, json=ASKED, headers=mine)
    assert went_through(answer)
    assert status in (None, answer.status_code)
    assert went_through(served.anyone.request(method, path, json=ASKED, headers=mine))
    refused = key.request(method, path, headers=mine, **TOO_LONG)
    assert (refused.status_code, refused.json()["code"]) == (413, "LIMIT_001")
    assert went_through(refused)
    assert counted(served) == 3


def counted(served: Served) -> float:
    """How many answers the guard has counted."""
    samples = served.app.state.metrics.requests.collect()[0].samples
    return sum(each.value for each in samples if each.name.endswith("_total"))


@pytest.mark.parametrize(("method", "path"), [("POST", "/search"), ("GET", "/memories/m")])
def test_a_fault_of_ours_is_answered_by_the_guard_alone(
    served: Served, method: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise KeyError("secret")

    for name in ("search", "get"):
        monkeypatch.setattr(AsyncMemory, name, broken)
    answer = served.key().request(method, path, json=ASKED, headers={"X-Request-ID": "mine"})
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
    assert went_through(answer)
    assert "secret" not in answer.text
    assert counted(served) == 1


def test_a_fault_of_fastapi_is_answered_by_the_guard_alone(served: Served) -> None:
    def broken() -> None:
        raise KeyError("secret")

    served.app.add_api_route("/broken", broken)
    answer = served.key().get("/broken", headers={"X-Request-ID": "mine"})
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
    assert went_through(answer)
    assert counted(served) == 1
