"""Failed comparisons show what differs."""

import pytest

pytest.register_assert_rewrite("tests.recorded.comparison")
