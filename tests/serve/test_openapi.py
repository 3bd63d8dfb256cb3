"""The OpenAPI document: it says of every operation what it takes and what it may answer."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("fastapi")

from isomem.serve.app import operations
from isomem.serve.calls import CALLS, REQUIRED
from isomem.serve.problems import TITLES
from isomem.serve.rest.openapi import document
from isomem.serve.rest.operations import Operation


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return document(operations(), "1.2.3")


def described(made: dict[str, Any], operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = made["paths"][operation.path][operation.method.lower()]
    return found


def test_it_says_what_it_is(made: dict[str, Any]) -> None:
    assert made["openapi"].startswith("3.1")
    assert made["info"]["version"] == "1.2.3"
    assert made["components"]["securitySchemes"].keys() == {"ApiKey", "Bearer", "Token"}


@pytest.mark.parametrize("operation", operations(), ids=lambda each: each.name)
def test_every_operation_is_described(made: dict[str, Any], operation: Operation) -> None:
    found = described(made, operation)
    assert found["operationId"] == operation.name
    assert found["summary"] == operation.summary != ""
    assert str(operation.status) in found["responses"]
    assert {str(status) for status in TITLES} <= found["responses"].keys()
    in_path = {each["name"] for each in found.get("parameters", ()) if each["in"] == "path"}
    assert in_path == {part.strip("{}") for part in operation.path.split("/") if "{" in part}
    assert ("requestBody" in found) == (operation.body is not None)
    assert (found.get("security") == []) == operation.is_open


@pytest.mark.parametrize("name", CALLS)
def test_a_call_takes_its_arguments_and_no_others(made: dict[str, Any], name: str) -> None:
    content = made["paths"][f"/api/{name}"]["post"]["requestBody"]["content"]
    schema = content["application/json"]["schema"]
    parameters = CALLS[name].parameters
    assert parameters.keys() <= schema["properties"].keys()
    assert schema["properties"].keys() - parameters.keys() <= {"background"}
    needed = {each.name for each in parameters.values() if each.default is REQUIRED}
    assert set(schema["required"]) == needed
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("path", "method", "argument", "default"),
    [
        ("/api/search", "post", "top_k", 20),
        ("/api/search", "post", "explain", False),
        ("/api/add", "post", "infer", True),
        ("/api/context", "post", "max_tokens", 1000),
    ],
)
def test_defaults_are_those_of_the_methods(
    made: dict[str, Any], path: str, method: str, argument: str, default: object
) -> None:
    content = made["paths"][path][method]["requestBody"]["content"]["application/json"]
    assert content["schema"]["properties"][argument]["default"] == default


def test_arguments_that_json_cannot_say_are_not_offered(made: dict[str, Any]) -> None:
    for name in CALLS:
        content = made["paths"][f"/api/{name}"]["post"]["requestBody"]["content"]
        offered = content["application/json"]["schema"]["properties"].keys()
        assert offered.isdisjoint({"llm", "count_tokens", "self", "kwargs", "options"})
