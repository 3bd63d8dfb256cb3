"""What the inspector asks beyond the calls: through a key, and never beyond its scopes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

import apsw
import httpx

from isomem.errors import UnusableReplyError
from isomem.pipeline import overview
from isomem.serve.app import make_app
from isomem.serve.exchanges import Exchanges
from isomem.serve.recording import Recorder
from isomem.serve.service import Service
from isomem.testing import ScriptedLLM

Json = dict[str, Any]
CONFIG: Json = {
    "vector_store": {"provider": "embedded", "config": {"path": ":memory:"}},
    "embedder": {"provider": "mock", "config": {"embedding_dims": 16}},
    "llm": {"provider": "mock"},
}


def facts(*texts: str) -> Json:
    return {"memory": [{"text": text} for text in texts]}


class Site:
    """A service, asked without a network in between."""

    def __init__(self, **serve: Any) -> None:
        self.service = Service({**CONFIG, "serve": {"state_path": ":memory:", **serve}})
        self.llm: Any = self.service.memory.llm
        self.app = make_app(self.service)
        self.all = self.key(["read", "write", "admin"], [{}])

    def key(self, rights: list[str], grants: list[dict[str, str]]) -> str:
        return self.service.keys.create("test", rights, grants)[0]

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        key: str | None = "all",
        headers: dict[str, str] | None = None,
    ) -> Any:
        shown = {} if key is None else {"X-API-Key": self.all if key == "all" else key}
        headers = {**(headers or {}), **shown}

        async def answer() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as web:
                sent = {} if body is None else {"json": body}
                return await web.request(method, path, headers=headers, **sent)

        return asyncio.run(answer())

    def add(self, *said: str, **options: Any) -> Json:
        added: Json = {}
        for text in said:
            added = self.ask("POST", "/api/add", {"messages": text, **options}).json()
        return added

    def exchanges(self, key: str = "all") -> list[Json]:
        found: list[Json] = self.ask("GET", "/ui/api/exchanges", key=key).json()["exchanges"]
        return found


@pytest.fixture
def site() -> Iterator[Site]:
    """A service that records."""
    made = Site(record=True)
    yield made
    asyncio.run(made.service.close())


# --- Files ------------------------------------------------------------------------------------


def test_the_page_is_where_the_service_is_and_brings_its_policy(site: Site) -> None:
    assert site.ask("GET", "/", key=None).headers["location"] == "ui/"
    page = site.ask("GET", "/ui/", key=None)
    policy = page.headers["content-security-policy"]
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<style" not in page.text
    assert page.text.count("<script ") == page.text.count("</script>") == 2


def test_every_file_is_small_ours_and_kept_by_browsers_until_it_changes(site: Site) -> None:
    from isomem.serve.web.assets import read_assets

    assets = read_assets()
    assert sum(len(asset.content) for asset in assets.values()) < 200_000
    for name, asset in assets.items():
        assert b"https://" not in asset.content
        assert b"innerHTML" not in asset.content
        answer = site.ask("GET", f"/ui/{name}", key=None)
        assert answer.content == asset.content
        assert answer.headers["etag"] == asset.tag


@pytest.mark.parametrize("path", ["../app.py", "%2e%2e/app.py", "css", "x.js", "css/../../x"])
def test_nothing_but_these_files_is_served(site: Site, path: str) -> None:
    answer = site.ask("GET", f"/ui/{path}", key=None)
    assert answer.status_code == 404
    assert "import" not in answer.text


# --- Who may ask ------------------------------------------------------------------------------

QUESTIONS = (
    ("POST", "/ui/api/pages", {"filters": {"user_id": "ana"}}),
    ("POST", "/ui/api/entities", {"user_id": "ana"}),
    ("GET", "/ui/api/exchanges", None),
    ("GET", "/ui/api/keys", None),
    ("POST", "/ui/api/keys", {"name": "x", "rights": ["read"], "grants": [{}]}),
    ("POST", "/ui/api/keys/abc/rotate", {}),
    ("POST", "/ui/api/keys/abc/revoke", {}),
)


@pytest.mark.parametrize(("method", "path", "body"), QUESTIONS)
def test_without_a_key_nothing_is_answered(site: Site, method: str, path: str, body: Any) -> None:
    assert site.ask(method, path, body, key=None).status_code == 401
    assert site.ask(method, path, body, key="iso_wrong").status_code == 401


@pytest.mark.parametrize(("method", "path", "body"), QUESTIONS)
def test_a_right_is_needed(site: Site, method: str, path: str, body: Any) -> None:
    rights = ["read", "write"] if "keys" in path else ["write", "admin"]
    assert site.ask(method, path, body, key=site.key(rights, [{}])).status_code == 403


@pytest.mark.parametrize(("method", "path", "body"), QUESTIONS[3:])
def test_a_key_of_some_scopes_cannot_make_or_see_keys(
    site: Site, method: str, path: str, body: Any
) -> None:
    """Otherwise it would make itself one for all of them."""
    key = site.key(["read", "write", "admin"], [{"user_id": "ana"}])
    assert site.ask(method, path, body, key=key).status_code == 403


def test_the_session_says_what_a_key_may_and_without_one_only_that_one_is_needed(
    site: Site,
) -> None:
    assert site.ask("GET", "/ui/api/session", key=None).json() == {"auth": True, "key": None}
    assert site.ask("GET", "/ui/api/session", key="iso_wrong").status_code == 401
    key = site.key(["read"], [{"user_id": "ana"}])
    session = site.ask("GET", "/ui/api/session", key=key).json()
    assert session["key"]["rights"] == ["read"]
    assert session["sees_everything"] is False
    assert "digest" not in str(session)


def test_where_keys_are_off_nobody_is_asked_for_one() -> None:
    site = Site(auth=False)
    session = site.ask("GET", "/ui/api/session", key=None).json()
    assert session["auth"] is False
    assert session["key"]["rights"] == ["read", "write", "admin"]


# --- Pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["id", "oldest", "newest"])
def test_each_page_begins_where_it_would_if_they_were_read_one_after_another(
    site: Site, order: str
) -> None:
    site.add(*(f"Note {number}" for number in range(23)), user_id="ana", infer=False)
    asked = {"filters": {"user_id": "ana"}, "order": order, "page_size": 5}
    starts = site.ask("POST", "/ui/api/pages", asked).json()
    assert starts["total"] == 23
    seen, cursor, cursors = [], None, []
    while True:
        cursors.append(cursor)
        page = site.ask("POST", "/api/get_all", {**asked, "cursor": cursor}).json()
        seen += [each["id"] for each in page["results"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert starts["cursors"] == cursors
    assert len(set(seen)) == 23


def test_pages_of_another_scope_are_refused(site: Site) -> None:
    key = site.key(["read"], [{"user_id": "ana"}])
    bob = {"filters": {"user_id": "bob"}, "page_size": 5}
    assert site.ask("POST", "/ui/api/pages", bob, key=key).status_code == 403
    site.add("Ana likes tea", user_id="ana", infer=False)
    site.add("Bob likes tea", user_id="bob", infer=False)
    own = site.ask("POST", "/ui/api/pages", {"page_size": 5}, key=key).json()
    assert own["total"] == 1


@pytest.mark.parametrize("size", [0, -1, 1001, "5", True, 1e9])
def test_a_size_of_a_page_that_cannot_be_is_refused(site: Site, size: object) -> None:
    asked = {"filters": {"user_id": "ana"}, "page_size": size}
    assert site.ask("POST", "/ui/api/pages", asked).status_code == 400


@pytest.mark.parametrize("body", [[], "x", 1, None])
def test_a_body_that_is_not_an_object_is_refused(site: Site, body: object) -> None:
    assert site.ask("POST", "/ui/api/pages", body).status_code in (400, 422)
    assert site.ask("POST", "/ui/api/entities", body).status_code in (400, 422)


@pytest.mark.parametrize("view", ["pages", "entities"])
def test_what_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch, view: str) -> None:
    async def slow(ports: Any, *_: Any, **__: Any) -> None:
        await ports.store(lambda _: time.sleep(1))

    site = Site(timeout_s=0.1)
    monkeypatch.setattr(overview, {"pages": "page_starts", "entities": "entities"}[view], slow)
    asked = {"filters": {"user_id": "ana"}, "user_id": "ana", "page_size": 5}
    told = site.ask("POST", f"/ui/api/{view}", asked)
    assert (told.status_code, told.json()["code"]) == (504, "TIMEOUT_001")
    asyncio.run(site.service.close())


# --- Entities ---------------------------------------------------------------------------------


def linked(site: Site, *facts_of: str, **ids: str) -> None:
    site.llm.reply(facts(*facts_of))
    site.add("…", **ids)


def test_entities_come_with_the_memories_that_they_link_the_most_linked_first(site: Site) -> None:
    linked(site, "Ana lives in Lisbon", "Ana visits Porto often. She likes Lisbon", user_id="ana")
    found = site.ask("POST", "/ui/api/entities", {"user_id": "ana"}).json()
    names = {entity["text"]: entity for entity in found["entities"]}
    assert found["entities"][0]["links"] == 2
    texts = {found["memories"][each]["memory"] for each in names["Lisbon"]["memories"]}
    assert texts == {"Ana lives in Lisbon", "Ana visits Porto often. She likes Lisbon"}
    few = site.ask("POST", "/ui/api/entities", {"user_id": "ana", "most": 1}).json()
    assert len(few["entities"]) == 1
    assert few["total"] == found["total"]


def test_a_key_sees_the_entities_of_its_scopes_only(site: Site) -> None:
    linked(site, "Ana lives in Lisbon", user_id="ana")
    linked(site, "Bob lives in Lisbon", user_id="bob")
    linked(site, "Ana asks the bot about Faro", user_id="ana", agent_id="bot")
    key = site.key(["read"], [{"user_id": "ana"}])
    own = site.ask("POST", "/ui/api/entities", {}, key=key).json()
    assert own["memories"]
    assert all(memory["user_id"] == "ana" for memory in own["memories"].values())
    assert "Bob" not in str(own)
    assert site.ask("POST", "/ui/api/entities", {"user_id": "bob"}, key=key).status_code == 403
    bot = site.key(["read"], [{"agent_id": "bot"}])
    assert "Lisbon" not in str(site.ask("POST", "/ui/api/entities", {}, key=bot).json())


def test_entities_need_a_scope(site: Site) -> None:
    answer = site.ask("POST", "/ui/api/entities", {})
    assert answer.status_code == 400
    assert answer.json()["code"] == "VALIDATION_001"


# --- Exchanges --------------------------------------------------------------------------------


def test_an_exchange_has_what_was_sent_what_came_back_and_what_was_stored(site: Site) -> None:
    site.llm.reply(facts("Ana likes tea"))
    added = site.add("I like tea", user_id="ana")
    (exchange,) = site.exchanges()
    assert exchange["outcome"] == "stored"
    assert exchange["stored"] == [{"id": added["results"][0]["id"], "memory": "Ana likes tea"}]
    (turn,) = exchange["turns"]
    assert [message["content"] for message in turn["sent"]] == [
        message["content"] for message in site.llm.calls[0]["messages"]
    ]
    assert "I like tea" in turn["sent"][-1]["content"]
    assert turn["facts"] == ["Ana likes tea"]


OUTCOMES: tuple[tuple[Any, Json, str], ...] = (
    (facts(), {}, "nothing_found"),
    (facts("Known"), {}, "all_known"),
    ("Sorry, I can't.", {}, "unusable"),
    (ConnectionError("no route to host"), {}, "failed"),
    (None, {"infer": False}, "as_said"),
    (None, {"infer": False, "messages": [{"role": "system", "content": "x"}]}, "not_used"),
)


@pytest.mark.parametrize(("reply", "options", "outcome"), OUTCOMES)
def test_an_exchange_says_why_nothing_was_stored(
    site: Site, reply: Any, options: Json, outcome: str
) -> None:
    site.llm.reply(facts("Known"))
    site.add("first", user_id="ana")
    if reply is not None:
        site.llm.reply(reply)
    site.ask("POST", "/api/add", {"messages": "again", "user_id": "ana", **options})
    assert site.exchanges()[0]["outcome"] == outcome


def test_exchanges_are_seen_by_keys_that_may_read_their_scope_and_by_no_other(site: Site) -> None:
    for user in ("ana", "bob", "ana"):
        site.llm.reply(facts(f"About {user}"))
        site.add(f"I am {user}", user_id=user)
    assert len(site.exchanges()) == 3
    own = site.exchanges(site.key(["read"], [{"user_id": "ana"}]))
    assert [each["ids"] for each in own] == [{"user_id": "ana"}] * 2
    assert "bob" not in str(own)
    assert site.exchanges(site.key(["read"], [{"agent_id": "*"}])) == []


def test_an_add_that_its_key_narrows_down_is_seen_by_that_scope(site: Site) -> None:
    key = site.key(["read", "write"], [{"user_id": "ana"}])
    site.ask("POST", "/api/add", {"messages": "I like tea", "infer": False}, key=key)
    assert [each["ids"] for each in site.exchanges(key)] == [{"user_id": "ana"}]


def test_what_is_deleted_as_a_whole_is_forgotten(site: Site) -> None:
    for user in ("ana", "bob"):
        site.add(f"I am {user}", user_id=user, infer=False)
    site.ask("POST", "/api/delete_all", {"user_id": "ana"})
    assert [each["ids"] for each in site.exchanges()] == [{"user_id": "bob"}]
    site.ask("POST", "/api/reset", {})
    assert site.exchanges() == []


def test_nothing_is_kept_unless_it_was_asked_for() -> None:
    site = Site()
    site.add("I like tea", user_id="ana", infer=False)
    answer = site.ask("GET", "/ui/api/exchanges").json()
    assert answer == {"records": False, "exchanges": []}


def recorded(recorder: Recorder, *texts: str) -> list[Json]:
    """What a recorder keeps of adds with these replies."""
    from isomem.serve.grants import Grant

    async def add() -> None:
        service = Service({**CONFIG, "serve": {"state_path": ":memory:"}})
        service.memory.llm = ScriptedLLM([facts(text) for text in texts])
        for text in texts:
            await recorder.call(service.memory, "add", {"messages": text, "user_id": "ana"})
        await service.close()

    asyncio.run(add())
    return recorder.shown_to([Grant({})])


def test_a_recorder_keeps_a_bounded_number_and_length() -> None:
    assert len(recorded(Recorder(Exchanges(most=3)), *"abcdef")) == 3
    long = ["x" * 90_000 + str(number) for number in range(6)]
    kept = recorded(Recorder(Exchanges(most_characters=500_000)), *long)
    assert 0 < len(kept) < 6
    sizes = [len(str(each)) for each in kept]
    assert sum(sizes) < 700_000


def test_a_model_that_cannot_be_awaited_is_recorded_all_the_same() -> None:
    class Plain:
        def generate_response(self, messages: list[Json], **_: Any) -> str:
            return '{"memory": [{"text": "said by a plain model"}]}'

    from isomem.serve.grants import Grant

    async def add() -> list[Json]:
        service = Service({**CONFIG, "serve": {"state_path": ":memory:"}})
        service.memory.llm = Plain()
        recorder = Recorder()
        await recorder.call(service.memory, "add", {"messages": "x", "user_id": "ana"})
        await service.close()
        return recorder.shown_to([Grant({})])

    (exchange,) = asyncio.run(add())
    assert exchange["stored"][0]["memory"] == "said by a plain model"


def test_an_add_that_is_repeated_is_made_and_recorded_once(site: Site) -> None:
    """Recording must not lose the receipt that makes it once."""
    site.llm.reply(facts("Ana likes tea"), facts("Ana likes tea and cake"))
    for _ in range(2):
        body = {"messages": "I like tea", "user_id": "ana"}
        answer = site.ask("POST", "/api/add", body, headers={"Idempotency-Key": "one"})
        assert answer.json()["results"][0]["memory"] == "Ana likes tea"
    assert site.ask("POST", "/api/count", {"filters": {"user_id": "ana"}}).json() == 1
    assert len(site.exchanges()) == 1


def test_the_caller_of_a_failed_add_gets_the_same_error_as_without_recording() -> None:
    async def add(record: bool) -> str:
        service = Service({**CONFIG, "serve": {"state_path": ":memory:", "record": record}})
        service.memory.llm = ScriptedLLM(["no JSON"])
        access = service.access(service.keys.create("k", ["write"], [{}])[0])
        with pytest.raises(UnusableReplyError) as raised:
            await access.call("add", {"messages": "x", "user_id": "ana"})
        await service.close()
        return str(raised.value)

    assert asyncio.run(add(True)) == asyncio.run(add(False))


# --- Keys -------------------------------------------------------------------------------------


def test_a_key_is_made_listed_rotated_and_revoked(site: Site) -> None:
    body = {"name": "kiosk", "rights": ["read"], "grants": [{"user_id": "ana"}]}
    made = site.ask("POST", "/ui/api/keys", body).json()
    key_id = made["key"]["id"]
    assert site.ask("GET", "/ui/api/session", key=made["secret"]).status_code == 200
    listed = site.ask("GET", "/ui/api/keys")
    assert key_id in listed.text
    assert made["secret"] not in listed.text
    rotated = site.ask("POST", f"/ui/api/keys/{key_id}/rotate", {}).json()
    assert site.ask("GET", "/ui/api/session", key=made["secret"]).status_code == 401
    assert site.ask("GET", "/ui/api/session", key=rotated["secret"]).status_code == 200
    site.ask("POST", f"/ui/api/keys/{key_id}/revoke", {})
    assert site.ask("GET", "/ui/api/session", key=rotated["secret"]).status_code == 401
    assert site.ask("POST", f"/ui/api/keys/{key_id}/revoke", {}).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"name": " "}, {"rights": []}, {"rights": ["root"]}, {"rights": "read"}, {"rights": [1]},
        {"grants": []}, {"grants": [{"team": "x"}]}, {"grants": [{"user_id": 5}]},
        {"grants": ["x"]}, {"rate_per_minute": 0}, {"rate_per_minute": "many"},
        {"expires_at": "soon"}, {"name": 5}, {"grants": {"user_id": "x"}}, {"grants": 7},
    ],
)  # fmt: skip
def test_a_key_that_cannot_be_is_refused_and_not_made(site: Site, change: Json) -> None:
    before = len(site.service.keys.all())
    body = {"name": "kiosk", "rights": ["read"], "grants": [{}], **change}
    assert site.ask("POST", "/ui/api/keys", body).status_code == 400
    assert len(site.service.keys.all()) == before


# --- Answers ----------------------------------------------------------------------------------


def test_a_file_that_a_browser_has_is_not_sent_again(site: Site) -> None:
    tag = site.ask("GET", "/ui/main.js", key=None).headers["etag"]
    again = site.ask("GET", "/ui/main.js", key=None, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    other = site.ask("GET", "/ui/main.js", key=None, headers={"If-None-Match": '"old"'})
    assert other.status_code == 200


@pytest.mark.parametrize("path", ["/ui/", "/ui/main.js", "/ui/css/base.css", "/ui/icon.svg"])
def test_every_file_has_the_policy_and_is_for_this_page_only(site: Site, path: str) -> None:
    headers = site.ask("GET", path, key=None).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("path", ["/ui/api/session", "/ui/api/exchanges", "/ui/api/keys"])
def test_answers_are_kept_nowhere(site: Site, path: str) -> None:
    headers = site.ask("GET", path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_a_key_of_several_scopes_has_to_name_the_one_that_it_means(site: Site) -> None:
    key = site.key(["read"], [{"user_id": "ana"}, {"user_id": "bob"}])
    assert site.ask("POST", "/ui/api/entities", {}, key=key).status_code == 403
    assert site.ask("POST", "/ui/api/pages", {"page_size": 5}, key=key).status_code == 403
    for user, status in (("ana", 200), ("bob", 200), ("cid", 403)):
        asked = {"filters": {"user_id": user}, "page_size": 5}
        assert site.ask("POST", "/ui/api/pages", asked, key=key).status_code == status
        assert (
            site.ask("POST", "/ui/api/entities", {"user_id": user}, key=key).status_code == status
        )


def test_a_key_with_a_pattern_sees_what_it_matches(site: Site) -> None:
    key = site.key(["read"], [{"user_id": "team-*"}])
    site.add("Tea at ten", user_id="team-a", infer=False)
    for user, status in (("team-a", 200), ("xteam-a", 403), ("ana", 403)):
        asked = {"filters": {"user_id": user}, "page_size": 5}
        assert site.ask("POST", "/ui/api/pages", asked, key=key).status_code == status
    assert [each["ids"] for each in site.exchanges(key)] == [{"user_id": "team-a"}]


@pytest.mark.parametrize("most", [0, 201, "5", None, True, 1.5])
def test_a_number_of_entities_that_cannot_be_is_refused(site: Site, most: object) -> None:
    assert site.ask("POST", "/ui/api/entities", {"user_id": "ana", "most": most}).status_code == 400


def test_an_expired_key_is_refused_like_one_that_never_was(site: Site) -> None:
    text, _ = site.service.keys.create("old", ["read"], [{}], expires_at=1.0)
    assert site.ask("GET", "/ui/api/session", key=text).status_code == 401
    assert site.ask("GET", "/ui/api/exchanges", key=text).status_code == 401


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused(site: Site, method: str) -> None:
    for path in ("/ui/", "/ui/main.js", "/ui/api/keys", "/ui/api/session"):
        assert site.ask(method, path, {}).status_code == 405


def test_what_only_the_page_asks_is_not_part_of_the_interface(site: Site) -> None:
    paths = site.ask("GET", "/openapi.json", key=None).json()["paths"]
    assert not [path for path in paths if path.startswith("/ui")]


@pytest.mark.parametrize("change", ["", "/{id}/rotate", "/{id}/revoke"])
def test_nobody_waits_for_a_change_of_a_key_while_another_process_writes(
    tmp_path: Path, change: str
) -> None:
    """The change waits for its turn at the file. Requests with and without a key go on."""
    path = str(tmp_path / "service.db")
    site, busy = Site(state_path=path), apsw.Connection(path)
    other = site.service.keys.create("other", ["read"], [{}])[1]
    body = {} if change else {"name": "new", "rights": ["read"], "grants": [{}]}
    site.ask("GET", "/ui/api/session")  # What is noted of the first use is not what is measured.

    async def meanwhile() -> int:
        transport = httpx.ASGITransport(site.app)
        headers = {"X-API-Key": site.all}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=headers
        ) as web:
            busy.execute("BEGIN IMMEDIATE")
            changing = asyncio.create_task(
                web.post(f"/ui/api/keys{change.format(id=other.id)}", json=body)
            )
            started = time.monotonic()
            for turn in range(20):
                for asked in ("/health", "/ui/api/session"):
                    assert (await web.get(asked)).status_code == 200, (turn, asked)
                await asyncio.sleep(0.01)
            assert time.monotonic() - started < 5
            assert not changing.done()
            busy.execute("COMMIT")
            return (await changing).status_code

    try:
        assert asyncio.run(meanwhile()) == 200
    finally:
        busy.close()
        asyncio.run(site.service.close())
