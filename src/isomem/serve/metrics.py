"""Metrics: what Prometheus reads. No label names a user, an agent, a run or a key."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from isomem.serve.logs import route_of
from isomem.serve.shared import is_alive

if TYPE_CHECKING:
    from starlette.types import Scope

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class Metrics:
    """Counts of requests.

    Args:
        folder: where the processes of a service have their counts, which are then added up: that of
            the variable `FOLDER` when this module was imported. None: this process is alone.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._of_answers: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
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
            "isomem_requests_running", "Requests that are being answered.",
            registry=self._registry, multiprocess_mode="livesum",
        )  # fmt: skip

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Counts one answered request."""
        route = route_of(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        labels = method, route, status
        found = self._of_answers.get(labels)
        if found is None:  # To look for them costs more than to count.
            found = self.requests.labels(method, route, str(status)), self.seconds.labels(route)
            self._of_answers[labels] = found
        found[0].inc()
        found[1].observe(seconds)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        if self._folder is None:
            return generate_latest(self._registry)
        for pid in _of_processes(self._folder):
            if not is_alive(pid):
                mark_process_dead(pid, self._folder)  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        MultiProcessCollector(registry, self._folder)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def _of_processes(folder: str) -> set[int]:
    """The processes that say that they are answering requests, or did before they died."""
    names = (name for name in os.listdir(folder) if name.startswith("gauge_live"))
    return {int(found[1]) for name in names if (found := re.search(r"_(\d+)\.db$", name))}
