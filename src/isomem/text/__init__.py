"""Text without I/O: messages, replies, lemmas, entities and keyword terms."""
