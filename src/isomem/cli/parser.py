"""The grammar of the command line: every command, its arguments, and their help texts."""

from __future__ import annotations

import json
import re
from argparse import SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from functools import cache

from isomem.cli import commands, mcp, moving, service
from isomem.cli.failures import UsageError
from isomem.config import COLLECTION, PATH
from isomem.memory import Memory
from isomem.options import nearest
from isomem.providers.tables import LLM_OPTIONS, OPENAI_URL, address_option
from isomem.serve.settings import RIGHTS
from isomem.types import CHUNK_MESSAGES, ORDERS, PROFILES, RANKINGS, SUPERSEDING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import _ArgumentGroup, _SubParsersAction
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from isomem.cli.screen import Screen
    from isomem.options import Option

    Groups = _SubParsersAction["_Parser"]
    Command = Callable[[Namespace, Screen], int | None]

_EPILOG = """\
environment:
  ISOMEM_CONFIG     configuration file, as --config
  ISOMEM_DIR        folder of the memory file memory.db (default: ~/.isomem)
  ISOMEM_MODEL      model on an OpenAI-compatible server
  ISOMEM_BASE_URL   address of that server, such as http://localhost:8000/v1
  ISOMEM_API_KEY    its key (default: OPENAI_API_KEY)
  ISOMEM_EMBEDDER   embedder, such as local, openai or ollama
  ISOMEM_<SECTION>_<OPTION>
                    any other option of the configuration, such as
                    ISOMEM_LLM_TEMPERATURE or ISOMEM_VECTOR_STORE_CACHE_MB
  QDRANT_API_KEY    key of the Qdrant server that `isomem import` reads
  CHROMA_API_KEY    key of the Chroma server that `isomem import` reads
  ISOMEM_DEBUG      show tracebacks
  NO_COLOR          no colours

exit codes:
  0 done, 1 failed, 2 wrong argument, 3 no such memory, 4 configuration,
  5 model or embedder failed, 130 interrupted

`isomem COMMAND --help` explains a command; docs/cli.md all of them.
"""


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        unknown = re.search(r"argument COMMAND: invalid choice: '(.*?)'", message)
        if unknown is None:
            raise UsageError(message, f"See {self.prog} --help.", self.format_usage())
        word = unknown[1]
        close = nearest(word, re.findall(r"'?([a-z-]+)'?[,)]", message.partition("choose")[2]))
        hint = f"Did you mean {close}?" if close else f"See {self.prog} --help."
        raise UsageError(f"There is no command {word!r}.", hint)


def parse(words: Sequence[str]) -> Namespace:
    """The options of one command line; the option `run` is the command.

    Raises:
        UsageError: the words are not a command.
        SystemExit: help or the version was asked for and has been printed.
    """
    options = make_parser().parse_args(words)
    for name in ("config", "path"):
        if getattr(options, name, None) == "":
            raise UsageError(f"--{name} needs a value")
    return options


def make_parser() -> ArgumentParser:
    """The parser of all commands."""
    import isomem

    parser = _Parser(
        prog="isomem",
        description="Long-term memory for AI agents, in one file.",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
        parents=[_common(None)],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"isomem {isomem.__version__}")
    groups = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add_commands in (
        _add_finding,
        _add_changing,
        _add_removing,
        _add_ingest,
        _add_import,
        _add_keeping,
        _add_mcp,
        _add_service,
    ):
        add_commands(groups)
    return parser


@cache
def _common(default: str | None) -> _Parser:
    """Options that can be given before or after the command."""
    common = _Parser(add_help=False)
    group = common.add_argument_group("common options")
    group.add_argument(
        "--config", metavar="FILE", default=default, help="configuration, as JSON, TOML or YAML"
    )
    _add_option(group, "--path", PATH, "FILE", default)
    group.add_argument(
        "--json", action="store_true", default=default or False, help="print JSON, errors too"
    )
    return common


def _command(groups: Groups, name: str, run: Command, text: str) -> _Parser:
    parser = groups.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        parents=[_common(SUPPRESS)],
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    return parser


# --- The commands ----------------------------------------------------------------------------


def _add_finding(groups: Groups) -> None:
    parser = _command(groups, "search", commands.search, "find the memories that answer a query")
    _add_query(parser, Memory.search)
    parser.add_argument("--rerank", action="store_true", help="use the configured reranker")
    parser.add_argument("--explain", action="store_true", help="show where each score comes from")
    _add_hidden(parser)
    parser = _command(
        groups, "context", commands.context, "print what answers a query, as text for a prompt"
    )
    _add_query(parser, Memory.context)
    parser.add_argument(
        "--max-tokens",
        type=int,
        default=_default_of(Memory.context, "max_tokens"),
        metavar="N",
        help="at most about N tokens (default %(default)s)",
    )
    _add_listing(groups)
    parser = _command(groups, "get", commands.get, "show one memory")
    parser.add_argument("id", metavar="ID")
    parser = _command(groups, "history", commands.history, "show what happened to a memory")
    parser.add_argument("id", metavar="ID")


