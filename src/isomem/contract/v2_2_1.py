"""The profile "2.2.1": what mem0 2.2.1 decides, or isomem where it diverges; see `profile`."""

from __future__ import annotations

from isomem import log
from isomem.contract.arguments import check_text, refuse_id, shown
from isomem.contract.limits import (
    CANDIDATES_PER_RESULT,
    LEAST_CANDIDATES,
    OWN_FIELDS,
    SILENT_ROLE,
    SPEAKER_FIELDS,
    SPOKEN_ROLES,
)
from isomem.contract.parts import in_lines, in_words
from isomem.contract.payload import ResultFields, own_copy, text_fields
from isomem.contract.visibility import EXPIRATION_DATE, counted
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeVar

    from isomem.contract.plan import Change
    from isomem.contract.visibility import Visibility
    from isomem.types import Message, Payload

    T = TypeVar("T", bound=Any)

NAME = "2.2.1"

# --- Arguments -------------------------------------------------------------------------------

REFUSED_BY_SEARCH: Mapping[str, str] = {
    "reference_date": "The reference_date parameter is not supported by the OSS Memory SDK."
}
LEAST_LISTED = 1


def read_id(value: object, name: str) -> str:
    """The text of any value, such as a number.

    Raises:
        ValueError: it is None, or has no text.
    """
    if value is None:
        return refuse_id(value, name)
    try:
        return str(value)
    except (ValueError, RecursionError):  # An int of more than 4,300 digits, very deep lists.
        raise ValueError(f"Invalid {name}: {shown(value)}. Must be a string.") from None


def is_given(value: object) -> bool:
    """A blank id is one, and is refused."""
    return value is not None


def read_query(query: object) -> str:
    """The query without the white space around it.

    Raises:
        ValueError: it is not a string, or blank.
    """
    if not isinstance(query, str):
        raise ValueError("Invalid query: must be a non-empty string.")
    trimmed = query.strip()
    if not trimmed:
        raise ValueError("Invalid query: cannot be empty or whitespace-only.")
    return trimmed


# --- Messages --------------------------------------------------------------------------------

NEEDS_ROLE = False


def is_said(message: Message) -> bool:
    """A message without content counts only if it is the system's."""
    return message.get("content") is not None or message.get("role") == SILENT_ROLE


def is_spoken(message: Message) -> bool:
    """A message without content is not shown."""
    return message.get("role") in SPOKEN_ROLES and message.get("content") is not None


def reduce_parts(message: Message) -> Message | None:
    """The texts of a list of parts with spaces in between; divergence D-10 for the rest."""
    if isinstance(message.get("content"), list) and message.get("role") != SILENT_ROLE:
        return in_words(message)
    return in_lines({"content": None, **message})


def address_of(image: Payload) -> str:
    """Where an image is.

    Raises:
        ValueError: the address is missing.
        ValidationError: VALIDATION_004, the address is not text.
    """
    inner = image.get("image_url")
    url = inner.get("url") if isinstance(inner, dict) else None
    if not url:
        raise ValueError("image_url content part is missing image_url.url")
    return check_text(url, "the url of an image_url")


# --- The model -------------------------------------------------------------------------------

RAISES_LLM_ERRORS = True
LLM_FAILURE = "LLM extraction failed"


def reply_text(reply: Any) -> Any:
    """The texts of a list of blocks, joined; a reply that is neither text nor a list is empty."""
    if isinstance(reply, list):
        texts = [block.get("text") if isinstance(block, dict) else block for block in reply]
        return "".join(text for text in texts if isinstance(text, str))
    return reply if isinstance(reply, str) else ""


def check_summary(text: str) -> str:
    """Raises ValueError for an empty text."""
    if not text:
        raise ValueError(
            "The LLM returned no content for the procedural memory summary. "
            "The model may have declined the request or returned an empty response."
        )
    return text


# --- Payloads --------------------------------------------------------------------------------

EXPIRATION_FIELDS: Sequence[str] = (EXPIRATION_DATE, *OWN_FIELDS)
"""The second is what the profile "2.0.4" has written: it expires, too."""

RESULT_FIELDS = ResultFields(
    *SCOPE_KEYS, *SPEAKER_FIELDS, "attributed_to", expiration=EXPIRATION_FIELDS
)
_IDENTITY = frozenset((*SCOPE_KEYS, "actor_id"))


def stamp(metadata: Mapping[str, object] | None, ids: Mapping[str, str]) -> dict[str, object]:
    """The caller's metadata without ids of any kind, and the ids of the call."""
    return {**overlay(metadata), **ids}


def overlay(metadata: Mapping[str, object] | None) -> Payload:
    """Everything but the ids of the scope and of the speaker.

    Raises:
        ValidationError: VALIDATION_005, `metadata` is not a dict, is too deep or large, or has a
            field that only isomem writes.
    """
    if not metadata:
        return {}
    fields = own_copy(metadata)
    for key in _IDENTITY.intersection(fields):
        log.warning("metadata cannot set %s: it was left out", key)
        del fields[key]
    return fields


def changed(old: Payload, change: Change, now: str) -> Payload:
    """The payload after an update: the old fields in their order, overlaid by the caller's."""
    payload = {
        **old,
        **change.metadata,
        **text_fields(old, change),
        "created_at": old.get("created_at"),
        "updated_at": now,
    }
    if EXPIRATION_DATE in change.metadata:
        # Emptied, not removed: some stores only overlay the fields that they are given.
        payload.update(dict.fromkeys(set(OWN_FIELDS).intersection(old)))
    return payload


# --- Expiry ----------------------------------------------------------------------------------

TELLS_EXPIRED = True
WIDENS_SEARCH = False


def first_listed(
    ask: Callable[[int], Sequence[T]], top_k: int, visibility: Visibility
) -> Sequence[T]:
    """The first `top_k` that are not hidden, of four times as many, or of 60."""
    found = counted(ask(top_k))
    if len(visibility.shown(found)) == len(found):
        return found
    most = max(top_k * CANDIDATES_PER_RESULT, LEAST_CANDIDATES)
    return visibility.shown_of(ask, most)[:top_k]


# --- Stores ----------------------------------------------------------------------------------

BUFFERS_FAILED_ADDS = True
REEMBEDS_SAME_TEXT = True
RELINKS_SAME_TEXT = False
SHOWS_READ_FAILURES = True

# --- Entities --------------------------------------------------------------------------------

MATCHES_TEXT = True
EMBEDS_PROBES_TOGETHER = True
BOOSTS_SINGLY = True


def entity_key(text: str) -> str:
    """Case does not count, and no white space but single spaces."""
    return " ".join(text.lower().split())
