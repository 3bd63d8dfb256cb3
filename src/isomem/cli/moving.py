"""The commands `isomem export` and `isomem import`."""

from __future__ import annotations

import os
import sys
from contextlib import closing, nullcontext

from isomem.cli import views
from isomem.cli.failures import UsageError
from isomem.cli.settings import open_existing, open_memory
from isomem.errors import ValidationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Generator, Iterable, Iterator
    from contextlib import AbstractContextManager

    from isomem.cli.screen import Screen
    from isomem.memory import Memory
    from isomem.moving.lines import Record

_STANDARD = "-"


def export(options: Namespace, screen: Screen) -> None:
    """`isomem export`."""
    from isomem.moving.export import export as write

    with open_existing(options) as memory:
        result = write(memory, options.file, vectors=not options.no_vectors)
    if options.file != _STANDARD:
        screen.show(result, views.exported)


def import_any(options: Namespace, screen: Screen) -> None:
    """`isomem import`."""
    sources = [options.qdrant, options.chroma, options.history]
    if options.file is not None and any(source is not None for source in sources):
        raise UsageError("FILE is an export of its own.", "Import one after the other.")
    if options.file is None and all(source is None for source in sources):
        raise UsageError(
            "There is nothing to import.",
            "Name FILE, --qdrant DIR, --chroma DIR, --history FILE, or several of the last three.",
        )
    with open_memory(options) as memory:
        if options.file is not None:
            _import_file(memory, options, screen)
        elif _is_plain(memory, options):
            _import_mem0(memory, options, screen)
        else:
            _import_sources(memory, options, screen)


def _import_file(memory: Memory, options: Namespace, screen: Screen) -> None:
    from isomem.moving.intake import import_lines

    with _lines_of(options.file) as lines:
        result = import_lines(memory, lines, embed=options.embed)
    screen.show(result, views.taken_in)


def _lines(path: str) -> Generator[str]:
    try:
        with open(path, encoding="utf-8") as file:
            yield from file
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError(
            f"{path} cannot be read: {error}",
            error_code="MOVE_002",
            suggestion="Name a file that `isomem export` has written.",
        ) from error


def _lines_of(path: str) -> AbstractContextManager[Iterable[str]]:
    return nullcontext(sys.stdin) if path == _STANDARD else closing(_lines(path))


def _is_plain(memory: Memory, options: Namespace) -> bool:
    """Whether it is a folder of Qdrant into the embedded store, which are copied file to file."""
    is_embedded = memory.config.vector_store.provider == "embedded"
    is_folder = options.qdrant is None or "://" not in options.qdrant
    return is_embedded and is_folder and options.chroma is None


def _import_mem0(memory: Memory, options: Namespace, screen: Screen) -> None:
    from isomem import importer

    counts = importer.import_mem0(
        memory,
        qdrant=options.qdrant,
        history=options.history,
        collection=options.collection,
        expiry=options.expiry,
    )
    screen.show(counts, views.imported)


def _import_sources(memory: Memory, options: Namespace, screen: Screen) -> None:
    from isomem.moving.intake import import_records

    screen.show(import_records(memory, _records(options)), views.taken_in)


def _records(options: Namespace) -> Iterator[Record]:
    from isomem import importer
    from isomem.moving import sources

    read = importer.with_expiry if options.expiry else dict
    if options.qdrant is not None:
        key = os.environ.get("QDRANT_API_KEY")
        yield from sources.of_qdrant(options.qdrant, options.collection, api_key=key, read=read)
    if options.chroma is not None:
        key = os.environ.get("CHROMA_API_KEY")
        yield from sources.of_chroma(options.chroma, options.collection, api_key=key, read=read)
    if options.history is not None:
        yield from sources.of_history(options.history)
