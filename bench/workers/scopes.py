"""Opens a store of many users and searches in scopes here and there."""

from __future__ import annotations

from time import perf_counter

import kit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def main(given: dict[str, Any]) -> dict[str, float]:
    """Options: `kit.build`'s, `users`, `few` scopes, and `searches` over all of them.

    Three ways to search, the first two with as many scopes in every store:
        first: some scopes, none of which this process has searched before.
        again: the same ones once more.
        random: any scope of the store, after as many searches that are not counted.
    """
    embedder = kit.Constant()
    import_the_system(given)
    begun = perf_counter()
    memory = kit.build(given, embedder)
    opened = perf_counter() - begun

    def ask(users: Iterable[int]) -> list[float]:
        def one(user: int) -> None:
            memory.search(kit.QUERY, filters={"user_id": f"user{user}"})

        return kit.each(one, users, embedder)

    few = min(given["few"], given["users"])
    spaced = [at * given["users"] // few for at in range(few)]
    figures = {"open_ms": opened * 1000}
    figures |= kit.spread("first", ask(spaced))
    figures |= kit.spread("again", ask(spaced))
    if given["searches"]:
        somewhere = list(kit.scattered(2 * given["searches"], given["users"]))
        times = ask(somewhere)
        figures |= kit.spread("random", times[given["searches"] :])
    return figures


def import_the_system(given: dict[str, Any]) -> None:
    """Opening is measured without the import."""
    if str(given["system"]).startswith("mem0"):
        import mem0  # noqa: F401
    else:
        import isomem  # noqa: F401


if __name__ == "__main__":
    kit.finish(main(kit.options()))
