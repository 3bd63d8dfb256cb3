"""What proves who asks where a fixed key does not: signatures and tokens that expire."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from isomem.errors import (
    AuthenticationError,
    DependencyError,
    InvalidConfigError,
    LLMError,
    NetworkError,
)
from isomem.providers import azure, bedrock, google
from isomem.providers.http import Endpoint, Request
from isomem.providers.sender import Sender
from tests.unit.providers.clouds import account, token_server
from tests.unit.providers.servers import Answer, Seen, Server, clean_environment, serving

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(monkeypatch)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(lambda seen: {"path": seen.path}) as running:
        yield running


class Counter:
    """Proves itself by a number that is used once."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes]] = []

    def __call__(self, url: str, content: bytes) -> dict[str, str]:
        self.calls.append((url, content))
        return {"Authorization": f"Number {len(self.calls)}-secret"}

    def secrets(self) -> list[str]:
        return [f"{len(self.calls)}-secret"]


_open: list[Sender] = []


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    """Closes what `sender` makes."""
    yield
    while _open:
        _open.pop().close()


def sender(server: Server, authorize: Any) -> Sender:
    endpoint = Endpoint(
        provider="p",
        model="m",
        base_url=server.url,
        headers={"Authorization": "Bearer fixed"},
        timeout_s=5,
        max_retries=1,
        failure=LLMError,
        authorize=authorize,
    )
    _open.append(Sender(endpoint))
    return _open[-1]


async def send_and_close(through: Sender, request: Request) -> None:
    await through.asend(request)
    await through.aclose()


def test_every_attempt_is_authorized_anew_with_what_is_sent(server: Server) -> None:
    for way in ("send", "asend"):
        server.forget()
        server.answers = [Answer(503, headers={"Retry-After": "0"})]
        counter = Counter()
        through, request = sender(server, counter), Request("/a/b", {"x": "é"})
        if way == "send":
            through.send(request)
        else:
            asyncio.run(send_and_close(through, request))
        assert [seen.headers["authorization"] for seen in server.seen] == [
            "Number 1-secret",
            "Number 2-secret",
        ]
        assert counter.calls == [(f"{server.url}/a/b", '{"x":"é"}'.encode())] * 2


def test_what_an_authorizer_has_sent_is_in_no_error(server: Server) -> None:
    server.always = Answer(401, "no such number: 1-secret")
    with pytest.raises(AuthenticationError, match=r"no such number: \*\*\*"):
        sender(server, Counter()).send(Request("/", {}))


# --- Bedrock ---------------------------------------------------------------------------------


def signed_as(seen: Seen, host: str, secret: str) -> str:
    """The signature that a request must have, by the rules of AWS's Signature Version 4."""
    words = dict(
        part.split("=", 1) for part in seen.headers["authorization"].split(" ", 1)[1].split(", ")
    )
    day, region, service, end = words["Credential"].split("/")[1:]
    names = words["SignedHeaders"].split(";")
    values = {**seen.headers, "host": host}
    target = urlsplit(seen.path)
    canonical = "\n".join(
        [
            "POST",
            quote(target.path, safe="/~"),
            target.query,
            *(f"{name}:{values[name]}" for name in names),
            "",
            words["SignedHeaders"],
            hashlib.sha256(seen.content).hexdigest(),
        ]
    )
    to_sign = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            seen.headers["x-amz-date"],
            f"{day}/{region}/{service}/{end}",
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, end):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    "model",
    ["amazon.titan-embed-text-v1", "cohere.embed:0", "arn:aws:bedrock:eu-west-1:1:p/us.x y"],
)
def test_a_signature_is_the_one_that_aws_computes(server: Server, model: str) -> None:
    pytest.importorskip("botocore")
    signature = bedrock.authorizer(
        "aws_bedrock",
        "eu-west-1",
        server.url,
        access_key_id="AKIDEXAMPLE",
        secret_access_key=SECRET,
        session_token="temporary-token",
    )
    sender(server, signature).send(Request(bedrock.path(model, "invoke"), {"inputText": "é"}))
    (seen,) = server.seen
    said = seen.headers["authorization"]
    assert "Credential=AKIDEXAMPLE/" in said
    assert "/eu-west-1/bedrock/aws4_request" in said
    assert seen.headers["x-amz-security-token"] == "temporary-token"
    host = server.url.removeprefix("http://")
    assert said.rpartition("Signature=")[2] == signed_as(seen, host, SECRET)


