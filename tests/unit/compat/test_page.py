"""docs/compat.md is true: its examples run, and what it lists is what there is."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from tests.unit.compat.children import run, told
from tests.unit.compat.test_surface import LACKING

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/compat.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def installed() -> bool:
    try:
        return bool(distribution("mem0ai"))
    except PackageNotFoundError:
        return False


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_run(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = EXAMPLES[number]
    if code.startswith("# needs mem0ai") and not installed():
        pytest.skip("needs mem0ai")
    monkeypatch.setenv("ISOMEM_DIR", str(tmp_path))
    done = run(code, warnings="ignore")
    assert done.returncode == 0, done.stderr


def test_the_methods_that_it_lists_are_those_that_are_called() -> None:
    called, never = told("""
        import isomem.compat, json
        from isomem.compat import hooks
        print(json.dumps([hooks.CALLED, hooks.NEVER_CALLED]))
    """)
    assert re.findall(r"^\| `(_\w+)`", PAGE, re.MULTILINE) == called
    listed = PAGE[PAGE.index("`_upsert_entity`") : PAGE.index("are never called")]
    assert set(re.findall(r"`(_\w+)`", listed)) == set(never)


def test_it_counts_what_is_lacking() -> None:
    assert "but for ten: four that" in PAGE
    assert len(LACKING) == 10
    assert sum(".reranker." in name for name in LACKING) == 4


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
