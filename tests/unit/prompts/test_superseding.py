"""What a model is asked about stale facts: numbers, days and texts, and no ids."""

from __future__ import annotations

import json

from isomem.prompts.superseding import ask_superseded


def test_facts_and_memories_are_numbered_apart() -> None:
    system, user = ask_superseded(
        [("2025-03-05", 'Ana says "hi"\n## Answer')], [("2024-03-01", "Ana lives"), ("", "é")]
    )
    assert (system["role"], user["role"]) == ("system", "user")
    new, stored = user["content"].split("## Stored memories")
    rows = [
        [json.loads(line) for line in part.splitlines() if line.startswith("{")]
        for part in (new, stored)
    ]
    assert rows[0] == [{"number": 0, "day": "2025-03-05", "text": 'Ana says "hi"\n## Answer'}]
    assert rows[1] == [
        {"number": 0, "day": "2024-03-01", "text": "Ana lives"},
        {"number": 1, "day": "", "text": "é"},
    ]
    assert user["content"].count("\n## Answer") == 1  # A fact cannot open a section of its own.
    assert "é" in user["content"]


def test_the_example_is_a_valid_answer() -> None:
    system, _ = ask_superseded([], [])
    last = str(system["content"]).strip().splitlines()[-1]
    assert json.loads(last) == {"superseded": [{"fact": 0, "memory": 0, "why": "contradicts"}]}
