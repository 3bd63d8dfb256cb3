"""One call, made by upstream's own class and by ours, to a server that records both.

A `Case` is a provider with a configuration that both sides take. `compared` makes a call with
upstream's class, which uses the vendor's SDK, and with ours, blocking and asynchronously. Each
request is recorded: method, path, query, headers and body. Ours must be what upstream's is after
the `Difference`s that the case names; so must the result. A difference that changes nothing is an
error: it would hide the next one.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.unit.providers.servers import Seen, Server, Usual, clean_environment, serving

KEY = "sk-test-0123456789abcdef"

TRANSPORT = {"accept-encoding", "connection", "content-length", "host", "x-amz-date"}
TELEMETRY = ("user-agent", "x-stainless-", "x-fern-", "x-goog-api-client", "amz-sdk-")
"""Headers that are not compared: those of the connection, and what SDKs tell of themselves."""


@dataclass(frozen=True)
class Sent:
    """One request as it is compared."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Made:
    """What came of a call: the requests, and the result or the error."""

    sent: list[Sent]
    result: Any = None
    error: Exception | None = None
    contents: tuple[bytes, ...] = ()


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Difference:
    """One deliberate difference, as docs/providers.md lists it.

    Attributes:
        providers: where it applies, in words.
        mem0: what upstream does.
        isomem: what we do.
        request: turns upstream's request into ours.
        result: turns upstream's result into ours.
    """

    providers: str
    mem0: str
    isomem: str
    request: Callable[[Sent], Sent] = _same
    result: Callable[[Any], Any] = _same


@dataclass(frozen=True)
class Case:
    """A provider and what both sides are configured with.

    "{url}" in a value stands for the address of the recording server.

    Attributes:
        name: the provider.
        usual: the server's answer to a request.
        options: configuration of both sides.
        theirs: further configuration of upstream's class.
        ours: further configuration of ours.
        environment: variables of both sides; many SDKs take their address only from there.
        needs: the package of the SDK; the test is skipped without it.
        differences: those that every call has.
        of_tools: those that a call with tools has in addition.
        same_bytes: whether the bodies are compared as bytes, too, where no difference is named.
        calls: arguments of the calls to compare, if they are not the usual ones.
        mine: the name of our provider, if it is another one.
        make: makes upstream's object if its factory cannot.
        prepare: makes upstream's object ready, such as with a shorter timeout.
        patch: the same for what is shared in the process.
    """

    name: str
    usual: Usual
    options: dict[str, Any] = field(default_factory=dict)
    theirs: dict[str, Any] = field(default_factory=dict)
    ours: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    needs: str = "openai"
    differences: tuple[Difference, ...] = ()
    of_tools: tuple[Difference, ...] = ()
    same_bytes: bool = False
    calls: tuple[dict[str, Any], ...] = ()
    mine: str = ""
    make: Callable[[dict[str, Any]], Any] | None = None
    prepare: Callable[[Any], object] = _same
    patch: Callable[[pytest.MonkeyPatch], object] = _same

    def with_(self, *differences: Difference, **options: Any) -> Case:
        """The same with further options, and the differences that come with them."""
        return replace(
            self,
            options={**self.options, **options},
            differences=(*self.differences, *differences),
        )

    def with_url(self, url: str) -> Case:
        """The same with the address of a server."""
        names = ("options", "theirs", "ours", "environment")
        return replace(self, **{name: _filled(getattr(self, name), url) for name in names})

    def __str__(self) -> str:
        return "-".join([self.name, *(str(value) for value in self.options.values())])[:60]


def _filled(value: Any, url: str) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, url) for key, item in value.items()}
    return value.replace("{url}", url) if isinstance(value, str) else value


@dataclass
class Pair:
    """Both sides of a case, connected to one server."""

    case: Case
    server: Server
    theirs: Any
    mine: Any

    def call_theirs(self, method: str, *args: Any, **kwargs: Any) -> Made:
        """Upstream's own class makes the call."""
        return self._made(getattr(self.theirs, method), args, kwargs)

    def call_mine(self, method: str, *args: Any, **kwargs: Any) -> Made:
        """Ours makes it, blocking."""
        return self._made(getattr(self.mine, method), args, kwargs)

    def acall_mine(self, method: str, *args: Any, **kwargs: Any) -> Made:
        """Ours makes it, in an event loop of its own."""
        native = getattr(self.mine, f"a{method}")
        return self._made(lambda *a, **k: asyncio.run(native(*a, **k)), args, kwargs)

    def _made(self, call: Any, args: Any, kwargs: Any) -> Made:
        self.server.seen.clear()
        try:
            result = call(*copy.deepcopy(args), **copy.deepcopy(kwargs))
        except Exception as error:
            return Made(self._sent(), error=error)
        contents = tuple(seen.content for seen in self.server.seen)
        return Made(self._sent(), result, contents=contents)

    def _sent(self) -> list[Sent]:
        return [sent(seen) for seen in self.server.seen]


