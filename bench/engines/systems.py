"""The systems that take turns: isomem on an engine, in two settings, and mem0 beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.engines.rows import BY_NAME, DIMS, ENGINES, Engine, Place

SETTINGS = {
    "isomem": "isomem",
    "plain": "isomem set as mem0",
    "mem0": "mem0",
    "extras": "mem0 with its extras",
}
"""What a system is: isomem with its defaults, which finds entities and keywords; isomem without
them, as mem0 is after `pip install mem0ai`, and set to ask the engine what mem0 asks it; that mem0;
and mem0 with spaCy and fastembed, which has what isomem's defaults have."""

PAIRS = (("plain", "mem0"), ("isomem", "mem0"), ("isomem", "extras"))
"""Which setting of isomem is compared with which of mem0."""

ALIKE = frozenset({("plain", "mem0"), ("isomem", "extras")})
"""The pairs that do the same work."""


@dataclass(frozen=True)
class System:
    """One process.

    Attributes:
        setting: a key of `SETTINGS`.
        engine: where its memories are.
    """

    setting: str
    engine: Engine

    @property
    def name(self) -> str:
        """Its name, which is one of a folder and of a schema, too."""
        return f"{self.setting}_{self.engine.name}".replace("-", "_")

    @property
    def title(self) -> str:
        """As the tables have it."""
        return f"{SETTINGS[self.setting]}: {self.engine.title}"

    @property
    def is_mem0(self) -> bool:
        """Whether it is mem0."""
        return self.setting in {"mem0", "extras"}

    @property
    def uses_theirs(self) -> bool:
        """Whether it works on the data of mem0, as isomem set as mem0 does where both can."""
        return self.is_mem0 or (self.setting == "plain" and self.engine.shares)

    def shares_with(self, other: System) -> bool:
        """Whether it works on the data of another system."""
        return (self.engine, self.uses_theirs) == (other.engine, other.uses_theirs)

    def copies(self, other: System, memories: int) -> bool:
        """Whether it begins with a copy of what another system has stored."""
        is_pair = (self.setting, other.setting) == ("plain", "mem0") and other.engine == self.engine
        return is_pair and bool(self.engine.copied) and memories >= self.engine.copied_from

    def job(self, place: Place, large: int) -> dict[str, Any]:
        """What its process is given."""
        folder = place.folder / self.name
        folder.mkdir(exist_ok=True)
        make = self.engine.theirs if self.uses_theirs else self.engine.ours
        assert make is not None
        config: dict[str, Any] = {"vector_store": make(place, folder)}
        if config["vector_store"]["provider"] not in {"embedded", "postgres"}:
            config["history_db_path"] = str(folder / "history.db")
        if self.setting == "plain":
            config["nlp"] = {"provider": "none"}
            config["vector_store"]["config"] |= self.engine.as_mem0
        return {
            "side": "mem0" if self.is_mem0 else "isomem",
            "extras": self.setting == "extras",
            "one_at_a_time": self.is_mem0 and self.engine.breaks,
            "dims": DIMS,
            "memories": place.memories,
            "large": large,
            "config": config,
        }


def groups(names: list[str], settings: list[str]) -> Iterator[list[System]]:
    """The systems that take turns with each other: those that have the same mem0 beside them."""
    engines = [engine for engine in ENGINES if engine.name in names]
    for peer in dict.fromkeys(engine.peer for engine in engines):
        members = [engine for engine in engines if engine.peer == peer]
        theirs = [System(each, BY_NAME[peer]) for each in settings if each in {"mem0", "extras"}]
        mine = [
            System(each, engine)
            for engine in members
            for each in settings
            if each in {"isomem", "plain"}
        ]
        yield [*theirs, *mine]
