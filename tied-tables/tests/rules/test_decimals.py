"""Numbers with the decimal mark elsewhere, planted and looked for."""

import numpy as np
import pytest

from tied_tables.rules import Rules


def write(values):
    return [f"{value:.10g}" for value in values]


def find_doubts(columns, to_table):
    table = to_table(columns)
    return Rules.find(table).judge(table)


@pytest.fixture
def heights():
    """Of 400 people, in centimeters with one decimal."""
    return np.round(np.random.default_rng(0).normal(170, 9, 400), 1)


@pytest.mark.parametrize("factor", [1000, 100, 10, 0.1, 0.01, 0.001])
def test_a_number_with_its_decimal_mark_elsewhere_is_doubted(factor, heights, to_table):
    texts = write(heights)
    right, texts[7] = texts[7], f"{heights[7] * factor:.10g}"
    [doubt] = find_doubts({"height": texts}, to_table)
    assert (doubt.row, doubt.column, doubt.value) == (8, "height", texts[7])
    assert doubt.suggestion == right
    low, high = np.quantile(
        [*heights[:7], heights[7] * factor, *heights[8:]], [0.1, 0.9]
    )
    assert doubt.reason == (
        f"height {texts[7]} is far outside its other values (most are {low:.1f} to"
        f" {high:.1f}); with the decimal mark elsewhere it is {right}"
    )


def test_it_is_written_as_in_its_column(heights, to_table):
    texts = [text.replace(".", ",") for text in write(10 * heights)]
    texts[3] = f"{100 * heights[3]:,.0f}".replace(",", ".")
    [doubt] = find_doubts({"height": texts}, to_table)
    assert doubt.value == texts[3]
    assert doubt.suggestion == f"{10 * heights[3]:.0f}"
    texts[3] = f"{heights[3]:.10g}".replace(".", ",")
    [doubt] = find_doubts({"height": texts}, to_table)
    assert doubt.value == texts[3]
    assert doubt.suggestion == f"{10 * heights[3]:.0f}"


OTHERS = {
    "with another digit": [1_702.4],
    "with more digits than the column has": [17.123],
    "far, but no tenth": [70.0, 25.3, 900.0],
    "0": [0.0],
    "negative": [-17.1],
    "too many": [17.1] * 9,
    "a few among many that are far": [17.1, 40.0, 45.0, 50.0],
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_numbers_are_not_doubted(kind, heights, to_table):
    numbers = np.append(np.rint(heights), OTHERS[kind])
    assert find_doubts({"height": write(numbers)}, to_table) == []


SPREADS = {
    "lognormal": lambda generator: np.exp(generator.normal(3, 1, 2_000)),
    "uniform": lambda generator: generator.uniform(1, 100, 2_000),
    "exponential": lambda generator: generator.exponential(10, 2_000),
    "heavy tails": lambda generator: 100 + generator.standard_t(3, 2_000),
    "a mass at the top": lambda generator: np.minimum(
        397, 450 - generator.exponential(40, 2_000)
    ),
    "counts": lambda generator: generator.poisson(4, 2_000),
    "constant": lambda generator: np.full(2_000, 5.0),
}


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("places", [0, 1, 2])
def test_numbers_that_nobody_damaged_are_not_doubted(spread, places, to_table):
    for seed in range(5):
        values = SPREADS[spread](np.random.default_rng(seed))
        assert find_doubts({"a": write(np.round(values, places))}, to_table) == []


def test_numbers_of_which_a_relation_holds_are_not_doubted(heights, to_table):
    weights = np.round(np.random.default_rng(1).normal(80, 6, 400), 1)
    columns = {"height": heights, "weight": weights, "both": heights + weights}
    for values in columns.values():
        values[5] *= 10
    texts = {name: write(np.round(values, 1)) for name, values in columns.items()}
    assert find_doubts(texts, to_table) == []
    texts["height"][9] = write([10 * heights[9]])[0]
    [doubt] = find_doubts(texts, to_table)
    assert (doubt.row, doubt.column) == (10, "height")
    assert "height + weight" in doubt.reason


def test_few_numbers_are_not_enough(heights, to_table):
    texts = write([*heights[:28], 1_700])
    assert find_doubts({"height": texts}, to_table) == []
