"""Noun compounds by rule: "tennis club", "botanical garden".

A noun phrase is what stands between words of grammar and verbs. Which words are verbs is guessed
from their form and place: after a subject or "to" one verb follows, a past form ends a phrase, and
what agrees with nothing before it ends one, too. A phrase of two words or more that are not all
capitalised is a compound, without adjectives that say little, in the singular.

The rules are English. Time is linear in the length of the text.
"""

from __future__ import annotations

from isomem.text import words
from isomem.text.entities import proper_names, quotations, tidied, tokenize
from isomem.text.lemma import degree_of, singular
from isomem.text.spacy_tier import GENERIC_ENDINGS, VAGUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.text.entities import Entity, Tokens

CACHED_TOKENS = 4096
LONGEST_TOKEN = 80
"""Characters. Longer ones are not remembered."""

# What a token is. First what no phrase contains; a phrase goes on after the kinds from `NOUN` on.
SKIPPED, STOP, OTHER, AUXILIARY, WHICH, VAGUE_WORD, ADVERB = range(1, 8)
# These also say what was read last, and so what the next word may be.
DETERMINER, LINK, JOIN, PREPOSITION, VERB, SUBJECT, OWNER = range(8, 15)
NOUN, PLURAL, ADJECTIVE, PAST, GERUND, GROUP, VAGUE_NAME = range(15, 22)

_TABLES = {
    SKIPPED: "- -- not n't",
    STOP: ". ! ? : ;",
    DETERMINER: """
        a an the my your his her its our their this these those another any each every either
        neither some no many several few more most less much all both other others same such
        various only enough full empty whole serious one two three four five six seven eight nine
        ten eleven twelve fifteen twenty forty fifty sixty hundred third
    """,
    LINK: "am is are was were be been being 're 'm have has had having 've",
    JOIN: "and or but nor & /",
    PREPOSITION: """
        about above across after against along among amongst around as at before behind below
        beside besides between beyond by down due during except for from in including into like of
        off on onto out over per re regarding than through throughout thru toward towards under
        until up upon via with within without
    """,
    VERB: """
        get give go keep make made put say see show take call become becomes became becoming seem
        seems seemed seeming using used doing done
    """,
    AUXILIARY: "do does did will would can ca could may might must should shall 'll 'd",
    WHICH: "what which",
    SUBJECT: """
        i you he she we they it that who whom to let lets how why when where if because although
        though unless whereas whether while yet since so please there here nobody someone everyone
        anyone something nothing everything em gonna wanna gotta lemme
    """,
    OWNER: "'s '",
    ADVERB: """
        also just even ever never always often already again almost still soon really very too
        quite rather super pretty then now once together sometimes perhaps otherwise instead away
        back well else maybe
    """,
    OTHER: """
        abroad outdoors overseas forever tonight today yesterday tomorrow someday ago worldwide
        apart
    """,
    GROUP: "group team side",
    ADJECTIVE: "own",
}
_TABLE = {word: kind for kind, table in _TABLES.items() for word in table.split()}
# Adjectives before a noun, and adverbs after it.
_ADVERBS_AT_THE_END = frozenset(
    "online nearby indoors outside inside daily weekly home early close".split()
)
_NOT_ADVERBS = frozenset(
    "family early lovely friendly elderly daily weekly monthly july italy reply supply assembly "
    "lively lonely ally belly jelly bully silly ugly holy rally".split()
)
_SINGULAR_IN_S = frozenset("sports arts lens gas news series species goods savings yes".split())
_ADJECTIVE_ENDINGS = ("al", "ful", "ous", "less", "ic", "able", "ible")
_IRREGULAR_PASTS = (
    frozenset(form for form, verb in words.IRREGULAR_VERBS.items() if form != verb)
    .difference(words.HOMOGRAPHS, ["plans", "ground"])
    .union("left felt saw thought found come".split())
)
# Verbs that are seldom nouns, so that with an -s they are no plurals.
_VERBS = frozenset(
    "become begin bring buy choose come enjoy feel find forget forgive get give go grow have hear "
    "hold keep know look lose love make mean meet need pay say see seek seem sell send sing sit "
    "sound speak spend take teach tell think understand wake want wear win write".split()
)
_BARE_VERBS = frozenset(words.IRREGULAR_VERBS.values()).union(
    "appreciate ask attend create encourage enjoy explore help hope improve include inspire join "
    "learn love manage mention need offer remember share start stay suggest try use visit want "
    "wish believe".split()
)

