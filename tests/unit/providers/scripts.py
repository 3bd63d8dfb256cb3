"""Texts in twenty scripts, and hostile ones, made by chance but always the same."""

from __future__ import annotations

import random
from collections.abc import Iterator

# First and last code point of what a script's letters, marks, digits and signs are among.
SCRIPTS = {
    "Latin": (0x41, 0x24F),
    "Greek": (0x370, 0x3FF),
    "Cyrillic": (0x400, 0x52F),
    "Armenian": (0x531, 0x58F),
    "Hebrew": (0x591, 0x5F4),
    "Arabic": (0x600, 0x6FF),
    "Syriac": (0x700, 0x74F),
    "Devanagari": (0x900, 0x97F),
    "Bengali": (0x980, 0x9FE),
    "Tamil": (0xB80, 0xBFA),
    "Telugu": (0xC00, 0xC7F),
    "Thai": (0xE01, 0xE5B),
    "Tibetan": (0xF00, 0xFDA),
    "Georgian": (0x10A0, 0x10FF),
    "Ethiopic": (0x1200, 0x137C),
    "Cherokee": (0x13A0, 0x13FD),
    "Khmer": (0x1780, 0x17F9),
    "Kana": (0x3041, 0x30FF),
    "Han": (0x4E00, 0x9FFF),
    "Hangul": (0xAC00, 0xD7A3),
}
HOSTILE = (
    *(chr(code) for code in range(0x20)),
    *"\x7f\x80\x85\xa0\xad\u034f\u061c\u1680\u180e\u200b\u200d\u200e\u2028\u2029\u202e\u2060",
    *"\u3000\ufe0f\ufeff\ufff9\ufffd\ufffe\uffff\ue000\U000e0001\U000f0000\U0010ffff",
    *"\u0130\u0131\u03a3\u03c2\u1e9e\ufb01\uff21\u212b\u2126\u2160\u24b6\u00bd\u2260\u037e\u1fef",
    *"\uf900\U0002f800\u3105\u1100\u1161\u11a8\u302e\U0001d165\U0001d400\U0001f469\U0001f1e6",
    *"\u0301\u0327\u0338\u093c\u094d\u0e31\u20dd\u3099\U0001e8d0\u0378\U000323af",
    "[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]", "[cls]", "[[MASK]]", "[MASK", "##", "##ing",
    "a" * 100, "a" * 101, "\u00e9" * 100, "e\u0301" * 101, "\u0e01" * 99, "!" * 40,
)  # fmt: skip


def texts(count: int, words: list[str]) -> Iterator[str]:
    """So many texts: of real words, of the letters of scripts, and of what is hostile."""
    chance = random.Random(20)
    makers = [*SCRIPTS.values()]
    for _ in range(count):
        bounds = chance.choice(makers)
        yield "".join(
            _part(chance, bounds, words) + chance.choice(("", " ", " ", " ", ". ", "-", "\n"))
            for _ in range(chance.randrange(1, 16))
        )


def _part(chance: random.Random, bounds: tuple[int, int], words: list[str]) -> str:
    kind = chance.random()
    if kind < 0.4:
        return chance.choice(words)
    if kind < 0.85:
        return "".join(chr(chance.randint(*bounds)) for _ in range(chance.randrange(1, 10)))
    if kind < 0.97:
        return chance.choice(HOSTILE)
    code = chance.randrange(0x110000 - 0x800)
    return chr(code if code < 0xD800 else code + 0x800)
