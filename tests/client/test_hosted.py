"""`MemoryClient` and `AsyncMemoryClient` beside mem0's: the same requests, results and errors."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.unit.compat.children import WITH_COMPAT, run, told
from tests.unit.providers.servers import Answer, Handler, Seen, Server, clean_environment, serving

KEY = "m0-a-secret-key"
PING = {"org_id": "o", "project_id": "p", "user_email": "ana@example.com"}
PINGS: dict[str, Any] = {
    KEY: PING,
    "no-project": {"user_email": "x"},
    "no-organization": {"project_id": "p"},
    "refused": Answer(401, {"detail": "Invalid key."}),
    "refused-silently": Answer(403, {}),
    "broken": Answer(500, "<p>Oh</p>"),
}
"""What the service says about keys."""

IN_HEADERS = ("authorization", "mem0-user-id", "content-type")

CALLS = [
    "c.add('I like tea', user_id='u')",
    "c.add({'role': 'user', 'content': 'x'}, filters={'user_id': 'u'}, metadata=None)",
    "c.add([{'role': 'user', 'content': 'x'}], AddMemoryOptions(infer=False), metadata={'n': 1})",
    "c.add([], AddMemoryOptions(infer=None, timestamp=5), infer=True, custom=None)",
    "c.add(5)",
    "c.add(None)",
    "c.add()",
    "c.get('m')",
    "c.get(memory_id='m')",
    "c.get_all(filters={'user_id': 'u'})",
    "c.get_all(filters={}, page=2, page_size=5)",
    "c.get_all(GetAllMemoryOptions(page=1, page_size=3, categories=['a']))",
    "c.get_all(page=2)",
    "c.get_all(user_id='u')",
    "c.search('tea')",
    "c.search('tea', SearchMemoryOptions(top_k=3), filters={'user_id': 'u'}, rerank=None)",
    "c.search(None, threshold=0)",
    "c.search('tea', agent_id='a')",
    "c.search()",
    "c.update('m', text='t')",
    "c.update('m', UpdateMemoryOptions(metadata={'n': 1}, timestamp=1.5))",
    "c.update('m')",
    "c.update('m', text=None)",
    "c.delete('m')",
    "c.delete('m', delete_linked=True)",
    "c.delete_all(user_id='u', agent_id=None)",
    "c.delete_all(DeleteAllMemoryOptions(filters={'user_id': 'u'}))",
    "c.delete_all()",
    "c.history('m')",
    "c.users()",
    "c.delete_users(user_id='ana')",
    "c.delete_users(agent_id='a', run_id='r')",
    "c.delete_users(app_id='x')",
    "c.delete_users(run_id='r')",
    "c.delete_users()",
    "c.reset()",
    "c.batch_update([{'memory_id': 'm', 'text': 't'}])",
    "c.batch_delete([{'memory_id': 'm'}])",
    "c.create_memory_export('{}', user_id='u', x=None)",
    "c.get_memory_export(user_id='u')",
    "c.get_summary()",
    "c.get_summary({'user_id': 'u'})",
    "c.get_project()",
    "c.get_project(['custom_instructions'])",
    "c.update_project(custom_instructions='x', multilingual=False)",
    "c.update_project(ProjectUpdateOptions(memory_depth='deep'), usecase_setting='y')",
    "c.update_project()",
    "c.get_webhooks('p')",
    "c.create_webhook('http://x', 'n', 'p', ['add'])",
    "c.update_webhook(5, name='n')",
    "c.delete_webhook(5)",
    "c.feedback('m')",
    "c.feedback('m', 'positive', 'good')",
    "c.feedback('m', 'so so')",
    "c.chat()",
    "c.project.get()",
    "c.project.get(['x'])",
    "c.project.create('n')",
    "c.project.create('n', 'd')",
    "c.project.update(decay=True)",
    "c.project.update(custom_categories=[], multilingual=False)",
    "c.project.update()",
    "c.project.delete()",
    "c.project.get_members()",
    "c.project.add_member('a@b', 'OWNER')",
    "c.project.add_member('a@b')",
    "c.project.add_member('a@b', 'KING')",
    "c.project.update_member('a@b', 'READER')",
    "c.project.update_member('a@b', 'KING')",
    "c.project.remove_member('a@b')",
    "(c.host, c.api_key, c.user_id, c.org_id, c.project_id, c.user_email)",
    "(c.project.org_id, c.project.project_id, c.project.user_email)",
]

FAILING = [
    Answer(400, {"detail": "Wrong."}),
    Answer(401, {"detail": "No."}),
    Answer(404, {"error": "gone"}),
    Answer(409, [1]),
    Answer(413, "big"),
    Answer(429, {"detail": "Slow."}, {"Retry-After": "7", "X-RateLimit-Limit": "5"}),
    Answer(429, "slow", {"Retry-After": "soon"}),
    Answer(500, "<p>Oh</p>", {"Content-Type": "text/html"}),
    Answer(503, ""),
    Answer(418, {"detail": None}),
    Answer(200, "no JSON"),
    Answer(204, ""),
]

FAILING_CALLS = [
    call.format(f"fail-{index}")
    for index in range(len(FAILING))
    for call in ("c.get('{}')", "c.add('{}')", "c.delete_users('{}')", "c.project.create('{}')")
]

HOSTILE = [
    "c.delete('../../v2/entities/user/ana')",
    "c.history('m/?x=1#')",
    "c.delete_users(user_id='a/b')",
]

PROGRAM = """
import asyncio, httpx, inspect, json, logging
from mem0 import AsyncMemoryClient, MemoryClient
from mem0.client.project import AsyncProject, BaseProject, Project
from mem0.client.types import (AddMemoryOptions, DeleteAllMemoryOptions, GetAllMemoryOptions,
    ProjectUpdateOptions, SearchMemoryOptions, UpdateMemoryOptions)
