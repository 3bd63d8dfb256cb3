"""Requests for mem0's self-hosted server and for ours: at least 200, valid and bad.

A text `<name>` in a path or a body is the id of the memory that an earlier step saved under it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

UNKNOWN = "00000000-0000-4000-8000-000000000000"


class Step(NamedTuple):
    """One request.

    Attributes:
        json: the body; `content` is one that is sent as it is.
        save: the names under which the ids of the new memories are kept.
    """

    method: str
    path: str
    json: Any = None
    content: bytes | None = None
    save: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What a person sees."""
        sent = self.json if self.content is None else self.content
        return f"{self.method} {self.path} {'' if sent is None else repr(sent)}".strip()[:200]


def steps() -> list[Step]:
    """All of them, in order."""
    return [
        *_bad_bodies(),
        *_adding(),
        *_reading(),
        *_searching(),
        *_changing(),
        *_entities(),
        *_removing(),
        *_other(),
        *_resetting(),
    ]


def said(*contents: str, role: str = "user") -> list[dict[str, str]]:
    """Messages with these contents."""
    return [{"role": role, "content": content} for content in contents]


def _post(path: str, body: Any, *save: str) -> Step:
    return Step("POST", path, body, save=save)


def _get(path: str) -> Step:
    return Step("GET", path)


def _bad_bodies() -> list[Step]:
    bodies = (b"", b"{", b"[]", b"null", b'"text"', b"5", b'{"a": }', b"\xff\xfe", b"{'a': 1}")
    writes = (("POST", "/memories"), ("POST", "/search"), ("PUT", f"/memories/{UNKNOWN}"))
    broken = [
        Step(method, path, content=body)
        for method, path in (*writes, ("POST", "/generate-instructions"))
        for body in bodies
    ]
    wrong = [
        ("PATCH", "/memories"), ("PUT", "/search"), ("GET", "/search"), ("DELETE", "/search"),
        ("GET", "/reset"), ("GET", "/nothing"), ("POST", "/memories/"), ("GET", "/memories/a/b"),
        ("POST", "/entities"), ("DELETE", "/entities/user"), ("DELETE", "/configure"),
    ]  # fmt: skip
    return [*broken, *(Step(method, path) for method, path in wrong)]


