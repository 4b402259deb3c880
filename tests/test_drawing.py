"""What pictures of few columns and of a rejected network hold."""

import numpy as np

from keras_tied.drawing import choose_view, classify_labels, fit_plane


def test_texts_are_groups_and_many_numbers_are_shades():
    assert classify_labels(["b", "a", "b", None]).groups == ("a", "b", "missing")
    assert classify_labels(np.arange(100) / 10).groups is None


def test_the_axes_of_a_plane_tell_the_share_of_the_variance():
    names = fit_plane(np.eye(3), ["a", "b", "c"]).names
    assert names == ("component 1 (50 %)", "component 2 (50 %)")


def test_a_view_leaves_out_what_lies_far_out_and_holds_the_rest():
    column = np.linspace(0, 1, 1000)
    points = np.column_stack([column, column])
    points[0, 0] = 50
    for low, high in choose_view(points):
        assert -0.1 < low < 0
        assert 1 < high < 1.1


def test_the_first_features_are_drawn_where_the_plane_is_not_principal():
    plane = fit_plane(np.eye(3), ["a", "b", "c"], is_principal=False)
    assert plane.names == ("a", "b")
