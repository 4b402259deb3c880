"""What pictures of few columns and of a rejected network hold."""

import numpy as np

from tied_tables.drawing import fit_plane


def test_the_axes_of_a_plane_tell_the_share_of_the_variance():
    names = fit_plane(
        np.eye(3),
        ["a", "b", "c"],
    ).names
    assert names == ("component 1 (50 %)", "component 2 (50 %)")
