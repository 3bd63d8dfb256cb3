"""The commands: each reads its options, makes one call of the library, and shows the result."""

from __future__ import annotations

import os
import sys

from isomem.cli import views
from isomem.cli.failures import EXIT_CONFIG, EXIT_FAILED, EXIT_PROVIDER, UsageError, no_memory
from isomem.cli.settings import open_existing, open_memory, read_config, read_existing
from isomem.cli.views import counted
from isomem.types import UNCHANGED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator
    from typing import Any

    from isomem.cli.screen import Screen
    from isomem.ingest import Ingest, Step
    from isomem.memory import Memory
    from isomem.results import GotMemory
    from isomem.types import Unchanged

NEVER = "never"
"""The date of a memory that does not expire."""


_PAGE = ("top_k", "order", "page_size", "cursor")
_HIDDEN = ("show_expired", "show_superseded")
"""Options that are arguments of `get_all`: of a page, and of what else is shown."""


# --- Find ------------------------------------------------------------------------------------


def search(options: Namespace, screen: Screen) -> None:
    """`isomem search QUERY`."""
    filters = _filters(options)
    with open_memory(options) as memory:
        if options.rerank and memory.reranker is None:
            raise UsageError(
                "--rerank needs a reranker, and none is configured",
                "Name one in the configuration; docs/providers.md lists them.",
            )
        found = memory.search(
            options.query,
            top_k=options.top_k,
            filters=filters,
            threshold=options.threshold,
            rerank=options.rerank,
            ranking=options.ranking,
            explain=options.explain,
            **_hidden(options),
        )
    screen.show(found, views.hits)


def list_all(options: Namespace, screen: Screen) -> None:
    """`isomem list`."""
    filters = _filters(options)
    if options.page_size is not None or options.cursor is not None:
        _list_page(options, filters, screen)
        return
    with open_memory(options) as memory:
        found = memory.get_all(
            filters=filters,
            top_k=options.top_k,
            order=options.order,
            **_hidden(options),
        )
    screen.show(found, views.memories)
    if len(found["results"]) == options.top_k:
        screen.note(f"These are the first {options.top_k}; --top-k N shows more.")


def _list_page(options: Namespace, filters: dict[str, Any], screen: Screen) -> None:
    given = {name: getattr(options, name) for name in _PAGE}
    with open_memory(options) as memory:
        page: Any = memory.get_all(filters=filters, **given, **_hidden(options))
    screen.show(page, views.memories)
    screen.note(f"{len(page['results'])} of {counted(page['total'], 'memory', 'memories')}.")
    if page["next_cursor"]:
        screen.note(f"The next page: --cursor {page['next_cursor']}")


def _hidden(options: Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in _HIDDEN}


def count(options: Namespace, screen: Screen) -> None:
    """`isomem count`."""
    filters = _filters(options)
    with open_existing(options) as memory:
        found = memory.count(filters, **_hidden(options))
    screen.show({"memories": found}, views.count)


def scopes(options: Namespace, screen: Screen) -> None:
    """`isomem scopes`."""
    with open_existing(options) as memory:
        found = memory.scopes(options.user, options.agent, options.run_id, **_hidden(options))
    screen.show(found, views.scopes)


def context(options: Namespace, screen: Screen) -> None:
    """`isomem context QUERY`."""
    filters = _filters(options)
    with open_memory(options) as memory:
        text = memory.context(
            options.query,
            filters=filters,
            max_tokens=options.max_tokens,
            top_k=options.top_k,
            threshold=options.threshold,
            ranking=options.ranking,
        )
    screen.show({"context": text}, views.context)
    if not text:
        screen.note("Nothing found.")


def get(options: Namespace, screen: Screen) -> None:
    """`isomem get ID`."""
    with open_memory(options) as memory:
        found = _existing(memory, options.id)
    screen.show(found, views.memory)


def history(options: Namespace, screen: Screen) -> None:
    """`isomem history ID`."""
    with open_memory(options) as memory:
        events = memory.history(options.id)
    if not events:
        raise no_memory(options.id)
    screen.show(events, views.events)


# --- Change ----------------------------------------------------------------------------------


