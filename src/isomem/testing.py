"""A kit for tests of programs that use isomem: no network, no key, the same result every time.

    from isomem.testing import HashEmbedder, ScriptedLLM

    memory.llm = ScriptedLLM([{"memory": [{"text": "Likes tea"}]}])
    memory.embedding_model = HashEmbedder()

`Recorder` saves the replies of a real model to a file, and `Replayer` replays them.
"""

from __future__ import annotations

from isomem.errors import LLMError
from isomem.providers.embedder.mock import ConstantEmbedder, HashEmbedder
from isomem.providers.llm.mock import ScriptedLLM
from isomem.providers.settings import default_settings
from isomem.providers.tables import LLM_OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import Any

    from isomem.ports.shapes import Message

    Key = Callable[[list[Message]], str]

__all__ = [
    "ConstantEmbedder",
    "HashEmbedder",
    "Recorder",
    "Replayer",
    "ScriptedLLM",
    "digest",
]


def digest(messages: list[Message]) -> str:
    """A short text that is equal for equal messages: 32 hex digits."""
    import hashlib
    import json

    text = json.dumps(messages, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Recorder:
    """Passes calls on to a model and appends its replies to a file.

    The file is JSON lines {"key", "messages", "reply"}: it contains the conversation in plain text.
    Failed calls are not recorded.

    Args:
        llm: the model.
        path: the file; it is created if it does not exist.
        key: makes the key by which a reply is found again; see `Replayer`.
    """

    def __init__(self, llm: Any, path: str | os.PathLike[str], key: Key = digest) -> None:
        self.llm = llm
        self.path = path
        self._key = key

    @property
    def config(self) -> Any:
        """The model's options."""
        return self.llm.config

    def generate_response(self, messages: list[Message], *args: Any, **options: Any) -> Any:
        """The model's reply, recorded."""
        asked = [dict(message) for message in messages]  # a model may change its messages
        return self._recorded(asked, self.llm.generate_response(messages, *args, **options))

    async def agenerate_response(self, messages: list[Message], *args: Any, **options: Any) -> Any:
        """As `generate_response`; the model must have this method, too."""
        asked = [dict(message) for message in messages]
        return self._recorded(asked, await self.llm.agenerate_response(messages, *args, **options))

    def _recorded(self, messages: list[Message], reply: Any) -> Any:
        import json

        line = {"key": self._key(messages), "messages": messages, "reply": reply}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        return reply

    def close(self) -> None:
        """Closes the model."""
        self.llm.close()

    async def aclose(self) -> None:
        """Closes the model."""
        await self.llm.aclose()


class Replayer:
    """Answers from a file that `Recorder` wrote. If messages were recorded several times, the
    replies come in the recorded order; from then on, the last one is repeated.

    Args:
        path: the file.
        key: makes the key of a reply from its messages. Pass another one, the same for recording
            and replaying, if messages differ between runs, for instance by today's date:
            `lambda messages: messages[-1]["content"].split("Today")[0]`.

    Raises:
        LLMError: the file cannot be read, or is not a recording.
    """

    def __init__(self, path: str | os.PathLike[str], key: Key = digest) -> None:
        self.config = default_settings(LLM_OPTIONS, model="replayed")
        self.path = path
        self._key = key
        self._replies = _recorded(path)

    def generate_response(self, messages: list[Message], *_: Any, **__: Any) -> Any:
        """The reply that was recorded for these messages.

        Raises:
            LLMError: there is none.
        """
        key = self._key(messages)
        replies = self._replies.get(key)
        if not replies:
            raise LLMError(
                f"{self.path} holds no reply for these messages (key {key})",
                details={"path": str(self.path), "key": key, "recorded": len(self._replies)},
                suggestion="Record again with isomem.testing.Recorder, or give both a `key` that "
                "leaves out what differs between runs",
            )
        return replies.pop(0) if len(replies) > 1 else replies[0]

    async def agenerate_response(self, messages: list[Message], *args: Any, **options: Any) -> Any:
        """As `generate_response`."""
        return self.generate_response(messages, *args, **options)

    def close(self) -> None:
        """Nothing to close."""

    async def aclose(self) -> None:
        """Nothing to close."""


def _recorded(path: str | os.PathLike[str]) -> dict[str, list[Any]]:
    import json

    replies: dict[str, list[Any]] = {}
    try:
        with open(path, encoding="utf-8") as file:
            for line in filter(str.strip, file):
                record = json.loads(line)
                replies.setdefault(record["key"], []).append(record["reply"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LLMError(
            f"{path} is not a recording that can be read: {error}",
            details={"path": str(path)},
            suggestion="Record it with isomem.testing.Recorder",
        ) from error
    return replies