# What a capital makes of a guess: "Christmas" is no plural, "New" may begin "New York".
_AS_NAMES = {VAGUE_WORD: VAGUE_NAME, PLURAL: NOUN, PAST: NOUN, GERUND: NOUN}

_LOOSE = (JOIN, PREPOSITION)
"""States in which what looks like a plural can still be a verb."""

_kinds: dict[str, tuple[int, str]] = {}
"""What tokens are, and they without the space at their end."""


def compounds(tokens: Tokens) -> list[Entity]:
    """The noun compounds in the tokens of a text, as ("COMPOUND", text) in order."""
    reader = _Reader()
    for token in tokens:
        kind, word = _kinds.get(token) or _remember(token)
        if kind >= NOUN:
            reader.read_word(kind, word)
        elif kind != SKIPPED:
            reader.read_grammar(kind)
    reader.close()
    return reader.found


# --- What a token is ----------------------------------------------------------------------


def _remember(token: str) -> tuple[int, str]:
    word = token.strip()
    kind = _kind_of(word.lower().replace("\u2019", "'"))
    if word[:1].isupper():
        kind = _AS_NAMES.get(kind, kind)
    read = kind, word
    if len(token) <= LONGEST_TOKEN:
        if len(_kinds) >= CACHED_TOKENS:
            _kinds.clear()
        _kinds[token] = read
    return read


def _kind_of(word: str) -> int:
    """What a word in lower case is, by the tables and by its ending."""
    kind = _TABLE.get(word)
    if kind is not None:
        return kind
    if word in VAGUE or degree_of(word) in VAGUE:
        return VAGUE_WORD
    if not word.isalpha() or word in words.FUNCTION_WORDS or word in words.BARE_CONTRACTIONS:
        return OTHER
    if word.endswith("ly") and word not in _NOT_ADVERBS and len(word) > 4:
        return ADVERB
    return _content_kind(word)


def _content_kind(word: str) -> int:
    if word in words.NOT_INFLECTED or word in words.NOMINAL_ING:
        return NOUN
    is_long = len(word) > 4
    if word in _IRREGULAR_PASTS or (is_long and word.endswith("ed") and word[-3] != "e"):
        return PAST
    if is_long and word.endswith("ing"):
        return GERUND
    if word in words.GRADABLE or (is_long and word.endswith(_ADJECTIVE_ENDINGS)):
        return ADJECTIVE
    ends_in_s = len(word) > 3 and word[-1] == "s" and word[-2] not in "sui"
    return PLURAL if ends_in_s and not _is_singular(word) else NOUN


def _is_singular(word: str) -> bool:
    return word in _SINGULAR_IN_S or word.endswith("ics")


# --- Phrases ------------------------------------------------------------------------------


