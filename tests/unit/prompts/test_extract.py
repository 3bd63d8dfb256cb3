"""Texts are found among the constants of a module that is never run."""

from __future__ import annotations

import pytest

from isomem.prompts.extract import extract
from isomem.prompts.manifest import Pin, sha256_hex


def pin(name: str, text: str) -> Pin:
    data = text.encode()
    return Pin(name, "module.py", len(data), sha256_hex(data))


@pytest.mark.parametrize(
    "source",
    [
        "TEXT = 'a known text'",
        "TEXT = '''a known text'''",
        "TEXT = 'a known' ' text'",
        "def f():\n    return send(message={'content': 'a known text'})",
        "class C:\n    _TEXT = ('a '\n        'known text')",
        "raise RuntimeError('a known text')",
        b"# -*- coding: latin-1 -*-\nX = '\xe9'; Y = 'a known text'",
        "X = '\\ud800'; Y = 'a known text'",
    ],
)
def test_text_is_found_wherever_it_stands(source):
    assert extract(source, [pin("T", "a known text")]) == {"T": b"a known text"}


@pytest.mark.parametrize(
    "source",
    [
        "",
        "# a known text",
        "TEXT = 'a known text '",
        "TEXT = 'a known' + ' text'",
        "TEXT = f'a known {kind}'",
        "TEXT = b'a known text'",
        "TEXT = 5",
    ],
)
def test_text_that_is_not_a_constant_is_left_out(source):
    assert extract(source, [pin("T", "a known text")]) == {}


def test_each_pin_finds_its_own():
    pins = [pin("LONG", "\n\nbe brief"), pin("SHORT", "be brief"), pin("ABSENT", "be lengthy")]
    source = "say('\\n\\nbe brief'); say('be brief')"
    assert extract(source, pins) == {"LONG": b"\n\nbe brief", "SHORT": b"be brief"}


def test_source_that_is_not_python_is_refused():
    with pytest.raises(SyntaxError):
        extract("def", [])
