"""English lemmas by rule: the built-in tier's text for keyword search.

The result is a bag of words for `terms.TermEncoder`. Function words are dropped, and every other
word becomes its lemma. A form in -ing that is read as a verb is added to its lemma, as in upstream.
Only the word before it decides how an ambiguous word is read. Words that are not ASCII become lower
case and are otherwise unchanged.

A text costs one dictionary look-up per word if its words were seen before.
"""

from __future__ import annotations

from isomem.pattern import Pattern
from isomem.text import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Reading = tuple[str, str]
    """What a word becomes as a noun or adjective, and as a verb."""

CACHED_CHUNKS = 4096
LONGEST_CHUNK = 80
"""Characters. A longer run without a space is a link, a key, or a script that has no spaces."""

_SYMBOLS = (
    "\u00a1-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7\u2000-\u206f"
    "\u20a0-\u20cf\u2100-\u214f\u2190-\u2bff\u3000-\u3004\u3008-\u3020\u3030\ufe00-\ufe0f"
    "\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\U0001f000-\U0001faff"
)
_CLOSERS = "!\"#&'()*,:;<>?[]_`{}"
_CLOSERS_ESCAPED = _CLOSERS.replace("[]", r"\[\]")
_BEFORE_FULL_STOP = tuple("%+-\u00b2" + _CLOSERS)

_opening = Pattern(rf"(?:[$%={_CLOSERS_ESCAPED}{_SYMBOLS}]|\.\.+|\+(?!\d))+").match
_closing = Pattern(rf"(?:[{_CLOSERS_ESCAPED}{_SYMBOLS}])+\Z|\.\.+\Z").sub
_clock = Pattern(r"(1[0-2]|[1-9])(am|pm|a\.m\.|p\.m\.)").fullmatch
_measure = Pattern(
    r"(.*\d)([kcdm]?m|ha|nm|yd|in|ft|[km]?g|t|lb|oz|mph|kmh|[mkgt]b|[$%+])"
).fullmatch
_emoticon = Pattern(r"[:;=][-o']?[dopx0-3]+|<3+").fullmatch
_address = Pattern(r"www\.|[\w.-]+\.[a-z]{2,6}[/:?#]").match
_joints = Pattern(
    rf"\.\.+|[{_SYMBOLS}]+|(?<=\d)[-+*^](?=[-\d])|(?<=[^\W\d_]),(?=[^\W\d_])"
    r"|(?<=[^\W_])(?:-{1,3}|~|[:<>=/])(?=[^\W\d_])"
).split
_ascii_marks = Pattern(r"[\x00-/:-@\[-`{-\x7f]+").split
_EYES = (":", ";", "=", "<")
_VOWELS = "aeiouy"
_POSSESSIVE = ("'s", "s'", "\u2019s", "s\u2019")

_known: dict[str, str] = {}
_by_use: dict[str, Reading] = {}


def lemmatize(text: str) -> str:
    """The lemmas of `text` in order, lower-case, joined by spaces."""
    chunks = text.lower().split()
    lemmas = [*map(_known.get, chunks)]
    at = -1
    for _ in range(lemmas.count(None)):
        at = lemmas.index(None, at + 1)
        chunk = chunks[at]
        # There are many numbers, and each is seen once: nothing is computed or cached for them.
        if chunk.isdecimal() and chunk.isascii():
            lemmas[at] = chunk
            continue
        noun, verb = _by_use.get(chunk) or _read(chunk)
        before = chunks[at - 1] if at else ""
        is_noun = before in words.NOMINAL_MARKERS or before.endswith(_POSSESSIVE)
        lemmas[at] = noun if is_noun else verb
    return " ".join(filter(None, lemmas))


def lower_words(text: str) -> str:
    """The words of `text` in lower case, for languages without rules."""
    return " ".join(text.lower().split())


def _read(chunk: str) -> Reading:
    """The lemmas of a chunk that is new; they are kept, unless it is long."""
    reading = _readings(chunk)
    if len(chunk) <= LONGEST_CHUNK:
        if len(_known) + len(_by_use) >= CACHED_CHUNKS:
            _known.clear()
            _by_use.clear()
        if reading[0] == reading[1]:
            _known[chunk] = reading[0]
        else:
            _by_use[chunk] = reading
    return reading


