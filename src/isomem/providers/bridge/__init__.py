"""Uses the providers and vector stores of an installed mem0 that isomem does not carry itself."""
