"""What each character does beside a word and inside one, over all that the tier has rules for.

`marks.json` says for which characters, as ranges of code points. It is written again by

    PYTHONPATH=src:. python tests/unit/text/test_marks.py
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from isomem.text.lemma import lemmatize
from isomem.text.tokens import Tokenizer

EXPECTED = Path(__file__).parent / "marks.json"
BLOCKS = ((0x21, 0x600), (0x2000, 0x3400), (0xFDF0, 0x10000), (0x1EF00, 0x1FC00))

_tokenize = Tokenizer()


def spelt(text: str) -> list[str]:
    return [token.word for token in _tokenize(text)]


CLAIMS: dict[str, Callable[[str], bool]] = {
    "goes before a word to be lemmatized": lambda c: lemmatize(f"{c}foxes") == "fox",
    "goes behind a word to be lemmatized": lambda c: lemmatize(f"foxes{c}") == "fox",
    "goes behind a full stop": lambda c: lemmatize(f"foxes.{c}") == "fox",
    "parts two words to be lemmatized": lambda c: lemmatize(f"fox{c}dens") == "fox den",
    "parts two numbers": lambda c: lemmatize(f"12{c}34") == "12 34",
    "parts a number and a word": lambda c: lemmatize(f"12{c}dens") == "12 den",
    "parts a word and a number": lambda c: lemmatize(f"fox{c}12") == "fox 12",
    "hides a word": lambda c: lemmatize(f"fox{c}dens") == "",
    "is a token before a name": lambda c: spelt(f"{c}Fox") == [c, "Fox"],
    "is a token behind a name": lambda c: spelt(f"Fox{c}") == ["Fox", c],
    "is a token between names": lambda c: spelt(f"Fox{c}Den") == ["Fox", c, "Den"],
    "is a token between words": lambda c: spelt(f"fox{c}den") == ["fox", c, "den"],
    "is a token between numbers": lambda c: spelt(f"12{c}34") == ["12", c, "34"],
}


def ranges(codes: Iterator[int]) -> str:
    """Code points in hexadecimal, those in a row as first-last."""
    rows: list[list[int]] = []
    for code in codes:
        if rows and rows[-1][1] == code - 1:
            rows[-1][1] = code
        else:
            rows.append([code, code])
    return " ".join(f"{a:x}-{b:x}" if a < b else f"{a:x}" for a, b in rows)


def characters_that(claim: Callable[[str], bool]) -> str:
    return ranges(code for block in BLOCKS for code in range(*block) if claim(chr(code)))


@pytest.mark.parametrize("name", CLAIMS)
def test_characters_do_what_they_did(name: str) -> None:
    assert characters_that(CLAIMS[name]) == json.loads(EXPECTED.read_text())[name]


if __name__ == "__main__":
    found = {name: characters_that(claim) for name, claim in CLAIMS.items()}
    EXPECTED.write_text(f"{json.dumps(found, indent=1)}\n")
