"""What to send to a provider, when to send it again, and what its replies mean.

`attempts` decides: it yields what to send or how long to wait, receives the outcome, and finally
returns the answer or raises. `sender.Sender` performs these steps, blocking or asynchronously.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

import httpx

from isomem.causes import retry_after
from isomem.errors import (
    AuthenticationError,
    LLMError,
    NetworkError,
    ProviderError,
    RateLimitError,
)
from isomem.providers.answers import complaint
from isomem.providers.refusals import STATUSES, Refusal
from isomem.providers.routes import Proxy
from isomem.providers.settings import passwords, redact

LONGEST_BACKOFF_S = 8.0
LONGEST_RETRY_AFTER_S = 60.0
CONNECT_TIMEOUT_S = 10.0
_EXCERPT = 500
PROMPT_TOKENS = 8600
"""Length of the prompt of an inferred add, in tokens of a small model's vocabulary."""


class Authorizer(Protocol):
    """Makes the headers that prove who asks, where a fixed key does not."""

    def __call__(self, url: str, content: bytes) -> Mapping[str, str]:
        """The headers for one attempt to send `content` to `url`. It may wait for the network.

        Raises:
            AuthenticationError: there are no credentials, or they cannot be renewed.
        """
        ...

    def secrets(self) -> list[str]:
        """What it has put into headers, and what it was made from."""
        ...


@dataclass(frozen=True)
class Endpoint:
    """Where a provider is, how long to wait for it, and how errors name it.

    Attributes:
        provider: its name in the configuration.
        model: the model's name.
        base_url: what the path of each request is appended to.
        headers: sent with every request, including the key.
        timeout_s: longest wait for an answer, in seconds.
        max_retries: how often a failed request is sent again.
        failure: raised when no more specific error fits.
        proxies: a proxy's address, or one per URL pattern.
        advice: suggestions by HTTP status; 0 stands for "cannot be reached".
        authorize: makes further headers for each attempt, such as a signature.
        retry_within_s: how long after the start of a call a request may be sent again.
        amend: given a request and the answer that refuses it (JSON or text), returns the request
            without what is refused; None if it cannot. What it returns must be smaller, so that
            this comes to an end.
    """

    provider: str
    model: str
    base_url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    timeout_s: float
    max_retries: int
    failure: type[ProviderError]
    proxies: str | dict[str, str] | None = field(default=None, repr=False)
    advice: dict[int, str] = field(default_factory=dict)
    authorize: Authorizer | None = field(default=None, repr=False)
    retry_within_s: float = 120.0
    amend: Callable[[Request, object], Request | None] = field(
        default=lambda _request, _answer: None, repr=False
    )

    def url(self, path: str) -> str:
        """The full address of `path`."""
        return self.base_url.rstrip("/") + path

    def secrets(self) -> list[str]:
        """What a server might echo but nobody else may see."""
        headers = [part for value in self.headers.values() for part in (value, *value.split()[-1:])]
        own = self.authorize.secrets() if self.authorize else []
        return [*headers, *own, *passwords(self.base_url), *passwords(self.proxies)]

    def malformed(self, missing: str, answer: object) -> ProviderError:
        """The error for an answer that does not have the agreed shape.

        Some servers answer with status 200 and put the error into the answer.
        """
        failure = answer.get("error") if isinstance(answer, dict) else None
        if not failure:
            return self.error(f"answered without {missing}", status=200)
        said = _shortened(self, complaint(failure) or json.dumps(failure))
        kind = _KINDS.get(failure.get("code")) if isinstance(failure, dict) else None
        return self.error(f"answered with status 200 and an error: {said}", kind, status=200)

    def redirected(self, origin: str) -> ProviderError:
        """The error for a server that redirects to another one."""
        fault = f"redirects to {origin}, where nothing was sent"
        advice = "Name that address as the base_url, if it is the right one"
        return self.error(fault, NetworkError, suggestion=advice)

    def error(
        self,
        fault: str,
        kind: type[ProviderError] | None = None,
        status: int | None = None,
        debug_info: dict[str, float | str | None] | None = None,
        suggestion: str | None = None,
    ) -> ProviderError:
        """An error that names the provider, the model and the HTTP status, if there was one."""
        kind = kind or self.failure
        fault = redact(fault, self.secrets())
        return kind(
            f"{self.provider} (model {self.model!r}) {fault}",
            details={"provider": self.provider, "model": self.model, "status": status},
            suggestion=suggestion or self.advice.get(status or 0) or _ADVICE.get(kind),
            debug_info=debug_info,
        )


