"""What a capitalised word can be by its form: a name anywhere, only inside a sentence, or never.

A sentence gives its first word a capital. So a word that has one there is a name if it is not an
English word otherwise: if no table knows it, and it has no ending of a verb or an adjective. The
tables of common words and of names were found by giving the full system's model sentences made for
the purpose.

The rules are English.
"""

from __future__ import annotations

from isomem.text import words
from isomem.text.candidates import has_inner_form, names_nothing
from isomem.text.word_classes import NOUN, class_of

NEVER, INSIDE, NATION, EXCLAIMED, ANYWHERE = range(5)
"""Never a name; one inside a sentence; one but for before a noun; before a comma; anywhere."""

CACHED_WORDS = 4096
LONGEST_WORD = 80

# Adjectives of nations and peoples: names by themselves, but not before a noun.
_NATIONS = frozenset(
    "african american arab asian australian austrian belgian brazilian british buddhist canadian "
    "caribbean catholic celtic chinese christian cuban czech danish dutch egyptian english "
    "ethiopian european finnish french german greek hindu hungarian icelandic indian indonesian "
    "iranian irish islamic israeli italian jamaican japanese jewish kenyan korean latin lebanese "
    "mediterranean mexican moroccan muslim nigerian nordic norwegian pakistani peruvian polish "
    "portuguese roman russian scandinavian scottish spanish swedish swiss thai turkish ukrainian "
    "vietnamese victorian welsh".split()
)
# Names in spite of their endings.
_NAMES = frozenset(
    "james charles thomas frank douglas nicholas billy carlos micheal kelly lucas irving marcos "
    "dallas nicolas drew tomas elias amos moses miles jamal williams silas frederic jacques jonas "
    "brooks mohamed tobias andreas wally mildred beverly emily gladys sally holly agnes lourdes "
    "lilly chantal jones brown adams roberts phillips evans edwards collins rogers hughes "
    "gonzales hayes myers owens reynolds wells stevens ramos burns holmes daniels nichols hawkins "
    "stephens watkins andrews jacobs fuller vargas jennings rhodes harding texas kansas athens "
    "brussels naples netherlands philippines arkansas massachusetts americans italians russians "
    "democrats republicans christians muslims europeans canadians portugal "
    "montreal atlantic".split()
)
# What people exclaim, and the model takes for names: anywhere, and before a comma.
_TAKEN_FOR_NAMES = frozenset("yep glad bye wanna super congrats cherish fingers".split())
_EXCLAIMED = frozenset("agreed awesome cheers".split())
# Words that open sentences and have no ending that tells them from names.
_COMMON = frozenset(
    "time way right work year day life man home look state help place school end family money "
    "second number city night play company set government business care start week case change "
    "live point support music power stop water later line order run service country open season "
    "thank area law car face story course health news information post video talk court fact half "
    "hand level mind single body control death food office pay problem history lost research room "
    "university wrong girl air bit friend hit class question wait woman community data leave "
    "north watch million police stay age buy deal report turn development form heart child fire "
    "media phone art easy market plan education list ready street college example experience type "
    "baby process study action outside self cost cut moment energy issue price rest space summer "
    "term date land project site account period position club died lead perfect security share "
    "center couple hold industry inside online player private return sense test view break event "
    "hour middle present result training answer boy design gold interest policy society average "
    "church movie performance press role ground relationship sound source value evidence follow "
    "production rate stand tax drive eat fall management picture step trust mom page science "
    "trade attention brother football hate property style vote blood language oil stage title add "
    "article attack decision release situation technology choice code door election foreign hair "
    "increase pick race staff bed career daughter die difficult figure hospital loss paper voice "
    "earth internet listen practice success access base offer pass risk sleep table truth ball "
    "build card district note percent piece visit culture growth pain respect response river "
    "speak charge effect eye funny network peace store student track weight addition beat capital "
    "conference difference double gas pressure radio station text treatment western beginning "
    "campaign credit cross ice region section sort speed travel contact drop feet kid link sale "
    "welcome nature significant computer construction episode income justice photo safety scene "
    "statement ability collection search subject train author claim fear hotel leader letter "
    "material opportunity plus product unit bar battle brain contract degree floor image "
    "insurance majority opinion rule sports stupid administration approach cancer civil defense "
    "direction ship stock weekend wonder cash effort impact lack operation protect secret senior "
    "analysis color competition direct finish luck marriage skin touch damage drink fish machine "
    "notice overall trip captain carry crime plant reality spot winter advice agreement award "
    "broken challenge comment equipment nation purpose shop teacher theory camera catch cell drug "
    "economy environment foot meaning mission politics pop trial activity application coffee "
    "condition division evening flight freedom heat interview location murder queen attempt "
    "distance exchange fell northern prior protection serve traffic tree airport demand engine "
    "everybody investment lie solution structure wind worry bus cent count fourth score separate "
    "surface throw wedding benefit budget click estate faith fashion feature fund generation "
    "metal pull push seat target understanding village animal basis draw gain rise silver soul "
    "spread supply adult artist engineering option somebody stone strength window winner bet camp "
    "correct handle television trouble advantage cat dinner function gift influence marketing "
    "progress wood background birth bridge concept copy host housing labor leadership lucky "
    "patient prove software balance birthday boss connection dress easier horse net request "
    "volume wake aid beauty billion develop driver farm file fly guide investigation raise "
    "responsibility roll surprise treat variety violence youth evil iron lovely magazine "
    "reference religion strategy web arm audience blog closer description honest medicine "
    "mountain port presence reaction reduce sport stress taste victory clothes emergency failure "
    "festival fuel mail pair plane plenty quarter shape sky teaching transfer accident "
    "alternative capacity climate discussion promise purchase rain remove steel beer border "
    "command crew crowd intelligence labour profit suit appearance behavior debt honor jump "
    "launch minimum native survey tech update writer communication email exercise flow girlfriend "
    "joke loan planet restaurant shopping stuck transport appropriate device entry era feed "
    "platform pool route schedule smoke abuse angry candidate concern holiday milk payment "
    "perform sector storm strike sub youtube actor apartment chain chapter confidence fake "
    "finance identity kitchen measure task conflict corporate debate distribution faster friendly "
    "phase revenue smile talent temperature truck bird blame chicken context coverage determine "
    "funding meat vision crisis jail literature opposite selection contemporary woah hang yay "
    "tackle rock crazy use yea quality meal unemployment friendship breath yoga basketball game "
    "ouch confident fantasy warrior epic ttyl punishment grooming daily scared patience "
    "yess mix".split()
)

_known: dict[str, int] = {}


def form_of(word: str) -> int:
    """What a word that begins with a capital can be."""
    form = _known.get(word)
    if form is None:
        form = _form_of(word, word.lower())
        if len(word) <= LONGEST_WORD:
            if len(_known) >= CACHED_WORDS:
                _known.clear()
            _known[word] = form
    return form


def _form_of(word: str, lower: str) -> int:
    if lower in words.FUNCTION_WORDS or names_nothing(lower) or not any(map(str.isalpha, word)):
        return NEVER
    if has_inner_form(word) or lower in _NAMES or lower in _TAKEN_FOR_NAMES:
        return ANYWHERE
    if lower in _EXCLAIMED:
        return EXCLAIMED
    if lower in words.NOT_NAMES:
        return NEVER
    if lower in _NATIONS:
        return NATION
    if lower in _COMMON or lower in words.OPENERS or class_of(lower, lower, lower) != NOUN:
        return INSIDE
    return ANYWHERE
