"""How close the built-in text tier is to upstream's full system, and what it costs.

    python bench/text_quality.py FOLDER [--model NAME]

FOLDER holds conversations as JSON: `sessions` of `turns` ({text}) and `facts` ({speaker:
[[fact, …]]}), and `qa` ({question}). It needs `mem0ai`, `spacy` with a model, and nothing
else: the terms of both sides are made by our encoder, which the tests compare with fastembed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from isomem.text import compounds, entities, forms, lemma, topics
from isomem.text.terms import TermEncoder
from isomem.text.tiers import RELEASES, load_tier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Texts = list[str]
    Entities = list[tuple[str, str]]

BY_RULE = ("PROPER", "QUOTED")
REPEATS = 5


def read_texts(folder: Path) -> dict[str, Texts]:
    """The texts of all conversations in a folder, by kind."""
    kinds: dict[str, Texts] = {"facts": [], "questions": [], "turns": []}
    for path in sorted(folder.glob("*.json")):
        conversation = json.loads(path.read_text(encoding="utf-8"))
        for session in conversation["sessions"]:
            kinds["turns"] += [turn["text"] for turn in session["turns"]]
            for facts in session["facts"].values():
                kinds["facts"] += [fact[0] for fact in facts]
        kinds["questions"] += [row["question"] for row in conversation["qa"]]
    return kinds


def load_upstream(model: str) -> tuple[Callable[[str], str], Callable[[str], Entities]]:
    """Upstream's two functions, on a model by any name."""
    import spacy
    from mem0.utils import entity_extraction, lemmatization, spacy_models

    spacy_models._nlp_full = spacy.load(model)
    spacy_models._nlp_lemma = spacy.load(model, disable=["ner", "parser"])
    return lemmatization.lemmatize_for_bm25, entity_extraction.extract_entities


def jaccard(ours: Iterable[str], theirs: Iterable[str]) -> float:
    """The share of terms that both have, 0 to 1."""
    one, other = set(ours), set(theirs)
    return len(one & other) / len(one | other) if one or other else 1.0


def cosine(ours: dict[str, float], theirs: dict[str, float]) -> float:
    """How alike two texts are weighted, 0 to 1."""
    shared = sum(weight * theirs.get(term, 0.0) for term, weight in ours.items())
    lengths = [sum(weight**2 for weight in side.values()) ** 0.5 for side in (ours, theirs)]
    return shared / (lengths[0] * lengths[1]) if all(lengths) else float(ours == theirs)


def report_terms(kind: str, texts: Texts, full: Callable[[str], str]) -> None:
    """Agreement of the keyword terms, text by text."""
    encoder = TermEncoder()
    pairs = [(encoder.encode(lemma.lemmatize(t)), encoder.encode(full(t))) for t in texts]
    agreement = sorted(jaccard(ours, theirs) for ours, theirs in pairs)
    plain = [
        jaccard(encoder.encode(text), theirs)
        for text, (_, theirs) in zip(texts, pairs, strict=True)
    ]
    weights = [cosine(ours, theirs) for ours, theirs in pairs]
    print(
        f"{kind:10} {len(texts):6} {mean(agreement):9.4f} {agreement[len(texts) // 20]:7.4f} "
        f"{mean([a == 1 for a in agreement]):9.4f} {mean(weights):9.4f} {mean(plain):9.4f}"
    )


def report_entities(kind: str, texts: Texts, full: Callable[[str], Entities]) -> None:
    """Precision and recall of proper names and quotations, against the full system's.

    "Given up" are names that the full system holds only as part of a compound or noun, which
    the built-in tier does not look for.
    """
    right = found = wanted = inside = 0
    for text in texts:
        ours, all_theirs = set(entities.extract_entities(text)), full(text)
        theirs = {entity for entity in all_theirs if entity[0] in BY_RULE}
        compounds = [e[1].lower() for e in all_theirs if e[0] not in BY_RULE]
        right += len(ours & theirs)
        found += len(ours)
        wanted += len(theirs)
        inside += sum(any(e[1].lower() in c for c in compounds) for e in ours - theirs)
    print(
        f"{kind:10} {wanted:6} {right / max(found, 1):9.4f} {right / max(wanted, 1):7.4f} "
        f"{right / max(found - inside, 1):20.4f}"
    )


def report_rules(kind: str, texts: Texts, rules: str, model: str) -> None:
    """Precision and recall of every kind of entity by the rules of a release.

    They are held against those of the full tier, which are upstream's.
    """
    full, tier = load_tier("spacy", {"model": model}, rules), load_tier("builtin", rules=rules)
    counts: dict[str, list[int]] = {}  # right, found, wanted
    equal = 0
    for text, wanted in zip(texts, full.entities_batch(texts), strict=True):
        ours, theirs = (
            {(name, entity.lower()) for name, entity in found}
            for found in (tier.entities(text), wanted)
        )
        equal += ours == theirs
        for at, those in enumerate((ours & theirs, ours, theirs)):
            for name, _ in [*those, *[("all", "")] * len(those)]:
                counts.setdefault(name, [0, 0, 0])[at] += 1
    print(f"{rules:6} {kind:10} texts with the same entities: {equal / len(texts):.3f}")
    for name, (right, ours_found, wanted_) in sorted(counts.items()):
        precision, recall = right / max(ours_found, 1), right / max(wanted_, 1)
        print(f"       {name:10} {wanted_:6} {precision:9.4f} {recall:7.4f}")


def report_cost(texts: Texts) -> None:
    """Microseconds a text of ten words, with its words seen before and not."""
    ten = [text for text in texts if len(text.split()) == 10]
    encoder = TermEncoder()
    for name, step, forget in (
        ("lemmas", lemma.lemmatize, (lemma._known, lemma._by_use)),
        ("entities", compounds.extract_entities, (compounds.tokenize,)),
        ("2.2.1", topics.extract_entities, (compounds.tokenize, forms._known)),
        ("terms", encoder.encode, ()),
    ):
        seen = min(cost(step, ten, ()) for _ in range(REPEATS))
        print(f"{name:10} {len(ten):6} {seen:9.1f} {cost(step, ten, forget):9.1f}")


def cost(step: Callable[[str], Any], texts: Texts, forget: Iterable[Any]) -> float:
    """Microseconds a call, with the caches in `forget` emptied before each."""
    spent = 0.0
    for text in texts:
        for cache in forget:
            cache.clear()
        start = perf_counter()
        step(text)
        spent += perf_counter() - start
    return spent / len(texts) * 1e6


def mean(values: list[float] | list[bool]) -> float:
    return sum(values) / len(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="en_core_web_sm")
    arguments = parser.parse_args()
    kinds = read_texts(arguments.folder)
    kinds["facts+qu."] = kinds["facts"] + kinds["questions"]
    lemmas, found = load_upstream(arguments.model)
    print("keyword terms, built-in against full (Jaccard by text)")
    print("kind        texts      mean      p5     equal    cosine   plain text")
    for kind, texts in kinds.items():
        report_terms(kind, texts, lemmas)
    print("\nproper names and quotations, built-in against full")
    print("kind       wanted precision  recall  precision, given up aside")
    for kind, texts in kinds.items():
        report_entities(kind, texts, found)
    print("\nevery kind of entity, built-in against full: wanted, precision, recall")
    for rules in RELEASES:
        for kind, texts in kinds.items():
            report_rules(kind, texts, rules, arguments.model)
    print("\nmicroseconds a text of ten words")
    print("step        texts      seen    unseen")
    report_cost([text for texts in kinds.values() for text in texts])


if __name__ == "__main__":
    main()
