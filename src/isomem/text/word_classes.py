"""What a word is to the grammar of compounds, by itself: its class.

Function words are in tables, one row per class. The class of any other word is guessed from its
ending and from lists of exceptions. `compounds` handles what the surrounding words make of a word.
The rules are English.
"""

from __future__ import annotations

from isomem.text import words
from isomem.text.lemma import degree_of, singular

# Function words. None of them is part of a compound.
SKIPPED = "skipped"  # as if it were not there
HYPHEN = "hyphen"  # with a word on both sides
STOP = "stop"  # ends a sentence
COMMA = "comma"
OTHER = "other"
OBJECT = "object"  # "me", "themselves"
AUXILIARY = "auxiliary"  # "did", "would"
VAGUE = "vague"  # an adjective or a count that says little: "great", "each"
ADVERB = "adverb"
WHICH = "which"
THAT = "that"
OPENING_THAT = "That"  # capitalised
OWNER = "owner"  # 's
DETERMINER = "determiner"
JOIN = "join"  # "and", and a number
LINK = "link"  # "is", "has"
VERB = "verb"
PREPOSITION = "preposition"
CLAUSE = "clause"  # a word that opens one: "because", "how"
SUBJECT = "subject"  # "they", "who"
TO = "to"

# Content words. Each of them can be part of a compound.
NOUN = "noun"
PLURAL = "plural"  # or a verb in the third person
ADJECTIVE = "adjective"
PAST = "past"  # a past form: a verb or an adjective
GERUND = "gerund"  # a form in -ing: a noun, a verb or an adjective
GROUP = "group"  # a noun that no phrase begins with: "team event"
VAGUE_NAME = "vague name"  # "New", which may begin "New York"

CONTENT = frozenset((NOUN, PLURAL, ADJECTIVE, PAST, GERUND, GROUP, VAGUE_NAME))
CLASSES = CONTENT.union((
    SKIPPED, HYPHEN, STOP, COMMA, OTHER, OBJECT, AUXILIARY, VAGUE, ADVERB, WHICH, THAT,
    OPENING_THAT, OWNER, DETERMINER, JOIN, LINK, VERB, PREPOSITION, CLAUSE, SUBJECT, TO,
))  # fmt: skip


def _by_word(tables: dict[str, str]) -> dict[str, str]:
    return {word: found for found, table in tables.items() for word in table.split()}


_TABLE = _by_word(
    {
        SKIPPED: "-- not n't",
        STOP: ". ! ? : ;",
        COMMA: ",",
        DETERMINER: """
            a an the my your his her its our their this these those another any either neither
            some no many several few more most less much all both other same various only enough
            full whole one two three four five six seven eight nine ten eleven twelve fifteen
            twenty forty fifty sixty hundred third
        """,
        VAGUE: "each every",
        OBJECT: """
            me him them us myself yourself himself herself itself ourselves themselves oneself
        """,
        LINK: "am is are was were be been being 're 'm have has had having 've",
        JOIN: "and or but nor & /",
        PREPOSITION: """
            about above across after against along amid amidst among amongst around as at before
            behind below beside besides between beyond by despite down due during except for from
            in including into like near of off on onto out over per re regarding than through
            throughout thru toward towards under until up upon via with within without
        """,
        VERB: """
            get give go keep make made put say see show take call becomes became becoming seeming
            used using doing done coming getting giving going happening keeping looking making
            putting relying saying seeing taking trying wanting likes
        """,
        AUXILIARY: "do does did will would can ca could may might must should shall 'll 'd",
        WHICH: "what which",
        THAT: "that",
        CLAUSE: """
            how why when where if because although though unless whereas whether while since yet
        """,
        SUBJECT: """
            i you he she we they it who whom let lets so please there here nobody someone everyone
            anyone others something nothing everything em gonna wanna gotta lemme
        """,
        TO: "to",
        OWNER: "'s '",
        ADVERB: """
            also just even ever never always often already again almost still soon really very too
            quite rather super pretty then now once together sometimes perhaps otherwise instead
            away back well else maybe ahead forward far anymore twice
        """,
        OTHER: """
            abroad outdoors overseas forever tonight today yesterday tomorrow someday ago
            worldwide apart worth sure able aware afraid alive asleep glad
        """,
        GROUP: "group team side",
        PLURAL: "people children men women",
        ADJECTIVE: """
            own top empty serious busy happy extra proper fellow favorite favourite better worse
            aspiring stumbling struggling living ailing aging
        """,
    }
)
_NOT_ADVERBS = frozenset(
    "family lovely friendly elderly daily weekly monthly italy reply supply assembly "
    "lively lonely belly jelly bully silly rally".split()
)
_SINGULAR_IN_S = frozenset("lens news series species savings".split())
_VERB_ENDINGS = ("alize", "alizes", "erize", "erizes", "nize", "nizes", "ify", "ifies")
ADJECTIVE_ENDINGS = ("al", "ful", "ous", "less", "ic", "able", "ible", "ive", "ish")
# Nouns in spite of such an ending.
_NOUNS = frozenset(
    "animal appraisal approval arrival burial capital carnival cathedral cereal coral credential "
    "criminal crystal denial editorial festival funeral hospital interval journal "
    "mammal manual material medal memorial metal mineral mural musical numeral official pedal "
    "pedestal portal principal professional proposal referral refusal rehearsal removal "
    "renewal rental ritual rival royal sandal scandal signal spiral survival terminal trial "
    "tutorial withdrawal attic ceramic clinic comic cosmetic critic epidemic ethic fabric garlic "
    "graphic logic lyric magic mechanic mosaic music panic picnic plastic public relic republic "
    "topic traffic tunic cable constable stable table timetable vegetable bible handful adjective "
    "alternative archive captive collective detective drive executive incentive "
    "initiative locomotive motive narrative native objective olive perspective relative "
    "representative finish sports clothes goods".split()
)
_IRREGULAR_PASTS = (
    frozenset(words.IRREGULAR_VERBS)
    .difference(words.HOMOGRAPHS)
    .union("left felt saw thought come".split())
)
# Verbs that are never nouns, with an -s or without.
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
# What a class becomes with a capital. "Christmas" is not a plural; "New" may begin "New York".
_AS_NAMES = {VAGUE: VAGUE_NAME, PLURAL: NOUN, PAST: NOUN, GERUND: NOUN}


