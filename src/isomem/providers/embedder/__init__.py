"""Embedders, one file per source of vectors."""
