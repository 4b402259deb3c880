import numpy as np
import pytest

from keras_tied.plotting import comparison

NAMES = ["keras-tied", "PCA", "$\\broken{$"]


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


@pytest.mark.parametrize("errors", [[], [0.5, 1.0]])
def test_as_many_errors_as_names_are_asked_for(errors):
    with pytest.raises(ValueError, match="3 names"):
        comparison(NAMES, errors, [1.0, 1.0, 1.0])
