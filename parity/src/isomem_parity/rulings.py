"""What isomem does instead of upstream where it diverges, as exact expectations.

A ruling never says "may differ here". It turns what upstream did into what isomem must have
done, and the comparison with that is as strict as without a ruling. Some rulings work by the
call: upstream is reset to before the step and gets the call as it should have been understood. The
others work on the trace. `divergences.toml` has one row for each and says where it applies; the two
are checked against each other.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from inspect import signature
from types import ModuleType
from typing import Any

from isomem.contract.profile import profile_of
from isomem.types import PROFILES
from isomem_parity.compare import same_state
from isomem_parity.doubles import Fault, reply_text
from isomem_parity.script import METHODS, Step, resolve
from isomem_parity.trace import Point, State, Trace, payload_text
from isomem_parity.upstream import Upstream, release

SCOPE_KEYS = ("user_id", "agent_id", "run_id")
CORE_KEYS = {
    "data", "hash", "created_at", "updated_at", "text_lemmatized",
    "actor_id", "role", *SCOPE_KEYS,
}  # fmt: skip
ACCIDENTS = {
    "AttributeError", "TypeError", "KeyError", "IndexError", "UnicodeEncodeError",
    "OverflowError", "pydantic_core.ValidationError", "sqlite3.InterfaceError",
    "sqlite3.ProgrammingError", "sqlite3.OperationalError",
}  # fmt: skip
CLEAR = {"ValueError", "ValidationError", "VectorValueError", "LLMError", "UnusableReplyError"}
NAMELESS = ("Exception", "LLMError")
REWORDED = (r"Invalid path$", r"Invalid datetime value in range filter for field '[^']*': ")
LOGICAL = {"AND": "AND", "OR": "OR", "NOT": "NOT", "$and": "AND", "$or": "OR", "$not": "NOT"}
EXACT = ("eq", "ne", "in", "nin")
STAR = "(an-id-of-one-star)"
MAX_DEPTH = 100
DEEP = "nested more than 100 levels deep"
BUFFERED = "Failed to insert any of "  # 2.2.1 raises this once it has stored the messages.
NO_ID = r"Invalid (user|agent|run)_id: "
_ESCAPES = str.maketrans({"%": "%25", "&": "%26", "=": "%3D"})

Call = tuple[str, dict[str, Any]]
Around = Callable[[], AbstractContextManager[None]]


@dataclass
class Case:
    """One step at which the sides differ."""

    step: Step
    number: int
    kind: str
    tier: str
    upstream: Upstream
    entities_were_open: bool
    before: State
    raw: Trace
    ours: Trace
    allowed: Callable[[str], bool] = bool
    args: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] | None = None
    answer: Any = None
    replies: tuple[Any, ...] | None = None
    around: Around = nullcontext
    scopes: dict[str, str] = field(default_factory=dict)
    star: bool = False
    latest: Trace = field(default_factory=Trace)
    expected: Trace = field(default_factory=Trace)
    used: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.args = self._bound(self.step)
        self.latest = self.raw

    def _bound(self, step: Step) -> dict[str, Any]:
        """The call's arguments by name; empty when the call does not fit the signature."""
        if step.op not in METHODS:
            return {}
        given = resolve(step.args, self.upstream.id_of)
        method = getattr(self.upstream.memory, step.op)
        try:
            by_name = signature(method).bind(*given) if isinstance(given, list) else None
        except TypeError:
            return {}
        return dict(by_name.arguments) if by_name else dict(given)

    def call_instead(self, *calls: Call) -> None:
        self.calls = list(calls)

    def rerun(self) -> Trace:
        """Upstream once more, from before the step, with the calls of the rulings."""
        calls = self.calls if self.calls is not None else [(self.step.op, self.args)]
        before = _renamed(self.before, self.scopes)
        if self.star:
            before = _respelled_state(before, "*", STAR)
            calls = [(method, _respelled(args, "*", STAR)) for method, args in calls]
        self.upstream.restore(before)
        self.upstream.clock.replay(self.number)

        def act() -> Any:
            result = None
            for method, args in calls:
                result = self.upstream.call(method, args)
            return self.answer or result

        replies = self.step.replies if self.replies is None else self.replies
        with self.around():
            trace = self.upstream.attempt(act, replace(self.step, replies=replies))
        if self.star:
            result, state = trace.result, trace.state
            trace.result = _respelled(result, STAR, "*")
            trace.state = _respelled_state(state, STAR, "*")
        back = {new: old for old, new in self.scopes.items()}
        return replace(trace, state=_renamed(trace.state, back))