def _add_listing(groups: Groups) -> None:
    parser = _command(
        groups, "list", commands.list_all, "list the memories of a user, agent or run"
    )
    _add_scope(parser)
    _add_filter(parser, Memory.get_all)
    parser.add_argument("--order", choices=ORDERS, help="by id (default), or by time")
    parser.add_argument("--page-size", type=int, metavar="N", help="show a page of N memories")
    parser.add_argument("--cursor", metavar="TEXT", help="show the page that begins there")
    _add_hidden(parser)
    parser = _command(groups, "count", commands.count, "count the memories of a user, agent or run")
    _add_scope(parser)
    _add_condition(parser)
    _add_hidden(parser)
    parser = _command(
        groups, "scopes", commands.scopes, "show whose memories there are, and how many"
    )
    _add_scope(parser, "only those of (default: everybody's)")
    _add_hidden(parser)


def _add_changing(groups: Groups) -> None:
    parser = _command(
        groups, "add", commands.add, "extract what is worth remembering from a text, and store it"
    )
    parser.add_argument("text", metavar="TEXT", help="the text; - reads it from standard input")
    _add_scope(parser)
    parser.add_argument(
        "--raw", action="store_true", help="store the text as it is, without a model"
    )
    parser.add_argument("--role", default="user", help="who says it (default: %(default)s)")
    parser.add_argument("--reply", metavar="TEXT", help="what the assistant replied to it")
    parser.add_argument("--timestamp", metavar="TIME", help="when it was said, in ISO 8601")
    parser.add_argument(
        "--expires", metavar="DATE", help="the last day on which it is found, such as 2026-05-07"
    )
    parser.add_argument(
        "--supersede",
        choices=SUPERSEDING,
        help="how stored facts are found that a new one makes stale (default: as configured)",
    )
    _add_metadata(parser)
    _add_model(parser)
    parser = _command(
        groups, "update", commands.update, "replace the text of a memory, or change when it expires"
    )
    parser.add_argument("id", metavar="ID")
    parser.add_argument(
        "text", metavar="TEXT", nargs="?", help="the new text; - reads it from standard input"
    )
    parser.add_argument(
        "--expires",
        metavar="DATE",
        help=f"the last day on which it is found; {commands.NEVER}: it does not expire",
    )
    _add_metadata(parser)
    text = "show a superseded memory again, as it was"
    parser = _command(groups, "restore", commands.restore, text)
    parser.add_argument("id", metavar="ID")


def _add_removing(groups: Groups) -> None:
    parser = _command(groups, "delete", commands.delete, "remove a memory; its history stays")
    parser.add_argument("id", metavar="ID")
    parser = _command(
        groups, "delete-all", commands.delete_all, "remove all memories of a user, agent or run"
    )
    _add_scope(parser)
    _add_yes(parser)
    text = "remove the memories that have expired: of a user, agent or run, or all of them"
    parser = _command(groups, "sweep", commands.sweep, text)
    _add_scope(parser, "whose memory (default: everybody's)")
    text = "remove all memories and history of a user, agent or run, and rewrite the file"
    parser = _command(groups, "purge", commands.purge, text)
    _add_scope(parser)
    _add_yes(parser)


def _add_ingest(groups: Groups) -> None:
    text = "add a conversation from a JSON lines file; continues where it stopped"
    parser = _command(groups, "ingest", commands.ingest, text)
    parser.add_argument(
        "file",
        metavar="FILE",
        help="one message per line, such as "
        '{"role": "user", "content": "..."}; - reads standard input',
    )
    _add_scope(parser)
    parser.add_argument("--raw", action="store_true", help="store every message as it is")
    parser.add_argument(
        "--chunk",
        type=_positive,
        default=CHUNK_MESSAGES,
        metavar="N",
        help="at most N messages per call of the model (default %(default)s)",
    )
    parser.add_argument(
        "--replies",
        metavar="FILE",
        help="recorded replies instead of a model, one line per chunk",
    )
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--restart", action="store_true", help="start over from the first message")
    again.add_argument(
        "--retry", action="store_true", help="also retry what failed in earlier runs"
    )
    _add_metadata(parser)
    _add_model(parser)


