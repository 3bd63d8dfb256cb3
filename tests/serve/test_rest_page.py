"""docs/rest.md is up to date, and what it promises is so."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("fastapi")

from isomem.serve.app import operations
from isomem.serve.problems import TITLES
from isomem.serve.rest.openapi import document
from scripts.rest_page import PAGE, written
from tests.serve.selfhosted_requests import steps


def test_the_tables_are_those_of_the_code() -> None:
    page = PAGE.read_text("utf-8")
    assert written(page) == page, "run: python -m scripts.rest_page"


def test_every_status_is_explained_and_the_requests_are_counted() -> None:
    page = PAGE.read_text("utf-8")
    errors = page.partition("## Errors")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| (\d{3}) \|", errors, re.MULTILINE)
    assert {int(status) for status in listed} == set(TITLES)
    assert f"{len(steps())}\nrequests" in page


def test_operations_have_names_and_paths_of_their_own() -> None:
    made = operations()
    assert len({each.name for each in made}) == len(made)
    assert len({(each.method, each.path) for each in made}) == len(made)


def test_the_document_refers_only_to_what_it_has() -> None:
    made = document(operations(), "0")
    known = made["components"]["schemas"]
    for name in re.findall(r"#/components/schemas/(\w+)", str(made)):
        assert name in known
