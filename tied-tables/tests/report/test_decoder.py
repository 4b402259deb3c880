"""The decoder that the page's script is, against that of the fitted value."""

import json
import subprocess
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose
from tests.marks import for_each, slow

import tied_tables
from tied_tables._layout import BOOLEAN, CATEGORY, NUMBER, Layout
from tied_tables.columns import Column, Columns, Kind
from tied_tables.model.activations import ACTIVATIONS
from tied_tables.model.imputation import Preprocessing
from tied_tables.model.link import Link
from tied_tables.model.scaling import Scaling
from tied_tables.model.training import Training
from tied_tables.model.value import TableModel
from tied_tables.report import Report, Rows, Whole
from tied_tables.report._columns import format_cells
from tied_tables.report._data import describe_decoder

from ..estimator.networks import draw_network, seeded

PAGE = Path(tied_tables.__file__).parent / "report" / "page"
DECODE = """
const { codes, decoder } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const bytes = (text) => Buffer.from(text, "base64");
const readFloats = (text) => new Float32Array(new Uint8Array(bytes(text)).buffer);
const Data = { decoder, readFloats };
%s
console.log(JSON.stringify(codes.map((code) => [...Decoder.decode(code)])));
"""
KINDS = np.array([NUMBER, BOOLEAN, CATEGORY, CATEGORY, CATEGORY])
CLASSES = Layout(np.array([0, 1, 2, 2, 2]), KINDS)
NUMBERS = Layout.of_numbers(5)


def make_fitted(rng, activation, hidden=(7, 6), layout=NUMBERS):
    """A fitted value of random weights; with classes, one that links them."""
    network = draw_network([5, *hidden, 3], activation)
    scaling = Scaling(rng.normal(size=5), rng.uniform(0.5, 2, size=5))
    link = None
    if layout.has_classes:
        is_class = KINDS != NUMBER
        frequencies = np.array([1, 0.3, 0.5, 0.3, 0.2])
        slopes = np.where(is_class, 1.3, 1.0)
        intercepts = np.where(is_class, 0.1, 0.0)
        link = Link(
            frequencies,
            slopes,
            intercepts,
            np.ones(5),
            layout,
            scaling,
        )
    preprocessing = Preprocessing(scaling, np.zeros(5), layout)
    return TableModel(
        preprocessing,
        network,
        outlier_score=None,
        smallest=None,
        largest=None,
        offset=0.0,
        feature_names=None,
        imputation_weights=None,
        link=link,
        training=Training(),
    )


def run_on_page(program, script, **data):
    """Run a script of the page in the Node that Playwright brings."""
    playwright = find_spec("playwright")
    if playwright is None:
        pytest.skip("Playwright is not installed")
    node = Path(playwright.origin).parent / "driver" / "node"
    script = (PAGE / script).read_text().replace('"use strict";', "")
    printed = subprocess.check_output(
        [node, "-e", program % script],
        input=json.dumps(data),
        text=True,
    )
    return json.loads(printed)


NETWORKS = {
    **{activation: {"activation": activation} for activation in ACTIVATIONS},
    "no hidden layer": {"activation": "tanh", "hidden": ()},
    "classes": {"activation": "silu", "layout": CLASSES},
}


@for_each(NETWORKS, "settings")
def test_codes_are_decoded_on_the_page_as_by_the_fitted_value(rng, settings):
    fitted = make_fitted(rng, **settings)
    codes = 5 * rng.normal(size=(300, 3))
    codes = codes.astype(np.float32)
    decoder = describe_decoder(fitted)
    found = run_on_page(DECODE, "decoder.js", codes=codes.tolist(), decoder=decoder)
    expected = fitted.inverse_transform(codes)
    assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


TIMES = [
    ["2019-W52", "2020-W53", "2021-W01"],
    ["Q3/23", "Q4/23", "Q1/24"],
    ["13. Mai 2023", "14. September 2023", "1. Oktober 2023"],
    ["23:50", "00:10", "01:15"],
    ["11:50 PM", "12:10 AM", "12:15 PM"],
    ["2020-02-29T10:15:00.500Z", "1969-07-20T20:17:40.000Z"],
]


def encode(texts):
    batch = pa.record_batch({"x": texts})
    columns, _ = Columns.survey(batch)
    return columns, columns.encode(batch)


def show(columns, rows):
    """What the page writes of the numbers of a column."""
    return format_cells(columns.used[0], rows.astype(np.float64))


@pytest.mark.parametrize("texts", TIMES, ids=lambda texts: texts[0])
def test_times_are_shown_on_the_page_as_in_the_table(texts):
    columns, rows = encode(texts * 9)
    assert show(columns, rows) == texts * 9


@pytest.mark.parametrize(("frequency", "days"), [("MS", 0), ("MS", 14), ("ME", 0)])
def test_the_same_day_of_each_month_is_shown_for_those_around_it(frequency, days, rng):
    dates = pd.date_range("1969-12-01", periods=90, freq=frequency)
    texts = [f"{date:%d.%m.%Y}" for date in dates + pd.Timedelta(days=days)]
    columns, rows = encode(texts)
    rows[:, 0] += rng.uniform(-13, 13, 90)
    assert columns.decode(rows)["x"].to_pylist() == texts
    assert show(columns, rows) == texts


@slow
def test_a_slider_decodes_the_code_that_it_is_moved_to(opened, rng):
    X = rng.normal(size=(50, 5))
    some = seeded(3, max_iter=1).fit(X)
    fitted = replace(some._model, network=draw_network([5, 7, 3], "elu"))
    rows = Rows(X, fitted.transform(X), X, X**2)
    columns = [Column(name, Kind.number) for name in "abcde"]
    whole = Whole(fitted)
    whole.add(X)
    page = opened(Report(fitted, rows, columns, whole)).page
    slider = page.get_by_role("slider", name="Unit 2")
    slider.focus()
    page.keyboard.press("End")
    moved = float(slider.input_value())
    code = np.sort(rows.code, axis=0)
    assert moved == pytest.approx(code[-1, 1], abs=0.02 * np.ptp(code[:, 1]))
    chosen = code[25:26]  # each unit in the middle of its range
    chosen[:, 1] = moved
    shown = page.locator("#decoded td:nth-child(2)").all_inner_texts()
    expected = fitted.inverse_transform(chosen)[0]
    assert_allclose(np.array(shown, float), expected, rtol=0.006, atol=1e-3)