def _adding() -> list[Step]:
    ana = {"user_id": "ana"}
    raw = {**ana, "infer": False}
    refused: list[Any] = [
        {}, ana, {"messages": None, **ana}, {"messages": "I like tea", **ana},
        {"messages": {"role": "user", "content": "tea"}, **ana}, {"messages": 5, **ana},
        {"messages": ["tea"], **ana}, {"messages": [5], **ana}, {"messages": [None], **ana},
        {"messages": [{"role": "user"}], **ana}, {"messages": [{"content": "tea"}], **ana},
        {"messages": [{"role": 5, "content": "tea"}], **ana},
        {"messages": [{"role": "user", "content": 5}], **ana},
        {"messages": [{"role": "user", "content": None}], **ana},
        {"messages": [{"role": "user", "content": ["tea"]}], **ana},
        {"messages": said("tea")}, {"messages": said("tea"), "user_id": None},
        {"messages": said("tea"), "user_id": ""}, {"messages": said("tea"), "user_id": 5},
        {"messages": said("tea"), "user_id": ["ana"]}, {"messages": said("tea"), "user_id": True},
        {"messages": said("tea"), "user_id": "an a"}, {"messages": said("tea"), "user_id": "  "},
        {"messages": said("tea"), "user_id": "", "agent_id": ""},
        {"messages": said("tea"), **ana, "metadata": "a"},
        {"messages": said("tea"), **ana, "metadata": ["a"]},
        {"messages": said("tea"), **ana, "metadata": 5},
        {"messages": said("tea"), **ana, "infer": "perhaps"},
        {"messages": said("tea"), **ana, "infer": 2}, {"messages": said("tea"), **ana, "infer": []},
        {"messages": said("tea"), **ana, "infer": {}},
        {"messages": said("tea"), **ana, "memory_type": "core"},
        {"messages": said("tea"), **ana, "memory_type": 5},
        {"messages": said("tea"), **ana, "memory_type": "procedural_memory"},
        {"messages": said("tea"), **ana, "prompt": 5},
        {"messages": said("THE MODEL FAILS"), **ana},
        {"messages": said("THE MODEL TALKS NONSENSE"), **ana},
    ]  # fmt: skip
    stored = [
        _post("/memories", {"messages": said("I drink green tea in the morning"), **raw}, "tea"),
        _post("/memories", {"messages": said("My bicycle is blue"), **raw}, "bicycle"),
        _post("/memories", {"messages": said("My cat is called Olive"), **raw, "metadata":
              {"topic": "pets", "rank": 3, "deep": {"a": [1, None, True]}}}, "cat"),
        _post("/memories", {"messages": [*said("Where do I live?"),
              *said("You live in Porto", role="assistant")], **raw, "run_id": "r1"}, "q", "a"),
        _post("/memories", {"messages": said("I am the system", role="system"), **raw}),
        _post("/memories", {"messages": said("Reads maps"), "agent_id": "guide",
              "infer": False}, "maps"),
        _post("/memories", {"messages": said("Walks at dawn"), "run_id": "r2",
              "infer": False}, "dawn"),
        _post("/memories", {"messages": said("Sails on Sundays"), "user_id": "bob", "agent_id":
              "guide", "run_id": "r3", "infer": False}, "sails"),
        _post("/memories", {"messages": said("Trains are fun"), **ana, "infer": "false"}, "trains"),
        _post("/memories", {"messages": said("Boats are slow"), **ana, "infer": 0}, "boats"),
        _post("/memories", {"messages": said("Planes are loud"), **ana, "infer": "off"}, "planes"),
        _post("/memories", {"messages": said("Mornings [[Works best in the morning]]"), **ana},
              "work"),
        _post("/memories", {"messages": said("Again [[Works best in the morning]]"), **ana}),
        _post("/memories", {"messages": said("Two [[Owns a red kite]] and [[Has two sisters]]"),
              **ana, "metadata": {"topic": "home"}}, "kite", "sisters"),
        _post("/memories", {"messages": said("Nothing to keep"), **ana}),
        _post("/memories", {"messages": said("Prompted [[Eats no meat]]"), **ana,
              "prompt": "Only food."}, "meat"),
        _post("/memories", {"messages": said("Null ids [[Sings alto]]"), **ana, "agent_id": None,
              "run_id": None, "metadata": None, "infer": None}, "alto"),
        _post("/memories", {"messages": [], **ana}),
        _post("/memories", {"messages": [], **raw}),
        _post("/memories", {"messages": said(""), **raw}),
        _post("/memories", {"messages": said("Ünïcödé 🍵 \u2028 stays"), **raw}, "unicode"),
        _post("/memories", {"messages": said("Unknown names"), **raw, "async_mode": True,
              "output_format": "v1.1", "enable_graph": False}, "unknown"),
        _post("/memories", {"messages": said("Spaces"), "user_id": " ana ",
              "infer": False}, "space"),
        _post("/memories", {"messages": said("Steps of a task [[x]]"), "agent_id": "guide",
              "memory_type": "procedural_memory"}),
    ]  # fmt: skip
    return [*(_post("/memories", body) for body in refused), *stored]


def _reading() -> list[Step]:
    lists = (
        "", "?user_id=ana", "?user_id=bob", "?user_id=nobody", "?agent_id=guide", "?run_id=r1",
        "?user_id=bob&agent_id=guide", "?user_id=bob&agent_id=guide&run_id=r3",
        "?user_id=ana&run_id=r2", "?user_id=", "?user_id=&agent_id=guide", "?user_id=an%20a",
        "?user_id=ana&user_id=bob", "?user_id=%20ana%20", "?unknown=1", "?user_id=%2A",
    )  # fmt: skip
    ones = ("<tea>", "<cat>", "<sails>", "<kite>", UNKNOWN, "not-a-uuid", "%20", "5", "%00")
    names = ("<tea>", "<kite>", "<sails>", UNKNOWN, "not-a-uuid")
    return [
        *(_get(f"/memories{query}") for query in lists),
        *(_get(f"/memories/{name}") for name in ones),
        *(_get(f"/memories/{name}/history") for name in names),
    ]


