"""Which facts make which stale, by their words alone."""

from __future__ import annotations

import random

import pytest

from isomem.text.statements import LONGEST, attribute, canonical
from isomem.text.superseding import CONTRADICTS, REPEATS, NewFact

STALE = [
    # one value at a time
    ("Ana lives in Lisbon", "Ana lives in Berlin"),
    ("Ana Silva now lives in New York", "Ana Silva lives in São Paulo"),
    ("User moved from Turin to Milan in October 2024", "User lives in Turin"),
    ("User relocated to Milan", "User is based in Turin"),
    ("User's brother Tom moved to York last week", "User's brother Tom lives in Leeds"),
    ("User lives in France", "User lives in Spain"),
    ("User works at Bosch", "User works for Siemens"),
    ("User works at Bosch as an engineer", "User works at Siemens as an engineer"),
    ("Mia is 7 years old", "Mia is 6 years old"),
    ("Mia turned 7 on 3 May 2025", "Mia is 6 years old"),
    ("Nora is married to Paul", "Nora is engaged to Paul"),
    ("User's favourite colour is green", "The user's favorite color is blue."),
    ("User's phone number is now 555-0199", "User's phone number is 555-0134"),
    ("User's email is a@new.test", "User's e-mail is a@old.test"),
    ("The deadline of project Falcon is 1 June", "The deadline of project Falcon is 1 May"),
    ("User's reading goal is 20 books", "User's reading goal is 12 books"),
    ("User weighs 84 kg", "User weighs 92 kg"),
    ("The Pro plan costs 25 dollars a month", "The Pro plan costs 20 dollars a month"),
    ("The user's team has seven people", "User's team has 5 people"),
    ("Production runs PostgreSQL 16", "Production runs PostgreSQL 14"),
    # changes that name both sides
    ("User switched from Spotify to Apple Music", "User uses Spotify"),
    ("User changed health insurance from AOK to TK", "User's health insurance is AOK"),
    ("User switched from Chrome back to Firefox", "User switched from Firefox to Chrome"),
    (
        "The deadline of project Falcon was moved from 1 April 2025 to 15 June 2025",
        "The deadline of project Falcon is 1 April 2025",
    ),
    # ends
    ("User no longer drinks coffee", "User drinks coffee"),
    ("User stopped drinking coffee", "User drinks coffee every morning"),
    ("User does not drink coffee any more", "User drinks coffee with milk"),
    ("User is no longer a vegetarian", "User is a vegetarian"),
    # tastes
    ("User hates olives", "User loves olives"),
    ("User likes olives", "User doesn't like olives"),
]

