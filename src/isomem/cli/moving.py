"""The commands `isomem export` and `isomem import`."""

from __future__ import annotations

import os
import sys
from contextlib import closing, nullcontext
from itertools import chain

from isomem.cli import views
from isomem.cli.failures import UsageError
from isomem.cli.settings import open_existing, open_memory
from isomem.config import COLLECTION
from isomem.errors import DatabaseError, ValidationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Generator, Iterable, Iterator

    from isomem.cli.screen import Screen
    from isomem.moving.lines import Record

_STANDARD = "-"
_EXPORTED = "Name a file that `isomem export` has written."


def export(options: Namespace, screen: Screen) -> None:
    """`isomem export`."""
    from isomem.moving.export import export as write

    with open_existing(options) as memory:
        result = write(memory, options.file, vectors=not options.no_vectors)
    if options.file != _STANDARD:
        screen.show(result, views.exported)


def import_any(options: Namespace, screen: Screen) -> None:
    """`isomem import`."""
    from isomem.moving.intake import import_lines, import_records

    _check(options)
    # What is wrong with a source must not make a memory file.
    records = _records(options) if options.file is None else ()
    with open_memory(options) as memory:
        if options.file is None:
            result = import_records(memory, records, embed=options.embed)
        else:
            with closing(_lines(options.file)) as lines:
                result = import_lines(memory, lines, embed=options.embed)
    screen.show(result, views.taken_in)


def _check(options: Namespace) -> None:
    """Raises UsageError for options that do not go together or cannot be used."""
    stores = {"--qdrant": options.qdrant, "--chroma": options.chroma}
    has_store = any(place is not None for place in stores.values())
    has_source = has_store or options.history is not None
    if options.file is not None and has_source:
        raise UsageError("FILE is an export of its own.", "Import one after the other.")
    if options.file is None and not has_source:
        raise UsageError(
            "There is nothing to import.",
            "Name FILE, --qdrant DIR, --chroma DIR, --history FILE, or several of the last three.",
        )
    for_stores = {"--collection": options.collection is not None, "--expiry": options.expiry}
    for flag, is_given in for_stores.items():
        if is_given and not has_store:
            raise UsageError(f"{flag} is for --qdrant and --chroma.", "Leave it out.")
    if options.embed and options.file is None and not has_store:
        raise UsageError("--embed is for memories, and --history has none.", "Leave it out.")
    for flag, place in stores.items():
        if place is not None:
            _check_place(flag, place)


def _check_place(flag: str, place: str) -> None:
    from isomem.moving.sources import address_fault, is_address

    fault = address_fault(place, takes_path=flag == "--qdrant") if is_address(place) else ""
    if fault:
        key = f"{flag[2:].upper()}_API_KEY"
        raise UsageError(f"{flag}: {fault}.", f"Name http://HOST:PORT, and the key in {key}.")


def _lines(path: str) -> Generator[str]:
    """The lines of an export, which is in UTF-8, whatever the locale has."""
    is_standard = path == _STANDARD
    try:
        with nullcontext(sys.stdin.buffer) if is_standard else open(path, "rb") as file:
            for line in file:
                yield line.decode()
    except FileNotFoundError:
        raise DatabaseError(f"{path} is not there", suggestion=_EXPORTED) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError(
            f"{'the standard input' if is_standard else path} cannot be read: {error}",
            error_code="MOVE_002",
            suggestion=_EXPORTED,
        ) from error


def _records(options: Namespace) -> Iterator[Record]:
    from isomem.moving.files import with_expiry
    from isomem.moving.sources import of_chroma, of_history, of_qdrant

    read = with_expiry if options.expiry else dict
    named = options.collection
    collection = str(COLLECTION.default if named is None else named)
    sources: list[Iterable[Record]] = []
    if options.qdrant is not None:
        key = os.environ.get("QDRANT_API_KEY")
        sources.append(of_qdrant(options.qdrant, collection, api_key=key, read=read))
    if options.chroma is not None:
        key = os.environ.get("CHROMA_API_KEY")
        sources.append(of_chroma(options.chroma, collection, api_key=key, read=read))
    if options.history is not None:
        sources.append(of_history(options.history))
    return chain.from_iterable(sources)
