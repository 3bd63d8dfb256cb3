"""The configuration of a running service: shown, changed, kept."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import apsw
import pytest

pytest.importorskip("fastapi")

from isomem.cli import service
from isomem.cli.parser import parse
from isomem.errors import InvalidConfigError
from isomem.serve.configuration import (
    HIDDEN,
    Changes,
    merged,
    shown,
    without_hidden,
    without_secrets_for_others,
)
from isomem.serve.problems import Problem
from isomem.serve.service import Service
from tests.serve.service import Served, serving


@pytest.mark.parametrize(
    "secret",
    [
        {"llm": {"config": {"api_key": "sk-1"}}},
        {"llm": {"config": {"aws_secret_access_key": "sk-1"}}},
        {"vector_store": {"config": {"connection_string": "host=a password=sk-1"}}},
        {"vector_store": {"config": {"url": "postgresql://ana:sk-1@host/db"}}},
        {"llm": {"config": {"default_headers": {"X-Anything": "sk-1"}}}},
        {"llm": {"config": {"api_keys": ["sk-1"], "Token": "sk-1"}}},
        {"embedder": {"config": {"vertex_credentials_json": "/sk-1.json"}}},
        {"llm": {"config": {"aws_access_key_id": "sk-1"}}},
        {"llm": {"config": {"http_client_proxies": "http://ana:sk-1/2@host"}}},
        {"llm": {"config": {"openai_base_url": "https://host/v1?key=sk-1&a=b"}}},
        {"vector_store": {"config": {"redis_url": "redis://host/0?password=sk-1"}}},
        {"vector_store": {"config": {"redis_url": "redis://ana:a@sk-1@host"}}},
        {"vector_store": {"config": {"redis_url": "redis://host?db=1&PASSWD=sk-1"}}},
    ],
)
def test_no_secret_is_shown(secret: dict[str, Any]) -> None:
    assert "sk-1" not in str(shown(secret))
    assert HIDDEN in str(shown(secret))


def test_what_is_not_secret_is_shown() -> None:
    plain = {"llm": {"provider": "openai", "config": {"max_tokens": 5, "model": "m", "top_p": 0.5}}}
    assert shown(plain) == plain


def test_a_hidden_secret_that_is_sent_back_stays() -> None:
    old = {"llm": {"config": {"api_key": "sk-1", "model": "a"}}}
    sent = {"llm": {"config": {"api_key": HIDDEN, "model": "b"}}}
    assert merged(old, without_hidden(sent)) == {
        "llm": {"config": {"api_key": "sk-1", "model": "b"}}
    }


def test_a_text_with_a_hidden_part_is_refused() -> None:
    with pytest.raises(Problem, match="openai_base_url"):
        without_hidden({"llm": {"config": {"openai_base_url": f"https://{HIDDEN}@host"}}})


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"openai_base_url": "http://elsewhere"}},
        {"provider": "anthropic"},
        {"provider": "openai", "config": {"http_client_proxies": "http://elsewhere"}},
    ],
)
def test_a_secret_does_not_go_to_another_address(change: dict[str, Any]) -> None:
    own = {"llm": {"provider": "openai", "config": {"api_key": "sk-1", "model": "m"}}}
    result = merged(own, without_secrets_for_others(own, {"llm": change}))
    assert result["llm"]["config"]["api_key"] is None
    assert result["llm"]["config"]["model"] == "m"
    given = {**change, "config": {**change.get("config", {}), "api_key": "sk-2"}}
    result = merged(own, without_secrets_for_others(own, {"llm": given}))
    assert result["llm"]["config"]["api_key"] == "sk-2"


def test_a_secret_deep_inside_does_not_go_to_another_address() -> None:
    inside = {"azure_endpoint": "https://here", "api_key": "sk-1", "api_version": "1"}
    own = {"llm": {"provider": "azure_openai", "config": {"azure_kwargs": inside}}}
    for change in (
        {"config": {"azure_kwargs": {"azure_endpoint": "https://elsewhere"}}},
        {"config": {"azure_kwargs": inside}, "provider": "openai"},
    ):
        result = merged(own, without_secrets_for_others(own, {"llm": change}))
        kept = result["llm"]["config"]["azure_kwargs"]
        assert kept["api_version"] == "1"
        assert kept["api_key"] == change["config"]["azure_kwargs"].get("api_key")
    same = {"config": {"azure_kwargs": {"api_version": "2"}}}
    result = merged(own, without_secrets_for_others(own, {"llm": same}))
    assert result["llm"]["config"]["azure_kwargs"] == {**inside, "api_version": "2"}
    assert merged(own, without_secrets_for_others(own, {"llm": {"provider": "x", "config": None}}))


def test_another_model_at_the_same_address_keeps_its_key() -> None:
    config = {"api_key": "sk-1", "openai_base_url": "http://here"}
    own = {"llm": {"provider": "openai", "config": config}}
    change = {"llm": {"provider": "openai", "config": {"model": "n", **config, "api_key": HIDDEN}}}
    result = merged(own, without_secrets_for_others(own, without_hidden(change)))
    assert result["llm"]["config"] == {**config, "model": "n"}


def test_an_administrator_sees_and_changes_it(served: Served) -> None:
    client = served.key()
    changed = {"custom_instructions": "Only food.", "llm": {"provider": "mock", "config": {}}}
    assert client.post("/configure", changed).json() == {
        "message": "Configuration set successfully"
    }
    assert client.get("/configure").json()["custom_instructions"] == "Only food."
    assert served.service.memory.custom_instructions == "Only food."


def test_memories_are_still_there_after_a_change(served: Served) -> None:
    client = served.key()
    tea = {"messages": "I like tea", "user_id": "ana", "infer": False}
    client.post("/api/add", tea)
    client.post("/configure", {"custom_instructions": "Only food."})
    client.post("/api/add", {**tea, "messages": "I like rye bread"})
    found = client.get("/memories", params={"user_id": "ana"}).json()["results"]
    assert {each["memory"] for each in found} == {"I like tea", "I like rye bread"}


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"llm": {"provider": "opnai"}}, 400),
        ({"ranking": "best"}, 400),
        ({"vector_store": {"provider": "embedded", "config": {"path": "/tmp/elsewhere.db"}}}, 409),
        ({"history_db_path": "/tmp/elsewhere.db"}, 409),
        ({"profile": "2.2.1"}, 409),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    served: Served, changed: dict[str, Any], status: int
) -> None:
    client, before = served.key(), served.service.memory
    assert client.post("/configure", changed).status_code == status
    assert served.service.memory is before
    assert served.service.changes.read() == {}


HASHES = {"provider": "mock", "config": {"embedding_dims": 32}}


def on(folder: Path, **config: Any) -> dict[str, Any]:
    store = {"provider": "embedded", "config": {"path": str(folder / "m.db")}}
    return {"vector_store": store, "embedder": HASHES, "nlp": {"provider": "none"}, **config}


TEA = {"messages": "I like tea", "user_id": "ana", "infer": False}


@pytest.mark.parametrize(
    "embedder",
    [
        {"provider": "mock", "config": {"embedding_dims": 64}},
        {"config": {"embedding_dims": 8}},
        {"provider": "local", "config": {"embedding_dims": 64}},
        {"provider": "openai", "config": {"api_key": "k", "embedding_dims": 1536}},
        {"provider": "openai", "config": {"api_key": "k", "embedding_dims": 32}},
    ],
)
def test_an_embedder_that_has_not_made_the_vectors_is_refused(
    tmp_path: Path, embedder: dict[str, Any]
) -> None:
    with serving(on(tmp_path), scripted=False) as served:
        client = served.key()
        client.post("/api/add", TEA)
        before = served.service.memory
        refused = client.post("/configure", {"embedder": embedder, "custom_instructions": "x"})
        assert (refused.status_code, refused.json()["code"]) == (409, "CONFIG_003"), refused.text
        assert "isomem reembed" in refused.json()["suggestion"]
        assert served.service.memory is before
        assert served.service.changes.read() == {}
        assert client.get("/configure").json()["embedder"] == HASHES
        client.post("/api/add", {**TEA, "messages": "I like rye bread"})
    with serving(on(tmp_path), scripted=False) as later:
        found = later.key().get("/memories", params={"user_id": "ana"}).json()["results"]
        assert {each["memory"] for each in found} == {"I like tea", "I like rye bread"}


def test_the_embedder_of_an_empty_store_can_be_chosen_while_it_runs(tmp_path: Path) -> None:
    """Every process works with it from then on, and so does the next start."""
    chosen = {"embedder": {"provider": "mock", "config": {"embedding_dims": 64}}}
    with (
        serving(on(tmp_path), scripted=False) as served,
        serving(on(tmp_path), scripted=False) as other,
    ):
        client = served.key()
        assert client.post("/configure", chosen).status_code == 200
        for each in (served, other):
            added = each.key().post("/api/add", {**TEA, "user_id": "u"})
            assert added.status_code == 200, added.text
        found = client.post("/api/search", {"query": "tea", "filters": {"user_id": "u"}})
        assert len(found.json()["results"]) == 2
    with serving(on(tmp_path), scripted=False) as later:
        assert later.key().post("/api/add", TEA).status_code == 200


def test_a_store_in_memory_is_asked_as_well() -> None:
    with serving({"embedder": HASHES}, scripted=False) as served:
        client = served.key()
        client.post("/api/add", TEA)
        change = {"embedder": {"provider": "mock", "config": {"embedding_dims": 64}}}
        assert client.post("/configure", change).status_code == 409
        client.post("/api/reset")
        assert client.post("/configure", change).status_code == 200
        assert client.post("/api/add", TEA).status_code == 200


@pytest.mark.parametrize("change", [{"serve": {"auth": False}}, {"mcp": {"allow_scope": True}},
                                    {"nlp": {"provider": "builtin"}}])  # fmt: skip
def test_what_would_have_no_effect_or_half_of_one_is_refused(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    with serving(on(tmp_path)) as served:
        refused = served.key().post("/configure", change)
        assert (refused.status_code, refused.json()["code"]) == (409, "CONFIG_010")
        assert served.service.changes.read() == {}


def test_a_change_that_cannot_be_kept_changes_nothing(tmp_path: Path) -> None:
    with serving(on(tmp_path), scripted=False) as served:
        client, before = served.key(), served.service.memory
        blocker = apsw.Connection(served.service.keys.path)
        blocker.execute("BEGIN IMMEDIATE")
        changes: Any = served.service.changes
        changes._connection.set_busy_timeout(0)
        change = {"embedder": {"provider": "mock", "config": {"embedding_dims": 64}}}
        assert client.post("/configure", change).status_code == 503
        blocker.close()
        assert served.service.memory is before
        assert served.service.changes.read() == {}
        assert client.post("/api/add", TEA).status_code == 200


def test_a_change_that_keeps_it_from_starting_can_be_discarded(tmp_path: Path) -> None:
    """Such as an embedder that an older version has accepted."""
    config = on(tmp_path)
    with serving(config, scripted=False) as served:
        served.key().post("/api/add", TEA)
        served.service.changes.add({"embedder": {"config": {"embedding_dims": 64}}})
    with pytest.raises(InvalidConfigError) as refused:
        Service(config)
    assert "--discard-changes" in (refused.value.suggestion or "")
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    words = ["serve", "--config", str(file), "--port", "0", "--discard-changes"]
    service._discard_changes(parse(words))
    with serving(config, scripted=False) as served:
        assert served.key().post("/api/add", TEA).status_code == 200


def test_changes_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    names = ("raise_on_llm_error", "dedup_concurrent", "replies", "ranking", "supersede")
    values = (False, False, "tolerant", "fused", "similar")
    with serving(on(tmp_path)) as one, serving(on(tmp_path)) as other:
        key = one.key().headers["X-API-Key"]

        def change(name: str, value: Any) -> None:
            served = other if name in names[::2] else one
            served.service._key(key)
            served.service.configure({name: value})

        threads = [
            threading.Thread(target=change, args=each) for each in zip(names, values, strict=True)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert one.service.changes.read() == dict(zip(names, values, strict=True))


def test_what_another_process_cannot_use_does_not_stop_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(on(tmp_path)) as served:
        client = served.key()
        other = Changes(served.service.keys.path)
        other.add({"llm": {"provider": "nobody"}})
        other.close()
        assert client.post("/api/count", {"filters": {"user_id": "ana"}}).status_code == 200
        assert "nobody" in caplog.text


def test_other_writes_to_the_file_cost_no_new_configuration(tmp_path: Path) -> None:
    with serving(on(tmp_path)) as served:
        client = served.key()
        client.post("/configure", {"custom_instructions": "Only food."})
        client.get("/v1/ping/")
        assert not served.service.changes.may_differ()
        for number in range(3):
            client.post("/api/add", {**TEA, "background": True, "user_id": f"u{number}"})
            assert not served.service.changes.may_differ()


def test_only_administrators_of_everything_may(served: Served) -> None:
    for client in (served.key(rights=["read", "write"]), served.key({"user_id": "ana"})):
        assert client.get("/configure").status_code == 403
        assert client.post("/configure", {}).status_code == 403


def test_a_change_is_kept_and_reaches_other_processes(tmp_path: Path) -> None:
    config = {"vector_store": {"provider": "embedded", "config": {"path": str(tmp_path / "m.db")}}}
    with serving(config) as first, serving(config) as second:
        first.key().post("/configure", {"custom_instructions": "Only food."})
        assert second.key().get("/configure").json()["custom_instructions"] == "Only food."
        assert second.service.memory.custom_instructions == "Only food."
    with serving(config) as later:
        assert later.service.memory.custom_instructions == "Only food."


def test_the_providers_are_listed(served: Served) -> None:
    found = served.key().get("/configure/providers").json()
    assert {"openai", "ollama"} <= set(found["llm"])
    assert {"openai", "local"} <= set(found["embedder"])


@pytest.mark.parametrize(
    ("reply", "instructions", "message"),
    [
        ("INSTRUCTIONS: Food.\nTEST_MESSAGE: I eat.", "Food.", "I eat."),
        ("Just food.", "Just food.", None),
    ],
)
def test_the_model_writes_instructions(
    served: Served, reply: str, instructions: str, message: str | None
) -> None:
    served.llm.reply(reply)
    found = served.key().post("/generate-instructions", {"use_case": "a kitchen"}).json()
    assert found["custom_instructions"] == instructions
    assert found["test_message"] == message or message is None
    assert "a kitchen" in served.llm.calls[0]["messages"][0]["content"]


def test_a_use_case_must_say_something(served: Served) -> None:
    for body in ({}, {"use_case": " "}, {"use_case": 5}):
        assert served.key().post("/generate-instructions", body).status_code == 400
