"""What may come next in a text, outside a noun phrase: for each kind of word, what it leads to.

A function word leads from one state to the next by the table below. A content word begins a phrase,
unless the state says that it is a verb. How a word is read depends on its kind and on the situation
that it is in. There are some hundred situations, whatever the text: each is made once, and keeps
what it has led to. Most words of a text thus cost one look-up.

The rules are English.
"""

from __future__ import annotations

from isomem.text.kinds import ACTIVITY, AFTER_NAMES, BARE_VERB, SELDOM_NOUN
from isomem.text.tokens import Kind
from isomem.text.word_classes import (
    ADJECTIVE,
    ADVERB,
    AUXILIARY,
    CLASSES,
    CLAUSE,
    COMMA,
    CONTENT,
    DETERMINER,
    GERUND,
    GROUP,
    HYPHEN,
    JOIN,
    LINK,
    NOUN,
    OTHER,
    OWNER,
    PAST,
    PLURAL,
    PREPOSITION,
    SKIPPED,
    STOP,
    SUBJECT,
    TO,
    VAGUE,
    VAGUE_NAME,
    VERB,
    WHICH,
)

_NAMES = {name: name for name in (*CLASSES, "any")} | {"-": ""}


def _transitions(table: str) -> dict[str, dict[str, tuple[str, str, str]]]:
    """For each class, what a function word is after it: (is read as, leads to, stays in)."""
    rows = [[_NAMES[name] for name in line.split()[:5]] for line in table.splitlines()[2:] if line]
    after_any = {word: (a, b, c) for word, after, a, b, c in rows if after == "any"}
    found = dict.fromkeys(CLASSES, after_any)
    for after in {row[1] for row in rows} - {"any"}:
        special = {word: (a, b, c) for word, before, a, b, c in rows if before == after}
        found[after] = after_any | special
    return found


# How a function word is read after another one, and the state that it leads to. A state has the
# name of the class of words that usually leads to it; it says what the next word may be. The fifth
# column is a state that the word does not end. "-" means none, or no change.
_TRANSITIONS = _transitions("""
    word         after        is read as   leads to     stays in

    stop         any          stop         subject      -
    comma        any          comma        join         -
    other        any          other        subject      -
    object       any          object       subject      -
    auxiliary    any          auxiliary    subject      -

    vague        any          vague        determiner   owner         Ann's new (fence)
    adverb       any          adverb       adverb       subject       they also (paint)
    adverb       determiner   adverb       -            -             a really (old mill)
    adverb       vague        adverb       -            -

    which        any          subject      subject      -             the man which (paints)
    which        stop         determiner   determiner   -             Which (fence)
    that         any          subject      subject      -             the man that (paints)
    that         stop         determiner   determiner   -             that (fence)
    that         preposition  determiner   determiner   -             after that (party)
    That         any          determiner   determiner   -

    owner        any          owner        owner        -             Ann's (fence)
    owner        subject      link         link         -             it's (painted)
    owner        clause       link         link         -             how's (Ann)
    owner        determiner   link         link         -             this's
    determiner   any          determiner   determiner   -             the (fence)
    determiner   owner        owner        owner        -             Ann's two (fences)

    join         any          join         join         -             Ann and (Bob)
    join         verb         join         subject      -             to relax and (paint)
    link         any          link         link         -
    verb         any          verb         verb         -
    preposition  any          preposition  preposition  -
    clause       any          clause       clause       -
    subject      any          subject      subject      -
    to           any          to           to           -
""")

_NONE: frozenset[str] = frozenset()
_NOMINAL = frozenset((NOUN, PLURAL, ADJECTIVE))
_BEGINS_PHRASE = dict.fromkeys((SUBJECT, TO, JOIN, CLAUSE, OWNER), _NONE) | {
    DETERMINER: _NOMINAL | {PAST, GERUND},
    PREPOSITION: _NOMINAL | {PAST},
    VERB: _NOMINAL | {PAST},
    LINK: _NOMINAL,
    ADVERB: _NOMINAL,
}
"""For each state, the classes whose words begin a phrase there."""