def _readings(chunk: str) -> Reading:
    """Both readings of the words in a chunk between spaces."""
    core = _core(chunk.replace("\u2019", "'")) if len(chunk) <= LONGEST_CHUNK else chunk
    contraction = words.CONTRACTIONS.get(core)
    if contraction is not None:
        return contraction, contraction
    if core.isalpha():
        return _reading(core)
    both = [_reading(piece) for piece in _pieces(core)]
    return " ".join(n for n, _ in both if n), " ".join(v for _, v in both if v)


# --- From a chunk to words ----------------------------------------------------------------


def _core(chunk: str) -> str:
    """A chunk without the punctuation around it; contractions and emoticons keep their own."""
    if _is_whole(chunk):
        return chunk
    plain = chunk.rstrip(",.!?")
    if plain.isalpha():
        return plain
    opening = _opening(chunk)
    chunk = chunk[opening.end() :] if opening else chunk
    # No sentence ends with more layers; the limit keeps hostile input linear.
    for _ in range(12):
        shorter = chunk if _is_whole(chunk) else _without_last_mark(chunk)
        if shorter == chunk:
            break
        chunk = shorter
    return chunk


def _is_whole(chunk: str) -> bool:
    """Whether a chunk is one token even though it begins or ends with punctuation."""
    if chunk in words.CONTRACTIONS:
        return True
    if len(chunk) == 2 and chunk[1] == ".":
        return chunk[0].isalpha()
    return chunk[:1] in _EYES and _emoticon(chunk) is not None


def _without_last_mark(chunk: str) -> str:
    if chunk.endswith("'s"):
        return chunk[:-2]
    if chunk.endswith("."):
        one_less = chunk[:-1]
        ends_word = one_less[-1:].isalnum() or one_less.endswith(_BEFORE_FULL_STOP)
        return one_less if ends_word else chunk
    return _closing("", chunk) if chunk[-1:] in _CLOSERS or not chunk.isascii() else chunk


def _pieces(core: str) -> Iterator[str]:
    """The words of a chunk without outer punctuation, links, and numbers like 1,000."""
    if core.isalnum() and not core[0].isdigit():
        yield core
    elif not _is_link(core):
        for part in _joints(_without_unit(core)):
            if part.isalnum():
                yield part
            elif not part.isascii():
                # Marks inside a word of another script belong to it.
                yield from (run for run in _ascii_marks(part) if not run.isascii())


def _is_link(core: str) -> bool:
    return "://" in core or "@" in core or bool(_address(core))


def _without_unit(core: str) -> str:
    """Separates a number from its unit: "500g" becomes "500 g", "7pm" becomes "7 pm"."""
    match = _clock(core) or _measure(core)
    return f"{match[1]}..{match[2]}" if match else core


# --- From a word to its lemma --------------------------------------------------------------


def _reading(word: str) -> Reading:
    """What a word gives as a noun or adjective, and as a verb; "" for a function word."""
    if word in words.FUNCTION_WORDS or word in words.BARE_CONTRACTIONS:
        return "", ""
    if not word.isascii() or not word.isalpha():
        return word, word
    if word in words.HOMOGRAPHS:
        return words.HOMOGRAPHS[word]
    lemma = _lemma(word)
    if not word.endswith("ing") or lemma == word:
        return lemma, lemma
    is_verb = word not in words.NOMINAL_ING and word not in words.ADJECTIVAL_ING
    return word, f"{lemma} {word}" if is_verb else word


def _lemma(word: str) -> str:
    return _irregular(word) or degree_of(word) or _inflected(word)


def _irregular(word: str) -> str | None:
    """The lemma of an irregular form, also with a verbal prefix ("overcame")."""
    lemma = words.IRREGULAR_VERBS.get(word) or words.IRREGULAR_OTHERS.get(word)
    if lemma or word in words.NOT_PREFIXED:
        return lemma
    if word.startswith(words.VERB_PREFIXES):
        for prefix in words.VERB_PREFIXES:
            lemma = words.IRREGULAR_VERBS.get(word[len(prefix) :])
            if lemma and word.startswith(prefix):
                return prefix + lemma
    is_plural = word.endswith("men") and len(word) > 5 and word not in words.NOT_MEN
    return f"{word[:-2]}an" if is_plural else None


