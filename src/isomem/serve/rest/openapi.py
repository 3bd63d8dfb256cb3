"""The OpenAPI document, made from the tables of operations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from isomem.serve.problems import TITLES
from isomem.serve.rest.schemas import components, reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from isomem.serve.rest.operations import Operation

    Document = dict[str, Any]

SECURITY: Document = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer"},
    "Token": {
        "type": "apiKey", "in": "header", "name": "Authorization",
        "description": "`Token KEY`, as programs for the hosted mem0 send it",
    },
}  # fmt: skip
"""How a key can be sent."""

DESCRIPTION = """A long-term memory for AI agents. Send a key as `Authorization: Bearer KEY` or
`X-API-Key: KEY`; what it may touch is decided by the key. Errors are problems (RFC 9457)."""


def document(operations: Iterable[Operation], version: str) -> Document:
    """The whole document."""
    paths: dict[str, Document] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = described(each)
    return {
        "openapi": "3.1.0",
        "info": {"title": "isomem", "version": version, "description": DESCRIPTION},
        "paths": paths,
        "components": {"schemas": components(), "securitySchemes": SECURITY},
        "security": [{name: []} for name in SECURITY],
    }


def described(operation: Operation) -> Document:
    """One operation."""
    entry: Document = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": responses(operation),
    }
    if operation.doc:
        entry["description"] = operation.doc
    if parameters := [*_in_path(operation), *_in_query(operation), *_in_headers(operation)]:
        entry["parameters"] = parameters
    if operation.body is not None:
        entry["requestBody"] = {"required": True, "content": _json(operation.body)}
    if operation.is_open:
        entry["security"] = []
    return entry


def responses(operation: Operation) -> Document:
    """What it may answer."""
    problem = {"application/problem+json": {"schema": reference("Problem")}}
    problems = {
        str(status): {"description": title, "content": problem} for status, title in TITLES.items()
    }
    good = {"description": "It was done.", "content": operation.content or _json(operation.result)}
    later = {"description": "It is made later.", "content": _json(reference("Job"))}
    return {
        str(operation.status): good,
        **({"202": later} if operation.may_wait else {}),
        **problems,
    }


def _json(schema: Document) -> Document:
    return {"application/json": {"schema": schema}}


def _in_path(operation: Operation) -> list[Document]:
    names = re.findall(r"{(\w+)", operation.path)
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]


def _in_headers(operation: Operation) -> list[Document]:
    if not operation.may_wait:
        return []
    key = {"type": "string", "minLength": 1, "maxLength": 255}
    return [
        {
            "name": "Idempotency-Key", "in": "header", "required": False, "schema": key,
            "description": "A request that is sent again with the same key is not made twice.",
        },
        {
            "name": "Prefer", "in": "header", "required": False, "schema": {"type": "string"},
            "description": "`respond-async`: answer with a job, and make the call later.",
        },
    ]  # fmt: skip


def _in_query(operation: Operation) -> list[Document]:
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in (operation.query or {}).items()
    ]
