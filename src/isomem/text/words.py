"""Facts about English words that do not follow from spelling rules.

Every table is a string of words that is split when the module is loaded. That takes a tenth of the
memory and of the loading time of the same table written as literals.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def _forms(table: str) -> Iterator[tuple[str, str]]:
    """Pairs (form, lemma) of a table whose lines are a lemma and then its irregular forms."""
    for entry in table.split(","):
        lemma, *forms = entry.split()
        for form in forms:
            yield form, lemma


# Words that carry grammar rather than content, by class. The full system drops them before it
# looks at anything else; the keyword encoder has its own, shorter list for what is left.
FUNCTION_WORDS = frozenset(
    # Pronouns.
    "i me my mine myself we us our ours ourselves you your yours yourself yourselves "
    "he him his himself she her hers herself it its itself they them their theirs themselves "
    "who whom whose whoever which what whatever this that these those "
    "someone something anyone anything everyone everything nobody none noone nothing "
    # Determiners and quantifiers.
    "a an the all another any both each either neither every few many more most much less least "
    "no other others own same several some such enough various only very whole "
    # Auxiliaries, and verbs that are almost auxiliaries.
    "am are be been being is was were do does did doing done has have had can ca could cannot "
    "may might must should will would used using "
    "become becomes became becoming seem seems seemed seeming "
    "get give go keep make made move put say see show take call please "
    # Prepositions and particles.
    "about above across after against along among amongst around as at before behind below "
    "beside besides between beyond by down due during except for from in into of off on "
    "onto out over per re regarding through throughout thru to toward towards under until up upon "
    "via with within without "
    # Conjunctions.
    "although and because but if nor or since so than though unless whereas whether while yet "
    # Adverbs of place, time, degree and manner; connectors.
    "afterwards again almost alone already also always anyhow anyway anywhere back beforehand "
    "else elsewhere even ever everywhere first former formerly further hence here hereafter "
    "hereby herein hereupon how however indeed just last latter latterly meanwhile moreover "
    "mostly namely never nevertheless next not now nowhere often once otherwise perhaps quite "
    "rather really somehow sometime sometimes somewhere still then thence there thereafter "
    "thereby therefore therein thereupon thus together too well when whence whenever where "
    "whereafter whereby wherein whereupon wherever whither why "
    # Numerals that are counted as grammar.
    "one two three four five six eight nine ten eleven twelve fifteen twenty forty fifty sixty "
    "hundred third "
    # Relational nouns and adjectives that mostly build phrases ("the top of", "in front of").
    "amount bottom empty front full name part serious side top".split()
)

CONTRACTIONS = {
    # The content word inside a contraction; "" when there is none.
    "c'mon": "come", "needn't": "need", "oughtn't": "ought", "daren't": "dare",
    "ain't": "ai", "aint": "ai", "shan't": "shall", "shant": "shall",
    "gonna": "go", "gotta": "get", "yall": "", "ol'": "old",
    "doin'": "do", "goin'": "go", "havin'": "have", "lovin'": "", "somethin'": "something",
    "nothin'": "nothing", "nuthin'": "nothing", "'nuff": "enough", "'em": "", "'cause": "",
    "'coz": "", "'cuz": "", "'bout": "", "w/o": "",
    "vs.": "", "co.": "",
}  # fmt: skip

BARE_CONTRACTIONS = frozenset(
    # Contractions written without their apostrophe.
    "im ive id youre youve youd youll hes hed shes itd itll weve theyre theyve theyd theyll "
    "whos whats whens wheres whys hows theres thats thatll wholl whatll "
    "dont doesnt didnt cant couldnt wont wouldnt shouldnt mustnt mightnt isnt arent wasnt werent "
    "havent hasnt hadnt".split()
)

IRREGULAR_VERBS = dict(
    _forms(
        "arise arose arisen,awake awoke awoken,beget begot begotten,begin began begun,"
        "behold beheld,bend bent,beseech besought,bite bitten,bleed bled,blow blew blown,"
        "break broke,breed bred,bring brought,build built,burn burnt,buy bought,catch caught,"
        "choose chose chosen,cling clung,come came,creep crept,deal dealt,dig dug,dive dove,"
        "do done,draw drew drawn,dream dreamt,drink drank,drive drove driven,dwell dwelt,"
        "eat ate eaten,fall fell fallen,feed fed,feel felt,fight fought,find found,flee fled,"
        "fling flung,fly flew flown,forbid forbade forbidden,foresee foresaw foreseen,"
        "forget forgot forgotten,forgive forgave forgiven,forsake forsook forsaken,"
        "freeze froze,get got gotten,give gave given,go went gone goes,grind ground,"
        "grow grew grown,hang hung,have had,hear heard,hide hid,hold held,keep kept,"
        "kneel knelt,know knew known,lay laid,lead led,leap leapt,learn learnt,leave left,"
        "lend lent,lie lay lain,light lit,lose lost,make made,mean meant,meet met,mow mown,"
        "overcome overcame,pay paid,plead pled,prove proven,ride rode ridden,ring rang rung,"
        "rise risen,run ran,say said,see saw seen,seek sought,sell sold,send sent,sew sewn,"
        "shake shook shaken,shear shorn,shine shone,shoe shod,show shown,"
        "shrink shrank shrunk shrunken,sing sang sung,sink sank sunk,sit sat,slay slew slain,"
        "sleep slept,slide slid,sling slung,slink slunk,smell smelt,smite smote smitten,sow sown,"
        "speak spoke spoken,speed sped,spell spelt,spend spent,spill spilt,spin spun,spit spat,"
        "spoil spoilt,spring sprang sprung,stand stood,steal stole stolen,sting stung,"
        "stink stank stunk,stride strode stridden,strike struck stricken,string strung,"
        "strive strove striven,swear swore sworn,sweep swept,swell swollen,swim swam swum,"
        "swing swung,take took taken,teach taught,tear tore torn,tell told,think thought,"
        "throw threw thrown,tread trod trodden,understand understood,wake woke woken,"
        "wear wore worn,weave wove woven,weep wept,win won,wind wound,wring wrung,"
        "write wrote written,bear bore borne born,rise rose,die dying,lie lying,tie tying,"
        "vie vying,belie belying,untie untying,ski skied skiing,dye dyed dyeing,"
        "agree agreed,disagree disagreed,free freed,guarantee guaranteed,decree decreed,"
        "referee refereed,owe owed owing,awe awed,age aging,singe singeing,"
        "quiz quizzed quizzing quizzes,bus bused busing,plan plans,gas gassed gassing"
    )
)

VERB_PREFIXES = ("over", "under", "out", "re", "mis", "fore", "with", "up", "inter")

NOT_PREFIXED = frozenset("relying resent outspoken foreground".split())

# Word forms whose lemma depends on their use: as a noun or adjective / as a verb.
HOMOGRAPHS = {
    word: (nominal, verbal)
    for word, nominal, verbal in (
        entry.split()
        for entry in (
            "left left leave,saw saw see,felt felt feel,lay lay lie,"
            "rose rose rise,thought thought think,wound wound wind,ground ground grind,"
            "bound bound bind,bit bit bite,bore bore bear,spoke spoke speak,"
            "dove dove dive,lost lost lose,broken broken break,"
            "hidden hidden hide,frozen frozen freeze,drunk drunk drink,torn torn tear,"
            "lives life live,leaves leaf leave,hopes hope hop,hates hate hat,"
            "rates rate rat,plans plan plan,stole stole steal,fell fell fall,lit lit light,"
            "stares stare star,tapes tape tap,bases base base"
        ).split(",")
    )
}

IRREGULAR_NOUNS = dict(
    _forms(
        "child children,man men,woman women,mouse mice,louse lice,goose geese,tooth teeth,"
        "foot feet,wolf wolves,wife wives,knife knives,half halves,calf calves,shelf shelves,"
        "loaf loaves,thief thieves,elf elves,self selves,hoof hooves,scarf scarves,"
        "wharf wharves,dwarf dwarves,medium media,criterion criteria,"
        "alumnus alumni,stimulus stimuli,fungus fungi,nucleus nuclei,radius radii,"
        "syllabus syllabi,bacterium bacteria,curriculum curricula,memorandum memoranda,"
        "stratum strata,crisis crises,thesis theses,hypothesis hypotheses,oasis oases,"
        "diagnosis diagnoses,parenthesis parentheses,synopsis synopses,neurosis neuroses,"
        "matrix matrices,vertex vertices,appendix appendices,axis axes,lens lenses,gas gases,"
        "bias biases,atlas atlases,canvas canvases,iris irises,datum data"
    )
)

# Nouns in -men that are not the plural of a noun in -man.
NOT_MEN = frozenset("abdomen acumen regimen specimen stamen".split())

# Words in -s that are neither a plural nor a verb form.
NOT_PLURAL = frozenset(
    "news series species physics mathematics politics economics athletics "
    "gymnastics aerobics ethics genetics linguistics christmas texas kansas arkansas dallas "
    "vegas james charles thomas jones williams wales athens brussels naples netherlands "
    "philippines bahamas andes alps nicholas lucas atlas canvas bias pancreas alas "
    "diabetes rabies measles mumps scissors headquarters crossroads barracks olympics "
    "lens chaos cosmos ethos pathos asbestos rhinoceros".split()
)
SHORT_PLURALS = {"ups": "up", "ads": "ad", "cds": "cd", "tvs": "tv", "pcs": "pc", "ins": "in"}

# Bases in -ie, whose -s and -d forms look like those of a word in -y.
IE_WORDS = frozenset(
    "auntie birdie bookie brownie calorie collie cookie die doggie eerie foodie freebie genie "
    "goalie goodie groupie hippie hoodie indie junkie lassie lie belie magpie movie necktie "
    "newbie pie pixie prairie reverie roadie rookie selfie smoothie sortie sweetie talkie tie "
    "untie vie veggie yuppie zombie".split()
)
# Bases in -che, -xe and -sse; in -oe; in -use after a consonant.
CHE_WORDS = frozenset(
    "ache headache toothache stomachache heartache backache earache cache niche avalanche "
    "moustache mustache quiche psyche cliche porsche deluxe posse finesse mousse crevasse "
    "impasse".split()
)
OE_WORDS = frozenset(
    "aloe canoe floe foe hoe horseshoe oboe roe shoe snowshoe throe tiptoe toe woe".split()
)
USE_WORDS = frozenset(
    "abuse accuse amuse confuse defuse diffuse excuse fuse infuse misuse muse peruse recuse "
    "refuse ruse".split()
)

# Words in -ing and -ed that are not verb forms.
NOT_INFLECTED = frozenset(
    "morning evening ceiling sibling darling pudding herring duckling dumpling inkling "
    "sterling offspring lightning awning earring shilling viking wedding "
    "wellbeing beijing nanjing wyoming sacred kindred hatred "
    "wicked rugged naked scared ragged jagged crooked beloved biped moped embed coed newlywed "
    "united infrared jared alfred wilfred mohammed ahmed".split()
)

# Deverbal adjectives and nouns in -ing: the full system reads them as such more often than as
# verbs, and then keeps only the word itself.
ADJECTIVAL_ING = frozenset(
    "amazing annoying appealing boring challenging charming compelling convincing daring "
    "demanding devastating disappointing disturbing embarrassing encouraging engaging "
    "entertaining enduring exciting exhausting existing fascinating frightening frustrating "
    "heartbreaking interesting intriguing lasting misleading mouthwatering ongoing outgoing "
    "outstanding overwhelming pleasing promising refreshing relaxing remaining rewarding "
    "shocking soothing striking stunning surprising terrifying troubling upcoming willing".split()
)
NOMINAL_ING = frozenset(
    "accounting advertising banking beginning belonging blessing catering clothing counseling "
    "drawing engineering filing fishing flooring funding gaming gardening gathering greeting "
    "grooming heating housing knitting lighting listing manufacturing marketing "
    "meaning outing packaging painting parking plumbing "
    "programming publishing rating recording sailing shipping "
    "shopping sightseeing skating spelling stocking storytelling "
    "swimming teaching timing training undertaking understanding upbringing warning "
    "weightlifting wording yearning".split()
)

# Bases that end in a doubled consonant.
DOUBLE_ENDERS = frozenset("add ebb egg err purr butt boycott mitt whirr shirr".split())

# Verbs X with a twin Xe ("hop", "hope"): the full system reads a form that could be of either
# ("hoping", "hoped") as one of the shorter verb.
SHORT_TWINS = frozenset(
    "bar cod cop cub din fat fin gap grip hat hop lop mop mat nod pal par pin plan rag "
    "rap rat rid rip rob scar scrap sham shin sit slat slop snip spar spit stag star strip "
    "tap tub twin wad wag win pip sin tot trip dot dam man can cap pan".split()
)

# Without -ing or -ed these end in a vowel and a consonant, and did not lose an -e: words of several
# syllables with these endings ("open", "offer", "visit"), and these words.
BARE_ENDINGS = frozenset("er or en on el al om op et it em".split())
BARE_STEMS = frozenset(
    "combat format focus bias canvas murmur gossip worship pilot pivot ballot debut "
    "output input pencil sequin cabin victim chorus census kidnap".split()
)
# These did lose an -e, although their ending suggests that they did not.
SILENT_E_STEMS = frozenset(
    "interfer persever rever adher coher explor restor ignor ador implor deplor conven "
    "interven postpon telephon condon dethron becom overcom incom complet delet compet "
    "invit unit reunit excit ignit recit rewrit overwrit underwrit incit telescop welcom tast "
    "wast past bast breath sooth cloth loath teeth creat recreat procreat guid chang exchang "
    "arrang rang hing cring bing infring fring ting lung plung loung scroung challeng aveng "
    "reveng ach ey".split()
)

# Adjectives that take -er and -est. Those in -y need no list.
GRADABLE = frozenset(
    "able big black bland blank bleak blind blue blunt bold brave brief bright brisk broad "
    "brown calm cheap clean clear clever close cold cool coarse crisp crude cruel cute damp "
    "dark dear deep dense dim dull dumb faint fair false far fast fat few fierce fine firm "
    "fit flat fond frail frank free fresh full gentle grand grave gray great green grey grim "
    "gross hard harsh high hoarse hot huge humble humid keen kind lame large late lax lean "
    "light long loose loud low lush mad mature mean meek mild moist narrow near neat new nice "
    "noble numb odd old pale plain plump polite poor prompt proud pure quick quiet rare raw "
    "red rich ripe rough round rude sad safe sane scarce secure severe shallow sharp short "
    "shrewd sick simple sincere slack sleek slick slim slow small smart smooth soft solid "
    "soon sore sour spare sparse stale stark steep stern stiff stout straight strange strict "
    "strong subtle sure sweet swift tall tame tan tart taut tender tense thick thin tight "
    "tiny tough true vague vast vile warm weak weird wet white wide wild wise young yellow "
    "dead fun".split()
)
IRREGULAR_DEGREES = dict(
    _forms("well better,good best,bad worse worst,far farther farthest furthest,little littlest")
)
# Words in -er and -est that are not, or no longer, the degree of an adjective.
NOT_DEGREES = frozenset(
    "later number stranger tanner damper dimmer prompter carrier courier "
    "premier barrier frontier soldier supplier cashier terrier glacier croupier copier "
    "dossier multiplier chandelier occupier modifier amplifier verifier identifier qualifier "
    "classifier hotelier brigadier financier".split()
)
IRREGULAR_OTHERS = IRREGULAR_NOUNS | IRREGULAR_DEGREES

# Words after which one that could be a verb is a noun (determiners) or an adjective (degrees).
NOMINAL_MARKERS = frozenset(
    "a an the this these those my your his her its our their some any no each every another "
    "both many several few "
    "so very really too more most less quite rather super truly pretty such incredibly "
    "extremely especially particularly".split()
)

# Capitalised words that a name does not begin with: function words, and what people say first.
NOT_NAMES = FUNCTION_WORDS.difference(
    # Adjectives and nouns among the function words can begin one ("Last Friday"), and so can
    # a month and a man.
    "last next first third former full whole empty serious various several many few other own "
    "same such side top front bottom part name amount may will".split()
).union(
    "let hey hi hello bye goodbye oh ah wow yeah yep yes yup nope nah hmm haha hah ooh ugh uh um "
    "aw okay ok gonna wanna gotta don maybe definitely absolutely certainly exactly totally truly "
    "honestly actually basically lately recently finally unfortunately luckily hopefully "
    "especially usually probably soon instead".split()
)
# Words that begin sentences and are not nouns or adjectives there; elsewhere they can be names.
OPENERS = frozenset(
    "may will sorry remember going try trying having adding learning playing working taking "
    "making getting seeing looking sounds looks started went took saw met check think know hope "
    "wish love enjoy guess feel come want need bring tell ask find found".split()
)
GENERIC_NAMES = frozenset(
    # Headings of an answer rather than names of things.
    "introduction overview summary conclusion notes details examples instructions guidelines "
    "steps tips suggestions recommendations ideas options features benefits "
    "pros cons advantages disadvantages methods ways tools resources works items things "
    "stuff".split()
)
ABBREVIATIONS = frozenset(
    # Written with a full stop that does not end a sentence: titles, companies, months, states.
    "Mr. Mrs. Ms. Dr. Prof. Jr. St. Mt. Gen. Gov. Rep. Rev. Sen. Adm. Messrs. "
    "Inc. Ltd. Co. Corp. Bros. "
    "Jan. Feb. Mar. Apr. Jun. Jul. Aug. Sep. Sept. Oct. Nov. Dec. "
    "Ala. Ariz. Ark. Calif. Colo. Conn. Del. Fla. Ga. Ill. Ind. Kan. Ky. La. Mass. Md. Mich. "
    "Minn. Miss. Mo. Mont. Neb. Nev. Okla. Ore. Pa. Tenn. Va. Wash. Wis.".split()
)

# What the full system leaves out of a compound, by upstream's rules; the built-in tier follows.
#
# Modifiers that say who or which one, and nothing about the thing.
CIRCUMSTANTIAL = frozenset(
    "first initial next previous last final main side "
    "individual solo joint collaborative group team".split()
)
# Adjectives that do not make a phrase specific.
VAGUE = CIRCUMSTANTIAL.union(
    # How much.
    "all any some several few little less many more most much enough countless multiple numerous "
    "various whole entire full complete total only "
    # How good.
    "good great best nice fine okay excellent wonderful amazing awesome bad poor worst awful "
    "horrible terrible boring exciting interesting important special "
    # When.
    "new latest recent current modern future early late old past former ancient "
    # How large.
    "big large huge enormous small tiny long short tall high low deep shallow wide narrow thick "
    "thin "
    # Which, and of what rank or kind.
    "same similar other another different such certain particular major minor key primary basic "
    "simple general common usual normal regular typical unique rare real actual true possible "
    "potential likely available necessary".split()
)
# Last words that a longer phrase can do without.
GENERIC_ENDINGS = frozenset(
    "activity activities choice choices content data details effort efforts info information item "
    "items job jobs material materials option options output outputs product products result "
    "results stuff task tasks thing things work works".split()
)
