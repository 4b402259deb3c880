import pytest

from keras_tied.plotting import width_curve

WIDTHS = [1, 2, 4]


def test_the_model_and_pca_are_two_lines():
    (axes,) = width_curve(WIDTHS, [0.4, 0.2, 0.1], [0.6, 0.4, 0.2]).axes
    assert [line.get_label() for line in axes.lines] == ["tied autoencoder", "PCA"]


def test_as_many_errors_as_widths_are_asked_for():
    with pytest.raises(ValueError, match="3 widths and 2 errors of tied"):
        width_curve(WIDTHS, [0.4, 0.2], [0.6, 0.4, 0.2])
