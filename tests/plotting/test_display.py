import math

import numpy as np
import pandas as pd
import pytest
from matplotlib import font_manager
from matplotlib.colors import to_hex
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from keras_tied import TiedAutoencoder
from keras_tied.plotting import AutoencoderDisplay


@pytest.fixture
def tables(rng):
    X = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)) + 3
    return {"X": X, "code": rng.normal(size=(60, 3)), "reconstruction": X + 0.1}


def points(axes):
    return np.asarray(axes.collections[0].get_offsets())


def legend_of(display):
    return display.axes_[0, 0].get_legend() or display.figure_.legends[0]


def names_in(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_the_input_is_drawn_in_the_plane_of_its_principal_components(tables):
    display = AutoencoderDisplay(**tables).plot()
    expected = PCA(2).fit_transform(StandardScaler().fit_transform(tables["X"]))
    np.testing.assert_allclose(points(display.axes_[0, 0]), expected, atol=1e-9)


def test_the_reconstruction_is_drawn_in_the_same_plane_as_the_input(tables):
    display = AutoencoderDisplay(**(tables | {"reconstruction": tables["X"]})).plot()
    np.testing.assert_array_equal(
        points(display.axes_[1, 0]), points(display.axes_[0, 0])
    )
    assert display.axes_[0, 0].get_xlim() == display.axes_[1, 0].get_xlim()


def test_two_features_are_drawn_as_they_are_with_their_names(tables):
    two = {name: table[:, :2] for name, table in tables.items()}
    display = AutoencoderDisplay(**two, feature_names=["width", "height"]).plot()
    np.testing.assert_array_equal(points(display.axes_[0, 0]), two["X"])
    axes = display.axes_[0, 0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("width", "height")


def test_one_feature_is_drawn_against_the_number_of_the_row(tables):
    one = {name: table[:, :1] for name, table in tables.items()}
    drawn = points(AutoencoderDisplay(**one).plot().axes_[0, 0])
    np.testing.assert_array_equal(drawn[:, 0], np.arange(1, 61))
    np.testing.assert_array_equal(drawn[:, 1], one["X"][:, 0])


def test_a_code_of_one_unit_is_drawn_against_the_error(tables):
    display = AutoencoderDisplay(**(tables | {"code": tables["code"][:, :1]})).plot()
    drawn = points(display.axes_[0, 1])
    np.testing.assert_array_equal(drawn[:, 0], tables["code"][:, 0])
    np.testing.assert_allclose(drawn[:, 1], 0.01)
    assert display.axes_[0, 1].get_ylabel() == "error"


def test_a_missing_value_is_drawn_at_the_mean_of_its_column(tables):
    holed = tables["X"].copy()
    holed[0] = np.nan
    drawn = points(AutoencoderDisplay(**(tables | {"X": holed})).plot().axes_[0, 0])
    np.testing.assert_allclose(drawn[0], 0, atol=1e-12)
    assert np.isfinite(drawn).all()


def test_columns_that_are_all_constant_can_be_drawn(tables):
    display = AutoencoderDisplay(**(tables | {"X": np.ones((60, 5))})).plot()
    np.testing.assert_allclose(points(display.axes_[0, 0]), 0, atol=1e-12)


def test_the_most_frequent_of_many_labels_are_told_apart_from_the_others(tables):
    labels = [f"kind {i % 30:02d}" for i in range(40)] + ["kind 29"] * 19 + [None]
    names = names_in(legend_of(AutoencoderDisplay(**tables, y=labels).plot()))
    assert len(names) == 22
    assert names[-3:] == ["kind 29", "10 others", "missing"]


def shape_of(collection):
    return len(collection.get_paths()[0].vertices)


def test_twenty_labels_differ_in_colour_or_marker_as_the_legend_says(tables):
    y = np.arange(60) % 20
    display = AutoencoderDisplay(**tables, y=y.astype(str)).plot()
    looks = {}
    for drawn in display.axes_[0, 0].collections:
        for point, colour in zip(
            drawn.get_offsets(), drawn.get_facecolors(), strict=True
        ):
            looks[tuple(np.asarray(point))] = shape_of(drawn), to_hex(colour)
    principal = PCA(2).fit_transform(StandardScaler().fit_transform(tables["X"]))
    nearest = [
        min(looks, key=lambda place, p=point: math.dist(place, p))
        for point in principal
    ]
    of_label = {
        label: {looks[nearest[i]] for i in range(label, 60, 20)} for label in range(20)
    }
    assert all(len(look) == 1 for look in of_label.values())
    assert len(set.union(*of_label.values())) == 20
    legend = legend_of(display)
    squares = {
        int(text.get_text())
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
        if handle.get_marker() == "s"
    }
    with_four_corners = {label for label, look in of_label.items() if min(look)[0] < 9}
    assert squares == with_four_corners
    assert len(squares) == 10


@pytest.fixture(scope="module")
def many():
    """More rows than can be told apart, with one that lies far out, and one
    not as far.
    """
    X = np.random.default_rng(0).normal(size=(10_001, 2))
    X[:2] = [[900.0, 0.0], [0.0, 4.5]]
    return X


def test_of_many_rows_some_are_points_and_all_but_those_far_out_are_counted(many):
    display = AutoencoderDisplay(many, many[:, ::-1], many).plot()
    for axes in (display.axes_[0, 0], display.axes_[0, 1], display.axes_[1, 0]):
        density, drawn = axes.collections
        assert density.get_array().sum() == 10_000
        assert len(drawn.get_offsets()) == 1_500
    assert display.axes_[0, 0].get_xlim()[1] < 10
    assert display.axes_[0, 0].get_ylim()[1] > 4.5


def test_points_of_many_rows_are_the_same_rows_in_each_panel_and_have_their_labels(
    many,
):
    y = np.where(many[:, 1] > 0, "up", "down")
    display = AutoencoderDisplay(many, many[:, ::-1], many, y=y).plot()
    rows, codes = (axes.collections[1] for axes in display.axes_[0])
    np.testing.assert_array_equal(codes.get_offsets(), rows.get_offsets()[:, ::-1])
    is_up = np.asarray(rows.get_offsets())[:, 1] > 0
    for colours in (rows.get_facecolors(), codes.get_facecolors()):
        assert len(np.unique(colours[is_up], axis=0)) == 1
        assert len(np.unique(colours, axis=0)) == 2


def test_the_figure_says_how_many_of_many_rows_are_points_or_lie_outside(many):
    note = AutoencoderDisplay(many, many, many).plot().figure_.get_supxlabel()
    assert note.startswith("1,500 of 10,001 rows as points")
    assert note.endswith("1 row far outside")
    few = many[2:10_001]
    assert AutoencoderDisplay(few, few, few).plot().figure_.get_supxlabel() == ""


def test_each_pair_of_many_codes_has_its_density(many):
    code = np.column_stack([many, many[:, 0]])
    code_axes = AutoencoderDisplay(many, code, many).plot().axes_[0, 1]
    found = [pair.collections[0].get_array().sum() for pair in code_axes.child_axes]
    assert found == [10_000, 10_000, 10_000]


@pytest.mark.slow
def test_a_legend_is_off_the_density_of_many_rows(many):
    X = np.random.default_rng(1).uniform(size=(10_001, 2))
    display = AutoencoderDisplay(X, X, X, y=np.arange(10_001) % 2).plot()
    assert display.axes_[0, 0].get_legend() is None
    assert display.figure_.legends


def test_a_legend_tells_what_the_labels_are(tables):
    y = np.repeat(["a", "b"], 30)
    display = AutoencoderDisplay(**tables, y=y, label_name="species").plot()
    assert legend_of(display).get_title().get_text() == "species"


def test_names_and_labels_are_not_taken_for_formulas(tables, tmp_path):
    two = {name: table[:, :2] for name, table in tables.items()}
    y = np.repeat(["_hidden", r"$\broken{$"], 30)
    names = [r"$\alsobroken{$", "_b"]
    display = AutoencoderDisplay(
        **two, y=y, feature_names=names, label_name="$x$"
    ).plot()
    display.figure_.savefig(tmp_path / "figure.svg")
    assert names_in(legend_of(display)) == [r"$\broken{$", "_hidden"]


def test_labels_that_differ_by_more_than_a_double_holds_are_shades(tables):
    y = np.linspace(-1, 1, 60) * np.finfo(float).max
    display = AutoencoderDisplay(**tables, y=y).plot()
    display.figure_.canvas.draw()
    bar = display.figure_.axes[-1]
    assert np.isfinite(bar.get_xlim()).all()


@pytest.mark.parametrize(
    "history", [None, {}, {"loss": []}, {"loss": [math.nan, math.nan]}]
)
def test_without_a_history_the_cost_panel_says_so(tables, history):
    cost = (
        AutoencoderDisplay(**tables, history=history, pca_error=0.5).plot().axes_[1, 1]
    )
    assert [text.get_text() for text in cost.texts] == ["not trained"]
    assert [line.get_label() for line in cost.get_lines()] == ["PCA, 3 components"]


@pytest.mark.parametrize("history", [{}, {"loss": [0.0, 0.0]}])
def test_costs_of_0_are_drawn_on_a_linear_axis(tables, history):
    cost = (
        AutoencoderDisplay(**tables, history=history, pca_error=0.0).plot().axes_[1, 1]
    )
    low, high = cost.get_ylim()
    assert cost.get_yscale() == "linear"
    assert low <= 0 < high


@pytest.mark.slow
def test_an_estimator_is_drawn_with_its_losses_and_the_names_of_its_features():
    turn = np.linspace(0, 2, 90)
    X = pd.DataFrame({"t": turn, "square": turn**2})
    estimator = TiedAutoencoder(n_components=1, random_state=0, max_iter=60).fit(X)
    assert not estimator.is_pca_
    display = AutoencoderDisplay.from_estimator(estimator, X)
    axes = display.axes_[0, 0]
    assert axes.get_xlabel() == "t"
    np.testing.assert_allclose(
        points(display.axes_[0, 1])[:, 1], estimator.reconstruction_error(X)
    )
    np.testing.assert_array_equal(curves_of(display)["train"], estimator.loss_curve_)


def curves_of(display):
    return {
        line.get_label(): line.get_ydata() for line in display.axes_[1, 1].get_lines()
    }


class Halves(BaseEstimator):
    """What a fitted estimator has."""

    is_pca_, loss_curve_, validation_curve_ = False, [0.3, 0.2], [0.4, 0.3]

    def transform(self, X):
        return X[:, :1]

    def reconstruct(self, X):
        return X / 2

    def reconstruction_error(self, X):
        return np.square(X / 2).mean(axis=1)


def test_the_validation_curve_of_an_estimator_is_drawn(tables):
    display = AutoencoderDisplay.from_estimator(Halves(), tables["X"])
    assert list(curves_of(display)["validation"]) == [0.4, 0.3]


def test_without_validation_only_the_curve_of_training_is_drawn(tables, monkeypatch):
    monkeypatch.setattr(Halves, "validation_curve_", None)
    display = AutoencoderDisplay.from_estimator(Halves(), tables["X"])
    assert list(curves_of(display)) == ["train"]


def test_the_curves_of_a_network_that_was_rejected_are_not_drawn(tables, monkeypatch):
    monkeypatch.setattr(Halves, "is_pca_", True)
    display = AutoencoderDisplay.from_estimator(Halves(), tables["X"])
    assert curves_of(display) == {}
    assert [text.get_text() for text in display.axes_[1, 1].texts] == ["not trained"]


@pytest.mark.parametrize("corner", [True, False])
def test_a_legend_covers_no_point(corner):
    x, y = np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 21))
    rows = np.column_stack([x.ravel(), y.ravel()])
    rows = rows if corner else rows[rows.sum(axis=1) <= 1]
    rows[0] = np.nan
    labels = np.arange(len(rows)) % 3
    display = AutoencoderDisplay(rows, rows, rows, y=labels).plot()
    display.figure_.draw_without_rendering()
    box, incoming = legend_of(display).get_window_extent(), display.axes_[0, 0]
    assert not box.count_contains(incoming.transData.transform(rows))
    assert (incoming.get_legend() is None) == corner


