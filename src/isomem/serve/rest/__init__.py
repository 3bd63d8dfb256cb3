"""The service over REST: our own calls, and the dialects that programs for mem0 speak.

Each dialect is a table of operations, from which the routes and the OpenAPI document are made.
"""
