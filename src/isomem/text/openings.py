"""Names that open a sentence, and the verbs after them that the full system takes for nouns.

"Ann values kindness" has no compound, but in "Ann values helping others" the full system reads
"Ann value" as one. The verb forms that it reads this way were found by giving its model sentences
made for the purpose.
"""

from __future__ import annotations

from isomem.text.word_classes import (
    CLAUSE,
    COMMA,
    JOIN,
    OPENING_THAT,
    PREPOSITION,
    STOP,
    THAT,
    TO,
)  # fmt: skip

# These are taken for nouns unless an object follows.
_TAKEN_FOR_NOUNS = frozenset(
    "adapts aids alters awards bats bets bikes blogs bonds camps champions chats cheers codes "
    "compliments contacts crafts credits cycles details diets dines displays dresses excels "
    "exchanges exercises experiments farms fasts forces fosters functions games gardens golfs "
    "grades greets hosts hugs hunts interests interviews jobs journals journeys judges "
    "labors loans longs masters meditates mentors minds names nurtures orders parents parties "
    "partners pictures pledges programs questions races rates reacts reassures repairs roots sails "
    "schedules schools scores shares shops skis sponsors stores studies styles teams treasures "
    "tutors types vacations values voices volunteers witnesses".split()
)
# These are taken for nouns unless an object or a clause follows.
_OFTEN_TAKEN = frozenset(
    "appeals assists benefits catches charges checks climbs coaches comforts converses copes "
    "dances delves desires dislikes experiences figures films fishes fixes grills guards "
    "hesitates highlights hikes honors limits maps merits models monitors nurses pitches "
    "places plants posts prizes profits requests rewards risks skates sketches stars "
    "states surfs suspects talks toasts treats ventures yearns".split()
)
_BEFORE_CLAUSES = frozenset("about for that to through into having".split())

PARTICLES = frozenset("up down off out away back".split())
"""Words that belong to the verb before them."""

_NO_OBJECT = frozenset((STOP, COMMA, JOIN, PREPOSITION, CLAUSE, THAT, OPENING_THAT, TO))
"""What follows a verb that has no object."""


def may_be_noun(verb: str) -> bool:
    """Whether a form after a name that opens a sentence can be taken for a noun."""
    return verb in _TAKEN_FOR_NOUNS or verb in _OFTEN_TAKEN


def is_noun(verb: str, word_class: str, word: str) -> bool:
    """Whether such a form is taken for a noun, given the next word and its class."""
    if word_class not in _NO_OBJECT and not word.endswith("ing"):
        return False
    if word == "how" or word in PARTICLES:
        return False
    return verb in _TAKEN_FOR_NOUNS or word not in _BEFORE_CLAUSES
