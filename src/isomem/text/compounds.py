"""Noun compounds by rule: "tennis club", "botanical garden".

A noun phrase is what stands between words of grammar and verbs. Which words are verbs is guessed
from their form and place: after a subject or "to" one verb follows, a past form ends a phrase, so
does an adjective behind the noun, and what agrees with nothing before it ends one, too. A phrase
of two words or more that are not all capitalised is a compound, without adjectives that say
little, in the singular.

The rules are English. Time is linear in the length of the text.
"""

from __future__ import annotations

from isomem.text import words
from isomem.text.entities import proper_names, quotations, tidied, tokenize
from isomem.text.lemma import degree_of, singular
from isomem.text.spacy_tier import GENERIC_ENDINGS, VAGUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.text.entities import Entity, Token, Tokens

# What a token is. First what no phrase contains; a phrase goes on after the kinds from `NOUN` on.
SKIPPED, HYPHEN, STOP, OTHER, OBJECT, AUXILIARY, COMMA, VAGUE_WORD, ADVERB = range(1, 10)
# Those from `OWNER` to `TO` are also states: what was read last, and so what the next word may be.
# What a word of a kind up to `JOIN` is there, the word before it decides.
WHICH, THAT, OWNER, DETERMINER, JOIN, LINK, VERB, PREPOSITION, CLAUSE, SUBJECT, TO = range(10, 21)
NOUN, PLURAL, ADJECTIVE, PAST, GERUND, GROUP, VAGUE_NAME = range(21, 28)

