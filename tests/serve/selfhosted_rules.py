"""What may differ between mem0's self-hosted server and ours, and how answers are compared."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from tests.serve.selfhosted_requests import Step

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)")
STORE, NLP = {"keyword_search": False}, {"provider": "none"}
"""What isomem leaves out to be as mem0 is without fastembed and spaCy, which its server lacks."""

_UNKNOWN = "00000000-0000-4000-8000-000000000000"


class Seen(NamedTuple):
    """An answer without what is different each time.

    Attributes:
        body: the JSON; None if there is none.
    """

    status: int
    body: Any


class Ids:
    """The ids of the memories of one server, by the names of the steps that made them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def filled(self, text: str) -> str:
        """A text with ids in place of names."""
        for name, memory_id in self._names.items():
            text = text.replace(f"<{name}>", memory_id)
        return text

    def save(self, step: Step, body: Any) -> None:
        """Keeps the ids of the memories that a step made."""
        if step.save:
            for name, made in zip(step.save, body["results"], strict=True):
                self._names[name] = made["id"]

    def plain(self, body: Any) -> Any:
        """A body without ids and times of its own, in an order of its own."""
        text = json.dumps(_settled(body), ensure_ascii=False)
        for name, memory_id in self._names.items():
            text = text.replace(memory_id, f"<{name}>")
        text = ID.sub(lambda found: found[0] if found[0] == _UNKNOWN else "<id>", text)
        return json.loads(TIME.sub("<time>", text))


def _settled(value: Any) -> Any:
    """A value with rounded scores, and memories in an order that ids do not decide."""
    if isinstance(value, dict):
        return {
            key: round(item, 5) if key == "score" and item is not None else _settled(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return _ordered([_settled(item) for item in value])
    return value


def _ordered(items: list[Any]) -> list[Any]:
    """Items in their order; where ids decide it, which are random, in that of their texts."""
    if any(not isinstance(item, dict) or "memory" not in item or "event" in item for item in items):
        return items
    return [
        item
        for _, equal in groupby(items, key=lambda item: item.get("score"))
        for item in sorted(equal, key=lambda item: str(item["memory"]))
    ]


# --- Divergences -----------------------------------------------------------------------------


class Rule(NamedTuple):
    """Something that differs on purpose.

    Attributes:
        theirs, ours: what each does.
        why: the reason.
        holds: whether it explains a difference.
    """

    theirs: str
    ours: str
    why: str
    holds: Callable[[Step, Seen, Seen], bool]


def is_problem(seen: Seen, *statuses: int) -> bool:
    """Whether an answer is a problem with one of the statuses."""
    wanted = {"type", "title", "status", "detail", "code", "request_id"}
    return seen.status in statuses and isinstance(seen.body, dict) and wanted <= seen.body.keys()


def _is_same_error(_: Step, theirs: Seen, ours: Seen) -> bool:
    return theirs.status == ours.status and is_problem(ours, *range(400, 500))


def _is_invalid(_: Step, theirs: Seen, ours: Seen) -> bool:
    return theirs.status == 422 and is_problem(ours, 400)


def _is_more(step: Step, theirs: Seen, ours: Seen) -> bool:
    if theirs.status != 422 or ours.status != 200 or not isinstance(step.json, dict):
        return False
    messages = step.json.get("messages")
    return isinstance(messages, (str, dict)) or _has_odd_content(messages)


def _has_odd_content(messages: Any) -> bool:
    return isinstance(messages, list) and any(
        isinstance(each, dict) and not isinstance(each.get(key), str)
        for each in messages
        for key in ("role", "content")
    )


def _is_mistake(_: Step, theirs: Seen, ours: Seen) -> bool:
    return theirs.status == 502 and is_problem(ours, 400, 404)


def _is_unknown(step: Step, theirs: Seen, ours: Seen) -> bool:
    is_get = step.method == "GET" and step.path.startswith("/memories/")
    return is_get and theirs == Seen(200, None) and is_problem(ours, 404)


def _is_failure(step: Step, theirs: Seen, ours: Seen) -> bool:
    return theirs == Seen(200, {"results": []}) and is_problem(ours, 502) and "MODEL" in step.name


def _is_blank(step: Step, theirs: Seen, ours: Seen) -> bool:
    return "user_id=" in step.path and theirs.status == 200 and is_problem(ours, 400)


def _is_provider_list(step: Step, theirs: Seen, ours: Seen) -> bool:
    if step.path != "/configure/providers" or theirs.status != ours.status:
        return False
    return all(set(theirs.body[kind]) <= set(ours.body[kind]) for kind in theirs.body)


def _is_of_library(step: Step, theirs: Seen, ours: Seen) -> bool:
    if theirs.status != 200:
        return False
    if is_problem(ours, 400):  # D-11 and D-19
        is_blank = step.path == "/search" and not step.json["query"].strip()
        return is_blank or step.path in ("/entities/user/an%20a", "/entities/user/%20")
    # D-18 and D-01
    return step.path.endswith("%2A") or _without_metadata(theirs) == _without_metadata(ours)


def _without_metadata(seen: Seen) -> Any:
    body = seen.body.get("results", [seen.body]) if isinstance(seen.body, dict) else []
    return [{**each, "metadata": None} for each in body if isinstance(each, dict)] or seen


RULES: dict[str, Rule] = {
    "problems": Rule(
        "`{\"detail\": ...}`", "a problem (RFC 9457) with `detail`, a code and a request id",
        "a program can tell errors apart, and an operator finds them in the log", _is_same_error,
    ),
    "invalid": Rule(
        "422", "400",
        "one status for everything that is wrong with what was sent", _is_invalid,
    ),
    "more": Rule(
        "422", "200: messages may be a text or one message, and contents may have parts",
        "`Memory.add` takes them", _is_more,
    ),
    "mistakes": Rule(
        "502", "400 if something is wrong with what was sent, 404 if no memory has the id",
        "no provider failed; a program that repeats a call after a 502 would repeat it for ever",
        _is_mistake,
    ),
    "unknown": Rule(
        "200 and `null` for a memory that is not there", "404",
        "a status says it without reading the body", _is_unknown,
    ),
    "failures": Rule(
        "200 and no results when the model fails or talks nonsense", "502 with the reason",
        "whoever asked must learn that nothing was remembered", _is_failure,
    ),
    "blank": Rule(
        "an id that is empty is ignored, so that everybody's memories are listed", "400",
        "a program whose user has no id must not get the memories of all users", _is_blank,
    ),
    "library": Rule(
        "what `Memory` of mem0 2.0.4 does", "what `Memory` of isomem does",
        "the divergences D-01, D-11, D-18 and D-19 of the library", _is_of_library,
    ),
    "providers": Rule(
        "three providers of models, two of embedders", "all that isomem has",
        "none needs another image", _is_provider_list,
    ),
}  # fmt: skip


def explained(step: Step, theirs: Seen, ours: Seen) -> list[str]:
    """The names of the rules that explain a difference."""
    return [name for name, rule in RULES.items() if rule.holds(step, theirs, ours)]


def differences(
    answers: Iterator[tuple[Step, Seen, Seen]],
) -> tuple[dict[str, int], list[str]]:
    """How often each rule applies, and the differences that none explains."""
    counts = dict.fromkeys(RULES, 0)
    open_ones = []
    for step, theirs, ours in answers:
        if theirs == ours:
            continue
        names = explained(step, theirs, ours)
        if names:
            counts[names[0]] += 1
        else:
            open_ones.append(f"{step.name}\n  theirs: {theirs}\n  ours:   {ours}")
    return counts, open_ones
