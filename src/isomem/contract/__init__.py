"""Rules without input or output: what may come in, and what it means."""
