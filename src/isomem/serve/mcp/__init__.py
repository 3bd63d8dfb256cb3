"""MCP: a memory as tools for a model, over stdio and streamable HTTP.

`tools` says what the tools are, `toolbox` what each does, `shown` what a model gets to see, and
`session` whose memories it reaches. `server` binds them to the official SDK, which these four do
not need; `stdio` and `http` are the two transports.
"""
