"""Draws the house: the parts of isomem and who imports whom, as a Mermaid graph.

`python -m scripts.house` writes it into CONTRIBUTING.md, between the markers. A test fails when
the picture there is not that of the code.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from scripts.imports import PACKAGE, Graph, joined, module_graph, names, part_of, reachable

PAGE = Path(__file__).resolve().parent.parent / "CONTRIBUTING.md"
START = "<!-- The house: written by `python -m scripts.house`. -->"
END = "<!-- The house ends. -->"

# What the rooms of the picture hold: parts of the package, from top to bottom. A part that no room
# names has its own room.
ROOMS = {
    "command line": ("__main__", "cli"),
    "ways in": ("compat", "demo", "importer", "ingest", "moving", "reembed", "reference"),
    "Memory, Client": ("", "client", "memory", "memory_async", "facade", "wiring"),
}
# Nearly every part imports some of these, and they import nothing above them: no arrows.
LOWEST = frozenset(
    {
        "causes", "clock", "dates", "digest", "errors", "kernel", "log", "options", "pattern",
        "pieces", "types",
    }
)  # fmt: skip


def main() -> int:
    """Write the picture into the page; 0."""
    PAGE.write_text(with_picture(PAGE.read_text(encoding="utf-8"), picture()), encoding="utf-8")
    return 0


def with_picture(page: str, drawn: str) -> str:
    """The page with another picture between its markers."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{drawn}\n{END}{after}"


def picture() -> str:
    """The graph in Mermaid's words, and a sentence on what it leaves out."""
    rooms = room_graph()
    order = _from_above(rooms)
    shown = without_detours(rooms)
    lines = [f'    {_key(room)}["{_label(room)}"]' for room in order]
    lines += [
        f"    {_key(room)} --> {_key(target)}"
        for room in order
        for target in order
        if target in shown[room]
    ]
    omitted = ", ".join(f"`{part}`" for part in sorted(LOWEST))
    closing = f"Left out, since nearly everything imports them: {omitted}."
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```", "", closing])


def room_graph() -> Graph:
    """From every room to the rooms that its modules import, types included."""
    room_of = {part: room for room, parts in ROOMS.items() for part in parts}
    drawn = (name for name in names() if part_of(name) not in LOWEST)
    return joined(
        module_graph(), {name: room_of.get(part_of(name), part_of(name)) for name in drawn}
    )


def without_detours(graph: Graph) -> Graph:
    """Only the arrows whose target no longer path reaches."""
    return {
        node: frozenset(
            target
            for target in targets
            if not any(target in reachable(graph, other) for other in targets - {target})
        )
        for node, targets in graph.items()
    }


def _from_above(graph: Graph) -> list[str]:
    """The rooms, each before those that it imports."""
    return sorted(graph, key=lambda room: (-len(reachable(graph, room)), room))


def _key(room: str) -> str:
    return re.sub(r"\W+", "_", room).lower()


def _label(room: str) -> str:
    if room not in ROOMS:
        return _file(room)
    inside = " ".join(_file(part) for part in ROOMS[room] if part and part != room)
    return f"{room}<br>{inside}".removesuffix("<br>")


def _file(part: str) -> str:
    return f"{part}/" if (PACKAGE / part).is_dir() else f"{part}.py"


if __name__ == "__main__":
    sys.exit(main())