def test_a_legend_of_long_names_is_inside_the_figure_and_off_the_points(tables):
    y = [f"a name of twenty-four {i % 6}" for i in range(60)]
    display = AutoencoderDisplay(**tables, y=y).plot()
    display.figure_.draw_without_rendering()
    legend = legend_of(display).get_window_extent()
    assert display.figure_.bbox.containsx(legend.x0)
    assert display.figure_.bbox.containsx(legend.x1)
    assert not any(
        legend.overlaps(axes.get_window_extent()) for axes in display.axes_.flat
    )


@pytest.mark.parametrize("n_epochs", [1, 9])
def test_few_epochs_are_numbered_one_by_one(tables, n_epochs):
    display = AutoencoderDisplay(**tables, history={"loss": [0.1] * n_epochs}).plot()
    display.figure_.draw_without_rendering()
    axis = display.axes_[1, 1].xaxis
    written = [tick.label1.get_text() for tick in axis.get_major_ticks()]
    assert written == [str(epoch + 1) for epoch in range(n_epochs)]
    assert not len(axis.get_minorticklocs())


@pytest.mark.parametrize(("n", "n_pairs"), [(2, 0), (3, 3), (6, 15), (7, 0)])
def test_of_three_to_six_units_each_pair_is_drawn_once(rng, n, n_pairs):
    X, code = rng.normal(size=(30, 8)), rng.normal(size=(30, n))
    code_axes = AutoencoderDisplay(X, code, X).plot().axes_[0, 1]
    drawn = [points(pair) for pair in code_axes.child_axes]
    expected = [code[:, [i, j]] for j in range(n) for i in range(j)] if n_pairs else []
    assert len(drawn) == n_pairs
    for found, pair in zip(drawn, expected, strict=True):
        np.testing.assert_array_equal(found, pair)


@pytest.mark.parametrize("is_installed", [True, False])
def test_letters_that_matplotlibs_font_lacks_are_taken_from_an_installed_one(
    tables, monkeypatch, is_installed
):
    fonts = ["Malgun Gothic"] if is_installed else []
    monkeypatch.setattr(font_manager, "get_font_names", lambda: ["DejaVu Sans", *fonts])
    display = AutoencoderDisplay(**tables, y=np.repeat(["한국", "b"], 30)).plot()
    (name,) = (
        text for text in legend_of(display).get_texts() if text.get_text() == "한국"
    )
    assert name.get_fontfamily()[1:] == fonts
