"""Texts on which the tokenizer of older stores is compared with the package `tokenizers`.

`make byte-pairs` compares 200,000, which takes some minutes.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator

from isomem.providers.embedder import wordllama as module
from tests.unit.text.corpus import texts as corpus

# The first and the last letter of a script, or of a block of marks.
SCRIPTS = tuple(
    (ord(first), ord(last))
    for first, last in (
        "\u0021\u007e", "\u00a1\u024f", "\u0250\u02af", "\u0300\u036f", "\u0391\u03c9",
        "\u0410\u044f", "\u0531\u0586", "\u05d0\u05ea", "\u0620\u064a", "\u064b\u0652",
        "\u0905\u0939", "\u093e\u094d", "\u0985\u09b9", "\u0a05\u0a39", "\u0b85\u0bb9",
        "\u0c05\u0c39", "\u0e01\u0e2e", "\u0e31\u0e4e", "\u0f40\u0f69", "\u1000\u102a",
        "\u10d0\u10f0", "\u1200\u1248", "\u1780\u17a2", "\u1e00\u1eff", "\u1f00\u1fff",
        "\u2000\u206f", "\u20a0\u20bf", "\u2190\u21ff", "\u2200\u22ff", "\u2500\u25ff",
        "\u3041\u3096", "\u30a1\u30fa", "\u4e00\u9fff", "\uac00\ud7a3", "\ufb00\ufb06",
        "\ufe00\ufe0f", "\uff01\uff5e", "\U0001d400\U0001d7ff", "\U0001f300\U0001f64f",
        "\U0001f1e6\U0001f1ff", "\U00020000\U0002a6df", "\U000e0020\U000e007f",
    )
)  # fmt: skip
HOSTILE = (
    "<unk>", "<s>", "</s>", "<<s>", "<s", "/s>", "<pad>", "<0x0A>", "<0x", "\0", "\x7f", "\ufeff",
    "\u2581", "\u2581\u2581", " ", "  ", "\u00a0", "\u3000", "\n", "\r\n", "\t", "\u200d", "\u200b",
    "e\u0301", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1ef\U0001f1f5", "\ufffd",
    "\U0010ffff", "\ud7ff", "\ue000", "ﷺ", "'s", "...", "----", "1,200.50", "2026-11-27",
)  # fmt: skip
LONGEST_RUN = 300

Tokenizer = Callable[[str], list[int]]


def texts(count: int, seed: int = 0) -> Iterator[str]:
    """Texts of the repository, and made ones: many scripts, marks, runs, and mixtures of these."""
    chance = random.Random(seed)
    known = corpus()
    makers = (
        lambda: _letters(chance, chance.choice(SCRIPTS)),
        lambda: "".join(_letters(chance, script) for script in chance.choices(SCRIPTS, k=3)),
        lambda: "".join(_part(chance, known) for _ in range(chance.randint(1, 12))),
        lambda: chance.choice(HOSTILE) * chance.randint(1, LONGEST_RUN),
        lambda: _run(chance),
        lambda: chance.choice(known)[:2000],
    )
    for _ in range(count):
        yield chance.choice(makers)()


def _letters(chance: random.Random, script: tuple[int, int]) -> str:
    return "".join(
        " " if chance.random() < 0.15 else chr(chance.randint(*script))
        for _ in range(chance.randint(1, 30))
    )


def _part(chance: random.Random, known: list[str]) -> str:
    if chance.random() < 0.5:
        return chance.choice(HOSTILE)
    text = chance.choice(known)
    start = chance.randrange(len(text) + 1)
    return text[start : start + chance.randint(1, 20)]


def _run(chance: random.Random) -> str:
    """A few letters again and again, without a space between them: the longest words."""
    letters = "".join(chance.choices("aeinorstxyz=-_/.0123", k=chance.randint(1, 3)))
    return (letters * LONGEST_RUN)[: chance.randint(1, LONGEST_RUN)]


def ours() -> Tokenizer:
    """The tokenizer of isomem."""
    return module._tokenizer(_file()).ids


def theirs() -> Tokenizer:
    """The package `tokenizers` with the configuration that the package `wordllama` has."""
    from tokenizers import Tokenizer as Reference

    reference = Reference.from_file(_file())
    reference.no_padding()
    reference.no_truncation()
    return lambda text: list(reference.encode(text, add_special_tokens=False).ids)


def _file() -> str:
    return "/".join((module._directory(), *module._TOKENIZER))


def main() -> int:
    """Compares as many texts as the first argument says, and prints the first that differs."""
    count = int(sys.argv[1])
    mine, reference, characters = ours(), theirs(), 0
    for text in texts(count):
        characters += len(text)
        if mine(text) != reference(text):
            sys.stdout.write(f"differs: {text!r}\n{mine(text)}\n{reference(text)}\n")
            return 1
    sys.stdout.write(f"{count} texts with {characters} characters: all the same\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
