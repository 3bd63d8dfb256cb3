"""The page /docs: the OpenAPI document for a reader, in plain HTML without scripts."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    Document = dict[str, Any]

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h2, details { border: 0 solid color-mix(in srgb, currentColor 20%, transparent); }
h2 { margin-top: 2.5rem; border-width: 0 0 1px; }
details { border-width: 1px; border-radius: .5rem; margin: .5rem 0; padding: .5rem .75rem; }
summary { cursor: pointer; }
code, pre { font: .9em/1.5 ui-monospace, monospace; }
pre { white-space: pre-wrap; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600; }
.about { opacity: .75; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; }
""".strip()

_DIGEST = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; frame-ancestors 'none'; base-uri 'none'"
)
"""The content security policy of the page: its own style, and nothing else."""


def page(document: Document) -> str:
    """The whole page."""
    info = document["info"]
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(info['title'])}: API</title><style>{STYLE}</style></head><body>",
            f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
            f"<p>{escape(info['description'])}</p>",
            '<p><a href="/openapi.json">openapi.json</a></p>',
            *_sections(document),
            "</body></html>",
        )
    )


def _sections(document: Document) -> Iterator[str]:
    tags: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["other"])[0]
            tags.setdefault(tag, []).append(_operation(method, path, operation))
    for tag, operations in tags.items():
        yield f"<section><h2>{escape(tag)}</h2>"
        yield from operations
        yield "</section>"


def _operation(method: str, path: str, operation: Document) -> str:
    about = operation.get("summary", "")
    content = operation.get("requestBody", {}).get("content", {})
    body = content.get("application/json", {}).get("schema", {})
    parameters = {each["name"]: each["schema"] for each in operation.get("parameters", ())}
    shown = {**parameters, **body.get("properties", {})}
    return (
        f"<details><summary><span class=method>{method.upper()}</span>"
        f" <code>{escape(path)}</code> <span class=about>{escape(about)}</span></summary>"
        f"<pre>{escape(operation.get('description', ''))}</pre>"
        f"{_table(shown, body.get('required', ()))}</details>"
    )


def _table(schemas: Document, required: Any) -> str:
    if not schemas:
        return ""
    rows = (
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(_words(schema))}"
        f"{', required' if name in required else ''}</td>"
        f"<td>{escape(schema.get('description', ''))}</td></tr>"
        for name, schema in schemas.items()
    )
    head = "<tr><th>argument</th><th>type</th><th>meaning</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _words(schema: Document) -> str:
    """What the values of a schema are, in a few words."""
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(_words, schema["anyOf"])))
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    kind = schema.get("type", "anything")
    return kind if isinstance(kind, str) else " or ".join(kind)