def _add_import(groups: Groups) -> None:
    text = "write everything into a file: memories, entities, history and messages"
    parser = _command(groups, "export", moving.export, text)
    parser.add_argument("file", metavar="FILE", help="must not exist yet; - is the standard output")
    parser.add_argument(
        "--no-vectors", action="store_true", help="leave out the vectors; an import embeds again"
    )
    text = "copy an export, or what mem0 stored; what already exists here stays as it is"
    parser = _command(groups, "import", moving.import_any, text)
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="an export; - is the standard input"
    )
    parser.add_argument("--embed", action="store_true", help="make the vectors anew")
    parser.add_argument(
        "--qdrant",
        metavar="DIR",
        help="folder of mem0's local Qdrant (vector_store.config.path), or the URL of a server, "
        "whose key is in QDRANT_API_KEY",
    )
    parser.add_argument(
        "--chroma",
        metavar="DIR",
        help="folder of mem0's Chroma, or the URL of a server, whose key is in CHROMA_API_KEY; "
        "needs chromadb",
    )
    parser.add_argument("--history", metavar="FILE", help="mem0's history.db (history_db_path)")
    parser.add_argument(
        "--collection",
        metavar="NAME",
        help=f"mem0's collection_name (default {COLLECTION.default})",
    )
    parser.add_argument(
        "--expiry", action="store_true", help="hide what expired in mem0, which 2.0.4 does not do"
    )
    parser = _command(groups, "demo", commands.demo, "show isomem at work on a sample conversation")
    _add_model(parser)


def _add_keeping(groups: Groups) -> None:
    parser = _command(groups, "reset", commands.reset, "remove everything, history included")
    _add_yes(parser)
    _command(groups, "stats", commands.stats, "show what is in the memory file")
    _command(groups, "check", commands.check, "look for damage in the memory file")
    text = "copy the memory file, even while other processes write to it"
    parser = _command(groups, "backup", commands.backup, text)
    parser.add_argument("file", metavar="FILE", help="the copy; the file must not exist yet")
    text = "make all vectors anew with the configured embedder; continues where it stopped"
    _command(groups, "reembed", commands.reembed, text)
    text = "run scenario files on isomem and on mem0ai, and compare (needs isomem-parity)"
    parser = _command(groups, "parity", commands.parity, text)
    which = "a scenario, or a folder of scenarios (default: all that come with isomem-parity)"
    parser.add_argument("files", nargs="*", metavar="FILE", help=which)
    parser.add_argument(
        "--tier", default="A", help="A, B, C, or several: A,B (default: %(default)s)"
    )
    which = "the release of mem0ai that must be installed (default: the one that is)"
    parser.add_argument("--profile", choices=PROFILES, help=which)
    parser.add_argument(
        "--report", metavar="DIR", help="write the report there, as text, JSON and HTML"
    )
    _add_describing(groups)


def _add_describing(groups: Groups) -> None:
    text = "tell, key by key, what of a configuration works here, and what to write instead"
    parser = _command(groups, "check-config", commands.check_config, text)
    parser.add_argument("file", metavar="FILE", help="a configuration, as JSON, TOML or YAML")
    prompts = groups.add_parser("prompts", help="check the prompts", allow_abbrev=False)
    inner = prompts.add_subparsers(title="commands", metavar="COMMAND", required=True)
    text = "compare every prompt with its pinned digest, and with an installed mem0ai"
    _command(inner, "verify", commands.verify_prompts, text)
    config = groups.add_parser("config", help="describe the configuration", allow_abbrev=False)
    inner = config.add_subparsers(title="commands", metavar="COMMAND", required=True)
    text = "print the JSON schema of the configuration, with every option and its default"
    _command(inner, "schema", commands.config_schema, text)


def _add_mcp(groups: Groups) -> None:
    text = "serve a memory to a model over stdin and stdout, by the Model Context Protocol"
    parser = _command(groups, "mcp", mcp.serve, text)
    _add_scope(parser, "whose memory (at least one, here or in ISOMEM_USER_ID and so on)")
    mcp.add_arguments(parser)
    inner: Groups = parser.add_subparsers(title="commands", metavar="COMMAND")
    text = "print what a client needs to start this server; nothing is written"
    parser = _command(inner, "install", mcp.install, text)
    mcp.add_clients(parser)
    _add_scope(parser, "whose memory (default: that of the user who is logged in)", SUPPRESS)