_TABLES = {
    SKIPPED: "-- not n't",
    STOP: ". ! ? : ;",
    COMMA: ",",
    DETERMINER: """
        a an the my your his her its our their this these those another any either
        neither some no many several few more most less much all both other same
        various only enough full whole one two three four five six seven eight nine
        ten eleven twelve fifteen twenty forty fifty sixty hundred third
    """,
    VAGUE_WORD: "each every",
    OBJECT: "me him them us myself yourself himself herself itself ourselves themselves oneself",
    LINK: "am is are was were be been being 're 'm have has had having 've",
    JOIN: "and or but nor & /",
    PREPOSITION: """
        about above across after against along amid amidst among amongst around as at before behind
        below beside besides between beyond by despite down due during except for from in including
        into like near of off on onto out over per re regarding than through throughout thru toward
        towards under until up upon via with within without
    """,
    VERB: """
        get give go keep make made put say see show take call becomes became becoming seeming used
        using doing done coming getting giving going happening keeping looking making putting
        relying saying seeing taking trying wanting likes
    """,
    AUXILIARY: "do does did will would can ca could may might must should shall 'll 'd",
    WHICH: "what which",
    THAT: "that",
    CLAUSE: "how why when where if because although though unless whereas whether while since yet",
    SUBJECT: """
        i you he she we they it who whom let lets so please there here nobody someone
        everyone anyone others something nothing everything em gonna wanna gotta lemme
    """,
    TO: "to",
    OWNER: "'s '",
    ADVERB: """
        also just even ever never always often already again almost still soon really very too
        quite rather super pretty then now once together sometimes perhaps otherwise instead away
        back well else maybe ahead forward far anymore twice
    """,
    OTHER: """
        abroad outdoors overseas forever tonight today yesterday tomorrow someday ago worldwide
        apart worth sure able aware afraid alive alone asleep glad
    """,
    GROUP: "group team side",
    PLURAL: "people children men women",
    ADJECTIVE: """
        own top empty serious busy happy extra proper fellow favorite favourite better worse
        aspiring stumbling struggling living ailing aging
    """,
}
_TABLE = {word: kind for kind, table in _TABLES.items() for word in table.split()}
# Adjectives before a noun, and adverbs after it.
_ADVERBS_AT_THE_END = frozenset("online nearby indoors outside inside daily weekly early".split())
_NOT_ADVERBS = frozenset(
    "family early lovely friendly elderly daily weekly monthly july italy reply supply assembly "
    "lively lonely ally belly jelly bully silly ugly holy rally".split()
)
_SINGULAR_IN_S = frozenset("lens gas news series species savings yes".split())
_VERB_ENDINGS = ("alize", "alizes", "erize", "erizes", "nize", "nizes", "ify", "ifies")
_ADJECTIVE_ENDINGS = ("al", "ful", "ous", "less", "ic", "able", "ible", "ive", "ish")
# Nouns in spite of such an ending.
_NOUNS = frozenset(
    "animal appraisal approval arrival burial capital carnival cathedral cereal coral credential "
    "criminal crystal denial dial editorial festival funeral hospital individual interval journal "
    "mammal manual material medal memorial metal mineral mural musical numeral official oval pedal "
    "pedestal portal potential principal professional proposal referral refusal rehearsal removal "
    "renewal rental ritual rival royal sandal scandal signal spiral survival terminal total trial "
    "tutorial withdrawal attic ceramic clinic comic cosmetic critic epidemic ethic fabric garlic "
    "graphic logic lyric magic mechanic mosaic music panic picnic plastic public relic republic "
    "topic traffic tunic cable constable stable table timetable vegetable bible handful adjective "
    "alternative archive captive collective detective dive drive executive hive incentive "
    "initiative locomotive motive narrative native objective olive perspective relative "
    "representative fish dish wish finish sports clothes goods".split()
)
# Adjectives that can be the noun of a phrase.
_ALSO_NOUNS = frozenset("light fun cold fair blue green orange".split())
# Forms in -ing that name what people do, and seldom have an object.
_ACTIVITIES = frozenset(
    "biking bowling boxing camping climbing cycling dancing dining hiking jogging kayaking "
    "networking parenting rafting skiing snowboarding surfing".split()
)
_IRREGULAR_PASTS = (
    frozenset(form for form, verb in words.IRREGULAR_VERBS.items() if form != verb)
    .difference(words.HOMOGRAPHS, ["plans", "ground"])
    .union("left felt saw thought found come".split())
)
# Forms in -ing that say how somebody feels about a thing.
_FEELINGS = frozenset(
    "calming caring comforting energizing empowering freeing fulfilling heartwarming inspiring "
    "invigorating inviting loving motivating moving satisfying thrilling tiring touching "
    "uplifting welcoming".split()
)
# Verbs that are no nouns, with an -s or without.
_NEVER_NOUNS = frozenset(
    "accept achieve acknowledge adopt afford agree allow appear appreciate arrive assume attend "
    "avoid become begin believe belong bring choose complain consider contain continue contribute "
    "create decide deserve disagree discover discuss enable encourage enjoy ensure exist expect "
    "explain explore express find forget forgive grow happen hear imagine improve include inspire "
    "involve join keep know learn lose maintain mean meet obtain occur participate prefer prepare "
    "prevent provide realize receive recommend relax rely remain remember remind replace require "
    "seek seem sell send sit solve spend strengthen suggest teach tell think understand wear "
    "write".split()
)
# Verbs that are seldom nouns, so that with an -s they are no plurals.
_SELDOM_NOUNS = frozenset(
    "brighten buy come feel fuel get give go have help hold look love make need pay revolve say "
    "see sing sound speak take wake want win".split()
)
_BARE_VERBS = frozenset(words.IRREGULAR_VERBS.values()).union(
    "ask dislike help hope increase love manage mention need offer share start stay support try "
    "use visit want wish beat bet burst cost cut hit hurt let put quit read set shut split "
    "spread".split()
)
_TIMES = frozenset(
    "second minute hour day week weekend month year morning afternoon evening night summer winter "
    "spring autumn fall".split()
)
_CALENDAR = frozenset(
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May "
    "June July August September October November December".split()
)

# Behind a name that opens a sentence the full system takes these forms for a noun ("Ann values"),
# unless a noun phrase follows: the first ones always, the second ones not before a clause. Found
# by asking its model with sentences made for it.
_TAKEN_FOR_NOUNS = frozenset(
    "adapts aids alters awards bats bets bikes blogs bonds camps champions chats cheers codes "
    "compliments contacts crafts credits cycles details diets dines displays dresses excels "
    "exchanges exercises experiments farms fasts forces fosters functions games gardens golfs "
    "grades greets hosts hugs hunts imagines interests interviews jobs journals journeys judges "
    "labors loans longs masters meditates mentors minds names nurtures orders parents parties "
    "partners pictures pledges programs questions races rates reacts reassures repairs roots sails "
    "schedules schools scores shares shops skis sponsors stores studies styles teams treasures "
    "tutors types vacations values voices volunteers witnesses".split()
)
_OFTEN_TAKEN = frozenset(
    "appeals assists benefits catches charges checks climbs coaches comforts converses copes "
    "dances delves desires dislikes experiences figures films fishes fixes forgets grills guards "
    "hesitates highlights hikes honors limits maps merits models monitors nurses pitches "
    "places plants posts prizes profits requests rewards risks skates sketches stars "
    "states surfs suspects talks toasts treats ventures yearns".split()
)
_PREFIXES = ("multi", "non", "pre")
_PARTICLES = frozenset("up down off out away back".split())
_BEFORE_CLAUSES = frozenset("about for that to through into having".split())

