"""A payload in the fields of a hash: mem0 reads what it would have written, isomem reads all."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from isomem.store.codec import dump_payload, load_payload
from isomem.stores.redis_fields import EXACT, fields_of, payload_of
from tests.unit.store import grammar

MOMENT = "2024-05-06T07:08:09.123456+00:00"
LATER = "2024-05-06T07:08:10.654321+00:00"
PAYLOAD: dict[str, Any] = {
    "user_id": "ana", "role": "user", "data": "Ana lives in Lisbon", "text_lemmatized": "ana live",
    "hash": "00ff", "created_at": MOMENT, "updated_at": MOMENT, "n": 1, "deep": {"a": [1, None]},
}  # fmt: skip

ids = st.sampled_from(["", "ana", "Ana", "a,b", "*", "\ud800", "nul\0", "日本"]) | st.text()
odd = st.none() | st.integers() | st.lists(st.integers(), max_size=2)
moments = st.sampled_from([MOMENT, LATER, "2024-05-06", "0001-01-01", "9999-12-31T23:59", "soon"])
special = st.fixed_dictionaries(
    {},
    optional={
        "user_id": ids | odd,
        "agent_id": ids,
        "run_id": ids,
        "data": st.text() | odd,
        "hash": st.text() | odd,
        "created_at": moments | odd,
        "updated_at": moments | odd,
        "memory_id": st.text(),
        "isomem": st.text(),
    },
)


def by_mem0(payload: dict[str, Any]) -> dict[str, bytes]:
    """What mem0's class writes for a new memory."""
    own = {"user_id", "agent_id", "run_id", "hash", "data", "created_at", "updated_at"}
    fields: dict[str, Any] = {
        "hash": payload["hash"],
        "memory": payload["data"],
        "created_at": int(datetime.fromisoformat(payload["created_at"]).timestamp()),
        **{key: payload[key] for key in ("agent_id", "run_id", "user_id") if key in payload},
        "metadata": json.dumps({key: payload[key] for key in payload if key not in own}),
    }
    return {key: str(value).encode() for key, value in fields.items()}


@given(special, grammar.payloads, st.randoms(use_true_random=False))
def test_every_payload_comes_back_with_its_keys_in_their_order(
    one: dict[str, Any], other: dict[str, Any], rng: Any
) -> None:
    items = [*{**other, **one}.items()]
    rng.shuffle(items)
    stored = load_payload(dump_payload(dict(items)))
    found = payload_of(fields_of(dict(items)))
    assert [*found] == [*stored]
    assert dump_payload(found) == dump_payload(stored)


ODD_KEYS: dict[Any, Any] = {2024: "a", None: 1, True: 2, 1.5: [3], "data": "tea", "n": 4}


def test_keys_that_are_not_texts_become_texts() -> None:
    """As in the embedded store, and as JSON has it."""
    expected = {"2024": "a", "null": 1, "true": 2, "1.5": [3], "data": "tea", "n": 4}
    found = payload_of(fields_of(ODD_KEYS))
    assert found == expected
    assert [*found] == [*expected]


def test_a_payload_that_was_stored_with_such_keys_is_read() -> None:
    """Once, they were listed as they were."""
    fields = fields_of(ODD_KEYS)
    for text, key in ((b'"2024"', b"2024"), (b'"null"', b"null"), (b'"true"', b"true")):
        assert text in fields[EXACT]
        fields[EXACT] = fields[EXACT].replace(text, key)
    assert payload_of(fields) == payload_of(fields_of(ODD_KEYS))


def test_mem0s_fields_are_those_that_mem0_writes() -> None:
    ours, theirs = fields_of(PAYLOAD), by_mem0(PAYLOAD)
    assert ours.keys() == {*theirs, EXACT}
    assert json.loads(ours.pop("metadata")) == json.loads(theirs.pop("metadata"))
    assert {key: ours[key] for key in theirs} == theirs


def test_a_changed_memory_has_the_moment_of_its_change() -> None:
    fields = fields_of({**PAYLOAD, "updated_at": LATER})
    assert int(fields["updated_at"]) == math.floor(datetime.fromisoformat(LATER).timestamp())


def test_what_mem0_wrote_is_read_as_mem0_reads_it() -> None:
    seconds = datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
    assert payload_of(by_mem0(PAYLOAD)) == {
        "hash": "00ff", "data": "Ana lives in Lisbon", "user_id": "ana", "role": "user",
        "created_at": seconds.isoformat(timespec="microseconds"),
        "text_lemmatized": "ana live", "n": 1, "deep": {"a": [1, None]},
    }  # fmt: skip


def test_what_mem0_changed_is_not_hidden_by_what_isomem_had_kept() -> None:
    changed = {**PAYLOAD, "data": "Ana lives in Porto", "hash": "11ee"}
    found = payload_of({**fields_of(PAYLOAD), **by_mem0(changed), "updated_at": b"1714979290"})
    assert (found["data"], found["hash"]) == ("Ana lives in Porto", "11ee")
    assert found["updated_at"] == "2024-05-06T07:08:10.000000+00:00"
    assert found["created_at"] == MOMENT  # More exactly than mem0 knows it.


@given(st.text(alphabet='`json{}" \n', max_size=20))
def test_mem0_finds_the_metadata_whatever_is_in_it(text: str) -> None:
    """It looks for a block of code first, then for the first and the last brace."""
    metadata = fields_of({**PAYLOAD, "note": text})["metadata"].decode()
    assert "`" not in metadata
    assert metadata.startswith("{")
    assert metadata.endswith("}")
    assert json.loads(metadata)["note"] == text


def test_fields_that_nobody_wrote_so_do_not_stop_a_listing() -> None:
    found = payload_of({"memory": b"\xff", "metadata": b"no json", "created_at": b"soon"})
    assert found == {"hash": "", "data": "\ufffd"}
    assert payload_of({**fields_of(PAYLOAD), EXACT: b"{}"})["data"] == PAYLOAD["data"]
