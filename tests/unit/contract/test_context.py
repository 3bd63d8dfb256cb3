"""The estimate of tokens: by its formula, and next to a real tokenizer."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from isomem.contract.context import estimate_tokens

DEMO = Path(__file__).resolve().parents[3] / "src/isomem/demo_data"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("tea", 1),
        ("teas", 2),
        (" tea", 1),
        ("  tea", 2),
        ("Tea", 2),
        ("Lisbon moved", 3 + 2),
        ("2025-03-05:", 11),
        ("it's\n", 1 + 1 + 1 + 1),
        ("é", 1),
        ("茶", 2),
        ("🍵", 4),
        ("\ud800", 2),
        ("café茶", 1 + 1 + 2),
    ],
)
def test_the_formula(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


def test_lines_add_up() -> None:
    lines = ["2025-03-05:", "- Ana moved to Lisbon.", "- 茶 é"]
    assert estimate_tokens("\n".join(lines)) == sum(map(estimate_tokens, lines)) + 2


def conversations() -> list[str]:
    found = []
    for path in sorted(DEMO.glob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        found += [line["content"] for line in lines if "content" in line]
    return found


@pytest.mark.skipif(importlib.util.find_spec("wordllama") is None, reason="needs isomem[wordllama]")
def test_it_is_more_than_a_tokenizer_of_32000_words_counts() -> None:
    """That of Llama 2, which comes with wordllama: newer ones need fewer tokens."""
    import tokenizers
    import wordllama

    folder = Path(str(wordllama.__file__)).parent / "tokenizers"
    real: Any = tokenizers.Tokenizer.from_file(str(folder / "l2_supercat_tokenizer_config.json"))

    def count(text: str) -> int:
        return len(real.encode(text, add_special_tokens=False).ids)

    prose = "\n".join(conversations())
    assert count(prose) < estimate_tokens(prose) < 1.6 * count(prose)
    for text in (
        "Grüße aus Bern, ich möchte gern über die Straße gehen und schöne Äpfel kaufen.",
        "J'ai déménagé à Lisbonne l'été dernier, c'était très agréable.",
        "Я переехал в Лиссабон в мае и очень люблю зелёный чай.",
        "我五月份搬到了里斯本，我喜欢绿茶。",
        "五月にリスボンに引っ越しました。緑茶が好きです。",
        "मैं मई में लिस्बन चला गया और मुझे हरी चाय पसंद है",
        "Great! 🎉 See you on the train 🚆",
    ):
        assert count(text) <= estimate_tokens(text), text
