"""What a word is to the reader of compounds: its class, and what else decides how it is read.

All words that are read alike share one `Kind`. A language has millions of words, but some dozens
of kinds, so that what a kind leads to has to be found only once (`situations`).
"""

from __future__ import annotations

from isomem.text import words
from isomem.text.openings import may_be_noun
from isomem.text.tokens import Kind
from isomem.text.word_classes import CONTENT, class_of

# Traits of a kind.
ACTIVITY = "activity"
BARE_VERB = "bare verb"
SELDOM_NOUN = "seldom a noun"
AFTER_NAMES = "after names"

# Forms in -ing that name what people do, and rarely have an object.
_ACTIVITIES = frozenset(
    "biking bowling boxing camping climbing cycling dancing dining hiking jogging kayaking "
    "networking parenting rafting snowboarding surfing".split()
)
# Verbs that are rarely nouns, so that with an -s they are not plurals.
_SELDOM_NOUNS = frozenset(
    "brighten buy come feel fuel get give go have help hold look love make need pay revolve say "
    "see sing sound speak take wake want win".split()
)
_BARE_VERBS = frozenset(words.IRREGULAR_VERBS.values()).union(
    "ask dislike help hope increase love manage mention need offer share start stay support try "
    "use visit want wish beat bet burst cost cut hit hurt quit read set shut split "
    "spread".split()
)

_kinds: dict[tuple[str, bool, frozenset[str]], Kind] = {}


def kind_of(spelt: str, word: str, lower: str) -> Kind:
    """The kind of a token: how it is spelt, its word, and its word in lower case."""
    word_class = class_of(spelt, word, lower)
    is_content = word_class in CONTENT
    key = (word_class, is_content and word[0].isupper(), _traits(word) if is_content else _NONE)
    kind = _kinds.get(key)
    if kind is None:
        _kinds[key] = kind = Kind(word_class, is_content, *key[1:])
    return kind


_NONE: frozenset[str] = frozenset()


def _traits(word: str) -> frozenset[str]:
    traits = (
        (ACTIVITY, word in _ACTIVITIES),
        (BARE_VERB, word in _BARE_VERBS),
        (SELDOM_NOUN, word[:-1] in _SELDOM_NOUNS),  # without an -s
        (AFTER_NAMES, may_be_noun(word)),
    )
    return frozenset([trait for trait, has in traits if has])
