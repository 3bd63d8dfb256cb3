"""The limits and weights of mem0, as data: they are the same in every release that a profile names.

What the releases decide differently is in `profile` and in the module of each. The formulas that
use these numbers are in `scoring`, `payload` and the pipeline.
"""

from __future__ import annotations

# --- Adding ----------------------------------------------------------------------------------

EXISTING_MEMORIES = 10
"""How many stored memories the model is shown and new facts are compared with."""

RECENT_MESSAGES = 10
"""How many messages before the new ones the model is shown."""

KEPT_MESSAGES = 10
"""How many messages the buffer of a session keeps."""

SPOKEN_ROLES = ("system", "user", "assistant")
"""The roles whose messages are in a transcript."""

SILENT_ROLE = "system"
"""When messages are stored as they are, those of this role are left out."""

# --- Searching -------------------------------------------------------------------------------

DEFAULT_THRESHOLD = 0.1
"""The minimum similarity of a hit if the caller does not name one."""

CANDIDATES_PER_RESULT = 4
"""How many candidates are ranked per requested result."""

LEAST_CANDIDATES = 60
"""The minimum number of candidates that are ranked."""

SIGMOIDS = ((3, (5.0, 0.7)), (6, (7.0, 0.6)), (9, (9.0, 0.5)), (15, (10.0, 0.5)))
"""(terms, (midpoint, steepness)): the pair that normalizes BM25 scores of a query of up to so many
terms."""

LONGEST_SIGMOID = (12.0, 0.5)
"""The pair for a query of more terms."""

# --- Removing --------------------------------------------------------------------------------

MOST_REMOVED = 1_000_000
"""How many memories of a scope are listed before they are removed."""

# --- Entities --------------------------------------------------------------------------------

QUERY_ENTITIES = 8
"""How many entities of a query are used."""

ENTITY_MATCHES = 500
"""How many known entities are compared with each of them."""

LISTED_ENTITIES = 10_000
"""How many entities of a scope are searched for those of one memory."""

ENTITY_WEIGHT = 0.5
"""The most that an entity can add, before the division by the highest possible sum."""

LINK_DAMPING = 0.001
"""How much each further link, squared, reduces what an entity adds."""

MATCH_SIMILARITY = 0.95
"""At this cosine similarity or above, two entities of a scope are the same."""

BOOST_SIMILARITY = 0.5
"""An entity less similar than this to one of the query's gives no boost."""

SHORTEST_ENTITY, LONGEST_ENTITY = 3, 100
"""Characters of an entity; a longer match is broken formatting."""

LINKED_SHOWN = 200
"""The most memories of one entity that are shown."""

MOST_PLACED = 1_000_000
"""The most memories whose pages are looked for."""

# --- Answers ---------------------------------------------------------------------------------

TOLD_MEMORIES = 10
"""How many memories a model is told by default when it answers a user."""

QUERY_MESSAGES = 6
"""How many of the last messages mem0 searches with then."""

# --- Payloads --------------------------------------------------------------------------------

SPEAKER_FIELDS = ("actor_id", "role")
"""Who said it: an update keeps these fields, and history rows have them."""

OWN_FIELDS = ("isomem_expiration_date",)
"""Fields that only isomem writes: a caller's metadata with one of them is refused.

2.0.4 has no expiration date, and its `expiration_date` is metadata like any other. So the name is
one that metadata cannot have.
"""

RECORDED_BITS = 64
"""Bits of an integer, with its sign, that a history row holds: SQLite's."""

MEMORY_FIELDS = (
    "data", "hash", "created_at", "updated_at", "id", "text_lemmatized", "attributed_to",
)  # fmt: skip
"""The fields of a payload that are not the caller's metadata, beside those that are promoted."""
