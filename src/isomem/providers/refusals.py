"""Parameters that a model refuses: found in its complaint, left out, and remembered.

Some models accept only a few values of a parameter, or none. Their servers answer with status 400
or 422 and name the parameter. Such a request is sent once more without it, and later requests to
the same model leave it out from the start.
"""

from __future__ import annotations

from isomem import log
from isomem.providers.answers import complaint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Body = dict[str, Any]
    Path = tuple[str, ...]

STATUSES = frozenset((400, 422))

SAMPLING: tuple[Path, ...] = (("top_p",), ("temperature",))
CHAT: tuple[Path, ...] = (
    *SAMPLING,
    ("max_completion_tokens",),
    ("max_tokens",),
    ("response_format",),
    ("reasoning_effort",),
)
"""What may be left out of a request in OpenAI's protocol: the answer still is one."""

_OTHER_WORDS: dict[Path, str] = {("think",): "thinking"}
"""What complaints call a parameter if not by its name."""

_NEW_NAMES: dict[Path, str] = {("max_tokens",): "max_completion_tokens"}
"""What a parameter is called by the models that refuse its old name."""

_EXCERPT = 2000


class Refusal:
    """One parameter that a model refused.

    Attributes:
        path: the keys that lead to it in the body.
        value: what was sent.
        new_name: the name under which it is sent instead; None if it is left out.
        said: what the server said.
    """

    __slots__ = ("new_name", "path", "said", "value")

    def __init__(self, path: Path, value: object, new_name: str | None, said: str) -> None:
        self.path = path
        self.value = value
        self.new_name = new_name
        self.said = said

    def applied(self, body: Body) -> Body:
        """A copy of the body without the parameter, or with another name for it."""
        return _without(body, self.path, self.new_name)


class Refusals:
    """What the models of one provider have refused.

    Args:
        provider: its name in the log.
        paths: the parameters that may be left out, each as the keys that lead to it in the body.
            If a complaint names several, the first in this order is left out first.
    """

    def __init__(self, provider: str, paths: Iterable[Path]) -> None:
        self._provider = provider
        self._paths = tuple(paths)
        self._refused: dict[tuple[str, Path], Refusal] = {}

    def applied(self, model: object, body: Body) -> Body:
        """The body without what that model has refused. The same object if that is nothing."""
        for (refusing, path), each in list(self._refused.items()):
            if refusing == str(model) and _value(body, path) == each.value:
                body = each.applied(body)
        return body

    def read(self, body: Body, answer: object) -> Refusal | None:
        """Which parameter a server refuses; None if it names none that may be left out.

        Args:
            body: what was sent.
            answer: what the server answered: JSON, or text.
        """
        path = self._named(body, answer)
        if path is None:
            return None
        new_name = _NEW_NAMES.get(path)
        new_name = new_name if new_name in _words(_said(answer)) else None
        return Refusal(path, _value(body, path), new_name, _said(answer))

    def remember(self, model: object, refused: Iterable[Refusal]) -> None:
        """Keeps what a model has refused, once it has answered without it.

        Not before: a complaint about something else may name a parameter, too.
        """
        for each in refused:
            if (str(model), each.path) not in self._refused:
                log.warning(
                    "%s: the model %r refuses %s=%r; it is sent %s from now on. It said: %.200s",
                    *(self._provider, model, each.path[-1], each.value),
                    *(f"as {each.new_name}" if each.new_name else "without it", each.said),
                )
            self._refused[str(model), each.path] = each

    def _named(self, body: Body, answer: object) -> Path | None:
        present = [path for path in self._paths if _value(body, path) is not None]
        error = answer.get("error") if isinstance(answer, dict) else None
        param = error.get("param") if isinstance(error, dict) else None
        for text in (param, _said(answer)):
            words = {_plain(word) for word in _words(text)}
            for path in present:
                if not words.isdisjoint((_plain(path[-1]), _OTHER_WORDS.get(path, ""))):
                    return path
        return None


def _said(answer: object) -> str:
    return complaint(answer) or str(answer)[:_EXCERPT]


def _words(text: object) -> set[str]:
    import re

    return set(re.findall(r"[A-Za-z_]\w*", text)) if isinstance(text, str) else set()


def _plain(name: str) -> str:
    """A name as both snake_case and camelCase spell it."""
    return name.replace("_", "").lower()


def _value(body: Body, path: Path) -> object:
    value: object = body
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _without(body: Body, path: Path, new_name: str | None) -> Body:
    """A copy of the body without a parameter, or with another name for it."""
    key, *rest = path
    if rest:
        return {**body, key: _without(body[key], tuple(rest), new_name)}
    return {
        (new_name if name == key and new_name else name): value
        for name, value in body.items()
        if name != key or new_name
    }
