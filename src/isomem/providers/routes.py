"""The route of a request: directly or through a proxy, and which certificates are trusted.

The rules are those of httpx, with one difference: errors name the variable or the option that
causes them.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from urllib.parse import SplitResult, urlsplit
from urllib.request import (  # type: ignore[attr-defined]  # The types leave one out.
    getproxies,
    proxy_bypass,
    proxy_bypass_environment,
)

import httpx

from isomem.errors import ConfigurationError, DependencyError, InvalidConfigError
from isomem.providers.settings import MASK, passwords, redact

OPTION = "http_client_proxies"
_SCHEMES = ("http", "https", "socks5", "socks5h")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Proxy:
    """A proxy, and where it was named.

    Attributes:
        url: its address, credentials included.
        source: the option or the variable that names it.
    """

    url: str = field(repr=False)
    source: str

    def __str__(self) -> str:
        """Its address without credentials, and its source."""
        parts = urlsplit(self.url)
        secret, _, host = parts.netloc.rpartition("@")
        return f"{parts.scheme}://{MASK + '@' if secret else ''}{host} ({self.source})"


def proxy_for(url: str, configured: object) -> Proxy | None:
    """The proxy for requests to `url`; None for a direct connection.

    Args:
        url: where the request goes.
        configured: the option `http_client_proxies`: an address for all requests, or a dict of
            addresses by URL pattern, such as "https://" or "all://*.example.com".

    Raises:
        InvalidConfigError: the value cannot be a proxy.
        DependencyError: a SOCKS proxy is named, and the package for it is missing.
    """
    target = _split(url)
    if target is None or not target.hostname:
        return None  # The request itself will fail, and say why.
    if isinstance(configured, dict):
        for pattern in sorted(configured, key=_rank):
            if _matches(pattern, target):
                named = configured[pattern]
                return _checked(named, f"{OPTION}[{pattern!r}]") if named else None
    elif configured:
        return _checked(configured, OPTION)
    return _from_environment(target)


def _from_environment(target: SplitResult) -> Proxy | None:
    proxies = getproxies()
    host, port = target.hostname or "", _port(target)
    if any(_is_bypassed(name, host, proxies) for name in (host, f"{host}:{port}")):
        return None
    for scheme in (target.scheme, "all"):
        if named := proxies.get(scheme):
            return _checked(named, _variable(scheme))
    return None


def _is_bypassed(name: str, host: str, proxies: dict[str, str]) -> bool:
    """Whether the environment, or else the system, exempts a host from the proxy.

    A leading dot means the hosts below a domain but not the domain itself, as in httpx. In the
    standard library it means both.
    """
    if "no" not in proxies:
        return bool(proxy_bypass(name))
    below = [each for each in proxies["no"].split(",") if each.strip().lower() != f".{host}"]
    return bool(proxy_bypass_environment(name, {"no": ",".join(below)}))


def _variable(scheme: str) -> str:
    for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
        if os.environ.get(name):
            return name
    return "the proxy settings of the system"


def _checked(named: object, source: str) -> Proxy:
    """The proxy, if it is one that can be used."""
    if not isinstance(named, str):
        raise _refused(source, f"is a {type(named).__name__} and not an address")
    url = named.strip()
    url = url if "://" in url else f"http://{url}"
    parts = _split(url)
    if parts is None or not parts.hostname:
        raise _refused(source, "is not the address of a proxy")
    if parts.scheme not in _SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        fault = f"names a proxy with {parts.scheme}://, which cannot be used; write one of {known}"
        raise _refused(source, fault)
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        raise DependencyError(
            f'{source} names a SOCKS proxy, which needs a package: pip install "httpx[socks]"',
            details={"package": "socksio", "source": source},
            suggestion='pip install "httpx[socks]", or name an HTTP proxy',
        )
    return Proxy(url, source)


def _refused(source: str, fault: str) -> InvalidConfigError:
    return InvalidConfigError(
        f"{source} {fault}",
        error_code="CONFIG_002",
        details={"source": source},
        suggestion="Such as http://proxy.example.com:3128",
    )


def transport_proxy(proxy: Proxy, trusted: ssl.SSLContext) -> httpx.Proxy:
    """The proxy as httpx takes it.

    Raises:
        InvalidConfigError: httpx cannot use it.
    """
    is_secure = urlsplit(proxy.url).scheme == "https"
    try:
        return httpx.Proxy(proxy.url, ssl_context=trusted if is_secure else None)
    except (ValueError, httpx.InvalidURL) as error:
        fault = redact(f"is not an address that can be used: {error}", passwords(proxy.url))
        raise _refused(proxy.source, fault) from None


# --- Patterns ---


def _split(url: str) -> SplitResult | None:
    """The parts of an address; None if it is not one."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _port(parts: SplitResult) -> int | None:
    return parts.port or _PORTS.get(parts.scheme)


