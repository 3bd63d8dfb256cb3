"""How many tokens a model has used, as its servers report it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    Counts = tuple[int, int, int]

# Where an answer reports the tokens of the prompt, and those of the completion.
_PROMPT = (
    ("usage", "prompt_tokens"),
    ("usage", "input_tokens"),
    ("usage", "inputTokens"),
    ("usageMetadata", "promptTokenCount"),
    ("prompt_eval_count",),
    ("prompt_token_count",),
)
_COMPLETION = (
    ("usage", "completion_tokens"),
    ("usage", "output_tokens"),
    ("usage", "outputTokens"),
    ("usageMetadata", "candidatesTokenCount"),
    ("eval_count",),
    ("generation_token_count",),
)


class Usage:
    """Calls that were answered, and their tokens. Threads and tasks may share one.

    A server that reports no tokens counts as a call only. In the child of a fork, the counts go on
    from those of its parent.
    """

    __slots__ = ("_by_thread",)

    def __init__(self) -> None:
        # Each thread adds to its own counts, so there is no lock that a fork could leave held.
        self._by_thread: dict[int, Counts] = {}

    def add(self, answer: object) -> None:
        """Counts one answer of a server."""
        from threading import get_ident

        thread = get_ident()
        calls, prompt, completion = self._by_thread.get(thread, (0, 0, 0))
        self._by_thread[thread] = (
            calls + 1,
            prompt + _first(answer, _PROMPT),
            completion + _first(answer, _COMPLETION),
        )

    @property
    def calls(self) -> int:
        """Calls that a server answered."""
        return self._sum(0)

    @property
    def prompt_tokens(self) -> int:
        """Tokens that were sent."""
        return self._sum(1)

    @property
    def completion_tokens(self) -> int:
        """Tokens that were answered."""
        return self._sum(2)

    def _sum(self, which: int) -> int:
        return sum(counts[which] for counts in list(self._by_thread.values()))

    def __repr__(self) -> str:
        names = ("calls", "prompt_tokens", "completion_tokens")
        return f"Usage({', '.join(f'{name}={getattr(self, name)}' for name in names)})"


def _first(answer: object, paths: tuple[tuple[str, ...], ...]) -> int:
    """The first count that the answer has at one of the paths; 0 if it has none."""
    for path in paths:
        value = answer
        for name in path:
            value = _at(value, name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return 0


def _at(value: object, name: str) -> object:
    """A member of a JSON object, or of an object of a vendor's library."""
    if isinstance(value, dict):
        members: Mapping[str, object] = value
        return members.get(name)
    return getattr(value, name, None)