_MAY_BEGIN_PHRASE = dict.fromkeys(_BEGINS_PHRASE, _NONE) | {
    JOIN: _NOMINAL,
    CLAUSE: _NOMINAL,
    SUBJECT: frozenset((ADJECTIVE,)),
    TO: frozenset((ADJECTIVE,)),
}
"""The same, but the word itself, or a question before it, can make it a verb."""

_ASKING = frozenset((WHICH, CLAUSE, AUXILIARY))
"""What a question begins with."""

_REMEMBERED = frozenset((STOP, VAGUE, OWNER, SUBJECT, TO, PREPOSITION, DETERMINER, CLAUSE, VERB))
"""Function words after which the next word can be read differently; all others are alike."""

_ENDS_WAIT = frozenset((STOP, LINK, VERB))
"""After these, no verb of a question follows."""

CONTINUED = frozenset((VAGUE, COMMA, JOIN))
"""A phrase that is only adjectives continues after these."""

BEFORE_VERBS = frozenset((SUBJECT, TO))
"""States in which a word that looks like a noun is a verb."""

_BEFORE_BARE_VERBS = frozenset((JOIN, CLAUSE))
"""States in which only a known verb is a verb."""

BEFORE_LISTS = frozenset((DETERMINER, PREPOSITION, JOIN, CLAUSE))
"""States in which a phrase may begin with adjectives and a conjunction."""

MODIFIERS = frozenset((ADJECTIVE, PAST, GERUND))


class Situation(dict[Kind, "Situation"]):
    """Where a text has got to: what each kind of word leads to from here.

    Attributes:
        state: says what the next word may be.
        before: what the previous word was read as.
        is_question: whether the sentence is one.
        awaits_verb: whether the subject of a question follows, and its verb.
        is_function: whether the previous word was a function word.
        is_name: whether the sentence is only capitalised words so far.
        begun: the state in which a phrase began with the previous word; "" if none did.
    """

    __slots__ = (
        "awaits_verb", "before", "begun", "is_function", "is_name", "is_question", "state",
    )  # fmt: skip

    def __init__(
        self,
        state: str,
        before: str,
        is_question: bool,
        awaits_verb: bool,
        is_function: bool,
        is_name: bool,
        begun: str,
    ) -> None:
        super().__init__()
        self.state = state
        self.before = before
        self.is_question = is_question
        self.awaits_verb = awaits_verb
        self.is_function = is_function
        self.is_name = is_name
        self.begun = begun

    def __missing__(self, kind: Kind) -> Situation:
        self[kind] = following = _following(self, kind)
        return following


_situations: dict[tuple[str, str, bool, bool, bool, bool, str], Situation] = {}


def situation(
    state: str,
    before: str,
    is_question: bool,
    awaits_verb: bool,
    is_function: bool = False,
    is_name: bool = False,
    begun: str = "",
) -> Situation:
    """The one situation with these attributes."""
    key = (state, before, is_question, awaits_verb, is_function, is_name, begun)
    found = _situations.get(key)
    if found is None:
        found = _situations[key] = Situation(*key)
    return found


OPENING = situation(SUBJECT, STOP, is_question=False, awaits_verb=False)
"""Before the first word of a text."""

UNDECIDED = Situation("", "", False, False, False, False, "")
"""What a word leads to if the words around it decide, and not only its kind."""


def _following(at: Situation, kind: Kind) -> Situation:
    """What a word of a kind leads to from a situation."""
    if kind.word_class == SKIPPED:
        return _again(at)
    if kind.word_class == HYPHEN:
        return UNDECIDED
    return _after_content(at, kind) if kind.is_content else _after_function(at, kind.word_class)


def _again(at: Situation) -> Situation:
    """The same situation after something that was not read."""
    return situation(
        at.state, at.before, at.is_question, at.awaits_verb, False, at.is_name, at.begun
    )


# --- Function words -----------------------------------------------------------------------


def _after_function(at: Situation, word_class: str) -> Situation:
    before = at.before
    if at.begun:
        if word_class in CONTINUED and before in MODIFIERS and at.begun in BEFORE_LISTS:
            return UNDECIDED  # "a safe and sunny place"
    elif word_class == COMMA and before == VAGUE:
        return _again(at)  # "a large, open space"
    is_question = word_class in _ASKING if before == STOP else at.is_question
    read_as, leads_to, stays_in = _TRANSITIONS[before][word_class]
    awaits = _awaits_verb(at, read_as) if is_question else at.awaits_verb
    state = leads_to if leads_to and at.state != stays_in else at.state
    before = read_as if read_as in _REMEMBERED else OTHER
    return situation(state, before, is_question, awaits, is_function=True)


