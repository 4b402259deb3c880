import numpy as np
import pytest
from sklearn.datasets import load_iris
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
    np.testing.assert_array_equal(points(display.axes_[1, 0]), points(display.axes_[0, 0]))
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
    labels = [f"kind {i % 20:02d}" for i in range(40)] + ["kind 19"] * 19 + [None]
    names = names_in(legend_of(AutoencoderDisplay(**tables, y=labels).plot()))
    assert len(names) == 12
    assert names[-3:] == ["kind 19", "10 others", "missing"]


def test_a_legend_tells_what_the_labels_are(tables):
    y = np.repeat(["a", "b"], 30)
    display = AutoencoderDisplay(**tables, y=y, label_name="species").plot()
    assert legend_of(display).get_title().get_text() == "species"


def test_names_and_labels_are_not_taken_for_formulas(tables, tmp_path):
    two = {name: table[:, :2] for name, table in tables.items()}
    y = np.repeat(["_hidden", r"$\broken{$"], 30)
    names = [r"$\alsobroken{$", "_b"]
    display = AutoencoderDisplay(**two, y=y, feature_names=names, label_name="$x$").plot()
    display.figure_.savefig(tmp_path / "figure.svg")
    assert names_in(legend_of(display)) == [r"$\broken{$", "_hidden"]


@pytest.mark.parametrize("history", [None, {}, {"loss": []}])
def test_without_a_history_the_cost_panel_says_so(tables, history):
    cost = AutoencoderDisplay(**tables, history=history, pca_error=0.5).plot().axes_[1, 1]
    assert [text.get_text() for text in cost.texts] == ["not trained"]
    assert [line.get_label() for line in cost.get_lines()] == ["PCA, 3 components"]


def test_an_estimator_is_drawn_with_its_losses_and_the_names_of_its_features():
    X = load_iris(as_frame=True).data.iloc[:, :2]
    estimator = TiedAutoencoder(n_components=1, random_state=0, max_iter=20).fit(X)
    display = AutoencoderDisplay.from_estimator(estimator, X)
    axes = display.axes_[0, 0]
    assert axes.get_xlabel() == "sepal length (cm)"
    np.testing.assert_allclose(points(display.axes_[0, 1])[:, 1], estimator.reconstruction_error(X))
    assert estimator.is_pca_  # so the losses are those of a network that was rejected
    assert not display.axes_[1, 1].get_lines()


def test_a_network_is_drawn_with_its_losses_and_the_errors_of_held_out_rows(rng):
    z = rng.uniform(-1, 1, size=(200, 1))
    X = np.column_stack([z, z**2, z**3])
    estimator = TiedAutoencoder(n_components=1, random_state=0, max_iter=200).fit(X)
    cost = AutoencoderDisplay.from_estimator(estimator, X).axes_[1, 1]
    curves = {line.get_label(): line.get_ydata() for line in cost.get_lines()}
    np.testing.assert_array_equal(curves["train"], estimator.loss_curve_)
    np.testing.assert_array_equal(curves["validation"], estimator.validation_curve_)


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
    assert not any(legend.overlaps(axes.get_window_extent()) for axes in display.axes_.flat)


@pytest.mark.parametrize("n_epochs", [1, 2, 6, 9])
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