# What a capital makes of a guess: "Christmas" is no plural, "New" may begin "New York".
_AS_NAMES = {VAGUE_WORD: VAGUE_NAME, PLURAL: NOUN, PAST: NOUN, GERUND: NOUN}

_NO_OBJECT = frozenset((STOP, COMMA, JOIN, PREPOSITION, CLAUSE, THAT, TO))
"""What stands behind a verb that has no object."""

_ASKING = frozenset((WHICH, CLAUSE, AUXILIARY))
"""What a question begins with."""

_CONTINUED = frozenset((VAGUE_WORD, COMMA, JOIN))
"""What a phrase of nothing but adjectives goes on behind."""

_BEFORE_NOUNS = frozenset((DETERMINER, PREPOSITION, VERB, LINK))
"""States in which a word that looks like a noun or an adjective is one."""

_BEFORE_VERBS = frozenset((SUBJECT, TO))
"""States in which a word that looks like a noun is a verb."""

_LOOSE = frozenset((JOIN, PREPOSITION))
"""States in which what looks like a plural can still be a verb."""

_MODIFIERS = frozenset((ADJECTIVE, PAST, GERUND))


def compounds(tokens: Tokens) -> list[Entity]:
    """The noun compounds in the tokens of a text, as ("COMPOUND", text) in order."""
    reader = _Reader()
    read_word, read_grammar = reader.read_word, reader.read_grammar
    kind = STOP
    for token in tokens:
        kind = token.kind or _classify(token)
        if kind >= NOUN:
            read_word(kind, token.word)
        elif kind > HYPHEN:
            read_grammar(kind, token.word)
        elif kind == HYPHEN:
            reader.join()
    if kind != STOP:
        read_grammar(STOP, "")
    return reader.found


# --- What a token is ----------------------------------------------------------------------


def _classify(token: Token) -> int:
    """What a token is, worked out once and kept with it."""
    word = token.word
    kind = HYPHEN if token.spelt == "-" else _kind_of(word.lower().replace("\u2019", "'"))
    if token.is_capital:
        kind = _AS_NAMES.get(kind, NOUN if kind == OTHER and _is_initials(word) else kind)
    token.kind = kind
    return kind


def _is_initials(word: str) -> bool:
    """Whether a capitalised word has marks or digits in it: "J.K.", "A4"."""
    return not word.isalpha() and word.replace(".", "").isalnum() and len(word) > 1


def _kind_of(word: str) -> int:
    """What a word in lower case is, by the tables and by its ending."""
    kind = _TABLE.get(word)
    if kind is not None:
        return kind
    if word in VAGUE or degree_of(word) in VAGUE:
        return VAGUE_WORD
    if not word.isalpha():
        return _mark_kind(word)
    if word in words.FUNCTION_WORDS or word in words.BARE_CONTRACTIONS:
        return OTHER
    if word.endswith("ly") and word not in _NOT_ADVERBS and len(word) > 4:
        return ADVERB
    if word in _NEVER_NOUNS or word.endswith(_VERB_ENDINGS) or _is_third_person(word):
        return VERB
    return _content_kind(word)


def _mark_kind(word: str) -> int:
    """A number counts and an ordinal is part of a name or phrase; marks are neither."""
    if word[:-2].isdigit() and word[-2:] in ("st", "nd", "rd", "th"):
        return NOUN
    return JOIN if word.isdigit() else OTHER


def _is_third_person(word: str) -> bool:
    return word[-1] == "s" and (word[:-1] in _NEVER_NOUNS or word[:-2] in _NEVER_NOUNS)


