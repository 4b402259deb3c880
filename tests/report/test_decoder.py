"""The decoder that the page's script is, against that of the fitted value."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from keras_tied import TiedAutoencoder
from keras_tied.fitted.dense_network import DenseNetwork
from keras_tied.fitted.imputation import Preprocessing
from keras_tied.fitted.layout import BOOLEAN, CATEGORY, NUMBER, Layout
from keras_tied.fitted.link import Link
from keras_tied.fitted.scaling import Scaling
from keras_tied.report import PageColumn, Report, Rows

pytestmark = pytest.mark.slow

COLUMNS = [PageColumn(name) for name in "abcde"]


def make_fitted(rng, hidden=(7, 6)):
    sizes = [5, *hidden, 3]
    pairs = list(pairwise(sizes))
    draw = lambda *shape: (0.3 * rng.normal(size=shape)).astype(np.float32)  # noqa: E731
    network = DenseNetwork(
        kernels=tuple(draw(*pair) for pair in pairs),
        biases=tuple(draw(size) for _, size in pairs),
        decoder_biases=tuple(draw(size) for size, _ in pairs),
        gains=tuple(1 + draw(size) for _, size in pairs),
        activation="gelu",
        linear_units=3 if hidden else 0,
    )
    scaling = Scaling(rng.normal(size=5), rng.uniform(0.5, 2, size=5))
    preprocessing = Preprocessing(scaling, np.zeros(5), Layout.of_numbers(5))
    some = TiedAutoencoder(3, max_iter=1, random_state=0).fit(rng.normal(size=(50, 5)))
    return replace(some._fitted, preprocessing=preprocessing, network=network)


def decode_on_page(opened, fitted, codes, rng):
    X = rng.normal(size=(4, 5))
    page = opened(Report(fitted, Rows(X, np.ones((4, 3)), X, X**2), COLUMNS)).page
    return np.array(
        json.loads(
            page.evaluate(
                "codes => JSON.stringify(codes.map((c) => [...Decoder.decode(c)]))",
                codes,
            )
        )
    )


def test_a_code_is_decoded_on_the_page_as_by_the_fitted_value(opened, rng):
    fitted = make_fitted(rng)
    codes = rng.normal(size=(1000, 3)).astype(np.float32)
    found = decode_on_page(opened, fitted, codes.tolist(), rng)
    np.testing.assert_allclose(
        found, fitted.inverse_transform(codes), rtol=1e-4, atol=1e-4
    )


def test_pca_is_decoded_on_the_page(opened, rng):
    fitted = make_fitted(rng, hidden=())
    codes = rng.normal(size=(1000, 3)).astype(np.float32)
    found = decode_on_page(opened, fitted, codes.tolist(), rng)
    np.testing.assert_allclose(found, fitted.inverse_transform(codes), atol=1e-4)


def test_probabilities_of_classes_are_decoded_on_the_page(opened, rng):
    fitted = make_fitted(rng)
    kinds = np.array([NUMBER, BOOLEAN, *[CATEGORY] * 3])
    layout = Layout(np.array([0, 1, 2, 2, 2]), kinds)
    scaling = fitted.preprocessing.scaling
    is_class = kinds != NUMBER
    link = Link(
        np.array([1, 0.3, 0.5, 0.3, 0.2]),
        np.where(is_class, 1.3, 1.0),
        np.where(is_class, 0.1, 0.0),
        np.ones(5),
        layout,
        scaling,
    )
    fitted = replace(
        fitted, preprocessing=Preprocessing(scaling, np.zeros(5), layout), link=link
    )
    codes = rng.normal(size=(1000, 3)).astype(np.float32)
    found = decode_on_page(opened, fitted, codes.tolist(), rng)
    np.testing.assert_allclose(
        found, fitted.inverse_transform(codes), rtol=1e-4, atol=1e-4
    )


def test_a_slider_decodes_the_code_that_it_is_moved_to(opened, rng):
    fitted = make_fitted(rng)
    X = rng.normal(size=(50, 5))
    code = fitted.transform(X)
    page = opened(Report(fitted, Rows(X, code, X, X**2), COLUMNS)).page
    slider = page.get_by_role("slider", name="Unit 2")
    slider.focus()
    page.keyboard.press("End")
    middle = np.sort(code, axis=0)[25]
    high = np.sort(code, axis=0)[49]
    expected = fitted.inverse_transform(
        np.array([[middle[0], float(slider.input_value()), middle[2]]], np.float32)
    )[0]
    assert float(slider.input_value()) == pytest.approx(
        high[1], abs=0.02 * np.ptp(code[:, 1])
    )
    shown = [
        float(text)
        for text in page.locator("#decoded td:nth-child(2)").all_inner_texts()
    ]
    np.testing.assert_allclose(shown, expected, rtol=0.006, atol=1e-3)