def _renamed(state: State, scopes: dict[str, str]) -> State:
    if not scopes:
        return state
    rows = tuple((row[0], scopes.get(row[1], row[1]), *row[2:]) for row in state.messages)
    return replace(state, messages=rows)


Ruling = Callable[[Case], bool]
CALL_RULINGS: dict[str, Ruling] = {}
TRACE_RULINGS: dict[str, Ruling] = {}


def by_call(row: str) -> Callable[[Ruling], Ruling]:
    def register(ruling: Ruling) -> Ruling:
        CALL_RULINGS[row] = ruling
        return ruling

    return register


def by_trace(row: str) -> Callable[[Ruling], Ruling]:
    def register(ruling: Ruling) -> Ruling:
        TRACE_RULINGS[row] = ruling
        return ruling

    return register


def apply(case: Case, allowed: Callable[[str], bool]) -> None:
    """Set `case.expected` and `case.used` by every ruling that is allowed and applies.

    A call that one ruling has corrected may still fail because of what another ruling is about, so
    the rulings by the call are tried until none applies any more.
    """
    case.allowed = allowed
    while fresh := [
        row
        for row, rule in CALL_RULINGS.items()
        if row not in case.used and allowed(row) and rule(case)
    ]:
        case.used += fresh
        case.latest = case.rerun()
    case.expected = replace(case.latest)
    for row, rule in TRACE_RULINGS.items():
        kept = replace(case.expected)
        if allowed(row) and rule(case) and case.expected != kept:
            case.used.append(row)


# -- by the call -----------------------------------------------------------------------------------


@by_call("D-02")
def delete_all_deletes_all(case: Case) -> bool:
    return _more_than_upstream_lists(case) and _delete_one_by_one(case)


@by_call("D-03")
def async_delete_all_is_not_a_race(case: Case) -> bool:
    listed = not case.allowed("D-02") or not _more_than_upstream_lists(case)
    return case.kind == "async" and listed and _delete_one_by_one(case)


def _more_than_upstream_lists(case: Case) -> bool:
    return len(_in_scope(case)) > 100


def _in_scope(case: Case) -> list[str]:
    wanted = {key: case.args[key] for key in SCOPE_KEYS if case.args.get(key)}
    return [
        given
        for given, point in sorted(case.before.memories.items())
        if wanted and wanted.items() <= _hashable(point.fields).items()
    ]


def _hashable(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: fields[key] for key in SCOPE_KEYS if key in fields}


def _delete_one_by_one(case: Case) -> bool:
    if case.step.op != "delete_all" or not _in_scope(case):
        return False
    case.call_instead(*[("delete", {"memory_id": given}) for given in _in_scope(case)])
    case.answer = {"message": "Memories deleted successfully!"}
    return True


@by_call("D-05")
def metadata_sets_no_scope(case: Case) -> bool:
    metadata = case.args.get("metadata")
    if case.step.op not in ("add", "update") or not isinstance(metadata, dict):
        return False
    if case.step.op == "add":
        sets = [k for k in SCOPE_KEYS if metadata.get(k) is not None and not case.args.get(k)]
    else:
        sets = [k for k in SCOPE_KEYS if k in metadata]
    if sets:
        kept = {key: value for key, value in metadata.items() if key not in sets}
        case.args = {**case.args, "metadata": kept}
        case.call_instead((case.step.op, case.args))
    return bool(sets)


@by_call("D-06")
def scopes_do_not_collide(case: Case) -> bool:
    ids = {key: case.args.get(key) for key in sorted(SCOPE_KEYS)}
    given = {key: value.strip() for key, value in ids.items() if isinstance(value, str)}
    if case.step.op != "add" or not any(set("%&=") & set(value) for value in given.values()):
        return False
    theirs = "&".join(f"{key}={value}" for key, value in given.items() if value)
    ours = "&".join(f"{key}={value.translate(_ESCAPES)}" for key, value in given.items() if value)
    case.scopes = {ours: theirs, theirs: "(another scope)"}
    return True


