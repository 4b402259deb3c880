"""What the figures show, beside the arrays that they are drawn from."""

import sys
from itertools import combinations
from typing import NamedTuple
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from tests.marks import for_each

from tied_tables import plotting
from tied_tables.plotting import AutoencoderDisplay

from ..estimator.networks import draw_curve, seeded

N = 60
ROW = np.arange(N)


@pytest.fixture
def tables(rng):
    X = rng.normal(size=(N, 5)) @ rng.normal(size=(5, 5)) + 3
    return {
        "X": X,
        "code": rng.normal(size=(N, 2)),
        "reconstruction": X + 0.1,
    }


@pytest.fixture
def draw(tables):
    """Draws the tables with some changes."""
    return lambda **changes: Drawn.of(AutoencoderDisplay(**tables | changes).plot())


class Drawn(NamedTuple):
    """A figure and its panels."""

    figure: Figure
    given: Axes
    code: Axes
    restored: Axes
    cost: Axes

    @classmethod
    def of(cls, display):
        return cls(display.figure_, *display.axes_.flat)


def points(axes):
    return np.asarray(axes.collections[0].get_offsets())


def count_colours(axes):
    colours = axes.collections[-1].get_facecolors()
    return len(np.unique(colours, axis=0))


def names_in(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def project(X):
    return PCA(2).fit_transform(StandardScaler().fit_transform(X))


VIEWS = {
    "five features": (5, "principal", project),
    "two of five features": (5, "features", lambda X: X[:, :2]),
    "two features": (2, "principal", lambda X: X),
    "one feature": (1, "principal", lambda X: np.column_stack([ROW + 1, X])),
}


@for_each(VIEWS, "n", "plane", "view")
def test_input_and_reconstruction_are_drawn_in_one_plane_and_scale(
    draw, tables, n, plane, view
):
    X = tables["X"][:, :n]
    names = list("whabc")[:n]
    drawn = draw(X=X, reconstruction=X, plane=plane, feature_names=names)
    assert_allclose(points(drawn.given), view(X), atol=1e-9)
    assert_array_equal(points(drawn.restored), points(drawn.given))
    assert drawn.given.get_title("left") == f"Incoming data, {n}-D"
    assert drawn.restored.get_title("left") == f"Decoded data, {n}-D"
    if n == 2 or plane == "features":
        for axes in (drawn.given, drawn.restored):
            assert (axes.get_xlabel(), axes.get_ylabel()) == ("w", "h")


def test_the_scale_of_the_input_holds_every_reconstructed_row(draw, tables):
    drawn = draw(reconstruction=3 * tables["X"])
    assert drawn.given.get_xlim() == drawn.restored.get_xlim()
    low, high = drawn.given.get_ylim()
    heights = points(drawn.restored)[:, 1]
    assert low < heights.min()
    assert heights.max() < high


def test_a_missing_value_is_drawn_at_the_mean_of_its_column(draw, tables):
    tables["X"][0] = np.nan
    drawn = points(draw().given)
    assert_allclose(drawn[0], 0, atol=1e-12)
    assert np.isfinite(drawn).all()


def test_columns_that_are_all_constant_can_be_drawn(draw):
    drawn = draw(X=np.ones((N, 5)))
    assert_allclose(points(drawn.given), 0, atol=1e-12)


@pytest.mark.parametrize("n", [2, 7])
def test_the_first_two_units_are_drawn(draw, rng, n):
    code = rng.normal(size=(N, n))
    panel = draw(code=code).code
    assert_array_equal(points(panel), code[:, :2])
    assert panel.get_title("left") == f"Encoded data, {n}-D"
    assert panel.get_ylabel() == "unit 2"


def test_a_code_of_one_unit_is_drawn_against_the_error(draw, tables):
    code = tables["code"][:, :1]
    panel = draw(code=code).code
    expected = np.column_stack([code, np.full(N, 0.01)])
    assert_allclose(points(panel), expected)
    assert panel.get_ylabel() == "error"


@pytest.mark.parametrize("n", [3, 6])
def test_each_pair_of_three_to_six_units_is_drawn_once(draw, rng, n):
    code = rng.normal(size=(N, n))
    drawn = draw(code=code)
    insets = drawn.code.child_axes
    pairs = sorted(combinations(range(n), 2), key=lambda pair: pair[1])
    for pair, inset in zip(pairs, insets, strict=True):
        assert_array_equal(points(inset), code[:, pair])
    drawn.figure.draw_without_rendering()
    boxes = [inset.bbox.frozen() for inset in insets]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    grid = Bbox.union(boxes)
    assert_allclose(grid.extents, drawn.code.bbox.extents, atol=1)
    assert insets[0].get_ylabel() == "unit 2"
    assert insets[-1].get_xlabel() == f"unit {n - 1}"


def looks_of(axes, places):
    """The marker and the colour of each of the points at some places."""
    found = {}
    for drawn in axes.collections:
        is_square = len(drawn.get_paths()[0].vertices) < 9
        offsets = drawn.get_offsets().tolist()
        for point, colour in zip(offsets, drawn.get_facecolors(), strict=True):
            found[tuple(point)] = "s" if is_square else "o", to_hex(colour)
    return [found[tuple(place)] for place in places.tolist()]


@pytest.mark.parametrize("n_labels", [2, 10, 20])
def test_labels_differ_in_colour_or_marker_as_the_legend_says(draw, tables, n_labels):
    y = (ROW % n_labels).astype(str)
    figure, *panels, _ = draw(y=y, label_name="species", plane="features")
    legend = figure.legends[0]
    assert legend.get_title().get_text() == "species"
    looks = {}
    for name, handle in zip(names_in(figure), legend.legend_handles, strict=True):
        looks[name] = handle.get_marker(), to_hex(handle.get_color())
    assert len(set(looks.values())) == n_labels
    expected = [looks[label] for label in y]
    for axes, table in zip(panels, tables.values(), strict=True):
        assert looks_of(axes, table[:, :2]) == expected


def test_without_labels_there_is_one_colour_and_no_legend(draw):
    drawn = draw()
    assert count_colours(drawn.given) == 1
    assert not drawn.figure.legends


def test_the_most_frequent_of_many_labels_are_told_apart_from_the_others(draw):
    labels = [f"kind {i % 30:02d}" for i in range(40)] + ["kind 29"] * 19 + [None]
    names = names_in(draw(y=labels).figure)
    assert len(names) == 22
    assert names[-3:] == ["kind 29", "10 others", "missing"]


LARGE = np.linspace(-1e300, 1e300, N)
LARGE[[0, -1]] *= 1e8  # no double holds their difference


@pytest.mark.parametrize("y", [ROW, LARGE], ids=["row", "large"])
def test_many_numbers_as_labels_are_shades_with_a_colour_bar(draw, y):
    drawn = draw(y=y)
    drawn.figure.draw_without_rendering()
    assert count_colours(drawn.given) == N
    assert not drawn.figure.legends
    bar = drawn.figure.axes[-1]
    assert bar.get_xlabel() == "label"
    assert np.isfinite(bar.get_xlim()).all()


def test_names_and_labels_are_taken_neither_for_formulas_nor_for_elements(
    draw, tables, tmp_path
):
    names = [r"$\alsobroken{$", "<img src=x onerror=run()>"]
    y = np.repeat(["_hidden", r"--></text><script>$\broken{$"], 30)
    X = tables["X"][:, :2]
    two = {"X": X, "reconstruction": X, "feature_names": names}
    figure = draw(**two, y=y, label_name="$x$").figure
    figure.savefig(tmp_path / "figure.svg")
    assert names_in(figure) == [y[-1], y[0]]
    parts = ElementTree.parse(tmp_path / "figure.svg").iter()
    tags = [part.tag.split("}")[-1] for part in parts]
    assert not {"img", "script"}.intersection(tags)
    assert tags.count("image") == 3  # of points, which would be slow as vectors


@pytest.mark.parametrize("fonts", [["Malgun Gothic"], []])
def test_letters_that_a_font_lacks_are_taken_from_an_installed_one(
    draw, monkeypatch, fonts
):
    monkeypatch.setattr(font_manager, "get_font_names", lambda: ["DejaVu Sans", *fonts])
    labels = np.repeat(["한국", "b"], 30)
    legend = draw(y=labels).figure.legends[0]
    for text in legend.get_texts():
        assert text.get_fontfamily()[1:] == fonts


@pytest.mark.parametrize("name", ["a", "a name of twenty-four", "a name of sixty" * 4])
def test_a_legend_of_any_names_is_inside_the_figure_and_off_the_points(draw, name):
    figure, *panels = draw(y=[f"{name} {i % 6}" for i in ROW])
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.containsx(box.x0)
    assert figure.bbox.containsx(box.x1)
    assert not any(box.overlaps(axes.get_window_extent()) for axes in panels)


def test_of_more_than_twenty_thousand_rows_a_part_is_drawn(rng):
    many = rng.normal(size=(20_001, 2))
    y = np.where(many[:, 1] > 0, "up", "down")
    drawn = Drawn.of(AutoencoderDisplay(many, many[:, ::-1], many, y=y).plot())
    places = points(drawn.given)
    assert len(np.unique(places, axis=0)) == 20_000
    assert_array_equal(points(drawn.code), places[:, ::-1])
    assert_array_equal(points(drawn.restored), places)
    assert count_colours(drawn.given) == 2
    assert drawn.figure.get_supxlabel() == "20,000 of 20,001 rows"


LOSS, VALIDATION = [0.5, 0.05, 0.005], [0.6, 0.06, 0.006]
HISTORIES = {
    "both": {"loss": LOSS, "val_loss": VALIDATION},
    "training": {"loss": LOSS},
    "one epoch": {"loss": [0.3]},
    "nothing lost": {"loss": [0.0, 0.0]},
    "not finite": {"loss": [np.nan, np.nan]},
    "empty": {"loss": []},
    "none": None,
}


@pytest.mark.parametrize("name", HISTORIES)
def test_the_cost_is_drawn_by_epoch_beside_the_error_of_pca(draw, name):
    history, is_zero = HISTORIES[name], name == "nothing lost"
    pca_error = 0.0 if is_zero else 0.002
    cost = draw(history=history, pca_error=pca_error).cost
    lines = {line.get_label(): line for line in cost.get_lines()}
    pca = lines.pop("PCA, 2 components")
    assert set(pca.get_ydata()) == {pca_error}
    assert cost.get_yscale() == ("linear" if is_zero else "log")
    low, high = cost.get_ylim()
    assert low <= pca_error < high
    texts = [text.get_text() for text in cost.texts]
    if name in ("not finite", "empty", "none"):
        assert lines == {}
        assert texts == ["not trained"]
        return
    assert texts == []
    curves = {"train": history["loss"], "validation": history.get("val_loss")}
    assert set(lines) == {label for label, curve in curves.items() if curve}
    for label, line in lines.items():
        n_epochs = len(curves[label])
        assert_array_equal(line.get_ydata(), curves[label])
        assert_array_equal(line.get_xdata(), np.arange(n_epochs) + 1)
        assert low <= min(curves[label]) <= max(curves[label]) < high
        assert (line.get_marker() == "o") == (n_epochs == 1)


def test_without_history_and_pca_there_is_no_cost(draw):
    cost = draw().cost
    assert not cost.get_lines()
    assert len(cost.get_yticks()) == 0


def test_the_curves_of_an_estimator_are_those_of_its_network():
    X = draw_curve(1500)
    estimator = seeded(1, max_iter=20).fit(X)
    assert not estimator.is_pca_
    display = AutoencoderDisplay.from_estimator(estimator, X)
    _, code, _, cost = display.axes_.flat
    lines = {line.get_label(): list(line.get_ydata()) for line in cost.get_lines()}
    assert lines["train"] == estimator.loss_curve_
    assert lines["validation"] == estimator.validation_curve_
    codes = estimator.transform(X)
    errors = estimator.reconstruction_error(X)
    assert_allclose(
        points(code),
        np.column_stack([codes, errors]),
    )


def test_a_display_is_drawn_into_a_figure_with_two_numbers_as_its_labels(tables):
    own, before = plotting.new_figure(), mpl.rcParams.copy()
    figure = AutoencoderDisplay(**tables, y=ROW % 2).plot(own).figure_
    assert figure is own
    assert mpl.rcParams == before
    assert names_in(figure) == ["0", "1"]


def test_without_matplotlib_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"tied-tables\[plot\]"):
        plotting.new_figure()
