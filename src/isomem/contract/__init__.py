"""The rules of mem0 2.0.4, without any I/O: what is checked and written, how hits are ranked."""
