"""A key or a password is in nothing that is shown, logged or pickled, wherever it was written."""

from __future__ import annotations

import base64
import logging
import pickle
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from isomem import AuthenticationError, InvalidConfigError
from isomem.errors import MemoryError
from isomem.providers.registry import EMBEDDERS, LLMS, Kind, create_embedder, create_llm
from isomem.reference import table_in
from tests.unit.providers.chats import anthropic
from tests.unit.providers.clouds import (
    NO_BEARER,
    access,
    account,
    bedrock,
    gemini,
    is_installed,
    token_server,
    vertexai,
)
from tests.unit.providers.servers import (
    KEY,
    Answer,
    Server,
    clean_environment,
    ollama,
    openai,
    serving,
)

PASSWORD = "geheim-77"
MESSAGES = [{"role": "user", "content": "I moved to Lisbon."}]
NAMES = [
    (section, kind, name)
    for section, kind in (("llm", LLMS), ("embedder", EMBEDDERS))
    for name in sorted(kind.builtin)
    if "headers" in {option.name for option in table_in(section, name) or ()}
]
PARTS = [
    pytest.param(
        kind,
        name,
        id=f"{section}-{name}",
        marks=[] if is_installed(name) else pytest.mark.skip("its libraries are not installed"),
    )
    for section, kind, name in NAMES
]
BEARERS = [
    pytest.param(kind, name, id=f"{section}-{name}")
    for section, kind, name in NAMES
    if name not in NO_BEARER
]
PROTOCOLS = {
    "anthropic": anthropic,
    "aws_bedrock": bedrock,
    "gemini": gemini,
    "ollama": ollama,
    "vertexai": vertexai,
}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(monkeypatch)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    with ExitStack() as stack:
        made = {name: stack.enter_context(serving(PROTOCOLS[name])) for name in PROTOCOLS}
        made["openai"] = stack.enter_context(serving(openai))
        if is_installed("vertexai"):
            tokens = stack.enter_context(token_server([KEY]))
            files.append(str(account(tmp_path_factory.mktemp("google"), tokens)))
        yield made


files = [""]
"""The last one has an account of Google, whose token is the key."""


def at(name: str, url: Any) -> dict[str, Any]:
    return access(name, url, file=files[-1])


def of(servers: dict[str, Server], name: str) -> Server:
    server = servers.get(name, servers["openai"])
    server.forget()
    return server


def call(kind: Kind, name: str, options: dict[str, Any]) -> Any:
    """Makes a provider and calls it once; the provider."""
    part: Any = (create_llm if kind is LLMS else create_embedder)(name, options)
    try:
        part.generate_response(MESSAGES) if kind is LLMS else part.embed("tea")
    finally:
        part.close()
    return part


def failure(kind: Kind, name: str, options: dict[str, Any]) -> MemoryError:
    with pytest.raises(MemoryError) as caught:
        call(kind, name, {"api_key": KEY, "max_retries": 0, **options})
    return caught.value


