"""Models, embedders and rerankers. `registry` makes one from its name; the rest loads on use."""
