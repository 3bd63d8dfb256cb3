"""What an embedder that runs here costs per text, and how often its vectors find the right fact."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TEN_WORDS = "I moved to Lisbon {} years ago and drink green tea"
KS = (1, 5, 10)
UNANSWERABLE = 5


def main(given: dict[str, Any]) -> dict[str, float]:
    """Options: `provider`; `texts`, how many are timed; `data`, a folder of LoCoMo, or "";
    `conversations`, how many of its files are read; `dims`, or 0.
    """
    from isomem.providers.registry import create_embedder

    before = kit.memory_mb("VmRSS")
    begun = perf_counter()
    options = {"embedding_dims": given["dims"]} if given["dims"] else {}
    embedder: Any = create_embedder(given["provider"], options)
    embedder.embed("tea", "add")
    first_ms = (perf_counter() - begun) * 1000
    begun = perf_counter()
    for number in range(given["texts"]):
        embedder.embed(TEN_WORDS.format(number), "add")
    text_us = (perf_counter() - begun) * 1e6 / given["texts"]
    grown = {"resident_mb": kit.memory_mb("VmRSS") - before}
    return {
        "text_us": text_us,
        "first_ms": first_ms,
        **grown,
        "dims": len(embedder.embed("tea")),
        **recall(embedder, given["data"], given["conversations"]),
    }


def recall(embedder: Any, data: str, conversations: int) -> dict[str, float]:
    """Of the questions of categories 1 to 4, the share in percent that finds it at 1, 5 and 10.

    Facts are ranked by the cosine of their vector and the question's, and by nothing else. The
    questions of category 5 have no answer in the conversation.
    """
    if not data:
        return {}
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from bench.locomo import Conversation

    ranks = []
    paths = sorted(Path(data).glob("*.json"))[:conversations]
    if not paths:
        raise SystemExit(f"LOCOMO_DIR: {data} has no conversations")
    for path in paths:
        ranks += ranks_in(embedder, Conversation(path, "facts"))
    found = {k: sum(rank < k for rank in ranks) for k in KS}
    return {f"recall_{k}": 100 * found[k] / len(ranks) for k in KS} | {"questions": len(ranks)}


def ranks_in(embedder: Any, conversation: Any) -> list[int]:
    """For each question, at which place the first fact from its evidence is, from 0 on."""
    import numpy as np

    from bench.locomo import turn_ids

    facts = list(conversation.sources)
    rows = unit(np.array(embedder.embed_batch(facts, "add"), dtype=np.float32))
    ranks = []
    for question in conversation.questions:
        if question["category"] == UNANSWERABLE:
            continue
        vector = np.array(embedder.embed(question["question"], "search"), dtype=np.float32)
        order = np.argsort(-(rows @ vector), kind="stable")
        evidence = turn_ids(question["evidence"])
        places = (at for at, row in enumerate(order) if conversation.sources[facts[row]] & evidence)
        ranks.append(next(places, len(facts)))
    return ranks


def unit(rows: Any) -> Any:
    """The rows with the length one; those of zeros stay."""
    import numpy as np

    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths == 0, 1, lengths)


if __name__ == "__main__":
    kit.finish(main(kit.options()))
