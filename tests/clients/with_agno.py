"""agno: `Mem0Tools`, the tools that an agent is given."""

from __future__ import annotations

import json

from agno.run import RunContext
from agno.tools.mem0 import Mem0Tools
from drive import Outcome, Place
from model import OTHER_STATEMENT, QUESTION, STATEMENT


def use(place: Place) -> Outcome:
    tools = Mem0Tools(config=place.config, user_id="ana")
    context = RunContext(run_id="1", session_id="1", user_id="ana")
    for statement in (STATEMENT, OTHER_STATEMENT):
        assert json.loads(tools.add_memory(context, statement))["results"]
    answer = tools.search_memory(context, QUESTION)
    stored = place.texts(tools.client, "ana")
    try:
        return Outcome(stored, [each["memory"] for each in json.loads(answer)])
    except ValueError:
        return Outcome(stored, [], [answer])