def _awaits_verb(at: Situation, read_as: str) -> bool:
    """Whether the verb of a question is still to come: "did they [sing]"."""
    before = at.before
    if read_as in _ENDS_WAIT or (read_as == DETERMINER and before in CONTENT):
        return False
    if read_as == AUXILIARY:  # but not in "to do", nor the second one of "did they do"
        return not at.awaits_verb and before not in BEFORE_VERBS
    return at.awaits_verb


# --- Content words ------------------------------------------------------------------------


def _after_content(at: Situation, kind: Kind) -> Situation:
    """What a noun or adjective leads to, or a verb that is taken for one until the next word."""
    word_class = kind.word_class
    if at.begun or (at.is_name and _is_read_with_name(kind)):
        return UNDECIDED
    if at.before == STOP:
        if word_class == NOUN and kind.is_capital:
            return situation(at.state, NOUN, at.is_question, at.awaits_verb, is_name=True)
        if word_class == VAGUE_NAME:  # "New" at the start of a sentence
            return _after_function(at, VAGUE)
    word_class = class_in(at.state, kind)
    if word_class in _BEGINS_PHRASE[at.state]:
        return _begin(at, at.state, word_class)
    return (
        _as_owned(at, kind, word_class) if _is_owned(at, kind) else _as_verb(at, kind, word_class)
    )


def _is_read_with_name(kind: Kind) -> bool:
    return AFTER_NAMES in kind.traits or (kind.is_capital and kind.word_class == ADJECTIVE)


def class_in(state: str, kind: Kind) -> str:
    """The class of a content word in a state, inside a sentence."""
    if kind.word_class == VAGUE_NAME or (ACTIVITY in kind.traits and state != LINK):
        return NOUN  # "New York", "hiking trails"
    return kind.word_class


def _begin(at: Situation, state: str, word_class: str) -> Situation:
    """What a word leads to that begins a phrase."""
    begun = DETERMINER if word_class == ADJECTIVE and state in BEFORE_VERBS else state
    return situation(state, word_class, at.is_question, at.awaits_verb, begun=begun)


def _is_owned(at: Situation, kind: Kind) -> bool:
    """Whether a word comes after an owner: "Ann's [brother]", but not "Ann's [Harvard] course"."""
    return at.state == OWNER and not (kind.is_capital and at.before == OWNER)


def _as_owned(at: Situation, kind: Kind, word_class: str) -> Situation:
    """What a word leads to that is owned, or is the verb of what is owned."""
    before = at.before
    is_verb = before == PLURAL or (
        before in CONTENT and (word_class == PAST or SELDOM_NOUN in kind.traits)
    )
    if is_verb and word_class == ADJECTIVE:
        return _begin(at, VERB, word_class)
    state = VERB if is_verb else at.state
    return situation(state, word_class, at.is_question, at.awaits_verb)


def _as_verb(at: Situation, kind: Kind, word_class: str) -> Situation:
    """What a word leads to that is a verb, or that begins a phrase because it is none."""
    state = at.state
    if kind.is_capital:
        if state != SUBJECT or word_class == ADJECTIVE:
            return _begin(at, state, word_class)
        return situation(state, word_class, at.is_question, at.awaits_verb, is_name=at.is_name)
    if word_class == GROUP:
        return situation(SUBJECT, GROUP, at.is_question, awaits_verb=False)
    if word_class in _MAY_BEGIN_PHRASE[state] and not _is_known_verb(at, kind):
        return _begin(at, state, word_class)
    read_as = GERUND if word_class == GERUND else VERB
    return situation(VERB, read_as, at.is_question, awaits_verb=False)


def _is_known_verb(at: Situation, kind: Kind) -> bool:
    """Whether a word that may begin a phrase is a verb by itself, or by the question."""
    if at.state in _BEFORE_BARE_VERBS:
        return BARE_VERB in kind.traits
    return at.awaits_verb and at.before == NOUN
