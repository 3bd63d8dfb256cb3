"""Profiles: what the releases of mem0 decide differently, one module for each release.

A memory chooses its profile once, by the option `profile`. The rules that are the same everywhere
are not here: they are in the pipeline and in the other modules of `contract`.
"""

from __future__ import annotations

from isomem.contract import v2_0_4
from isomem.contract.visibility import Visibility

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Protocol, TypeVar

    from isomem.clock import Clock
    from isomem.contract.payload import ResultFields
    from isomem.contract.plan import Change
    from isomem.types import Message, Payload

    T = TypeVar("T", bound=Any)

    class Profile(Protocol):
        """A module with the decisions of one release."""

        NAME: str

        # --- Arguments ---

        def read_id(self, value: object, name: str) -> str:
            """An id that is not a string, or ValueError."""
            ...

        def is_given(self, value: object) -> bool:
            """Whether `delete_all` takes a value as an id that was passed."""
            ...

        def read_query(self, query: object) -> object:
            """A query before anything else is checked, or ValueError."""
            ...

        REFUSED_BY_SEARCH: Mapping[str, str]
        """What is said about arguments of `search` that are an error, by name."""

        LEAST_LISTED: int
        """`get_all` with a smaller `top_k` lists so many memories."""

        # --- Messages ---

        NEEDS_ROLE: bool
        """Whether a message without a role is an error."""

        def is_said(self, message: Message) -> bool:
            """Whether a message counts at all."""
            ...

        def is_spoken(self, message: Message) -> bool:
            """Whether a message is in the transcript that a model is shown."""
            ...

        def reduce_parts(self, message: Message) -> Message | None:
            """A message without its images; None if nothing is left."""
            ...

        def address_of(self, image: Payload) -> str:
            """Where an image is, or ValueError or ValidationError."""
            ...

        # --- The model ---

        RAISES_LLM_ERRORS: bool
        """Whether an `add` whose model call fails raises, whatever is configured."""

        LLM_FAILURE: str
        """How the message of that error begins."""

        def reply_text(self, reply: Any) -> Any:
            """The text of a reply that has another form, if it is read in this release."""
            ...

        def check_summary(self, text: str) -> str:
            """The text of a procedural memory, or ValueError."""
            ...

        # --- Payloads ---

        RESULT_FIELDS: ResultFields

        def stamp(self, metadata: Payload | None, ids: dict[str, str]) -> dict[str, object]:
            """The fields that every memory of one `add` starts with."""
            ...

        def overlay(self, metadata: Payload | None) -> Payload:
            """What an update takes of the caller's metadata."""
            ...

        def changed(self, old: Payload, change: Change, now: str) -> Payload:
            """The payload after an update."""
            ...

        # --- Expiry ---

        EXPIRATION_FIELDS: Sequence[str]
        """Fields of a payload with an expiration date; the first one is written."""

        TELLS_EXPIRED: bool
        """Whether an extraction is told of expired memories, and a fact like one is known."""

        WIDENS_SEARCH: bool
        """Whether a search looks at more candidates if some of them are hidden."""

        def first_listed(
            self, ask: Callable[[int], Sequence[T]], top_k: int, visibility: Visibility
        ) -> Sequence[T]:
            """The first memories of a list that are not hidden; see `Visibility.first_shown`."""
            ...

        # --- Stores ---

        BUFFERS_FAILED_ADDS: bool
        """Whether the messages of an `add` are kept although no memory of it could be stored."""

        REEMBEDS_SAME_TEXT: bool
        """Whether an update that changes only metadata embeds the text again."""

        RELINKS_SAME_TEXT: bool
        """Whether an update links the entities of a text anew that it does not change."""

        SHOWS_READ_FAILURES: bool
        """Whether an update raises the error of a store that cannot look the memory up."""

        # --- Entities ---

        def entity_key(self, text: str) -> str:
            """Entities with the same key are the same."""
            ...

        MATCHES_TEXT: bool
        """Whether a stored entity with the same key is the same, before any similarity."""

        EMBEDS_PROBES_TOGETHER: bool
        """Whether the entities of a query are embedded together, and none if that fails."""

        BOOSTS_SINGLY: bool
        """Whether an entity of a query that cannot be looked up leaves the later ones out."""


DEFAULT: Profile = v2_0_4
"""The contract."""


def profile_of(name: str) -> Profile:
    """The profile of one of `types.PROFILES`."""
    if name == DEFAULT.NAME:
        return DEFAULT
    from isomem.contract import v2_2_1

    return v2_2_1


def told_of(profile: Profile, clock: Clock) -> Visibility:
    """Which memories an extraction is told of: a fact that equals one of them is known."""
    return Visibility(clock, profile.EXPIRATION_FIELDS, show_expired=profile.TELLS_EXPIRED)
