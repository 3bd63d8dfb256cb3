"""Messages: what a caller passes to `add`, read once."""

from __future__ import annotations

from isomem import log
from isomem.contract.arguments import check_text, not_unicode
from isomem.contract.limits import SILENT_ROLE, SPOKEN_ROLES
from isomem.contract.profile import DEFAULT
from isomem.errors import ValidationError
from isomem.types import is_unicode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from isomem.contract.profile import Profile
    from isomem.types import Message


class Utterance:
    """One message that has content.

    Attributes:
        role: who speaks, as in the message.
        name: the speaker's name; None if it is missing or empty.
        content: the text. An image is the message's own content until a model has described it.
            The rare content that is neither text nor parts, such as None, stays as it is.
        message: the dict that the model and the session's buffer get.
    """

    __slots__ = ("content", "message", "name", "role")

    def __init__(self, message: Message, role: object) -> None:
        self.message = message
        self.role = role
        self.name: object = message.get("name") or None
        self.content: Any = message.get("content")

    def describe(self, description: object) -> None:
        """Replaces an image by its description. The name is dropped, as in mem0."""
        self.message = {"role": self.role, "content": description}
        self.name = None
        self.content = description


class Conversation:
    """The messages of one `add`.

    `messages` are all of them, unchanged; a procedural memory is made from these. `read` finds out
    who said what. It fills `utterances`, and `images` with those that a model has to describe
    before their content is text. After that, `remembered` are the utterances that become memories
    without a model, and `texts` and `transcript` are what a model is shown.

    Args:
        given: a str, a dict or a list of dicts.
        profile: of the memory.

    Raises:
        ValidationError: VALIDATION_003, it has another type.
    """

    __slots__ = ("images", "messages", "profile", "utterances")

    def __init__(self, given: object, profile: Profile = DEFAULT) -> None:
        self.profile = profile
        if isinstance(given, str):
            given = [{"role": "user", "content": given}]
        elif isinstance(given, dict):
            given = [given]
        elif not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            raise _wrong_type(given)
        self.messages: list[Message] = given
        self.utterances: list[Utterance] = []
        self.images: list[Utterance] = []

    def read(self, *, sees_images: bool = False) -> None:
        """Reads who said what.

        A message without content (such as a tool call) has nothing to remember, and the log says
        so. Of a list of parts, only the text parts remain, unless a model sees the images.

        Raises:
            ValidationError: VALIDATION_004, a message without a role where it needs one, with a
                role or name that is not text, or with text that is not valid Unicode.
        """
        profile = self.profile
        for index, message in enumerate(self.messages):
            role = message.get("role")
            if not role or "name" in message or type(role) is not str or not role.isascii():
                _check_labels(index, message, needs_role=profile.NEEDS_ROLE)
            if not profile.is_said(message):
                log.warning("Skipping a message of role %r without content", role)
                continue
            utterance = Utterance(message, role)
            content = utterance.content
            if isinstance(content, str):
                if not content.isascii() and not is_unicode(content):
                    raise not_unicode(f"message {index}")
            elif sees_images and _is_seen(utterance):
                self.images.append(utterance)
            elif not self._reduce(utterance):
                continue
            self.utterances.append(utterance)

    def _reduce(self, utterance: Utterance) -> bool:
        """Reduces parts to their text. Returns whether anything is left."""
        text = self.profile.reduce_parts(utterance.message)
        if text is None:
            return False
        utterance.message, utterance.content = text, text["content"]
        utterance.name = text.get("name") or None
        return True

    def remembered(self) -> list[Utterance]:
        """The utterances that become memories as they are: not the system's, and with text.

        Raises:
            ValidationError: VALIDATION_004, content that is not text.
        """
        remembered = []
        for each in self.utterances:
            if each.content is None or each.role is None:
                log.warning("Skipping a message of role %r without content", each.role)
            elif each.role != SILENT_ROLE:
                if type(each.content) is not str or not each.content.isascii():
                    check_text(each.content, "message content")
                remembered.append(each)
        return remembered

    def texts(self) -> list[Message]:
        """The utterances as messages."""
        return [each.message for each in self.utterances]

    def transcript(self) -> str:
        """The utterances as lines of `role: content`, without roles other than `SPOKEN_ROLES`.

        The log says what a model is not shown, and when it is shown nothing.
        """
        for role in {each.role for each in self.utterances}.difference(SPOKEN_ROLES):
            log.warning("The model is not shown messages of role %r, as in mem0", role)
        if not any(each.content for each in self.utterances):
            log.warning("The messages have no text, so there is nothing to remember")
        return transcript(self.texts(), self.profile)


def transcript(messages: list[Message], profile: Profile = DEFAULT) -> str:
    """Messages as lines of `role: content`, without those that a model is not shown."""
    return "".join(
        f"{message['role']}: {message['content']}\n"
        for message in messages
        if profile.is_spoken(message)
    )


def _is_seen(utterance: Utterance) -> bool:
    """Whether content goes to a model with vision: any list of parts, or one image."""
    content = utterance.content
    if utterance.role == SILENT_ROLE:
        return False
    return isinstance(content, list) or (
        isinstance(content, dict) and content.get("type") == "image_url"
    )


def _wrong_type(given: object) -> ValidationError:
    return ValidationError(
        "messages must be str, dict, or list[dict]",
        error_code="VALIDATION_003",
        details={
            "provided_type": type(given).__name__,
            "valid_types": ["str", "dict", "list[dict]"],
        },
        suggestion="Convert your input to a string, dictionary, or list of dictionaries.",
    )


def _check_labels(index: int, message: Message, *, needs_role: bool) -> None:
    """Refuses a role or a name that cannot be stored; mem0 stores numbers as they are."""
    if needs_role and not message.get("role"):
        raise _no_role(index, message)
    for key in ("role", "name"):
        label = message.get(key)
        if isinstance(label, str):
            if not is_unicode(label):
                raise not_unicode(f"the {key} of message {index}")
        elif label is not None and not isinstance(label, (bool, int, float, bytes)):
            check_text(label, f"the {key} of message {index}")


def _no_role(index: int, message: Message) -> ValidationError:
    return ValidationError(
        f"message {index} has no role",
        error_code="VALIDATION_004",
        details={"index": index, "keys": sorted(map(str, message))},
        suggestion="Give every message a 'role', such as 'user' or 'assistant'.",
    )