def _content_kind(word: str) -> int:
    if word in words.NOT_INFLECTED or word in words.NOMINAL_ING or word in _NOUNS:
        return NOUN
    if word in words.ADJECTIVAL_ING:
        return ADJECTIVE
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

    __slots__ = (
        "_asks", "_before", "_held", "_is_question", "_joined", "_last", "_name", "_opened",
        "_outer", "_phrase", "_state", "_taken", "found",
    )  # fmt: skip

    def __init__(self) -> None:
        self.found: list[Entity] = []
        self._phrase: list[tuple[int, str]] = []
        self._opened = 0  # the state in which the phrase began
        self._state = self._outer = SUBJECT  # now, and before the last word of grammar
        self._before = STOP  # the kind of the token before
        self._last = ""  # the last word of grammar
        self._is_question = False
        self._asks = False  # whether a subject follows its auxiliary, and the verb that
        self._joined = False  # whether a hyphen stands before the next word
        self._held = False  # whether the phrase has adjectives only, and a conjunction
        self._name = ""  # what opens the sentence, as far as it is capitalised
        self._taken = ""  # a form behind that name that may be taken for a noun

    def read_grammar(self, kind: int, word: str) -> None:
        """A token that no phrase contains."""
        before = self._before
        if self._name:
            self._settle_name(kind, word)
        if self._phrase:
            if (kind in _CONTINUED or self._joined or self._held) and self._goes_on(kind):
                return
            if len(self._phrase) > 1:
                self._close(OBJECT if word in _PARTICLES else kind)
            else:
                self._phrase, self._held = [], False
        elif kind == COMMA and before == VAGUE_WORD:
            return  # "a large, open space"
        if before == STOP:
            self._is_question = kind in _ASKING
        self._joined = False
        self._outer = self._state
        if kind > JOIN:
            self._state = kind
            if kind <= VERB:
                self._asks = False
        elif kind > ADVERB:
            kind = self._enter(kind, word)
        else:
            self._pass(kind)
        self._before, self._last = kind, word

    def _goes_on(self, kind: int) -> bool:
        """Whether a phrase goes on behind a word of grammar."""
        if self._held and kind == VAGUE_WORD:
            return True  # "a safe and lovely place"
        if self._joined and kind in (PREPOSITION, VAGUE_WORD):
            self._joined = False  # "upside-down", "career-high"
            return True
        if kind in _CONTINUED and self._is_open_list():
            self._held = kind != VAGUE_WORD
            return True
        return False

    def _enter(self, kind: int, word: str) -> int:
        """Goes to the state that a word of grammar is behind the one before it, and says which."""
        before = self._before
        if kind == DETERMINER:
            if before == OWNER:
                kind = OWNER  # "Ann's two fences"
        elif kind == WHICH:
            kind = DETERMINER if before == STOP else SUBJECT
        elif kind == THAT:
            kind = DETERMINER if before in (STOP, PREPOSITION) or word == "That" else SUBJECT
        elif kind == OWNER and before in (SUBJECT, CLAUSE, DETERMINER):
            kind = LINK  # "it's"
        if kind == LINK or (kind == DETERMINER and before >= NOUN):
            self._asks = False
        # "to relax and paint fences"
        self._state = SUBJECT if kind == JOIN and before == VERB else kind
        return kind

    def _pass(self, kind: int) -> None:
        """Goes to the state behind a word of grammar that is none itself."""
        before, state = self._before, self._state
        if kind == VAGUE_WORD:
            self._state = OWNER if state == OWNER else DETERMINER
        elif kind == ADVERB:
            if state != SUBJECT and before not in (DETERMINER, VAGUE_WORD):  # "a really old mill"
                self._state = ADVERB
        else:
            self._state = JOIN if kind == COMMA else SUBJECT
            if kind == STOP:
                self._asks = False
            elif kind == AUXILIARY:
                # "to do", and the second "do" of "did they do"
                self._asks = self._is_question and not self._asks and before not in _BEFORE_VERBS

    def join(self) -> None:
        """A hyphen: what stands on both sides of it is one word."""
        self._joined = True
        if self._phrase:
            if self._phrase[-1][1] in _PREFIXES:
                self._phrase.append((NOUN, "-"))
        elif self._last in ("like", "off", "part"):
            self._state = self._outer
            self._open(NOUN, self._last)
        elif self._before == PREPOSITION:
            self._state = OWNER  # "in-person": no noun by itself
        elif self._before < NOUN:
            self._state = self._outer  # "a must-see", "two-week"

    def _is_open_list(self) -> bool:
        """Whether the phrase can go on behind a conjunction: "a safe and sunny place"."""
        return self._opened in (DETERMINER, PREPOSITION, JOIN, CLAUSE) and all(
            kind in _MODIFIERS and word[0].islower() and word not in _ALSO_NOUNS
            for kind, word in self._phrase
        )

    def read_word(self, kind: int, word: str) -> None:
        """A noun, an adjective, or a verb that is taken for one until the next token."""
        before = self._before
        if before == STOP and kind == NOUN and word[0].isupper():
            self._name, self._before = word, NOUN
            return
        if self._name:
            self._read_opening(kind, word)
        if kind == VAGUE_NAME:  # "New York", or "New" at the start of a sentence
            if before == STOP:
                self.read_grammar(VAGUE_WORD, word)
                return
            kind = NOUN
        elif kind == GERUND and word in _ACTIVITIES and self._state != LINK:
            kind = NOUN
        self._before = kind
        if self._held:
            self._held = False
            if kind not in _MODIFIERS and not word.endswith(_ADJECTIVE_ENDINGS):
                self._phrase, self._state = [], JOIN
        if self._phrase:
            self._continue(NOUN if self._joined else kind, word)
        elif (kind <= ADJECTIVE and self._state in _BEFORE_NOUNS) or not self._is_verb(
            kind, word, before
        ):
            self._open(kind, word)
        self._joined = False

    def _is_verb(self, kind: int, word: str, before: int) -> bool:
        """Whether a word that would begin a phrase is a verb, or cannot begin one."""
        state = self._state
        if state == OWNER and not (word[0].isupper() and before == OWNER):
            return self._is_owned(kind, word, before)
        if word[0].isupper():
            return state == SUBJECT and kind != ADJECTIVE
        if kind == GROUP:
            self._state, self._asks = SUBJECT, False
            return True
        is_verb = (
            (state in _BEFORE_VERBS and (kind != ADJECTIVE or (self._asks and before == NOUN)))
            or (kind == GERUND and state != DETERMINER)
            or (kind == PAST and state in (LINK, JOIN, ADVERB, CLAUSE))
            or (state in (JOIN, CLAUSE) and word in _BARE_VERBS)
        )
        if is_verb:
            self._state = VERB
            self._asks = False
            if kind != GERUND:
                self._before = VERB
        return is_verb

    def _is_owned(self, kind: int, word: str, before: int) -> bool:
        """Whether a word behind an owner is what he owns; else the verb is past."""
        if before == PLURAL or (before >= NOUN and (kind == PAST or word[:-1] in _SELDOM_NOUNS)):
            self._state = VERB
            return kind != ADJECTIVE
        return True

    def _open(self, kind: int, word: str) -> None:
        self._opened = self._state
        if kind == ADJECTIVE and self._state in _BEFORE_VERBS:
            self._opened, word = DETERMINER, word.lower()
        self._phrase = [(kind, word)]

    def _continue(self, kind: int, word: str) -> None:
        last_kind, last = self._phrase[-1]
        if word[0].isupper() and not last[0].isupper() and not last[0].isdigit():
            self._continue_with_name(kind, word)
        elif last_kind == PLURAL and self._was_verb(last):
            # It was a verb: "and loves grey hats".
            self._state = self._opened = VERB
            self._phrase = [] if kind == GERUND else [(kind, word)]
        elif self._joined:
            self._phrase.append((kind, word))
        elif last_kind == PLURAL or kind == PAST or self._is_predicate(kind, word):
            self._end(VERB)
            if kind == ADJECTIVE:
                self._open(kind, word)  # "gave the dogs extra food"
        else:
            self._phrase.append((kind, word))

    def _was_verb(self, plural: str) -> bool:
        """Whether what looks like a plural at the end of a phrase is a verb before a noun."""
        return len(self._phrase) == 1 and self._opened in _LOOSE and plural[-1] == "s"

    def _continue_with_name(self, kind: int, word: str) -> None:
        """A capital behind lower case: a name that tells which one, or a new phrase."""
        last_kind = self._phrase[-1][0]
        if last_kind in (PAST, GERUND) and self._opened != DETERMINER:
            self._state = VERB  # it was a verb: "when she met Ann"
            self._open(kind, word)
        elif last_kind == ADJECTIVE or (word.isupper() and len(word) > 1):
            self._phrase.append((kind, word))
        else:
            self._end(SUBJECT)

    def _end(self, state: int) -> None:
        self._close(VERB)
        self._asks = False
        self._state = state

    def _is_predicate(self, kind: int, word: str) -> bool:
        """Whether a word behind a phrase is a verb.

        Without a determiner one name stands before plural nouns at most ("of Dylan songs").
        """
        last = self._phrase[-1][1]
        if kind == PLURAL and word[:-1] in _SELDOM_NOUNS:
            return True
        if word[0].isupper():
            return False
        if kind == GERUND:
            is_busy = self._opened == LINK and self._phrase[-1][0] == ADJECTIVE
            return last[0].isupper() or last in _TIMES or is_busy
        if self._opened in (DETERMINER, OWNER) or not _is_name(self._phrase):
            return False
        if self._opened == LINK:
            return kind != PLURAL and word in _BARE_VERBS  # "has Ann read"
        is_object = self._opened in (PREPOSITION, VERB, TO) and not self._asks
        return not is_object or (kind != PLURAL and word in _BARE_VERBS)

    # --- The end of a phrase ------------------------------------------------------------

    def _close(self, by: int) -> None:
        """Ends the phrase before a token of a kind, and keeps it if it is a compound."""
        phrase, self._phrase = self._phrase, []
        held, self._held = self._held, False
        if len(phrase) < 2 or held:
            return
        if self._asks and phrase[-1][0] == NOUN and phrase[-1][1].islower():
            phrase.pop()  # the verb of the question
            self._asks = False
        if len(phrase) > 1:
            _strip_end(phrase, by)
        if len(phrase) > 2 and phrase[-1][1].lower() in GENERIC_ENDINGS:
            phrase.pop()
        if len(phrase) > 1 and not _is_name(phrase):
            self.found.append(("COMPOUND", " ".join([_one(word) for _, word in phrase])))

    # --- A name that opens a sentence ---------------------------------------------------

    def _read_opening(self, kind: int, word: str) -> None:
        """A word behind the first one of a name that opens a sentence."""
        if self._taken:
            self._settle_name(kind, word)
        elif word[0].isupper():
            self._name = f"{self._name} {word}"
        elif word in _TAKEN_FOR_NOUNS or word in _OFTEN_TAKEN:
            self._taken = word
        else:
            self._name = ""

    def _settle_name(self, kind: int, word: str) -> None:
        """Ends the name; it and a form behind it that has no object are kept as a compound."""
        name, taken = self._name, self._taken
        self._name = self._taken = ""
        if not taken:
            return
        has_none = kind in _NO_OBJECT or word.endswith("ing")
        is_noun = taken in _TAKEN_FOR_NOUNS or word not in _BEFORE_CLAUSES
        if has_none and is_noun and word != "how" and word not in _PARTICLES:
            self.found.append(("COMPOUND", f"{name} {_one(taken)}"))


