"""The options of one provider as attributes, and functions that hide secrets."""

from __future__ import annotations

import os

from isomem.errors import InvalidConfigError
from isomem.options import defaults_of, read_table
from isomem.providers.tables import EMBEDDER_OPTIONS, LLM_OPTIONS, network_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from isomem.options import Table

    Factory = TypeVar("Factory", bound=Callable[..., object])

MASK = "***"


def _secrets_in(table: Table) -> frozenset[str]:
    return frozenset(option.name for option in table if option.secret)


_SECRETS = _secrets_in((*LLM_OPTIONS, *EMBEDDER_OPTIONS, *network_options(1)))


class Settings:
    """Options as attributes, as in upstream's config objects. Printing them shows no secret.

    A changed attribute affects the next request, except for the address, the key, the headers,
    the timeout and the number of retries, which are fixed when the provider is made.

    Args:
        secrets: names of options that are not shown; by default those of all models and embedders.
        **options: the options.
    """

    __slots__ = ("__dict__", "_secrets")

    def __init__(self, secrets: frozenset[str] = _SECRETS, /, **options: object) -> None:
        self._secrets = secrets
        self.__dict__.update(options)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: object) -> None: ...

    def __repr__(self) -> str:
        shown = (f"{name}={self._shown(name, value)}" for name, value in vars(self).items())
        return f"Settings({', '.join(shown)})"

    def _shown(self, name: str, value: object) -> str:
        return repr(MASK) if value and name in self._secrets else _without_password(name, value)


def _without_password(name: str, value: object) -> str:
    shown = repr(value)
    if name.endswith("_url") or "://" in shown:
        return redact(shown, passwords(value if isinstance(value, dict) else str(value)))
    return shown


def passwords(value: object) -> list[str]:
    """The credentials in addresses ("scheme://user:password@host"), in a text or a dict."""
    if isinstance(value, dict):
        return [part for item in value.values() for part in passwords(item)]
    if not isinstance(value, str) or "@" not in value:
        return []
    host, rest = _parts(value)
    return _credentials((host + rest if _is_unquoted(host, rest) else host).rpartition("@")[0])


def _parts(address: str) -> tuple[str, str]:
    """Where the host stands, with user and port, and what follows it."""
    from urllib.parse import urlsplit

    after = address.partition("://")[2] or address
    try:
        host = urlsplit(f"//{after}").netloc
    except ValueError:
        host = after.partition("/")[0]
    return (host, after[len(host) :]) if after.startswith(host) else (after, "")


def _is_unquoted(host: str, rest: str) -> bool:
    """Whether a password ends the host too early: no port is like the first part of it."""
    port = host.rpartition("]")[2].partition(":")[2]
    return "@" in rest and "@" not in host and bool(port) and not port.isdecimal()


def refuse_unquoted(address: str, what: str) -> None:
    """Raises InvalidConfigError if a password in an address would be read as a part of it."""
    if "@" in address and _is_unquoted(*_parts(address)):
        raise InvalidConfigError(
            f"{what} holds a user or a password with a character that ends it",
            error_code="CONFIG_002",
            suggestion="Write / as %2F, ? as %3F and # as %23",
        )


def _credentials(user: str) -> list[str]:
    """ "user:password" and the forms it may take: its parts, unquoted, and in a header."""
    import re
    from base64 import b64encode
    from urllib.parse import unquote

    plain = unquote(user)
    basic = b64encode(plain.encode("utf-8", "surrogateescape")).decode() if user else ""
    password = user.partition(":")[2]
    parts = (user, password, plain, plain.partition(":")[2], basic, *re.split("[/?#]", password))
    return [part for part in dict.fromkeys(parts) if part]


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret masked, even if it is in another case or escaped.

    A secret of less than four characters is a placeholder for servers that need no key. Masking it
    would make the text unreadable.
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


def read_settings(given: object, table: Table, where: str) -> Settings:
    """The options of one provider.

    Args:
        given: what the caller wrote.
        table: every option that may be given.
        where: names the provider in errors, such as "llm.config (openai)".

    Raises:
        InvalidConfigError: an option is unknown, or does not accept its value.
    """
    return Settings(_secrets_in(table), **read_table(given, table, where))


def default_settings(table: Table, **own: object) -> Settings:
    """The default options of a part that was not configured, with its own values."""
    return Settings(**defaults_of(table) | own)


def first_of(*candidates: str | None) -> str | None:
    """The first that is neither None nor empty."""
    return next((value for value in candidates if value), None)


def environment(name: str) -> str | None:
    """A variable of the environment, or None."""
    return os.environ.get(name)


def takes(table: Table) -> Callable[[Factory], Factory]:
    """Attaches the table of options to a factory; a provider's class has it as an attribute."""

    def named(factory: Factory) -> Factory:
        vars(factory)["table"] = table
        return factory

    return named
