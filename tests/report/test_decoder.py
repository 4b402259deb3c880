"""The decoder that the page's script is, against that of the fitted value."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.estimator.networks import draw_network

from keras_tied import TiedAutoencoder
from keras_tied.fitted.imputation import Preprocessing
from keras_tied.fitted.layout import BOOLEAN, CATEGORY, NUMBER, Layout
from keras_tied.fitted.link import Link
from keras_tied.fitted.scaling import Scaling
from keras_tied.report import PageColumn, Report, Rows

pytestmark = pytest.mark.slow

KINDS = np.array([NUMBER, BOOLEAN, CATEGORY, CATEGORY, CATEGORY])
CLASSES = Layout(np.array([0, 1, 2, 2, 2]), KINDS)
DECODE = "codes => codes.map((code) => [...Decoder.decode(code)])"


def make_fitted(rng, hidden=(7, 6), layout=None):
    """A fitted value of random weights; with a layout, one that links classes."""
    network = draw_network([5, *hidden, 3], "gelu")
    scaling = Scaling(rng.normal(size=5), rng.uniform(0.5, 2, size=5))
    link = None
    if layout is not None:
        is_class = KINDS != NUMBER
        frequencies = np.array([1, 0.3, 0.5, 0.3, 0.2])
        logits = np.where(is_class, 1.3, 1.0), np.where(is_class, 0.1, 0.0)
        link = Link(frequencies, *logits, np.ones(5), layout, scaling)
    layout = layout or Layout.of_numbers(5)
    preprocessing = Preprocessing(scaling, np.zeros(5), layout)
    some = TiedAutoencoder(3, max_iter=1, random_state=0).fit(rng.normal(size=(50, 5)))
    parts = {"network": network, "preprocessing": preprocessing, "link": link}
    return replace(some._fitted, **parts)


def open_page(opened, fitted, X):
    rows = Rows(X, fitted.transform(X), X, X**2)
    return opened(Report(fitted, rows, [PageColumn(name) for name in "abcde"])).page


@pytest.mark.parametrize(
    ("hidden", "layout"), [((7, 6), None), ((), None), ((7, 6), CLASSES)]
)
def test_a_code_is_decoded_on_the_page_as_by_the_fitted_value(
    opened, rng, hidden, layout
):
    fitted = make_fitted(rng, hidden, layout)
    page = open_page(opened, fitted, rng.normal(size=(4, 5)))
    codes = rng.normal(size=(1000, 3)).astype(np.float32)
    found = page.evaluate(DECODE, codes.tolist())
    expected = fitted.inverse_transform(codes)
    assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_slider_decodes_the_code_that_it_is_moved_to(opened, rng):
    fitted, X = make_fitted(rng), rng.normal(size=(50, 5))
    page = open_page(opened, fitted, X)
    slider = page.get_by_role("slider", name="Unit 2")
    slider.focus()
    page.keyboard.press("End")
    moved = float(slider.input_value())
    code = np.sort(fitted.transform(X), axis=0)
    middle, high = code[25], code[-1]
    assert moved == pytest.approx(high[1], abs=0.02 * np.ptp(code[:, 1]))
    chosen = np.array([[middle[0], moved, middle[2]]], np.float32)
    shown = page.locator("#decoded td:nth-child(2)").all_inner_texts()
    expected = fitted.inverse_transform(chosen)[0]
    assert_allclose(np.array(shown, float), expected, rtol=0.006, atol=1e-3)