def _rank(pattern: object) -> tuple[int, int, int]:
    """Sorts the most specific pattern first: with a port, a longer host, a longer scheme."""
    parts = _pattern(pattern)
    host = "" if parts.hostname in (None, "*") else str(parts.hostname)
    scheme = "" if parts.scheme == "all" else parts.scheme
    return (0 if parts.port else 1, -len(host), -len(scheme))


def _pattern(pattern: object) -> SplitResult:
    parts = _split(pattern) if isinstance(pattern, str) and "://" in pattern else None
    if parts is None:
        fault = f'has the key {pattern!r}; write "https://", "all://" or "all://*.example.com"'
        raise _refused(OPTION, fault)
    return parts


def _matches(pattern: str, target: SplitResult) -> bool:
    parts = _pattern(pattern)
    if parts.scheme not in ("all", "", target.scheme):
        return False
    if parts.port and parts.port != _port(target):
        return False
    return _matches_host(parts.hostname or "", target.hostname or "")


def _matches_host(wanted: str, host: str) -> bool:
    if wanted in ("", "*"):
        return True
    if wanted.startswith("*."):
        return host.endswith(wanted[1:]) and len(host) >= len(wanted)
    if wanted.startswith("*"):
        return host == wanted[1:] or host.endswith(f".{wanted[1:]}")
    return host == wanted


# --- Certificates ---


def trust_for(url: str, proxy: Proxy | None) -> ssl.SSLContext:
    """The TLS context for connections to `url`.

    Certificates are read only if TLS is used: reading them takes longer than everything else in
    making a client.

    Raises:
        ConfigurationError: the certificates that the environment names cannot be read.
    """
    addresses = (url, proxy.url if proxy else "")
    if not any(each.lower().startswith("https://") for each in addresses):
        return _trusting_nothing()
    variables = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
    return _certificates(*(os.environ.get(name) or "" for name in variables))


@cache
def _trusting_nothing() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@cache
def _certificates(file: str, directory: str, key_log: str) -> ssl.SSLContext:
    if directory and not file and not os.path.isdir(directory):
        raise _unreadable("SSL_CERT_DIR", directory, "it is not a directory")
    try:
        return httpx.create_ssl_context()
    except (OSError, ValueError) as error:
        if key_log and getattr(error, "filename", None) == key_log:
            raise _unreadable("SSLKEYLOGFILE", key_log, str(error)) from error
        if file:
            raise _unreadable("SSL_CERT_FILE", file, _reason(error)) from error
        raise _unreadable("the default certificates", "", _reason(error)) from error


def _reason(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return "it does not hold a certificate" if isinstance(error, ssl.SSLError) else reason


def _unreadable(name: str, path: str, reason: str) -> ConfigurationError:
    where = f", {path}," if path else ""
    return ConfigurationError(
        f"{name}{where} cannot be used: {reason}",
        error_code="CONFIG_006",
        details={"source": name, "path": path},
        suggestion=f"Correct {name} in the environment, or unset it",
    )