@by_call("D-07")
def links_go_with_the_memory(case: Case) -> bool:
    applies = (
        case.step.op in ("delete", "delete_all", "update")
        and not case.entities_were_open
        and bool(case.before.entities)
    )
    if applies:
        case.upstream.memory.entity_store  # noqa: B018 - reading it opens it
    return applies


@by_call("D-10")
def messages_without_text_do_no_harm(case: Case) -> bool:
    messages = case.args.get("messages")
    messages = [messages] if isinstance(messages, dict) else messages
    procedural = case.args.get("agent_id") and case.args.get("memory_type") == "procedural_memory"
    if case.step.op != "add" or procedural or not isinstance(messages, list):
        return False
    # Without an error yet: a system message's parts are not text, and cannot be buffered.
    if case.latest.error is None and not any(map(_has_system_parts, messages)):
        return False
    vision = bool(case.upstream.script.config.get("llm", {}).get("enable_vision"))
    kept = [reduced for message in messages for reduced in _with_text(message, vision)]
    if kept != messages:
        case.args = {**case.args, "messages": kept}
        case.call_instead(("add", case.args))
    return kept != messages


def _has_system_parts(message: Any) -> bool:
    return (
        isinstance(message, dict)
        and message.get("role") == "system"
        and isinstance(message.get("content"), (list, dict))
    )


def _with_text(message: Any, vision: bool) -> list[Any]:
    """The message, or what is left of it without its images; nothing if that is nothing."""
    if not isinstance(message, dict) or not message.get("role"):
        return [message]
    if not profile_of(release()).is_said(message):
        return []
    content = message.get("content")
    image = isinstance(content, list) or (
        isinstance(content, dict) and content.get("type") == "image_url"
    )
    described = vision and image and message["role"] != "system"
    # Later releases read a list of parts themselves, but not one of the system's.
    is_read = isinstance(content, list) and message["role"] != "system" and release() != PROFILES[0]
    if described or is_read or not isinstance(content, (list, dict)):
        return [message]
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    text = "\n".join(text for text in texts if isinstance(text, str))
    return [{**message, "content": text}] if text else []


@by_call("D-13")
def what_is_no_fact_is_left_out(case: Case) -> bool:
    error = case.latest.error or {}
    if case.step.op != "add" or error.get("type") not in ACCIDENTS or not case.latest.prompts:
        return False
    replies = tuple(_facts_only(reply) for reply in case.step.replies)
    case.replies = replies
    return replies != case.step.replies


def _facts_only(reply: Any) -> Any:
    """A reply with its facts alone, when upstream's parser finds items that are none."""
    from mem0.memory.utils import extract_json, remove_code_blocks

    try:
        text = remove_code_blocks(reply_text(reply))
        try:
            items = json.loads(text, strict=False)["memory"]
        except json.JSONDecodeError:
            items = json.loads(extract_json(text), strict=False)["memory"]
    except (ValueError, TypeError, KeyError, AttributeError):
        return reply
    facts = [item for item in items if _is_fact(item)] if isinstance(items, list) else []
    return reply if facts == items else {"memory": facts}


def _is_fact(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("text"), str)


@by_call("D-14")
def procedural_memory_needs_no_langchain(case: Case) -> bool:
    error = case.latest.error or {}
    if case.kind != "async" or "langchain" not in error.get("message", ""):
        return False
    case.around = _langchain_there
    return True


@contextmanager
def _langchain_there() -> Iterator[None]:
    """The import that upstream makes finds something; without `llm=` it uses nothing of it."""
    names = ("langchain_core", "langchain_core.messages", "langchain_core.messages.utils")
    for name in names:
        sys.modules[name] = ModuleType(name)
    sys.modules[names[-1]].convert_to_messages = None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


@by_call("D-18")
def a_star_is_an_id(case: Case) -> bool:
    """Upstream in a world where the id `*` is spelled otherwise."""
    stored = [point.fields for point in case.before.memories.values()]
    case.star = _respelled(case.args, "*", STAR) != case.args or any(
        fields.get(key) == "*" for fields in stored for key in SCOPE_KEYS
    )
    return case.star


