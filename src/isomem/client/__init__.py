"""The client: a memory that a service keeps, with the calls of `Memory` and of `AsyncMemory`."""
