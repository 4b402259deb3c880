from typing import Any

from numpy.testing import assert_allclose


def assert_near(
    found: Any, expected: Any, tolerance: float = 1e-5, what: str = ""
) -> None:
    """Numbers are equal to a relative tolerance, or the same absolute one."""
    assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=what)
