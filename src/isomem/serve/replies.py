"""Replies: the text of an OpenAI-compatible answer, read beside the bytes that are passed on."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from isomem.errors import MemoryError

_DATA = b"data:"
_LONGEST_LINE = 2**20
"""A longer line of a stream is not read: it is no text of a reply."""


class Reply:
    """What a model replies, as far as it has come: of several choices, the first.

    Attributes:
        calls_tools: whether it asks for tools, so that the turn goes on.
    """

    def __init__(self) -> None:
        self.calls_tools = False
        self._texts: list[str] = []
        self._rest = b""

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._texts)

    def read(self, content: bytes) -> None:
        """Reads an answer that is not a stream."""
        self._take(_loaded(content), "message")

    def feed(self, part: bytes) -> None:
        """Reads a part of a stream of events; lines may be cut anywhere."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            self._rest = b""
        for line in lines:
            if line.startswith(_DATA):
                self._take(_loaded(line.removeprefix(_DATA)), "delta")

    def broken_off(self, error: MemoryError) -> bytes:
        """The last event of a stream that cannot go on: an error as OpenAI's clients read it."""
        body = {"message": error.message, "type": "server_error", "code": error.code}
        self._rest = b""
        return b"\n\ndata: " + json.dumps({"error": {**body, "param": None}}).encode() + b"\n\n"

    def _take(self, answer: object, part: str) -> None:
        choices = answer.get("choices") if isinstance(answer, dict) else None
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and not choice.get("index"):
                self._take_message(choice.get(part))

    def _take_message(self, said: object) -> None:
        if not isinstance(said, dict):
            return
        if isinstance(said.get("content"), str):
            self._texts.append(said["content"])
        if said.get("tool_calls") or said.get("function_call"):
            self.calls_tools = True


def _loaded(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
