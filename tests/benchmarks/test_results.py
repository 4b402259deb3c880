"""Medians, ratios and penalties of made results, by hand."""

import pytest
from benchmarks._page import make_page
from benchmarks._results import Result, format_number, read_figure

OURS, PCA, MLP = "TiedAutoencoder", "PCA", "MLPRegressor"


@pytest.fixture
def result(make_result) -> Result:
    return make_result(
        TiedAutoencoder=[{"seconds": 1.0}, {"seconds": 2.0}, {"seconds": 4.0}],
        PCA=[{"seconds": 3.0}, {"seconds": 1.0}, {"seconds": 8.0}],
        MLPRegressor=[{"failure": "it broke"}] * 3,
    )


def test_a_ratio_is_the_median_of_the_ratios_of_the_same_turn(result):
    assert result.compute_ratio(PCA, "seconds") == pytest.approx(2.0)  # of 3, 0.5 and 2


def test_a_value_is_the_median_over_the_turns(result):
    assert result.compute_value(OURS, "seconds") == pytest.approx(2.0)


def test_a_failure_counts_with_twice_the_worst_median(result):
    assert result.compute_value(MLP, "seconds") == pytest.approx(6.0)  # PCA's is 3


def test_a_task_that_cannot_be_done_is_left_out(make_result):
    result = make_result(
        TiedAutoencoder=[{"seconds": 1.0}], PCA=[{"not_applicable": "no layers"}]
    )
    assert result.compute_value(PCA, "seconds") is None


def test_the_first_paragraph_tells_which_peer_is_ahead(make_result):
    slow = make_result(TiedAutoencoder=[{"seconds": 3.0}], PCA=[{"seconds": 1.0}])
    _, paragraph, cases, *_ = make_page({"tables": slow}, {}).split("\n\n")
    assert paragraph.startswith("**Peers are ahead of ours** in 1 of the 1 cases")
    assert "*PCA* 3.0 times" in cases


def test_the_first_paragraph_tells_that_no_peer_is_ahead(make_result):
    fast = make_result(TiedAutoencoder=[{"seconds": 1.0}], PCA=[{"seconds": 3.0}])
    assert (
        make_page({"tables": fast}, {}).splitlines()[2].startswith("No peer is ahead")
    )


def test_tasks_that_differ_in_kind_have_a_lead_each(make_result):
    made = make_result(keras_tied=[{"seconds": 1.0}], peer=[{"seconds": 1.0}])
    for system, (first_fit, first_encode) in {
        "keras-tied": (1, 2),
        "PCA": (9, 1),
    }.items():
        tasks = {
            "first fit": {"seconds": first_fit},
            "first encode": {"seconds": first_encode},
        }
        made.json["systems"][system] = {"runs": [{"turn": 0, "tasks": tasks}]}
    del made.json["systems"]["keras_tied"], made.json["systems"]["peer"]
    result = Result({**made.json, "case": "start"})
    assert result.list_leads() == [("seconds, first encode", "PCA", 2.0)]


def test_a_figure_is_read_by_its_key(result):
    assert read_figure({"tables": result}, "tables/PCA/seconds/share") == pytest.approx(
        0.5
    )
    assert read_figure(
        {"tables": result}, "tables/PCA/seconds/value/wine"
    ) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.01234, "0.0123"),
        (1.456, "1.46"),
        (12.34, "12.3"),
        (1456.0, "1,460"),
        (2e-6, "2.00e-06"),
        (0, "0"),
    ],
)
def test_numbers_have_three_digits(number, text):
    assert format_number(number) == text
