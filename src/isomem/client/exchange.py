"""Exchanges with a service: what is sent, when it is sent again, and over which connections."""

from __future__ import annotations

import json
import os
import random
import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import httpx

from isomem.causes import retry_after
from isomem.client.replies import error_of, problem_in, result_of
from isomem.errors import InvalidConfigError, NetworkError, ProviderError
from isomem.providers.http import (
    LONGEST_RETRY_AFTER_S,
    Broken,
    Endpoint,
    Pause,
    Reply,
    Request,
    backoff,
    explained,
    is_passing,
)
from isomem.providers.sender import Sender
from isomem.providers.settings import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from isomem.providers.http import Attempts, Outcome

URL, KEY = "ISOMEM_URL", "ISOMEM_SERVICE_KEY"
"""The variables that name a service, and the key that it gave."""

IDEMPOTENCY_KEY = "Idempotency-Key"
"""A header: a service does what it names once, however often it is sent."""

_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
"""After these, the service has not seen the request."""

_NO_RECEIPTS = "RECEIPT_002"

_PASSING = (429, 503)
_GATEWAY = (502, 503, 504)


@dataclass(frozen=True)
class Service(Endpoint):
    """A service, and how errors name it."""

    def error(
        self,
        fault: str,
        kind: type[ProviderError] | None = None,
        status: int | None = None,
        debug_info: dict[str, float | str | None] | None = None,
        suggestion: str | None = None,
    ) -> ProviderError:
        """An error that names the service, and the status of HTTP if there was one."""
        return (kind or self.failure)(
            redact(f"the service {fault}", self.secrets()),
            details={"provider": self.provider, "status": status},
            debug_info=debug_info,
            suggestion=suggestion or "Check the address and that the service runs",
        )


@dataclass(frozen=True)
class Asked(Request):
    """One call of a service.

    `may_repeat` says whether it may be sent again when the service may have made it already.
    """

    may_repeat: bool = False


def service_at(
    url: str | None, api_key: str | None, *, timeout_s: float, max_retries: int
) -> Service:
    """The service at an address.

    Raises:
        InvalidConfigError: CONFIG_004, no address is given; CONFIG_002, something cannot be used.
    """
    address, key = url or os.environ.get(URL), api_key or os.environ.get(KEY)
    if not address:
        raise InvalidConfigError(
            "No service is named", error_code="CONFIG_004", suggestion=f"Pass url=, or set {URL}."
        )
    _check(address, timeout_s, max_retries)
    return Service(
        provider="isomem",
        model="",
        base_url=address.rstrip("/"),
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout_s=timeout_s,
        max_retries=max_retries,
        failure=NetworkError,
    )


def _check(url: object, timeout_s: object, max_retries: object) -> None:
    is_address = isinstance(url, str) and url.lower().startswith(("http://", "https://"))
    faults = {
        "url must start with http:// or https://": is_address,
        "timeout_s must be a number of seconds above 0": _is_number(timeout_s) and timeout_s > 0,  # type: ignore[operator]
        "max_retries must be a whole number": isinstance(max_retries, int) and max_retries >= 0,
    }
    for fault, is_right in faults.items():
        if not is_right:
            raise InvalidConfigError(fault, error_code="CONFIG_002")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def asked(call: str, arguments: dict[str, object], *, has_key: bool, may_repeat: bool) -> Asked:
    """A call, and whether it has a key by which the service makes it only once."""
    headers = {IDEMPOTENCY_KEY: uuid.uuid4().hex} if has_key else {}
    return Asked(f"/api/{call}", arguments, headers, may_repeat=may_repeat)


class Line(Sender):
    """The connections to a service."""

    def steps(self, request: Request) -> Attempts:
        """What to do for a call, one step at a time."""
        assert isinstance(request, Asked)
        return attempts(self.endpoint, request)

    def encoded(self, request: Request) -> bytes:
        """The arguments. Metadata may hold NaN; text that is not Unicode is for the service to
        refuse.
        """
        return json.dumps(request.body, separators=(",", ":")).encode("ascii")


def attempts(
    endpoint: Endpoint,
    request: Asked,
    chance: Callable[[], float] = random.random,
    clock: Callable[[], float] = time.monotonic,
) -> Attempts:
    """Decides what to do about a call, as `isomem.providers.http.attempts` does for a provider.

    Returns:
        The result of the call.

    Raises:
        NetworkError: the service cannot be reached, or something else answers.
        Exception: as the call in the service.
    """
    last, retries = clock() + endpoint.retry_within_s, 0
    while True:
        outcome = yield request
        if isinstance(outcome, Reply) and 200 <= outcome.status < 300:
            return result_of(endpoint, outcome)
        if _keeps_no_receipts(outcome) and request.headers:
            request = replace(request, headers={}, may_repeat=False)
            continue
        seconds = _pause(outcome, request.may_repeat, backoff(retries, chance))
        if seconds is None or retries == endpoint.max_retries or clock() + seconds > last:
            raise _failure(endpoint, outcome)
        retries += 1
        yield Pause(seconds)


def _keeps_no_receipts(outcome: Outcome) -> bool:
    """Whether the service cannot tell whether it has made a call: its stores are not isomem's."""
    problem = problem_in(outcome) if isinstance(outcome, Reply) else None
    return problem is not None and problem["code"] == _NO_RECEIPTS


def _pause(outcome: Outcome, may_repeat: bool, step: float) -> float | None:
    """How long to wait before sending again, in seconds; None if it must not, or is pointless."""
    if isinstance(outcome, Broken):
        is_safe = may_repeat or isinstance(outcome.failure, _UNSENT)
        return step if is_safe and is_passing(outcome.failure) else None
    if outcome is None or outcome.status not in {*_PASSING, *_GATEWAY}:
        return None
    wanted = retry_after(outcome.headers)
    if outcome.status == 429 or (outcome.status in _PASSING and may_repeat and wanted is not None):
        wanted = step if wanted is None else wanted
        return wanted if wanted <= LONGEST_RETRY_AFTER_S else None
    # Without a problem in it, the answer is that of a proxy which did not reach the service.
    return step if may_repeat and problem_in(outcome) is None else None


def _failure(endpoint: Endpoint, outcome: Outcome) -> Exception:
    if isinstance(outcome, Reply):
        return error_of(endpoint, outcome)
    broken = outcome or Broken(httpx.RequestError("nothing came of it"))
    error = explained(endpoint, broken)
    error.__cause__ = broken.failure
    return error
