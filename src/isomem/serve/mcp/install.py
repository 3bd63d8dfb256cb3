"""What each client needs to start the server: a command, or a few lines of its configuration."""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Lines = dict[str, str]

NAME = "isomem"
_PASSED_ON = ("ISOMEM_DIR", "ISOMEM_CONFIG", "ISOMEM_MODEL", "ISOMEM_BASE_URL", "ISOMEM_EMBEDDER")
_PATHS = ("ISOMEM_DIR", "ISOMEM_CONFIG")
_SECRETS = ("ISOMEM_API_KEY", "OPENAI_API_KEY")


class Start:
    """How a client starts the server: the same Python, files and models as here.

    Args:
        ids: whose memory it is; if there are none, that of the user who is logged in.
        config, path: the files that were named by flags, if any.

    Attributes:
        command: of the server, with absolute paths.
        env: its variables, without secrets.
        secrets: the names of variables that are set here and that the server may need.
    """

    def __init__(self, ids: Mapping[str, str], config: str | None, path: str | None) -> None:
        flags = {"--config": config, "--path": path}
        given = [[flag, os.path.abspath(file)] for flag, file in flags.items() if file]
        self.command = [*program(), "mcp", *(word for pair in given for word in pair)]
        named = dict(ids) or {"user_id": login()}
        self.env = {f"ISOMEM_{key}".upper(): value for key, value in named.items()}
        for name in _PASSED_ON:
            if value := os.environ.get(name):
                self.env[name] = os.path.abspath(value) if name in _PATHS else value
        self.secrets = [name for name in _SECRETS if os.environ.get(name)]

    @property
    def parts(self) -> dict[str, object]:
        """As most clients have it in JSON."""
        return {"command": self.command[0], "args": self.command[1:], "env": self.env}


def program() -> list[str]:
    """The command of this installation, with an absolute path."""
    script = os.path.join(os.path.dirname(sys.executable), NAME)
    return [script] if os.access(script, os.X_OK) else [sys.executable, "-m", NAME]


def login() -> str:
    """Who is logged in, as an id; "me" if that is unknown or cannot be one."""
    import getpass

    try:
        words = getpass.getuser().split()
    except (KeyError, ImportError, OSError):
        return "me"
    return words[0] if len(words) == 1 else "me"


def lines(client: str, start: Start) -> Lines:
    """What a client needs: `where` it goes, and the `text`."""
    where, make = CLIENTS[client]
    return {"where": where, "text": make(start)}


def _claude_code(start: Start) -> str:
    import shlex

    # An option after the variables ends their list; a name would be taken for one of them.
    env = [word for each in start.env.items() for word in ("--env", "=".join(each))]
    options = [*env, "--scope", "user", "--transport", "stdio"]
    return shlex.join(["claude", "mcp", "add", *options, NAME, "--", *start.command])


def _codex(start: Start) -> str:
    parts = start.parts
    env = [f"{name} = {json.dumps(value)}" for name, value in start.env.items()]
    head = [f"[mcp_servers.{NAME}]", f"command = {json.dumps(parts['command'])}"]
    return "\n".join(
        [*head, f"args = {json.dumps(parts['args'])}", "", f"[mcp_servers.{NAME}.env]", *env]
    )


def _json(key: str, **more: str) -> Callable[[Start], str]:
    def make(start: Start) -> str:
        servers = {key: {NAME: {**more, **start.parts}}}
        return json.dumps(servers, indent=2, ensure_ascii=False)

    return make


_DESKTOP = (
    "claude_desktop_config.json, in ~/Library/Application Support/Claude (macOS) or "
    "%APPDATA%\\Claude (Windows)"
)
CLIENTS: dict[str, tuple[str, Callable[[Start], str]]] = {
    "claude-code": ("run this", _claude_code),
    "claude-desktop": (_DESKTOP, _json("mcpServers")),
    "cursor": ("~/.cursor/mcp.json, or .cursor/mcp.json of a project", _json("mcpServers")),
    "vscode": (".vscode/mcp.json of a workspace", _json("servers", type="stdio")),
    "codex": ("~/.codex/config.toml", _codex),
}
"""Where the lines of each client go, and how they are made."""
