"""Medians, ratios and penalties of made results, by hand."""

import pytest
from benchmarks._results import read_figure

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
