"""What a search is made of in this installation: with the compiled kernel, or without it."""

from __future__ import annotations

from isomem.kernel import COMPILED

if COMPILED:
    from isomem.store.best import compiled_best as best
    from isomem.store.texts import Texts as ScopeTexts
else:
    from isomem.store.uncompiled import SearchedTexts as ScopeTexts
    from isomem.store.uncompiled import sorted_best as best

__all__ = ["ScopeTexts", "best"]