def _add_service(groups: Groups) -> None:
    text = "serve the memory to other programs: REST, MCP and an OpenAI-compatible proxy"
    parser = _command(groups, "serve", service.serve, text)
    service.add_flags(parser)
    _add_model(parser)
    keys = groups.add_parser("keys", help="who may call the service", allow_abbrev=False)
    inner = keys.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_new_key(_command(inner, "create", service.keys_create, "make a key, and show it once"))
    _command(inner, "list", service.keys_list, "list the keys, revoked ones too")
    text = "give a key a new secret; the old one stops working at once"
    parser = _command(inner, "rotate", service.keys_rotate, text)
    parser.add_argument("id", metavar="ID")
    text = "end a key at once, for all workers of a running service too"
    parser = _command(inner, "revoke", service.keys_revoke, text)
    parser.add_argument("id", metavar="ID")


def _add_new_key(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="what it is for, in words")
    which = "what it is for: read, write or admin; may be repeated (default: read and write)"
    parser.add_argument("--right", action="append", choices=RIGHTS, help=which)
    group = parser.add_argument_group(
        "whose memories it may touch", "ids, or patterns with *; each may be repeated"
    )
    group.add_argument("--user", action="append", metavar="ID")
    group.add_argument("--agent", action="append", metavar="ID")
    group.add_argument("--run", action="append", metavar="ID", dest="run_id")
    which = """also these, such as '{"user_id": "ana"}'; may be repeated"""
    group.add_argument("--grant", action="append", type=_object, metavar="JSON", help=which)
    group.add_argument("--everything", action="store_true", help="everybody's")
    parser.add_argument("--rate", type=int, metavar="N", help="at most N calls per minute")
    when = "when it stops working: a time in ISO 8601, or a number of days such as 30d"
    parser.add_argument("--expires", metavar="TIME", help=when)


# --- Arguments shared by several commands ----------------------------------------------------


def _add_scope(
    parser: ArgumentParser, title: str = "whose memory (at least one)", default: str | None = None
) -> None:
    group = parser.add_argument_group(title)
    group.add_argument("--user", metavar="ID", default=default)
    group.add_argument("--agent", metavar="ID", default=default)
    group.add_argument("--run", metavar="ID", dest="run_id", default=default)


def _add_query(parser: ArgumentParser, method: Callable[..., object]) -> None:
    parser.add_argument("query", metavar="QUERY")
    _add_scope(parser)
    _add_filter(parser, method)
    parser.add_argument(
        "--threshold",
        type=float,
        default=_default_of(method, "threshold"),
        metavar="X",
        help="minimum similarity, 0 to 1, or with --ranking fused the minimum score "
        "(default %(default)s)",
    )
    parser.add_argument(
        "--ranking", choices=RANKINGS, help="how memories are found and ordered; fused finds more"
    )


def _add_condition(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--filter",
        type=_object,
        metavar="JSON",
        help='conditions on metadata, such as {"session": "2025-03-05"}',
    )


def _add_filter(parser: ArgumentParser, method: Callable[..., object]) -> None:
    _add_condition(parser)
    parser.add_argument(
        "--top-k",
        type=int,
        default=_default_of(method, "top_k"),
        metavar="N",
        help="at most N results (default %(default)s)",
    )


def _add_hidden(parser: ArgumentParser) -> None:
    parser.add_argument("--show-expired", action="store_true", help="also show expired memories")
    text = "also show memories that a later fact has superseded"
    parser.add_argument("--show-superseded", action="store_true", help=text)


def _default_of(method: Callable[..., object], argument: str) -> object:
    """The library's default for an argument."""
    default: object = getattr(method, "__kwdefaults__", {})[argument]
    return default


def _add_metadata(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--metadata", type=_object, metavar="JSON", help="an object to store with the memory"
    )


def _add_model(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("model on an OpenAI-compatible server")
    _add_option(group, "--model", LLM_OPTIONS[0], "MODEL")
    _add_option(group, "--base-url", address_option("openai_base_url", OPENAI_URL), "URL")


def _add_option(
    group: _ArgumentGroup, flag: str, option: Option, metavar: str, default: object = None
) -> None:
    """A flag for an option of the configuration; the option's doc is its help."""
    text = option.doc.replace("`", "").replace("%", "%%")
    group.add_argument(flag, dest=option.name, default=default, metavar=metavar, help=text)


def _add_yes(parser: ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{text!r} is not JSON: {error}", _QUOTING) from None
    if not isinstance(value, dict):
        raise UsageError(f"{text!r} is JSON, but not an object", _QUOTING)
    return value


_QUOTING = """Put it in single quotes: '{"key": "value"}'."""


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise UsageError(f"--chunk must be a whole number of at least 1, not {text!r}")
    return int(text)