FITTING = [
    # another person or thing
    ("Ana lives in Lisbon", "Ben lives in Berlin"),
    ("User's sister Ida lives in York", "User's sister Ruth lives in Leeds"),
    ("User's friend works at Meta", "User's friend works at Google"),
    ("He works at Meta", "He works at Google"),
    ("User's dog's name is Luna", "User's dog's name is Rex"),
    ("User's work email is a@b.test", "User's email is c@d.test"),
    ("User's server has 32 GB of memory", "User's server has 8 GB of memory"),
    ("The ticket costs 35 euros", "The ticket costs 20 euros"),
    ("User takes 10 mg of atorvastatin", "User takes 5 mg of ramipril"),
    ("The meeting is at 14:00", "The meeting is at 10:00"),
    # both can be true
    ("User lives in Germany", "User lives in Berlin"),
    ("User lives in Berlin", "User lives in Germany"),
    ("User also works at Acme", "User works at Bosch"),
    ("User works at a cinema in the evenings", "User works at a bakery in the mornings"),
    ("User's goal is to run", "User's goal is to learn Spanish"),
    ("User has a dog named Luna", "User has a dog named Rex"),
    ("User speaks Portuguese", "User speaks Italian"),
    ("User likes black coffee", "User likes green tea"),
    ("User does not like cats", "User likes dogs"),
    ("User does not eat pork", "User eats meat"),
    ("User does not drink coffee after 6 pm", "User drinks coffee every morning"),
    ("User no longer drinks coffee in the evening", "User drinks coffee every morning"),
    ("User no longer has a car", "User has a car wash business"),
    ("User no longer buys bread at the market", "User buys vegetables at the market"),
    # a plan, a visit, a wish
    ("User is in Paris this week", "User lives in Oslo"),
    ("User is thinking about moving to Milan", "User lives in Turin"),
    ("User wants to live in Milan", "User lives in Turin"),
    ("User plans to move to Milan", "User lives in Turin"),
    # what happened stays true
    ("User ran 8 km on 5 May 2025", "User ran 5 km on 3 May 2025"),
    ("User moved to Milan in May 2025", "User moved to Turin in May 2020"),
    ("User is 31 years old", "User turned 30 on 19 November 2024"),
    ("User lived in Athens", "User lives in Athens"),
    ("User lives in Rome", "User lived in Athens"),
    # the stored fact says more
    ("User lives in Nice", "User lives in Lyon and is afraid of spiders"),
    ("User works at Bosch", "User works at Siemens as a nurse"),
    ("User no longer drinks coffee", "User drinks coffee and collects stamps"),
    ("User switched from Spotify to Tidal", "User made a Spotify playlist for running"),
    ("User's salary is 10", "User's salary is 9 and the rent is 8"),
    # signs tell words apart
    ("User knows C++", "User knows C"),
    ("User knows C", "User knows C#"),
    ("User no longer uses C", "User uses C++"),
    ("User likes C", "User dislikes C++"),
    ("User switched from C to Rust", "User uses C++"),
    ("The freezer is set to -5", "The freezer is set to 5"),
    ("User answered with \U0001f600", "User answered with \U0001f621"),
    ("\u0930\u094b\u092e", "\u0930\u093e\u092e"),  # Rome, Ram
    # something else altogether
    ("", "User lives in Berlin"),
    ("User lives in Berlin", ""),
    ("...", "!!!"),
]

SAME = [
    ("User is allergic to penicillin", "The user is allergic to penicillin."),
    ("Lasagne is the user's favourite food", "User's favorite food is lasagne"),
    ("User still has a house in Como", "User has a house in Como"),
    ("Der Nutzer spielt Geige!", "der Nutzer spielt Geige"),
    ("User\u2019s cat \u2013 Milo \u2013 is black", "User's cat, Milo, is black"),
]


@pytest.mark.parametrize(("new", "old"), STALE)
def test_plain_words_make_a_fact_stale(new: str, old: str) -> None:
    assert NewFact(new).supersedes(old) == CONTRADICTS


@pytest.mark.parametrize(("new", "old"), FITTING)
def test_facts_that_fit_together_stay(new: str, old: str) -> None:
    assert NewFact(new).supersedes(old) is None


@pytest.mark.parametrize(("new", "old"), SAME)
def test_the_same_words_are_a_repeat(new: str, old: str) -> None:
    assert NewFact(new).supersedes(old) == REPEATS


def test_a_long_fact_says_more_than_one_thing() -> None:
    long = "Ana lives in Lisbon" + " and sings" * 40
    assert len(long) > LONGEST
    assert NewFact(long).supersedes(long) is None
    assert NewFact("Ana lives in Lisbon").supersedes(long) is None


def test_the_canonical_form_has_no_filler() -> None:
    assert canonical("The user's favourite colour is now blue.") == "user 's favorite color is blue"
    assert canonical("Jo’s number is 555-0134, ok?") == "Jo 's number is 555-0134 ok"


def test_an_attribute_has_a_key_and_a_value() -> None:
    found = attribute(canonical("Ana's rent is 980 euros a month"))
    assert found is not None
    assert found.key == ("is", "ana 's rent")
    assert found.value == "980 euros month"


WORDS = (
    "User Ana Ben the 's is lives moved in to from at works no longer not likes has 5 12 kg and "
    "Berlin Lisbon rent dog every switched years old favorite of turned , . ' é \ud7ff"
).split()


@pytest.mark.parametrize("seed", range(20))
def test_any_words_can_be_compared(seed: int) -> None:
    chance = random.Random(seed)
    texts = [" ".join(chance.choices(WORDS, k=chance.randrange(12))) for _ in range(40)]
    for new in map(NewFact, texts):
        for old in texts:
            assert new.supersedes(old) in (None, CONTRADICTS, REPEATS)
