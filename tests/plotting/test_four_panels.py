import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from keras_tied import plotting

HISTORY = {"loss": [0.5, 0.05, 0.005], "val_loss": [0.6, 0.06, 0.006]}


@pytest.fixture
def tables(rng):
    return {
        "X": rng.uniform(size=(50, 4)),
        "code": rng.uniform(size=(50, 2)),
        "reconstruction": rng.uniform(-1, 2, size=(50, 4)),
    }


@pytest.fixture
def figure(tables):
    y = np.repeat([0, 1], 25)
    return plotting.four_panels(**tables, history=HISTORY, y=y, pca_mse=0.002)


def test_the_titles_say_what_is_shown_and_its_dimension(figure):
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == [
        "Incoming data, 4-D",
        "Encoded data, 2-D",
        "Decoded data, 4-D",
        "Cost",
    ]


@pytest.mark.parametrize(
    ("panel", "table"), [(0, "X"), (1, "code"), (2, "reconstruction")]
)
def test_a_panel_shows_the_first_two_columns_of_its_table(figure, tables, panel, table):
    drawn = figure.axes[panel].collections[0].get_offsets()
    np.testing.assert_array_equal(drawn, tables[table][:, :2])


@pytest.mark.parametrize("panel", range(3))
def test_rows_are_coloured_by_their_label(figure, panel):
    colours = figure.axes[panel].collections[0].get_facecolors()
    assert len(np.unique(colours[:25], axis=0)) == 1
    assert len(np.unique(colours[25:], axis=0)) == 1
    assert (colours[0] != colours[-1]).any()


def test_the_legend_gives_each_label_the_colour_of_its_rows(figure):
    legend = figure.axes[0].get_legend() or figure.legends[0]
    handles = {
        text.get_text(): to_rgba(handle.get_color())
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }
    colours = figure.axes[0].collections[0].get_facecolors()
    np.testing.assert_array_equal(handles["0"][:3], colours[0, :3])
    np.testing.assert_array_equal(handles["1"][:3], colours[-1, :3])


def test_without_labels_there_is_one_colour_and_no_legend(tables):
    axes = plotting.four_panels(**tables, history=HISTORY).axes[0]
    assert len(np.unique(axes.collections[0].get_facecolors(), axis=0)) == 1
    assert axes.get_legend() is None


def test_many_numbers_as_labels_get_as_many_shades_and_a_colour_bar(tables):
    figure = plotting.four_panels(**tables, history=HISTORY, y=np.arange(50))
    figure.draw_without_rendering()
    drawn = figure.axes[0].collections[0].get_facecolors()
    assert len(np.unique(drawn, axis=0)) == 50
    assert figure.axes[0].get_legend() is None
    assert not figure.legends
    assert figure.axes[-1].get_xlabel() == "label"


def test_incoming_and_decoded_data_are_on_one_scale(figure):
    incoming, decoded = figure.axes[0], figure.axes[2]
    assert incoming.get_xlim() == decoded.get_xlim()
    assert incoming.get_ylim() == decoded.get_ylim()


def test_the_scale_holds_every_decoded_row(figure, tables):
    low, high = figure.axes[2].get_ylim()
    drawn = tables["reconstruction"][:, 1]
    assert low < drawn.min() < drawn.max() < high


def lines(figure):
    return {line.get_label(): line for line in figure.axes[3].get_lines()}


@pytest.mark.parametrize(
    ("label", "key"), [("train", "loss"), ("validation", "val_loss")]
)
def test_the_cost_panel_shows_each_curve_from_epoch_1(figure, label, key):
    np.testing.assert_array_equal(lines(figure)[label].get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(lines(figure)[label].get_ydata(), HISTORY[key])


def test_the_cost_axis_is_logarithmic(figure):
    assert figure.axes[3].get_yscale() == "log"


def test_the_error_of_pca_is_a_line_across(figure):
    assert set(lines(figure)["PCA, 2 components"].get_ydata()) == {0.002}


def test_a_history_without_validation_has_no_validation_curve(tables):
    figure = plotting.four_panels(**tables, history={"loss": [0.1]})
    assert set(lines(figure)) == {"train"}


@pytest.mark.parametrize(
    ("ending", "start"),
    [
        ("png", b"\x89PNG"),
        pytest.param("svg", b"<?xml", marks=pytest.mark.slow),
        pytest.param("pdf", b"%PDF", marks=pytest.mark.slow),
    ],
)
def test_a_figure_is_written_in_each_format(figure, tmp_path, ending, start):
    path = tmp_path / f"figure.{ending}"
    figure.savefig(path)
    assert path.read_bytes().startswith(start)


def test_a_vector_file_holds_the_points_as_pictures(figure, tmp_path):
    figure.savefig(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").read_text(encoding="utf-8").count("<image") == 3


def test_a_figure_that_is_given_is_drawn_into(tables):
    own = plotting.new_figure()
    assert plotting.four_panels(**tables, history=HISTORY, figure=own) is own


def test_drawing_leaves_matplotlibs_settings_alone(tables):
    before = mpl.rcParams.copy()
    plotting.four_panels(**tables, history=HISTORY)
    assert mpl.rcParams == before


@pytest.mark.slow
def test_drawing_does_not_import_pyplot():
    program = (
        "import sys, numpy as np; from keras_tied.plotting import four_panels; x ="
        " np.eye(3);four_panels(x, x, x, {'loss': [1.0]}); assert 'matplotlib.pyplot'"
        " not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"code": np.ones(50)}, "code has the shape"),
        ({"reconstruction": np.ones((49, 4))}, "reconstruction has the shape"),
        ({"X": np.ones(50)}, "X has the shape"),
        ({"y": [0, 1]}, "y has the shape"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tables, wrong, message):
    with pytest.raises(ValueError, match=message):
        plotting.four_panels(**(tables | wrong), history=HISTORY)


@pytest.mark.parametrize("make", [plotting.new_figure, plotting.new_window])
def test_without_matplotlib_the_error_says_how_to_install_it(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"keras-tied\[plot\]"):
        make()


def test_a_window_is_refused_where_there_is_none():
    mpl.use("agg")
    with pytest.raises(RuntimeError, match="'agg', which opens no window"):
        plotting.new_window()
