"""Noun compounds by rule: "tennis club", "botanical garden".

A noun phrase is a run of words between function words and verbs. Which words are verbs is guessed
from their form and from the words before them: after a subject or "to" one verb follows, a past
form ends a phrase, and so does an adjective after the noun. A phrase of two words or more is a
compound unless all are capitalised. It is in the singular, without adjectives that say little.

Every word has a class (`word_classes`). Function words lead from one state to the next by the table
below. Content words are collected in a phrase, unless the state says that they are verbs.

The rules are English. Time is linear in the length of the text.
"""

from __future__ import annotations

from isomem.text import words
from isomem.text.entities import cleaned, proper_names, quotations
from isomem.text.openings import PARTICLES, is_noun, may_be_noun
from isomem.text.tokens import Tokenizer
from isomem.text.word_classes import (
    ADJECTIVE,
    ADJECTIVE_ENDINGS,
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
    OBJECT,
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
    classify,
    singular_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.text.entities import Entity
    from isomem.text.tokens import Tokens

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

_UNREAD = frozenset((HYPHEN, SKIPPED))
"""Tokens that are not words."""

_ASKING = frozenset((WHICH, CLAUSE, AUXILIARY))
"""What a question begins with."""

_ENDS_WAIT = frozenset((STOP, LINK, VERB))
"""After these, no verb of a question follows."""

_CONTINUED = frozenset((VAGUE, COMMA, JOIN))
"""A phrase that is only adjectives continues after these."""

_BEFORE_VERBS = frozenset((SUBJECT, TO))
"""States in which a word that looks like a noun is a verb."""

_BEFORE_BARE_VERBS = frozenset((JOIN, CLAUSE))
"""States in which only a known verb is a verb."""

_BEFORE_LISTS = frozenset((DETERMINER, PREPOSITION, JOIN, CLAUSE))
"""States in which a phrase may begin with adjectives and a conjunction."""

_BEFORE_OBJECTS = frozenset((PREPOSITION, VERB, TO))
"""States in which a name is an object rather than a subject."""

_LOOSE = frozenset((JOIN, PREPOSITION))
"""States in which a word that looks like a plural can still be a verb."""

_PAUSES = frozenset((STOP, COMMA, JOIN, VAGUE, AUXILIARY, LINK, CLAUSE, VERB))
"""Before these, a form in -ing is a noun: "she likes bird watching."."""

_MODIFIERS = frozenset((ADJECTIVE, PAST, GERUND))
_VERB_FORMS = frozenset((PAST, GERUND))

# Adjectives before a noun, and adverbs after it.
_ADVERBS_AT_THE_END = frozenset("online nearby indoors outside inside daily weekly".split())
# Adjectives that can be the noun of a phrase.
_ALSO_NOUNS = frozenset("light fun cold fair blue green".split())
# Forms in -ing that name what people do, and rarely have an object.
_ACTIVITIES = frozenset(
    "biking bowling boxing camping climbing cycling dancing dining hiking jogging kayaking "
    "networking parenting rafting snowboarding surfing".split()
)
# Forms in -ing that say how somebody feels about a thing.
_FEELINGS = frozenset(
    "calming caring comforting energizing empowering freeing fulfilling heartwarming inspiring "
    "invigorating inviting loving motivating moving satisfying thrilling tiring touching "
    "uplifting welcoming".split()
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
_TIMES = frozenset(
    "second minute hour day week weekend month year morning afternoon evening night summer winter "
    "spring autumn fall".split()
)
_PREFIXES = ("multi", "non", "pre")
# Function words that are part of what a hyphen joins: "like-minded".
_JOINED = ("like", "off", "part")

_tokenize = Tokenizer(classify)


def extract_entities(text: str) -> list[Entity]:
    """Names, quotations and compounds of `text`; the first two as in `entities`."""
    tokens = _tokenize(text)
    return cleaned(proper_names(tokens) + quotations(text) + compounds(tokens))


def compounds(tokens: Tokens) -> list[Entity]:
    """The noun compounds in the tokens of a text, as ("COMPOUND", text) in order."""
    reader = _Reader()
    read_content, read_grammar = reader.read_content, reader.read_grammar
    word_class = STOP
    for token in tokens:
        word_class = token.word_class
        if word_class in CONTENT:
            read_content(word_class, token.word)
        elif word_class not in _UNREAD:
            read_grammar(word_class, token.word)
        elif word_class == HYPHEN:
            reader.join()
    if word_class != STOP:
        read_grammar(STOP, "")
    return reader.found


class _Reader:
    """Reads the tokens of a text one by one and keeps the compounds.

    Attributes:
        found: the compounds so far.
    """

    __slots__ = (
        "_awaits_verb", "_begun_in", "_before", "_grammar_word", "_held", "_is_question", "_joined",
        "_name", "_name_verb", "_phrase", "_state", "_state_before", "found",
    )  # fmt: skip

    def __init__(self) -> None:
        self.found: list[Entity] = []
        self._state = SUBJECT
        self._state_before = SUBJECT  # before the last function word
        self._before = STOP  # what the previous word was read as
        self._grammar_word = ""  # the last one
        self._phrase: list[tuple[str, str]] = []  # (class, word)
        self._begun_in = SUBJECT  # the state in which the phrase began
        self._held = False  # whether the phrase is adjectives and a conjunction so far
        self._joined = False  # whether a hyphen comes before the next word
        self._is_question = False
        self._awaits_verb = False  # whether the subject of a question follows, and its verb
        self._name = ""  # the capitalised words that open the sentence
        self._name_verb = ""  # after that name; it may be taken for a noun

    # --- Function words -----------------------------------------------------------------

    def read_grammar(self, word_class: str, word: str) -> None:
        """Reads a word that is not part of a phrase."""
        before = self._before
        if self._name:
            self._end_name(word_class, word)
        if self._phrase:
            if (word_class in _CONTINUED or self._joined or self._held) and self._goes_on(
                word_class
            ):
                return
            if len(self._phrase) > 1:
                self._close(word_class, word)
            else:
                self._phrase, self._held = [], False
        elif word_class == COMMA and before == VAGUE:
            return  # "a large, open space"
        if before == STOP:
            self._is_question = word_class in _ASKING
        read_as, leads_to, stays_in = _TRANSITIONS[before][word_class]
        if self._is_question:
            self._follow_question(read_as, before)
        self._joined = False
        self._state_before = self._state
        if leads_to and self._state_before != stays_in:
            self._state = leads_to
        self._before, self._grammar_word = read_as, word

    def _follow_question(self, read_as: str, before: str) -> None:
        """Notes whether the verb of a question is still to come: "did they [sing]"."""
        if read_as in _ENDS_WAIT or (read_as == DETERMINER and before in CONTENT):
            self._awaits_verb = False
        elif read_as == AUXILIARY:  # but not in "to do", nor the second one of "did they do"
            self._awaits_verb = not self._awaits_verb and before not in _BEFORE_VERBS

    def _goes_on(self, word_class: str) -> bool:
        """Whether the phrase goes on after a function word."""
        if self._held and word_class == VAGUE:
            return True  # "a safe and lovely place"
        if self._joined and word_class in (PREPOSITION, VAGUE):
            self._joined = False  # "upside-down", "career-high"
            return True
        if word_class in _CONTINUED and self._is_open_list():
            self._held = word_class != VAGUE
            return True
        return False

    def _is_open_list(self) -> bool:
        """Whether the phrase can go on after a conjunction: "a safe and sunny place"."""
        return self._begun_in in _BEFORE_LISTS and all(
            word_class in _MODIFIERS and word[0].islower() and word not in _ALSO_NOUNS
            for word_class, word in self._phrase
        )

    def join(self) -> None:
        """Reads a hyphen: the parts on both sides of it are one word."""
        self._joined = True
        if self._phrase:
            if self._phrase[-1][1] in _PREFIXES:
                self._phrase.append((NOUN, "-"))
        elif self._grammar_word in _JOINED:
            self._state = self._state_before
            self._begin(NOUN, self._grammar_word)
        elif self._before == PREPOSITION:
            self._state = OWNER  # "in-person": not a noun by itself
        elif self._before not in CONTENT:
            self._state = self._state_before  # "a must-see", "two-week"

    # --- Content words ------------------------------------------------------------------

    def read_content(self, word_class: str, word: str) -> None:
        """Reads a noun, an adjective, or a verb that is taken for one until the next word."""
        before = self._before
        if before == STOP and word_class == NOUN and word[0].isupper():
            self._name, self._before = word, NOUN
            return
        if self._name:
            self._read_after_name(word_class, word)
        if word_class == VAGUE_NAME:
            if before == STOP:  # "New" at the start of a sentence
                self.read_grammar(VAGUE, word)
                return
            word_class = NOUN  # "New York"
        elif word_class == GERUND and word in _ACTIVITIES and self._state != LINK:
            word_class = NOUN
        self._before = word_class
        if self._held:
            self._end_list(word_class, word)
        if self._phrase:
            self._continue(NOUN if self._joined else word_class, word)
        elif word_class in _BEGINS_PHRASE[self._state] or not self._is_verb(
            word_class, word, before
        ):
            self._begin(word_class, word)
        self._joined = False

    def _end_list(self, word_class: str, word: str) -> None:
        """Drops adjectives and a conjunction if no further adjective follows."""
        self._held = False
        if word_class not in _MODIFIERS and not word.endswith(ADJECTIVE_ENDINGS):
            self._phrase, self._state = [], JOIN

    def _is_verb(self, word_class: str, word: str, before: str) -> bool:
        """Whether a word that would begin a phrase is a verb, or cannot begin one."""
        state = self._state
        is_name = word[0].isupper()
        if state == OWNER and not (is_name and before == OWNER):
            return self._is_owned(word_class, word, before)
        if is_name:
            return state == SUBJECT and word_class != ADJECTIVE
        if word_class == GROUP:
            self._state, self._awaits_verb = SUBJECT, False
            return True
        if word_class not in _MAY_BEGIN_PHRASE[state]:
            is_verb = True
        elif state in _BEFORE_BARE_VERBS:
            is_verb = word in _BARE_VERBS
        else:
            is_verb = self._awaits_verb and before == NOUN
        if is_verb:
            self._state, self._awaits_verb = VERB, False
            if word_class != GERUND:
                self._before = VERB
        return is_verb

    def _is_owned(self, word_class: str, word: str, before: str) -> bool:
        """Whether a word after an owner is owned, or is a verb that does not begin a phrase."""
        is_verb = before == PLURAL or (
            before in CONTENT and (word_class == PAST or word[:-1] in _SELDOM_NOUNS)
        )
        if is_verb:
            self._state = VERB
        return not is_verb or word_class != ADJECTIVE

    def _begin(self, word_class: str, word: str) -> None:
        self._begun_in = self._state
        if word_class == ADJECTIVE and self._state in _BEFORE_VERBS:
            self._begun_in, word = DETERMINER, word.lower()
        self._phrase = [(word_class, word)]

    def _continue(self, word_class: str, word: str) -> None:
        """Adds a word to the phrase, or ends it there."""
        last_class, last = self._phrase[-1]
        if word[0].isupper() and not last[0].isupper() and not last[0].isdigit():
            self._continue_with_name(word_class, word)
        elif last_class == PLURAL and self._was_verb(last):
            self._state = self._begun_in = VERB  # "and loves grey hats"
            self._phrase = [] if word_class == GERUND else [(word_class, word)]
        elif self._joined:
            self._phrase.append((word_class, word))
        elif last_class == PLURAL or word_class == PAST or self._is_predicate(word_class, word):
            self._end(VERB)
            if word_class == ADJECTIVE:
                self._begin(word_class, word)  # "gave the dogs extra food"
        else:
            self._phrase.append((word_class, word))

    def _was_verb(self, plural: str) -> bool:
        """Whether an apparent plural at the end of a phrase is a verb before a noun."""
        return len(self._phrase) == 1 and self._begun_in in _LOOSE and plural[-1] == "s"

    def _continue_with_name(self, word_class: str, word: str) -> None:
        """Reads a capital after lower case: a name that says which one, or a new phrase."""
        last_class = self._phrase[-1][0]
        if last_class in _VERB_FORMS and self._begun_in != DETERMINER:
            self._state = VERB  # it was a verb: "when she met Ann"
            self._begin(word_class, word)
        elif last_class == ADJECTIVE or (word.isupper() and len(word) > 1):
            self._phrase.append((word_class, word))
        else:
            self._end(SUBJECT)

    def _is_predicate(self, word_class: str, word: str) -> bool:
        """Whether a word after a phrase is a verb.

        Without a determiner, a single name can only come before plural nouns ("of Dylan songs").
        """
        last_class, last = self._phrase[-1]
        if word_class == PLURAL and word[:-1] in _SELDOM_NOUNS:
            return True
        if word[0].isupper():
            return False
        if word_class == GERUND:
            is_busy = self._begun_in == LINK and last_class == ADJECTIVE
            return last[0].isupper() or last in _TIMES or is_busy
        if self._begun_in in (DETERMINER, OWNER) or not _is_name(self._phrase):
            return False
        if self._begun_in == LINK:
            return word in _BARE_VERBS  # "has Ann read"
        is_object = self._begun_in in _BEFORE_OBJECTS and not self._awaits_verb
        return word in _BARE_VERBS or not is_object

    # --- The end of a phrase ------------------------------------------------------------

    def _end(self, state: str) -> None:
        """Ends the phrase before a verb or a name."""
        self._close(VERB, "")
        self._awaits_verb = False
        self._state = state

    def _close(self, word_class: str, word: str) -> None:
        """Ends the phrase before a word, and keeps it if it is a compound."""
        phrase, self._phrase = self._phrase, []
        held, self._held = self._held, False
        if len(phrase) < 2 or held:
            return
        if self._awaits_verb and phrase[-1][0] == NOUN and phrase[-1][1].islower():
            phrase.pop()  # the verb of the question
            self._awaits_verb = False
        if len(phrase) > 1:
            _strip_end(phrase, OBJECT if word in PARTICLES else word_class)
        if len(phrase) > 2 and phrase[-1][1].lower() in words.GENERIC_ENDINGS:
            phrase.pop()
        if len(phrase) > 1 and not _is_name(phrase):
            self.found.append(("COMPOUND", " ".join([singular_of(part) for _, part in phrase])))

    # --- A name that opens a sentence ---------------------------------------------------

    def _read_after_name(self, word_class: str, word: str) -> None:
        """Reads a content word after the first word of the name."""
        if self._name_verb:
            self._end_name(word_class, word)
        elif word[0].isupper():
            self._name = f"{self._name} {word}"
        elif may_be_noun(word):
            self._name_verb = word
        else:
            self._name = ""

    def _end_name(self, word_class: str, word: str) -> None:
        """Ends the name before a word; a verb taken for a noun makes it a compound."""
        name, verb = self._name, self._name_verb
        self._name = self._name_verb = ""
        if verb and is_noun(verb, word_class, word):
            self.found.append(("COMPOUND", f"{name} {singular_of(verb)}"))


def _is_name(phrase: list[tuple[str, str]]) -> bool:
    return phrase[0][1][0].isupper() and all(word[0].isupper() for _, word in phrase)


def _strip_end(phrase: list[tuple[str, str]], by: str) -> None:
    """Removes what is not a noun from the end of a phrase, given the class of the next word."""
    if by in (DETERMINER, OBJECT) and phrase[-1][0] == PLURAL:
        phrase.pop()  # a verb: "the fence needs a gate"
    while phrase and _is_stripped(phrase, by):
        phrase.pop()


def _is_stripped(phrase: list[tuple[str, str]], by: str) -> bool:
    word_class, word = phrase[-1]
    is_adjective = word_class == ADJECTIVE and word not in _ALSO_NOUNS and word[0].islower()
    return (
        (is_adjective and by != AUXILIARY)
        or (word_class == GERUND and not _is_thing(phrase, by))
        or word in _ADVERBS_AT_THE_END
    )


def _is_thing(phrase: list[tuple[str, str]], by: str) -> bool:
    """Whether a form in -ing at the end of a phrase is a noun: "goal setting"."""
    before = phrase[-2][0] if len(phrase) > 1 else ""
    if by == PREPOSITION:
        return before == ADJECTIVE
    return by in _PAUSES and before in (NOUN, ADJECTIVE) and phrase[-1][1] not in _FEELINGS
