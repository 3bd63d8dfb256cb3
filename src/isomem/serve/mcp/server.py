"""The server: the tools of a session, bound to the official SDK. Needs the extra `mcp`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp import MCPError
from mcp.server.lowlevel import Server
from mcp_types import (
    INVALID_PARAMS,
    CallToolResult,
    ListToolsResult,
    TextContent,
    Tool,
    ToolAnnotations,
)

from isomem import __version__
from isomem.serve.mcp.toolbox import Toolbox
from isomem.serve.mcp.tools import TOOLS, instructions

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mcp.server.context import ServerRequestContext
    from mcp_types import CallToolRequestParams, PaginatedRequestParams

    from isomem.serve.mcp.session import Session
    from isomem.serve.mcp.settings import Settings
    from isomem.serve.mcp.tools import Tool as OwnTool

    Context = ServerRequestContext[Any, Any]
    McpServer = Server[Any]

NAME = "isomem"


def make_server(session_of: Callable[[Context], Session], said_scope: str = "") -> McpServer:
    """A server whose tools work with a session.

    Args:
        session_of: the session of a request.
        said_scope: whose memories they are, if that is the same for all requests.
    """

    async def list_tools(
        context: Context, _: PaginatedRequestParams | None = None
    ) -> ListToolsResult:
        session = session_of(context)
        return ListToolsResult(
            tools=[described(tool, session.settings) for tool in Toolbox(session).listed()]
        )

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        if params.name not in TOOLS:
            known = ", ".join(TOOLS)
            raise MCPError(INVALID_PARAMS, f"There is no tool {params.name!r}, only {known}.")
        outcome = await Toolbox(session_of(context)).use(params.name, params.arguments or {})
        return CallToolResult(
            content=[TextContent(type="text", text=outcome.text)],
            structured_content=outcome.structured,
            is_error=outcome.is_error,
        )

    return Server(
        NAME,
        version=__version__,
        instructions=instructions(said_scope),
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def described(tool: OwnTool, settings: Settings) -> Tool:
    """A tool as the protocol describes it."""
    return Tool(
        name=tool.name,
        title=tool.title,
        description=tool.doc,
        input_schema=tool.schema(settings),
        output_schema=tool.output,
        annotations=ToolAnnotations.model_validate({"title": tool.title, **tool.hints}),
    )
