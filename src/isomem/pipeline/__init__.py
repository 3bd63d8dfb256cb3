"""The steps of every call, written once over `isomem.ports` for both classes."""
