"""Values of configuration classes, beside pydantic itself.

`test_values` runs them in a process of their own: `isomem.compat` takes the name `mem0` there.
"""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from isomem import InvalidConfigError
from isomem.compat import values
from isomem.compat.records import Record

QUICK = settings(max_examples=150, deadline=None, derandomize=True, database=None)
words = st.text(max_size=6) | st.sampled_from(
    ["1", "0", " 7 ", "7.0", "7.5", "1_000", "1e3", "+3", "-0", "on", "OFF", "y", "No", "True",
     "inf", "nan", " 1.5", "2", "", "0x1", "7.", "07"]
)  # fmt: skip
numbers = st.integers(-3, 3) | st.sampled_from([1.0, 0.0, 2.5, float("inf"), float("nan"), 10**30])
anything = (
    words
    | numbers
    | st.booleans()
    | st.none()
    | st.sampled_from([b"x", b"1", (1, 2), {1}, frozenset(), [1], {"a": 1}, {}])
)
TYPES = [str, int, float, bool, dict, list, Optional[str], Optional[int]]  # noqa: UP045


def outcome(call: Any, *given_values: Any) -> Any:
    try:
        made = call(*given_values)
    except ValueError:
        return "refused"
    return type(made).__name__, repr(made)


@QUICK
@given(st.sampled_from(TYPES), anything)
def test_a_value_becomes_what_pydantic_makes_of_it(kind: Any, value: Any) -> None:
    assert outcome(values.typed, kind, copy.copy(value)) == outcome(
        TypeAdapter(kind).validate_python, value
    )


class Plain(BaseModel):
    name: str = "n"
    size: Optional[int] = None  # noqa: UP045 - as mem0 writes it
    more: dict[str, Any] = {}


class Own(Record):
    name: str = "n"
    size: Optional[int] = None  # noqa: UP045
    more: dict[str, Any] = {}  # noqa: RUF012 - copied for each record


inner = st.recursive(
    st.integers(0, 3), lambda below: st.dictionaries(st.sampled_from("abc"), below, max_size=3)
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["n", "é"]),
        "size": st.none() | st.integers(0, 3),
        "more": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    },
)
chosen = (
    st.none()
    | st.recursive(
        st.just(True) | st.sets(st.sampled_from("abc"), min_size=1),
        lambda below: st.dictionaries(st.sampled_from("abc"), below, min_size=1, max_size=2),
    ).map(lambda part: {"more": part})
    | st.sets(st.sampled_from(["name", "size", "more"]), min_size=1)
)


@QUICK
@given(fields, chosen, chosen)
def test_parts_of_a_dump_are_those_that_pydantic_takes(
    asked: Any, include: Any, exclude: Any
) -> None:
    """What is left out at any depth stays out: that is where programs name their keys."""
    found = []
    for kind in (Plain, Own):
        made: Any = kind(**copy.deepcopy(asked))
        found.append(
            [
                made.model_dump(include=include),
                made.model_dump(exclude=exclude),
                made.model_dump(include=include, exclude=exclude),
                json.loads(made.model_dump_json(exclude=exclude)),
            ]
        )
    assert found[1] == found[0]


@QUICK
@given(fields, st.sampled_from([None, 2]))
def test_json_is_that_of_pydantic_and_is_read_back(asked: Any, indent: int | None) -> None:
    plain, own = Plain(**asked), Own(**copy.deepcopy(asked))
    text = own.model_dump_json(indent=indent)
    if not (indent and any(each == {} for each in _dicts(asked))):
        assert text == plain.model_dump_json(indent=indent)
    assert Own.model_validate_json(text) == own
    assert Own.model_validate_json(text.encode()).model_fields_set == {"name", "size", "more"}


