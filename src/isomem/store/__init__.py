"""The embedded store: one SQLite file with memories, keywords, entities, history and messages."""
