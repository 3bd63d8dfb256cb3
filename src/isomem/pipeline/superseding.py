"""Superseding: which stored facts the new ones of an add make stale."""

from __future__ import annotations

from isomem import log
from isomem.contract.plan import Supersession
from isomem.contract.superseding import (
    LEAST_SIMILARITY,
    NEIGHBORS,
    as_shown,
    may_be_stale,
    number_in,
)
from isomem.contract.visibility import Visibility
from isomem.errors import UnusableReplyError
from isomem.ports.guard import PartFailure
from isomem.prompts.superseding import ask_superseded
from isomem.text.reply import read_items
from isomem.text.superseding import CONTRADICTS, REPEATS, NewFact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from isomem.contract.plan import Record
    from isomem.ports.shapes import Filters, Hit, Ports, Stores

    Near = Sequence[Sequence[Hit]]
    """For each new fact, the stored memories near it, nearest first."""


async def supersessions(
    ports: Ports, records: Sequence[Record], said_again: Container[str], scope: Filters, mode: str
) -> list[Supersession]:
    """What the new facts supersede: each stored memory once.

    Args:
        records: the new facts.
        said_again: hashes of the facts of the same call that are not stored, since they are known.
            Their memories are not stale: it has just been said that they are true.
        scope: the ids of the call. Only memories that have them are looked at.
        mode: "model" asks the model, once for all facts; "similar" compares texts.
    """
    if not records:
        return []
    try:
        shown = Visibility(ports.clock, ports.profile.EXPIRATION_FIELDS)
        near = await ports.store(_neighbors, records, said_again, scope, shown)
    except PartFailure as failure:
        log.error("Nothing is superseded, since the store failed: %s", failure.error)
        return []
    if not any(near):
        return []
    if mode == "model":
        return await _by_model(ports, records, near)
    return await ports.compute(_by_text, records, near)


# --- Neighbours ------------------------------------------------------------------------------


def _neighbors(
    stores: Stores,
    records: Sequence[Record],
    said_again: Container[str],
    scope: Filters,
    visibility: Visibility,
) -> Near:
    with stores.reading():
        near = [_near(stores, record, scope, visibility) for record in records]
    return [[hit for hit in hits if hit.payload.get("hash") not in said_again] for hits in near]


def _near(stores: Stores, record: Record, scope: Filters, visibility: Visibility) -> Sequence[Hit]:
    def ask(top_k: int) -> Sequence[Hit]:
        hits = stores.vectors.search(
            query=record.text, vectors=record.vector, top_k=top_k, filters=scope
        )
        return [hit for hit in hits if (hit.score or 0.0) >= LEAST_SIMILARITY]

    shown = visibility.first_shown(ask, NEIGHBORS)
    return [hit for hit in shown if may_be_stale(hit.payload or {}, record.payload)]


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
        [as_shown(record.payload) for record in records], [as_shown(hit.payload) for hit in hits]
    )
    try:
        reply = await ports.generate(question, response_format={"type": "json_object"})
        items = read_items(ports.profile.reply_text(reply), "superseded")
    except PartFailure as failure:
        log.error("Nothing is superseded, since the model call failed: %s", failure.error)
        return []
    except UnusableReplyError as error:
        log.error("Nothing is superseded: %s", error)
        return []
    return _decided(items, records, hits)


def _decided(
    items: Sequence[object], records: Sequence[Record], hits: Sequence[Hit]
) -> list[Supersession]:
    decided: dict[int, Supersession] = {}
    for item in items:
        fact = number_in(item, "fact", len(records))
        memory = number_in(item, "memory", len(hits))
        if fact is None or memory is None:
            log.warning("The model names a fact or a memory that it was not shown: %.200r", item)
            continue
        why = item.get("why") if isinstance(item, dict) else None
        hit, record = hits[memory], records[fact]
        why = why if why in (CONTRADICTS, REPEATS) else CONTRADICTS
        decided.setdefault(memory, _supersession(hit, record, why))
    return list(decided.values())