class _Reader:
    """Reads the tokens of a text one by one and keeps the compounds.

    Attributes:
        found: the compounds so far.
    """

    __slots__ = ("_asks", "_before", "_opened", "_phrase", "_state", "found")

    def __init__(self) -> None:
        self.found: list[Entity] = []
        self._phrase: list[tuple[int, str]] = []
        self._opened = 0  # the state in which the phrase began
        self._state = SUBJECT
        self._before = STOP  # the kind of the token before
        self._asks = False  # whether a subject follows its auxiliary, and the verb that

    def read_grammar(self, kind: int) -> None:
        """A token that no phrase contains."""
        if self._phrase:
            self.close()
        if kind == WHICH:
            kind = DETERMINER if self._before == STOP else SUBJECT
        if kind == DETERMINER and self._before == AUXILIARY:
            self._asks = True
        if kind == OWNER and self._before == SUBJECT:
            kind = LINK  # "it's"
        self._before = kind
        self._state = kind if kind >= DETERMINER else self._state_after(kind)

    def _state_after(self, kind: int) -> int:
        if kind == VAGUE_WORD:
            return OWNER if self._state == OWNER else DETERMINER
        if kind == ADVERB:
            return SUBJECT if self._state == SUBJECT else ADVERB
        return SUBJECT

    def read_word(self, kind: int, word: str) -> None:
        """A noun, an adjective, or a verb that is taken for one until the next token."""
        if kind == VAGUE_NAME:  # "New York", or "New" at the start of a sentence
            if self._before == STOP:
                self.read_grammar(VAGUE_WORD)
                return
            kind = NOUN
        self._before = kind
        if self._phrase:
            self._continue(kind, word)
        elif not self._is_verb(kind, word):
            self._open(kind, word)

    def _is_verb(self, kind: int, word: str) -> bool:
        """Whether a word that would begin a phrase is a verb, or cannot begin one."""
        state = self._state
        if word[0].isupper():
            return state == SUBJECT and kind != ADJECTIVE
        if state == SUBJECT:
            if kind != ADJECTIVE:
                self._state = VERB
            return kind != ADJECTIVE
        if state == OWNER or kind == GROUP:
            return True
        is_verb = (
            (kind == GERUND and state != DETERMINER)
            or (kind == PAST and state in (LINK, JOIN, ADVERB))
            or (state == JOIN and word in _BARE_VERBS)
        )
        if is_verb:
            self._state = VERB
        return is_verb

    def _open(self, kind: int, word: str) -> None:
        is_adjective = self._state == SUBJECT
        self._opened = DETERMINER if is_adjective else self._state
        self._phrase = [(kind, word.lower() if is_adjective else word)]

    def _continue(self, kind: int, word: str) -> None:
        last_kind, last = self._phrase[-1]
        if word[0].isupper() and not last[0].isupper():
            self._end(SUBJECT)
        elif last_kind == PLURAL and len(self._phrase) == 1 and self._opened in _LOOSE:
            # It was a verb: "and loves grey hats".
            self._state = self._opened = VERB
            self._phrase = [] if kind == GERUND else [(kind, word)]
        elif last_kind == PLURAL or kind == PAST or self._is_predicate(kind, word):
            self._end(VERB)
        else:
            self._phrase.append((kind, word))

    def _end(self, state: int) -> None:
        self.close()
        self._state = state

    def _is_predicate(self, kind: int, word: str) -> bool:
        """Whether a word behind a phrase is a verb.

        Without a determiner a name stands before plural nouns at most ("of Rolling Stones songs").
        """
        if kind == PLURAL and word[:-1] in _VERBS:
            return True
        if word[0].isupper() or not self._phrase[-1][1][0].isupper():
            return False
        if kind == GERUND:
            return True
        needs_none = kind == PLURAL and self._opened in (PREPOSITION, VERB)
        return self._opened != DETERMINER and not needs_none and self._is_name()

    def _is_name(self) -> bool:
        return all(word[0].isupper() for _, word in self._phrase)

    def close(self) -> None:
        """Ends the phrase, and keeps it if it is a compound."""
        phrase = self._phrase
        if not phrase:
            return
        self._phrase = []
        if self._asks and len(phrase) > 1 and phrase[-1][0] == NOUN:
            phrase.pop()  # the verb of the question
        self._asks = False
        if len(phrase) < 2:
            return
        while phrase and (phrase[-1][0] == GERUND or phrase[-1][1] in _ADVERBS_AT_THE_END):
            phrase.pop()
        if len(phrase) > 2 and phrase[-1][1].lower() in GENERIC_ENDINGS:
            phrase.pop()
        if len(phrase) > 1 and not all(word[0].isupper() for _, word in phrase):
            self.found.append(("COMPOUND", " ".join(_one(word) for _, word in phrase)))


def _one(word: str) -> str:
    """A word of a phrase in the singular; names stay as they are."""
    if word[-1] != "s" or word[0].isupper() or _is_singular(word):
        return words.IRREGULAR_NOUNS.get(word, word)
    return singular(word)


def extract_entities(text: str) -> list[Entity]:
    """Names, quotations and compounds of `text`, as `entities.extract_entities` gives the first
    two."""
    tokens = tokenize(text)
    return tidied(proper_names(tokens) + quotations(text) + compounds(tokens))
