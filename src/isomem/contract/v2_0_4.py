"""The profile "2.0.4": what mem0 2.0.4 decides, or isomem where it diverges; see `profile`."""

from __future__ import annotations

from isomem import log
from isomem.contract.arguments import check_text
from isomem.contract.arguments import refuse_id as read_id
from isomem.contract.limits import OWN_FIELDS, SPEAKER_FIELDS, SPOKEN_ROLES
from isomem.contract.parts import in_lines as reduce_parts
from isomem.contract.payload import OF_TEXT, ResultFields, own_copy, text_fields
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeVar

    from isomem.contract.plan import Change
    from isomem.contract.visibility import Visibility
    from isomem.types import Message, Payload

    T = TypeVar("T", bound=Any)

__all__ = [
    "BOOSTS_SINGLY", "BUFFERS_FAILED_ADDS", "EMBEDS_PROBES_TOGETHER", "EXPIRATION_FIELDS",
    "LEAST_LISTED", "LLM_FAILURE", "MATCHES_TEXT", "NAME", "NEEDS_ROLE", "RAISES_LLM_ERRORS",
    "REEMBEDS_SAME_TEXT", "REFUSED_BY_SEARCH", "RELINKS_SAME_TEXT", "RESULT_FIELDS",
    "SHOWS_READ_FAILURES", "TELLS_EXPIRED", "WIDENS_SEARCH", "address_of", "changed",
    "check_summary", "entity_key", "first_listed", "is_given", "is_said", "is_spoken", "overlay",
    "read_id", "read_query", "reduce_parts", "reply_text", "stamp",
]  # fmt: skip

NAME = "2.0.4"

# --- Arguments -------------------------------------------------------------------------------

REFUSED_BY_SEARCH: Mapping[str, str] = {}
LEAST_LISTED = 0


def is_given(value: object) -> bool:
    """An empty value is not an id."""
    return bool(value)


def read_query(query: object) -> object:
    """The query as it is; it is checked last."""
    return query


# --- Messages --------------------------------------------------------------------------------

NEEDS_ROLE = True


def is_said(message: Message) -> bool:
    """Divergence D-10: a message without the key `content` is left out."""
    return "content" in message


def is_spoken(message: Message) -> bool:
    """A message is shown by its role alone."""
    return message["role"] in SPOKEN_ROLES


def address_of(image: Payload) -> str:
    """Where an image is.

    Raises:
        ValidationError: VALIDATION_004, the address is missing.
    """
    inner = image.get("image_url")
    url = inner.get("url") if isinstance(inner, dict) else None
    return check_text(url, "the url of an image_url")


# --- The model -------------------------------------------------------------------------------

RAISES_LLM_ERRORS = False
LLM_FAILURE = "the model call failed"


def reply_text(reply: Any) -> Any:
    """The reply as it is: only text can be used."""
    return reply


def check_summary(text: str) -> str:
    """Any text is stored, even an empty one."""
    return text


# --- Payloads --------------------------------------------------------------------------------

EXPIRATION_FIELDS: Sequence[str] = OWN_FIELDS
RESULT_FIELDS = ResultFields(*SCOPE_KEYS, *SPEAKER_FIELDS, expiration=EXPIRATION_FIELDS)


# Fields that an update writes itself; the rest of a payload is the caller's and stays.
_NOT_KEPT = frozenset((*OF_TEXT, "created_at", "updated_at", *SCOPE_KEYS, *SPEAKER_FIELDS))


def stamp(metadata: Mapping[str, object] | None, ids: Mapping[str, str]) -> dict[str, object]:
    """The caller's metadata, and the ids of the call.

    An id that is only in `metadata` does not count (divergence D-05): metadata must never put
    a memory into a scope that the call did not name.
    """
    if not metadata:
        return dict(ids)
    return {**_without_ids(metadata, keep=ids), **ids}


def overlay(metadata: Mapping[str, object] | None) -> Payload:
    """Everything but the ids of the scope (divergence D-05)."""
    if not metadata:
        return {}
    kept = _without_ids(metadata, keep={})
    return {key: value for key, value in kept.items() if key not in SCOPE_KEYS}


def _without_ids(metadata: Mapping[str, object], keep: Mapping[str, str]) -> Payload:
    """A copy of metadata; of the ids in it, it has those of `keep`, and those that are None."""
    fields = own_copy(metadata)
    for key in SCOPE_KEYS:
        if fields.get(key) is not None and key not in keep:
            log.warning("metadata cannot set %s: it was left out; pass it as an argument", key)
            del fields[key]
    return fields


def changed(old: Payload, change: Change, now: str) -> Payload:
    """The payload after an update: the caller's fields, then ours, then the scope's.

    The caller's earlier fields are kept (divergence D-01). No field can change the scope.
    """
    kept = {key: value for key, value in old.items() if key not in _NOT_KEPT}
    payload = {
        **kept,
        **change.metadata,
        **text_fields(old, change),
        "created_at": old.get("created_at"),
        "updated_at": now,
        **{key: old[key] for key in SCOPE_KEYS if key in old},
    }
    if "actor_id" in old:
        payload["actor_id"] = old["actor_id"]
    if "role" in old:
        payload.setdefault("role", old["role"])
    return payload


# --- Expiry ----------------------------------------------------------------------------------

TELLS_EXPIRED = False
WIDENS_SEARCH = True


def first_listed(
    ask: Callable[[int], Sequence[T]], top_k: int, visibility: Visibility
) -> Sequence[T]:
    """The first `top_k` that are not hidden; as many as there would be without hidden ones."""
    return visibility.first_shown(ask, top_k)


# --- Stores ----------------------------------------------------------------------------------

BUFFERS_FAILED_ADDS = False
REEMBEDS_SAME_TEXT = False
RELINKS_SAME_TEXT = True
SHOWS_READ_FAILURES = False

# --- Entities --------------------------------------------------------------------------------

MATCHES_TEXT = False
EMBEDS_PROBES_TOGETHER = False
BOOSTS_SINGLY = False


def entity_key(text: str) -> str:
    """Case and outer white space do not count."""
    return text.strip().lower()
