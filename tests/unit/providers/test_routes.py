"""Proxies and certificates: which are used, and what is said when they cannot be."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomem.errors import (
    ConfigurationError,
    DependencyError,
    InvalidConfigError,
    LLMError,
    NetworkError,
)
from isomem.providers.http import Endpoint
from isomem.providers.registry import create_embedder, create_llm
from isomem.providers.routes import Proxy, _certificates, proxy_for, trust_for
from isomem.providers.sender import LONGEST_REPLY_BYTES
from isomem.providers.settings import Settings
from tests.unit.providers.servers import KEY, Answer, Server, clean_environment, openai, serving

MESSAGES = [{"role": "user", "content": "hi"}]
DEAD = "http://me:hunter22@127.0.0.1:9"
SECRETS = ("hunter22", "bWU6aHVudGVyMjI=")  # the second is what a header has

both_ways = pytest.mark.parametrize("asynchronously", [False, True], ids=["sync", "async"])


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(monkeypatch)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(openai) as server:
        yield server


def ask(url: str, *, asynchronously: bool = False, **options: Any) -> Any:
    llm: Any = create_llm("vllm", {"vllm_base_url": url, "max_retries": 0, **options})
    try:
        if asynchronously:
            return asyncio.run(llm.agenerate_response(MESSAGES))
        return llm.generate_response(MESSAGES)
    finally:
        llm.close()


def shown(error: BaseException | None) -> str:
    """All that a traceback of the error shows."""
    text = ""
    while error is not None:
        text += f"{error} {error!r}\n"
        error = error.__cause__ or error.__context__
    return text


# --- Which proxy -----------------------------------------------------------------------------

HOSTS = ("a.example.com", "example.com", "notexample.com", "localhost", "10.0.0.1", "h.test")
URLS = [f"{scheme}://{host}{port}/v1" for scheme in ("http", "https") for host in HOSTS
        for port in ("", ":8080")]  # fmt: skip
PATTERNS = (
    *("all://", "http://", "https://", "all://example.com", "all://*example.com"),
    *("all://*.example.com", "https://example.com", "all://*", "http://h.test:8080"),
    *("all://localhost", "all://10.0.0.1"),
)


def httpx_proxy(url: str, **options: Any) -> str | None:
    """The port of the proxy that httpx takes, which tells one from another here."""
    with httpx.Client(verify=False, **options) as client:
        pool: Any = client._transport_for_url(httpx.URL(url))._pool  # type: ignore[attr-defined]
        proxy = getattr(pool, "_proxy_url", None)
        return str(proxy.port) if proxy else None


def our_proxy(url: str, configured: Any = None) -> str | None:
    proxy = proxy_for(url, configured)
    return str(httpx.URL(proxy.url).port) if proxy else None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PATTERNS), unique=True), st.sampled_from(URLS))
def test_patterns_choose_the_proxy_that_httpx_chooses(patterns: list[str], url: str) -> None:
    proxies = {pattern: f"http://proxy:{4000 + n}" for n, pattern in enumerate(patterns)}
    mounts = {
        pattern: httpx.HTTPTransport(verify=False, proxy=proxy)
        for pattern, proxy in proxies.items()
    }
    assert our_proxy(url, proxies) == httpx_proxy(url, mounts=mounts, trust_env=False)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(("http_proxy", "HTTPS_PROXY", "ALL_PROXY")), st.none()),
    st.lists(st.sampled_from((*HOSTS, ".example.com", "*", " ", "h.test")), max_size=3),
    st.sampled_from(URLS),
)
def test_the_environment_chooses_the_proxy_that_httpx_chooses(
    variables: dict[str, None], bypassed: list[str], url: str
) -> None:
    if "*" in bypassed:
        bypassed = ["*"]  # Only the standard library and curl read it among others differently.
    ports = {"http_proxy": "4001", "HTTPS_PROXY": "4002", "ALL_PROXY": "4003"}
    with pytest.MonkeyPatch.context() as patched:
        for name in variables:
            patched.setenv(name, f"http://proxy:{ports[name]}")
        patched.setenv("NO_PROXY", ",".join(bypassed))
        assert our_proxy(url) == httpx_proxy(url)


@pytest.mark.parametrize(
    ("listed", "host", "direct"),
    [
        (".example.com", "example.com", False),
        (".example.com", "api.example.com", True),
        ("example.com", "example.com", True),
        (".example.com,example.com", "example.com", True),
        (" .EXAMPLE.com ", "example.com", False),
    ],
)
def test_a_leading_dot_names_the_hosts_below_a_domain(
    monkeypatch: pytest.MonkeyPatch, listed: str, host: str, direct: bool
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy:1")
    monkeypatch.setenv("NO_PROXY", listed)
    assert (proxy_for(f"https://{host}", None) is None) == direct


def test_one_address_is_for_everything_and_goes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy:1")
    monkeypatch.setenv("NO_PROXY", "*")
    proxy = proxy_for("https://h.test", "proxy:2")
    assert proxy is not None
    assert (proxy.url, proxy.source) == ("http://proxy:2", "http_client_proxies")
    assert proxy_for("https://h.test", {"all://h.test": None}) is None


# --- What is said ----------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "option"])
def test_a_dead_proxy_is_named_and_not_the_server(
    monkeypatch: pytest.MonkeyPatch, variable: str, asynchronously: bool
) -> None:
    options = {"http_client_proxies": DEAD} if variable == "option" else {}
    if not options:
        monkeypatch.setenv(variable, DEAD)
    source = "http_client_proxies" if options else variable
    with pytest.raises(NetworkError) as caught:
        ask("http://server.test/v1", asynchronously=asynchronously, **options)
    where = rf"through the proxy http://***@127.0.0.1:9 ({source})"
    assert where in str(caught.value)
    assert source in (caught.value.suggestion or "")
    assert not any(secret in shown(caught.value) for secret in SECRETS)


@both_ways
def test_a_proxy_that_refuses_is_named(
    server: Server, monkeypatch: pytest.MonkeyPatch, asynchronously: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", server.url.replace("://", "://me:hunter22@"))
    with pytest.raises(NetworkError, match=r"the proxy http://\*\*\*@127.*which refused") as caught:
        ask("https://server.test/v1", asynchronously=asynchronously)
    assert not any(secret in shown(caught.value) for secret in SECRETS)


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("socks://127.0.0.1:1080", "socks://, which cannot be used"),
        ("socks4://me:hunter22@h:1", "socks4://, which cannot be used"),
        ("ftp://me:hunter22@h:1", "ftp://, which cannot be used"),
        ("http://", "not the address of a proxy"),
        ("http://me:hunter22@h:99999", "not the address of a proxy"),
        ("http://me:hunter22@h:port", "not the address of a proxy"),
        ("http://me:hunter22@[::1", "not the address of a proxy"),
        ("http://me:hunter22@h\x01/", "not an address that can be used"),
    ],
)
@both_ways
@pytest.mark.parametrize("variable", ["ALL_PROXY", "http_client_proxies"])
def test_an_address_that_is_no_proxy_names_its_variable(
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    address: str,
    fault: str,
    asynchronously: bool,
) -> None:
    options = {variable: address} if variable.islower() else {}
    if not options:
        monkeypatch.setenv(variable, address)
    with pytest.raises(InvalidConfigError, match=variable) as caught:
        ask("http://server.test/v1", asynchronously=asynchronously, **options)
    assert fault in str(caught.value)
    assert not any(secret in shown(caught.value) for secret in SECRETS)


@pytest.mark.parametrize("configured", [7, {"https": "http://h:1"}, {"all://": 7}, ["http://h:1"]])
def test_proxies_of_other_types_are_refused(configured: Any) -> None:
    with pytest.raises(InvalidConfigError, match="http_client_proxies"):
        ask("http://server.test/v1", http_client_proxies=configured)


@pytest.mark.skipif(bool(__import__("importlib").util.find_spec("socksio")), reason="it is there")
@both_ways
def test_a_socks_proxy_names_the_package_that_it_needs(
    monkeypatch: pytest.MonkeyPatch, asynchronously: bool
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://me:hunter22@127.0.0.1:1080")
    with pytest.raises(DependencyError, match=r"ALL_PROXY.*pip install .httpx\[socks\]") as caught:
        ask("https://server.test/v1", asynchronously=asynchronously)
    assert "hunter22" not in shown(caught.value)


@pytest.mark.parametrize("value", ["[::1", "http://[", "a b,,;", "*.x", "\x7f", "127.0.0.1/8"])
def test_any_no_proxy_is_taken(server: Server, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("NO_PROXY", value)
    assert ask(server.url) == "HI"


# --- Certificates ----------------------------------------------------------------------------


def _missing(folder: Path) -> tuple[str, str]:
    return "SSL_CERT_FILE", str(folder / "absent.pem")


def _garbage(folder: Path) -> tuple[str, str]:
    (folder / "garbage.pem").write_text("no certificate")
    return "SSL_CERT_FILE", str(folder / "garbage.pem")


def _folder(folder: Path) -> tuple[str, str]:
    return "SSL_CERT_FILE", str(folder)


def _no_directory(folder: Path) -> tuple[str, str]:
    return "SSL_CERT_DIR", str(folder / "absent")


def _no_log(folder: Path) -> tuple[str, str]:
    return "SSLKEYLOGFILE", str(folder / "absent" / "keys.log")


BAD_CERTIFICATES = [_missing, _garbage, _folder, _no_directory, _no_log]


@both_ways
@pytest.mark.parametrize("made", BAD_CERTIFICATES)
def test_certificates_that_cannot_be_read_name_their_variable(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    made: Callable[[Path], tuple[str, str]],
    asynchronously: bool,
) -> None:
    name, path = made(tmp_path)
    monkeypatch.setenv(name, path)
    with pytest.raises(ConfigurationError) as caught:
        ask("https://127.0.0.1:9/v1", asynchronously=asynchronously)
    assert str(caught.value).startswith(f"{name}, {path}, cannot be used: ")
    assert name in (caught.value.suggestion or "")


def test_default_certificates_that_cannot_be_read_are_called_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise OSError(5, "Input/output error")

    _certificates.cache_clear()
    monkeypatch.setattr("httpx.create_ssl_context", fail)
    with pytest.raises(ConfigurationError) as caught:
        trust_for("https://h.test", None)
    fault = "the default certificates cannot be used: Input/output error"
    assert caught.value.message == fault


@both_ways
@pytest.mark.parametrize("made", BAD_CERTIFICATES)
def test_an_http_address_needs_no_certificates(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    made: Callable[[Path], tuple[str, str]],
    asynchronously: bool,
) -> None:
    monkeypatch.setenv(*made(tmp_path))
    assert ask(server.url, asynchronously=asynchronously) == "HI"


def test_what_needs_no_certificates_trusts_nobody() -> None:
    context = trust_for("http://h.test", None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.get_ca_certs() == []
    assert trust_for("http://h.test", Proxy("https://proxy:1", "x")).get_ca_certs()
    assert trust_for("HTTPS://h.test", None).get_ca_certs()


# --- Redirects -------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_not_followed(
    server: Server, status: int, asynchronously: bool
) -> None:
    with serving(openai) as other:
        target = f"{other.url}/v1/chat/completions?key=1"
        server.always = Answer(status, headers={"Location": target})
        with pytest.raises(NetworkError, match=f"redirects to {other.url}, where nothing"):
            ask(server.url, asynchronously=asynchronously, headers={"X-Auth": "abcdefgh"})
        assert other.seen == []


@both_ways
def test_a_redirect_on_the_same_host_is_followed_with_the_body(
    server: Server, asynchronously: bool
) -> None:
    server.answers = [Answer(307, headers={"Location": "/other"})]
    assert ask(server.url, asynchronously=asynchronously, api_key=KEY) == "HI"
    assert server.seen[1].path == "/other"
    assert server.seen[1].body == server.seen[0].body
    assert server.seen[1].headers["authorization"] == f"Bearer {KEY}"


@both_ways
def test_redirects_in_circles_end(server: Server, asynchronously: bool) -> None:
    server.always = Answer(308, headers={"Location": "/again"})
    with pytest.raises(NetworkError, match="circles"):
        ask(server.url, asynchronously=asynchronously)
    assert len(server.seen) == 6


# --- Replies that cannot be read -------------------------------------------------------------


@both_ways
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_that_cannot_be_decoded_is_a_failed_answer(
    server: Server, coding: str, asynchronously: bool
) -> None:
    server.always = Answer(body=b"no such thing", headers={"Content-Encoding": coding})
    with pytest.raises(LLMError, match="answered something that cannot be decoded"):
        ask(server.url, asynchronously=asynchronously)


@both_ways
def test_a_body_that_is_cut_off_is_a_lost_connection(server: Server, asynchronously: bool) -> None:
    headers = {"Content-Length": "999", "Connection": "close"}
    server.always = Answer(body='{"choices": [', headers=headers)
    with pytest.raises(NetworkError, match="broke off the connection"):
        ask(server.url, asynchronously=asynchronously)


@both_ways
def test_a_body_without_end_is_not_read(
    server: Server, monkeypatch: pytest.MonkeyPatch, asynchronously: bool
) -> None:
    assert LONGEST_REPLY_BYTES > 50 * 2**20
    monkeypatch.setattr("isomem.providers.sender.LONGEST_REPLY_BYTES", 2**20)
    server.always = Answer(body=b" " * (2**20 + 1))
    with pytest.raises(LLMError, match="answered more than 1 MB"):
        ask(server.url, asynchronously=asynchronously)


# --- Addresses and headers -------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["nowhere", "h:1/v1", "http://h:99999", "http://", "http://[::1", "http://h\n", "//h"]
)
@both_ways
def test_an_address_that_is_none_is_a_network_error(url: str, asynchronously: bool) -> None:
    with pytest.raises(NetworkError, match="vllm"):
        ask(url, asynchronously=asynchronously)


@pytest.mark.parametrize("host", ["h:99999", "h:port", "[::1", "http://h:-1"])
@pytest.mark.parametrize("variable", ["OLLAMA_HOST", "ollama_base_url"])
def test_an_ollama_that_is_no_address_names_its_source(
    monkeypatch: pytest.MonkeyPatch, host: str, variable: str
) -> None:
    options = {variable: host} if variable.islower() else {}
    if not options:
        monkeypatch.setenv(variable, host)
    for create in (create_llm, create_embedder):
        with pytest.raises(InvalidConfigError, match=f"{variable} is not an address"):
            create("ollama", options)


@pytest.mark.parametrize(
    "headers",
    [
        *("x", [1], {"": "x"}, {"a b": "x"}, {"é": "x"}, {"a\n": "x"}, {1: "x"}),
        *({"X": "geheim\nY: 1"}, {"X": "geheim\x00"}, {"X": "geheimé"}),
    ],
)
def test_headers_that_cannot_be_sent_are_refused_unseen(headers: Any) -> None:
    with pytest.raises(InvalidConfigError, match="headers") as caught:
        ask("http://server.test", headers=headers)
    assert "geheim" not in shown(caught.value)


@both_ways
def test_headers_of_one_call_are_checked_too(server: Server, asynchronously: bool) -> None:
    llm: Any = create_llm("vllm", {"vllm_base_url": server.url})
    with pytest.raises(InvalidConfigError) as caught:
        if asynchronously:
            asyncio.run(llm.agenerate_response(MESSAGES, extra_headers={"X": "geheimé"}))
        else:
            llm.generate_response(MESSAGES, extra_headers={"X": "geheimé"})
    llm.close()
    assert "geheim" not in shown(caught.value)


def test_an_app_name_that_no_header_can_carry_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_API_BASE", server.url)
    llm: Any = create_llm("openai", {"site_url": "https://x.test", "app_name": "Übung"})
    with pytest.raises(InvalidConfigError, match="X-Title"):
        llm.generate_response(MESSAGES)
    llm.close()


def test_no_printed_object_shows_a_proxys_password() -> None:
    endpoint = Endpoint("p", "m", DEAD, {"A": "abcdefgh"}, 1.0, 0, LLMError, proxies=DEAD)
    proxy = proxy_for("https://h.test", DEAD)
    settings_of = Settings(
        http_client_proxies=DEAD, openai_base_url=DEAD, ollama_base_url="me:hunter22@h:1"
    )
    for thing in (endpoint, proxy, settings_of):
        assert not any(secret in f"{thing} {thing!r}" for secret in SECRETS)


# --- Forks -----------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("asynchronously", [False, True], ids=["sync", "async"])
def test_a_child_does_not_wait_for_a_lock_that_another_thread_held(
    server: Server, asynchronously: bool
) -> None:
    """The lock is held at the fork, as by a thread that the child does not have."""
    llm: Any = create_llm("vllm", {"vllm_base_url": server.url})
    assert llm.generate_response(MESSAGES) == "HI"
    with llm._connection()._connections().lock:
        child = os.fork()
        if not child:
            import signal

            signal.alarm(10)
            reply = (
                asyncio.run(llm.agenerate_response(MESSAGES))
                if asynchronously
                else llm.generate_response(MESSAGES)
            )
            llm.close()
            os._exit(0 if reply == "HI" else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert llm.generate_response(MESSAGES) == "HI"
    llm.close()
    ports = [seen.port for seen in server.seen]
    assert ports[0] == ports[2] != ports[1]
