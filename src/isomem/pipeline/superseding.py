"""Superseding: which stored facts the new ones of an add make stale."""

from __future__ import annotations

from isomem import log
from isomem.contract.filters import parse_datetime
from isomem.contract.moments import EVENT_TIME
from isomem.contract.plan import Supersession
from isomem.contract.visibility import Visibility, first_shown
from isomem.errors import UnusableReplyError
from isomem.ports.guard import PartFailure
from isomem.prompts.superseding import ask_superseded
from isomem.text.reply import read_items
from isomem.text.superseding import CONTRADICTS, REPEATS, NewFact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from isomem.contract.plan import Record
    from isomem.dates import datetime
    from isomem.ports.shapes import Filters, Hit, Payload, Ports, Stores

    Near = Sequence[Sequence[Hit]]
    """For each new fact, the stored memories near it, nearest first."""

NEIGHBORS = 5
"""How many stored memories are looked at for each new fact."""

LEAST_SIMILARITY = 0.3
"""A memory that is less similar to a new fact is not one of its neighbours."""


async def supersessions(
    ports: Ports, records: Sequence[Record], scope: Filters, mode: str
) -> list[Supersession]:
    """What the new facts supersede: each stored memory once.

    Args:
        records: the new facts.
        scope: the ids of the call. Only memories that have them are looked at.
        mode: "model" asks the model, once for all facts; "similar" compares texts.
    """
    if not records:
        return []
    near = await ports.store(_neighbors, records, scope, Visibility(ports.clock))
    if not any(near):
        return []
    if mode == "model":
        return await _by_model(ports, records, near)
    return await ports.compute(_by_text, records, near)


# --- Neighbours ------------------------------------------------------------------------------


def _neighbors(
    stores: Stores, records: Sequence[Record], scope: Filters, visibility: Visibility
) -> Near:
    with stores.reading():
        return [_near(stores, record, scope, visibility) for record in records]


def _near(stores: Stores, record: Record, scope: Filters, visibility: Visibility) -> Sequence[Hit]:
    def ask(top_k: int) -> Sequence[Hit]:
        hits = stores.vectors.search(
            query=record.text, vectors=record.vector, top_k=top_k, filters=scope
        )
        return [hit for hit in hits if hit.score >= LEAST_SIMILARITY]

    shown = first_shown(ask, NEIGHBORS, visibility.hides_hit)
    return [hit for hit in shown if _may_be_stale(hit.payload or {}, record.payload)]


def _may_be_stale(payload: Payload, new: Payload) -> bool:
    """Whether a memory is a fact that was known before the new one.

    Messages that were stored as they are and procedural memories are not facts. A conversation that
    is taken in late tells of an earlier time, and supersedes nothing that was said after it.
    """
    if "role" in payload or "memory_type" in payload or not isinstance(payload.get("data"), str):
        return False
    before, after = _moment(payload), _moment(new)
    return before is not None and after is not None and before <= after


def _moment(payload: Payload) -> datetime | None:
    said = payload.get(EVENT_TIME) or payload.get("created_at")
    return parse_datetime(said) if isinstance(said, str) else None


# --- By text ---------------------------------------------------------------------------------


def _by_text(records: Sequence[Record], near: Near) -> list[Supersession]:
    decided: dict[str, Supersession] = {}
    for record, hits in zip(records, near, strict=True):
        new = NewFact(record.text)
        for hit in hits:
            why = new.supersedes(hit.payload["data"])
            if why is not None:
                decided.setdefault(str(hit.id), _supersession(hit, record, why))
    return list(decided.values())


def _supersession(hit: Hit, record: Record, why: str) -> Supersession:
    return Supersession(str(hit.id), hit.payload.get("hash"), record.id, why)


# --- By the model ----------------------------------------------------------------------------


async def _by_model(ports: Ports, records: Sequence[Record], near: Near) -> list[Supersession]:
    """What the model says. If the call fails or its reply cannot be used, nothing is superseded.

    That is logged and not raised, whatever `raise_on_llm_error` is: the facts must not be lost.
    """
    hits = list({str(hit.id): hit for hits in near for hit in hits}.values())
    question = ask_superseded(
        [_shown(record.payload) for record in records], [_shown(hit.payload) for hit in hits]
    )
    try:
        reply = await ports.generate(question, response_format={"type": "json_object"})
        items = read_items(reply, "superseded")
    except PartFailure as failure:
        log.error("Nothing is superseded, since the model call failed: %s", failure.error)
        return []
    except UnusableReplyError as error:
        log.error("Nothing is superseded: %s", error)
        return []
    return _decided(items, records, hits)


def _shown(payload: Payload) -> tuple[str, str]:
    """The day and the text of a fact, as the model sees them."""
    return str(payload.get(EVENT_TIME) or payload.get("created_at") or "")[:10], payload["data"]


def _decided(
    items: Sequence[object], records: Sequence[Record], hits: Sequence[Hit]
) -> list[Supersession]:
    decided: dict[int, Supersession] = {}
    for item in items:
        fact = _number(item, "fact", len(records))
        memory = _number(item, "memory", len(hits))
        if fact is None or memory is None:
            log.warning("The model names a fact or a memory that it was not shown: %.200r", item)
            continue
        why = item.get("why") if isinstance(item, dict) else None
        hit, record = hits[memory], records[fact]
        why = why if why in (CONTRADICTS, REPEATS) else CONTRADICTS
        decided.setdefault(memory, _supersession(hit, record, why))
    return list(decided.values())


def _number(item: object, key: str, count: int) -> int | None:
    """The number under a key, which may be written as text, if it is below `count`."""
    value = item.get(key) if isinstance(item, dict) else None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value < count else None
