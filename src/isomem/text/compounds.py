"""Noun compounds by rule: "tennis club", "botanical garden".

A noun phrase is a run of words between function words and verbs. Which words are verbs is guessed
from their form and from the words before them: after a subject or "to" one verb follows, a past
form ends a phrase, and so does an adjective after the noun. A phrase of two words or more is a
compound unless all are capitalised. It is in the singular, without adjectives that say little.

Every word has a kind (`kinds`). Outside a phrase, and at its first word, the kind alone says what
follows (`situations`). What comes after the first word of a phrase is read here.

The rules are English. Time is linear in the length of the text.
"""

from __future__ import annotations

from operator import length_hint

from isomem.text import words
from isomem.text.entities import cleaned, proper_names, quotations
from isomem.text.kinds import AFTER_NAMES, BARE_VERB, SELDOM_NOUN, kind_of
from isomem.text.openings import PARTICLES, is_noun
from isomem.text.situations import (
    BEFORE_LISTS,
    BEFORE_VERBS,
    CONTINUED,
    MODIFIERS,
    OPENING,
    UNDECIDED,
    class_in,
    situation,
)
from isomem.text.tokens import Token, Tokenizer
from isomem.text.word_classes import (
    ADJECTIVE,
    ADJECTIVE_ENDINGS,
    AUXILIARY,
    CLAUSE,
    COMMA,
    CONTENT,
    DETERMINER,
    GERUND,
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
    VERB,
    singular_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from isomem.text.entities import Entity
    from isomem.text.situations import Situation
    from isomem.text.tokens import Kind, Tokens

_UNREAD = frozenset((HYPHEN, SKIPPED))
"""Tokens that are not words."""

_BEFORE_OBJECTS = frozenset((PREPOSITION, VERB, TO))
"""States in which a name is an object rather than a subject."""

_LOOSE = frozenset((JOIN, PREPOSITION))
"""States in which a word that looks like a plural can still be a verb."""

_PAUSES = frozenset((STOP, COMMA, JOIN, VAGUE, AUXILIARY, LINK, CLAUSE, VERB))
"""Before these, a form in -ing is a noun: "she likes bird watching."."""

_VERB_FORMS = frozenset((PAST, GERUND))

# Adjectives before a noun, and adverbs after it.
_ADVERBS_AT_THE_END = frozenset("online nearby indoors outside inside daily weekly".split())
# Adjectives that can be the noun of a phrase.
_ALSO_NOUNS = frozenset("light fun cold fair blue green".split())
# Forms in -ing that say how somebody feels about a thing.
_FEELINGS = frozenset(
    "calming caring comforting energizing empowering freeing fulfilling heartwarming inspiring "
    "invigorating inviting loving motivating moving satisfying thrilling tiring touching "
    "uplifting welcoming".split()
)
_TIMES = frozenset(
    "second minute hour day week weekend month year morning afternoon evening night summer winter "
    "spring autumn fall".split()
)
_PREFIXES = ("multi", "non", "pre")
# Function words that are part of what a hyphen joins: "like-minded".
_JOINED = ("like", "off", "part")

tokenize = Tokenizer(kind_of)


def extract_entities(text: str) -> list[Entity]:
    """Names, quotations and compounds of `text`; the first two as in `entities`."""
    tokens = tokenize(text)
    return cleaned(proper_names(tokens) + quotations(text) + compounds(tokens))


def compounds(tokens: Tokens) -> list[Entity]:
    """The noun compounds in the tokens of a text, as ("COMPOUND", text) in order."""
    return [("COMPOUND", " ".join(map(singular_of, words))) for words in phrases(tokens)]


def phrases(tokens: Tokens) -> list[list[str]]:
    """The words of each noun compound in the tokens of a text, in order and as they are spelt."""
    return _Reader(tokens).read()


# A full stop after the last word, and something that is not read.
_END = Token(".", kind_of)
_NOTHING = Token("--", kind_of)


class _Reader:
    """Reads the tokens of a text one by one and keeps the compounds."""

    __slots__ = ("_found", "_stream", "_tokens")

    def __init__(self, tokens: Tokens) -> None:
        self._found: list[list[str]] = []
        self._tokens = [*tokens, _END]
        self._stream = iter(self._tokens)

    def read(self) -> list[list[str]]:
        """The words of each compound of the text."""
        at = earlier = OPENING  # `earlier` is before `function_word`, which is the last one
        function_word = _END
        for token in self._stream:
            following = at[token.kind]
            if following.is_function:
                earlier, function_word = at, token
            elif following is UNDECIDED:
                following, earlier, function_word = self._read_on(at, token, earlier, function_word)
            at = following
        return self._found

    def _read_on(
        self, at: Situation, token: Token, earlier: Situation, function_word: Token
    ) -> tuple[Situation, Situation, Token]:
        """Reads what takes more than one word to decide.

        Returns:
            The situation after it, the last function word, and the situation before that.
        """
        here, last = self._decide(at, token, earlier, function_word.word)
        following = here[last.kind]
        if following.is_function:
            return following, here, last
        return following, earlier, function_word

    def _decide(
        self, at: Situation, token: Token, earlier: Situation, function_word: str
    ) -> tuple[Situation, Token]:
        """The situation after what takes more than one word to decide, and the word to read there.

        A phrase is read up to its end.
        """
        index = len(self._tokens) - length_hint(self._stream) - 1
        if at.begun:
            phrase = _Phrase(at, at.begun, at.before, self._first_word(index, at), self._found)
            return phrase.read(token, self._stream)
        if token.kind.word_class != HYPHEN:
            self._read_name(index)
            return situation(at.state, at.before, at.is_question, at.awaits_verb), token
        if function_word in _JOINED:
            here = situation(earlier.state, at.before, at.is_question, at.awaits_verb)
            phrase = _Phrase(here, here.state, NOUN, function_word, self._found)
            return phrase.read(token, self._stream)
        return _after_hyphen(at, earlier), _NOTHING

    def _first_word(self, index: int, at: Situation) -> str:
        """The word before an index with which a phrase began."""
        index -= 1
        while self._tokens[index].kind.word_class == SKIPPED:
            index -= 1
        word = self._tokens[index].word
        return word.lower() if at.before == ADJECTIVE and at.state in BEFORE_VERBS else word

    def _read_name(self, index: int) -> None:
        """Keeps the name that opens a sentence, if a verb taken for a noun makes it a compound.

        Args:
            index: of a word of the name, or of the verb after it.
        """
        tokens = self._tokens
        start = index
        while start and (tokens[start - 1].kind.is_content or _is_unread(tokens[start - 1])):
            start -= 1
        rest = (tokens[i] for i in range(start, len(tokens)) if not _is_unread(tokens[i]))
        name = []
        for verb in rest:
            if not (verb.kind.is_content and verb.is_capital):
                break
            name.append(verb.word)
        after = next(rest, _END)
        if AFTER_NAMES in verb.kind.traits and is_noun(
            verb.word, after.kind.word_class, after.word
        ):
            self._found.append([*name, verb.word])


def _is_unread(token: Token) -> bool:
    return token.kind.word_class in _UNREAD


def _after_hyphen(at: Situation, earlier: Situation) -> Situation:
    """What a hyphen outside a phrase leads to."""
    if at.before in CONTENT:
        return at
    # "in-person" is not a noun by itself; "a must-see", "two-week"
    state = OWNER if at.before == PREPOSITION else earlier.state
    return situation(state, at.before, at.is_question, at.awaits_verb)


class _Phrase:
    """A noun phrase from its second word on.

    Args:
        at: the situation after its first word.
        begun: the state in which it began.
        word_class: of the first word.
        word: the first word.
        found: gets the words of the phrase if it is a compound.
    """

    __slots__ = (
        "_awaits_verb", "_before", "_begun", "_found", "_is_held", "_is_joined", "_is_name",
        "_is_question", "_listed", "_state", "_words",
    )  # fmt: skip

    def __init__(
        self, at: Situation, begun: str, word_class: str, word: str, found: list[list[str]]
    ) -> None:
        self._found = found
        self._state = at.state
        self._before = at.before
        self._is_question = at.is_question
        self._awaits_verb = at.awaits_verb
        self._is_held = False  # whether it is adjectives and a conjunction so far
        self._is_joined = False  # whether a hyphen comes before the next word
        self._begin(begun, word_class, word)

    def _begin(self, begun: str, word_class: str, word: str) -> None:
        self._begun = begun
        self._words = [(word_class, word)]
        self._is_name = word[0].isupper()  # whether all words are capitalised
        self._listed = 0  # how many words are known to be adjectives of a list

    def read(self, token: Token, stream: Iterator[Token]) -> tuple[Situation, Token]:
        """Reads from a token to the end of the phrase.

        Returns:
            The situation after it, and the word to read there.
        """
        while True:
            kind = token.kind
            if kind.is_content:
                if self._is_held and not self._is_listing(kind, token.word):
                    self._state = JOIN
                    return self._after(), token
                self._add(kind, token.word)
                if not self._words:
                    return self._after(), _NOTHING
            elif kind.word_class == HYPHEN:
                self._join()
            elif kind.word_class != SKIPPED and not self._goes_on(kind.word_class):
                self._close(kind.word_class, token.word)
                return self._after(), token
            token = next(stream)

    def _after(self) -> Situation:
        return situation(self._state, self._before, self._is_question, self._awaits_verb)

    # --- Function words and hyphens -----------------------------------------------------

    def _goes_on(self, word_class: str) -> bool:
        """Whether the phrase goes on after a function word."""
        if self._is_held and word_class == VAGUE:
            return True  # "a safe and lovely place"
        if self._is_joined and word_class in (PREPOSITION, VAGUE):
            self._is_joined = False  # "upside-down", "career-high"
            return True
        if word_class in CONTINUED and self._is_open_list():
            self._is_held = word_class != VAGUE
            return True
        return False

    def _is_open_list(self) -> bool:
        """Whether the phrase can go on after a conjunction: "a safe and sunny place"."""
        if self._begun not in BEFORE_LISTS:
            return False
        # Those that were listed before are not looked at again: a list can be very long.
        while self._listed < len(self._words) and _is_listed(*self._words[self._listed]):
            self._listed += 1
        return self._listed == len(self._words)

    def _is_listing(self, kind: Kind, word: str) -> bool:
        """Whether a word after a conjunction continues a list of adjectives."""
        return class_in(self._state, kind) in MODIFIERS or word.endswith(ADJECTIVE_ENDINGS)

    def _join(self) -> None:
        """Reads a hyphen: the parts on both sides of it are one word."""
        self._is_joined = True
        if self._words[-1][1] in _PREFIXES:
            self._append(NOUN, "-")

    # --- Content words ------------------------------------------------------------------

    def _add(self, kind: Kind, word: str) -> None:
        """Adds a noun or an adjective, or ends the phrase before a verb or a name."""
        self._is_held = False
        word_class = self._before = class_in(self._state, kind)
        if self._is_joined:
            word_class = NOUN
        last_class, last = self._words[-1]
        if kind.is_capital and not last[0].isupper() and not last[0].isdigit():
            self._add_name(word_class, word)
        elif last_class == PLURAL and self._was_verb(last):
            self._state = VERB  # "and loves grey hats"
            self._words = []
            if word_class != GERUND:
                self._begin(VERB, word_class, word)
        elif self._is_joined:
            self._append(word_class, word)
        elif last_class == PLURAL or word_class == PAST or self._is_predicate(word_class, kind):
            self._end(VERB)
            if word_class == ADJECTIVE:
                self._begin(VERB, word_class, word)  # "gave the dogs extra food"
        else:
            self._append(word_class, word)
        self._is_joined = False

    def _append(self, word_class: str, word: str) -> None:
        self._words.append((word_class, word))
        self._is_name = self._is_name and word[0].isupper()

    def _was_verb(self, plural: str) -> bool:
        """Whether an apparent plural at the end of a phrase is a verb before a noun."""
        return len(self._words) == 1 and self._begun in _LOOSE and plural[-1] == "s"

    def _add_name(self, word_class: str, word: str) -> None:
        """Reads a capital after lower case: a name that says which one, or a new phrase."""
        last_class = self._words[-1][0]
        if last_class in _VERB_FORMS and self._begun != DETERMINER:
            self._state = VERB  # it was a verb: "when she met Ann"
            self._begin(VERB, word_class, word)
        elif last_class == ADJECTIVE or (word.isupper() and len(word) > 1):
            self._append(word_class, word)
        else:
            self._end(SUBJECT)

    def _is_predicate(self, word_class: str, kind: Kind) -> bool:
        """Whether a word after a phrase is a verb.

        Without a determiner, a single name can only come before plural nouns ("of Dylan songs").
        """
        if word_class == PLURAL and SELDOM_NOUN in kind.traits:
            return True
        if kind.is_capital:
            return False
        if word_class == GERUND:
            return self._is_done_by(*self._words[-1])
        if not self._is_name or self._begun in (DETERMINER, OWNER):
            return False
        if self._begun == LINK:
            return BARE_VERB in kind.traits  # "has Ann read"
        is_object = self._begun in _BEFORE_OBJECTS and not self._awaits_verb
        return BARE_VERB in kind.traits or not is_object

    def _is_done_by(self, last_class: str, last: str) -> bool:
        """Whether a form in -ing after the last word says what it does: "of Ann painting"."""
        is_busy = self._begun == LINK and last_class == ADJECTIVE
        return last[0].isupper() or last in _TIMES or is_busy

    # --- The end ------------------------------------------------------------------------

    def _end(self, state: str) -> None:
        """Ends the phrase before a verb or a name."""
        self._close(VERB, "")
        self._awaits_verb = False
        self._state = state

    def _close(self, word_class: str, word: str) -> None:
        """Ends the phrase before a word, and keeps it if it is a compound."""
        phrase, self._words = self._words, []
        if len(phrase) < 2 or self._is_held:
            return
        if self._awaits_verb and phrase[-1][0] == NOUN and phrase[-1][1].islower():
            phrase.pop()  # the verb of the question
            self._awaits_verb = False
        if len(phrase) > 1:
            _strip_end(phrase, OBJECT if word in PARTICLES else word_class)
        if len(phrase) > 2 and phrase[-1][1].lower() in words.GENERIC_ENDINGS:
            phrase.pop()
        if len(phrase) > 1 and not all(part[0].isupper() for _, part in phrase):
            self._found.append([part for _, part in phrase])


def _is_listed(word_class: str, word: str) -> bool:
    return word_class in MODIFIERS and word[0].islower() and word not in _ALSO_NOUNS


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