def degree_of(word: str) -> str | None:
    """The adjective of a comparative or superlative."""
    if not word.endswith(("er", "est")) or len(word) < 5 or word in words.NOT_DEGREES:
        return None
    stem = word[:-2] if word.endswith("er") else word[:-3]
    for base in (stem, f"{stem}e", stem[:-1]):
        if base in words.GRADABLE and (base != stem[:-1] or stem[-1] == stem[-2]):
            return base
    return f"{stem[:-1]}y" if stem[-1] == "i" and len(stem) > 3 else None


def _inflected(word: str) -> str:
    """The lemma of a regular form; the word itself if it has no ending to remove."""
    if word in words.NOT_INFLECTED:
        return word
    if word.endswith("ing") and _has_vowel(word[:-3]):
        return _base(word[:-3])
    if word.endswith("ied"):
        return _from_i(word[:-1])
    if word.endswith("ed") and not word.endswith("eed") and _has_vowel(word[:-2]):
        return _base(word[:-2])
    return singular(word) if word.endswith("s") else word


def singular(word: str) -> str:
    """The lemma of a plural, or of a verb's third person."""
    if len(word) < 4 or word.endswith(("ss", "us", "is")) or word in words.NOT_PLURAL:
        return words.SHORT_PLURALS.get(word, word)
    if word.endswith("ies"):
        return _from_i(word[:-1])
    if word.endswith(("sses", "shes", "ches", "xes", "zzes")) and word[:-1] not in words.CHE_WORDS:
        return word[:-2]
    if word.endswith("oes") and word[:-1] not in words.OE_WORDS:
        return word[:-2]
    if word.endswith("uses") and word[-5:-4] not in "aeou" and word[:-1] not in words.USE_WORDS:
        return word[:-2]
    return word[:-1]


def _from_i(stem: str) -> str:
    """ "cities" and "tried" come as "citie" and "trie"; so do "ties" and "movies"."""
    return stem if stem in words.IE_WORDS else f"{stem[:-2]}y"


def _base(stem: str) -> str:
    """The verb whose form without -ing or -ed is `stem`: "mak", "stopp", "visit"."""
    if stem in words.SHORT_TWINS or stem in words.BARE_STEMS or len(stem) < 2:
        return stem
    last = stem[-1]
    if last == stem[-2]:
        undoubled = last in "bdgmnprtv" and stem not in words.DOUBLE_ENDERS
        return stem[:-1] if undoubled else stem
    return f"{stem}e" if stem in words.SILENT_E_STEMS or _lost_e(stem) else stem


def _lost_e(stem: str) -> bool:
    """Whether the spelling says that a final -e was dropped before the ending."""
    if _always_e(stem):
        return True
    if not _single_vowel_end(stem) or stem[-1] in "wxyh":
        return False
    return _is_one_syllable(stem) or stem[-2:] not in words.BARE_ENDINGS


def _always_e(stem: str) -> bool:
    last, second = stem[-1], stem[-2]
    if last in "cuv":
        return True
    if last in "sz":
        return second in "aeiounrlp"
    if last == "g":
        return second in "dlraeiou"
    if last == "l":
        return second in "bcdfgkptz"
    return stem.endswith(("iat", "uat"))


def _has_vowel(text: str) -> bool:
    return any(letter in _VOWELS for letter in text)


def _is_one_syllable(stem: str) -> bool:
    """Whether a stem that ends in one vowel and a consonant has no other vowel before it.

    Neither a y nor the u of qu counts as one there.
    """
    head = stem[:-2].replace("qu", "").replace("y", "")
    return not _has_vowel(head)


def _single_vowel_end(stem: str) -> bool:
    """Whether there is one vowel letter, not two, before the last consonant."""
    if stem[-1] in _VOWELS or stem[-2] not in _VOWELS:
        return False
    return stem[-3:-2] not in _VOWELS or stem[-4:-2] == "qu" or len(stem) == 2
