"""Store sets: the stores of one memory as a whole, which make a plan true."""
