"""The scenario language: JSON in, checked steps out. `parity/README.md` is its manual."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isomem.types import PROFILES

METHODS = (
    "add search get get_all update delete delete_all history reset".split()
)  # what is called on the memory
STAGE = "reopen clock instructions reranker peek".split()  # what the harness does itself
EXTRAS = ("as", "replies", "fail", "note", "together")
TIERS = ("A", "B", "C")
CLASSES = ("sync", "async")
SCENARIOS = Path(__file__).with_name("scenarios")  # those that come with this distribution
START = "2025-03-01T09:30:00.123456+00:00"

_REFERENCE = re.compile(r"\$[A-Za-z_]\w*(\.\d+)?$")


class ScriptError(ValueError):
    """A scenario file says something the language does not know."""


@dataclass(frozen=True)
class Step:
    """One operation, with what the model answers and what goes wrong meanwhile."""

    op: str
    args: Any
    name: str | None = None
    replies: tuple[Any, ...] = ()
    faults: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Script:
    """A scenario: steps against one store, from empty."""

    area: str
    title: str
    steps: tuple[Step, ...]
    about: str = ""
    tiers: tuple[str, ...] = TIERS
    classes: tuple[str, ...] = CLASSES
    profiles: tuple[str, ...] = PROFILES
    config: dict[str, Any] = field(default_factory=dict)
    clock: dict[str, Any] = field(default_factory=dict)

    def runs(self, kind: str, tier: str, profile: str) -> bool:
        """Whether it is meant for a class, a tier and a release."""
        return kind in self.classes and tier in self.tiers and profile in self.profiles

    @property
    def on_disk(self) -> bool:
        """Whether the stores are files: always so when a step needs it."""
        needs = any(step.op in ("reopen", "reset") for step in self.steps)
        return needs or self.config.get("store") == "disk"


def read_step(raw: dict[str, Any], where: str) -> Step:
    """Check one step of a scenario file."""
    ops = [key for key in raw if key in METHODS or key in STAGE]
    unknown = [key for key in raw if key not in EXTRAS and key not in ops]
    if len(ops) != 1 or unknown:
        raise ScriptError(f"{where}: needs exactly one operation, and no {unknown or 'second one'}")
    return Step(
        op=ops[0],
        args=raw[ops[0]],
        name=raw.get("as"),
        replies=tuple(raw.get("replies", ())),
        faults=tuple(raw.get("fail", ())),
    )


def read_script(raw: dict[str, Any], area: str, title: str) -> Script:
    """Check one scenario."""
    known = {"about", "tiers", "classes", "profiles", "config", "clock", "steps", "area", "title"}
    unknown = set(raw) - known
    if unknown:
        raise ScriptError(f"{area}/{title}: unknown keys {sorted(unknown)}")
    steps = tuple(
        read_step(step, f"{area}/{title}: step {i + 1}") for i, step in enumerate(raw["steps"])
    )
    return Script(
        area=raw.get("area", area),
        title=raw.get("title", title),
        steps=steps,
        about=raw.get("about", ""),
        tiers=tuple(raw.get("tiers", TIERS)),
        classes=tuple(raw.get("classes", CLASSES)),
        profiles=tuple(raw.get("profiles", PROFILES)),
        config=raw.get("config", {}),
        clock=raw.get("clock", {}),
    )


def load(paths: Iterable[str | Path]) -> list[Script]:
    """Every scenario in the files and folders; the area of one is its folder's name."""
    files: list[Path] = []
    for given in paths:
        path = Path(given)
        files += sorted(path.rglob("*.json")) if path.is_dir() else [path]
    scripts = []
    for file in files:
        raw = json.loads(file.read_text(encoding="utf-8"))
        scripts.append(read_script(raw, file.parent.name, file.stem))
    return scripts


def dump(script: Script) -> str:
    """A script as the text of a scenario file."""
    steps = []
    for step in script.steps:
        raw: dict[str, Any] = {step.op: step.args}
        if step.name:
            raw["as"] = step.name
        if step.replies:
            raw["replies"] = list(step.replies)
        if step.faults:
            raw["fail"] = list(step.faults)
        steps.append(raw)
    body = {
        "about": script.about,
        "tiers": list(script.tiers),
        "classes": list(script.classes),
        "profiles": list(script.profiles),
        "config": script.config,
        "clock": script.clock,
        "steps": steps,
    }
    return json.dumps(body, ensure_ascii=True, indent=1) + "\n"


_SPECIAL: dict[str, Callable[[Any], Any]] = {
    "$repeat": lambda value: value[0] * value[1],
    "$float": float,
    "$tuple": tuple,
    "$set": set,
    "$bytes": lambda value: value.encode(),
    "$object": lambda value: object(),
    "$list": lambda value: [value[0]] * value[1],
}


def resolve(value: Any, lookup: Callable[[str], str]) -> Any:
    """The arguments of a call: references to earlier ids, and values JSON cannot write.

    "$dog" is the id in the result of the step named "dog", "$dog.1" the second one there;
    "$$x" is the text "$x". {"$float": "nan"}, {"$repeat": ["x", 99]}, {"$list": [1, 99]},
    {"$tuple": [..]}, {"$set": [..]}, {"$bytes": ".."} and {"$object": 0} are made here.
    """
    if isinstance(value, str):
        if value.startswith("$$"):
            return value[1:]
        return lookup(value[1:]) if _REFERENCE.match(value) else value
    if isinstance(value, list):
        return [resolve(item, lookup) for item in value]
    if isinstance(value, dict):
        if len(value) == 1 and (made := _SPECIAL.get(next(iter(value)))):
            return made(next(iter(value.values())))
        return {key: resolve(item, lookup) for key, item in value.items()}
    return value
