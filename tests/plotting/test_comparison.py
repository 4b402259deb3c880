import numpy as np
import pytest

from keras_tied.plotting import comparison, width_curve

NAMES = ["keras-tied", "PCA", "$\\broken{$"]
WIDTHS = [1, 2, 4]


def test_a_bar_is_as_long_as_what_it_stands_for():
    errors, seconds = comparison(NAMES, [0.5, 1.0, 2.0], [3.0, 0.1, 7.0]).axes
    assert [bar.get_width() for bar in errors.patches] == [0.5, 1.0, 2.0]
    assert [bar.get_width() for bar in seconds.patches] == [3.0, 0.1, 7.0]


def test_the_first_method_is_at_the_top():
    errors, _ = comparison(NAMES, [0.5, 1.0, 2.0], [3.0, 0.1, 7.0]).axes
    low, high = errors.get_ylim()
    assert low > high
    assert [text.get_text() for text in errors.get_yticklabels()] == NAMES


def test_a_method_without_an_error_has_no_bar_and_says_so():
    errors, _ = comparison(NAMES, [0.5, 1.0, np.nan], [3.0, 0.1, 7.0]).axes
    assert errors.patches[2].get_width() == 0
    assert [text.get_text() for text in errors.texts] == ["0.50", "1.00", "none"]


def test_a_name_is_not_taken_for_a_formula(tmp_path):
    comparison(NAMES, [0.5, 1.0, 2.0], [3.0, 0.1, 7.0]).savefig(tmp_path / "bars.png")


def test_of_several_seeds_a_bar_is_the_mean_and_each_is_a_dot():
    errors, _ = comparison(NAMES[:2], [[0.5, 0.9, 0.7], [1.0, 1.0, 1.0]], [3.0, 0.1]).axes
    assert [bar.get_width() for bar in errors.patches] == pytest.approx([0.7, 1.0])
    (dots,) = errors.collections
    expected = [[0.5, 0], [0.9, 0], [0.7, 0], [1, 1], [1, 1], [1, 1]]
    np.testing.assert_array_equal(dots.get_offsets(), expected)
    assert "3 seeds" in errors.get_xlabel()


def test_what_is_written_beside_a_bar_is_off_its_dots():
    figure = comparison(NAMES[:2], [[0.5, 0.9], [1.0, 1.0]], [3.0, 0.1])
    figure.draw_without_rendering()
    errors = figure.axes[0]
    dots = errors.transData.transform(errors.collections[0].get_offsets())
    assert not any(text.get_window_extent().count_contains(dots) for text in errors.texts)


def test_a_method_that_failed_with_one_seed_has_no_mean():
    errors, _ = comparison(NAMES[:2], [[0.5, np.nan], [1.0, 1.0]], [3.0, 0.1]).axes
    assert errors.patches[0].get_width() == 0
    assert errors.texts[0].get_text() == "none"


@pytest.mark.parametrize("errors", [[], [0.5, 1.0]])
def test_as_many_errors_as_names_are_asked_for(errors):
    with pytest.raises(ValueError, match="3 names"):
        comparison(NAMES, errors, [1.0, 1.0, 1.0])


def test_of_widths_with_several_seeds_the_mean_is_a_line_with_a_name_and_each_a_line_without():
    errors = np.array([[0.4, 0.6], [0.2, 0.3], [0.1, 0.1]])
    (axes,) = width_curve(WIDTHS, errors, 2 * errors).axes
    lines = {line.get_label(): line for line in axes.lines}
    mean = lines["tied autoencoder, mean of 2 seeds"]
    np.testing.assert_allclose(mean.get_ydata(), [0.5, 0.25, 0.1])
    np.testing.assert_allclose(lines["PCA, mean of 2 seeds"].get_ydata(), [1.0, 0.5, 0.2])
    thin = [list(line.get_ydata()) for name, line in lines.items() if name.startswith("_")]
    assert thin == [*errors.T.tolist(), *(2 * errors).T.tolist()]


def test_of_one_seed_there_are_two_lines():
    (axes,) = width_curve(WIDTHS, [0.4, 0.2, 0.1], [0.6, 0.4, 0.2]).axes
    assert [line.get_label() for line in axes.lines] == ["tied autoencoder", "PCA"]


def test_as_many_errors_as_widths_are_asked_for():
    with pytest.raises(ValueError, match="3 widths, 2 errors"):
        width_curve(WIDTHS, [0.4, 0.2], [0.6, 0.4, 0.2])
