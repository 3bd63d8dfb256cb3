"""What a fact states, read from its text by a few strict patterns for English.

Each pattern knows sentences that can be true in one way at a time: where somebody lives, what
somebody's rent is, what somebody no longer does. A sentence that no pattern fits as a whole states
nothing here, and neither does one about something of which there may be several.
"""

from __future__ import annotations

from isomem.pattern import Pattern
from isomem.text.lemma import lemmatize

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable

LONGEST = 300
"""Characters. A longer fact says more than one thing."""

# --- Words -----------------------------------------------------------------------------------

_words = Pattern(r"[^\W_]+(?:[.,:@/+&'-]+[^\W_]+)*[%+#]*").findall
_possessive = Pattern(r"('s|(?<=s)')(?=\s|$)").sub
_filler = Pattern(
    r"\b(?:the|an?|now|currently|presently|nowadays|still|these days|from now on|at the moment)\b",
    ignore_case=True,
).sub
_VARIANTS = {"favourite": "favorite", "colour": "color", "e-mail": "email"}

_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
)
_DATE = rf"(?:(?:\d{{1,2}} )?{_MONTH}(?: \d{{1,2}})?(?: \d{{4}})?|\d{{4}}-\d\d-\d\d|\d{{4}})"
_dated_end = Pattern(
    rf" (?:(?:in|on|since|as of|from|by) {_DATE}|(?:last|this) (?:week|month|year|summer|winter)"
    r"|yesterday|today|recently)$"
).sub

_SUBJECT = r"(?P<subject>\S+(?: \S+){0,5}?)"
_NAME = r"(?:[A-Z0-9][\w.&'-]*(?: (?:of |de |am )?[A-Z0-9][\w.&'-]*){0,2})"
_NUMBER = r"(?:\d[\d.,:]*|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"

_LINKING = frozenset("and but or because while although except unless if when which who".split())
"""A sentence with one of these says more than one thing."""

_PRONOUNS = frozenset("he she it they we this that these those there who".split())

_SEVERAL = frozenset(
    """
    dog cat pet puppy kitten horse bird child kid son daughter brother sister sibling cousin uncle
    aunt niece nephew grandmother grandfather grandchild friend colleague coworker teammate
    neighbor neighbour roommate student client customer teacher team-member
    car bike bicycle motorcycle phone laptop computer tablet server device house apartment flat
    project product ticket flight train bus hotel room meal meeting concert movie film book game
    class course exam trip event party shop store restaurant account card task issue
    """.split()
)
"""Of these there may be several: a sentence about one of them has to name it."""

_DETAILS = frozenset(
    """
    in on at with for during after before from to by about every each daily weekly once twice often
    regularly sometimes usually always together
    """.split()
)
"""What follows what somebody does: when, where, with whom."""

_AFTER_NOUN = _DETAILS | {"", "'s", "of"}
"""What follows a noun that is neither named nor part of another one, as in "phone number"."""


def canonical(text: str) -> str:
    """The words of a text with a space between them, without articles and other filler."""
    spaced = _filler(" ", _possessive(" 's", text.replace("\u2019", "'")))
    found = ["'s" if word == "s" else word for word in _words(spaced)]
    return " ".join(_VARIANTS.get(word.lower(), word) for word in found)


def _is_one(subject: str) -> bool:
    """Whether a subject in canonical form can only be one person or thing."""
    words = subject.split()
    if words[0].lower() in _PRONOUNS or not _LINKING.isdisjoint(words):
        return False
    return not any(
        word in _SEVERAL and following in _AFTER_NOUN
        for word, following in zip(words, [*words[1:], ""], strict=True)
    )


# --- Attributes ------------------------------------------------------------------------------


class Attribute:
    """Something that has one value at a time.

    Attributes:
        key: what, and whose: equal if both are.
        value: the value.
        rest: what else the sentence says; "" if nothing.
        is_event: whether the sentence tells of the moment of a change, which stays true.
    """

    __slots__ = ("is_event", "key", "rest", "value")

    def __init__(
        self, kind: str, subject: str, value: str, *, rest: str = "", is_event: bool = False
    ) -> None:
        self.key = kind, subject.lower()
        self.value = value.lower()
        self.rest = rest.lower()
        self.is_event = is_event


