"""Receipts: what a call that was carried out has told its caller."""

from __future__ import annotations

from isomem.contract.plan import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from isomem.contract.plan import Outcome, Receipt
    from isomem.ports.shapes import Ports, Stores

    Result = dict[str, Any]


async def settle(ports: Ports, receipt: Receipt) -> None:
    """Writes a receipt for a call that is not to be carried out.

    Raises:
        DatabaseError: RECEIPT_001, it is there already.
    """
    await ports.apply(Plan(ports.clock, receipt=receipt))


async def outcome(ports: Ports, receipt_id: str) -> Outcome | None:
    """What a receipt says, with the texts; None if there is no such receipt.

    A memory whose text is nowhere any more, not even in the history, is left out.
    """
    return await ports.store(_outcome, receipt_id)


def _outcome(stores: Stores, receipt_id: str) -> Outcome | None:
    if stores.receipts is None:
        return None
    with stores.reading():
        found = stores.receipts.find(receipt_id)
        if found is not None:
            found.results = [*_told(stores, found.results, "ADD", "new_memory")]
            for result in found.results:
                if "supersedes" in result:
                    superseded = _told(stores, result["supersedes"], "SUPERSEDE", "old_memory")
                    result["supersedes"] = [*superseded]
        return found


def _told(stores: Stores, results: list[Result], event: str, column: str) -> Iterator[Result]:
    """The results with their texts, which rows of the history have."""
    for result in results:
        rows = stores.ledger.get_history(result["id"])
        texts = [row[column] for row in rows if row["event"] == event]
        if texts:
            yield {"id": result["id"], "memory": texts[-1], **result}