_KINDS: dict[object, type[ProviderError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    429: RateLimitError,
}
"""Our errors by HTTP status."""

_ADVICE: dict[type[ProviderError], str] = {
    AuthenticationError: "Check the API key, in the configuration or in the environment",
    RateLimitError: "Wait before sending more, or raise max_retries",
    NetworkError: "Check the address and the network, or raise timeout_s",
}


@dataclass(frozen=True)
class Request:
    """One POST of JSON: a path below the endpoint's address, and what overrides its defaults.

    `refused` is what the server has refused so far, and the body does not have any more.
    """

    path: str
    body: dict[str, object]
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] | None = None
    timeout_s: object = None
    refused: list[Refusal] = field(default_factory=list, repr=False, compare=False)

    def with_body(self, body: dict[str, object]) -> Request:
        """The same request with another body; itself if the body is its own.

        Both share `refused`, so the first knows what was left out of the last.
        """
        return self if body is self.body else replace(self, body=body)


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    headers: httpx.Headers
    body: bytes


@dataclass(frozen=True)
class Pause:
    """Wait this long."""

    seconds: float


Failure = httpx.RequestError | httpx.InvalidURL


@dataclass(frozen=True)
class Broken:
    """Why no reply came; `proxy` is where the request went first."""

    failure: Failure
    proxy: Proxy | None = None


Outcome = Reply | Broken | None
Attempts = Generator[Request | Pause, Outcome, object]


def attempts(
    endpoint: Endpoint,
    request: Request,
    chance: Callable[[], float] = random.random,
    clock: Callable[[], float] = time.monotonic,
) -> Attempts:
    """Decides what to do, one step at a time.

    Args:
        endpoint: the provider.
        request: what to send.
        chance: returns numbers from 0 to 1, to spread out retries.
        clock: returns a time in seconds.

    Yields:
        The request, or a `Pause`. For the request it expects the `Reply` or a `Broken`. A request
        that the server refuses because of a parameter is followed by one without it.

    Returns:
        The JSON of the answer.

    Raises:
        AuthenticationError: status 401 or 403.
        RateLimitError: status 429, after the retries.
        NetworkError: nothing answered in time, after the retries.
        LLMError, EmbeddingError: any other failure; the endpoint names which of the two.
    """
    last, retries = clock() + endpoint.retry_within_s, 0
    while True:
        outcome = yield request
        if isinstance(outcome, Reply) and 200 <= outcome.status < 300:
            return _json(endpoint, outcome)
        if amended := _amended(endpoint, request, outcome):
            request = amended
            continue
        seconds = _pause(outcome, retries, chance)
        if seconds is None or retries == endpoint.max_retries or clock() + seconds > last:
            raise refused(endpoint, outcome)
        retries += 1
        yield Pause(seconds)


def _amended(endpoint: Endpoint, request: Request, outcome: Outcome) -> Request | None:
    """The request without what the server refuses; None if it does not say that."""
    if not isinstance(outcome, Reply) or outcome.status not in STATUSES:
        return None
    text = redact(outcome.body.decode("utf-8", "replace"), endpoint.secrets())
    answer: object = text
    with suppress(ValueError, RecursionError):
        answer = json.loads(text)
    return endpoint.amend(request, answer)


def _json(endpoint: Endpoint, reply: Reply) -> object:
    try:
        answer: object = json.loads(reply.body)
    except (ValueError, RecursionError):
        # No cause: it would hold the whole body, in which a server may echo a key.
        raise endpoint.error(
            f"answered something that is not JSON: {_excerpt(endpoint, reply.body)}",
            status=reply.status,
        ) from None
    return answer


def backoff(retries: int, chance: Callable[[], float]) -> float:
    """How long to wait before sending again if the server does not say, in seconds."""
    return min(LONGEST_BACKOFF_S, 0.5 * 2.0**retries) * (1 - chance() / 2)