def sent(seen: Seen) -> Sent:
    """A request as it is compared."""
    parts = urlsplit(seen.path)
    headers = {
        name: _signer(value) if name == "authorization" else value
        for name, value in seen.headers.items()
        if name not in TRANSPORT and not name.startswith(TELEMETRY)
    }
    body = json.loads(seen.content) if seen.content else None
    return Sent(seen.method, parts.path, parse_qs(parts.query), headers, body)


def _signer(authorization: str) -> str:
    """Of a signature by AWS, who signs for what; the rest depends on the second."""
    scheme, _, rest = authorization.partition(" ")
    if scheme != "AWS4-HMAC-SHA256":
        return authorization
    key, _date, region, service, *_ = rest.partition("=")[2].split(",")[0].split("/")
    return f"{key} {region} {service}"


@cache
def _one_certificate() -> TemporaryDirectory[str]:
    """A folder with one certificate: each SDK's client would read all that there are."""
    import certifi

    first, end, _ = certifi.contents().partition("-----END CERTIFICATE-----\n")
    folder = TemporaryDirectory()
    Path(folder.name, "one.pem").write_text(first + end, "utf-8")
    return folder


@contextmanager
def pair(
    case: Case,
    monkeypatch: pytest.MonkeyPatch,
    make_theirs: Callable[[str, dict[str, Any]], Any],
    make_mine: Callable[[str, dict[str, Any]], Any],
) -> Iterator[Pair]:
    """Both sides, connected to a recording server; closed afterwards."""
    pytest.importorskip(case.needs)
    clean_environment(monkeypatch)
    monkeypatch.setenv("MEM0_TELEMETRY", "False")
    monkeypatch.setenv("SSL_CERT_FILE", f"{_one_certificate().name}/one.pem")
    with serving(case.usual) as server:
        filled = case.with_url(server.url)
        for name, value in filled.environment.items():
            monkeypatch.setenv(name, value)
        given = {**filled.options, **filled.theirs}
        theirs = case.make(given) if case.make else make_theirs(case.name, given)
        case.prepare(theirs)
        case.patch(monkeypatch)
        mine = make_mine(case.mine or case.name, {**filled.options, **filled.ours})
        try:
            yield Pair(filled, server, theirs, mine)
        finally:
            getattr(mine, "close", lambda: None)()
            getattr(getattr(theirs, "client", None), "close", lambda: None)()


def compared(pair: Pair, method: str, *args: Any, **kwargs: Any) -> Made:
    """Makes a call on all three sides, and asserts that ours are as upstream's is.

    Args:
        pair: both sides.
        method: what is called; ours also has it with an "a" before its name.
        *args: its arguments.
        **kwargs: its arguments.

    Returns:
        What upstream made of it.
    """
    theirs = pair.call_theirs(method, *args, **kwargs)
    assert theirs.error is None, theirs.error
    of_tools = pair.case.of_tools if kwargs.get("tools") else ()
    differences = (*pair.case.differences, *of_tools)
    expected = changed(theirs, differences)
    for mine in ours(pair, method, *args, **kwargs):
        assert mine.sent == expected.sent
        assert mine.result == expected.result
        if pair.case.same_bytes and not differences:
            assert mine.contents == theirs.contents
    return theirs


def ours(pair: Pair, method: str, *args: Any, **kwargs: Any) -> list[Made]:
    """What ours makes of a call, blocking and asynchronously; it must succeed."""
    both = [pair.call_mine(method, *args, **kwargs), pair.acall_mine(method, *args, **kwargs)]
    for mine in both:
        assert mine.error is None, mine.error
    return both


def changed(theirs: Made, differences: tuple[Difference, ...]) -> Made:
    """What we are to make of it. Asserts that each difference is one."""
    for each in differences:
        after = Made([each.request(one) for one in theirs.sent], each.result(theirs.result))
        assert after != theirs, f"no difference any more: {each.mem0}"
        theirs = after
    return theirs
