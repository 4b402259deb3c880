"""Medians, ratios and penalties of made results, by hand."""

import pytest
from benchmarks._page import make_page
from benchmarks._results import format_number, read_figure

from .conftest import make_result


@pytest.fixture
def results():
    """Three turns of a measure that is to be small, and one of one that is to be large."""

    def list_turns(measure, values):
        return [{"wine": {measure: value}} for value in values]

    seconds = {
        "TiedAutoencoder": list_turns("seconds", [1, 2, 4]),
        "PCA": list_turns("seconds", [3, 1, 8]),
        "MLPRegressor": list_turns("failure", ["it broke"]),
        "UMAP": [{"": {"failure": "TimeoutExpired"}}],
        "KernelPCA, rbf": list_turns("not_applicable", ["too wide"]),
    }
    areas = {
        "TiedAutoencoder": list_turns("area", [0.8]),
        "PyOD ECOD": list_turns("area", [0.4]),
        "PyOD COPOD": list_turns("failure", ["it broke"]),
    }
    numbers = {
        "TiedAutoencoder": [{"at random: a": {"numbers": 0.4}, "b": {"numbers": 0.9}}],
        "KNNImputer": [{"at random: a": {"numbers": 0.8}, "b": {"numbers": 0.6}}],
    }
    return {
        "tables": make_result("tables", seconds),
        "anomalies": make_result("anomalies", areas),
        "gaps": make_result("gaps", numbers),
    }


@pytest.mark.parametrize(
    ("key", "figure"),
    [
        ("tables/TiedAutoencoder/seconds/value", 2),  # the median over the turns
        ("tables/PCA/seconds/ratio", 2),  # of 3, 0.5 and 2
        ("tables/PCA/seconds/share", 0.5),
        ("tables/PCA/seconds/value/wine", 3),
        ("tables/MLPRegressor/seconds/value", 6),  # twice the worst median
        ("tables/UMAP/seconds/value/wine", 6),  # the process failed
        ("tables/KernelPCA, rbf/seconds/value", None),  # it cannot do that
        ("anomalies/PyOD ECOD/area/ratio", 2),
        ("anomalies/PyOD COPOD/area/value", 0.2),  # half the worst
        ("gaps/KNNImputer/numbers/ratio", (4 / 3) ** 0.5),
        ("gaps/KNNImputer/numbers/ratio/at random", 2),  # of the group alone
        ("gaps/KNNImputer/numbers/ratio/b", 2 / 3),
    ],
)
def test_a_figure_is_read_by_its_key(results, key, figure):
    expected = None if figure is None else pytest.approx(figure)
    assert read_figure(results, key) == expected


def test_the_page_begins_with_the_peers_that_are_ahead():
    tasks = {
        "keras-tied": [{"first fit": {"seconds": 1}, "first encode": {"seconds": 3}}],
        "PCA": [{"first fit": {"seconds": 9}, "first encode": {"seconds": 1}}],
    }
    page = make_page({"start": make_result("start", tasks)}, {})
    assert "**Peers are ahead of ours** in 1 of the 1 cases" in page
    assert "- [Start](#start): seconds, first encode: *PCA* 3.0 times\n" in page


def test_the_page_tells_paired_differences_of_groups_of_tasks():
    turns = {
        "TiedAutoencoder": [0.5, 0.6, 0.7],
        "PyOD ECOD": [0.3, 0.7, 0.3],  # by 0.2, -0.1 and 0.4
    }
    areas = {
        system: [{f"ADBench: {n}": {"area": area} for n, area in enumerate(values)}]
        for system, values in turns.items()
    }
    page = make_page({"anomalies": make_result("anomalies", areas)}, {})
    assert "| ours is better by | area under ROC, ADBench |" in page
    assert "| PyOD ECOD | +0.167 ± 0.145, on 2 of 3 |" in page


def test_the_page_tells_what_failed(results):
    page = " ".join(make_page(results, {}).split())
    assert "Failed: MLPRegressor, wine: it broke. Failed: UMAP: TimeoutExpired." in page


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.01234, "0.0123"),
        (1.456, "1.46"),
        (12.34, "12.3"),
        (1456.0, "1,460"),
        (2e-6, "2.00e-06"),
        (0, "0"),
        (None, ""),
    ],
)
def test_numbers_have_three_digits(number, text):
    assert format_number(number) == text