def _pause(outcome: Outcome, retries: int, chance: Callable[[], float]) -> float | None:
    """How long to wait before sending again, in seconds; None if it would be pointless."""
    step = backoff(retries, chance)
    if not isinstance(outcome, Reply):
        return step if outcome and is_passing(outcome.failure) else None
    if outcome.status not in {408, 429} and outcome.status < 500:
        return None
    wanted = retry_after(outcome.headers)
    if wanted is None:
        return step
    return wanted if wanted <= LONGEST_RETRY_AFTER_S else None


def is_passing(failure: Failure) -> bool:
    """Whether the failure may be temporary."""
    mistakes = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
    return isinstance(failure, httpx.TransportError) and not isinstance(failure, mistakes)


def refused(endpoint: Endpoint, outcome: Outcome) -> ProviderError:
    """The error for an outcome that is not an answer."""
    if isinstance(outcome, Reply):
        said = _excerpt(endpoint, outcome.body)
        kind, advice = _KINDS.get(outcome.status), _for_a_short_context(endpoint, said)
        fault = f"answered with status {outcome.status}: {said}"
        return endpoint.error(fault, kind, outcome.status, _wait(outcome), advice)
    broken = outcome or Broken(httpx.RequestError("nothing came of it"))
    error = explained(endpoint, broken)
    error.__cause__ = broken.failure
    return error


_SHORT_CONTEXT = re.compile(
    r"context (length|size|window)|model length|prompt is too long|reduce the length|token count",
    re.IGNORECASE,
)
"""How servers say that a prompt is longer than what their model reads."""


def _for_a_short_context(endpoint: Endpoint, said: str) -> str | None:
    """What to do if a language model cannot read so long a prompt; None if that is not it."""
    if endpoint.failure is not LLMError or not _SHORT_CONTEXT.search(said):
        return None
    return (
        f"Give the model a longer context: an inferred add sends about {PROMPT_TOKENS:,} tokens, "
        "to which the conversation and the answer (max_tokens) are added"
    )


def _wait(reply: Reply) -> dict[str, float | str | None] | None:
    seconds = retry_after(reply.headers)
    return None if seconds is None else {"retry_after": seconds}


def explained(endpoint: Endpoint, broken: Broken) -> ProviderError:
    """The error for a network failure, which names who is to blame."""
    failure, proxy = broken.failure, broken.proxy
    secrets = passwords(proxy.url) if proxy else []
    said = redact(str(failure) or type(failure).__name__, secrets)
    if isinstance(failure, httpx.DecodingError):
        return endpoint.error(f"answered something that cannot be decoded: {said}")
    if isinstance(failure, httpx.LocalProtocolError):
        return endpoint.error(f"cannot be sent this: {said}")
    return endpoint.error(
        _network_fault(endpoint, broken, said),
        NetworkError,
        debug_info={"failure": type(failure).__name__, "proxy": str(proxy) if proxy else None},
        suggestion=f"Check the proxy that {proxy.source} names, or set NO_PROXY" if proxy else None,
    )


def _network_fault(endpoint: Endpoint, broken: Broken, said: str) -> str:
    failure = broken.failure
    via = f" through the proxy {broken.proxy}" if broken.proxy else ""
    if isinstance(failure, httpx.TimeoutException):
        return f"did not answer in time{via} (timeout_s={endpoint.timeout_s:g})"
    if isinstance(failure, httpx.ProxyError):
        return f"cannot be reached{via}, which refused: {said}"
    if isinstance(failure, httpx.ProtocolError | httpx.ReadError | httpx.WriteError):
        return f"broke off the connection{via}: {said}"
    return f"cannot be reached at {endpoint.base_url}{via}: {said}"


def _excerpt(endpoint: Endpoint, body: bytes) -> str:
    """What the server says is wrong. It is masked before it is cut: half a secret is a secret, too.

    It is also masked before it is decoded, since decoding may alter a secret that was put into
    JSON without escapes.
    """
    text = redact(body.decode("utf-8", "replace"), endpoint.secrets())
    with suppress(ValueError, RecursionError):
        text = complaint(json.loads(text)) or text
    return _shortened(endpoint, text)


def _shortened(endpoint: Endpoint, text: str) -> str:
    text = redact(" ".join(text.split()), endpoint.secrets()) or "(empty)"
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + " …"
