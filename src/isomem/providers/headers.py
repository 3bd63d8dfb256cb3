"""What a header can contain, and the options that become headers."""

from __future__ import annotations

from itertools import takewhile

from isomem.errors import InvalidConfigError
from isomem.options import Kind, is_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME_MARKS = frozenset("!#$%&'*+-.^_`|~")
"""What the name of a header may contain besides letters and digits."""


def sendable(value: object, what: str) -> str:
    """`value` without the white space around it, if it can be sent in an HTTP header.

    Raises:
        InvalidConfigError: it has characters that cannot be sent. The message does not show them.
    """
    clean = str(value).strip()
    if clean.isascii() and clean.isprintable():
        return clean
    raise InvalidConfigError(
        f"{what} holds a line break or another character that cannot be sent in a header",
        error_code="CONFIG_002",
        suggestion="Copy it again; it must be printable ASCII",
    )


def sendable_headers(given: Mapping[str, object] | None, what: str) -> dict[str, str]:
    """Headers that can be sent: names are words, values are printable ASCII.

    Raises:
        InvalidConfigError: one of them cannot. The message does not show its value.
    """
    if not isinstance(given or {}, dict):
        raise InvalidConfigError(
            f"{what} must be a dict, got {type(given).__name__}", error_code="CONFIG_002"
        )
    headers = {}
    for name, value in (given or {}).items():
        if not (is_text(name) and _is_header_name(name)):
            raise InvalidConfigError(
                f"{what}: {_shown_name(name)} cannot be the name of a header",
                error_code="CONFIG_002",
                suggestion="Letters, digits and hyphens make a name",
            )
        headers[name] = sendable(value, f"{what} {name}")
    return headers


def _is_header_name(name: str) -> bool:
    return bool(name) and len(_legal_start(name)) == len(name)


def _legal_start(name: str) -> str:
    """As much of it as can stand in the name of a header."""
    return "".join(takewhile(lambda c: c.isascii() and (c.isalnum() or c in _NAME_MARKS), name))


def _shown_name(name: object) -> str:
    """A name as errors show it: the value is written behind it by mistake, with a key in it."""
    if not is_text(name):
        return f"a {type(name).__name__}"
    start = _legal_start(name)[:40]
    return repr(name) if start == name else f"{start!r} with what follows it"


def _fault_of_headers(value: object) -> str:
    if not isinstance(value, dict):
        return ""
    odd = [name for name, item in value.items() if not isinstance(item, _IN_HEADERS)]
    if odd:
        return f"{_shown_name(odd[0])} is a {type(value[odd[0]]).__name__}"
    try:
        sendable_headers(value, "headers")
    except InvalidConfigError as error:
        return error.message
    return ""


_IN_HEADERS = (str, int, float, type(None))


def _is_sendable(value: object) -> bool:
    return is_text(value) and value.strip().isascii() and value.strip().isprintable()


KEY = Kind(
    "printable ASCII", _is_sendable, {"type": "string", "pattern": r"^\s*[ -~]*\s*(?![\s\S])"}
)

HEADERS = Kind(
    "a dict of headers",
    lambda value: isinstance(value, dict) and not _fault_of_headers(value),
    {
        "type": "object",
        "propertyNames": {"pattern": r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?![\s\S])"},
        "additionalProperties": {
            "anyOf": [{"type": ["number", "boolean", "null"]}, KEY.schema],
        },
    },
    fault=_fault_of_headers,
)
