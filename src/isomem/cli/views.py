"""Views: results as text for people. Each takes a result and yields lines."""

from __future__ import annotations

from isomem.cli.screen import Screen, printable
from isomem.contract.moments import EVENT_TIME
from isomem.contract.visibility import EXPIRATION_DATE
from isomem.types import SCOPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from isomem.types import Json

_SHOWN_FINDINGS = 20
"""Of each kind."""


def hits(found: Json, screen: Screen) -> Iterator[str]:
    """Search results: score, text, id."""
    if not found["results"]:
        yield "Nothing found."
    for hit in found["results"]:
        score = screen.good(f"{hit['score']:.3f}")
        yield f"{score}  {printable(hit['memory'])}"
        yield f"       {screen.dim(_about(hit))}"
        if "score_details" in hit:
            yield f"       {screen.dim(_explained(hit['score_details']))}"


_PARTS = {
    "semantic_score": "similarity",
    "bm25_score": "keywords",
    "keyword_score": "keywords",
    "entity_boost": "entities",
    "period_score": "date",
    "context_score": "context",
}


def _explained(details: Json) -> str:
    """The parts of a score. A part that is compared with the threshold says so."""
    parts = [f"{name} {details[key]:.3f}" for key, name in _PARTS.items() if key in details]
    if "bm25_score" in details:
        parts[0] += f" (threshold {details['threshold']:g})"
    sum_ = f"{details['raw_score']:.3f} of {details['max_possible_score']:g}"
    return f"{' + '.join(parts)} = {sum_}"


def memories(found: Json, screen: Screen) -> Iterator[str]:
    """Listed memories: text, id."""
    if not found["results"]:
        yield "No memories."
    for each in found["results"]:
        yield printable(each["memory"])
        yield f"  {screen.dim(_about(each))}"


def _about(found: Json) -> str:
    moment = (found.get("metadata") or {}).get(EVENT_TIME) or found.get("created_at")
    expires = found.get(EXPIRATION_DATE)
    until = f"  expires {printable(str(expires))}" if expires else ""
    stale = "  superseded" if found.get("superseded_by") else ""
    return f"{found['id']}  {_minute(moment)}".rstrip() + until + stale


def memory(found: Json, screen: Screen) -> Iterator[str]:
    """One memory: its text, and its fields below."""
    yield screen.bold(printable(found["memory"]))
    fields = {key: value for key, value in found.items() if key not in {"memory", "metadata"}}
    fields.update(found.get("metadata") or {})
    yield from _table(fields, screen)


def added(result: Json, screen: Screen) -> Iterator[str]:
    """What an add stored."""
    if not result["results"]:
        yield "Nothing new to remember."
    for each in result["results"]:
        yield f"{screen.good('+')} {printable(each['memory'])}"
        yield f"  {screen.dim(each['id'])}"
        for old in each.get("supersedes", ()):
            yield f"  {screen.bad('-')} {printable(old['memory'])}"
            yield f"    {screen.dim(old['id'])}"


def count(result: Json, screen: Screen) -> Iterator[str]:
    """How many memories there are."""
    del screen
    yield counted(result["memories"], "memory", "memories")


def scopes(found: list[Json], screen: Screen) -> Iterator[str]:
    """Whose memories there are: ids, how many, and from when to when."""
    if not found:
        yield "No memories."
    for each in found:
        names = [f"{key[:-3]} {printable(each[key])}" for key in SCOPE_KEYS if key in each]
        yield screen.bold(", ".join(names) or "no user, agent or run")
        yield f"  {counted(each['memories'], 'memory', 'memories')}{screen.dim(_span(each))}"


def _span(scope: Json) -> str:
    first, last = _minute(scope["first"]), _minute(scope["last"])
    return f"  {first}" if first == last else f"  {first} to {last}"


def context(result: Json, screen: Screen) -> Iterator[str]:
    """The text for a prompt, line by line."""
    del screen
    yield from map(printable, result["context"].splitlines())


def message(result: Json, screen: Screen) -> Iterator[str]:
    """The message of a call that is done."""
    del screen
    yield result["message"]


def swept(result: dict[str, int], screen: Screen) -> Iterator[str]:
    """What a sweep removed."""
    del screen
    removed = result["removed"]
    yield f"{counted(removed, 'expired memory was', 'expired memories were')} removed."


def exported(result: Json, screen: Screen) -> Iterator[str]:
    """What an export has written, with the digests to compare with an import's."""
    del screen
    for kind, each in result.items():
        yield f"{each['count']:>9,} {kind:<8} {each['digest']}"


def taken_in(result: Json, screen: Screen) -> Iterator[str]:
    """What an import has read and added; a digest is that of the export if the records are."""
    del screen
    for kind, each in result.items():
        kept = f", {each['different']:,} are here with other contents" if each["different"] else ""
        added = f"{each['read']:>9,} {kind:<8} {each['digest']}  {each['added']:,} added{kept}"
        yield added


def reembedded(result: Json, screen: Screen) -> Iterator[str]:
    """What became of the vectors of a file."""
    del screen
    maker = f"{printable(result['embedder'] or 'the embedder')} ({result['dims']} dimensions)"
    if not result["replaced"]:
        yield f"Nothing to do: {maker} made all vectors already."
        return
    yield f"{counted(result['replaced'], 'vector', 'vectors')} replaced by those of {maker}."
    if result["without_text"]:
        yield f"{result['without_text']} of them have no text, so no search by meaning finds them."


def nothing(result: object, screen: Screen) -> tuple[str, ...]:
    """For a result that has been shown already."""
    del result, screen
    return ()


