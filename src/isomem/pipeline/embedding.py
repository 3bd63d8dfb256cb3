"""Embedding several texts in one call."""

from __future__ import annotations

from isomem import log
from isomem.ports.guard import PartFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from isomem.ports.shapes import Ports, Vector


async def embed_together(
    ports: Ports, texts: list[str], action: str, what: str
) -> Sequence[Vector] | None:
    """The vectors of some texts, from one call of the embedder.

    Args:
        what: the texts, in words for the log.

    Returns:
        None if the call failed. The log says so, and the texts have to be embedded one by one.
    """
    try:
        return await ports.embed_batch(texts, action)
    except PartFailure as failure:
        log.warning("Embedding %s one by one: %s", what, failure)
        return None
