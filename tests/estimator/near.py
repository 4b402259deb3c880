from typing import Any

import numpy as np


def assert_near(
    found: Any, expected: Any, tolerance: float = 1e-5, what: str = ""
) -> None:
    """Numbers are equal to a relative tolerance, or the same absolute one."""
    np.testing.assert_allclose(
        found, expected, rtol=tolerance, atol=tolerance, err_msg=what
    )
