"""Private methods of mem0's memories: those that published programs override are called."""

from __future__ import annotations

from tests.unit.compat.children import run, told

MEMORY = """
import isomem.compat, json, warnings
warnings.simplefilter("ignore")
from mem0 import AsyncMemory, Memory
from mem0.configs.base import MemoryConfig

def config():
    return MemoryConfig(
        vector_store={"provider": "embedded", "config": {"path": ":memory:"}},
        embedder={"provider": "mock", "config": {}},
        llm={"provider": "mock", "config": {}},
    )

calls = []
HOOKS = (
    "_add_to_vector_store", "_create_memory", "_update_memory", "_delete_memory",
    "_search_vector_store", "_get_all_from_vector_store",
)

def noting(name, base):
    def called(self, *args, **kwargs):
        calls.append([name, len(args), sorted(kwargs)])
        return getattr(super(kind, self), name)(*args, **kwargs)
    return called

def use(memory):
    said = [
        {"role": "user", "content": "likes tea", "name": "ana"},
        {"role": "system", "content": "x"},
    ]
    added = yield memory.add(said, user_id="u", metadata={"k": 1}, infer=False)
    one = added["results"][0]["id"]
    yield memory.update(one, "likes green tea")
    found = yield memory.search("likes green tea", filters={"user_id": "u"}, top_k=3)
    listed = yield memory.get_all(filters={"user_id": "u"})
    gone = yield memory.delete(one)
    yield memory.add("more", user_id="u", infer=False)
    yield memory.delete_all(user_id="u")
    left = yield memory.get_all(filters={"user_id": "u"})
    clean = [{k: v for k, v in each.items() if k in ("memory", "metadata", "actor_id", "role")}
             for each in [*added["results"], *found["results"], *listed["results"]]]
    return [clean, gone, left]

def drive(steps):
    try:
        result = next(steps)
        while True:
            result = steps.send(result)
    except StopIteration as stop:
        return stop.value

async def adrive(steps):
    try:
        result = await next(steps)
        while True:
            result = await steps.send(result)
    except StopIteration as stop:
        return stop.value
"""

EXPECTED = [
    ["_add_to_vector_store", 4, ["prompt"]],
    ["_create_memory", 3, []],
    ["_update_memory", 4, []],
    ["_search_vector_store", 4, []],
    ["_get_all_from_vector_store", 2, []],
    ["_delete_memory", 2, []],
    ["_add_to_vector_store", 4, ["prompt"]],
    ["_create_memory", 3, []],
    ["_delete_memory", 1, []],
    ["_get_all_from_vector_store", 2, []],
]
"""The hooks in the order of the calls, with the arguments that mem0 2.0.4 gives them."""


def test_each_hook_that_a_subclass_overrides_is_called_as_in_mem0() -> None:
    result, calls = told(f"""{MEMORY}
kind = type("Mine", (Memory,), {{name: noting(name, Memory) for name in HOOKS}})
print(json.dumps([drive(use(kind(config()))), calls]))
""")
    plain = told(f"{MEMORY}\nprint(json.dumps(drive(use(Memory(config())))))")
    assert result == plain
    assert calls == EXPECTED


def test_the_same_in_an_asynchronous_memory() -> None:
    result, calls = told(f"""{MEMORY}
import asyncio
kind = type("Mine", (AsyncMemory,), {{name: noting(name, AsyncMemory) for name in HOOKS}})
print(json.dumps([asyncio.run(adrive(use(kind(config())))), calls]))
""")
    plain = told(f"{MEMORY}\nprint(json.dumps(drive(use(Memory(config())))))")
    assert result == plain
    assert calls == EXPECTED


def test_a_hook_that_is_put_into_the_class_or_an_object_is_called() -> None:
    assert told(f"""{MEMORY}
def gate(self, data, existing_embeddings, metadata=None):
    return "none" if "secret" in data else original(self, data, existing_embeddings, metadata)
original = Memory._create_memory
Memory._create_memory = gate
memory = Memory(config())
first = memory.add("a secret", user_id="u", infer=False)["results"][0]["id"]
Memory._create_memory = original
memory._search_vector_store = lambda query, filters, limit, threshold=0.1: [[query, filters, limit]]
print(json.dumps([
    first, memory.get_all(filters={{"user_id": "u"}}),
    memory.search("q", filters={{"user_id": "u"}}, top_k=2),
]))
""") == ["none", {"results": []}, {"results": [["q", {"user_id": "u"}, 2]]}]


def test_a_hook_can_be_called() -> None:
    stored = told(f"""{MEMORY}
memory = Memory(config())
fields = {{"user_id": "u", "created_at": "2024-05-01T00:00:00+00:00", "k": 1}}
one = memory._create_memory(data="likes tea", existing_embeddings={{}}, metadata=fields)
vector = memory.embedding_model.embed("likes tea", "add")
two = memory._create_memory("likes tea", {{"likes tea": vector}}, {{"user_id": "u"}})
found = memory._search_vector_store("likes tea", {{"user_id": "u"}}, 5)
print(json.dumps([
    memory.get(one), {{each["id"] for each in found}} == {{one, two}},
    [row["event"] for row in memory.history(one)],
    memory._update_memory(one, "likes coffee", {{}}) == one, memory.get(one)["memory"],
    memory._delete_memory(one) == one, memory.get(one),
]))
""")
    assert stored[0]["created_at"] == "2024-05-01T00:00:00+00:00"
    assert stored[0]["metadata"] == {"k": 1}
    assert stored[1:] == [True, ["ADD"], True, "likes coffee", True, None]


def test_a_procedural_memory_goes_through_the_hook_that_stores() -> None:
    assert told(f"""{MEMORY}
class Mine(Memory):
    def _create_memory(self, data, existing_embeddings, metadata=None):
        calls.append([data, [*existing_embeddings] == [data], metadata])
        return super()._create_memory(data, existing_embeddings, metadata)
class Model:
    def generate_response(self, messages, **options):
        return "```\\nsummary of " + messages[1]["content"] + "\\n```"
memory = Mine(config())
memory.llm = Model()
made = memory.add("steps", agent_id="a", memory_type="procedural_memory")["results"]
print(json.dumps([calls, [each["memory"] for each in made]]))
""") == [
        [["summary of steps", True, {"agent_id": "a", "memory_type": "procedural_memory"}]],
        ["summary of steps"],
    ]


def test_overriding_a_hook_gives_a_warning_that_names_it() -> None:
    done = run(
        """
        import isomem.compat
        from mem0 import Memory
        class Mine(Memory):
            def _create_memory(self, *args): ...
            def _compute_entity_boosts(self, *args): ...
        class Innocent(Memory):
            def add(self, *args): ...
        """,
        warnings="always",
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "HookWarning" in line]
    assert ["Mine overrides _create_memory" in lines[0], "is called" in lines[0]] == [True, True]
    assert "Mine overrides _compute_entity_boosts" in lines[1]
    assert "never calls" in lines[1]
    assert len(lines) == 2


def test_an_option_that_the_hook_has_no_place_for_is_refused() -> None:
    done = run(f"""{MEMORY}
class Mine(Memory):
    def _search_vector_store(self, *args): ...
Mine(config()).search("q", filters={{"user_id": "u"}}, explain=True)
""")
    assert "search(explain=) does not reach the private methods of mem0" in done.stderr


def test_an_unknown_id_is_refused_as_without_hooks() -> None:
    done = run(f"""{MEMORY}
class Mine(Memory):
    def _delete_memory(self, *args): ...
Mine(config()).delete("nobody")
""")
    assert "MemoryNotFoundError" in done.stderr