def events(found: list[Json], screen: Screen) -> Iterator[str]:
    """The history of a memory, oldest first."""
    for event in found:
        moment = _minute(event["updated_at"] or event["created_at"])
        text = printable(event["new_memory"] or event["old_memory"] or "")
        yield f"{screen.dim(moment.ljust(20))}  {screen.bold(event['event'].ljust(9))}  {text}"


def ingested(result: Json, screen: Screen) -> Iterator[str]:
    """The outcome of an ingest."""
    failed = result["failed_chunks"]
    is_done = result["messages_before"] == result["messages"] and result["messages"]
    if is_done and not failed and not result["memories"]:
        yield f"All {result['messages']} messages were taken in before; --restart starts over."
        return
    found = screen.bold(counted(result["memories"], "new memory", "new memories"))
    file = f", in {result['path']}" if result["path"] else ""
    yield f"{found} from {_ingest_source(result)}{file}"
    if failed:
        chunks = counted(failed, "chunk", "chunks")
        yield f"{chunks} failed: the model's reply could not be used. --retry tries again."


def _ingest_source(result: Json) -> str:
    new = result["messages"] - result["messages_before"]
    if not new and result["memories"]:
        return "chunks that had failed"  # Only --retry adds memories without new messages.
    return counted(new, "message", "messages") if new else "0 new messages"


def inventory(result: Json, screen: Screen) -> Iterator[str]:
    """What a memory file contains."""
    yield screen.bold(result["path"])
    fields = {"size": size(result["size_bytes"]), "schema version": result["schema_version"]}
    fields |= {"history rows": result["history"], "messages": result["messages"]}
    fields["synchronous"] = result["synchronous"]
    fields["kernel"] = result["kernel"]
    yield from _table(fields, screen)
    for each in result["collections"]:
        yield ""
        yield screen.bold(f"collection {printable(each['name'])}")
        embedder = each["embedder"] or "not named"
        dims = f", {each['dims']} dimensions" if each["dims"] else ""
        fields = {"memories": each["memories"], "entities": each["entities"]}
        yield from _table({**fields, "embedder": f"{embedder}{dims}"}, screen)


def findings(result: Json, screen: Screen) -> Iterator[str]:
    """What is wrong with a file: the first findings of each kind, and how many there are."""
    if result["ok"]:
        yield f"{screen.good('ok')}  {printable(result['path'])}"
        return
    by_kind: dict[str, list[Json]] = {}
    for each in result["findings"]:
        by_kind.setdefault(each["kind"], []).append(each)
    for kind, some in by_kind.items():
        for each in some[:_SHOWN_FINDINGS]:
            subject = f"{each['subject']}: " if each["subject"] else ""
            yield f"{screen.bad(kind)}  {printable(subject + each['message'])}"
        if len(some) > _SHOWN_FINDINGS:
            yield f"{screen.bad(kind)}  … {len(some) - _SHOWN_FINDINGS} more; --json has all"
    yield f"{counted(len(result['findings']), 'finding', 'findings')} in {result['path']}"


def backed_up(result: Json, screen: Screen) -> Iterator[str]:
    """Where the copies are."""
    del screen
    for each in result["files"]:
        yield f"{printable(each['path'])}  {size(each['size_bytes'])}"


def prompts(result: Json, screen: Screen) -> Iterator[str]:
    """The status of every prompt."""
    for each in result["prompts"]:
        status = screen.good("ok") if each["status"] == "ok" else screen.bad(each["status"])
        installed = each["installed"]
        beside = f"  mem0ai {each['installed_version']}: {installed}" if installed else ""
        digest = screen.dim(each["sha256"][:16])
        yield f"{each['name']:<34}  {each['length']:>6} bytes  {digest}  {status}{beside}"
    if not result["ok"]:
        yield "Not every prompt is the pinned one: reinstall isomem."


def verdicts(result: Json, screen: Screen) -> Iterator[str]:
    """What of a configuration works: a line for each key, and what to write instead below it."""
    lines = result["lines"]
    width = max((len(each["key"]) for each in lines), default=0)
    for each in lines:
        paint = {"fails": screen.bad, "works": screen.good, "bridge": screen.good}.get(
            each["verdict"], screen.bold
        )
        key = printable(each["key"]).ljust(width)
        yield f"{paint(each['verdict'].ljust(7))}  {key}  {printable(each['note'])}".rstrip()
        if each["instead"]:
            yield f"{' ' * (width + 11)}{screen.dim('-> ' + printable(each['instead']))}"
    failed = sum(each["verdict"] == "fails" for each in lines)
    yield f"{counted(failed, 'key fails', 'keys fail')}." if failed else "This configuration works."


def counted(count: int, one: str, many: str) -> str:
    """A number with what it counts."""
    return f"{count} {one if count == 1 else many}"


def size(count: int) -> str:
    """A number of bytes in a readable unit."""
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count} bytes"


def _table(fields: Mapping[str, object], screen: Screen) -> Iterator[str]:
    shown = {key: value for key, value in fields.items() if value is not None}
    width = max(map(len, shown), default=0)
    for key, value in shown.items():
        yield f"  {screen.dim(printable(key).ljust(width))}  {_value(value)}"


def _value(value: object) -> str:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return printable(str(value))
    import json

    return printable(json.dumps(value, ensure_ascii=False))


def _minute(moment: object) -> str:
    """A stored time, cut to the minute."""
    zone = " UTC" if str(moment).endswith("+00:00") else ""
    return str(moment)[:16].replace("T", " ") + zone if moment else ""


def document(found: dict[str, object], screen: Screen) -> Iterator[str]:
    """A document that is JSON with and without --json."""
    import json

    del screen
    yield json.dumps(found, indent=2, ensure_ascii=False)