def _searching() -> list[Step]:
    tea = {"query": "green tea"}
    ana = {"filters": {"user_id": "ana"}}
    bodies: list[Any] = [
        {}, {"query": None, **ana}, {"query": 5, **ana}, {"query": ["tea"], **ana}, tea,
        {**tea, "filters": None}, {**tea, "filters": {}}, {**tea, "filters": "ana"},
        {**tea, "filters": ["ana"]}, {**tea, "filters": {"topic": "pets"}}, {**tea, **ana},
        {**tea, "user_id": "ana"}, {**tea, "user_id": "bob", **ana}, {**tea, "user_id": 5},
        {**tea, "user_id": ""}, {**tea, "user_id": "an a"}, {**tea, "agent_id": "guide"},
        {**tea, "run_id": "r1", **ana}, {**tea, "filters": {"user_id": "nobody"}},
        {**tea, **ana, "top_k": 1}, {**tea, **ana, "top_k": 0}, {**tea, **ana, "top_k": -1},
        {**tea, **ana, "top_k": "2"}, {**tea, **ana, "top_k": 2.0}, {**tea, **ana, "top_k": 2.5},
        {**tea, **ana, "top_k": "many"}, {**tea, **ana, "top_k": True},
        {**tea, **ana, "top_k": None},
        {**tea, **ana, "threshold": 0}, {**tea, **ana, "threshold": 0.4},
        {**tea, **ana, "threshold": "0.4"}, {**tea, **ana, "threshold": 1},
        {**tea, **ana, "threshold": 1.5}, {**tea, **ana, "threshold": -0.1},
        {**tea, **ana, "threshold": "high"}, {**tea, **ana, "threshold": None},
        {**tea, **ana, "unknown": 1}, {**ana, "query": ""}, {**ana, "query": "   "},
        {**ana, "query": "cat Olive", "top_k": 3}, {**ana, "query": "red kite sisters", "top_k": 3},
        {"query": "cat", "filters": {"user_id": "ana", "topic": "pets"}},
        {"query": "cat", "filters": {"user_id": "ana", "topic": {"in": ["pets", "home"]}}},
        {"query": "cat", "filters": {"user_id": "ana", "rank": {"gte": 3}}},
        {"query": "cat", "filters": {"user_id": "ana", "rank": {"gt": 3}}},
        {"query": "cat", "filters": {"user_id": "ana", "topic": {"ne": "pets"}}, "top_k": 4},
        {"query": "cat", "filters": {"user_id": "ana", "topic": {"near": "pets"}}},
        {"query": "cat", "filters": {"user_id": "ana", "topic": "*"}},
        {"query": "cat", "filters": {"user_id": "ana", "NOT": [{"topic": "pets"}]}, "top_k": 4},
        {"query": "cat", "filters": {"user_id": "ana", "AND": [{"topic": "pets"}, {"rank": 3}]}},
        {"query": "cat", "filters": {"user_id": "ana", "OR":
         [{"topic": "pets"}, {"topic": "home"}]}},
        {"query": "cat", "filters": {"user_id": "ana", "OR": "pets"}},
        {"query": "cat", "filters": {"user_id": ["ana"]}},
        {"query": "cat", "filters": {"user_id": {"eq": "ana"}}},
        {"query": "sails", "filters": {"user_id": "bob", "agent_id": "guide", "run_id": "r3"}},
        {"query": "maps", "filters": {"agent_id": "guide"}},
        {"query": "Ünïcödé 🍵", **ana, "top_k": 1},
    ]  # fmt: skip
    return [_post("/search", body) for body in bodies]


