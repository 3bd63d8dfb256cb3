"""The report: tables, page, docs section."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan import WORKLOADS
from bench.report import files, tables, targets
from bench.report.figures import Figures, Summary
from bench.report.page import page
from bench.report.tables import TITLES, Table, number, with_spread
from tests.bench.conftest import Made

ROOT = Path(__file__).resolve().parents[2]
ABOUT = {"Python": "3.11.7", "note": "<&>"}


@given(st.floats(0.001, 1e7))
def test_a_number_is_written_without_exponent_and_within_half_a_per_cent(value: float) -> None:
    text = number(value)
    assert "e" not in text
    assert float(text.replace(",", "")) == pytest.approx(value, rel=0.0051)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234.5, "1,234"),
        (40, "40"),
        (40.04, "40.0"),
        (0.0123, "0.0123"),
        (9.999, "10.0"),
    ],
)
def test_numbers_as_they_are_written(value: float, text: str) -> None:
    assert number(value) == text


def test_spread_is_written_only_where_there_is_some() -> None:
    assert with_spread(Summary(1.5, 1.5, 1.5, 3)) == "1.50"
    assert with_spread(Summary(1.5, 1.0, 2.5, 3)) == "1.50 (1..2.50)"
    assert not with_spread(None)


def test_every_figure_that_is_shown_has_a_title() -> None:
    shown = {name for workload in WORKLOADS.values() for name in workload.shows + workload.draws}
    assert shown <= TITLES.keys()


@pytest.fixture
def filled(made: Made) -> Made:
    for case in ("200 memories", "2,000 memories"):
        for round_number in (1, 2):
            for system, value in (("isomem-memory", 20.0), ("mem0-memory", 60.0)):
                figures = {"add_us": value * round_number, "search_ms": 0.25, "peak_mb": value}
                made.add(round_number, system, case=case, **figures)
    return made


def test_a_figure_that_was_not_measured_is_not_drawn(made: Made) -> None:
    plots = pytest.importorskip("bench.report.plots")
    pytest.importorskip("matplotlib")
    made.add(1, "isomem-memory", search_ms=0.25)
    made.add(1, "mem0-memory", search_ms=60.0)
    picture = plots.bars(WORKLOADS["article"], Figures(made.results))
    assert [field.get_title().splitlines()[0] for field in picture.axes] == [TITLES["search_ms"]]


def test_a_table_has_the_figures_and_the_ratios(filled: Made) -> None:
    figures, workload = Figures(filled.results), WORKLOADS["article"]
    assert tables.of_figures(workload, figures) == Table(
        ["", "", "add, µs", "search, ms", "peak memory, MB"],
        [
            ["200 memories", "isomem, in memory", "30 (20..40)", "0.250", "20"],
            ["200 memories", "mem0, in memory", "90 (60..120)", "0.250", "60"],
            ["2,000 memories", "isomem, in memory", "30 (20..40)", "0.250", "20"],
            ["2,000 memories", "mem0, in memory", "90 (60..120)", "0.250", "60"],
        ],
    )
    ratios = tables.of_ratios(workload, figures)
    assert ratios.head == ["", "", "add", "search", "peak memory"]
    assert [row[2:] for row in ratios.rows] == [["3 x", "1 x", "3 x"]] * 2


def test_more_adds_per_second_are_better(made: Made) -> None:
    made.add(1, "isomem-memory", add_per_s=300.0)
    made.add(1, "mem0-memory", add_per_s=100.0)
    for result in made.results:
        result["workload"] = "concurrent"
    [row] = tables.of_ratios(WORKLOADS["concurrent"], Figures(made.results)).rows
    assert row[2:] == ["3 x"]


def test_every_way_to_write_a_table_has_every_cell() -> None:
    table = Table(["", "", "add, µs"], [["case", "<one>", "1"], ["case", "two", "2"]])
    assert tables.as_text(table).splitlines()[1:] == [
        "case  <one>        1",
        "case  two          2",
    ]
    assert tables.as_markdown(table).splitlines()[2] == "| case | <one> | 1 |"
    assert "<td>&lt;one&gt;</td><td>1</td>" in tables.as_html(table)


def test_the_page_needs_nothing_else(filled: Made, tmp_path: Path) -> None:
    plot = tmp_path / "article.png"
    plot.write_bytes(b"picture")
    text = page(ABOUT, filled.results, {"article": [plot]})
    assert "data:image/png;base64,cGljdHVyZQ==" in text
    assert "30<br><small>(20..40)</small>" in text
    assert "<code>memory item {i} about hiking cooking travel</code>" in text
    assert "&lt;&amp;&gt;" in text
    assert "add in memory: at most 1/3.5 of mem0" in text
    assert "mem0-rs, as its article says" in text
    assert not re.search(r'(src|href)="(?!data:)', text)


def test_the_page_tells_of_failures(filled: Made) -> None:
    failed = {**filled.results[0], "error": "exit status 1: <boom>"}
    del failed["figures"]
    assert "exit status 1: &lt;boom&gt;" in page(ABOUT, [*filled.results, failed], {})
    assert "1 processes gave no figures" in files.as_text([*filled.results, failed])


def test_a_report_is_written_and_read_again(filled: Made, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    files.write(tmp_path, ABOUT, filled.results)
    assert files.read(tmp_path) == (ABOUT, filled.results)
    content = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert content["summary"][0] == {
        "workload": "article",
        "case": "200 memories",
        "system": "isomem-memory",
        "figure": "add_us",
        "median": 30,
        "low": 20,
        "high": 40,
        "processes": 2,
    }
    assert (tmp_path / "article.png").read_bytes().startswith(b"\x89PNG")
    assert "data:image/png;base64," in (tmp_path / "index.html").read_text("utf-8")


@pytest.mark.parametrize("workload", [name for name in WORKLOADS if name != "machine"])
def test_every_workload_can_be_drawn(workload: str, made: Made, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from bench.report.plots import draw_all

    shown = WORKLOADS[workload]
    for case in ("200 users", "2,000 users"):
        for system in ("isomem-memory", "isomem-disk", "mem0-memory"):
            made.add(1, system, case=case, **dict.fromkeys(shown.draws, 3.0))
    for result in made.results:
        result["workload"] = workload
    [path] = draw_all([shown], Figures(made.results), tmp_path)[workload]
    assert path.stat().st_size > 10_000


def test_the_docs_have_a_place_for_the_tables(filled: Made, tmp_path: Path) -> None:
    docs = tmp_path / "benchmarks.md"
    docs.write_text((ROOT / "docs/benchmarks.md").read_text("utf-8"), encoding="utf-8")
    before = docs.read_text("utf-8")
    for _ in range(2):  # the second time over the first
        files.write_docs(docs, files.as_markdown(ABOUT, filled.results))
        text = docs.read_text("utf-8")
        assert text.count("| 2,000 memories | mem0, in memory | 90 (60..120) | 0.250 | 60 |") == 1
        assert text.count("| an add | 2,000 memories | 1/3.50 | 1/3 |") == 1
        assert text.startswith(before.partition("<!-- begin")[0])


def test_the_docs_begin_with_the_ratios_of_the_article() -> None:
    first, *_ = re.findall(
        r"^\|.*$", (ROOT / "docs/benchmarks.md").read_text("utf-8"), re.MULTILINE
    )
    assert "mem0-rs, as its article says" in first


def test_what_runs_by_name_only_has_a_page_of_its_own(made: Made, tmp_path: Path) -> None:
    made.add(1, "isomem-disk", case="filling", fill_s=1800.0, file_mb=24_000.0)
    made.add(1, "isomem-disk", case="in use", open_ms=20.0)
    for result in made.results:
        result["workload"] = "largest"
    docs = tmp_path / "scaling.md"
    docs.write_text((ROOT / "docs/scaling.md").read_text("utf-8"), encoding="utf-8")
    files.write_docs(docs, files.named_alone(ABOUT, made.results), files.NAMED_ALONE)
    text = docs.read_text("utf-8")
    assert "| filling | file, MB | 24,000 |" in text
    assert "| in use | open, ms | 20 |" in text
    assert "largest" not in files.as_markdown(ABOUT, made.results)


def test_docs_without_the_marks_are_left_alone(tmp_path: Path) -> None:
    docs = tmp_path / "other.md"
    docs.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="no section between"):
        files.write_docs(docs, {"figures": "text"})
    assert docs.read_text("utf-8") == "nothing"


def test_docs_without_one_of_the_marks_are_left_alone(tmp_path: Path) -> None:
    docs = tmp_path / "other.md"
    text = "\n".join(files.MARK.format(f"{word} article") for word in ("begin", "end"))
    docs.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="begin figures"):
        files.write_docs(docs, {"article": "text", "figures": "text"})
    assert docs.read_text("utf-8") == text


def test_isomem_stands_beside_the_article_as_a_part_of_mem0(made: Made) -> None:
    made.add(1, "isomem-memory", add_us=20.0, search_ms=0.25, peak_mb=20.0)
    made.add(1, "mem0-memory", add_us=90.0, search_ms=15.0, peak_mb=10.0)
    table = targets.article_table(Figures(made.results))
    assert table.head[2:4] == ["mem0-rs, as its article says", "isomem, in memory"]
    assert [row[2:] for row in table.rows] == [
        ["1/3.50", "1/4.50", "", ""],
        ["1/3", "1/60", "", ""],
        ["1/6.60", "2 times as much", "", ""],
    ]