def add(options: Namespace, screen: Screen) -> None:
    """`isomem add TEXT`."""
    ids = _ids(options)
    messages = [{"role": options.role, "content": _text(options.text)}]
    if options.reply is not None:
        messages.append({"role": "assistant", "content": options.reply})
    with open_memory(options) as memory:
        added = memory.add(
            messages,
            **ids,
            metadata=options.metadata,
            infer=not options.raw,
            timestamp=options.timestamp,
            expiration_date=options.expires,
            supersede=options.supersede,
        )
    screen.show(added, views.added)


def update(options: Namespace, screen: Screen) -> None:
    """`isomem update ID [TEXT]`; without a text, only the other fields change."""
    if options.text is None and options.expires is None and not options.metadata:
        raise UsageError("There is nothing to change.", "Give a TEXT, --expires or --metadata.")
    text = None if options.text is None else _text(options.text)
    with open_memory(options) as memory:
        _existing(memory, options.id)
        done = memory.update(
            options.id, text, options.metadata, expiration_date=_changed_date(options.expires)
        )
    screen.show(done, views.message)


def _changed_date(given: str | None) -> str | Unchanged | None:
    """What `--expires` means for a memory that is there."""
    if given is None:
        return UNCHANGED
    return None if given == NEVER else given


def restore(options: Namespace, screen: Screen) -> None:
    """`isomem restore ID`."""
    with open_memory(options) as memory:
        _existing(memory, options.id)
        done = memory.restore(options.id)
    screen.show(done, views.message)


def delete(options: Namespace, screen: Screen) -> None:
    """`isomem delete ID`."""
    with open_memory(options) as memory:
        _existing(memory, options.id)
        done = memory.delete(options.id)
    screen.show(done, views.message)


def delete_all(options: Namespace, screen: Screen) -> int:
    """`isomem delete-all`; asks first."""
    return _remove_all(options, screen, "memories", "delete_all")


def purge(options: Namespace, screen: Screen) -> int:
    """`isomem purge`; asks first."""
    return _remove_all(options, screen, "memories and history", "purge")


def sweep(options: Namespace, screen: Screen) -> None:
    """`isomem sweep`."""
    with open_existing(options) as memory:
        removed = memory.sweep(options.user, options.agent, options.run_id)
    screen.show({"removed": removed}, views.swept)


def _remove_all(options: Namespace, screen: Screen, what: str, name: str) -> int:
    ids = _ids(options)
    config = read_existing(options)
    owner = " ".join(f"{key.removesuffix('_id')} {value}" for key, value in ids.items())
    if not _confirmed(options, screen, f"This removes all {what} of {owner}."):
        return EXIT_FAILED
    screen.show(_removed(options, config, name, ids), views.message)
    return 0


def _removed(options: Namespace, config: dict[str, Any], name: str, ids: dict[str, str]) -> Any:
    """Makes a removal; if the memory has a service, with what that holds beside it."""
    from isomem.cli.service import service_of

    service = service_of(options)
    if service is None:
        with open_memory(options, config) as memory:
            return getattr(memory, name)(**ids)
    import asyncio

    from isomem.config import from_dict
    from isomem.serve.removing import remove

    return asyncio.run(remove(from_dict(config), *service, name, ids))


# --- Feed ------------------------------------------------------------------------------------


def ingest(options: Namespace, screen: Screen) -> int:
    """`isomem ingest FILE`; fails if part of the file could not be ingested."""
    from isomem.ingest import Ingest, read_conversation, read_replies

    ids = _ids(options)
    conversation = read_conversation(_lines(options.file))
    replies = read_replies(_lines(options.replies)) if options.replies else None
    with open_memory(options) as memory:
        run = Ingest(
            memory,
            conversation,
            ids=ids,
            infer=not options.raw,
            metadata=options.metadata,
            chunk=options.chunk,
            replies=replies,
            source="" if options.file == "-" else options.file,
            restart=options.restart,
            retry=options.retry,
        )
        failures: list[dict[str, Any]] = []
        last = _watch(run, screen, failures)
        failed = run.failed
    result = {
        "messages": run.total,
        "messages_before": run.resumed_at,
        "memories": last.memories if last else 0,
        "failed_chunks": failed,
        "failures": failures,
        "path": memory.config.vector_store.config.get("path"),
    }
    screen.show(result, views.ingested)
    return EXIT_PROVIDER if failed else 0