def _respelled(value: Any, old: str, new: str, *, is_id: bool = False) -> Any:
    """Arguments or a result with one id spelled otherwise, wherever an id may be."""
    if isinstance(value, list):
        return [_respelled(each, old, new, is_id=is_id) for each in value]
    if not isinstance(value, dict):
        return new if is_id and isinstance(value, str) and value.strip() == old else value
    return {
        key: each
        if key == "metadata"
        else _respelled(each, old, new, is_id=key in SCOPE_KEYS or (is_id and key in EXACT))
        for key, each in value.items()
    }


def _respelled_state(state: State, old: str, new: str) -> State:
    rows = tuple((row[0], _respelled_scope(row[1], old, new), *row[2:]) for row in state.messages)
    memories, entities = (
        {name: _respelled_point(point, old, new) for name, point in points.items()}
        for points in (state.memories, state.entities)
    )
    return replace(state, memories=memories, entities=entities, messages=rows)


def _respelled_point(point: Point, old: str, new: str) -> Point:
    fields = point.fields
    ids = {key: new for key in SCOPE_KEYS if fields.get(key) == old}
    return Point(payload_text({**fields, **ids}), point.vector)


def _respelled_scope(text: str, old: str, new: str) -> str:
    pairs = (pair.split("=", 1) for pair in text.split("&"))
    return "&".join("=".join(new if part == old else part for part in pair) for pair in pairs)


@by_call("D-19")
def ids_are_trimmed_everywhere(case: Case) -> bool:
    read = _with_ids_read(case)
    if read is None or read == case.args:
        return False
    case.args = read
    case.call_instead((case.step.op, read))
    return True


@by_trace("D-19")
def what_is_no_id_is_refused(case: Case) -> bool:
    error = case.ours.error or {}
    refused = error.get("type") == "ValueError" and re.match(NO_ID, error["message"])
    if _with_ids_read(case) is not None or not refused:
        return False
    case.expected = Trace(error=case.ours.error, state=case.before)
    return True


def _with_ids_read(case: Case) -> dict[str, Any] | None:
    """The arguments with every id trimmed; None where one of them is not an id."""
    try:
        if case.step.op == "add":
            for key in SCOPE_KEYS:
                str(case.args.get(key)).encode()
        if case.step.op == "delete_all":
            return {key: _id_read(value) for key, value in case.args.items() if value is not None}
        if isinstance(case.args.get("filters"), dict):
            return {**case.args, "filters": _groups_read(case.args["filters"])}
    except ValueError:
        return None
    return case.args


def _groups_read(filters: dict[str, Any], *, inside: bool = False) -> dict[str, Any]:
    made = dict(filters)
    for key, value in filters.items():
        if key in LOGICAL and isinstance(value, list):
            made[key] = [_groups_read(x, inside=True) if isinstance(x, dict) else x for x in value]
        elif key in SCOPE_KEYS and inside:
            made[key] = _condition_read(value)
        elif key in SCOPE_KEYS and isinstance(value, str):
            value.encode()
    return made


def _condition_read(value: Any) -> Any:
    if isinstance(value, dict):
        return {op: _condition_read(each) if op in EXACT else each for op, each in value.items()}
    return [_id_read(each) for each in value] if isinstance(value, list) else _id_read(value)


def _id_read(value: Any) -> str:
    text: str = value if isinstance(value, str) else profile_of(release()).read_id(value, "id")
    if len(text.split()) != 1:
        raise ValueError(value)
    text.encode()  # Half a surrogate pair is a ValueError, too.
    return text.strip()


@by_call("D-20")
def ids_only_narrow(case: Case) -> bool:
    """Conditions that upstream merges away stand beside the others, in `$and`."""
    filters = case.args.get("filters")
    if case.step.op not in ("search", "get_all") or not isinstance(filters, dict):
        return False
    kept: list[dict[str, Any]] = []
    made = _without_clashes(filters, kept)
    if kept:
        name = "AND" if case.step.op == "get_all" and "AND" in made else "$and"
        made[name] = [*made.get(name, []), *kept]
        case.args = {**case.args, "filters": made}
        case.call_instead((case.step.op, case.args))
    return bool(kept)