def shown(error: MemoryError) -> str:
    """All that anybody can come to see of an error, its causes included."""
    trace = traceback.TracebackException.from_exception(error)
    lines: list[str] = []
    seen: traceback.TracebackException | None = trace
    while seen is not None:
        lines += seen.format_exception_only()
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\n".join([*lines, repr(error), repr(vars(error)), pickle.dumps(error).decode("latin1")])


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_a_password_in_an_address_is_sent_and_not_logged(
    kind: Kind, name: str, servers: dict[str, Server], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = of(servers, name)
    url = server.url.replace("://", f"://ana:{PASSWORD}%2F@")
    part = call(kind, name, at(name, url))
    sent = base64.b64encode(f"ana:{PASSWORD}/".encode()).decode()
    assert [seen.headers["authorization"] for seen in server.seen] == [f"Basic {sent}"]
    assert PASSWORD not in caplog.text
    assert PASSWORD not in repr(part)


@pytest.mark.parametrize("way", ["http://{}", "http://ana:{}@127.0.0.1:1", "ana:{}@127.0.0.1:1",
                                 "ftp://ana:{}@127.0.0.1:1", "http://ana:{}@127.0.0.1:port",
                                 "http://ana:{}/x@127.0.0.1:1", "http://ana:{}#x@127.0.0.1:1",
                                 "http://ana:{}?x@127.0.0.1:1", "ana:{}/x@127.0.0.1:1",
                                 "http://ana:{} @127.0.0.1:1", "http://ana:{}\\@127.0.0.1:1",
                                 "http://{}@127.0.0.1:1", "http://ana:{}@[::bad"])  # fmt: skip
@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_a_password_in_an_address_that_fails_is_not_shown(
    kind: Kind, name: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = PASSWORD if "@" in way else "127.0.0.1:1"
    error = failure(kind, name, at(name, way.format(secret)))
    assert PASSWORD not in shown(error)
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_an_address_with_an_unquoted_password_is_not_taken_for_another_one(
    kind: Kind, name: str, servers: dict[str, Server]
) -> None:
    server = of(servers, name)
    url = server.url.replace("://", f"://ana:{PASSWORD}/x@")
    error = failure(kind, name, at(name, url))
    assert not server.seen
    assert PASSWORD not in shown(error)


@pytest.mark.parametrize("headers", [
    {f"Authorization: Bearer {KEY}": ""}, {f"X-Key={KEY}": "1"}, {"X": f"{KEY}é"}, {"X": [KEY]},
    [("X", KEY)], f"X: {KEY}",
])  # fmt: skip
@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_a_key_in_wrong_headers_is_not_shown(kind: Kind, name: str, headers: Any) -> None:
    error = failure(kind, name, {**at(name, "http://127.0.0.1:9"), "headers": headers})
    assert isinstance(error, InvalidConfigError)
    assert KEY not in shown(error)


@pytest.mark.parametrize(("option", "value"), [
    ("model", {"name": "m", "api_key": KEY}),
    ("model", [{"api_key": KEY}]),
    ("{}_base_url", [f"http://ana:{KEY}@host"]),
    ("{}_base_url", (f"ana:{KEY}@host",)),
])  # fmt: skip
@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_a_key_inside_a_value_of_a_wrong_type_is_not_shown(
    kind: Kind, name: str, option: str, value: Any
) -> None:
    error = failure(kind, name, {"api_key": "another", option.format(name): value})
    assert isinstance(error, InvalidConfigError)
    assert KEY not in shown(error)


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_a_refused_key_that_the_server_repeats_is_not_shown(
    kind: Kind, name: str, servers: dict[str, Server], caplog: pytest.LogCaptureFixture
) -> None:
    server = of(servers, name)
    server.always = Answer(401, {"error": {"message": f"Incorrect API key: {KEY}"}})
    error = failure(kind, name, at(name, server.url))
    assert isinstance(error, AuthenticationError)
    assert KEY not in shown(error)
    assert KEY not in caplog.text


# --- Headers and addresses in another form -----------------------------------------------------


@pytest.mark.parametrize("spelling", ["Authorization", "authorization", "AUTHORIZATION"])
@pytest.mark.parametrize(("kind", "name"), BEARERS)
def test_a_header_is_sent_once_however_it_is_spelt(
    kind: Kind,
    name: str,
    spelling: str,
    servers: dict[str, Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[httpx.Headers] = []
    send = httpx.Client.send

    def noting(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        sent.append(request.headers)
        return send(client, request, **options)

    monkeypatch.setattr(httpx.Client, "send", noting)
    headers = {spelling: "Token t", "user-agent": "mine", "X-Own": "1"}
    url = of(servers, name).url
    call(kind, name, {**at(name, url), "headers": headers})
    assert sent[0].get_list("authorization") == [f"Bearer {KEY}"]
    assert sent[0].get_list("user-agent") == ["mine"]


class Address:
    """As pydantic's `HttpUrl` and yarl's `URL` are: no str, and written out by `str`."""

    def __init__(self, text: str) -> None:
        self.scheme, self.host, self._text = "http", "127.0.0.1", text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Address({self._text!r})"


@pytest.mark.parametrize("make", [httpx.URL, Address])
@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_an_address_may_be_an_object_as_openais_library_takes_it(
    kind: Kind, name: str, make: Any, servers: dict[str, Server]
) -> None:
    server = of(servers, name)
    url = make(server.url.replace("://", f"://ana:{PASSWORD}@"))
    part = call(kind, name, at(name, url))
    assert len(server.seen) == 1
    assert PASSWORD not in repr(part)
