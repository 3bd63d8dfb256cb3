"""Settings of the service: the section `serve` of the configuration, its flags and variables."""

from __future__ import annotations

import os

from isomem.config import SERVICE, default_path
from isomem.errors import InvalidConfigError
from isomem.options import (
    SWITCH,
    TEXT,
    TEXTS,
    Option,
    home,
    number,
    one_of,
    optional,
    read_table,
    whole,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from isomem.config import MemoryConfig

RIGHTS = ("read", "write", "admin")
"""What a key may be for. One does not include another."""

TABLE = (
    Option("host", "127.0.0.1", TEXT, "the address to listen at; beyond loopback it needs keys"),
    Option("port", 8765, whole(0, 65535), "the port; `0` chooses a free one"),
    Option("auth", True, SWITCH, "whether callers need a key"),
    Option("workers", 1, whole(1, 256), "processes"),
    Option(
        "state_path",
        None,
        optional(TEXT),
        "the file of keys",
        unset="`service.db` beside the memory file, or in `$ISOMEM_DIR`",
    ),
    Option("max_body_mb", 10.0, number(0.001, 10_000), "the largest body of a request"),
    Option("max_messages", 1000, whole(1, 1_000_000), "the most messages of one `add`"),
    Option(
        "max_memories",
        100_000,
        whole(1, 1_000_000),
        "the most memories that one call may read; each further 1,000 count as another call",
    ),
    Option("timeout_s", 120.0, number(0.001, 86_400), "the longest that a call may take"),
    Option("rate_per_minute", 6000, whole(1, 100_000_000), "the most calls of one key per minute"),
    Option(
        "cors_origins",
        (),
        TEXTS,
        "the origins whose pages may call from a browser, such as `https://app.example`",
    ),
    Option(
        "open_metrics",
        False,
        SWITCH,
        "whether `/metrics` needs no key, which is only allowed on loopback",
    ),
    Option(
        "proxy_url",
        None,
        optional(TEXT),
        "the model server behind `/v1/chat/completions`, such as `https://api.openai.com/v1`",
        unset="that of the configured `llm`, if it speaks OpenAI's protocol",
    ),
    Option(
        "proxy_key",
        None,
        optional(TEXT),
        "the key for `proxy_url`",
        secret=True,
    ),
    Option("proxy_memories", 10, whole(1, 1000), "how many memories the proxy tells the model"),
    Option(
        "proxy_needs_memory",
        False,
        SWITCH,
        "whether a chat fails if its memories cannot be recalled; otherwise it goes on without",
    ),
    Option("record", False, SWITCH, "whether the last exchanges with the model are kept"),
    Option("job_workers", 4, whole(1, 1000), "how many jobs a process works on at once"),
    Option("job_attempts", 8, whole(1, 1000), "how often a job is tried while a provider fails"),
    Option(
        "job_backoff_s",
        2.0,
        number(0.001, 300),
        "the wait before the second try of a job, in seconds; then twice as long each time",
    ),
    Option(
        "job_lease_s",
        30.0,
        number(0.1, 3600),
        "after how many seconds another process takes over a job whose process has died",
    ),
    Option(
        "keep_hours",
        168.0,
        number(0.001, 1_000_000),
        "how long finished jobs and the results of idempotency keys are kept, in hours",
    ),
    Option(
        "grace_s",
        30,
        whole(0, 86_400),
        "how long calls may go on after a signal to stop; then they are cut off, unacknowledged",
    ),
    Option(
        "audit",
        True,
        SWITCH,
        "whether `audit.log`, beside the file of keys, has a line per call, without any text",
    ),
    Option(
        "otel_endpoint",
        None,
        optional(TEXT),
        "where spans of OpenTelemetry are sent (OTLP over HTTP), such as "
        "`http://localhost:4318/v1/traces`; needs the extra `otel`",
        unset="nowhere",
    ),
    Option("log_format", "text", one_of("text", "json"), "the form of the log on standard error"),
    Option(
        "log_level",
        "warning",
        one_of("debug", "info", "warning", "error"),
        "the least severe lines of the log; `info` has one line per request",
    ),
)
"""The options of the section `serve`."""


class Settings:
    """The options of `TABLE`, by attribute.

    Args:
        given: options by name; the others have their defaults.

    Raises:
        InvalidConfigError: an unknown option, or a wrong value.
    """

    host: str
    port: int
    auth: bool
    workers: int
    state_path: str | None
    max_body_mb: float
    max_messages: int
    max_memories: int
    timeout_s: float
    rate_per_minute: int
    cors_origins: list[str]
    open_metrics: bool
    proxy_url: str | None
    proxy_key: str | None
    proxy_memories: int
    proxy_needs_memory: bool
    record: bool
    job_workers: int
    job_attempts: int
    job_backoff_s: float
    job_lease_s: float
    keep_hours: float
    grace_s: int
    audit: bool
    otel_endpoint: str | None
    log_format: str
    log_level: str

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        self.__dict__.update(read_table({} if given is None else given, TABLE, SERVICE))

    def check_address(self) -> None:
        """Raises InvalidConfigError if the service would be open to other machines without keys."""
        if not self.auth and not is_loopback(self.host):
            raise InvalidConfigError(
                f"Without keys the service may only listen on loopback, not at {self.host!r}",
                error_code="CONFIG_005",
                suggestion="Leave auth on, or listen at 127.0.0.1.",
            )
        if self.open_metrics and not is_loopback(self.host):
            raise InvalidConfigError(
                f"`open_metrics` is only allowed on loopback, not at {self.host!r}",
                error_code="CONFIG_005",
                suggestion="Let Prometheus send a key with the right `admin`.",
            )


def is_loopback(host: str) -> bool:
    """Whether an address can only be reached from this machine."""
    import ipaddress

    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def state_path(settings: Settings, config: MemoryConfig) -> str:
    """The file of keys."""
    if settings.state_path is not None:
        return home(settings.state_path)
    store = config.vector_store
    path: str = store.config.get("path") if store.provider == "embedded" else default_path()
    return path if path == ":memory:" else os.path.join(os.path.dirname(path), "service.db")


def memory_name(config: MemoryConfig) -> str:
    """What the file of keys knows a memory by: its file, or the provider of its store."""
    store = config.vector_store
    if store.provider != "embedded":
        return store.provider
    path: str = store.config["path"]
    return path if path == ":memory:" else os.path.realpath(path)
