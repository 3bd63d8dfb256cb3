"""The options of one provider, as attributes; and what keeps secrets out of sight."""

from __future__ import annotations

import os

from isomem.errors import InvalidConfigError
from isomem.options import (
    SWITCH,
    TEXT,
    Option,
    check_option,
    number,
    one_of,
    optional,
    read_options,
    whole,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

MASK = "***"

_SECRET_NAMES = frozenset(
    (
        "api_key",
        "aws_access_key_id",
        "aws_secret_access_key",
        "azure_kwargs",
        "headers",
        "http_client_proxies",
        "model_kwargs",
        "vertex_credentials_json",
    )
)


_NAME_MARKS = frozenset("!#$%&'*+-.^_`|~")
"""What may stand in the name of a header beside letters and digits."""


class Settings:
    """Options by name, as upstream's config objects have them. Printing one shows no secret.

    Changing an attribute changes the next request, except for the address, the key, the
    headers, the timeout and the number of retries, which are fixed when the provider is made.
    """

    def __init__(self, **options: Any) -> None:
        self.__dict__.update(options)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{k}={_shown(k, v)}' for k, v in vars(self).items())})"


def _shown(name: str, value: Any) -> str:
    if value and name in _SECRET_NAMES:
        return repr(MASK)
    bare = name.endswith("_url") and isinstance(value, str) and "://" not in value
    return redact(repr(value), passwords(f"http://{value}" if bare else value))


def passwords(value: Any) -> list[str]:
    """The credentials inside addresses ("scheme://user:password@host"), in a text or a dict."""
    if isinstance(value, dict):
        return [part for item in value.values() for part in passwords(item)]
    if not isinstance(value, str) or "://" not in value:
        return []
    user = value.split("://", 1)[1].split("/", 1)[0].rpartition("@")[0]
    return _credentials(user)


def _credentials(user: str) -> list[str]:
    """ "user:password" and what it may look like: its parts, unquoted, and in a header."""
    from base64 import b64encode
    from urllib.parse import unquote

    plain = unquote(user)
    basic = b64encode(plain.encode("utf-8", "surrogateescape")).decode() if user else ""
    parts = (user, user.partition(":")[2], plain, plain.partition(":")[2], basic)
    return [part for part in dict.fromkeys(parts) if part]


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret masked, also where it is written in another case or escaped.

    What is shorter than four characters is a placeholder for servers that want no key, and
    masking it would make the text unreadable.
    """
    import re

    spellings = {form for secret in secrets if len(secret) > 3 for form in _spellings(secret)}
    if not spellings:
        return text
    # Longest first: a secret may begin with another one.
    pattern = "|".join(re.escape(word) for word in sorted(spellings, key=len, reverse=True))
    return re.sub(pattern, MASK, text, flags=re.IGNORECASE)


def _spellings(secret: str) -> set[str]:
    import html
    import json
    import urllib.parse

    quoted = [urllib.parse.quote(secret, safe=safe) for safe in ("", "/")]
    return {secret, *quoted, html.escape(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]}


NETWORK_OPTIONS: dict[str, Any] = {"timeout_s": None, "max_retries": 3, "headers": None}
"""What every provider that uses the network takes beside upstream's options."""

LLM_OPTIONS: dict[str, Any] = {
    "model": None,
    "temperature": 0.1,
    "api_key": None,
    "max_tokens": 2000,
    "top_p": 0.1,
    "top_k": 1,
    "enable_vision": False,
    "vision_details": "auto",
    "reasoning_effort": None,
    "http_client_proxies": None,
}
"""Upstream's options of every language model."""

EMBEDDER_OPTIONS: dict[str, Any] = {
    "model": None,
    "api_key": None,
    "embedding_dims": None,
    "ollama_base_url": None,
    "openai_base_url": None,
    "model_kwargs": None,
    "huggingface_base_url": None,
    "azure_kwargs": None,
    "http_client_proxies": None,
    "vertex_credentials_json": None,
    "memory_add_embedding_type": None,
    "memory_update_embedding_type": None,
    "memory_search_embedding_type": None,
    "output_dimensionality": None,
    "lmstudio_base_url": "http://localhost:1234/v1",
    "aws_access_key_id": None,
    "aws_secret_access_key": None,
    "aws_region": None,
}
"""Upstream's options of every embedder: one list for all, so each takes those of the others."""


_MANY = 1_000_000_000
_KINDS = {
    "model": optional(TEXT),
    "api_key": optional(TEXT),
    "temperature": optional(number(0, 10)),
    "top_p": optional(number(0, 1)),
    "top_k": optional(whole(0, _MANY)),
    "max_tokens": optional(whole(1, _MANY)),
    "embedding_dims": optional(whole(1, 1_000_000)),
    "enable_vision": optional(SWITCH),
    "vision_details": optional(one_of("low", "high", "auto")),
    "reasoning_effort": optional(TEXT),
    "timeout_s": optional(number(0.001, _MANY)),
    "max_retries": optional(whole(0, 1_000)),
}
"""What the options take that every provider has, whichever it is."""

_DOCS = {
    "timeout_s": "seconds to wait for an answer",
    "max_retries": "how often a failed request is sent again",
    "temperature": "0 is the least random",
    "max_tokens": "the longest answer, in tokens",
    "embedding_dims": "the length of the vectors",
}


def read_settings(
    given: Mapping[str, Any] | None, defaults: Mapping[str, Any], where: str
) -> Settings:
    """The options of one provider.

    Args:
        given: what the caller wrote.
        defaults: every option that may be written, with its default.
        where: names the provider in errors, such as "llm.config (openai)".

    Raises:
        InvalidConfigError: an option is not known, or has a value that it does not take.
    """
    options = read_options(given, defaults, where)
    for name, kind in _KINDS.items():
        if name in (given or ()):
            doc = _DOCS.get(name, "see docs/providers.md")
            check_option(Option(name, None, kind, doc), options[name], where)
    return Settings(**options)


def first_of(*candidates: str | None) -> str | None:
    """The first that is neither None nor empty."""
    return next((value for value in candidates if value), None)


def environment(name: str) -> str | None:
    """A variable of the environment, or None."""
    return os.environ.get(name)


def sendable(value: str, what: str) -> str:
    """`value` without the white space around it, if it can stand in an HTTP header.

    Raises:
        InvalidConfigError: it holds characters that cannot; the message does not show them.
    """
    clean = str(value).strip()
    if clean.isascii() and clean.isprintable():
        return clean
    raise InvalidConfigError(
        f"{what} holds a line break or another character that cannot be sent in a header",
        error_code="CONFIG_002",
        suggestion="Copy it again; it must be printable ASCII",
    )


def sendable_headers(given: Any, what: str) -> dict[str, str]:
    """Headers that can be sent: names are words, values are printable ASCII.

    Raises:
        InvalidConfigError: one is not; the message does not show its value.
    """
    if not isinstance(given or {}, dict):
        raise InvalidConfigError(
            f"{what} must be a dict, got {type(given).__name__}", error_code="CONFIG_002"
        )
    headers = {}
    for name, value in (given or {}).items():
        if not (isinstance(name, str) and _is_header_name(name)):
            raise InvalidConfigError(
                f"{what}: {str(name)[:40]!r} cannot be the name of a header",
                error_code="CONFIG_002",
                suggestion="Letters, digits and hyphens make a name",
            )
        headers[name] = sendable(value, f"{what} {name}")
    return headers


def _is_header_name(name: str) -> bool:
    return name.isascii() and bool(name) and all(c.isalnum() or c in _NAME_MARKS for c in name)
