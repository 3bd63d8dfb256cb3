"""Names by their form, identifiers and quotations: the built-in tier by the rules of mem0 2.2.1.

What depends on no language is here. In a language without rules of its own, a word with a capital
is a name inside a sentence. At the start of one it is a name only before another capital.

Time is linear in the length of the text.
"""

from __future__ import annotations

from isomem.text.candidates import (
    CONNECTORS,
    IDENTIFIER,
    RECOGNISED,
    SPAN,
    Candidates,
    has_inner_form,
    is_count,
    is_identifier,
    names_nothing,
    runs,
)
from isomem.text.entities import SENTENCE_ENDS
from isomem.text.tokens import Tokenizer
from isomem.text.words import NOT_NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from isomem.text.entities import Entity
    from isomem.text.tokens import Tokens

    Span = tuple[int, int]
    """Where something starts and ends in the tokens of a text."""

QUOTES = frozenset("\"'\u2018\u2019\u201c\u201d`(")
_LIST_MARKS = frozenset(",;")

_tokenize = Tokenizer()


def extract_entities(text: str) -> list[Entity]:
    """The entities of `text` as (type, text), in any language; quotations last."""
    tokens = _tokenize(text)
    return collected(text, tokens, (), spans(tokens, _is_name_like)).entities()


def collected(
    text: str, tokens: Tokens, recognised: Iterable[Span], by_form: Iterable[Span]
) -> Candidates:
    """The candidates of a text, but for its topics.

    Args:
        text: the text.
        tokens: its tokens.
        recognised: names that stand before those by form.
        by_form: words that look like names.
    """
    found = Candidates()
    for start, end in recognised:
        found.add(RECOGNISED, spelt(tokens, start, end), start, end)
    for at in [at for at, token in enumerate(tokens) if "." in token.word]:
        if is_identifier(tokens[at].word):
            found.add(IDENTIFIER, tokens[at].word, at, at + 1)
    for start, end in by_form:
        found.add(SPAN, spelt(tokens, start, end), start, end)
    found.add_quotations(text)
    return found


def spelt(tokens: Tokens, start: int, end: int) -> str:
    """Tokens as they are in the text."""
    return "".join([token.spelt for token in tokens[start:end]]).strip()


def spans(tokens: Tokens, is_name_like: Callable[[Tokens, int], bool]) -> Iterator[Span]:
    """Where each run of words that look like names starts and ends.

    Args:
        tokens: the tokens of a text.
        is_name_like: whether the capitalised word at an index looks like one of a name.
    """
    capitals = [at for at, token in enumerate(tokens) if token.is_capital]
    likes = [at for at in capitals if is_name_like(tokens, at)]
    return runs(likes, lambda at: tokens[at].word.lower() in CONNECTORS)


def opens_sentence(tokens: Tokens, at: int) -> bool:
    """Whether the word at an index has its capital from the sentence, or from a quotation."""
    if at == 0:
        return True
    before = tokens[at - 1]
    return before.word in SENTENCE_ENDS or before.word in QUOTES or "\n" in before.spelt


def is_counted(tokens: Tokens, at: int) -> bool:
    """Whether a word is an item of a list that says how many: "Apples: Gala 12, Fuji 7"."""
    if at + 1 == len(tokens) or not is_count(tokens[at + 1].word):
        return False
    after = tokens[at + 2].word if at + 2 < len(tokens) else ""
    return after in _LIST_MARKS or (at > 0 and tokens[at - 1].word == ":")


def _is_name_like(tokens: Tokens, at: int) -> bool:
    word = tokens[at].word
    lower = word.lower()
    if lower in NOT_NAMES or names_nothing(lower) or not any(map(str.isalpha, word)):
        return False
    if has_inner_form(word) or not opens_sentence(tokens, at):
        return True
    return at + 1 < len(tokens) and tokens[at + 1].is_capital
