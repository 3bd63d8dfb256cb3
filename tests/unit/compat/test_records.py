"""Configuration classes as fields of pydantic's models, and as bases of a program's own."""

from __future__ import annotations

from tests.unit.compat.children import printed, run, told


def test_they_are_types_of_fields_of_pydantics_models() -> None:
    assert told("""
        import isomem.compat, json
        from pydantic import BaseModel, Field, ValidationError
        from mem0.configs.base import LlmConfig, MemoryConfig
        class Settings(BaseModel):
            memory: MemoryConfig = Field(default_factory=MemoryConfig)
            other: MemoryConfig | None = None
        from_dict = Settings(memory={"llm": {"provider": "openai", "config": {"model": "m"}}})
        given = MemoryConfig(version="v2")
        try:
            Settings(memory={"llm": {"provider": "nobody", "config": {"api_key": "sk-hidden"}}})
        except ValidationError as error:
            refused = str(error)
        print(json.dumps([
            type(from_dict.memory).__name__,
            from_dict.memory.llm == LlmConfig(config={"model": "m"}),
            Settings(memory=given).memory is given, from_dict.model_dump()["memory"]["llm"],
            Settings().other, json.loads(from_dict.model_dump_json())["memory"]["version"],
            "Unsupported LLM provider: nobody" in refused, "sk-hidden" in refused,
            Settings.model_json_schema()["properties"]["memory"]["title"],
        ]))
    """) == [
        "MemoryConfig",
        True,
        True,
        {"provider": "openai", "config": {"model": "m"}},
        None,
        "v1.1",
        True,
        False,
        "MemoryConfig",
    ]


def test_a_subclass_has_fields_and_validators_of_its_own() -> None:
    """As agentscope's does: its `validate_config` takes the place of mem0's check."""
    assert told("""
        import isomem.compat, json
        from pydantic import Field, ValidationError, field_validator, model_validator
        from mem0.configs.base import MemoryConfig
        from mem0.llms.configs import LlmConfig
        class Own(LlmConfig):
            @field_validator("config")
            @classmethod
            def validate_config(cls, value, values):
                if values.data.get("provider") == "own":
                    return value
                raise ValueError("only own")
        class Mine(MemoryConfig):
            tries: int = Field(default=3, description="how often")
            name: str
            @model_validator(mode="before")
            @classmethod
            def named(cls, values):
                return {"name": "unnamed", **values}
            @model_validator(mode="after")
            def more(self):
                self.tries += 1
                return self
        made = Mine(tries="5", llm=Own(provider="own", config={"model": [1]}))
        faults = []
        for call in (lambda: Own(provider="openai", config={}), lambda: Mine(tries="x")):
            try:
                call()
            except ValidationError as error:
                faults.append(str(error))
        made.llm = Own(provider="own")
        print(json.dumps([
            made.tries, made.name, Mine.model_fields["tries"].description, Mine.model_fields["name"]
            .is_required(), made.model_dump(include={"tries", "name"}), made.llm.provider,
            "only own" in faults[0], "tries must be of type int" in faults[1],
        ]))
    """) == [6, "unnamed", "how often", True, {"tries": 6, "name": "unnamed"}, "own", True, True]


def test_without_pydantic_a_wrong_value_is_a_value_error_that_hides_it() -> None:
    done = run("""
        import isomem.compat, sys
        from isomem import InvalidConfigError
        from mem0.configs.vector_stores.pinecone import PineconeConfig
        try:
            PineconeConfig(api_key={"sk-hidden": 1})
        except InvalidConfigError as error:
            assert "api_key must be of type str" in str(error) and "hidden" not in str(error)
            assert isinstance(error, ValueError)
        assert "pydantic" not in sys.modules
        assert "hidden" not in repr(PineconeConfig(api_key="hidden"))
    """)
    assert done.returncode == 0, done.stderr


def test_a_memory_takes_them_and_keeps_what_it_was_given() -> None:
    assert told("""
        import isomem.compat, json
        from mem0 import Memory
        from mem0.configs.base import EmbedderConfig, LlmConfig, MemoryConfig, VectorStoreConfig
        class Mine(MemoryConfig):
            own: str = "x"
        config = Mine(
            vector_store=VectorStoreConfig(provider="embedded", config={"path": ":memory:"}),
            llm=LlmConfig(provider="mock"), embedder=EmbedderConfig(provider="mock"),
            ranking="fused", own="y",
        )
        memory = Memory(config)
        print(json.dumps([memory.config is config, memory.ranking, memory.config.own,
                          Memory(config.model_copy(update={"ranking": "contract"})).ranking]))
    """) == [True, "fused", "y", "contract"]


def test_options_print_no_values() -> None:
    program = """
        import isomem.compat
        from mem0.configs.llms.openai import OpenAIConfig
        print(OpenAIConfig(api_key="sk-hidden"))
    """
    assert "hidden" not in printed(program)
