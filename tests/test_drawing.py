import numpy as np

from keras_tied.drawing import (
    choose_view,
    classify_labels,
    collect_history,
    fit_plane,
    pair_with_errors,
)


def test_texts_are_groups_and_many_numbers_are_shades():
    assert classify_labels(["b", "a", "b", None]).groups == ("a", "b", "missing")
    shades = classify_labels([0.1 * i for i in range(100)])
    assert shades.groups is None
    assert shades.values.shape == (100,)


def test_the_axes_of_a_plane_tell_the_share_of_the_variance():
    names = fit_plane(np.eye(3), ["a", "b", "c"]).names
    assert names == ("component 1 (50 %)", "component 2 (50 %)")


def test_a_view_leaves_out_what_lies_far_out_and_holds_the_rest():
    points = np.column_stack([np.linspace(0, 1, 1000)] * 2)
    points[0] = 50, 0.5
    (left, right), (bottom, top) = choose_view(points)
    assert -0.1 < left < 0 < 1 < right < 1.1
    assert -0.1 < bottom < 0 < 1 < top < 1.1


def test_a_single_column_is_drawn_against_the_number_of_the_row():
    plane = fit_plane(np.array([[7.0], [8.0]]), ["a"])
    assert plane.names == ("row", "a")
    assert plane.project(np.array([[7.0], [8.0]])).tolist() == [[1, 7], [2, 8]]


def test_the_first_features_are_drawn_where_the_plane_is_not_principal():
    assert fit_plane(np.eye(3), ["a", "b", "c"], is_principal=False).names == ("a", "b")


def test_a_code_of_one_unit_is_drawn_against_the_errors():
    assert pair_with_errors(np.array([[3.0]]), np.array([0.5])).tolist() == [[3.0, 0.5]]


def test_a_network_that_was_rejected_has_no_losses():
    class Estimator:
        is_pca_ = False
        loss_curve_ = (0.2, 0.1)

    assert collect_history(Estimator) == {"loss": [0.2, 0.1]}
    Estimator.is_pca_ = True
    assert collect_history(Estimator) == {}
