"""Models, embedders and rerankers. `registry` makes one by name; the rest is loaded on use."""