def _is_group(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(member, dict) for member in value)


def _without_clashes(filters: dict[str, Any], kept: list[dict[str, Any]]) -> dict[str, Any]:
    plain = {key: value for key, value in filters.items() if key not in LOGICAL}
    made, taken = dict(plain), dict(plain)
    for key, value in filters.items():
        if key == "AND" and _is_group(value):
            made[key] = [_without_taken(member, taken, kept) for member in value]
        elif key in LOGICAL:
            made |= _without_taken({key: value}, taken, kept)
    return made


def _without_taken(
    member: dict[str, Any], taken: dict[str, Any], kept: list[dict[str, Any]]
) -> dict[str, Any]:
    made = {}
    for key, value in member.items():
        name = LOGICAL.get(key, key)
        old = taken.setdefault(name, value)
        clash = old != value and (_names_id(name, old) or _names_id(name, value))
        # Upstream's telemetry trips over an id at the top that is not a string.
        trips = name in SCOPE_KEYS and not isinstance(value, str)
        # Of `AND` and `$and` upstream's store reads one.
        if clash or trips or (name == "AND" and _names_id(name, value)):
            kept.append({key: value})
        else:
            made[key] = value
    return made


def _names_id(key: str, value: Any) -> bool:
    if key in LOGICAL and _is_group(value):
        return any(_names_id(*entry) for member in value for entry in member.items())
    return key in SCOPE_KEYS


# -- by the trace ----------------------------------------------------------------------------------


@by_trace("D-01")
def update_keeps_metadata(case: Case) -> bool:
    given = case.args.get("memory_id")
    if case.step.op != "update" or case.expected.error or given not in case.before.memories:
        return False
    old = case.before.memories[given].fields
    custom = {key: value for key, value in old.items() if key not in CORE_KEYS}
    stored = case.expected.state.memories[given]
    _put(case, given, Point(payload_text({**custom, **stored.fields}), stored.vector))
    return True


def _put(case: Case, given: str, point: Point) -> None:
    state = case.expected.state
    case.expected.state = replace(state, memories={**state.memories, given: point})


@by_trace("D-04")
def reset_clears_everything(case: Case) -> bool:
    if case.step.op != "reset" or case.expected.error:
        return False
    case.expected.state = replace(case.expected.state, messages=(), entities={})
    return True


@by_trace("D-22")
def delete_all_empties_the_message_buffers(case: Case) -> bool:
    if case.step.op != "delete_all" or case.expected.error:
        return False
    given = ((key, case.args.get(key)) for key in SCOPE_KEYS)
    named = {f"{key}={value.strip().translate(_ESCAPES)}" for key, value in given if value}
    state = case.expected.state
    kept = tuple(row for row in state.messages if not named <= set(row[1].split("&")))
    case.expected.state = replace(state, messages=kept)
    return len(kept) < len(state.messages)


@by_trace("D-11")
def a_blank_query_is_an_error(case: Case) -> bool:
    query = case.args.get("query")
    error = case.ours.error or {}
    blank = case.step.op == "search" and isinstance(query, str) and not query.strip()
    if blank and error.get("type") == "ValueError":
        case.expected.error, case.expected.result = case.ours.error, None
    return blank


@by_trace("D-08")
def what_was_not_stored_was_not_added(case: Case) -> bool:
    results = (case.expected.result or {}).get("results") if case.step.op == "add" else None
    added = {item["id"] for item in results or []}
    lost = added - case.expected.state.memories.keys()
    if not lost:
        return False
    if lost == added and _says_why(case.step, case.ours.error):
        case.expected = replace(case.expected, result=None, error=case.ours.error)
        case.expected.state = case.before
        return True
    state = case.expected.state
    history = tuple(row for row in state.history if row[1] not in lost)
    case.expected.result = {"results": [item for item in results or [] if item["id"] not in lost]}
    case.expected.state = replace(state, history=history, entities=_unlinked(state.entities, lost))
    return True


