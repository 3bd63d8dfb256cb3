"""The stop words of the keyword encoder.

The English list has the 179 words that NLTK publishes and the `Qdrant/bm25` model ships. It is part
of the contract, since one word more or less changes document lengths. The other languages have no
built-in list; `nlp.config.stopwords` sets one.
"""

from __future__ import annotations

ENGLISH = frozenset(
    """
    i me my myself we our ours ourselves you your yours yourself yourselves he him his himself
    she her hers herself it its itself they them their theirs themselves
    what which who whom this that these those
    am is are was were be been being have has had having do does did doing
    a an the and but if or because as until while
    of at by for with about against between into through during before after above below to from
    up down in out on off over under again further then once here there when where why how
    all any both each few more most other some such no nor not only own same so than too very
    can will just should now
    you're you've you'll you'd she's it's that'll should've
    don't aren't couldn't didn't doesn't hadn't hasn't haven't isn't mightn't mustn't needn't
    shan't shouldn't wasn't weren't won't wouldn't
    don aren couldn didn doesn hadn hasn haven isn mightn mustn needn
    shan shouldn wasn weren won wouldn ain ma
    s t d ll m o re ve y
    """.split()
)

BUILT_IN = {"english": ENGLISH}
