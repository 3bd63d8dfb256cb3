"""The first steps: store two memories, find one."""

from isomem import Memory

with Memory.from_config({"embedder": {"provider": "local"}}) as memory:
    memory.add("I moved to Lisbon in May.", user_id="ana", infer=False)
    memory.add("My sister Eva is allergic to peanuts.", user_id="ana", infer=False)
    found = memory.search("Where does she live?", filters={"user_id": "ana"})
    for hit in found["results"]:
        print(round(hit["score"], 2), hit["memory"])