def _is_name(phrase: list[tuple[int, str]]) -> bool:
    return phrase[0][1][0].isupper() and all(word[0].isupper() for _, word in phrase)


def _strip_end(phrase: list[tuple[int, str]], by: int) -> None:
    """Takes off what is no noun at the end of a phrase that a token of a kind ends."""
    if by in (DETERMINER, OBJECT) and phrase[-1][0] == PLURAL:
        phrase.pop()  # a verb: "the fence needs a gate"
    while phrase:
        kind, word = phrase[-1]
        is_adjective = kind == ADJECTIVE and word not in _ALSO_NOUNS and word[0].islower()
        is_adjective = is_adjective and by != AUXILIARY
        is_verb = kind == GERUND and not _is_thing(phrase, by)
        if not (is_adjective or is_verb or word in _ADVERBS_AT_THE_END):
            break
        phrase.pop()


def _is_thing(phrase: list[tuple[int, str]], by: int) -> bool:
    """Whether a form in -ing at the end of a phrase is a noun: "goal setting"."""
    before = phrase[-2][0] if len(phrase) > 1 else 0
    if by == PREPOSITION:
        return before == ADJECTIVE
    ends = by in (STOP, COMMA, JOIN, VAGUE_WORD, AUXILIARY, LINK, CLAUSE, VERB)
    return ends and before in (NOUN, ADJECTIVE) and phrase[-1][1] not in _FEELINGS


def _one(word: str) -> str:
    """A word of a phrase in the singular; names stay as they are."""
    if word[-1] != "s" or word[0].isupper() or word in _SINGULAR_IN_S:
        return words.IRREGULAR_NOUNS.get(word, word)
    if word.endswith("ics") and word not in ("aerobics", "mathematics", "physics"):
        return word[:-1]
    return word[:-1] if word in _NOUNS else singular(word)


def extract_entities(text: str) -> list[Entity]:
    """Names, quotations and compounds of `text`, as `entities.extract_entities` gives the first
    two."""
    tokens = tokenize(text)
    return tidied(proper_names(tokens) + quotations(text) + compounds(tokens))
