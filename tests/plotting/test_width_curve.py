import numpy as np
import pytest

from keras_tied.plotting import width_curve

WIDTHS = [1, 2, 4]


def test_of_widths_with_several_seeds_the_mean_is_a_line_with_a_name_and_each_a_line_without():
    errors = np.array([[0.4, 0.6], [0.2, 0.3], [0.1, 0.1]])
    (axes,) = width_curve(WIDTHS, errors, 2 * errors).axes
    lines = {line.get_label(): line for line in axes.lines}
    mean = lines["tied autoencoder, mean of 2 seeds"]
    np.testing.assert_allclose(mean.get_ydata(), [0.5, 0.25, 0.1])
    np.testing.assert_allclose(
        lines["PCA, mean of 2 seeds"].get_ydata(), [1.0, 0.5, 0.2]
    )
    thin = [
        list(line.get_ydata()) for name, line in lines.items() if name.startswith("_")
    ]
    assert thin == [*errors.T.tolist(), *(2 * errors).T.tolist()]


def test_of_one_seed_there_are_two_lines():
    (axes,) = width_curve(WIDTHS, [0.4, 0.2, 0.1], [0.6, 0.4, 0.2]).axes
    assert [line.get_label() for line in axes.lines] == ["tied autoencoder", "PCA"]


def test_as_many_errors_as_widths_are_asked_for():
    with pytest.raises(ValueError, match="3 widths, 2 errors"):
        width_curve(WIDTHS, [0.4, 0.2], [0.6, 0.4, 0.2])
