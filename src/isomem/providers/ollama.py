"""What Ollama's models and embedders share: the address, and what to do about failures."""

from __future__ import annotations

from isomem.errors import InvalidConfigError
from isomem.providers.settings import (
    environment,
    first_of,
    passwords,
    redact,
    refuse_unquoted,
)
from isomem.providers.tables import address_option, key_option

DEFAULT_URL = "http://127.0.0.1:11434"
_PORTS = {"http": 80, "https": 443}

OPTIONS = (
    key_option("OLLAMA_API_KEY"),
    address_option("ollama_base_url", DEFAULT_URL, "OLLAMA_HOST"),
)


def address(configured: object) -> str:
    """Where Ollama is, by Ollama's own rules for writing a host.

    The scheme and the port may be left out. A bare host means http and port 11434; one with a
    scheme means that scheme's own port. The variable OLLAMA_HOST counts if nothing is configured.

    Raises:
        InvalidConfigError: it is not an address.
    """
    from urllib.parse import urlsplit

    written = str(configured or environment("OLLAMA_HOST") or "")
    if not written:
        return DEFAULT_URL
    source = "ollama_base_url" if configured else "OLLAMA_HOST"
    refuse_unquoted(written, source)
    explicit = "://" in written
    try:
        parts = urlsplit(written if explicit else f"http://{written}")
        _ = parts.port
    except ValueError as error:
        raise _no_address(source, redact(str(error), passwords(written))) from None
    host = parts.hostname or "127.0.0.1"
    host = f"[{host}]" if ":" in host else host
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    port = parts.port or (_PORTS.get(parts.scheme, 11434) if explicit else 11434)
    return f"{parts.scheme}://{user}{host}:{port}{parts.path.rstrip('/')}"


def _no_address(source: str, fault: str) -> InvalidConfigError:
    return InvalidConfigError(
        f"{source} is not an address: {fault}",
        error_code="CONFIG_002",
        details={"source": source},
        suggestion=f"Such as {DEFAULT_URL}, or host:port",
    )


def api_key(configured: str | None) -> str | None:
    """The key, which only a hosted Ollama needs."""
    return first_of(configured, environment("OLLAMA_API_KEY"))


def advice(model: str) -> dict[int, str]:
    """Suggestions by HTTP status. Nothing is pulled that the user did not ask for."""
    return {
        0: "Start Ollama (`ollama serve`), or set ollama_base_url to where it runs",
        404: f"Fetch the model first: ollama pull {model}",
    }
