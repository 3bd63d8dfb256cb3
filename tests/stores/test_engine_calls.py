"""How long stores wait between two tries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from isomem.stores.engine_calls import LONGEST_WAIT_S, wait_s


@given(st.floats(0.001, 1.0), st.integers(0, 10_000))
def test_each_wait_is_twice_as_long_up_to_half_a_minute(first_s: float, retries: int) -> None:
    waited = wait_s(first_s, retries)
    assert first_s <= waited <= LONGEST_WAIT_S
    assert wait_s(first_s, 0) == first_s
    assert wait_s(first_s, retries + 1) == min(2 * waited, LONGEST_WAIT_S)