def _watch(run: Ingest, screen: Screen, failures: list[dict[str, Any]]) -> Step | None:
    """Runs the ingest and shows a progress bar.

    Args:
        failures: receives the lines and the error of every chunk that fails.

    Returns:
        The last step; None if there was nothing to do.
    """
    last: Step | None = None
    if run.resumed_at and run.resumed_at < run.total:
        screen.note(f"Going on after {run.resumed_at} of {run.total} messages.")
    try:
        for last in run:
            found = counted(last.memories, "new memory", "new memories")
            text = f"{last.messages} of {last.total} messages, {found}"
            screen.progress(last.messages, last.total, text)
            if last.failure is not None:
                first, end = last.lines
                screen.note(f"Lines {first} to {end} failed: {last.failure}")
                failures.append({"lines": [first, end], "error": str(last.failure)})
    except BaseException:
        done = last.messages if last else run.resumed_at
        screen.note(f"Stopped after {done} of {run.total} messages; run it again to go on.")
        raise
    screen.clear_progress()
    return last


def demo(options: Namespace, screen: Screen) -> None:
    """`isomem demo`."""
    from isomem import demo as demonstration

    path = options.path or demonstration.new_path()
    if os.path.exists(path) and os.path.getsize(path):
        raise UsageError(
            f"{path} already exists", "The demo needs a new file: choose another --path."
        )
    options.path = None
    config = {**read_config(options), **demonstration.config_at(path)}
    with open_memory(options, config) as memory:
        result = demonstration.run(memory, screen)
    screen.show(result, views.nothing)


# --- Keep ------------------------------------------------------------------------------------


def reset(options: Namespace, screen: Screen) -> int:
    """`isomem reset`; asks first."""
    from isomem.config import from_dict

    config = read_config(options)
    target = from_dict(config).vector_store.config.get("path") or "the configured store"
    if not _confirmed(options, screen, f"This removes everything in {target}."):
        return EXIT_FAILED
    _removed(options, config, "reset", {})
    screen.show({"message": "Everything was removed."}, views.message)
    return 0


def stats(options: Namespace, screen: Screen) -> None:
    """`isomem stats`; only reads the file, so it needs no embedder and changes nothing."""
    from isomem.cli.inventory import inventory
    from isomem.config import from_dict

    screen.show(inventory(from_dict(read_config(options))), views.inventory)


def check(options: Namespace, screen: Screen) -> int:
    """`isomem check`; only reads the file, as `stats` does."""
    from isomem.cli.inventory import damage
    from isomem.config import MemoryConfig
    from isomem.location import path_of

    config = MemoryConfig(**read_config(options))
    found = [{"file": path, **each._asdict()} for path, each in damage(config)]
    result = {"ok": not found, "path": path_of(config), "findings": found}
    screen.show(result, views.findings)
    return EXIT_FAILED if found else 0


def backup(options: Namespace, screen: Screen) -> None:
    """`isomem backup FILE`."""
    from isomem.cli.inventory import copy_files
    from isomem.config import MemoryConfig
    from isomem.location import path_of

    config = MemoryConfig(**read_config(options))
    copies = copy_files(config, options.file)
    files = [{"path": path, "size_bytes": size} for path, size in copies.items()]
    screen.show({"path": path_of(config), "files": files}, views.backed_up)


def reembed(options: Namespace, screen: Screen) -> None:
    """`isomem reembed`."""
    from isomem.config import from_dict
    from isomem.reembed import reembed as make_anew

    done, total = 0, 0

    def show(new_done: int, new_total: int) -> None:
        nonlocal done, total
        done, total = new_done, new_total
        screen.progress(done, total, f"{done} of {counted(total, 'vector', 'vectors')}")

    try:
        result = make_anew(from_dict(read_config(options)), progress=show)
    except BaseException:
        if total:
            text = f"Stopped after {done} of {counted(total, 'vector', 'vectors')}"
            screen.note(f"{text}; run this again to go on.")
        raise
    screen.clear_progress()
    screen.show(result, views.reembedded)


