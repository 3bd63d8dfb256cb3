"""Parses that are written out, so that the full tier can be tested without a model.

A parse is a line of tokens ``text/POS/dep/lemma``; parts left out are as in `Token`. A token
that no space follows ends in ``~``. ``[`` and ``]`` enclose a noun phrase, ``<`` and ``>LABEL`` a
name that the recogniser finds. A dependent's head is the next token that is neither `compound` nor
`amod`.
"""

from __future__ import annotations

STOP_WORDS = {"the", "a", "we", "my", "of", "is", "in"}


class Token:
    """What the tier asks of a spaCy token."""

    def __init__(self, spelling: str) -> None:
        glued = spelling.endswith("~")
        parts = spelling.removesuffix("~").split("/")
        self.text, self.pos_, self.dep_, lemma = [*parts, "", "", ""][:4]
        self.pos_ = self.pos_.upper() or "NOUN"  # a text to be lemmatized comes in lower case
        self.lemma_ = lemma or self.text.lower()
        self.text_with_ws = self.text if glued else f"{self.text} "
        self.is_stop = self.text.lower() in STOP_WORDS
        self.is_punct = self.pos_ == "PUNCT"
        self.is_sent_start = False
        self.tag_ = "NNP" if self.pos_ == "PROPN" else ""
        self.i = 0
        self.head = self
        self.children: list[Token] = []


class Name(list[Token]):
    """A name that the recogniser finds, and what it takes it for."""

    def __init__(self, tokens: list[Token], label: str) -> None:
        super().__init__(tokens)
        self.label_ = label


class Doc:
    """What the tier asks of a spaCy document."""

    def __init__(self, parse: str) -> None:
        self.tokens: list[Token] = []
        self.noun_chunks: list[list[Token]] = []
        self.ents: list[Name] = []
        start = name = 0
        for part in parse.split():
            if part == "[":
                start = len(self.tokens)
            elif part == "]":
                self.noun_chunks.append(self.tokens[start:])
            elif part == "<":
                name = len(self.tokens)
            elif part[0] == ">":
                self.ents.append(Name(self.tokens[name:], part[1:]))
            else:
                self.tokens.append(Token(part))
                self.tokens[-1].i = len(self.tokens) - 1
        self.text = "".join(token.text_with_ws for token in self.tokens).strip()
        waiting: list[Token] = []
        for token in self.tokens:
            if token.dep_ in {"compound", "amod"}:
                waiting.append(token)
            else:
                token.children, waiting = waiting, []
                for child in token.children:
                    child.head = token

    def __iter__(self):
        return iter(self.tokens)


class Language:
    """A spaCy pipeline whose input is a parse."""

    max_length = 1000

    def __init__(self) -> None:
        self.read: list[tuple[str, tuple[str, ...]]] = []

    def __call__(self, text, disable=()):
        self.read.append((text, disable))
        return Doc(text)

    def pipe(self, texts, batch_size):
        assert batch_size == 32
        return map(self, texts)