def test_credentials_are_found_where_aws_looks(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("botocore")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    files = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(files))
    with pytest.raises(AuthenticationError, match="no usable AWS credentials: none were found"):
        sender(server, bedrock.authorizer("b", "r", server.url)).send(Request("/", {}))
    files.write_text(
        f"[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = {SECRET}\n"
        f"[other]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = {SECRET}\n",
        encoding="utf-8",
    )
    for profile, key in ((None, "AKIDFILE"), ("other", "AKIDOTHER")):
        server.forget()
        found = bedrock.authorizer("b", "r", server.url, profile=profile)
        sender(server, found).send(Request("/", {}))
        assert f"Credential={key}/" in server.seen[0].headers["authorization"]
    with pytest.raises(AuthenticationError, match="nobody"):
        missing = bedrock.authorizer("b", "r", server.url, profile="nobody")
        sender(server, missing).send(Request("/", {}))


def test_one_half_of_the_credentials_is_not_enough() -> None:
    with pytest.raises(InvalidConfigError, match="both halves"):
        bedrock.authorizer("b", "r", "https://x", access_key_id="AKID")


def test_a_bedrock_key_is_sent_over_https_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bearer-secret")
    token = bedrock.authorizer("b", "r", "https://x")
    assert token("https://x", b"") == {"Authorization": "Bearer bearer-secret"}
    assert token.secrets() == ["bearer-secret"]
    with pytest.raises(InvalidConfigError, match="over https only") as caught:
        bedrock.authorizer("b", "r", "http://x")
    assert "bearer-secret" not in str(caught.value)