def attribute(sentence: str) -> Attribute | None:
    """The attribute that a sentence in canonical form gives a value, if it does that."""
    for short in (_dated_end("", sentence), sentence):
        for pattern, read in _READERS:
            found = pattern.match(short)
            if found is not None and _is_one(found["subject"]):
                return read(found)
    return None


_HOME = Pattern(
    rf"{_SUBJECT} (?:(?:lives|resides|is based|is living) in|(?P<moved>moved|relocated)"
    rf"(?: from {_NAME})? to) (?P<value>{_NAME})$"
)
_EMPLOYER = Pattern(
    rf"{_SUBJECT} (?:works|is employed) (?:at|for|by) (?P<value>{_NAME})(?: as (?P<rest>.+))?$"
)
_AGE = Pattern(rf"{_SUBJECT} (?:is (?P<value>\d+) years old|turned (?P<turned>\d+))$")
_STATUS = Pattern(
    rf"{_SUBJECT} is (?P<value>single|married|engaged|divorced|widowed)(?: to {_NAME})?$"
)
_OWNED = Pattern(
    r"(?P<subject>(?:(?! of ).)*?(?P<head>[\w-]+)(?: of .+?)?)"
    r" is (?P<value>(?:on |at )?\S+(?: \S+){0,5})$"
)
_MEASURE = Pattern(
    r"(?P<subject>.+?) (?P<verb>weighs|costs|takes|earns|pays|measures|sleeps|smokes|drinks|has"
    rf"|gets up at|opens at|closes at|runs {_NAME}) (?P<value>{_NUMBER})(?P<unit>.*)$"
)

_SINGLE = frozenset(
    """
    number email address name nickname surname birthday height weight size level title salary income
    rent price cost deadline status branch currency timezone zone password manager boss supervisor
    gp dentist landlord employer standup
    """.split()
)
"""Of these, somebody or something has one at a time."""

_SINGLE_NUMBERS = frozenset("goal target budget limit capacity version".split())
"""Of these, too, as long as the value is a number: somebody may have several goals."""

_COUNTRIES = frozenset(
    """
    argentina australia austria bangladesh belgium brazil britain bulgaria canada chile china
    colombia croatia cuba cyprus czechia denmark ecuador egypt england estonia ethiopia finland
    france germany ghana greece hungary iceland india indonesia iran iraq ireland israel italy japan
    kenya latvia lebanon lithuania malaysia malta mexico morocco nepal netherlands nigeria norway
    pakistan peru philippines poland portugal romania russia scotland serbia singapore slovakia
    slovenia spain sweden switzerland taiwan thailand tunisia turkey uk ukraine uruguay us usa
    venezuela vietnam wales europe asia africa america california florida texas
    """.split()
)
"""Places with cities in them: somebody may live in one of these and in a city at the same time."""


def _home(found: re.Match[str]) -> Attribute:
    place = found["value"]
    kind = "country" if place.lower() in _COUNTRIES else "city"
    return Attribute(kind, found["subject"], place, is_event=bool(found["moved"]))


def _employer(found: re.Match[str]) -> Attribute:
    return Attribute("employer", found["subject"], found["value"], rest=found["rest"] or "")


def _age(found: re.Match[str]) -> Attribute:
    age = found["value"] or found["turned"]
    return Attribute("age", found["subject"], age, is_event=bool(found["turned"]))


def _status(found: re.Match[str]) -> Attribute:
    return Attribute("status", found["subject"], found["value"])


def _owned(found: re.Match[str]) -> Attribute | None:
    head, value = found["head"].lower(), found["value"]
    is_single = head in _SINGLE or " favorite " in found["subject"]
    if not is_single and not (head in _SINGLE_NUMBERS and value[0].isdigit()):
        return None
    is_plain = not value.startswith("not ") and _LINKING.isdisjoint(value.split())
    return Attribute("is", found["subject"], value) if is_plain else None


def _measure(found: re.Match[str]) -> Attribute | None:
    """A number right after a verb; all else is what is measured."""
    if not _LINKING.isdisjoint(found["unit"].split()):
        return None
    kind = f"{found['verb']} #{found['unit']}".lower()
    return Attribute(kind, found["subject"], found["value"])


_READERS: tuple[tuple[Pattern, Callable[[re.Match[str]], Attribute | None]], ...] = (
    (_HOME, _home),
    (_EMPLOYER, _employer),
    (_AGE, _age),
    (_STATUS, _status),
    (_MEASURE, _measure),
    (_OWNED, _owned),
)


