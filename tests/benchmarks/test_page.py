"""The page of the committed results, and the figures that other pages
quote from them.
"""

import re

import pytest
from benchmarks._page import PAGE, PICTURES, QUOTE, QUOTING, make_page, quote_anew
from benchmarks._results import read_results
from benchmarks._run import RESULTS

from .conftest import make_result


@pytest.fixture(scope="module")
def results():
    return read_results(RESULTS)


def test_the_page_made_again_is_unchanged(results):
    again = read_results(RESULTS / "again")
    assert PAGE.read_text() == make_page(results, again), "python -m benchmarks --page"


def test_each_case_has_its_pictures(results):
    folder = PAGE.parent / PICTURES
    names = {f"{name}-{mode}.svg" for name in results for mode in ("light", "dark")}
    assert {path.name for path in folder.glob("*.svg")} == names


@pytest.mark.parametrize("page", QUOTING, ids=lambda page: page.name)
def test_quoted_figures_are_in_the_results(page, results):
    text = page.read_text()
    assert len(QUOTE.findall(text)) == text.count("<!-- bench")
    assert "\n<!-- bench" not in text, "a comment that begins a line ends its paragraph"
    assert text == quote_anew(text, results), "python -m benchmarks --page"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("7.3", "2.0"),
        ("70", "2"),
        ("0.70 of ours", "2.00 of ours"),
    ],
)
def test_a_figure_that_was_changed_is_noticed(wrong, right):
    seconds = {
        "TiedAutoencoder": [{"wine": {"seconds": 1}}],
        "PCA": [{"wine": {"seconds": 2}}],
    }
    results = {"tables": make_result("tables", seconds)}
    text = "It takes {} times <!-- bench tables/PCA/seconds/ratio -->."
    assert quote_anew(text.format(wrong), results) == text.format(right)


def test_results_name_no_machine_and_no_path():
    for path in RESULTS.rglob("*.json"):
        assert not re.search(
            r"(?<![\w.])/(home|work|root|tmp|Users)\b", path.read_text()
        ), path.name
