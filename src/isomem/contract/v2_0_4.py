"""The profile "2.0.4": the limits and policies of mem0 2.0.4 as data.

What another release of mem0 does otherwise is another module with these names. The formulas that
read them stand in `scoring`, `payload` and the pipeline, and know no profile.
"""

from __future__ import annotations

# --- Adding ----------------------------------------------------------------------------------

EXISTING_MEMORIES = 10
"""How many stored memories the model is shown, and new ones are compared with."""

RECENT_MESSAGES = 10
"""How many messages before the new ones the model is shown."""

KEPT_MESSAGES = 10
"""How many messages the buffer of a session keeps."""

SPOKEN_ROLES = ("system", "user", "assistant")
"""The roles that a transcript has lines of."""

SILENT_ROLE = "system"
"""What this role says is no memory when messages are stored as they are."""

# --- Searching -------------------------------------------------------------------------------

DEFAULT_THRESHOLD = 0.1
"""The least similarity of a hit where the caller names none."""

CANDIDATES_PER_RESULT = 4
"""How many candidates are ranked for each result that was asked for."""

LEAST_CANDIDATES = 60
"""How many candidates are ranked at least."""

SIGMOIDS = ((3, (5.0, 0.7)), (6, (7.0, 0.6)), (9, (9.0, 0.5)), (15, (10.0, 0.5)))
"""Up to how many terms of a query which pair (midpoint, steepness) normalizes BM25 scores."""

LONGEST_SIGMOID = (12.0, 0.5)
"""The pair for a query of more terms."""

# --- Removing --------------------------------------------------------------------------------

MOST_REMOVED = 1_000_000
"""How many memories of a scope are listed before they are removed."""

# --- Entities --------------------------------------------------------------------------------

QUERY_ENTITIES = 8
"""How many entities of a query are looked at."""

ENTITY_MATCHES = 500
"""How many known entities are compared with each of them."""

LISTED_ENTITIES = 10_000
"""How many entities of a scope are looked through for those of one memory."""

ENTITY_WEIGHT = 0.5
"""Most that an entity can add, before the division by what was possible."""

LINK_DAMPING = 0.001
"""How much each further link, squared, takes from what an entity adds."""

MATCH_SIMILARITY = 0.95
"""From this cosine similarity on, two entities in one scope are the same one."""

BOOST_SIMILARITY = 0.5
"""Entities less similar than this to one of the query's say nothing about a memory."""

SHORTEST_ENTITY, LONGEST_ENTITY = 3, 100
"""Characters of an entity; a longer match is formatting gone wrong."""

# --- Payloads --------------------------------------------------------------------------------

SPEAKER_FIELDS = ("actor_id", "role")
"""Who said it: an update keeps them, and history rows name them."""

PROMOTED_FIELDS = ("user_id", "agent_id", "run_id", *SPEAKER_FIELDS)
"""Fields of a payload that a result names at its top level, where the payload has them."""

MEMORY_FIELDS = (
    "data", "hash", "created_at", "updated_at", "id", "text_lemmatized", "attributed_to",
)  # fmt: skip
"""The other fields of a payload that are not the caller's metadata."""
