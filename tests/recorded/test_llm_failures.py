"""What becomes of a failing server, in upstream's own class and in ours."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from isomem.errors import ProviderError
from isomem.providers.registry import LLMS, create_llm
from tests.recorded.comparison import Case, Made, pair
from tests.recorded.failures import ERROR, FAULTS, LIMITS, SAID, is_sent, outcome
from tests.recorded.llm_cases import MESSAGES, ONE_OF_EACH, UPSTREAMS_FAILURES
from tests.recorded.test_llms import theirs

pytest.importorskip("mem0")
pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

ATTEMPTS = {"401": 1, "429": 4, "500": 4}
"""How often ours sends the request, with the retries that are configured below."""

AT_ONCE = [[fault for fault in FAULTS if fault != "timeout"], ["timeout"]]
"""Faults that are tried with one pair of objects: making those takes longest."""


@pytest.mark.parametrize("faults", AT_ONCE, ids=["answers", "timeout"])
@pytest.mark.parametrize("case", ONE_OF_EACH, ids=lambda case: case.mine or case.name)
def test_a_server_that_fails(
    case: Case, faults: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upstream's errors are those of the SDK; ours say the same in one class each."""
    case = replace(case, ours={**case.ours, **LIMITS[faults == ["timeout"]]})
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)  # the SDKs wait between attempts
    upstreams = {}
    with pair(case, monkeypatch, theirs, create_llm) as both:
        for fault in faults:
            both.server.always, kind = FAULTS[fault]
            upstreams[fault] = outcome(both.call_theirs("generate_response", MESSAGES))
            for call in (both.call_mine, both.acall_mine):
                check(case, fault, kind, call("generate_response", MESSAGES))
    assert upstreams == {fault: UPSTREAMS_FAILURES[case.name][fault] for fault in faults}


def check(case: Case, fault: str, kind: type[Exception], mine: Made) -> None:
    """Asserts that ours raised the right error, after as many attempts as it should."""
    answer = FAULTS[fault][0]
    assert type(mine.error) is kind, fault
    assert isinstance(mine.error, ProviderError)
    assert mine.error.provider == (case.mine or case.name)
    assert case.name == "litellm" or is_sent(fault, mine.sent, ATTEMPTS.get(fault, 1))
    is_lost = case.name == "litellm" and answer.status == 200  # by the library
    assert answer.body != ERROR or is_lost or SAID in str(mine.error)


def test_every_provider_is_compared() -> None:
    """`langchain` sends nothing itself; test_langchain compares it."""
    assert {case.mine or case.name for case in ONE_OF_EACH} == LLMS.builtin.keys() - {
        *("langchain", "mock")
    }
