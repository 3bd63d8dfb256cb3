"""The service: one memory for many callers, over REST, MCP and an OpenAI-compatible proxy.

Each way in hands a call by its name to `access.Access`, the view that one key has of the memory.
"""
