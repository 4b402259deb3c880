"""Each activation in NumPy, in Keras and on the report's page."""

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_tied
from keras_tied.fitted.activations import ACTIVATIONS
from keras_tied.fitted.imputation import Preprocessing
from keras_tied.fitted.layout import Layout
from keras_tied.fitted.scaling import Scaling
from keras_tied.fitted.value import Fitted
from keras_tied.report._page import _describe_decoder

from .near import assert_near
from .networks import draw_network

PAGE = Path(keras_tied.__file__).parent / "report" / "page"
DECODE = """
const { codes, decoder } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const bytes = (text) => Buffer.from(text, "base64");
const readFloats = (text) => new Float32Array(new Uint8Array(bytes(text)).buffer);
const Data = { decoder, readFloats };
%s
console.log(JSON.stringify(codes.map((code) => [...Decoder.decode(code)])));
"""


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_values_are_those_of_keras_and_slopes_those_of_differences(activation):
    function = ACTIVATIONS[activation]
    large = np.linspace(-60, 60, 240, dtype=np.float32).reshape(3, -1)
    expected = keras.activations.get(activation)(large)
    function(large, None)
    assert_near(large, keras.ops.convert_to_numpy(expected))
    x = np.linspace(-7.3, 7.1, 1001)
    low, high, slopes = x - 1e-6, x + 1e-6, np.empty_like(x)
    function(low, None)
    function(high, None)
    function(x, slopes)
    assert_near(slopes, (high - low) / 2e-6)


def decode_on_page(fitted: Fitted, codes: np.ndarray, folder: Path) -> np.ndarray:
    """By the script, in the Node that Playwright brings."""
    playwright = find_spec("playwright")
    if playwright is None:
        pytest.skip("Playwright is not installed")
    node = Path(playwright.origin).parent / "driver" / "node"
    script = folder / "decode.js"
    decoder = (PAGE / "decoder.js").read_text().replace('"use strict";', "")
    script.write_text(DECODE % decoder)
    data = {"codes": codes.tolist(), "decoder": _describe_decoder(fitted)}
    done = subprocess.run(
        [node, script],
        input=json.dumps(data),
        capture_output=True,
        text=True,
        check=True,
    )
    return np.array(json.loads(done.stdout))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_codes_are_decoded_on_the_page_as_by_the_fitted_value(
    activation, rng, tmp_path
):
    scaling = Scaling(
        rng.normal(size=5),
        rng.uniform(0.5, 2, size=5),
    )
    preprocessing = Preprocessing(
        scaling,
        np.zeros(5),
        Layout.of_numbers(5),
    )
    fitted = Fitted(
        preprocessing,
        draw_network((5, 9, 8, 2), activation),
        *[None] * 8,
    )
    codes = (5 * rng.normal(size=(300, 2))).astype(np.float32)
    found = decode_on_page(fitted, codes, tmp_path)
    assert_near(found, fitted.inverse_transform(codes), 1e-4)
