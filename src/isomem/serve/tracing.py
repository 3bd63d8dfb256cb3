"""Spans of OpenTelemetry: one per request, and one per call of the memory in it.

They are sent over HTTP in OTLP to the configured address, and nowhere else.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from isomem import __version__
from isomem.providers.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Scope

    from isomem.serve.noted import Noted

_FAILED = 500


class Tracing:
    """Makes spans and sends them, in a thread of its own.

    Args:
        endpoint: where to, such as `http://localhost:4318/v1/traces`.

    Raises:
        DependencyError: a package of the extra `otel` is missing.
    """

    def __init__(self, endpoint: str) -> None:
        for package in ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"):
            require(package, "otel", "otel_endpoint")
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "isomem", "service.version": __version__}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        self._tracer = self._provider.get_tracer("isomem", __version__)

    @contextmanager
    def request(self, scope: Scope, noted: Noted) -> Iterator[None]:
        """A block that answers one request; `traceparent` names the span that it belongs to."""
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind, StatusCode

        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        named = {"http.request.method": scope["method"], "url.path": scope["path"]}
        with self._tracer.start_as_current_span(
            scope["method"], context=extract(headers), kind=SpanKind.SERVER, attributes=named,
            record_exception=False, set_status_on_exception=False,
        ) as span:  # fmt: skip
            yield
            span.set_attribute("http.response.status_code", noted.status)
            if noted.status >= _FAILED:
                span.set_status(StatusCode.ERROR)

    @contextmanager
    def call(self, noted: Noted) -> Iterator[None]:
        """A block that makes one call of the memory. The text of an error stays here."""
        from opentelemetry.trace import StatusCode

        with self._tracer.start_as_current_span(
            f"isomem.{noted.call}", record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_status(StatusCode.ERROR)
                span.set_attribute("error.type", type(error).__name__)
                raise
            if noted.memories is not None:
                span.set_attribute("isomem.memories", noted.memories)

    def close(self) -> None:
        """Sends what is left."""
        self._provider.shutdown()