logging.disable(logging.CRITICAL)
names = ("message", "error_code", "details", "suggestion", "debug_info")

def failed(error):
    facts = {n: getattr(error, n) for n in names if hasattr(error, n)}
    text = "" if isinstance(error, TypeError) else str(getattr(error, "message", error))
    if "feedback must be" in text:
        text = sorted(text.replace(',', '').split())  # from a set
    return [type(error).__name__, text, facts]

def told(call):
    try:
        return ["returns", call()]
    except Exception as error:
        return failed(error)

async def later(calls, options):
    made, c = [], AsyncMemoryClient(**options)
    for call in calls:
        try:
            found = eval(call)
            made.append(["returns", await found if asyncio.iscoroutine(found) else found])
        except Exception as error:
            made.append(failed(error))
    await c.async_client.aclose()
    return made

def outcomes(kind, calls, options):
    if kind == "async":
        return asyncio.run(later(calls, options))
    c = MemoryClient(**options)
    return [told(lambda: eval(call, globals(), {"c": c})) for call in calls]

def refusals(kind, host):
    made = [told(lambda: (kind(api_key=key, host=host), None)[1]) for key in %(keys)r]
    made.append(told(lambda: kind(host=host)))
    own = httpx.Client() if kind is MemoryClient else httpx.AsyncClient()
    c = kind(%(key)r, host, own)
    made += [getattr(c, "client", None) is own or c.async_client is own, str(own.base_url) != ""]
    return made + [own.headers["Authorization"], own.headers["Mem0-User-ID"]]

def signatures():
    found = {}
    for kind in (MemoryClient, AsyncMemoryClient, BaseProject, Project, AsyncProject):
        for name in dir(kind):
            if (name[0] != "_" or name == "__init__") and callable(getattr(kind, name)):
                parameters = inspect.signature(getattr(kind, name)).parameters.values()
                found[f"{kind.__name__}.{name}"] = [
                    (each.name, str(each.kind), repr(each.default)) for each in parameters]
    return found

def main(host):
    found, options = {}, {"api_key": %(key)r, "host": host}
    def part(name, make):
        httpx.get(f"{host}/part/{name}")
        found[name] = make()
    for kind in ("sync", "async"):
        part(kind, lambda: outcomes(kind, %(calls)r, options))
        part(f"failing-{kind}", lambda: outcomes(kind, %(failing)r, options))
    for kind in (MemoryClient, AsyncMemoryClient):
        part(kind.__name__, lambda: refusals(kind, host))
    part("hostile", lambda: outcomes("sync", %(hostile)r, options))
    found["signatures"] = signatures()
    print(json.dumps(found).replace(host, "HOST"))