def class_of(spelt: str, word: str, lower: str) -> str:
    """The class of a token: how it is spelt, its word, and its word in lower case."""
    if spelt == "-":  # without a space after it
        return HYPHEN
    found = _class_of(lower if lower.isascii() else lower.replace("\u2019", "'"))
    return _class_of_capital(word, found) if spelt[0].isupper() else found


def _class_of_capital(word: str, found: str) -> str:
    """The class of a capitalised word, given its class in lower case."""
    if word == "That":
        return OPENING_THAT
    return NOUN if found == OTHER and _is_initials(word) else _AS_NAMES.get(found, found)


def _is_initials(word: str) -> bool:
    """Whether a capitalised word has marks or digits in it: "J.K.", "A4"."""
    return not word.isalpha() and word.replace(".", "").isalnum() and len(word) > 1


def _class_of(word: str) -> str:
    """The class of a word in lower case, by the tables and by its ending."""
    found = _TABLE.get(word)
    if found is not None:
        return found
    if word in words.VAGUE or degree_of(word) in words.VAGUE:
        return VAGUE
    if not word.isalpha():
        return _class_of_mark(word)
    if word in words.FUNCTION_WORDS or word in words.BARE_CONTRACTIONS:
        return OTHER
    if word.endswith("ly") and word not in _NOT_ADVERBS and len(word) > 4:
        return ADVERB
    if word in _NEVER_NOUNS or word.endswith(_VERB_ENDINGS) or _is_third_person(word):
        return VERB
    return _content_class(word)


def _class_of_mark(word: str) -> str:
    """A number is a JOIN; an ordinal is part of a name or phrase; marks are neither."""
    if word[:-2].isdigit() and word[-2:] in ("st", "nd", "rd", "th"):
        return NOUN
    return JOIN if word.isdigit() else OTHER


def _is_third_person(word: str) -> bool:
    return word[-1] == "s" and (word[:-1] in _NEVER_NOUNS or word[:-2] in _NEVER_NOUNS)


def _content_class(word: str) -> str:
    if word in words.NOT_INFLECTED or word in words.NOMINAL_ING or word in _NOUNS:
        return NOUN
    if word in words.ADJECTIVAL_ING:
        return ADJECTIVE
    is_long = len(word) > 4
    if word in _IRREGULAR_PASTS or (is_long and word.endswith("ed") and word[-3] != "e"):
        return PAST
    if is_long and word.endswith("ing"):
        return GERUND
    if word in words.GRADABLE or (is_long and word.endswith(ADJECTIVE_ENDINGS)):
        return ADJECTIVE
    ends_in_s = len(word) > 3 and word[-1] == "s" and word[-2] not in "sui"
    return PLURAL if ends_in_s and not _is_singular(word) else NOUN


def _is_singular(word: str) -> bool:
    return word in _SINGULAR_IN_S or word.endswith("ics")


def singular_of(word: str) -> str:
    """A word of a phrase in the singular; names are not changed."""
    if word[-1] != "s" or word[0].isupper() or word in _SINGULAR_IN_S:
        return words.IRREGULAR_NOUNS.get(word, word)
    if word.endswith("ics") and word not in ("aerobics", "mathematics", "physics"):
        return word[:-1]
    return word[:-1] if word in _NOUNS else singular(word)
