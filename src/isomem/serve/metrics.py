"""Metrics: what Prometheus reads. No label names a user, an agent, a run or a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from isomem.serve.logs import route_of

if TYPE_CHECKING:
    from starlette.types import Scope

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class Metrics:
    """Counts of requests. Each process has its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "isomem_requests", "Answered requests.", ("method", "route", "status"),
            registry=self._registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "isomem_request_seconds", "How long requests took.", ("route",),
            registry=self._registry, buckets=_SECONDS,
        )  # fmt: skip
        self.running = Gauge(
            "isomem_requests_running", "Requests that are being answered.", registry=self._registry
        )

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Counts one answered request."""
        route = route_of(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)