def _is_planted(step: Step, error: dict[str, Any] | None) -> bool:
    """Whether an error is the one that a fault of the step asked for."""
    if error is None:
        return False
    planted = [Fault(**fault) for fault in step.faults]
    return any(
        error["type"] == "VectorValueError"
        if fault.vector
        else (error["type"], error["message"]) == (fault.error, fault.message)
        for fault in planted
    )


def _says_why(step: Step, error: dict[str, Any] | None) -> bool:
    """Whether an error is the store's own, or says what about the input cannot be stored."""
    refused = any(fault["on"].startswith("store.") for fault in step.faults)
    clear = error is not None and error["type"] in CLEAR and not refused
    return clear or _is_planted(step, error)


def _unlinked(entities: dict[str, Point], lost: set[str]) -> dict[str, Point]:
    kept = {}
    for given, point in entities.items():
        fields = point.fields
        linked = [memory for memory in fields["linked_memory_ids"] if memory not in lost]
        if linked:
            payload = payload_text({**fields, "linked_memory_ids": linked})
            kept[given] = Point(payload, point.vector)
    return kept


@by_trace("D-09")
def an_add_is_whole(case: Case) -> bool:
    unwritten = any(fault["on"] == "db.batch_add_history" for fault in case.step.faults)
    planted = _is_planted(case.step, case.ours.error)
    if unwritten and planted and case.expected.error is None:
        case.expected.error, case.expected.result = case.ours.error, None
    error = case.expected.error
    if error is None or error["message"].startswith(BUFFERED):
        return False
    case.expected.state = case.before
    return not same_state(case.raw.state, case.before)


@by_trace("D-21")
def what_is_nested_has_a_bound(case: Case) -> bool:
    kinds = {"metadata": "ValidationError", "filters": "ValueError"}
    given = [name for name in kinds if _depth(case.args.get(name)) > MAX_DEPTH]
    error = case.ours.error or {}
    if not given or error.get("type") != kinds[given[0]] or DEEP not in error["message"]:
        return False
    case.expected = Trace(error=case.ours.error, state=case.before)
    return True


def _depth(value: Any) -> int:
    if not isinstance(value, (dict, list)):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth, inner), default=0)


@by_trace("D-12")
def memory_type_is_checked_alike(case: Case) -> bool:
    given = case.args.get("memory_type")
    error = case.expected.error or {}
    if case.kind != "async" or "Invalid 'memory_type'" not in error.get("message", ""):
        return False
    case.expected.error = {
        **error,
        "type": "ValidationError",
        "code": "VALIDATION_002",
        "details": {"provided_type": given, "valid_type": "procedural_memory"},
        "suggestion": "Use 'procedural_memory' to create procedural memories.",
    }
    return True


@by_trace("D-15")
def errors_have_names(case: Case) -> bool:
    theirs, ours = case.expected.error or {}, case.ours.error or {}
    kinds = theirs.get("type"), ours.get("type")
    same_words = theirs.get("message") == ours.get("message")
    if not (kinds == ("ValueError", "VectorValueError") or (kinds == NAMELESS and same_words)):
        return False
    case.expected.error = case.ours.error
    return True


@by_trace("D-16")
def nan_is_no_threshold(case: Case) -> bool:
    threshold = case.args.get("threshold")
    if not isinstance(threshold, float) or not math.isnan(threshold):
        return False
    error = {"type": "ValueError", "message": "threshold must be a valid number"}
    case.expected.error, case.expected.result = error, None
    return True


@by_trace("D-17")
def messages_are_in_our_words(case: Case) -> bool:
    theirs, ours = case.expected.error or {}, case.ours.error or {}
    said = theirs.get("message", "")
    leads = [found.group() for found in (re.match(lead, said) for lead in REWORDED) if found]
    alike = theirs.get("type") == ours.get("type") == "ValueError"
    if not (leads and alike and ours["message"].startswith(leads[0])):
        return False
    case.expected.error = case.ours.error
    return True


@by_trace("D-13")
def accidents_become_clear_errors(case: Case) -> bool:
    theirs, ours = case.expected.error or {}, case.ours.error or {}
    if theirs.get("type") not in ACCIDENTS or ours.get("type") not in CLEAR:
        return False
    prompts = case.expected.prompts if case.ours.prompts else []
    case.expected = Trace(error=case.ours.error, prompts=prompts, state=case.before)
    return True