def parity(options: Namespace, screen: Screen) -> int:
    """`isomem parity [FILE...]`."""
    del screen
    report = ["--report", options.report] if options.report else []
    profile = ["--profile", options.profile] if options.profile else []
    return _harness()([*options.files, "--tier", options.tier, *profile, *report])


def _harness() -> Callable[[list[str]], int]:
    """The command of the distribution isomem-parity, which asks for exactly this release."""
    try:
        from isomem_parity import main
    except ModuleNotFoundError as error:
        if error.name != "isomem_parity":
            raise
        from isomem import __version__
        from isomem.errors import DependencyError

        install = f"pip install isomem-parity=={__version__}"
        raise DependencyError(
            f"The comparison with mem0 is in a separate package, isomem-parity: {install}",
            details={"package": "isomem-parity"},
            suggestion=install,
        ) from None
    command: Callable[[list[str]], int] = main
    return command


def verify_prompts(options: Namespace, screen: Screen) -> int:
    """`isomem prompts verify`."""
    from isomem.prompts.verify import verify

    del options
    found = verify()
    good = all(status.ok for status in found)
    prompts = [status._asdict() for status in found]
    screen.show({"ok": good, "prompts": prompts}, views.prompts)
    return 0 if good else EXIT_FAILED


def config_schema(options: Namespace, screen: Screen) -> None:
    """`isomem config schema`."""
    from isomem.reference import schema

    del options
    screen.show(schema(), views.document)


def check_config(options: Namespace, screen: Screen) -> int:
    """`isomem check-config FILE`; opens, sends and fetches nothing."""
    from isomem.cli.config_check import FAILS, examine
    from isomem.config_file import read_file

    lines = examine(read_file(options.file))
    failed = any(line.verdict == FAILS for line in lines)
    result = {"ok": not failed, "lines": [line._asdict() for line in lines]}
    screen.show(result, views.verdicts)
    return EXIT_CONFIG if failed else 0


# --- Shared by several commands --------------------------------------------------------------


def _ids(options: Namespace) -> dict[str, str]:
    given = {"user_id": options.user, "agent_id": options.agent, "run_id": options.run_id}
    ids = {key: value for key, value in given.items() if value is not None}
    if not ids:
        raise UsageError("Whose memory? Name --user, --agent or --run.")
    return ids


def _filters(options: Namespace) -> dict[str, Any]:
    """The conditions in `--filter`, with the ids that the other flags name.

    Raises:
        UsageError: there is no id, or a flag and `--filter` contradict each other.
    """
    from isomem.types import SCOPE_KEYS

    extra = options.filter or {}
    if options.user is options.agent is options.run_id is None and any(
        key in extra for key in SCOPE_KEYS
    ):
        return extra
    ids = _ids(options)
    for key, value in ids.items():
        if extra.get(key, value) != value:
            flag = f"--{key.removesuffix('_id')}"
            raise UsageError(
                f"{flag} is {value!r}, but --filter has {key} {extra[key]!r}",
                f"Leave out {flag}, or the {key} in --filter.",
            )
    return {**extra, **ids}


def _existing(memory: Memory, memory_id: str) -> GotMemory:
    found = memory.get(memory_id)
    if found is None:
        raise no_memory(memory_id)
    return found


def _text(given: str) -> str:
    """The text; "-" reads it from standard input."""
    if given != "-":
        return given
    text = "".join(_lines("-")).rstrip("\n")
    if not text.strip():
        raise UsageError("There is no text on standard input.")
    return text


def _lines(path: str) -> Iterator[str]:
    """The lines of a text file in UTF-8; "-" is standard input."""
    name = "standard input" if path == "-" else path
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
            data = file.read()
        yield from data.decode("utf-8-sig").splitlines(keepends=True)
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not text in UTF-8 (at byte {error.start})") from None


def _confirmed(options: Namespace, screen: Screen, question: str) -> bool:
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(
            f"{question} Standard input is not a terminal, so nobody can confirm it.",
            "--yes skips the question.",
        )
    if screen.confirm(question):
        return True
    screen.note("Nothing was removed.")
    return False
