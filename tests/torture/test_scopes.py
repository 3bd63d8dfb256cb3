"""Whatever is asked, by whomever: nothing of another scope is seen, shown, linked or deleted.

Random calls of 50 users with overlapping, odd and hostile ids and filters, beside a model of who
owns what in plain Python. Every text holds a token that no other text holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from isomem import Memory
from isomem.testing import HashEmbedder, ScriptedLLM
from tests.torture.storage import scaled

OPERATIONS = scaled(1_500, 100_000)
MOST_MEMORIES = 300

SCOPE_KEYS = ("user_id", "agent_id", "run_id")
USERS = (
    "*", "u1", "u10", "u", "U1", "u1*", "**", "?", "u%", "%", "_", "u_", "user_id", "user_id=u1",
    "u1&run_id=r1", "u1&agent_id=a1", "agent_id=a1&user_id=u1", "null", "None", "true", "0", "1",
    "-1", "NaN", "é", "e\u0301", "u\0", "u1\0", '"u1"', "'u1'", "u1'--", "u1;", "{}", "[]",
    '{"ne":""}', "$or", "AND", "OR", "NOT", "ne", "\\", "\\u0000", "u1/u2", "../u1", "u1.u2",
    "u1[]", "🗼", "\u200b", "a1", "r1",
)  # fmt: skip
AGENTS = (None, None, None, "a1", "*", "u1", "a1&run_id=r1")
RUNS = (None, None, None, None, "r1", "*")
NO_IDS = (
    {"ne": ""}, {"ne": "u1"}, {"eq": "u1"}, {"in": list(USERS)}, {"nin": []}, {}, list(USERS),
    ["u1"], ("u1",), True, 7, 0.5, " ", "\t\n", "u1 u10", "\ud800", b"u1", object(),
)  # fmt: skip
PLACES = ("Rome", "Lake Garda", "Ana Silva", "Porto", "New York")

Ids = dict[str, str]


class Owner:
    """What a memory is known to be."""

    def __init__(self, ids: Ids, token: str, number: int) -> None:
        self.ids = ids
        self.token = token
        self.number = number

    def covered_by(self, scope: Ids) -> bool:
        return scope.items() <= self.ids.items()


class World:
    """One memory, and the model of it."""

    def __init__(self, memory: Memory, seed: int) -> None:
        self.memory = memory
        self.random = Random(seed)
        self.owners: dict[str, Owner] = {}
        self.spoken: dict[str, Ids] = {}
        self.made = 0

    # --- What is drawn ---

    def ids(self) -> Ids:
        pick = self.random.choice
        drawn = dict(zip(SCOPE_KEYS, (pick(USERS), pick(AGENTS), pick(RUNS)), strict=True))
        if self.random.random() < 0.1:
            drawn["user_id"] = None
            drawn["agent_id"] = pick(("a1", "*", "u1"))
        return {key: value for key, value in drawn.items() if value is not None}

    def known_ids(self) -> Ids:
        """Mostly those of a memory, or a part of them."""
        if not self.owners or self.random.random() < 0.2:
            return self.ids()
        ids = self.random.choice(list(self.owners.values())).ids
        kept = {key: value for key, value in ids.items() if self.random.random() < 0.7}
        return kept or dict(ids)

    def padded(self, ids: Ids) -> Ids:
        return {
            key: self.random.choice(("", " ", "\n")) + value + " " for key, value in ids.items()
        }

    def text(self) -> str:
        self.made += 1
        return (
            f"{self.random.choice(PLACES)} keeps token{self.made}x of {self.random.choice(PLACES)}"
        )

    def condition(self) -> Any:
        one = self.random.choice((*USERS, "a1", "r1"))
        some = self.random.sample(USERS, 3)
        return self.random.choice(
            (one, one, some, {"eq": one}, {"ne": one}, {"in": some}, {"nin": some})
        )

    def asked(self, *, with_number: bool) -> dict[str, Any]:
        """Ids at the top, and any conditions beside them."""
        more = self.filters() if self.random.random() < 0.7 else {}
        if with_number and self.random.random() < 0.3:
            more["n"] = self.random.randrange(3)
        return {**more, **self.known_ids()}

    def filters(self, depth: int = 2) -> dict[str, Any]:
        """Conditions on ids, in groups where there are levels left."""
        made: dict[str, Any] = {}
        if not depth or self.random.random() < 0.2:
            made[self.random.choice(SCOPE_KEYS)] = self.condition()
        if depth == 2:
            made = {}  # At the top an id is one string, and `asked` has it.
        if depth and (not made or self.random.random() < 0.5):
            names = ("AND", "OR", "NOT", "$and", "$or", "$not")
            for name in self.random.sample(names, self.random.randrange(1, 3)):
                count = self.random.randrange(1, 4)
                made[name] = [self.filters(depth - 1) for _ in range(count)]
        return made

    # --- What is done ---

    def add_raw(self) -> None:
        ids, text = self.ids(), self.text()
        metadata = {"n": self.made % 3, **self.random.choice(({}, {"user_id": "u1"}))}
        added = self.memory.add(text, infer=False, metadata=metadata, **self.padded(ids))
        self._own(added, ids, [text])

    def add_inferred(self) -> None:
        ids, said, facts = self.ids(), self.text(), [self.text(), self.text()]
        llm = ScriptedLLM([{"memory": [{"text": fact} for fact in facts]}])
        self.memory.llm = llm
        self.spoken[token_of(said)] = ids
        added = self.memory.add(said, metadata={"n": self.made % 3}, **ids)
        for token in tokens_in(str(llm.calls)):
            assert self._may_be_shown(token, ids), (token, ids)
        self._own(added, ids, facts)

    def _may_be_shown(self, token: str, ids: Ids) -> bool:
        if self.spoken.get(token) == ids:
            return True
        return any(o.token == token and o.covered_by(ids) for o in self.owners.values())

    def _own(self, added: Any, ids: Ids, texts: list[str]) -> None:
        assert [each["memory"] for each in added["results"]] == texts
        for each in added["results"]:
            self.owners[each["id"]] = Owner(ids, token_of(each["memory"]), self.made % 3)

    def search(self) -> None:
        filters = self.asked(with_number=False)
        found = self.memory.search("token Rome", filters=filters, top_k=50, threshold=0.0)
        self._check_results(found, filters)

    def get_all(self) -> None:
        filters = self.asked(with_number=True)
        listed = self.memory.get_all(filters=filters, top_k=10_000)
        self._check_results(listed, filters)
        expected = {key for key, owner in self.owners.items() if passes(owner, filters)}
        assert {each["id"] for each in listed["results"]} == expected, filters

    def _check_results(self, found: Any, filters: dict[str, Any]) -> None:
        top = {key: filters[key] for key in SCOPE_KEYS if key in filters}
        for each in found["results"]:
            owner = self.owners[each["id"]]
            assert token_of(each["memory"]) == owner.token
            assert {key: each[key] for key in SCOPE_KEYS if key in each} == owner.ids
            assert owner.covered_by(top), filters
            assert passes(owner, filters), filters

    def update(self) -> None:
        if memory_id := self._any_id():
            text, other = self.text(), self.ids()
            self.memory.update(memory_id, text, metadata=self.random.choice((None, {**other})))
            self.owners[memory_id].token = token_of(text)
            self.check_owner(memory_id)

    def delete(self) -> None:
        if memory_id := self._any_id():
            self.memory.delete(memory_id)
            del self.owners[memory_id]

    def _any_id(self) -> str | None:
        return self.random.choice(list(self.owners)) if self.owners else None

    def delete_all(self) -> None:
        ids = self.known_ids()
        self.memory.delete_all(**self.padded(ids))
        self.owners = {key: o for key, o in self.owners.items() if not o.covered_by(ids)}

    def history(self) -> None:
        if memory_id := self._any_id():
            events = self.memory.history(memory_id)
            assert {event["memory_id"] for event in events} == {memory_id}
            assert token_of(events[-1]["new_memory"]) == self.owners[memory_id].token

    def what_is_no_id(self) -> None:
        wrong = self.random.choice(NO_IDS)
        key, beside = self.random.choice(SCOPE_KEYS), self.known_ids()
        memory = self.memory
        calls: tuple[Callable[[], Any], ...] = (
            lambda: memory.add("x", infer=False, **{**beside, key: wrong}),
            lambda: memory.delete_all(**{**beside, key: wrong}),
            lambda: memory.search("token", filters={**beside, key: wrong}),
            lambda: memory.get_all(filters={**beside, key: wrong}),
        )
        with pytest.raises(ValueError, match=f"Invalid {key}: |At least one filter"):
            self.random.choice(calls)()

    # --- What is checked now and then ---

    def check_owner(self, memory_id: str) -> None:
        found = self.memory.get(memory_id)
        assert found is not None
        assert {key: found[key] for key in SCOPE_KEYS if key in found} == self.owners[memory_id].ids

    def check_everything(self) -> None:
        """Every memory is where the model has it, and no entity leads to one of another scope."""
        for memory_id in self.owners:
            self.check_owner(memory_id)
        entities: Any = self.memory.entity_store.list(top_k=None)[0]
        for entity in entities:
            for memory_id in entity.payload["linked_memory_ids"]:
                owner = self.owners[memory_id]
                for key, value in owner.ids.items():
                    assert entity.payload.get(key) == value, (entity.payload, owner.ids)


def token_of(text: str) -> str:
    (token,) = tokens_in(text)
    return token


def tokens_in(text: str) -> set[str]:
    return set(re.findall(r"token\d+x", text))


def passes(owner: Owner, filters: dict[str, Any]) -> bool:
    """All conditions hold together; a condition on an id that is not there does not hold."""
    return all(_holds(owner, key, value) for key, value in filters.items())


def _holds(owner: Owner, key: str, value: Any) -> bool:
    if key in ("AND", "$and"):
        return all(passes(owner, member) for member in value)
    if key in ("OR", "$or"):
        return any(passes(owner, member) for member in value)
    if key in ("NOT", "$not"):
        return not any(passes(owner, member) for member in value)
    if key == "n":
        return owner.number == value
    return key in owner.ids and _compares(owner.ids[key], value)


def _compares(own: str, value: Any) -> bool:
    if isinstance(value, dict):
        ((operator, operand),) = value.items()
        listed = operand if isinstance(operand, list) else [operand]
        return (own in listed) == (operator in ("eq", "in"))
    return own in value if isinstance(value, list) else bool(own == value)


@pytest.fixture
def memory() -> Iterator[Memory]:
    config = {
        "vector_store": {"provider": "embedded", "config": {"path": ":memory:", "cache_mb": 1}},
        "embedder": {"provider": "mock", "config": {"embedding_dims": 16}},
        "llm": {"provider": "mock"},
    }
    made = Memory.from_config(config)
    made.embedding_model = HashEmbedder(16)
    yield made
    made.close()


def test_no_call_reaches_out_of_its_scope(memory: Memory) -> None:
    world = World(memory, seed=10)
    usual = [
        *[world.add_raw] * 6, *[world.add_inferred] * 6, *[world.search] * 8, *[world.get_all] * 8,
        *[world.update] * 3, *[world.delete] * 3, world.delete_all, world.history,
        *[world.what_is_no_id] * 2,
    ]  # fmt: skip
    for number in range(OPERATIONS):
        full = len(world.owners) >= MOST_MEMORIES
        world.random.choice([world.delete_all, world.delete] if full else usual)()
        if number % 500 == 499:
            world.check_everything()
    world.check_everything()
