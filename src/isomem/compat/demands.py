"""What must be given for a vector store: rules for `isomem.compat.stores`.

A rule takes what was given, and returns what is wrong with it, or None.
"""

from __future__ import annotations

import os

from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Fault = Callable[[dict[str, Any]], str | None]


def one_of(message: str, *groups: str) -> Fault:
    """All options of at least one group must be given."""
    return lambda given: (
        None if any(all(given.get(name) for name in group.split()) for group in groups) else message
    )


def unless(names: str, fault: Fault) -> Fault:
    """The fault, if none of these options is given."""
    return lambda given: None if any(given.get(name) for name in names.split()) else fault(given)


def together(message: str, one: str, other: str) -> Fault:
    """Both or none."""
    return lambda given: message if bool(given.get(one)) != bool(given.get(other)) else None


def not_both(message: str, one: str, other: str) -> Fault:
    """One or none."""
    return lambda given: message if given.get(one) and given.get(other) else None


def among(message: str, name: str, allowed: str) -> Fault:
    """A value, if there is one, is one of these words."""
    return lambda given: (
        message if given.get(name) and str(given[name]).lower() not in allowed.split() else None
    )


def key_of(variable: str, message: str, *names: str) -> Fault:
    """One of these options, or the variable of the environment."""
    fault = one_of(message, *names)
    return lambda given: None if variable in os.environ else fault(given)


def chroma(given: dict[str, Any]) -> str | None:
    """Either Chroma's cloud or a server or folder. A default path gives way to the cloud."""
    cloud = given.get("api_key") and given.get("tenant")
    if cloud and given.get("path") == "/tmp/chroma":
        del given["path"]
    local = given.get("path") or (given.get("host") and given.get("port"))
    if cloud and local:
        return "Cannot specify both cloud configuration and local configuration. Choose one."
    if cloud or local:
        return None
    return (
        "Either ChromaDB Cloud configuration (api_key, tenant) or local configuration (path or "
        "host/port) must be provided."
    )


def compression(given: dict[str, Any]) -> str | None:
    """No option of older releases."""
    if "use_compression" not in given:
        return None
    return (
        "The parameter 'use_compression' is no longer supported: use compression_type='scalar' for "
        "True, or None for False"
    )


def headers(given: dict[str, Any]) -> str | None:
    """Headers are a dict of texts."""
    headers = given.get("headers")
    if headers is None:
        return None
    if not isinstance(headers, dict):
        return "headers must be a dictionary"
    texts = [*headers, *headers.values()]
    wanted = all(isinstance(each, str) and is_unicode(each) for each in texts)
    return None if wanted else "All header keys and values must be strings"


def postgres(given: dict[str, Any]) -> str | None:
    """An address of PostgreSQL."""
    address = str(given.get("connection_string") or "")
    if address.startswith("postgresql://"):
        return None
    return "A valid PostgreSQL connection string must be provided"


def upstash(given: dict[str, Any]) -> str | None:
    """A client, or the address and the token, which may be in the environment."""
    names = ("url", "token")
    found = [given.get(name) or _variable(f"UPSTASH_VECTOR_REST_{name.upper()}") for name in names]
    if given.get("client") or all(found):
        return None
    return "Either a client or URL and token must be provided."


def _variable(name: str) -> str | None:
    return os.environ.get(name)