def _dicts(value: Any) -> Any:
    """The dicts in a value: json writes an empty one as pydantic does, but not with an indent."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _dicts(each)


@pytest.mark.parametrize("text", ["", "{", "[1]", '"x"', "3", b"\xff"])
def test_what_is_no_json_object_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="is needed") as caught:
        Own.model_validate_json(text)
    assert isinstance(caught.value, (ValidationError, InvalidConfigError))


@QUICK
@given(fields)
def test_copies_share_nothing_that_an_assignment_changes(asked: Any) -> None:
    made = Own(**asked)
    before = {*made.model_fields_set}
    copies = [copy.copy(made), made.model_copy(), copy.deepcopy(made), made.model_copy(deep=True)]
    copies.append(pickle.loads(pickle.dumps(made)))
    for each in copies:
        assert each == made
        each.name = "other"
        assert "name" in each.model_fields_set
    assert made.model_fields_set == before
    assert made.name == asked.get("name", "n")
    copies[2].more["new"] = 1
    assert "new" not in made.more


def test_a_name_that_is_no_field_cannot_be_assigned() -> None:
    made = Own()
    with pytest.raises(ValueError, match='"Own" object has no field "nmae"') as caught:
        made.nmae = "x"
    with pytest.raises(ValueError, match="has no field") as expected:
        Plain().nmae = "x"  # type: ignore[attr-defined]
    assert str(caught.value).replace("Own", "Plain") == str(expected.value)
    assert made.model_dump() == Plain().model_dump()


def test_what_is_private_or_a_property_is_not_a_field() -> None:
    class Mine(Own):
        extra = "allow"

        @property
        def both(self) -> str:
            return f"{self.name}!"

        @both.setter
        def both(self, value: str) -> None:
            self.name = value

    made = Mine(other=1)
    made._note = "mine"
    made.both = "set"
    assert made.model_dump() == {"name": "set", "size": None, "more": {}, "other": 1}
    assert made.model_extra == {"other": 1}
    assert made.both == "set!"
    assert Own().model_extra is None


def test_options_of_the_class_are_taken_where_pydantic_takes_them() -> None:
    class Strict(Own, extra="forbid"):
        pass

    class Open(Own):
        model_config = {"extra": "allow"}  # noqa: RUF012

    class Below(Strict):
        pass

    for kind in (Strict, Below):
        with pytest.raises(ValueError, match="Extra fields not allowed: other"):
            kind(other=1)
    assert Open(other=1).model_dump()["other"] == 1
    assert [Strict.model_config["extra"], Own(other=1).model_extra] == ["forbid", None]


def test_an_error_says_for_which_field_it_is_and_shows_no_value() -> None:
    class Key(Record):
        extra = "forbid"
        api_key: str
        size: int = 1

    for asked in ({}, {"api_key": {"sk-hidden": 1}}, {"api_key": None}):
        with pytest.raises(ValidationError) as caught:
            Key(**asked)
        assert [each["loc"] for each in caught.value.errors()] == [("api_key",)]
        assert "hidden" not in f"{caught.value} {caught.value!r} {caught.value.errors()}"
    with pytest.raises(ValidationError) as caught:
        Key(api_key="sk-hidden", sizes=1)
    assert [each["loc"] for each in caught.value.errors()] == [("sizes",)]
    assert "hidden" not in str(caught.value)


def test_the_error_of_a_programs_own_model_does_not_bring_its_values_along() -> None:
    class Inner(BaseModel):
        token: int

    class Outer(Record):
        more: dict[str, Any] = {}  # noqa: RUF012

        def _after(self) -> None:
            Inner(**self.more)

    with pytest.raises(ValidationError) as caught:
        Outer(more={"token": "sk-hidden"})
    assert "valid integer" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_a_model_of_pydantics_dumps_a_record_as_it_is_asked_to() -> None:
    class Holder(BaseModel):
        model_config = {"arbitrary_types_allowed": True}
        inside: Own

    class Expected(BaseModel):
        inside: Plain

    given_values = {"inside": {"size": None, "more": {"a": 1, "b": 2}}}
    ours, theirs = Holder(**given_values), Expected(**given_values)
    for options in (
        {"exclude_unset": True},
        {"exclude_none": True},
        {"exclude_defaults": True},
        {"exclude": {"inside": {"more": {"a"}}}},
        {"include": {"inside": {"more": {"a"}}}},
        {"exclude": {"inside": {"name"}}, "exclude_unset": True},
    ):
        assert ours.model_dump(**options) == theirs.model_dump(**options), options
        assert ours.model_dump_json(**options) == theirs.model_dump_json(**options), options


def test_the_schema_has_the_types_of_pydantics() -> None:
    schema, expected = Own.model_json_schema(), Plain.model_json_schema()
    for each in expected["properties"].values():
        del each["default"]
    assert {**schema, "title": "Plain"} == expected