# --- Switches --------------------------------------------------------------------------------


class Switch:
    """A change from one thing to another.

    Attributes:
        subject: who or what has changed.
        about: what of it, such as "health insurance"; "" if that is not said.
        before, after: the two things.
    """

    __slots__ = ("about", "after", "before", "subject")

    def __init__(self, found: re.Match[str]) -> None:
        self.subject = found["subject"].lower()
        self.about = (found["about"] or "").strip().lower()
        self.before = found["before"].lower()
        self.after = found["after"].lower()


_switch = Pattern(
    rf"{_SUBJECT} (?:(?:was|were|has|have) )?(?:switched|moved|changed|migrated|upgraded|renamed"
    r"|rescheduled|postponed|raised|increased|lowered|reduced)(?P<about> \S+(?: \S+)?)?"
    r" from (?P<before>\S+(?: \S+){0,3}?) (?:back )?to (?P<after>\S+(?: \S+){0,3})$"
).match
_state = Pattern(
    r"(?:uses|drives|is|works (?:at|for|with)|lives in(?: flat in| house in)?|studies|runs|prefers"
    r"|supports|plays) (?P<value>\S+(?: \S+){0,3}?)(?: (?:for|as) \S+)?$"
).match


def switch(sentence: str) -> Switch | None:
    """The change that a sentence in canonical form tells of, if it does."""
    found = _switch(_dated_end("", sentence))
    return Switch(found) if found is not None and _is_one(found["subject"]) else None


def has_state(sentence: str, change: Switch) -> bool:
    """Whether a sentence in canonical form says what was true before a change, and only that."""
    earlier = switch(sentence)
    if earlier is not None:
        same = earlier.subject == change.subject and earlier.about == change.about
        return same and earlier.after == change.before
    owner = f"{change.subject} 's {change.about}" if change.about else change.subject
    found = _state(_after(owner, sentence))
    return found is not None and found["value"] == change.before


def _after(subject: str, sentence: str) -> str:
    """What a sentence says of a subject, in lower case; "" if it is about something else."""
    lowered = sentence.lower()
    return lowered[len(subject) + 1 :] if lowered.startswith(f"{subject} ") else ""


# --- Ends ------------------------------------------------------------------------------------

_end = Pattern(
    rf"{_SUBJECT} (?:(?P<was>is) no longer|no longer|(?:does not|doesn't)(?=.* any ?more$)"
    r"|stopped|quit|gave up) (?P<what>.+?)(?: any ?more)?$"
).match


def ended(sentence: str) -> tuple[str, str] | None:
    """Who does not do something any more, and what, in canonical form; None if that is not said."""
    found = _end(_dated_end("", sentence))
    if found is None or not _is_one(found["subject"]):
        return None
    return found["subject"].lower(), f"{found['was'] or ''} {found['what']}".strip().lower()


def is_instance(sentence: str, subject: str, what: str) -> bool:
    """Whether a sentence in canonical form can only be true of a subject that does `what`.

    It says the same, or the same in detail: "drinks coffee every morning" of "drinking coffee".
    """
    said, wanted = _after(subject, sentence).split(), what.split()
    if not said or not _LINKING.isdisjoint(said) or not _is_present(said[0]):
        return False
    begins = [*map(_lemma, said[: len(wanted)])] == [*map(_lemma, wanted)]
    return begins and _DETAILS.issuperset(said[len(wanted) :][:1])


def _lemma(word: str) -> str:
    return (lemmatize(word).split() or [word])[0]


def _is_present(verb: str) -> bool:
    return verb.endswith("s") and verb not in ("was", "always")


# --- Tastes ----------------------------------------------------------------------------------

_dislikes = Pattern(
    rf"{_SUBJECT} (?:(?:does not|doesn't) (?:like|enjoy|want)|dislikes|hates) (?P<what>.+)$"
).match
_likes = Pattern(rf"{_SUBJECT} (?:likes|loves|enjoys|wants) (?P<what>.+)$").match


def taste(sentence: str) -> tuple[str, str, bool] | None:
    """Who likes or dislikes what, and whether it is liking, from a sentence in canonical form."""
    for read, likes in ((_dislikes, False), (_likes, True)):
        found = read(sentence)
        if found is not None and _is_one(found["subject"]):
            return found["subject"].lower(), found["what"].lower(), likes
    return None
