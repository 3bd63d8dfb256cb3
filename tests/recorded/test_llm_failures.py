"""What becomes of a failing server, in upstream's own class and in ours."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from isomem.errors import ProviderError
from isomem.providers.registry import LLMS, create_llm
from tests.recorded.comparison import Case, pair
from tests.recorded.failures import ERROR, FAULTS, SAID, TIMEOUT_S, outcome
from tests.recorded.llm_cases import MESSAGES, ONE_OF_EACH, UPSTREAMS_FAILURES
from tests.recorded.test_llms import theirs

pytest.importorskip("mem0")
pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

ATTEMPTS = {"401": 1, "429": 4, "500": 4, "timeout": 1}
"""How often ours sends the request, with the retries that are configured below."""


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("case", ONE_OF_EACH, ids=lambda case: case.mine or case.name)
def test_a_server_that_fails(case: Case, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream's errors are those of the SDK; ours say the same in one class each."""
    answer, kind = FAULTS[fault]
    retries = {"max_retries": 0} if fault == "timeout" else {}
    case = replace(case, ours={**case.ours, "timeout_s": 5 * TIMEOUT_S, **retries})
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)  # the SDKs wait between attempts
    with pair(case, monkeypatch, theirs, create_llm) as both:
        both.server.always = answer
        theirs_made = both.call_theirs("generate_response", MESSAGES)
        assert outcome(theirs_made) == UPSTREAMS_FAILURES[case.name][fault]
        calls = [each("generate_response", MESSAGES) for each in (both.call_mine, both.acall_mine)]
    for mine in calls:
        assert type(mine.error) is kind
        assert isinstance(mine.error, ProviderError)
        assert mine.error.provider == (case.mine or case.name)
        assert case.name == "litellm" or len(mine.sent) == ATTEMPTS.get(fault, 1)
        is_lost = case.name == "litellm" and answer.status == 200  # by the library
        assert answer.body != ERROR or is_lost or SAID in str(mine.error)


def test_every_provider_is_compared() -> None:
    """`langchain` sends nothing itself; test_langchain compares it."""
    assert {case.mine or case.name for case in ONE_OF_EACH} == LLMS.builtin.keys() - {
        *("langchain", "mock")
    }
