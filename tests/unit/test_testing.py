"""The kit for users' tests."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import isomem.testing
from isomem.errors import LLMError
from isomem.providers.registry import create_embedder, create_llm
from isomem.testing import ConstantEmbedder, HashEmbedder, Recorder, Replayer, ScriptedLLM, digest

MESSAGES = [{"role": "user", "content": "grüezi"}]
JSON = {"type": "json_object"}


def test_what_the_kit_offers_is_exact() -> None:
    public = {name for name in vars(isomem.testing) if not name.startswith("_")}
    imported = {"annotations", "TYPE_CHECKING", "LLMError", "LLM_OPTIONS", "default_settings"}
    assert public - imported == set(isomem.testing.__all__)


def test_replies_come_in_order() -> None:
    llm = ScriptedLLM(["one", {"memory": ["ü"]}, [1], None, ""])
    replies = [llm.generate_response(MESSAGES) for _ in range(5)]
    assert replies == ["one", '{"memory": ["ü"]}', "[1]", None, ""]


def test_a_reply_may_be_computed_or_raised() -> None:
    llm = ScriptedLLM([lambda messages: {"n": len(messages)}, TimeoutError("slow"), KeyError])
    assert llm.generate_response(MESSAGES) == '{"n": 1}'
    with pytest.raises(TimeoutError, match="slow"):
        llm.generate_response(MESSAGES)
    with pytest.raises(KeyError):
        llm.generate_response(MESSAGES)
    assert len(llm.calls) == 3


def test_calls_are_remembered_as_they_were() -> None:
    llm = ScriptedLLM(default="ok")
    messages = [{"role": "user", "content": "a"}]
    llm.generate_response(messages=messages, response_format=JSON, seed=1)
    llm.generate_response(messages, JSON, [{"name": "f"}], "auto")
    messages[0]["content"] = "changed"
    assert llm.calls[0] == {
        "messages": [{"role": "user", "content": "a"}],
        "response_format": JSON,
        "seed": 1,
    }
    assert llm.calls[1]["tools"] == [{"name": "f"}]
    assert llm.calls[1]["tool_choice"] == "auto"


def test_running_dry_says_so() -> None:
    llm = ScriptedLLM(["only"])
    llm.generate_response(MESSAGES)
    with pytest.raises(LLMError, match="no reply for call 2: all prepared ones are used"):
        llm.generate_response(MESSAGES)


def test_after_the_last_reply_the_default_is_given() -> None:
    llm = ScriptedLLM(["first"], default="{}")
    assert [llm.generate_response(MESSAGES) for _ in range(3)] == ["first", "{}", "{}"]


def test_replies_can_be_added() -> None:
    llm = ScriptedLLM()
    llm.reply("a", "b")
    assert llm.remaining == 2
    assert asyncio.run(llm.agenerate_response(MESSAGES)) == "a"
    assert repr(llm) == "<ScriptedLLM 1 calls, 1 replies left>"
    llm.close()
    asyncio.run(llm.aclose())


def test_the_mock_provider_is_scripted_by_its_options() -> None:
    llm: Any = create_llm("mock", {"replies": ["a"], "default": "z", "model": "m"})
    assert [llm.generate_response(MESSAGES) for _ in range(2)] == ["a", "z"]
    assert llm.config.model == "m"
    with pytest.raises(LLMError, match="no reply"):
        create_llm("mock").generate_response(MESSAGES)


def test_upstreams_mock_embedder_is_constant() -> None:
    embedder: Any = create_embedder("mock", {})
    assert isinstance(embedder, ConstantEmbedder)
    tenths = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert embedder.embed("anything") == embedder.embed_batch(["x"])[0] == tenths
    assert embedder.identity == "mock/constant"
    assert isinstance(create_embedder("mock", {"embedding_dims": 10}), HashEmbedder)


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


@given(text=st.text(max_size=60), dims=st.integers(1, 300))
def test_every_text_has_a_vector_of_length_one(text: str, dims: int) -> None:
    vector = HashEmbedder(dims).embed(text)
    assert len(vector) == dims
    assert math.isclose(math.fsum(x * x for x in vector), 1.0, rel_tol=1e-9)


def test_even_text_that_is_not_valid_has_one() -> None:
    assert len(HashEmbedder().embed("\ud800 \x00")) == 256


@pytest.mark.parametrize(
    ("query", "near", "far"),
    [
        ("Where do you go hiking?", "Likes hiking in the Alps", "Works at a bank"),
        ("dog's name", "The dog is named Rex", "Was born in the month of May"),
        ("喝茶", "他也喜欢喝茶", "我在银行工作"),
    ],
)
def test_texts_that_share_words_are_nearer(query: str, near: str, far: str) -> None:
    embed = HashEmbedder().embed
    assert cosine(embed(query), embed(near)) > cosine(embed(query), embed(far)) + 0.1


def test_vectors_are_the_same_in_every_process() -> None:
    code = "from isomem.testing import HashEmbedder; print(HashEmbedder(8).embed('Rex, a dog'))"
    runs = {
        subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path}\n{code}"],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert runs == {f"{HashEmbedder(8).embed('Rex, a dog')}\n"}


def test_vectors_do_not_change_from_release_to_release() -> None:
    # Users' recorded expectations hang on these.
    assert HashEmbedder(4).embed("Rex, a dog") == pytest.approx(
        [-0.7804881763180783, 0.0, 0.031219527052723125, 0.6243905410544627], abs=1e-15
    )


@pytest.mark.parametrize("dims", [0, -1, True, 2.0, "3"])
def test_a_length_is_a_positive_whole_number(dims: Any) -> None:
    with pytest.raises(ValueError, match="dims"):
        HashEmbedder(dims)


def test_what_was_recorded_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    recorder = Recorder(ScriptedLLM(["one", "two", "other"]), path)
    other = [{"role": "user", "content": "else"}]
    assert recorder.config.model == "scripted"
    assert recorder.generate_response(MESSAGES, response_format=JSON) == "one"
    assert asyncio.run(recorder.agenerate_response(MESSAGES)) == "two"
    assert recorder.generate_response(other) == "other"
    recorder.close()
    asyncio.run(recorder.aclose())

    replayer = Replayer(path)
    assert replayer.generate_response(other, tools=[]) == "other"
    replies = [replayer.generate_response(messages=MESSAGES) for _ in range(3)]
    assert replies == ["one", "two", "two"]
    assert asyncio.run(Replayer(path).agenerate_response(MESSAGES)) == "one"
    replayer.close()
    asyncio.run(replayer.aclose())


def test_a_recording_holds_what_was_asked_before_the_model_changed_it(tmp_path: Path) -> None:
    def vandal(messages: list[Any]) -> str:
        messages[0]["content"] = "changed"
        return "ok"

    path = tmp_path / "replies.jsonl"
    Recorder(ScriptedLLM([vandal]), path).generate_response([dict(MESSAGES[0])])
    assert json.loads(path.read_text("utf-8")) == {
        "key": digest(MESSAGES),
        "messages": MESSAGES,
        "reply": "ok",
    }
    assert Replayer(path).generate_response(MESSAGES) == "ok"


def test_failures_are_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    recorder = Recorder(ScriptedLLM([TimeoutError(), "fine"]), path)
    with pytest.raises(TimeoutError):
        recorder.generate_response(MESSAGES)
    recorder.generate_response(MESSAGES)
    assert Replayer(path).generate_response(MESSAGES) == "fine"


def test_what_was_not_recorded_is_missed_by_name(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    Recorder(ScriptedLLM(["x"]), path).generate_response(MESSAGES)
    with pytest.raises(LLMError, match=r"replies\.jsonl holds no reply") as caught:
        Replayer(path).generate_response([])
    assert caught.value.details["recorded"] == 1


def test_what_differs_between_runs_can_be_left_out(tmp_path: Path) -> None:
    def key(messages: list[dict[str, Any]]) -> str:
        return str(messages[-1]["content"]).split(" on ", maxsplit=1)[0]

    path = tmp_path / "replies.jsonl"
    Recorder(ScriptedLLM(["x"]), path, key).generate_response([{"content": "hi on Monday"}])
    assert Replayer(path, key).generate_response([{"content": "hi on Friday"}]) == "x"


@pytest.mark.parametrize("content", [None, "no json", "[]", '{"key": 1}', b"\xff"])
def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "replies.jsonl"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(LLMError, match="not a recording"):
        Replayer(path)


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers())))
def test_equal_messages_have_equal_digests(messages: list[dict[str, Any]]) -> None:
    assert digest(messages) == digest(json.loads(json.dumps(messages)))
    assert digest([*messages, {}]) != digest(messages)
