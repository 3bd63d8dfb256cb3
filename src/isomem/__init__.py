"""isomem: long-term memory for AI agents, the same memory as mem0 at a fraction of the cost.

::

    from isomem import Memory

    memory = Memory()
    memory.add("I moved to Lisbon in May.", user_id="ana")
    memory.search("Where does she live?", filters={"user_id": "ana"})
"""

from __future__ import annotations

from isomem.config import MemoryConfig
from isomem.memory import AsyncMemory, Memory

__version__ = "0.1.0"

__all__ = ["AsyncMemory", "Memory", "MemoryConfig", "__version__"]
