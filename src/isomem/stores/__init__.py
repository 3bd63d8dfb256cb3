"""Store sets: the stores of one memory as a whole, which apply plans."""