""" % {  # noqa: UP031 - the program has braces
    "keys": [*PINGS], "key": KEY, "calls": CALLS, "failing": FAILING_CALLS, "hostile": HOSTILE
}  # fmt: skip


def usual(seen: Seen) -> Any:
    told = re.search(r"fail-(\d+)", seen.path + seen.content.decode())
    if told:
        return FAILING[int(told[1])]
    if seen.path.startswith("/v1/ping/"):
        return PINGS[seen.headers["authorization"].removeprefix("Token ")]
    if seen.path.startswith("/v1/entities/"):
        return {"results": [{"type": "user", "name": "ana"}, {"type": "run", "name": "r 1"}]}
    return {"path": seen.path}


class Every(Handler):
    """Answers every method."""

    def answer(self) -> None:
        self._give(self.running.next_answer(usual, self._take()))


for _verb in ("GET", "POST", "PUT", "DELETE", "PATCH"):
    setattr(Every, f"do_{_verb}", Every.answer)


@dataclass
class Side:
    """What a program tells, and what it asked the server: part by part."""

    told: dict[str, Any]
    asked: dict[str, list[Any]]


def asked(server: Server) -> dict[str, list[Any]]:
    """The requests that arrived, by the part that they belong to."""
    found: dict[str, list[Any]] = {}
    part = ""
    for seen in server.seen:
        if seen.path.startswith("/part/"):
            part = seen.path.removeprefix("/part/")
            continue
        body = json.loads(seen.content) if seen.content else None
        headers = {name: seen.headers.get(name) for name in IN_HEADERS}
        found.setdefault(part, []).append((seen.method, seen.path, body, headers))
    return found


def side(start: str) -> Side:
    with serving(usual, Every) as server:
        found = told(f"{start}{PROGRAM}main({server.url!r})", warnings="ignore")
        return Side(found, asked(server))


@pytest.fixture(scope="module")
def sides() -> tuple[Side, Side]:
    """mem0, and isomem; each in one process, since importing mem0 takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        clean_environment(patch)
        patch.delenv("MEM0_API_KEY", raising=False)
        return side(""), side(WITH_COMPAT)


pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_every_call_sends_and_returns_the_same(sides: tuple[Side, Side], kind: str) -> None:
    theirs, ours = sides
    for call, their, our in zip(CALLS, theirs.told[kind], ours.told[kind], strict=True):
        assert our == their, call
    assert ours.asked[kind] == theirs.asked[kind]
    assert len(ours.asked[kind]) > len(CALLS) - 20
    assert {seen[0] for seen in ours.asked[kind]} == {"GET", "POST", "PUT", "DELETE", "PATCH"}


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_every_failure_is_the_same_error(sides: tuple[Side, Side], kind: str) -> None:
    theirs, ours = (side.told[f"failing-{kind}"] for side in sides)
    for call, their, our in zip(FAILING_CALLS, theirs, ours, strict=True):
        assert our == their, call
        # What `delete_users` is answered is not read, so only a refusal is an error.
        assert (our[0] != "returns") or "delete_users" in call
    assert sides[1].asked[f"failing-{kind}"] == sides[0].asked[f"failing-{kind}"]


@pytest.mark.parametrize("kind", ["MemoryClient", "AsyncMemoryClient"])
def test_clients_are_made_alike_or_refused_alike(sides: tuple[Side, Side], kind: str) -> None:
    theirs, ours = (side.told[kind] for side in sides)
    for key, their, our in zip([*PINGS, "none"], theirs, ours, strict=False):
        if kind == "AsyncMemoryClient" and key in ("broken", "refused-silently"):
            # mem0 asks by way of `requests`, which isomem does not need, and shows its words.
            their[1:] = our[1:]
        assert our == their, key
    assert ours[len(PINGS) :] == theirs[len(PINGS) :]
    pings = [[seen[:3] for seen in side.asked[kind]] for side in sides]
    assert pings[0] == pings[1]


def test_signatures_are_mem0s(sides: tuple[Side, Side]) -> None:
    theirs, ours = (side.told["signatures"] for side in sides)
    assert ours == theirs
    assert len(ours) > 70


def test_an_id_cannot_lead_to_another_route(sides: tuple[Side, Side]) -> None:
    """mem0 puts ids into paths as they are: removing such a memory would remove a user."""
    theirs, ours = ([seen[:2] for seen in side.asked["hostile"]] for side in sides)
    assert theirs[1] == ("DELETE", "/v2/entities/user/ana/")
    assert ours[1:] == [
        ("DELETE", "/v1/memories/..%2F..%2Fv2%2Fentities%2Fuser%2Fana/"),
        ("GET", "/v1/memories/m%2F%3Fx%3D1%23/history/"),
        ("DELETE", "/v2/entities/user/a%2Fb/"),
    ]


def test_without_a_host_nothing_is_called_and_the_error_says_what_to_do() -> None:
    done = run("""
        import isomem.compat
        from isomem import ConfigurationError
        from mem0 import AsyncMemoryClient, MemoryClient
        for kind in (AsyncMemoryClient, MemoryClient):
            try:
                kind(api_key="sk-hidden")
            except ConfigurationError as error:
                assert f"{kind.__name__} talks to a service: name it by host=" in str(error)
                assert isinstance(error, ValueError) and "hidden" not in str(error)
            else:
                raise AssertionError(kind)
    """)
    assert done.returncode == 0, done.stderr