@pytest.mark.parametrize("odd", ["bearer\nsecret", "bearer-sécret", "bearer\x7fsecret"])
def test_a_token_that_cannot_be_sent_is_refused_without_being_shown(
    odd: str, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    """httpx's own error, which would be the cause, shows the header."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", odd)
    with pytest.raises(InvalidConfigError, match="AWS_BEARER_TOKEN_BEDROCK") as refused:
        bedrock.authorizer("b", "r", "https://x")

    class Odd(Counter):
        def __call__(self, url: str, content: bytes) -> dict[str, str]:
            return {"X-Amz-Security-Token": odd}

    with pytest.raises(InvalidConfigError, match="X-Amz-Security-Token") as unsent:
        sender(server, Odd()).send(Request("/", {}))
    for caught in (refused.value, unsent.value):
        assert caught.__cause__ is None
        assert not any(shown in f"{caught!r} {vars(caught)}" for shown in (odd, repr(odd)[1:-1]))
    assert not server.seen


def test_white_space_around_a_token_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bearer-secret\n")
    token = bedrock.authorizer("b", "r", "https://x")
    assert token("https://x", b"") == {"Authorization": "Bearer bearer-secret"}


def test_where_bedrock_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bedrock.address(None, "eu-west-1") == "https://bedrock-runtime.eu-west-1.amazonaws.com"
    assert bedrock.address("", "cn-north-1").endswith(".amazonaws.com.cn")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://all")
    assert bedrock.address(None, "r") == "https://all"
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "https://own")
    assert bedrock.address(None, "r") == "https://own"
    assert bedrock.address("https://configured", "r") == "https://configured"


# --- Azure -----------------------------------------------------------------------------------

KWARGS = {"azure_endpoint": "https://e/", "api_version": "v1", "api_key": "k-azure"}


def test_a_deployment_is_named_by_the_config_then_the_environment_then_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = azure.Deployment("a", {**KWARGS, "azure_deployment": "d"}, "LLM", "m")
    assert made.base_url == "https://e/openai/deployments/d"
    assert made.query == {"api-version": "v1"}
    assert made.headers == {"api-key": "k-azure"}
    assert made.authorizer is None
    assert azure.Deployment("a", KWARGS, "LLM", "m").base_url.endswith("/deployments/m")
    for name, value in {
        "LLM_AZURE_DEPLOYMENT": "env",
        "LLM_AZURE_ENDPOINT": "https://f",
        "LLM_AZURE_API_VERSION": "v2",
        "LLM_AZURE_OPENAI_API_KEY": "k-env",
    }.items():
        monkeypatch.setenv(name, value)
    made = azure.Deployment("a", None, "LLM", "m")
    assert made.base_url == "https://f/openai/deployments/env"
    assert (made.query, made.headers) == ({"api-version": "v2"}, {"api-key": "k-env"})


@pytest.mark.parametrize("missing", ["azure_endpoint", "api_version"])
def test_what_a_deployment_lacks_is_named(missing: str) -> None:
    given = {name: value for name, value in KWARGS.items() if name != missing}
    with pytest.raises(InvalidConfigError, match=f"{missing}: set LLM_AZURE_"):
        azure.Deployment("a", given, "LLM", "m")
    with pytest.raises(InvalidConfigError, match="azure_deployment: set LLM_AZURE_DEPLOYMENT"):
        azure.Deployment("a", KWARGS, "LLM", None)


def test_the_sdks_own_variables_count_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://sdk")
    monkeypatch.setenv("OPENAI_API_VERSION", "v-sdk")
    made = azure.Deployment("a", {"api_key": "k"}, "LLM", "m")
    assert made.base_url.startswith("https://sdk/")
    assert made.query == {"api-version": "v-sdk"}


def test_an_unknown_key_of_azure_is_passed_over_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    azure.Deployment("a", {**KWARGS, "api_verison": "x"}, "LLM", "m")
    assert "unknown key, 'api_verison', ignored; did you mean 'api_version'?" in caplog.text


@pytest.mark.parametrize("key", [None, "", "your-api-key"])
def test_without_a_key_azure_is_asked_for_a_token(
    key: str | None, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = pytest.importorskip("azure.identity")

    class Static:
        """Credentials that need no network."""

        def get_token(self, *scopes: str, **_: Any) -> Any:
            assert scopes == (azure.SCOPE,)
            return SimpleNamespace(token="token-of-azure", expires_on=2**40, refresh_on=None)

        def get_token_info(self, *scopes: str, **_: Any) -> Any:
            return self.get_token(*scopes)

    monkeypatch.setattr(identity, "DefaultAzureCredential", Static)
    made = azure.Deployment("a", {**KWARGS, "api_key": key}, "LLM", "m")
    assert made.headers == {}
    sender(server, made.authorizer).send(Request("/", {}))
    assert server.seen[0].headers["authorization"] == "Bearer token-of-azure"
    assert made.authorizer is not None
    assert made.authorizer.secrets() == ["token-of-azure"]


def test_azure_without_any_credentials_says_what_to_do(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = pytest.importorskip("azure.identity")
    # The real one asks the machine's metadata server and command-line tools, one after the other.
    environment = identity.EnvironmentCredential
    monkeypatch.setattr(identity, "DefaultAzureCredential", environment)
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    made = azure.Deployment("a", {**KWARGS, "api_key": ""}, "LLM", "m")
    with pytest.raises(AuthenticationError, match="Azure gives no token") as caught:
        sender(server, made.authorizer).send(Request("/", {}))
    assert "az login" in str(caught.value.suggestion)


# --- Google ----------------------------------------------------------------------------------


def test_a_service_account_gets_a_token_and_renews_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with token_server(["ya29.first", "ya29.second"]) as url:
        file = account(tmp_path, url)
        made = google.Credentials("vertexai", str(file))
        assert made.project() == "project-1"
        for_google = sender(server, made)
        for_google.send(Request("/", {}))
        for_google.send(Request("/", {}))
        credentials = made._loaded()[0]
        credentials.expiry = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(hours=1)
        for_google.send(Request("/", {}))
    said = [seen.headers["authorization"] for seen in server.seen]
    assert said == ["Bearer ya29.first", "Bearer ya29.first", "Bearer ya29.second"]
    assert made.secrets() == ["ya29.second"]


def test_google_that_cannot_be_asked_is_an_authentication_error(
    server: Server, tmp_path: Path
) -> None:
    made = google.Credentials("vertexai", str(account(tmp_path, "http://127.0.0.1:9/token")))
    with pytest.raises((AuthenticationError, NetworkError), match="Google gives no token"):
        sender(server, made).send(Request("/", {}))


def test_a_file_that_holds_no_credentials_is_named(tmp_path: Path) -> None:
    pytest.importorskip("google.auth")
    file = tmp_path / "x.json"
    for content in ('{"type": "service_account"}', "{", "[]"):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(AuthenticationError, match="no usable Google credentials"):
            google.Credentials("vertexai", str(file)).project()


def test_a_path_without_a_file_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("google.auth")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account(tmp_path, "http://x")))
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    made = google.Credentials("vertexai", "nowhere.json")
    assert "there is no file nowhere.json" in caplog.text
    assert made.project() == "project-1"


# --- Extras ----------------------------------------------------------------------------------


def test_a_library_that_is_not_installed_is_named_with_the_command() -> None:
    from isomem.providers.extras import require

    require("json.decoder", "x", "y")
    for module in ("no_such_package", "no_such_package.inner"):
        with pytest.raises(DependencyError, match=rf'y needs {module}.*pip install "isomem\[x\]"'):
            require(module, "x", "y")
