from numpy.testing import assert_allclose


def assert_near(found, expected, tolerance=1e-5, what=""):
    """Numbers are equal to a relative tolerance, or the same absolute one."""
    assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=what)