def _changing() -> list[Step]:
    bodies: list[tuple[str, Any]] = [
        ("<bicycle>", {"text": "My bicycle is green"}),
        ("<bicycle>", {"text": "My bicycle is green", "metadata": {"topic": "things"}}),
        ("<bicycle>", {"text": "My bicycle is old", "metadata": None}),
        ("<bicycle>", {"text": "My bicycle is old", "metadata": {}}),
        ("<cat>", {"text": "My cat is called Clove", "metadata": {"rank": 4}}),
        ("<bicycle>", {"text": ""}), ("<bicycle>", {"text": "  "}), ("<bicycle>", {"text": 5}),
        ("<bicycle>", {"text": None}), ("<bicycle>", {}), ("<bicycle>", {"data": "new"}),
        ("<bicycle>", {"text": "new", "metadata": "a"}), ("<bicycle>", {"text": ["new"]}),
        ("<bicycle>", {"text": "My bicycle is gone", "unknown": 1}),
        (UNKNOWN, {"text": "new"}), ("not-a-uuid", {"text": "new"}),
    ]  # fmt: skip
    return [
        *(Step("PUT", f"/memories/{name}", body) for name, body in bodies),
        *(_get(f"/memories/<{name}>{tail}")
          for name in ("bicycle", "cat") for tail in ("", "/history")),
        _post("/search", {"query": "bicycle", "filters": {"user_id": "ana"}, "top_k": 1}),
        _post("/search", {"query": "Clove", "filters": {"user_id": "ana"}, "top_k": 1}),
    ]  # fmt: skip


def _entities() -> list[Step]:
    gone = ("user/nobody", "user/bob", "run/r1", "app/x", "users/ana", "user/an%20a", "user/%20")
    return [
        _get("/entities"),
        *(Step("DELETE", f"/entities/{name}") for name in gone),
        _get("/entities"),
        _get("/memories?user_id=bob"),
        _get("/memories?run_id=r1"),
    ]


def _removing() -> list[Step]:
    return [
        *(Step("DELETE", f"/memories/{name}")
          for name in ("<boats>", "<boats>", UNKNOWN, "x", "%20")),
        _get("/memories/<boats>"),
        _get("/memories/<boats>/history"),
        *(Step("DELETE", f"/memories{query}")
          for query in ("", "?user_id=", "?unknown=1", "?user_id=nobody", "?user_id=an%20a",
                        "?agent_id=guide", "?user_id=ana&run_id=r9")),
        _get("/memories?agent_id=guide"),
        _get("/memories?user_id=ana"),
        Step("DELETE", "/memories?user_id=ana"),
        _get("/memories?user_id=ana"),
        _get("/memories/<tea>/history"),
        _post("/search", {"query": "tea", "filters": {"user_id": "ana"}}),
    ]  # fmt: skip


def _other() -> list[Step]:
    bodies: list[Any] = [{}, {"use_case": None}, {"use_case": 5}, {"use_case": "a kitchen"}]
    return [
        *(_post("/generate-instructions", body) for body in bodies),
        _get("/configure/providers"),
        _post("/configure", {"llm": {"provider": "nobody"}}),
        _post("/configure", {"embedder": {"provider": "nobody"}}),
        Step("POST", "/configure", content=b"[]"),
        Step("POST", "/configure", content=b"{"),
        _post("/configure", {"custom_instructions": "Only food."}),
        _post(
            "/memories",
            {"messages": said("Configured [[Eats rye bread]]"), "user_id": "eve"},
            "rye",
        ),
        _get("/memories?user_id=eve"),
    ]


def _resetting() -> list[Step]:
    return [
        Step("POST", "/reset"),
        _get("/memories"),
        _get("/entities"),
        _get("/memories/<rye>"),
        _post("/memories", {"messages": said("After [[Starts anew]]"), "user_id": "ana"}, "anew"),
        _get("/memories?user_id=ana"),
        _get("/memories/<anew>/history"),
    ]
